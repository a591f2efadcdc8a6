//! A feed-forward block by itself, with the residual and a norm after it:
//! `norm(x + dropout(output(activation(inner(x)))))`.

use tch::Tensor;

use super::builder::EncoderBuilder;
use super::config::EncoderConfig;
use crate::error::Result;
use crate::model::activation::Activation;
use crate::model::layers::{LayerNorm, Linear};
use crate::model::pass::{DropoutKeys, Pass};

/// See the [module](self).
pub struct FeedForward {
    inner: Linear,
    output: Linear,
    activation: Activation,
    norm: LayerNorm,
    dropout: f64,
}

impl FeedForward {
    /// That of these names (two linear layers and a norm) in `stage`, on vectors of `width` values.
    pub fn load(
        names: [&str; 3],
        width: i64,
        dropout: f64,
        config: &EncoderConfig,
        stage: usize,
        builder: &mut EncoderBuilder,
    ) -> Result<Self> {
        let [inner, output, norm] = names;
        let between = config.feed_forward.inner;
        Ok(Self {
            inner: builder.linear(inner, width, between, stage)?,
            output: builder.linear(output, between, width, stage)?,
            activation: config.feed_forward.activation,
            norm: builder.norm(norm, width, config.layer_norm_epsilon, stage)?,
            dropout,
        })
    }

    /// `[T, width]` to `[T, width]`.
    pub fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let inner = self.activation.after(&self.inner, x, pass)?;
        let outer = self.output.forward(&inner, pass)?;
        self.norm.add_forward(&outer, x, DropoutKeys::drop(pass.dropout, self.dropout))
    }

    /// The linear layers, with these names and their outputs.
    pub fn linears_mut(&mut self, [inner, output]: [&str; 2]) -> [(&mut Linear, Vec<(String, i64)>); 2] {
        [(&mut self.inner, inner), (&mut self.output, output)].map(|(linear, name)| {
            let outputs = linear.outputs();
            (linear, vec![(name.to_owned(), outputs)])
        })
    }
}
