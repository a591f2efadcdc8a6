//! Dropout by a key, so that the backward pass draws the same again and keeps no mask.

use std::ffi::c_char;
use std::ptr::null_mut;

use tch::Tensor;

use super::tensors::{Pointer, adopt, check, pointer};
use crate::error::Result;

unsafe extern "C" {
    fn rehead_dropout(x: Pointer, p: f64, key: u64, out: *mut Pointer) -> *mut c_char;
}

/// Dropout with probability `p`, scaled by `1/(1-p)`. Whether element *i* is kept depends on (`key`, *i*) alone; where
/// kernels of our own compute, which is on every device but a GPU without them, it is the same everywhere.
pub fn dropout(x: &Tensor, p: f64, key: u64) -> Result<Tensor> {
    let mut out = null_mut();
    // SAFETY: both pointers are valid for the call.
    check(unsafe { rehead_dropout(pointer(x), p, key, &mut out) })?;
    Ok(adopt(out))
}

/// Dropout with probability `p`, drawn by `key`; none at `p` 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct DropoutSpec {
    /// The probability with which an element is dropped.
    pub p: f64,
    /// What the draws depend on, beside the elements' places.
    pub key: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn dropout_keeps_the_expected_share_and_the_backward_pass_draws_the_same_mask() -> Result<()> {
        let x = Tensor::ones([1000, 100], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let out = dropout(&x, 0.1, 7)?;
        out.sum(Kind::Float).backward();
        assert_eq!(x.grad(), out, "gradient of a sum is the mask itself");
        let kept = out.gt(0.0).mean(Kind::Float).double_value(&[]);
        assert!((kept - 0.9).abs() < 0.005, "kept {kept}");
        assert!((out.max().double_value(&[]) - 1.0 / 0.9).abs() < 1e-6);
        // Rows and columns are as even as independent draws would be.
        let columns = out.gt(0.0).to_kind(Kind::Float).mean_dim([0i64].as_slice(), false, Kind::Float);
        assert!(columns.min().double_value(&[]) > 0.85 && columns.max().double_value(&[]) < 0.95);
        assert_ne!(dropout(&x, 0.1, 8)?, out);
        Ok(())
    }
}
