//! Max pooling of images in channels-last memory.

use std::ffi::c_char;
use std::ptr::null_mut;

use tch::Tensor;

use super::tensors::{Pointer, adopt, check, pointer};
use crate::error::{Error, Result};

unsafe extern "C" {
    fn rehead_max_pool(x: Pointer, size: i64, stride: i64, padding: i64, out: *mut Pointer) -> *mut c_char;
}

/// The largest number of every window of `size` × `size`, `stride` apart: `[N, C, H, W]` in channels-last memory to
/// `[N, C, H', W']`. The same as libtorch's, the choice among equals included, and several times as fast on a CPU.
pub fn max_pool(x: &Tensor, size: i64, stride: i64, padding: i64) -> Result<Tensor> {
    let (_, _, height, width) = x.size4()?;
    let fits = size > 0 && stride > 0 && (0..=size / 2).contains(&padding);
    if !fits || height + 2 * padding < size || width + 2 * padding < size {
        return Err(Error::failure(format!("windows of {size} do not fit into {height}×{width}")));
    }
    let mut out = null_mut();
    // SAFETY: the pointer is valid for the call, and the windows lie within the images.
    check(unsafe { rehead_max_pool(pointer(x), size, stride, padding, &mut out) })?;
    Ok(adopt(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::testing::{assert_near, gradients, leaf, random};
    use tch::Kind;

    /// Ties (after a ReLU most are zeros), channels that do and do not fill a vector, windows that do and do not
    /// overlap.
    #[test]
    fn a_max_pool_and_its_gradient_equal_libtorch() -> Result<()> {
        for (channels, size, stride, padding) in
            [(5, 3, 2, 1), (32, 3, 2, 0), (40, 2, 2, 0), (16, 3, 1, 1), (16, 2, 3, 1)]
        {
            for kind in [Kind::Float, Kind::BFloat16] {
                let x = random(&[3, 11, 14, channels], 3).relu().permute([0, 3, 1, 2]).to_kind(kind);
                let (ours, theirs) = (leaf(&x), leaf(&x));
                let out = max_pool(&ours, size, stride, padding)?;
                let expected = theirs.max_pool2d([size; 2], [stride; 2], [padding; 2], [1; 2], false);
                assert_eq!(out, expected);
                assert_eq!(tch::no_grad(|| max_pool(&ours, size, stride, padding))?, expected);
                let of = |out: &Tensor, x: &Tensor| gradients(&(out * out.detach() + out), &[x]).remove(0);
                let near = if kind == Kind::Float { 1e-5 } else { 0.3 };
                assert_near(&of(&out, &ours), &of(&expected, &theirs), near, "gradient");
            }
        }
        assert!(max_pool(&random(&[1, 2, 2, 3], 1), 3, 1, 0).is_err());
        Ok(())
    }

    #[test]
    fn not_a_number_is_the_largest() -> Result<()> {
        let x = Tensor::from_slice(&[1f32, f32::NAN, 3.0, 2.0]).view([1, 1, 2, 2]);
        assert!(max_pool(&x, 2, 2, 0)?.double_value(&[0, 0, 0, 0]).is_nan());
        Ok(())
    }
}
