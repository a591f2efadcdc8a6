//! Swin's block (Liu et al., "Swin Transformer", 2021): self-attention within the windows of a map, then a feed-forward
//! block, each after a norm and added to what it reads. Scores have a bias that is learnt for every distance within a
//! window. In every second block the windows are shifted, so that neighbours meet.
//!
//! Stochastic depth, which the networks were pretrained with, is not drawn.

use tch::Tensor;

use super::builder::HierarchyBuilder;
use super::spec::SwinSpec;
use super::windows::{Windows, relative_index};
use crate::error::Result;
use crate::model::activation::Activation;
use crate::model::builder::Initial;
use crate::model::encoder::weigh_all;
use crate::model::layers::{LayerNorm, Linear, cast};
use crate::model::pass::{DropoutKeys, Pass};

/// Added to the variance in the norms of the stem and between levels.
pub const EPSILON: f64 = 1e-5;

const QKV: [&str; 3] = ["attention.self.query", "attention.self.key", "attention.self.value"];
const OUTPUT: &str = "attention.output.dense";
const INNER: &str = "intermediate.dense";
const OUTER: &str = "output.dense";

/// See the [module](self).
pub struct SwinBlock {
    norm_before: LayerNorm,
    /// Query, key and value as one: `[3 · width, width]`.
    qkv: Linear,
    heads: i64,
    window: i64,
    shifted: bool,
    /// `[(2 · window - 1)², heads]`: by distance in rows, then in columns.
    bias: Tensor,
    /// See [`relative_index`].
    index: Tensor,
    output: Linear,
    norm_after: LayerNorm,
    inner: Linear,
    activation: Activation,
    outer: Linear,
    hidden_dropout: f64,
    attention_dropout: f64,
    /// The name with which those of its tensors begin.
    name: String,
}

/// Where a block is, and how wide.
pub struct SwinPlace {
    /// As many of a map's values.
    pub width: i64,
    /// Attention heads.
    pub heads: i64,
    /// Whether its windows are shifted.
    pub shifted: bool,
    /// Its stage.
    pub stage: usize,
}

impl SwinBlock {
    /// The block `name`.
    pub fn load(
        name: &str,
        place: &SwinPlace,
        spec: &SwinSpec,
        activation: Activation,
        builder: &mut HierarchyBuilder,
    ) -> Result<Self> {
        let within = |part: &str| format!("{name}.{part}");
        let SwinPlace { width, heads, shifted, stage } = *place;
        let inner = spec.inner(width);
        let span = 2 * spec.window - 1;
        let three = QKV.map(within);
        let table = within("attention.self.relative_position_bias_table");
        let bias = builder.take(&table, &[span * span, heads], stage, Initial::Normal)?;
        Ok(Self {
            norm_before: builder.norm(&within("layernorm_before"), width, spec.epsilon, stage)?,
            qkv: builder.fused_linear(&three.map(|name| (name, width)), width, spec.qkv_bias, stage)?,
            heads,
            window: spec.window,
            shifted,
            index: relative_index(spec.window, bias.device())?,
            bias,
            output: builder.linear(&within(OUTPUT), width, width, stage)?,
            norm_after: builder.norm(&within("layernorm_after"), width, spec.epsilon, stage)?,
            inner: builder.linear(&within(INNER), width, inner, stage)?,
            activation,
            outer: builder.linear(&within(OUTER), inner, width, stage)?,
            hidden_dropout: spec.hidden_dropout,
            attention_dropout: spec.attention_dropout,
            name: name.to_owned(),
        })
    }

    /// `[N, H, W, width]` to the same shape, in the pass's kind. Both parts are left out with probability `drop` in
    /// training, as in the authors' code and timm's; transformers leaves out that of attention alone.
    pub fn forward(&self, x: &Tensor, drop: f64, pass: Pass) -> Result<Tensor> {
        let (images, height, width, channels) = x.size4()?;
        let rows = |x: &Tensor| -> Result<Tensor> { Ok(x.f_reshape([-1, channels])?) };
        let drop = |x: Tensor| -> Result<Tensor> {
            let x = DropoutKeys::apply(pass.dropout, x, self.hidden_dropout)?;
            rows(&DropoutKeys::drop_path(pass.dropout, x.f_view([images, -1, channels])?, drop)?)
        };
        let windows = Windows::of([height, width], self.window, self.shifted);
        let normalised = self.norm_before.forward(&rows(x)?)?.f_view([images, height, width, channels])?;
        let qkv = self.qkv.forward(&windows.divide(&normalised)?, pass)?;
        let context = self.attend(&qkv, images, &windows, pass)?;
        let attended = windows.join(&self.output.forward(&context, pass)?, images)?;
        let x = drop(rows(&attended)?)?.f_add(&rows(x)?)?;
        let inner = self.activation.after(&self.inner, &self.norm_after.forward(&x)?, pass)?;
        let y = drop(self.outer.forward(&inner, pass)?)?.f_add(&x)?;
        Ok(y.f_view([images, height, width, channels])?)
    }

    /// Attention within each window: `[T, 3 · width]` to `[T, width]`, window after window.
    fn attend(&self, qkv: &Tensor, images: i64, windows: &Windows, pass: Pass) -> Result<Tensor> {
        let (count, places, heads) = (windows.count(), windows.places(), self.heads);
        let width = qkv.size().last().copied().unwrap_or(0) / 3;
        let head = width / heads;
        let bias = self.bias.f_index_select(0, &self.index)?.f_view([places, places, heads])?;
        let bias = cast(&bias.f_permute([2i64, 0, 1])?, pass.compute)?;
        // Where windows have masks of their own, those of an image count as so many more heads, so that bias and mask
        // are the same for every image.
        let (groups, bias) = match windows.mask(pass.compute, qkv.device())? {
            Some(mask) => (count, bias.f_unsqueeze(0)?.f_add(&mask.f_unsqueeze(1)?)?),
            None => (1, bias),
        };
        let bias = bias.f_reshape([1, groups * heads, places, places])?;
        let rows = images * count / groups;
        let parts = qkv.f_view([rows, groups, places, 3, heads, head])?.f_permute([3i64, 0, 1, 4, 2, 5])?;
        let part = |index: i64| parts.f_select(0, index)?.f_reshape([rows, groups * heads, places, head]);
        let [query, key, value] = [part(0)?, part(1)?, part(2)?];
        let scale = 1.0 / (head as f64).sqrt();
        let context = weigh_all([&query, &key, &value], Some(&bias), scale, self.attention_dropout, pass)?;
        let context = context.f_reshape([rows, groups, heads, places, head])?;
        Ok(context.f_permute([0i64, 1, 3, 2, 4])?.f_reshape([-1, width])?)
    }

    /// The linear layers, each with the names and outputs of its parts.
    pub fn linears_mut(&mut self) -> Vec<(&mut Linear, Vec<(String, i64)>)> {
        let named = |part: &str, outputs: i64| (format!("{}.{part}", self.name), outputs);
        let width = self.output.outputs();
        let qkv = QKV.map(|part| named(part, width)).to_vec();
        let [output, inner, outer] = [(OUTPUT, &self.output), (INNER, &self.inner), (OUTER, &self.outer)]
            .map(|(part, linear)| vec![named(part, linear.outputs())]);
        vec![(&mut self.qkv, qkv), (&mut self.output, output), (&mut self.inner, inner), (&mut self.outer, outer)]
    }
}
