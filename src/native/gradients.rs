//! The norm of gradients, and giving them up.

use std::ffi::c_char;
use std::ptr::null_mut;

use tch::Tensor;

use super::tensors::{Pointer, adopt, check, pointers};
use crate::error::Result;

unsafe extern "C" {
    fn rehead_global_norm(tensors: *const Pointer, count: usize, out: *mut Pointer) -> *mut c_char;
    fn rehead_clear_gradients(tensors: *const Pointer, count: usize) -> *mut c_char;
}

/// The Euclidean norm of all tensors taken as one vector: a one-element tensor on their device, nothing is waited for.
pub fn global_norm(tensors: &[Tensor]) -> Result<Tensor> {
    let mut out = null_mut();
    // SAFETY: `tensors.len()` valid tensors.
    check(unsafe { rehead_global_norm(pointers(tensors).as_ptr(), tensors.len(), &mut out) })?;
    Ok(adopt(out))
}

/// Drops the tensors' gradients.
pub fn clear_gradients(tensors: &[Tensor]) -> Result<()> {
    // SAFETY: `tensors.len()` valid tensors.
    check(unsafe { rehead_clear_gradients(pointers(tensors).as_ptr(), tensors.len()) })
}
