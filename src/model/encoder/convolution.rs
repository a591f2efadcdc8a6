//! The convolution of the two largest DeBERTa-v2 models: what the first layer reads, convolved along the text, is added
//! to what it gives. Written as transformers' `ConvLayer` computes it, with zeros around each text.

use tch::Tensor;

use super::builder::EncoderBuilder;
use super::config::{ConvolutionOptions, EncoderConfig};
use super::neighbours::neighbour;
use crate::error::Result;
use crate::model::builder::Initial;
use crate::model::layers::{LayerNorm, cast};
use crate::model::pass::{DropoutKeys, Pass};
use crate::native::DropoutSpec;

/// See the [module](self).
pub struct Convolution {
    /// `[width, width, kernel]`.
    weight: Tensor,
    bias: Tensor,
    norm: LayerNorm,
    options: ConvolutionOptions,
    dropout: f64,
}

impl Convolution {
    /// That of an encoder's first layer, where there is one.
    pub fn load(config: &EncoderConfig, index: usize, builder: &mut EncoderBuilder) -> Result<Option<Self>> {
        let (Some(options), 0) = (config.convolution, index) else { return Ok(None) };
        let (width, stage) = (config.width, index + 1);
        let shape = [width, width, options.kernel];
        Ok(Some(Self {
            weight: builder.take("encoder.conv.conv.weight", &shape, stage, Initial::Normal)?,
            bias: builder.take("encoder.conv.conv.bias", &[width], stage, Initial::Filled(0.0))?,
            norm: builder.norm("encoder.conv.LayerNorm", width, config.layer_norm_epsilon, stage)?,
            options,
            dropout: config.hidden_dropout,
        }))
    }

    /// Of what the layer reads and gives, `[T, width]` each.
    pub fn forward(&self, read: &Tensor, given: &Tensor, positions: &Tensor, pass: Pass) -> Result<Tensor> {
        let half = self.options.kernel / 2;
        let beside = (-half..=half).map(|offset| neighbour(read, positions, offset)).collect::<Result<Vec<_>>>()?;
        let outputs = self.bias.size().first().copied().unwrap_or(0);
        let weight = self.weight.f_transpose(1, 2)?.f_reshape([outputs, -1])?;
        let (weight, bias) = (cast(&weight, pass.compute)?, cast(&self.bias, pass.compute)?);
        let x = Tensor::f_cat(&beside, 1)?.f_linear(&weight, Some(&bias))?;
        let x = self.options.activation.apply(&DropoutKeys::apply(pass.dropout, x, self.dropout)?)?;
        self.norm.add_forward(&x, given, DropoutSpec::default())
    }
}
