//! Attention within each sequence of a packed batch.

use std::ffi::{c_char, c_int};
use std::ptr::null_mut;

use tch::{Device, Kind, Tensor};

use super::dropout::DropoutSpec;
use super::tensors::{Pointer, adopt, check, pointer};
use crate::error::{Error, Result};

unsafe extern "C" {
    fn rehead_has_attention(projected: Pointer, head_width: i64) -> c_int;
    fn rehead_attention(
        query: Pointer,
        projected: Pointer,
        offsets: Pointer,
        longest: i64,
        heads: i64,
        p: f64,
        key: u64,
        out: *mut Pointer,
    ) -> *mut c_char;
}

/// Whether [`attention`] computes on tensors like this one with heads of so many columns: in fp32 and bf16 on the CPU;
/// on a GPU where FlashAttention does, which is in bf16, with heads of a multiple of 8 and at most 256 columns.
pub fn has_attention(projected: &Tensor, head_width: i64) -> bool {
    // SAFETY: a valid tensor.
    unsafe { rehead_has_attention(pointer(projected), head_width) != 0 }
}

/// `softmax(QKᵀ/√d) V` within each sequence of a packed batch: `[T, width]`. `projected` is `[T, 3·width]`, query, key
/// and value side by side. With `first_query` `[N, width]` only the sequences' first tokens ask, `projected` is `[T,
/// 2·width]`, and the result `[N, width]`; more rows than sequences give rows of zeros. `offsets` says where each
/// sequence begins and the last ends, `[N + 1]`: int64 on the CPU, int32 on a GPU.
pub fn attention(
    first_query: Option<&Tensor>,
    projected: &Tensor,
    offsets: &Tensor,
    longest: i64,
    heads: i64,
    drop: DropoutSpec,
) -> Result<Tensor> {
    let columns = projected.size().last().copied().unwrap_or(0);
    let fits = match first_query {
        None => columns % (3 * heads.max(1)) == 0,
        Some(query) => {
            let [asking, width] = query.size()[..] else { return Err(Error::failure("queries must be a table")) };
            columns == 2 * width && asking + 1 >= offsets.numel() as i64 && query.kind() == projected.kind()
        }
    };
    let kind = if projected.device() == Device::Cpu { Kind::Int64 } else { Kind::Int };
    if !fits || heads < 1 || offsets.kind() != kind || projected.dim() != 2 {
        return Err(Error::failure("attention got tables that do not belong together"));
    }
    let mut out = null_mut();
    // SAFETY: all pointers are valid for the call and the shapes have been checked; attention.cpp checks that every
    // sequence lies within the rows.
    check(unsafe {
        rehead_attention(
            first_query.map_or(null_mut(), pointer),
            pointer(projected),
            pointer(offsets),
            longest,
            heads,
            drop.p,
            drop.key,
            &mut out,
        )
    })?;
    Ok(adopt(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::testing::{assert_near, gradients, leaf, random};

    /// Sequences from one token to more than a block of queries; head widths that do and do not fill a vector.
    #[test]
    fn attention_and_its_gradients_equal_libtorch() -> Result<()> {
        let ends = [0i64, 1, 4, 20, 37, 37 + 130];
        let offsets = Tensor::from_slice(&ends);
        for (heads, d) in [(3, 8), (2, 32)] {
            let width = heads * d;
            for first_only in [false, true] {
                let parts = if first_only { 2 } else { 3 };
                let projected = random(&[ends[5] + 3, parts * width], 1); // three rows belong to no sequence
                let query = random(&[5, width], 2);
                let ours = [leaf(&projected), leaf(&query)];
                let asked = first_only.then_some(&ours[1]);
                let out = attention(asked, &ours[0], &offsets, 130, heads, DropoutSpec::default())?;

                let theirs = [leaf(&projected), leaf(&query)];
                let mut contexts = Vec::new();
                for (index, bounds) in ends.windows(2).enumerate() {
                    let length = bounds[1] - bounds[0];
                    let part = |which: i64| {
                        let rows = theirs[0].narrow(0, bounds[0], length).narrow(1, which * width, width);
                        rows.view([length, heads, d]).transpose(0, 1)
                    };
                    let q = if first_only {
                        theirs[1].narrow(0, index as i64, 1).view([1, heads, d]).transpose(0, 1)
                    } else {
                        part(0)
                    };
                    let (k, v) = (part(parts - 2), part(parts - 1));
                    let weights = (q.matmul(&k.transpose(1, 2)) / (d as f64).sqrt()).softmax(-1, Kind::Float);
                    contexts.push(weights.matmul(&v).transpose(0, 1).reshape([-1, width]));
                }
                let expected = Tensor::cat(&contexts, 0);
                let rows = expected.size()[0];
                assert_near(&out.narrow(0, 0, rows), &expected, 1e-5, "context");
                if !first_only {
                    assert_eq!(out.narrow(0, rows, 3).abs().max().double_value(&[]), 0.0, "rows of no sequence");
                }
                let count = if first_only { 2 } else { 1 };
                let used: Vec<&Tensor> = ours.iter().take(count).collect();
                let reference: Vec<&Tensor> = theirs.iter().take(count).collect();
                let found = gradients(&out.narrow(0, 0, rows), &used);
                for (found, expected) in found.iter().zip(gradients(&expected, &reference)) {
                    assert_near(found, &expected, 1e-4, "gradient");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn sequences_outside_the_batch_are_an_error_value() {
        let projected = random(&[6, 3 * 16], 1);
        for offsets in [[0i64, 7], [3, 2], [-1, 4]] {
            let outcome = attention(None, &projected, &Tensor::from_slice(&offsets), 6, 2, DropoutSpec::default());
            assert!(outcome.is_err_and(|error| error.to_string().contains("within the batch")));
        }
    }

    /// Dropout on the weights: what is drawn backwards is what was drawn forwards, so the loss moves as the gradient
    /// says.
    #[test]
    fn attention_with_dropout_agrees_with_its_gradient() -> Result<()> {
        let offsets = Tensor::from_slice(&[0i64, 7, 30]);
        let x = random(&[30, 3 * 16], 1);
        let loss = |x: &Tensor| -> Result<Tensor> {
            let out = attention(None, x, &offsets, 23, 1, DropoutSpec { p: 0.3, key: 11 })?;
            Ok((out * random(&[30, 16], 3)).sum(Kind::Double))
        };
        let at = leaf(&x);
        loss(&at)?.backward();
        let direction = random(&[30, 3 * 16], 2);
        let step = 1e-2;
        let measured =
            (loss(&(&x + &direction * step))? - loss(&(&x - &direction * step))?).double_value(&[]) / (2.0 * step);
        let expected = (at.grad() * direction).sum(Kind::Double).double_value(&[]);
        assert!((measured - expected).abs() < 1e-2 * expected.abs().max(1.0), "{measured} and {expected}");
        Ok(())
    }
}
