//! ConvNeXt's block (Liu et al., "A ConvNet for the 2020s", 2022): a depthwise 7×7 convolution, a layer norm over the
//! channels, two linear layers with an activation between them, and a learnt scale for each channel of what is added
//! to the map. Version 2 (Woo et al. 2023) normalises the responses between the linear layers and has no scale.
//!
//! Stochastic depth, which both were pretrained with, is not drawn.

use tch::{Kind, Tensor};

use super::builder::HierarchyBuilder;
use crate::error::Result;
use crate::model::activation::Activation;
use crate::model::builder::Initial;
use crate::model::convolutional::{by_channel, by_pixel};
use crate::model::layers::{LayerNorm, Linear, cast};
use crate::model::pass::{DropoutKeys, Pass};

/// Added to the variance in every norm but the last.
pub const EPSILON: f64 = 1e-6;
/// The side of the depthwise convolution.
const KERNEL: i64 = 7;
/// How many times as wide it is between the two linear layers.
const EXPANSION: i64 = 4;

/// See the [module](self).
pub struct ConvNextBlock {
    /// `[width, 1, 7, 7]`: a kernel for each channel.
    depthwise: Tensor,
    bias: Tensor,
    norm: LayerNorm,
    inner: Linear,
    activation: Activation,
    responses: Option<GlobalResponseNorm>,
    outer: Linear,
    /// `[width]`.
    scale: Option<Tensor>,
    /// The name with which those of its tensors begin.
    name: String,
}

/// Global response normalisation: each channel by the strength of its whole map, as a part of the mean over channels.
struct GlobalResponseNorm {
    /// `[1, 1, 1, channels]`.
    weight: Tensor,
    /// `[1, 1, 1, channels]`.
    bias: Tensor,
}

impl ConvNextBlock {
    /// The block `name` of stage `stage`; `layer_scale` and `responses` as in
    /// [`BlockSpec::ConvNext`](super::BlockSpec::ConvNext).
    pub fn load(
        name: &str,
        width: i64,
        activation: Activation,
        (layer_scale, responses): (Option<f64>, bool),
        stage: usize,
        builder: &mut HierarchyBuilder,
    ) -> Result<Self> {
        let within = |part: &str| format!("{name}.{part}");
        let inner = EXPANSION * width;
        Ok(Self {
            scale: match layer_scale {
                Some(initial) => {
                    let initial = Initial::Filled(initial);
                    Some(builder.take(&within("layer_scale_parameter"), &[width], stage, initial)?)
                }
                None => None,
            },
            depthwise: builder.kernel(&within("dwconv.weight"), &[width, 1, KERNEL, KERNEL], stage)?,
            bias: builder.take(&within("dwconv.bias"), &[width], stage, Initial::Filled(0.0))?,
            norm: builder.norm(&within("layernorm"), width, EPSILON, stage)?,
            inner: builder.linear_or_pointwise(&within("pwconv1"), width, inner, stage)?,
            activation,
            responses: match responses {
                true => Some(GlobalResponseNorm::load(&within("grn"), inner, stage, builder)?),
                false => None,
            },
            outer: builder.linear_or_pointwise(&within("pwconv2"), inner, width, stage)?,
            name: name.to_owned(),
        })
    }

    /// `[N, H, W, width]` to the same shape, in the pass's kind.
    pub fn forward(&self, x: &Tensor, drop: f64, pass: Pass) -> Result<Tensor> {
        let (images, height, width, channels) = x.size4()?;
        let rows = |x: &Tensor| x.f_reshape([-1, channels]);
        let (kernel, bias) = (cast(&self.depthwise, pass.compute)?, cast(&self.bias, pass.compute)?);
        let padding = [KERNEL / 2; 2];
        let near = by_channel(x)?.f_conv2d(&kernel, Some(&bias), [1i64; 2], padding, [1i64; 2], channels)?;
        let normalised = self.norm.forward(&rows(&by_pixel(&near)?)?)?;
        let mut inner = self.activation.after(&self.inner, &normalised, pass)?;
        if let Some(responses) = &self.responses {
            inner = responses.forward(&inner, images)?;
        }
        let y = self.outer.forward(&inner, pass)?.f_view([images, -1, channels])?;
        let y = rows(&DropoutKeys::drop_path(pass.dropout, y, drop)?)?;
        let y = match &self.scale {
            Some(scale) => rows(x)?.f_addcmul(&y, &cast(scale, pass.compute)?)?,
            None => rows(x)?.f_add(&y)?,
        };
        Ok(y.f_view([images, height, width, channels])?)
    }

    /// The linear layers, each with its name and its outputs.
    pub fn linears_mut(&mut self) -> Vec<(&mut Linear, Vec<(String, i64)>)> {
        let part = |linear: &Linear, name: &str| vec![(format!("{}.{name}", self.name), linear.outputs())];
        let (inner, outer) = (part(&self.inner, "pwconv1"), part(&self.outer, "pwconv2"));
        vec![(&mut self.inner, inner), (&mut self.outer, outer)]
    }
}

impl GlobalResponseNorm {
    fn load(name: &str, channels: i64, stage: usize, builder: &mut HierarchyBuilder) -> Result<Self> {
        let shape = [1, 1, 1, channels];
        let mut take =
            |field: &str| builder.take_as(&format!("{name}.{field}"), &shape, &[channels], stage, Initial::Filled(0.0));
        Ok(Self { weight: take("weight")?, bias: take("bias")? })
    }

    /// Of `[T, channels]`, the places of `images` images one after another.
    fn forward(&self, x: &Tensor, images: i64) -> Result<Tensor> {
        let channels = x.size().last().copied().unwrap_or(0);
        let maps = x.f_view([images, -1, channels])?;
        let strength = maps.f_norm_scalaropt_dim_dtype(2, [1i64].as_slice(), true, Kind::Float)?;
        let share =
            strength.f_div(&strength.f_mean_dim([-1i64].as_slice(), true, Kind::Float)?.f_add_scalar(EPSILON)?)?;
        let [weight, bias] = [&self.weight, &self.bias].map(|tensor| tensor.f_view([1, 1, channels]));
        let factor = cast(&share.f_mul(&weight?)?.f_add_scalar(1.0)?, x.kind())?;
        Ok(cast(&bias?, x.kind())?.f_addcmul(&maps, &factor)?.f_view([-1, channels])?)
    }
}
