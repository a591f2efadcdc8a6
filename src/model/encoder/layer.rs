//! One encoder layer (Devlin et al. 2019): self-attention and a feed-forward block, each followed by dropout, the residual
//! and layer normalisation.

use tch::Tensor;

use super::attention::{attend, attend_first_tokens};
use super::{Activation, Builder, EncoderConfig, Names};
use crate::batch::PackedTokens;
use crate::error::Result;
use crate::model::backbone::{DropoutKeys, Pass};
use crate::model::parameters::{LayerNorm, Linear};

pub struct Layer {
    /// Query, key and value projections as one: `[3·width, width]`.
    projection: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    activation: Activation,
    heads: i64,
    hidden_dropout: f64,
    attention_dropout: f64,
}

impl Layer {
    pub(super) fn load(config: &EncoderConfig, index: usize, builder: &mut Builder) -> Result<Self> {
        let (width, inner, stage) = (config.width, config.intermediate, index + 1);
        let names = builder.names;
        let name = |template: &str| template.replace("{}", &index.to_string());
        let projections = [name(names.query), name(names.key), name(names.value)];
        Ok(Self {
            projection: builder.fused_linear(projections, width, width, stage)?,
            attention_output: builder.linear(&name(names.attention_output), width, width, stage)?,
            attention_norm: builder.norm(&name(names.attention_norm), width, config.layer_norm_epsilon, stage)?,
            intermediate: builder.linear(&name(names.intermediate), width, inner, stage)?,
            output: builder.linear(&name(names.output), inner, width, stage)?,
            output_norm: builder.norm(&name(names.output_norm), width, config.layer_norm_epsilon, stage)?,
            activation: config.activation,
            heads: config.heads,
            hidden_dropout: config.hidden_dropout,
            attention_dropout: config.attention_dropout,
        })
    }

    /// The linear layers, each with the names (`{}` for the layer's number) of the weights that it is made of.
    pub(super) fn linears_mut<'a>(&'a mut self, names: &'a Names) -> [(&'a mut Linear, Vec<&'static str>); 4] {
        [
            (&mut self.projection, vec![names.query, names.key, names.value]),
            (&mut self.attention_output, vec![names.attention_output]),
            (&mut self.intermediate, vec![names.intermediate]),
            (&mut self.output, vec![names.output]),
        ]
    }

    /// `[T, width]` to `[T, width]`.
    pub fn forward(&self, x: &Tensor, tokens: &PackedTokens, pass: Pass) -> Result<Tensor> {
        let projected = self.projection.forward(x, pass)?;
        let context = attend(&projected, tokens, self.heads, self.attention_dropout, pass)?;
        self.after_attention(&context, x, pass)
    }

    /// `[T, width]` to `[N, width]`: what [`forward`](Self::forward) gives for each sequence's first token, without
    /// computing the others' query, output and feed-forward.
    pub fn forward_first_tokens(&self, x: &Tensor, tokens: &PackedTokens, pass: Pass) -> Result<Tensor> {
        let width = x.size().last().copied().unwrap_or(0);
        let first = x.f_index_select(0, &tokens.first)?;
        let (query, key_value) = if self.projection.int8.is_some() {
            // In 8 bits the three projections are one: all is projected, and the other tokens' queries left.
            let projected = self.projection.forward(x, pass)?;
            let query = projected.f_narrow(1, 0, width)?.f_index_select(0, &tokens.first)?;
            (query, projected.f_narrow(1, width, 2 * width)?)
        } else {
            let query = self.projection.forward_part(&first, 0..width, pass)?;
            (query, self.projection.forward_part(x, width..3 * width, pass)?)
        };
        let context = attend_first_tokens(&query, &key_value, tokens, self.heads, self.attention_dropout, pass)?;
        Ok(self.after_attention(&context, &first, pass)?.f_narrow(0, 0, tokens.sequences())?)
    }

    /// The rest of the layer, token by token.
    fn after_attention(&self, context: &Tensor, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let attended = self.attention_output.forward(context, pass)?;
        let drop = DropoutKeys::drop(pass.dropout, self.hidden_dropout);
        let x = self.attention_norm.add_forward(&attended, x, drop)?;

        let inner = self.activation.after(&self.intermediate, &x, pass)?;
        let outer = self.output.forward(&inner, pass)?;
        let drop = DropoutKeys::drop(pass.dropout, self.hidden_dropout);
        self.output_norm.add_forward(&outer, &x, drop)
    }
}
