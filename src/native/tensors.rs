//! What every kernel's face needs to reach C++: tensors as pointers, tensors that C++ made, and its exceptions as
//! errors.

use std::ffi::{CStr, c_char, c_void};

use tch::Tensor;

use crate::error::Result;

/// An `at::Tensor*`.
pub(super) type Pointer = *mut c_void;

/// Turns the message of a C++ exception into an error value.
pub(super) fn check(message: *mut c_char) -> Result<()> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: native.cpp returns a NUL-terminated string from strdup, which is ours to free.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        libc::free(message.cast());
        text
    };
    Err(tch::TchError::Torch(text).into())
}

pub(super) fn pointer(tensor: &Tensor) -> Pointer {
    tensor.as_ptr().cast_mut().cast()
}

pub(super) fn pointers(tensors: &[Tensor]) -> Vec<Pointer> {
    tensors.iter().map(pointer).collect()
}

/// Takes over a tensor that native.cpp made with `new`.
pub(super) fn adopt(tensor: Pointer) -> Tensor {
    // SAFETY: the pointer is an `at::Tensor*` allocated by native.cpp, as torch-sys's own are; tch frees it.
    unsafe { Tensor::from_ptr(tensor.cast()) }
}
