//! Self-attention within each sequence of a packed batch.
//!
//! One kernel takes all sequences as they are, whatever their lengths: the project's own on the CPU, FlashAttention on a GPU
//! in bf16. Where neither computes (fp32 on a GPU), sequences of equal length, which are neighbours, go through as dense
//! rectangles. Nowhere is there padding or a mask.

use tch::Tensor;

use crate::batch::PackedTokens;
use crate::batch::packed::Group;
use crate::error::Result;
use crate::model::backbone::{DropoutKeys, Pass};
use crate::native;

/// `softmax(QKᵀ/√d) V` for every sequence. `projected` is `[T, 3·width]`: query, key, value. Gives `[T, width]`.
pub fn attend(projected: &Tensor, tokens: &PackedTokens, heads: i64, dropout: f64, pass: Pass) -> Result<Tensor> {
    if native::has_attention(projected) {
        let drop = DropoutKeys::drop(pass.dropout, dropout);
        return native::attention(None, projected, &tokens.offsets, tokens.longest(), heads, drop);
    }
    let width = projected.size().last().copied().unwrap_or(0) / 3;
    let contexts = tokens
        .groups
        .iter()
        .map(|group| {
            let Group { start, count, length } = *group;
            let rectangle = projected
                .f_narrow(0, start, count * length)?
                .f_view([count, length, 3, heads, width / heads])?
                .f_permute([2i64, 0, 3, 1, 4])?;
            let part = |index| rectangle.f_select(0, index);
            let context = weigh(&part(0)?, &part(1)?, &part(2)?, dropout, pass)?;
            Ok(context.f_transpose(1, 2)?.f_reshape([count * length, width])?)
        })
        .collect::<Result<Vec<_>>>()?;
    join(contexts)
}

/// The same for each sequence's first token only. `query` is `[N, width]`, `key_value` `[T, 2·width]`. Gives `[N, width]`.
pub fn attend_first_tokens(
    query: &Tensor,
    key_value: &Tensor,
    tokens: &PackedTokens,
    heads: i64,
    dropout: f64,
    pass: Pass,
) -> Result<Tensor> {
    if native::has_attention(key_value) {
        let drop = DropoutKeys::drop(pass.dropout, dropout);
        return native::attention(Some(query), key_value, &tokens.offsets, tokens.longest(), heads, drop);
    }
    let width = query.size().last().copied().unwrap_or(0);
    let mut sequence = 0;
    let contexts = tokens
        .groups
        .iter()
        .map(|group| {
            let Group { start, count, length } = *group;
            let query = query.f_narrow(0, sequence, count)?.f_view([count, heads, 1, width / heads])?;
            sequence += count;
            let rectangle = key_value
                .f_narrow(0, start, count * length)?
                .f_view([count, length, 2, heads, width / heads])?
                .f_permute([2i64, 0, 3, 1, 4])?;
            let context = weigh(&query, &rectangle.f_select(0, 0)?, &rectangle.f_select(0, 1)?, dropout, pass)?;
            Ok(context.f_reshape([count, width])?)
        })
        .collect::<Result<Vec<_>>>()?;
    join(contexts)
}

/// Attention over `[count, heads, length, d]`.
fn weigh(query: &Tensor, key: &Tensor, value: &Tensor, dropout: f64, pass: Pass) -> Result<Tensor> {
    if pass.dropout.is_none() && !query.requires_grad() {
        let no_mask = None::<&Tensor>;
        return Ok(Tensor::f_scaled_dot_product_attention(query, key, value, no_mask, 0.0, false, None, false)?);
    }
    let scale = 1.0 / (query.size().last().copied().unwrap_or(1) as f64).sqrt();
    let scores = query.f_mul_scalar(scale)?.f_matmul(&key.f_transpose(-2, -1)?)?;
    let weights = scores.f_softmax(-1, scores.kind())?;
    let weights = DropoutKeys::apply(pass.dropout, weights, dropout)?;
    Ok(weights.f_matmul(value)?)
}

fn join(mut parts: Vec<Tensor>) -> Result<Tensor> {
    match parts.len() {
        1 => Ok(parts.remove(0)),
        _ => Ok(Tensor::f_cat(&parts, 0)?),
    }
}
