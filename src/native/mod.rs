//! A safe Rust face on `native.cpp`: what libtorch has and tch lacks (fused optimiser steps, gradient norms that stay on
//! the device, deterministic mode, allocator statistics), and the encoder's kernels for CPUs (`kernels.cpp`).
//!
//! Knows tensors and numbers only; what they mean is the caller's affair.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

use tch::Tensor;

use crate::error::{Error, Result};

type Pointer = *mut c_void;

unsafe extern "C" {
    fn rehead_dropout(x: Pointer, p: f64, key: u64, out: *mut Pointer) -> *mut c_char;
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
    fn rehead_gelu(x: Pointer, by_tanh: c_int, out: *mut Pointer) -> *mut c_char;
    fn rehead_has_attention(projected: Pointer) -> c_int;
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

/// Dropout with probability `p`, drawn by `key`; none at `p` 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Drop {
    pub p: f64,
    pub key: u64,
}

/// `norm(residual + dropout(x)) · weight + bias` over the last dimension, in one pass over memory on the CPU; statistics in
/// fp32. `weight` and `bias` may be fp32 beside a bf16 `x`.
pub fn add_norm(
    x: &Tensor,
    residual: Option<&Tensor>,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f64,
    drop: Drop,
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

/// GELU (Hendrycks & Gimpel 2016), exact or by its tanh approximation.
pub fn gelu(x: &Tensor, by_tanh: bool) -> Result<Tensor> {
    let mut out = null_mut();
    // SAFETY: the pointer is valid for the call.
    check(unsafe { rehead_gelu(pointer(x), by_tanh.into(), &mut out) })?;
    Ok(adopt(out))
}

/// Whether [`attention`] computes on tensors like this one: fp32 and bf16 on the CPU, bf16 on a GPU.
pub fn has_attention(projected: &Tensor) -> bool {
    // SAFETY: a valid tensor.
    unsafe { rehead_has_attention(pointer(projected)) != 0 }
}

/// `softmax(QKᵀ/√d) V` within each sequence of a packed batch: `[T, width]`. `projected` is `[T, 3·width]`, query, key and value
/// side by side. With `first_query` `[N, width]` only the sequences' first tokens ask, `projected` is `[T, 2·width]`, and the
/// result `[N, width]`. `offsets` says where each sequence begins and the last ends, `[N + 1]`: int64 on the CPU, int32 on a GPU.
pub fn attention(
    first_query: Option<&Tensor>,
    projected: &Tensor,
    offsets: &Tensor,
    longest: i64,
    heads: i64,
    drop: Drop,
) -> Result<Tensor> {
    let columns = projected.size().last().copied().unwrap_or(0);
    let fits = match first_query {
        None => columns % (3 * heads.max(1)) == 0,
        Some(query) => {
            let [asking, width] = query.size()[..] else { return Err(Error::failure("queries must be a table")) };
            columns == 2 * width && asking + 1 == offsets.numel() as i64 && query.kind() == projected.kind()
        }
    };
    let kind = if projected.device() == tch::Device::Cpu { tch::Kind::Int64 } else { tch::Kind::Int };
    if !fits || heads < 1 || offsets.kind() != kind || projected.dim() != 2 {
        return Err(Error::failure("attention got tables that do not belong together"));
    }
    let mut out = null_mut();
    // SAFETY: all pointers are valid for the call, and the shapes have been checked; the batch that made `offsets` has as many
    // tokens as `projected` rows.
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
