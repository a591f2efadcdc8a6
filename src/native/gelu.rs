//! GELU, and with a bias before it where a GPU computes both at once.

use std::ffi::{c_char, c_int};
use std::ptr::null_mut;

use tch::Tensor;

use super::tensors::{Pointer, adopt, check, pointer};
use crate::error::{Error, Result};

unsafe extern "C" {
    fn rehead_gelu(x: Pointer, by_tanh: c_int, out: *mut Pointer) -> *mut c_char;
    fn rehead_has_bias_gelu(x: Pointer) -> c_int;
    fn rehead_bias_gelu(x: Pointer, bias: Pointer, by_tanh: c_int, out: *mut Pointer) -> *mut c_char;
}

/// GELU (Hendrycks & Gimpel 2016), exact or by its tanh approximation.
pub fn gelu(x: &Tensor, by_tanh: bool) -> Result<Tensor> {
    let mut out = null_mut();
    // SAFETY: the pointer is valid for the call.
    check(unsafe { rehead_gelu(pointer(x), by_tanh.into(), &mut out) })?;
    Ok(adopt(out))
}

/// Whether [`bias_gelu`] computes on tensors like this one: on a GPU with kernels of our own.
pub fn has_bias_gelu(x: &Tensor) -> bool {
    // SAFETY: a valid tensor.
    unsafe { rehead_has_bias_gelu(pointer(x)) != 0 }
}

/// `GELU(x + bias)` in one pass over memory; backwards, the bias's gradient comes with that of `x`.
pub fn bias_gelu(x: &Tensor, bias: &Tensor, by_tanh: bool) -> Result<Tensor> {
    if bias.size() != [x.size().last().copied().unwrap_or(0)] {
        return Err(Error::failure("a bias differs in width from what it is added to"));
    }
    let mut out = null_mut();
    // SAFETY: all pointers are valid for the call, and the shapes have been checked.
    check(unsafe { rehead_bias_gelu(pointer(x), pointer(bias), by_tanh.into(), &mut out) })?;
    Ok(adopt(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::testing::{assert_near, gradients, leaf};
    use tch::{Device, Kind};

    #[test]
    fn gelu_and_its_gradient_equal_libtorch() -> Result<()> {
        let x = Tensor::linspace(-9.0, 9.0, 1001, (Kind::Float, Device::Cpu));
        for (by_tanh, name) in [(false, "none"), (true, "tanh")] {
            let (ours, theirs) = (leaf(&x), leaf(&x));
            let (out, expected) = (gelu(&ours, by_tanh)?, theirs.gelu(name));
            assert_near(&out, &expected, 2e-6, name);
            assert_near(&gradients(&out, &[&ours])[0], &gradients(&expected, &[&theirs])[0], 5e-6, name);
        }
        Ok(())
    }
}
