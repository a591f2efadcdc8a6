//! A safe Rust face on `native.cpp`: what libtorch has and tch lacks (fused optimiser steps, gradient norms that stay on
//! the device, dropout drawn by all cores, deterministic mode, allocator statistics).
//!
//! Knows tensors and numbers only; what they mean is the caller's affair.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

use tch::Tensor;

use crate::error::{Error, Result};

type Pointer = *mut c_void;

unsafe extern "C" {
    fn rehead_dropout(x: Pointer, p: f64, key: u64, out: *mut Pointer) -> *mut c_char;
    fn rehead_dropout_add(x: Pointer, residual: Pointer, p: f64, key: u64, out: *mut Pointer) -> *mut c_char;
    fn rehead_fused_adamw(
        parameters: *const Pointer,
        gradients: *const Pointer,
        first: *const Pointer,
        second: *const Pointer,
        steps: *const Pointer,
        count: usize,
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
        weight_decay: f64,
        divisor: Pointer,
    ) -> *mut c_char;
    fn rehead_global_norm(tensors: *const Pointer, count: usize, out: *mut Pointer) -> *mut c_char;
    fn rehead_clear_gradients(tensors: *const Pointer, count: usize) -> *mut c_char;
    fn rehead_set_deterministic(enabled: c_int) -> *mut c_char;
    fn rehead_accelerator_peak_bytes(device: c_int, bytes: *mut i64) -> *mut c_char;
}

/// Turns the message of a C++ exception into an error value.
fn check(message: *mut c_char) -> Result<()> {
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

fn pointer(tensor: &Tensor) -> Pointer {
    tensor.as_ptr().cast_mut().cast()
}

fn pointers(tensors: &[Tensor]) -> Vec<Pointer> {
    tensors.iter().map(pointer).collect()
}

/// Takes over a tensor that native.cpp made with `new`.
fn adopt(tensor: Pointer) -> Tensor {
    // SAFETY: the pointer is an `at::Tensor*` allocated by native.cpp, as torch-sys's own are; tch frees it.
    unsafe { Tensor::from_ptr(tensor.cast()) }
}

/// Dropout with probability `p`, scaled by `1/(1-p)`. On the CPU, whether element *i* is kept depends on (`key`, *i*) alone.
pub fn dropout(x: &Tensor, p: f64, key: u64) -> Result<Tensor> {
    let mut out = null_mut();
    // SAFETY: both pointers are valid for the call.
    check(unsafe { rehead_dropout(pointer(x), p, key, &mut out) })?;
    Ok(adopt(out))
}

/// `residual + dropout(x)` in one pass. Shapes and kinds of the two must be equal.
pub fn dropout_add(x: &Tensor, residual: &Tensor, p: f64, key: u64) -> Result<Tensor> {
    let mut out = null_mut();
    // SAFETY: all pointers are valid for the call.
    check(unsafe { rehead_dropout_add(pointer(x), pointer(residual), p, key, &mut out) })?;
    Ok(adopt(out))
}

/// The numbers of one AdamW step, alike for all tensors it touches.
#[derive(Debug, Clone, Copy)]
pub struct AdamwStep {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
}

/// One fused AdamW step in place over parallel lists: parameters, gradients, first and second moments, and step counts
/// (one-element fp32 tensors). `divisor`, a one-element fp32 tensor, divides every gradient first.
pub fn fused_adamw(
    parameters: &[Tensor],
    gradients: &[Tensor],
    first: &[Tensor],
    second: &[Tensor],
    steps: &[Tensor],
    step: AdamwStep,
    divisor: Option<&Tensor>,
) -> Result<()> {
    let count = parameters.len();
    if [gradients.len(), first.len(), second.len(), steps.len()] != [count; 4] {
        return Err(Error::failure("the optimizer's lists differ in length"));
    }
    // SAFETY: five lists of `count` valid tensors each, checked above.
    check(unsafe {
        rehead_fused_adamw(
            pointers(parameters).as_ptr(),
            pointers(gradients).as_ptr(),
            pointers(first).as_ptr(),
            pointers(second).as_ptr(),
            pointers(steps).as_ptr(),
            count,
            step.learning_rate,
            step.beta1,
            step.beta2,
            step.epsilon,
            step.weight_decay,
            divisor.map_or(null_mut(), pointer),
        )
    })
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

    #[test]
    fn dropout_add_is_dropout_then_addition() -> Result<()> {
        let x = Tensor::randn([64, 32], (Kind::Float, Device::Cpu));
        let residual = Tensor::randn([64, 32], (Kind::Float, Device::Cpu));
        let difference = dropout_add(&x, &residual, 0.3, 5)? - (dropout(&x, 0.3, 5)? + &residual);
        assert!(difference.abs().max().double_value(&[]) < 1e-6);
        Ok(())
    }

    /// torch.optim.AdamW with lr 0.1, betas (0.9, 0.999), eps 1e-8, weight_decay 0.01 on p = [1, -2], g = [0.5, 1]:
    /// two steps give [0.7981, -2.1959] (python: `p = torch.tensor([1., -2.]); o = torch.optim.AdamW([p], lr=0.1, weight_decay=0.01)`).
    #[test]
    fn two_adamw_steps_equal_torch() -> Result<()> {
        let zeros = || vec![Tensor::zeros([2], (Kind::Float, Device::Cpu))];
        let (parameter, gradient) = (vec![Tensor::from_slice(&[1f32, -2.0])], vec![Tensor::from_slice(&[0.5f32, 1.0])]);
        let (first, second) = (zeros(), zeros());
        let steps = vec![Tensor::zeros([1], (Kind::Float, Device::Cpu))];
        let numbers = AdamwStep { learning_rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 };
        for count in 1..=2 {
            let _ = steps[0].shallow_clone().fill_(count as f64);
            fused_adamw(&parameter, &gradient, &first, &second, &steps, numbers, None)?;
        }
        let values: Vec<f32> = Vec::try_from(&parameter[0]).map_err(Error::from)?;
        for (value, expected) in values.iter().zip([0.798_101, -2.195_902]) {
            assert!((value - expected).abs() < 2e-4, "{values:?}");
        }
        Ok(())
    }
}
