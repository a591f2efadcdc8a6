//! One encoder layer: self-attention and a feed-forward block, each followed by dropout and the residual. A norm comes
//! after each or before each ([`NormPlacement`]).

use tch::Tensor;

use super::attention::{ScoreBias, attend, attend_first_tokens};
use super::builder::EncoderBuilder;
use super::config::{AttentionOptions, EncoderConfig, FeedForwardOptions, NormPlacement};
use super::convolution::Convolution;
use super::disentangled::{RelativeProjections, RelativeVectors};
use super::global::GlobalFirst;
use super::interleaved::Interleaved;
use super::names::Names;
use super::rotary::Rotations;
use super::sinusoids::Sinusoids;
use crate::batch::PackedTokens;
use crate::error::{Error, Result};
use crate::model::activation::Activation;
use crate::model::builder::Initial;
use crate::model::layers::{LayerNorm, Linear, cast};
use crate::model::pass::{DropoutKeys, Pass};

/// See the [module](self).
pub struct Layer {
    /// Query, key and value as one: `[3·width, width]`, or fewer rows where keys and values have fewer heads.
    qkv: Linear,
    interleaved: Option<Interleaved>,
    attention: AttentionOptions,
    relative: RelativeProjections,
    global: Option<GlobalFirst>,
    convolution: Option<Convolution>,
    attention_output: Linear,
    /// `None` where what is read is normalised already.
    attention_norm: Option<LayerNorm>,
    inner: Linear,
    activation: Activation,
    gated: bool,
    /// Before the second linear layer of the feed-forward block.
    inner_dropout: f64,
    output: Linear,
    output_norm: LayerNorm,
    /// By which what attention and the feed-forward block give is multiplied, `[width]` each.
    scales: Option<[Tensor; 2]>,
    norms: NormPlacement,
    is_local: bool,
    hidden_dropout: f64,
}

/// What the vectors of layer scale begin as in a random start: timm's value for the Vision Transformers that have them.
const INITIAL_SCALE: f64 = 1e-5;

/// What all layers of an encoder read for their attention scores.
pub enum Distances {
    /// The same addition in every layer, `[1, heads, longest, longest]`.
    Bias(Tensor),
    /// Vectors that each layer projects.
    Vectors(RelativeVectors),
    /// Angles by which queries and keys are turned.
    Rotary(Rotations),
    /// Sines and cosines, which each layer projects.
    Sinusoids(Sinusoids),
}

/// A linear layer, and the weights that it is made of: names (`{}` for the layer's number) and outputs.
pub type LinearParts<'a> = (&'a mut Linear, Vec<(String, i64)>);

/// A layer after the embeddings. `distances` is what all layers of an encoder read for their attention scores.
pub trait TokenLayer {
    /// `[T, width]` to `[T, width]`.
    fn forward(&self, x: &Tensor, tokens: &PackedTokens, distances: Option<&Distances>, pass: Pass) -> Result<Tensor>;

    /// `[T, width]` to `[N, width]`: what [`forward`](Self::forward) gives for each sequence's first token, without
    /// computing what only the others have.
    fn forward_first_tokens(
        &self,
        x: &Tensor,
        tokens: &PackedTokens,
        distances: Option<&Distances>,
        pass: Pass,
    ) -> Result<Tensor>;

    /// The linear layers.
    fn linears_mut(&mut self, names: &Names) -> Vec<LinearParts<'_>>;
}

impl Layer {
    /// The layer number `index`.
    pub fn load(config: &EncoderConfig, index: usize, builder: &mut EncoderBuilder) -> Result<Self> {
        let (width, epsilon, stage) = (config.width, config.layer_norm_epsilon, index + 1);
        let FeedForwardOptions { inner, activation, gated, bias, output_bias, drops_inner } = config.feed_forward;
        let AttentionOptions { heads, key_value_heads, qkv_bias, .. } = config.attention;
        let names = builder.names;
        let name = |template: &str| template.replace("{}", &index.to_string());
        let qkv = match names.qkv {
            Some(one) => builder.linear_with(qkv_bias, &name(one), width, 3 * width, stage)?,
            None => {
                let shared = width / heads * key_value_heads;
                let three = [(name(names.query), width), (name(names.key), shared), (name(names.value), shared)];
                builder.fused_linear(&three, width, qkv_bias, stage)?
            }
        };
        Ok(Self {
            qkv,
            interleaved: Interleaved::load(config, index, builder)?,
            attention: config.attention,
            relative: RelativeProjections::load(config, index, builder)?,
            global: GlobalFirst::load(config, index, builder)?,
            convolution: Convolution::load(config, index, builder)?,
            attention_output: builder.linear_with(
                config.attention.output_bias,
                &name(names.attention_output),
                width,
                width,
                stage,
            )?,
            attention_norm: match config.skips_first_norm && index == 0 {
                true => None,
                false => Some(builder.norm(&name(names.attention_norm), width, epsilon, stage)?),
            },
            inner: match names.gate {
                Some(gate) if gated => {
                    let two = [(name(names.inner), inner), (name(gate), inner)];
                    builder.fused_linear(&two, width, bias, stage)?
                }
                _ => {
                    let outputs = if gated { 2 * inner } else { inner };
                    builder.linear_with(bias, &name(names.inner), width, outputs, stage)?
                }
            },
            activation,
            gated,
            inner_dropout: if drops_inner { config.hidden_dropout } else { 0.0 },
            output: builder.linear_with(output_bias, &name(names.output), inner, width, stage)?,
            output_norm: builder.norm(&name(names.output_norm), width, epsilon, stage)?,
            scales: match names.layer_scale {
                Some([attention, output]) => {
                    let mut take =
                        |one: &str| builder.take(&name(one), &[width], stage, Initial::Filled(INITIAL_SCALE));
                    Some([take(attention)?, take(output)?])
                }
                None => None,
            },
            norms: config.norms,
            is_local: config.local.get(index).copied().unwrap_or(false),
            hidden_dropout: config.hidden_dropout,
        })
    }

    /// What is added to the attention scores, of what all layers read.
    fn score_bias<'a>(&self, distances: Option<&'a Distances>, pass: Pass) -> Result<Option<ScoreBias<'a>>> {
        if let Some(global) = &self.global {
            return Ok(Some(ScoreBias::WindowAndFirst(global.window)));
        }
        let (relative, options) = match (distances, &self.attention.relative) {
            (None, _) => return Ok(None),
            (Some(Distances::Rotary(rotations)), _) => {
                return Ok(rotations.window().filter(|_| self.is_local).map(ScoreBias::Window));
            }
            (Some(Distances::Bias(bias)), _) => return Ok(Some(ScoreBias::Shared(bias))),
            (Some(Distances::Vectors(vectors)), Some(options)) => (vectors, options),
            (Some(Distances::Vectors(_) | Distances::Sinusoids(_)), _) => {
                return Err(Error::failure("vectors of distances without a use"));
            }
        };
        let (heads, dropout) = (self.attention.heads, self.hidden_dropout);
        let scores = self.relative.scores(relative, options, &self.qkv, heads, dropout, pass)?;
        Ok(Some(ScoreBias::Relative(scores)))
    }

    /// Queries, keys and values of all tokens, side by side.
    fn projected(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let projected = self.qkv.forward(x, pass)?;
        match &self.interleaved {
            Some(interleaved) => interleaved.arranged(&projected),
            None => Ok(projected),
        }
    }

    /// Keys and values, `queries` heads of queries before them, as attention takes them: queries and keys are turned by
    /// their positions where there are rotations, and every query has a key and a value of its own.
    fn arranged(&self, projected: Tensor, queries: i64, distances: Option<&Distances>) -> Result<Tensor> {
        let AttentionOptions { heads, key_value_heads: shared, .. } = self.attention;
        let projected = match distances {
            Some(Distances::Rotary(rotations)) => {
                rotations.turn(&projected, [queries + shared, queries + 2 * shared], self.is_local)?
            }
            _ => projected,
        };
        if shared == heads {
            return Ok(projected);
        }
        let columns = projected.size().last().copied().unwrap_or(0);
        let d = columns / (queries + 2 * shared);
        let asking = projected.f_narrow(1, 0, queries * d)?;
        let rest = projected.f_narrow(1, queries * d, columns - queries * d)?.f_reshape([-1, 2 * shared, 1, d])?;
        let rest = rest.f_expand([-1, 2 * shared, heads / shared, d], false)?.f_reshape([-1, 2 * heads * d])?;
        Ok(Tensor::f_cat(&[asking, rest], 1)?)
    }

    /// The same where the first tokens have attention of their own. While that is trained, so are the projections that
    /// they do not read, which then get gradients of 0, as in transformers.
    fn forward_global_tokens(
        &self,
        global: &GlobalFirst,
        x: &Tensor,
        tokens: &PackedTokens,
        pass: Pass,
    ) -> Result<Tensor> {
        let context = global.contexts(x, tokens, &self.attention, pass)?;
        if context.requires_grad() {
            return Ok(self
                .forward(x, tokens, None, pass)?
                .f_index_select(0, &tokens.first.f_narrow(0, 0, tokens.sequences())?)?);
        }
        let first = x.f_index_select(0, &tokens.first)?;
        Ok(self.after_attention(&context, &first, pass)?.f_narrow(0, 0, tokens.sequences())?)
    }

    /// The rest of the layer, token by token.
    fn after_attention(&self, context: &Tensor, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let attended = self.attention_output.forward(context, pass)?;
        if self.norms == NormPlacement::Before {
            let [attention_scale, output_scale] = match &self.scales {
                Some([attention, output]) => [Some(attention), Some(output)],
                None => [None, None],
            };
            let x = self.add(attended, x, attention_scale, pass)?;
            let inner = self.inner(&self.output_norm.forward(&x)?, pass)?;
            return self.add(self.output.forward(&inner, pass)?, &x, output_scale, pass);
        }
        let drop = DropoutKeys::drop(pass.dropout, self.hidden_dropout);
        let norm = self.attention_norm.as_ref().ok_or_else(|| Error::failure("a layer without its norm"))?;
        let x = norm.add_forward(&attended, x, drop)?;

        let inner = self.inner(&x, pass)?;
        let outer = self.output.forward(&inner, pass)?;
        let drop = DropoutKeys::drop(pass.dropout, self.hidden_dropout);
        self.output_norm.add_forward(&outer, &x, drop)
    }

    /// What lies between the two layers of the feed-forward block.
    fn inner(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        if !self.gated {
            return self.activation.after(&self.inner, x, pass);
        }
        let both = self.inner.forward(x, pass)?;
        let width = both.size().last().copied().unwrap_or(0) / 2;
        let (inner, gate) = (both.f_narrow(-1, 0, width)?.f_contiguous()?, both.f_narrow(-1, width, width)?);
        DropoutKeys::apply(pass.dropout, self.activation.apply(&inner)?.f_mul(&gate)?, self.inner_dropout)
    }

    /// `residual + scale · dropout(x)`.
    fn add(&self, x: Tensor, residual: &Tensor, scale: Option<&Tensor>, pass: Pass) -> Result<Tensor> {
        let x = DropoutKeys::apply(pass.dropout, x, self.hidden_dropout)?;
        let mut x = match scale {
            Some(scale) => x.f_mul(&cast(scale, pass.compute)?)?,
            None => x,
        };
        Ok(x.f_add_(residual)?)
    }
}

impl TokenLayer for Layer {
    fn forward(&self, x: &Tensor, tokens: &PackedTokens, distances: Option<&Distances>, pass: Pass) -> Result<Tensor> {
        let bias = self.score_bias(distances, pass)?;
        let projected = match (self.norms, &self.attention_norm) {
            (NormPlacement::Before, Some(norm)) => self.projected(&norm.forward(x)?, pass)?,
            _ => self.projected(x, pass)?,
        };
        let projected = self.arranged(projected, self.attention.heads, distances)?;
        let mut context = attend(&projected, tokens, bias.as_ref(), &self.attention, pass)?;
        if let Some(global) = &self.global {
            context = global.put(&context, x, tokens, &self.attention, pass)?;
        }
        let after = self.after_attention(&context, x, pass)?;
        match &self.convolution {
            Some(convolution) => convolution.forward(x, &after, &tokens.positions, pass),
            None => Ok(after),
        }
    }

    fn forward_first_tokens(
        &self,
        x: &Tensor,
        tokens: &PackedTokens,
        distances: Option<&Distances>,
        pass: Pass,
    ) -> Result<Tensor> {
        if let Some(global) = &self.global {
            return self.forward_global_tokens(global, x, tokens, pass);
        }
        if self.convolution.is_some() {
            let first = tokens.first.f_narrow(0, 0, tokens.sequences())?;
            return Ok(self.forward(x, tokens, distances, pass)?.f_index_select(0, &first)?);
        }
        let bias = self.score_bias(distances, pass)?;
        let (width, outputs) = (x.size().last().copied().unwrap_or(0), self.qkv.outputs());
        let first = x.f_index_select(0, &tokens.first)?;
        let normalised = match (self.norms, &self.attention_norm) {
            (NormPlacement::Before, Some(norm)) => Some(norm.forward(x)?),
            _ => None,
        };
        let read = normalised.as_ref().unwrap_or(x);
        let (query, key_value) = if self.qkv.int8.is_some() || self.interleaved.is_some() {
            // Query, key and value are one: all are computed, and the other tokens' queries left.
            let projected = self.projected(read, pass)?;
            let query = projected.f_narrow(1, 0, width)?.f_index_select(0, &tokens.first)?;
            (query, projected.f_narrow(1, width, outputs - width)?)
        } else {
            let asking =
                if self.norms == NormPlacement::Before { &read.f_index_select(0, &tokens.first)? } else { &first };
            let query = self.qkv.forward_part(asking, 0..width, pass)?;
            (query, self.qkv.forward_part(read, width..outputs, pass)?)
        };
        // The first token's query is turned by nothing.
        let key_value = self.arranged(key_value, 0, distances)?;
        let context = attend_first_tokens(&query, &key_value, tokens, bias.as_ref(), &self.attention, pass)?;
        Ok(self.after_attention(&context, &first, pass)?.f_narrow(0, 0, tokens.sequences())?)
    }

    fn linears_mut(&mut self, names: &Names) -> Vec<LinearParts<'_>> {
        let AttentionOptions { heads, key_value_heads, .. } = self.attention;
        let [all, width, inner] = [&self.qkv, &self.attention_output, &self.inner].map(Linear::outputs);
        let shared = width / heads * key_value_heads;
        let qkv: Vec<(&str, i64)> = match names.qkv {
            Some(one) => vec![(one, all)],
            None => vec![(names.query, width), (names.key, shared), (names.value, shared)],
        };
        let inner = match names.gate {
            Some(gate) if self.gated => vec![(names.inner, inner / 2), (gate, inner / 2)],
            _ => vec![(names.inner, inner)],
        };
        let mut linears = vec![
            (&mut self.qkv, qkv),
            (&mut self.attention_output, vec![(names.attention_output, width)]),
            (&mut self.inner, inner),
            (&mut self.output, vec![(names.output, width)]),
        ];
        if let (Some(global), Some(names)) = (&mut self.global, names.global) {
            linears.push((&mut global.qkv, names.map(|name| (name, width)).into()));
        }
        let owned =
            |parts: Vec<(&str, i64)>| parts.into_iter().map(|(name, outputs)| (name.to_owned(), outputs)).collect();
        linears.into_iter().map(|(linear, parts)| (linear, owned(parts))).collect()
    }
}
