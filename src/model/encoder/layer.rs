//! One encoder layer: self-attention and a feed-forward block, each followed by dropout and the residual. A norm comes
//! after each or before each ([`NormPlacement`]).

use tch::Tensor;

use super::attention::{ScoreBias, attend, attend_first_tokens};
use super::builder::EncoderBuilder;
use super::config::{AttentionOptions, EncoderConfig, FeedForwardOptions, NormPlacement};
use super::disentangled::{RelativeProjections, RelativeVectors};
use super::names::Names;
use crate::batch::PackedTokens;
use crate::error::{Error, Result};
use crate::model::activation::Activation;
use crate::model::layers::{LayerNorm, Linear};
use crate::model::pass::{DropoutKeys, Pass};

/// See the [module](self).
pub struct Layer {
    /// Query, key and value as one: `[3·width, width]`.
    qkv: Linear,
    attention: AttentionOptions,
    relative: RelativeProjections,
    attention_output: Linear,
    attention_norm: LayerNorm,
    inner: Linear,
    activation: Activation,
    output: Linear,
    output_norm: LayerNorm,
    norms: NormPlacement,
    hidden_dropout: f64,
}

/// What all layers of an encoder read for their attention scores.
pub enum Distances {
    /// The same addition in every layer, `[1, heads, longest, longest]`.
    Bias(Tensor),
    /// Vectors that each layer projects.
    Vectors(RelativeVectors),
}

impl Layer {
    /// The layer number `index`.
    pub fn load(config: &EncoderConfig, index: usize, builder: &mut EncoderBuilder) -> Result<Self> {
        let (width, epsilon, stage) = (config.width, config.layer_norm_epsilon, index + 1);
        let FeedForwardOptions { inner, activation } = config.feed_forward;
        let names = builder.names;
        let name = |template: &str| template.replace("{}", &index.to_string());
        let qkv = [name(names.query), name(names.key), name(names.value)];
        Ok(Self {
            qkv: builder.fused_linear(qkv, width, config.attention.qkv_bias, stage)?,
            attention: config.attention,
            relative: RelativeProjections::load(config, index, builder)?,
            attention_output: builder.linear(&name(names.attention_output), width, width, stage)?,
            attention_norm: builder.norm(&name(names.attention_norm), width, epsilon, stage)?,
            inner: builder.linear(&name(names.inner), width, inner, stage)?,
            activation,
            output: builder.linear(&name(names.output), inner, width, stage)?,
            output_norm: builder.norm(&name(names.output_norm), width, epsilon, stage)?,
            norms: config.norms,
            hidden_dropout: config.hidden_dropout,
        })
    }

    /// The linear layers, each with the names (`{}` for the layer's number) of the weights that it is made of.
    pub fn linears_mut<'a>(&'a mut self, names: &'a Names) -> [(&'a mut Linear, Vec<&'static str>); 4] {
        [
            (&mut self.qkv, vec![names.query, names.key, names.value]),
            (&mut self.attention_output, vec![names.attention_output]),
            (&mut self.inner, vec![names.inner]),
            (&mut self.output, vec![names.output]),
        ]
    }

    /// What is added to the attention scores, of what all layers read.
    fn score_bias<'a>(&self, distances: Option<&'a Distances>, pass: Pass) -> Result<Option<ScoreBias<'a>>> {
        let (relative, options) = match (distances, &self.attention.relative) {
            (None, _) => return Ok(None),
            (Some(Distances::Bias(bias)), _) => return Ok(Some(ScoreBias::Shared(bias))),
            (Some(Distances::Vectors(vectors)), Some(options)) => (vectors, options),
            (Some(Distances::Vectors(_)), None) => return Err(Error::failure("vectors of distances without a use")),
        };
        let (heads, dropout) = (self.attention.heads, self.hidden_dropout);
        let scores = self.relative.scores(relative, options, &self.qkv, heads, dropout, pass)?;
        Ok(Some(ScoreBias::Relative(scores)))
    }

    /// `[T, width]` to `[T, width]`; `distances` is what all layers read for their attention scores.
    pub fn forward(
        &self,
        x: &Tensor,
        tokens: &PackedTokens,
        distances: Option<&Distances>,
        pass: Pass,
    ) -> Result<Tensor> {
        let bias = self.score_bias(distances, pass)?;
        let projected = match self.norms == NormPlacement::Before {
            true => self.qkv.forward(&self.attention_norm.forward(x)?, pass)?,
            false => self.qkv.forward(x, pass)?,
        };
        let context = attend(&projected, tokens, bias.as_ref(), &self.attention, pass)?;
        self.after_attention(&context, x, pass)
    }

    /// `[T, width]` to `[N, width]`: what [`forward`](Self::forward) gives for each sequence's first token, without
    /// computing the others' query, output and feed-forward.
    pub fn forward_first_tokens(
        &self,
        x: &Tensor,
        tokens: &PackedTokens,
        distances: Option<&Distances>,
        pass: Pass,
    ) -> Result<Tensor> {
        let bias = self.score_bias(distances, pass)?;
        let width = x.size().last().copied().unwrap_or(0);
        let first = x.f_index_select(0, &tokens.first)?;
        let normalised = if self.norms == NormPlacement::Before { Some(self.attention_norm.forward(x)?) } else { None };
        let read = normalised.as_ref().unwrap_or(x);
        let (query, key_value) = if self.qkv.int8.is_some() {
            // In 8 bits query, key and value are one: all are computed, and the other tokens' queries left.
            let projected = self.qkv.forward(read, pass)?;
            let query = projected.f_narrow(1, 0, width)?.f_index_select(0, &tokens.first)?;
            (query, projected.f_narrow(1, width, 2 * width)?)
        } else {
            let asking =
                if self.norms == NormPlacement::Before { &read.f_index_select(0, &tokens.first)? } else { &first };
            let query = self.qkv.forward_part(asking, 0..width, pass)?;
            (query, self.qkv.forward_part(read, width..3 * width, pass)?)
        };
        let context = attend_first_tokens(&query, &key_value, tokens, bias.as_ref(), &self.attention, pass)?;
        Ok(self.after_attention(&context, &first, pass)?.f_narrow(0, 0, tokens.sequences())?)
    }

    /// The rest of the layer, token by token.
    fn after_attention(&self, context: &Tensor, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let attended = self.attention_output.forward(context, pass)?;
        if self.norms == NormPlacement::Before {
            let x = self.add(attended, x, pass)?;
            let inner = self.activation.after(&self.inner, &self.output_norm.forward(&x)?, pass)?;
            return self.add(self.output.forward(&inner, pass)?, &x, pass);
        }
        let drop = DropoutKeys::drop(pass.dropout, self.hidden_dropout);
        let x = self.attention_norm.add_forward(&attended, x, drop)?;

        let inner = self.activation.after(&self.inner, &x, pass)?;
        let outer = self.output.forward(&inner, pass)?;
        let drop = DropoutKeys::drop(pass.dropout, self.hidden_dropout);
        self.output_norm.add_forward(&outer, &x, drop)
    }

    /// `residual + dropout(x)`.
    fn add(&self, x: Tensor, residual: &Tensor, pass: Pass) -> Result<Tensor> {
        Ok(DropoutKeys::apply(pass.dropout, x, self.hidden_dropout)?.f_add_(residual)?)
    }
}
