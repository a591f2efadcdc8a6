//! XLNet's layer (Yang et al. 2019), as far as classification reads it: of the two streams, the one of content. A score
//! has three parts, each with a bias of its own for the query: the key, a vector for the distance, and one of two
//! vectors for keys of the same segment and of another. Vectors of distances are sines and cosines (`sinusoids.rs`),
//! which each layer projects. Written as transformers' `XLNetRelativeAttention` computes it.

use tch::Tensor;

use super::attention::{join, weigh_all};
use super::builder::EncoderBuilder;
use super::config::{AttentionOptions, EncoderConfig};
use super::disentangled::RelativeScores;
use super::feed_forward::FeedForward;
use super::layer::{Distances, LinearParts, TokenLayer};
use super::names::Names;
use super::sinusoids::Sinusoids;
use crate::batch::PackedTokens;
use crate::batch::packed::LengthGroup;
use crate::error::{Error, Result};
use crate::model::builder::Initial;
use crate::model::layers::{LayerNorm, cast};
use crate::model::pass::{DropoutKeys, Pass};

const INNER: &str = "layer.{}.ff.layer_1";
const OUTPUT: &str = "layer.{}.ff.layer_2";

/// See the [module](self).
pub struct TwoStreamLayer {
    /// `[width, heads, d]` each.
    query: Tensor,
    key: Tensor,
    value: Tensor,
    /// Of the vectors of distances.
    distance: Tensor,
    /// The same shape, the other way.
    attention_output: Tensor,
    /// `[heads, d]` each: what is added to a query that meets keys, distances, texts.
    key_bias: Tensor,
    distance_bias: Tensor,
    text_bias: Tensor,
    /// `[2, heads, d]`: for keys of the same text and of the other.
    texts: Tensor,
    attention: AttentionOptions,
    attention_norm: LayerNorm,
    feed_forward: FeedForward,
    dropout: f64,
}

impl TwoStreamLayer {
    /// The layer number `index`.
    pub fn load(config: &EncoderConfig, index: usize, builder: &mut EncoderBuilder) -> Result<Self> {
        let (width, heads, stage) = (config.width, config.attention.heads, index + 1);
        let d = width / heads;
        let mut take = |name: &str, shape: &[i64], initial: Initial| {
            builder.take(&format!("layer.{index}.rel_attn.{name}"), shape, stage, initial)
        };
        let mut projection = |name: &str| take(name, &[width, heads, d], Initial::Normal);
        let [query, key, value] = [projection("q")?, projection("k")?, projection("v")?];
        let [distance, attention_output] = [projection("r")?, projection("o")?];
        let mut bias = |name: &str| take(name, &[heads, d], Initial::Normal);
        let [key_bias, distance_bias, text_bias] = [bias("r_w_bias")?, bias("r_r_bias")?, bias("r_s_bias")?];
        let texts = take("seg_embed", &[2, heads, d], Initial::Normal)?;
        let name = |template: &str| template.replace("{}", &index.to_string());
        let norm = name("layer.{}.rel_attn.layer_norm");
        Ok(Self {
            query,
            key,
            value,
            distance,
            attention_output,
            key_bias,
            distance_bias,
            text_bias,
            texts,
            attention: config.attention,
            attention_norm: builder.norm(&norm, width, config.layer_norm_epsilon, stage)?,
            feed_forward: FeedForward::load(
                [&name(INNER), &name(OUTPUT), &name("layer.{}.ff.layer_norm")],
                width,
                config.hidden_dropout,
                config,
                stage,
                builder,
            )?,
            dropout: config.hidden_dropout,
        })
    }

    /// What attention gives for every token, `[T, width]`.
    fn contexts(&self, x: &Tensor, tokens: &PackedTokens, sinusoids: &Sinusoids, pass: Pass) -> Result<Tensor> {
        let AttentionOptions { heads, dropout, .. } = self.attention;
        let width = x.size().last().copied().unwrap_or(0);
        let d = width / heads;
        let flat = |weight: &Tensor| -> Result<Tensor> { cast(&weight.f_view([width, width])?, pass.compute) };
        let projection = Tensor::f_cat(&[flat(&self.query)?, flat(&self.key)?, flat(&self.value)?], 1)?;
        let projected = x.f_matmul(&projection)?;
        let distances = sinusoids.vectors.f_matmul(&flat(&self.distance)?)?;
        let distances = distances.f_view([-1, heads, d])?.f_transpose(0, 1)?;
        let scale = 1.0 / (d as f64).sqrt();
        let by_distance = RelativeScores::of_keys(distances, &sinusoids.rows, scale);
        let bias = |bias: &Tensor| -> Result<Tensor> { Ok(cast(bias, pass.compute)?.f_unsqueeze(1)?) };
        let [key_bias, distance_bias, text_bias] =
            [bias(&self.key_bias)?, bias(&self.distance_bias)?, bias(&self.text_bias)?];
        let texts = cast(&self.texts, pass.compute)?.f_permute([1i64, 2, 0])?;
        let mut contexts = Vec::with_capacity(tokens.groups.len());
        for (group, rows) in tokens.groups.iter().zip(tokens.split(&projected)?) {
            let LengthGroup { start, count, length } = *group;
            let rectangle = rows.f_view([count, length, 3, heads, d])?.f_permute([2i64, 0, 3, 1, 4])?;
            let [query, key, value] = [rectangle.f_select(0, 0)?, rectangle.f_select(0, 1)?, rectangle.f_select(0, 2)?];
            let types = tokens.types.f_narrow(0, start, count * length)?.f_view([count, 1, length])?;
            let is_other = types.f_unsqueeze(3)?.f_ne_tensor(&types.f_unsqueeze(2)?)?;
            let by_text = query.f_add(&text_bias)?.f_matmul(&texts)?.f_mul_scalar(scale)?;
            let by_text = by_text.f_narrow(3, 1, 1)?.f_where_self(&is_other, &by_text.f_narrow(3, 0, 1)?)?;
            let scores = by_distance.of(&query.f_add(&distance_bias)?, &key)?.f_add(&by_text)?;
            let asking = query.f_add(&key_bias)?;
            let context = weigh_all([&asking, &key, &value], Some(&scores), scale, dropout, pass)?;
            contexts.push(context.f_transpose(1, 2)?.f_reshape([count * length, width])?);
        }
        join(contexts, x)
    }
}

impl TokenLayer for TwoStreamLayer {
    fn forward(&self, x: &Tensor, tokens: &PackedTokens, distances: Option<&Distances>, pass: Pass) -> Result<Tensor> {
        let Some(Distances::Sinusoids(sinusoids)) = distances else {
            return Err(Error::failure("a layer without its distances"));
        };
        let context = self.contexts(x, tokens, sinusoids, pass)?;
        let width = x.size().last().copied().unwrap_or(0);
        let output = cast(&self.attention_output.f_view([width, width])?, pass.compute)?;
        let attended = context.f_matmul(&output.f_transpose(0, 1)?)?;
        let x = self.attention_norm.add_forward(&attended, x, DropoutKeys::drop(pass.dropout, self.dropout))?;
        self.feed_forward.forward(&x, pass)
    }

    fn forward_first_tokens(
        &self,
        x: &Tensor,
        tokens: &PackedTokens,
        distances: Option<&Distances>,
        pass: Pass,
    ) -> Result<Tensor> {
        let first = tokens.first.f_narrow(0, 0, tokens.sequences())?;
        Ok(self.forward(x, tokens, distances, pass)?.f_index_select(0, &first)?)
    }

    /// Those of the feed-forward block: what attention multiplies with is no linear layer in transformers either.
    fn linears_mut(&mut self, _: &Names) -> Vec<LinearParts<'_>> {
        self.feed_forward.linears_mut([INNER, OUTPUT]).into()
    }
}
