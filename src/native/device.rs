//! What libtorch has for devices and tch lacks: copies that nobody waits for, deterministic mode, allocator statistics.

use std::ffi::{c_char, c_int};
use std::ptr::null_mut;

use tch::Tensor;

use super::tensors::{Pointer, adopt, check};
use crate::error::Result;

unsafe extern "C" {
    fn rehead_to_gpu(values: *const i64, count: usize, gpu: c_int, out: *mut Pointer) -> *mut c_char;
    fn rehead_set_deterministic(enabled: c_int) -> *mut c_char;
    fn rehead_accelerator_peak_bytes(device: c_int, bytes: *mut i64) -> *mut c_char;
}

/// Numbers on a GPU, as a one-dimensional int64 tensor. The copy starts from pinned memory and is not waited for.
pub fn to_gpu(values: &[i64], gpu: usize) -> Result<Tensor> {
    let mut out = null_mut();
    // SAFETY: `values.len()` numbers, which have been copied when the call returns.
    check(unsafe { rehead_to_gpu(values.as_ptr(), values.len(), gpu as c_int, &mut out) })?;
    Ok(adopt(out))
}

/// Whether libtorch must use algorithms that give the same bits every time.
pub fn set_deterministic(enabled: bool) -> Result<()> {
    // SAFETY: a plain flag.
    check(unsafe { rehead_set_deterministic(enabled.into()) })
}

/// Peak bytes held on an accelerator by this process; 0 without one.
pub fn accelerator_peak_bytes(device: usize) -> Result<u64> {
    let mut bytes = 0;
    // SAFETY: `bytes` outlives the call.
    check(unsafe { rehead_accelerator_peak_bytes(device as c_int, &mut bytes) })?;
    Ok(bytes.max(0) as u64)
}
