//! Residual, dropout and layer norm in one pass over memory.

use std::ffi::c_char;
use std::ptr::null_mut;

use tch::Tensor;

use super::dropout::DropoutSpec;
use super::tensors::{Pointer, adopt, check, pointer};
use crate::error::{Error, Result};

unsafe extern "C" {
    fn rehead_add_norm(
        x: Pointer,
        residual: Pointer,
        weight: Pointer,
        bias: Pointer,
        epsilon: f64,
        p: f64,
        key: u64,
        out: *mut Pointer,
    ) -> *mut c_char;
}

/// `norm(residual + dropout(x)) · weight + bias` over the last dimension, in one pass over memory; statistics in fp32.
/// `weight` and `bias` may be fp32 beside a bf16 `x`.
pub fn add_norm(
    x: &Tensor,
    residual: Option<&Tensor>,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f64,
    drop: DropoutSpec,
) -> Result<Tensor> {
    if let Some(residual) = residual
        && (residual.size() != x.size() || residual.kind() != x.kind())
    {
        return Err(Error::failure("a residual differs in shape or kind from what it is added to"));
    }
    let width = [x.size().last().copied().unwrap_or(0)];
    if weight.size() != width || bias.size() != width {
        return Err(Error::failure("a layer norm's parameters differ in width from what it normalises"));
    }
    let mut out = null_mut();
    // SAFETY: all pointers are valid for the call, and the shapes have been checked.
    check(unsafe {
        rehead_add_norm(
            pointer(x),
            residual.map_or(null_mut(), pointer),
            pointer(weight),
            pointer(bias),
            epsilon,
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
    use crate::native::dropout::dropout;
    use crate::native::testing::{assert_near, gradients, leaf, random};

    /// Odd widths, so that the last vector of a row is not a whole one.
    #[test]
    fn add_norm_and_its_gradients_equal_libtorch() -> Result<()> {
        for width in [5, 32, 52] {
            let (x, residual) = (random(&[130, width], 1), random(&[130, width], 2));
            let (weight, bias) = (random(&[width], 3), random(&[width], 4));
            for p in [0.0, 0.2] {
                let ours = [leaf(&x), leaf(&residual), leaf(&weight), leaf(&bias)];
                let drop = DropoutSpec { p, key: 5 };
                let out = add_norm(&ours[0], Some(&ours[1]), &ours[2], &ours[3], 1e-5, drop)?;
                let theirs = [leaf(&x), leaf(&residual), leaf(&weight), leaf(&bias)];
                let sum = if p > 0.0 { dropout(&theirs[0], p, 5)? } else { theirs[0].shallow_clone() } + &theirs[1];
                let expected = sum.layer_norm([width], Some(&theirs[2]), Some(&theirs[3]), 1e-5, true);
                assert_near(&out, &expected, 1e-5, "out");
                let found = gradients(&out, &ours.each_ref());
                for (found, expected) in found.iter().zip(gradients(&expected, &theirs.each_ref())) {
                    assert_near(found, &expected, 2e-4, "gradient");
                }
            }
        }
        Ok(())
    }
}
