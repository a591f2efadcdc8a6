//! One encoder layer: self-attention and a feed-forward block, each followed by dropout and the residual. A norm comes behind each
//! (Devlin et al. 2019), or before each (Dosovitskiy et al. 2021).

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
    /// Whether attention and feed-forward read what is normalised, or the norm is of what they give.
    pre_norm: bool,
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
            projection: builder.fused_linear(projections, width, config.projection_bias, stage)?,
            attention_output: builder.linear(&name(names.attention_output), width, width, stage)?,
            attention_norm: builder.norm(&name(names.attention_norm), width, config.layer_norm_epsilon, stage)?,
            intermediate: builder.linear(&name(names.intermediate), width, inner, stage)?,
            output: builder.linear(&name(names.output), inner, width, stage)?,
            output_norm: builder.norm(&name(names.output_norm), width, config.layer_norm_epsilon, stage)?,
            pre_norm: config.pre_norm,
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
        let projected = match self.pre_norm {
            true => self.projection.forward(&self.attention_norm.forward(x)?, pass)?,
            false => self.projection.forward(x, pass)?,
        };
        let context = attend(&projected, tokens, self.heads, self.attention_dropout, pass)?;
        self.after_attention(&context, x, pass)
    }

    /// `[T, width]` to `[N, width]`: what [`forward`](Self::forward) gives for each sequence's first token, without
    /// computing the others' query, output and feed-forward.
    pub fn forward_first_tokens(&self, x: &Tensor, tokens: &PackedTokens, pass: Pass) -> Result<Tensor> {
        let width = x.size().last().copied().unwrap_or(0);
        let first = x.f_index_select(0, &tokens.first)?;
        let normalised = if self.pre_norm { Some(self.attention_norm.forward(x)?) } else { None };
        let read = normalised.as_ref().unwrap_or(x);
        let (query, key_value) = if self.projection.int8.is_some() {
            // In 8 bits the three projections are one: all is projected, and the other tokens' queries left.
            let projected = self.projection.forward(read, pass)?;
            let query = projected.f_narrow(1, 0, width)?.f_index_select(0, &tokens.first)?;
            (query, projected.f_narrow(1, width, 2 * width)?)
        } else {
            let asking = if self.pre_norm { &read.f_index_select(0, &tokens.first)? } else { &first };
            let query = self.projection.forward_part(asking, 0..width, pass)?;
            (query, self.projection.forward_part(read, width..3 * width, pass)?)
        };
        let context = attend_first_tokens(&query, &key_value, tokens, self.heads, self.attention_dropout, pass)?;
        Ok(self.after_attention(&context, &first, pass)?.f_narrow(0, 0, tokens.sequences())?)
    }

    /// The rest of the layer, token by token.
    fn after_attention(&self, context: &Tensor, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let attended = self.attention_output.forward(context, pass)?;
        if self.pre_norm {
            let x = self.add(attended, x, pass)?;
            let inner = self.activation.after(&self.intermediate, &self.output_norm.forward(&x)?, pass)?;
            return self.add(self.output.forward(&inner, pass)?, &x, pass);
        }
        let drop = DropoutKeys::drop(pass.dropout, self.hidden_dropout);
        let x = self.attention_norm.add_forward(&attended, x, drop)?;

        let inner = self.activation.after(&self.intermediate, &x, pass)?;
        let outer = self.output.forward(&inner, pass)?;
        let drop = DropoutKeys::drop(pass.dropout, self.hidden_dropout);
        self.output_norm.add_forward(&outer, &x, drop)
    }

    /// `residual + dropout(x)`.
    fn add(&self, x: Tensor, residual: &Tensor, pass: Pass) -> Result<Tensor> {
        Ok(DropoutKeys::apply(pass.dropout, x, self.hidden_dropout)?.f_add_(residual)?)
    }
}
