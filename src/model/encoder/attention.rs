//! Self-attention within each sequence of a packed batch.
//!
//! One kernel takes all sequences as they are, whatever their lengths: the project's own on the CPU, FlashAttention on
//! a GPU in bf16. Where neither computes (fp32 on a GPU, odd widths of heads, a bias of the scores), sequences of equal
//! length, which are neighbours, go through as dense rectangles. Nowhere is there padding or a mask.

use tch::{Kind, Tensor};

use super::config::AttentionOptions;
use super::disentangled::RelativeScores;
use crate::batch::PackedTokens;
use crate::batch::packed::LengthGroup;
use crate::error::Result;
use crate::model::layout::filled_as;
use crate::model::pass::{DropoutKeys, Pass};
use crate::native;

/// What is added to the scores beside the products of queries and keys.
pub enum ScoreBias<'a> {
    /// The same for all sequences: `[1, heads, longest, longest]`, of which a shorter one takes the first rows and
    /// columns.
    Shared(&'a Tensor),
    /// By content and distance, with a scale of its own.
    Relative(RelativeScores<'a>),
    /// Nothing for keys that are at most so many tokens away, and no attention to others.
    Window(i64),
    /// The same, but for the first token, which all see.
    WindowAndFirst(i64),
}

/// `softmax(QKᵀ/√d + bias) V` for every sequence. `qkv` is `[T, 3·width]`: query, key, value. Gives `[T, width]`.
pub fn attend(
    qkv: &Tensor,
    tokens: &PackedTokens,
    bias: Option<&ScoreBias>,
    options: &AttentionOptions,
    pass: Pass,
) -> Result<Tensor> {
    let AttentionOptions { heads, dropout, .. } = *options;
    let width = qkv.size().last().copied().unwrap_or(0) / 3;
    if bias.is_none() && native::has_attention(qkv, width / heads) {
        let drop = DropoutKeys::drop(pass.dropout, dropout);
        return native::attention(None, qkv, &tokens.offsets, tokens.longest(), heads, drop);
    }
    let contexts = tokens
        .groups
        .iter()
        .zip(tokens.split(qkv)?)
        .map(|(group, rows)| {
            let LengthGroup { count, length, .. } = *group;
            let rectangle = rows.f_view([count, length, 3, heads, width / heads])?.f_permute([2i64, 0, 3, 1, 4])?;
            let part = |index| rectangle.f_select(0, index);
            let context = weigh([&part(0)?, &part(1)?, &part(2)?], bias, dropout, pass)?;
            Ok(context.f_transpose(1, 2)?.f_reshape([count * length, width])?)
        })
        .collect::<Result<Vec<_>>>()?;
    join(contexts, qkv)
}

/// The same for each sequence's first token only. `query` is `[N, width]`, `key_value` `[T, 2·width]`. Gives `[N,
/// width]`.
pub fn attend_first_tokens(
    query: &Tensor,
    key_value: &Tensor,
    tokens: &PackedTokens,
    bias: Option<&ScoreBias>,
    options: &AttentionOptions,
    pass: Pass,
) -> Result<Tensor> {
    let AttentionOptions { heads, dropout, .. } = *options;
    let width = query.size().last().copied().unwrap_or(0);
    if bias.is_none() && native::has_attention(key_value, width / heads) {
        let drop = DropoutKeys::drop(pass.dropout, dropout);
        return native::attention(Some(query), key_value, &tokens.offsets, tokens.longest(), heads, drop);
    }
    let mut sequence = 0;
    let contexts = tokens
        .groups
        .iter()
        .zip(tokens.split(key_value)?)
        .map(|(group, rows)| {
            let LengthGroup { count, length, .. } = *group;
            let query = query.f_narrow(0, sequence, count)?.f_view([count, heads, 1, width / heads])?;
            sequence += count;
            let rectangle = rows.f_view([count, length, 2, heads, width / heads])?.f_permute([2i64, 0, 3, 1, 4])?;
            let (key, value) = (rectangle.f_select(0, 0)?, rectangle.f_select(0, 1)?);
            let context = weigh([&query, &key, &value], bias, dropout, pass)?;
            Ok(context.f_reshape([count, width])?)
        })
        .collect::<Result<Vec<_>>>()?;
    join(contexts, query)
}

/// Attention over query (the first tokens of each sequence), key and value, `[count, heads, length, d]` each.
fn weigh([query, key, value]: [&Tensor; 3], bias: Option<&ScoreBias>, dropout: f64, pass: Pass) -> Result<Tensor> {
    let count = |tensor: &Tensor| tensor.size().get(2).copied().unwrap_or(0);
    let usual = 1.0 / (query.size().last().copied().unwrap_or(1) as f64).sqrt();
    match bias {
        None => weigh_all([query, key, value], None, usual, dropout, pass),
        Some(ScoreBias::Shared(bias)) => {
            let bias = bias.f_narrow(2, 0, count(query))?.f_narrow(3, 0, count(key))?;
            weigh_all([query, key, value], Some(&bias), usual, dropout, pass)
        }
        Some(ScoreBias::Relative(scores)) => {
            weigh_all([query, key, value], Some(&scores.of(query, key)?), scores.scale, dropout, pass)
        }
        Some(ScoreBias::Window(window)) => weigh_near([query, key, value], *window, false, dropout, pass),
        Some(ScoreBias::WindowAndFirst(window)) => weigh_near([query, key, value], *window, true, dropout, pass),
    }
}

/// The same among tokens that are at most `window` apart, and perhaps the first one: queries by blocks, each with the
/// keys that it may see, so that memory and work grow with the length and not with its square.
fn weigh_near(
    [query, key, value]: [&Tensor; 3],
    window: i64,
    and_first: bool,
    dropout: f64,
    pass: Pass,
) -> Result<Tensor> {
    let [queries, length] = [query, key].map(|tensor| tensor.size().get(2).copied().unwrap_or(0));
    let scale = 1.0 / (query.size().last().copied().unwrap_or(1) as f64).sqrt();
    let block = 2 * window.max(1);
    let places = |from: i64, to: i64| Tensor::f_arange_start(from, to, (Kind::Int64, query.device()));
    let mut contexts = Vec::new();
    let mut start = 0;
    while start < queries {
        let end = (start + block).min(queries);
        let (first, last) = ((start - window).max(0), (end + window).min(length));
        let distance = places(start, end)?.f_unsqueeze(1)?.f_sub(&places(first, last)?.f_unsqueeze(0)?)?.f_abs()?;
        let rows = |tensor: &Tensor, from: i64, to: i64| tensor.f_narrow(2, from, to - from);
        let mut near = [rows(query, start, end)?, rows(key, first, last)?, rows(value, first, last)?];
        let mut far = distance.f_gt(window)?;
        if and_first {
            if first > 0 {
                far = far.f_constant_pad_nd([1, 0])?;
                let [_, keys, values] = &mut near;
                *keys = Tensor::f_cat(&[&rows(key, 0, 1)?, &*keys], 2)?;
                *values = Tensor::f_cat(&[&rows(value, 0, 1)?, &*values], 2)?;
            }
            let _ = far.f_narrow(1, 0, 1)?.f_fill_(0)?;
        }
        let mask = Tensor::f_zeros(far.size(), (query.kind(), query.device()))?;
        let mask = mask.f_masked_fill(&far, f64::NEG_INFINITY)?.f_unsqueeze(0)?.f_unsqueeze(0)?;
        contexts.push(weigh_all(near.each_ref(), Some(&mask), scale, dropout, pass)?);
        start = end;
    }
    match contexts.len() {
        1 => Ok(contexts.remove(0)),
        _ => Ok(Tensor::f_cat(&contexts, 2)?),
    }
}

/// `softmax(scale · QKᵀ + bias) V`.
///
/// # Errors
/// Shapes that do not fit.
pub fn weigh_all(
    [query, key, value]: [&Tensor; 3],
    bias: Option<&Tensor>,
    scale: f64,
    dropout: f64,
    pass: Pass,
) -> Result<Tensor> {
    if pass.dropout.is_none() && !query.requires_grad() && !bias.is_some_and(Tensor::requires_grad) {
        return Ok(Tensor::f_scaled_dot_product_attention(query, key, value, bias, 0.0, false, Some(scale), false)?);
    }
    let scores = query.f_mul_scalar(scale)?.f_matmul(&key.f_transpose(-2, -1)?)?;
    let scores = match bias {
        Some(bias) => scores.f_add(bias)?,
        None => scores,
    };
    let weights = scores.f_softmax(-1, scores.kind())?;
    let weights = DropoutKeys::apply(pass.dropout, weights, dropout)?;
    Ok(weights.f_matmul(value)?)
}

/// The groups' results under each other, with as many rows as `like` has: its last ones may be filling.
pub fn join(mut parts: Vec<Tensor>, like: &Tensor) -> Result<Tensor> {
    let joined = match parts.len() {
        1 => parts.remove(0),
        _ => Tensor::f_cat(&parts, 0)?,
    };
    filled_as(joined, like)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::batch::ExampleSet;
    use crate::batch::TokenizedSet;

    /// fp64 has no kernel of its own, so that it goes group by group, as fp32 does on a GPU.
    #[test]
    fn group_by_group_gives_what_the_kernel_gives() -> Result<()> {
        let mut set = TokenizedSet::default();
        for length in [3, 1, 3, 7, 7, 2] {
            set.push(&vec![1; length], &vec![0; length]);
        }
        let batch = set.batch(&[0, 1, 2, 3, 4, 5], Device::Cpu)?;
        let tokens = batch.inputs.tokens()?;
        let options = AttentionOptions {
            heads: 2,
            key_value_heads: 2,
            qkv_bias: true,
            output_bias: true,
            dropout: 0.0,
            relative: None,
        };
        let (width, used) = (16, tokens.len());
        let pass = Pass::evaluation(Kind::Float);
        let wave = |columns: i64| {
            let numbers = Tensor::arange(tokens.ids.numel() as i64 * columns, (Kind::Double, Device::Cpu));
            (numbers * 0.7).sin().view([-1, columns])
        };
        let leaf = |tensor: &Tensor, kind| tensor.to_kind(kind).detach().set_requires_grad(true);
        let query = wave(width).narrow(0, 0, batch.examples.len() as i64);
        let mut found = Vec::new();
        for kind in [Kind::Double, Kind::Float] {
            let all = leaf(&wave(3 * width), kind);
            let context = attend(&all, tokens, None, &options, pass)?.narrow(0, 0, used);
            context.square().sum(kind).backward();
            let (asking, others) = (leaf(&query, kind), leaf(&wave(2 * width), kind));
            let first = attend_first_tokens(&asking, &others, tokens, None, &options, pass)?;
            first.square().sum(kind).backward();
            found.push([context, all.grad(), first, asking.grad(), others.grad()]);
        }
        for (by_group, by_kernel) in found[0].iter().zip(&found[1]) {
            assert!(by_group.size() == by_kernel.size());
            assert!((by_group - by_kernel.to_kind(Kind::Double)).abs().max().double_value(&[]) < 1e-5);
        }
        Ok(())
    }
}
