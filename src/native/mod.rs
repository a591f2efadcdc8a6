//! A safe Rust face on `native.cpp`: what libtorch has and tch lacks (fused optimiser steps, gradient norms that stay on
//! the device, deterministic mode, allocator statistics), and the encoder's kernels for CPUs (`kernels.cpp`) and GPUs
//! (`fused.cu`, taken into use by [`gpu`]).
//!
//! Knows tensors and numbers only; what they mean is the caller's affair.

pub mod gpu;
pub mod profiler;

use std::cell::OnceCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

use tch::{Kind, Tensor};

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
    fn rehead_normalise(
        bytes: *const u8,
        pixels: i64,
        mean: *const f32,
        deviation: *const f32,
        out: Pointer,
    ) -> *mut c_char;
    fn rehead_max_pool(x: Pointer, size: i64, stride: i64, padding: i64, out: *mut Pointer) -> *mut c_char;
    fn rehead_winograd_panels(weight: Pointer, bf16: c_int, out: *mut Pointer) -> *mut c_char;
    fn rehead_reorder_convolution(
        x: Pointer,
        weight: Pointer,
        panels: Pointer,
        stride: i64,
        padding_down: i64,
        padding_across: i64,
        out: *mut Pointer,
    ) -> *mut c_char;
    fn rehead_convolve(
        x: Pointer,
        weight: Pointer,
        bias: Pointer,
        panels: Pointer,
        added: Pointer,
        stride: i64,
        padding_down: i64,
        padding_across: i64,
        relu: c_int,
        out: *mut Pointer,
    ) -> *mut c_char;
    fn rehead_has_int8() -> c_int;
    fn rehead_pack_int8(weight: Pointer, bias: Pointer, parts: *mut Pointer) -> *mut c_char;
    fn rehead_int8_linear(
        x: Pointer,
        parts: *const Pointer,
        outputs: i64,
        gelu: c_int,
        out: *mut Pointer,
    ) -> *mut c_char;
    fn rehead_has_bias_gelu(x: Pointer) -> c_int;
    fn rehead_bias_gelu(x: Pointer, bias: Pointer, by_tanh: c_int, out: *mut Pointer) -> *mut c_char;
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
    fn rehead_adamw_rows(
        parameter: Pointer,
        first: Pointer,
        second: Pointer,
        last: *mut u32,
        rows: *const i64,
        count: usize,
        gradient: Pointer,
        divisor: f64,
        numbers: *const AdamwNumbers,
        first_number: u32,
        step: u32,
    ) -> *mut c_char;
    fn rehead_global_norm(tensors: *const Pointer, count: usize, out: *mut Pointer) -> *mut c_char;
    fn rehead_to_gpu(values: *const i64, count: usize, gpu: c_int, out: *mut Pointer) -> *mut c_char;
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

/// Dropout with probability `p`, scaled by `1/(1-p)`. Whether element *i* is kept depends on (`key`, *i*) alone; where kernels of
/// our own compute, which is on every device but a GPU without them, it is the same everywhere.
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

/// `norm(residual + dropout(x)) · weight + bias` over the last dimension, in one pass over memory; statistics in fp32. `weight` and `bias` may be fp32 beside a bf16 `x`.
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

/// Pixels of three bytes as numbers of `shape`, fp32, on the CPU: `(byte / 255 - mean) / deviation` by channel.
pub fn normalise(bytes: &[u8], mean: [f32; 3], deviation: [f32; 3], shape: &[i64]) -> Result<Tensor> {
    if shape.iter().product::<i64>() != bytes.len() as i64 || !bytes.len().is_multiple_of(3) {
        return Err(Error::failure("the pixels do not fill their shape"));
    }
    let out = Tensor::f_empty(shape, (tch::Kind::Float, tch::Device::Cpu))?;
    // SAFETY: `bytes` has three bytes a pixel, `out` as many numbers, mean and deviation three each.
    check(unsafe {
        let pixels = bytes.len() as i64 / 3;
        rehead_normalise(bytes.as_ptr(), pixels, mean.as_ptr(), deviation.as_ptr(), pointer(&out))
    })?;
    Ok(out)
}

/// The largest number of every window of `size` × `size`, `stride` apart: `[N, C, H, W]` in channels-last memory to `[N, C, H', W']`. The
/// same as libtorch's, the choice among equals included, and several times as fast on a CPU.
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

/// A convolution of a network that is not trained, with its numbers as inference wants them.
pub struct FixedConvolution {
    /// `[outputs, inputs, height, width]`.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Tensor,
    /// The weights transformed for Winograd's algorithm, where it is for them.
    panels: Option<Tensor>,
    /// The weights in the order that suits the first activations, where that is not as they are.
    reordered: OnceCell<Option<Tensor>>,
    stride: i64,
    padding: [i64; 2],
}

impl FixedConvolution {
    /// From weight and bias in fp32, to compute in `kind`.
    pub fn new(weight: &Tensor, bias: &Tensor, stride: i64, padding: [i64; 2], kind: Kind) -> Result<Self> {
        let mut panels = null_mut();
        if stride == 1 && matches!(kind, Kind::Float | Kind::BFloat16) {
            let bf16 = kind == Kind::BFloat16;
            // SAFETY: the pointer is valid for the call, which looks at shape and device itself.
            check(unsafe { rehead_winograd_panels(pointer(weight), bf16.into(), &mut panels) })?;
        }
        let panels = (!panels.is_null()).then(|| adopt(panels));
        let (weight, bias) = (weight.f_to_kind(kind)?, bias.f_to_kind(kind)?);
        Ok(Self { weight, bias, panels, reordered: OnceCell::new(), stride, padding })
    }

    /// The convolution and what follows it in the same pass over memory: adding `added` (which may be overwritten), then a ReLU. `x` and
    /// `added` `[N, C, H, W]` in channels-last memory; all of one kind.
    pub fn apply(&self, x: &Tensor, added: Option<&Tensor>, relu: bool) -> Result<Tensor> {
        let Self { weight, bias, panels, stride, padding: [down, across], .. } = self;
        let [panels, added] = [panels.as_ref(), added].map(|tensor| tensor.map_or(null_mut(), pointer));
        if self.reordered.get().is_none() {
            let mut out = null_mut();
            // SAFETY: all pointers are valid for the call.
            check(unsafe {
                rehead_reorder_convolution(pointer(x), pointer(weight), panels, *stride, *down, *across, &mut out)
            })?;
            let _ = self.reordered.set((!out.is_null()).then(|| adopt(out)));
        }
        let weight = self.reordered.get().and_then(Option::as_ref).unwrap_or(weight);
        let (weight, bias) = (pointer(weight), pointer(bias));
        let mut out = null_mut();
        // SAFETY: all pointers are valid for the call, which checks the shapes.
        check(unsafe {
            rehead_convolve(pointer(x), weight, bias, panels, added, *stride, *down, *across, relu.into(), &mut out)
        })?;
        Ok(adopt(out))
    }
}

/// Whether this CPU has the instructions that [`Int8Linear`] needs.
pub fn has_int8() -> bool {
    // SAFETY: asks the CPU, nothing else.
    unsafe { rehead_has_int8() != 0 }
}

/// A linear layer in 8 bits, for inference on a CPU that [`has_int8`]: weights with a scale for each output, inputs quantised
/// anew row by row, so that no row's result depends on its neighbours.
pub struct Int8Linear {
    parts: [Tensor; 4],
    inputs: i64,
    outputs: i64,
}

/// The GELU that an [`Int8Linear`] may apply to its result at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gelu {
    Exact = 1,
    ByTanh = 2,
}

impl Int8Linear {
    /// From a weight `[outputs, inputs]` and bias `[outputs]`, both fp32 on the CPU.
    pub fn pack(weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let [outputs, inputs] = weight.size()[..] else {
            return Err(Error::failure("a linear layer's weight is a table"));
        };
        let fp32 = |tensor: &Tensor| tensor.kind() == tch::Kind::Float && tensor.device() == tch::Device::Cpu;
        if bias.size() != [outputs] || !fp32(weight) || !fp32(bias) || !has_int8() {
            return Err(Error::failure("this linear layer cannot be put into 8 bits"));
        }
        let mut parts = [null_mut(); 4];
        // SAFETY: two valid tensors of the shapes and kind checked above, and room for four.
        check(unsafe { rehead_pack_int8(pointer(weight), pointer(bias), parts.as_mut_ptr()) })?;
        Ok(Self { parts: parts.map(adopt), inputs, outputs })
    }

    /// `x` `[T, inputs]` to `[T, outputs]`, both bf16 on the CPU, through a GELU if there is one.
    pub fn forward(&self, x: &Tensor, gelu: Option<Gelu>) -> Result<Tensor> {
        let fits = x.dim() == 2 && x.size().last() == Some(&self.inputs) && x.device() == tch::Device::Cpu;
        if !fits || x.kind() != tch::Kind::BFloat16 {
            return Err(Error::failure("a linear layer in 8 bits reads a table in bf16 on the CPU"));
        }
        let parts = self.parts.each_ref().map(pointer);
        let mut out = null_mut();
        // SAFETY: the four parts that rehead_pack_int8 made, and a table of the width that they were made for.
        check(unsafe {
            let gelu = gelu.map_or(0, |gelu| gelu as c_int);
            rehead_int8_linear(pointer(x), parts.as_ptr(), self.outputs, gelu, &mut out)
        })?;
        Ok(adopt(out))
    }
}

/// Whether [`attention`] computes on tensors like this one with heads of so many columns: in fp32 and bf16 on the CPU; on a GPU
/// where FlashAttention does, which is in bf16, with heads of a multiple of 8 and at most 256 columns.
pub fn has_attention(projected: &Tensor, head_width: i64) -> bool {
    // SAFETY: a valid tensor.
    unsafe { rehead_has_attention(pointer(projected), head_width) != 0 }
}

/// `softmax(QKᵀ/√d) V` within each sequence of a packed batch: `[T, width]`. `projected` is `[T, 3·width]`, query, key and value
/// side by side. With `first_query` `[N, width]` only the sequences' first tokens ask, `projected` is `[T, 2·width]`, and the
/// result `[N, width]`; more rows than sequences give rows of zeros. `offsets` says where each sequence begins and the last ends, `[N + 1]`: int64 on the CPU, int32 on a GPU.
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
            columns == 2 * width && asking + 1 >= offsets.numel() as i64 && query.kind() == projected.kind()
        }
    };
    let kind = if projected.device() == tch::Device::Cpu { tch::Kind::Int64 } else { tch::Kind::Int };
    if !fits || heads < 1 || offsets.kind() != kind || projected.dim() != 2 {
        return Err(Error::failure("attention got tables that do not belong together"));
    }
    let mut out = null_mut();
    // SAFETY: all pointers are valid for the call and the shapes have been checked; native.cpp checks that every sequence lies
    // within the rows.
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

/// What AdamW on a table's rows needs to know of one step, as kernels.h lays it out.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct AdamwNumbers {
    learning_rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weight_decay: f32,
    correction1: f32,
    correction2_root: f32,
}

impl AdamwStep {
    /// The same as step `step`, counted from 1, with its bias corrections.
    pub fn numbers(self, step: u64) -> AdamwNumbers {
        let power = step.min(i32::MAX as u64) as i32;
        AdamwNumbers {
            learning_rate: self.learning_rate as f32,
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            epsilon: self.epsilon as f32,
            weight_decay: self.weight_decay as f32,
            correction1: (1.0 - self.beta1.powi(power)) as f32,
            correction2_root: (1.0 - self.beta2.powi(power)).sqrt() as f32,
        }
    }
}

/// A table on the CPU whose rows are updated one by one: `[rows, width]`, its moments, and the steps that each row has had.
pub struct Table<'a> {
    pub parameter: &'a Tensor,
    pub first: &'a Tensor,
    pub second: &'a Tensor,
    pub steps: &'a mut [u32],
}

/// AdamW on some rows of a table. Steps a row has missed are done as steps without a gradient, up to and with `step`; with
/// `gradient` (a row for each of `rows`, divided by the number beside it), `step` itself is done with that. `numbers` has
/// the steps from `first_number` on. `rows` is put in order and rid of what is there twice.
pub fn adamw_rows(
    table: Table,
    rows: &mut Vec<i64>,
    gradient: Option<(&Tensor, f64)>,
    numbers: &[AdamwNumbers],
    first_number: u32,
    step: u32,
) -> Result<()> {
    rows.sort_unstable();
    rows.dedup();
    let Table { parameter, first, second, steps } = table;
    let size = parameter.size();
    let [height, width] = size[..] else { return Err(Error::failure("a table has rows and columns")) };
    let listed = |row: &i64| (0..height).contains(row);
    let known = |row: &i64| steps.get(*row as usize).is_some_and(|&had| had + 1 >= first_number || had >= step);
    let plain = |tensor: &Tensor| {
        tensor.size() == size
            && tensor.kind() == tch::Kind::Float
            && tensor.device() == tch::Device::Cpu
            && tensor.is_contiguous()
    };
    let all_there = steps.len() == height as usize
        && rows.iter().all(|row| listed(row) && known(row))
        && [parameter, first, second].into_iter().all(plain)
        && gradient.is_none_or(|(gradient, _)| gradient.size() == [rows.len() as i64, width])
        && (numbers.len() as u64 + u64::from(first_number) > u64::from(step));
    if !all_there {
        return Err(Error::failure("the optimizer's table and rows do not belong together"));
    }
    // SAFETY: three contiguous fp32 tables of one size, row numbers within them and none twice, a gradient row for each, and
    // numbers for every step that is made up for: all checked above.
    check(unsafe {
        rehead_adamw_rows(
            pointer(parameter),
            pointer(first),
            pointer(second),
            steps.as_mut_ptr(),
            rows.as_ptr(),
            rows.len(),
            gradient.map_or(null_mut(), |(gradient, _)| pointer(gradient)),
            gradient.map_or(1.0, |(_, divisor)| divisor),
            numbers.as_ptr(),
            first_number,
            step,
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

/// Numbers on a GPU, as a one-dimensional int64 tensor. The copy starts from pinned memory and is not waited for.
pub fn to_gpu(values: &[i64], gpu: usize) -> Result<Tensor> {
    let mut out = null_mut();
    // SAFETY: `values.len()` numbers, which have been copied when the call returns.
    check(unsafe { rehead_to_gpu(values.as_ptr(), values.len(), gpu as c_int, &mut out) })?;
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
    use crate::random::from_torch;
    use tch::Device;

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

    fn random(size: &[i64], seed: i64) -> Tensor {
        from_torch(seed as u64, || Tensor::randn(size, (Kind::Float, Device::Cpu)))
    }

    fn assert_near(found: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
        let difference = (found.to_kind(Kind::Float) - expected.to_kind(Kind::Float)).abs().max().double_value(&[]);
        assert!(difference < tolerance, "{what}: {difference}");
    }

    /// Gradients of `sum(out · weights)` with respect to `leaves`.
    fn gradients(out: &Tensor, leaves: &[&Tensor]) -> Vec<Tensor> {
        let weights = random(&out.size(), 99).to_kind(out.kind());
        (out * weights).sum(Kind::Float).backward();
        leaves.iter().map(|leaf| leaf.grad()).collect()
    }

    fn leaf(tensor: &Tensor) -> Tensor {
        tensor.detach().copy().set_requires_grad(true)
    }

    /// Odd widths, so that the last vector of a row is not a whole one.
    #[test]
    fn add_norm_and_its_gradients_equal_libtorch() -> Result<()> {
        for width in [5, 32, 52] {
            let (x, residual) = (random(&[130, width], 1), random(&[130, width], 2));
            let (weight, bias) = (random(&[width], 3), random(&[width], 4));
            for p in [0.0, 0.2] {
                let ours = [leaf(&x), leaf(&residual), leaf(&weight), leaf(&bias)];
                let drop = Drop { p, key: 5 };
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

    #[test]
    fn pixels_are_normalised_channel_by_channel() -> Result<()> {
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * 101).collect();
        let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let found = Vec::<f32>::try_from(normalise(&bytes, mean, deviation, &[101, 3])?.view([-1]))?;
        let of = |(at, byte): (usize, &u8)| (f32::from(*byte) / 255.0 - mean[at % 3]) / deviation[at % 3];
        assert_eq!(found, bytes.iter().enumerate().map(of).collect::<Vec<_>>());
        assert!(normalise(&bytes, mean, deviation, &[100, 3]).is_err());
        Ok(())
    }

    /// Ties (after a ReLU most are zeros), channels that do and do not fill a vector, windows that do and do not overlap.
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

    #[test]
    fn a_convolution_and_what_follows_equals_libtorch() -> Result<()> {
        let images = |channels: i64, side: i64| random(&[3, side, side, channels], 4).permute([0, 3, 1, 2]);
        for kind in [Kind::Float, Kind::BFloat16] {
            // The first three by Winograd's algorithm.
            for (inputs, outputs, kernel, stride, padding) in [
                (16, 16, 3, 1, 1),
                (160, 80, 3, 1, 0),
                (32, 112, 3, 1, 2),
                (16, 8, 3, 1, 1),
                (16, 8, 3, 2, 1),
                (16, 8, 1, 1, 0),
                (16, 8, 7, 2, 3),
            ] {
                let x = images(inputs, 15).to_kind(kind);
                let weight = random(&[outputs, inputs, kernel, kernel], 5).to_kind(kind);
                let bias = random(&[outputs], 6).to_kind(kind);
                let plain = x.to_kind(Kind::Float).conv2d(
                    &weight.to_kind(Kind::Float),
                    Some(bias.to_kind(Kind::Float)),
                    [stride; 2],
                    [padding; 2],
                    [1; 2],
                    1,
                );
                let added = images(outputs, plain.size()[2]).to_kind(kind);
                let size = plain.abs().max().double_value(&[]);
                let tolerance = size * if kind == Kind::Float { 5e-6 } else { 8e-3 };
                let masters = [&weight, &bias].map(|numbers| numbers.to_kind(Kind::Float));
                let fixed = FixedConvolution::new(&masters[0], &masters[1], stride, [padding; 2], kind)?;
                let of = |added: Option<&Tensor>, relu| fixed.apply(&x, added, relu);
                assert_near(&of(None, false)?.to_kind(Kind::Float), &plain, tolerance, "alone");
                assert_near(&of(None, true)?.to_kind(Kind::Float), &plain.relu(), tolerance, "with a ReLU");
                let sum = &plain + added.to_kind(Kind::Float);
                assert_near(&of(Some(&added.copy()), true)?.to_kind(Kind::Float), &sum.relu(), tolerance, "with a sum");
                let apart = added.contiguous();
                assert_near(&of(Some(&apart), true)?.to_kind(Kind::Float), &sum.relu(), tolerance, "channels first");
                assert_near(&of(Some(&added.copy()), false)?.to_kind(Kind::Float), &sum, tolerance, "with a sum alone");
            }
        }
        Ok(())
    }

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
                let out = attention(asked, &ours[0], &offsets, 130, heads, Drop::default())?;

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
            let outcome = attention(None, &projected, &Tensor::from_slice(&offsets), 6, 2, Drop::default());
            assert!(outcome.is_err_and(|error| error.to_string().contains("within the batch")));
        }
    }

    /// Dropout on the weights: what is drawn backwards is what was drawn forwards, so the loss moves as the gradient says.
    #[test]
    fn attention_with_dropout_agrees_with_its_gradient() -> Result<()> {
        let offsets = Tensor::from_slice(&[0i64, 7, 30]);
        let x = random(&[30, 3 * 16], 1);
        let loss = |x: &Tensor| -> Result<Tensor> {
            let out = attention(None, x, &offsets, 23, 1, Drop { p: 0.3, key: 11 })?;
            Ok((out * random(&[30, 16], 3)).sum(Kind::Double))
        };
        let at = leaf(&x);
        loss(&at)?.backward();
        let direction = random(&[30, 3 * 16], 2);
        let step = 1e-2;
        let slope =
            (loss(&(&x + &direction * step))? - loss(&(&x - &direction * step))?).double_value(&[]) / (2.0 * step);
        let expected = (at.grad() * direction).sum(Kind::Double).double_value(&[]);
        assert!((slope - expected).abs() < 1e-2 * expected.abs().max(1.0), "{slope} and {expected}");
        Ok(())
    }

    /// Sizes that do and do not fill panels and blocks of rows; a row gives the same alone and beside a much larger one.
    #[test]
    fn int8_layers_are_near_the_exact_ones_and_rows_do_not_depend_on_each_other() -> Result<()> {
        if !has_int8() {
            eprintln!("skipped: this CPU has no 8-bit products");
            return Ok(());
        }
        for (rows, inputs, outputs) in [(250, 384, 1536), (21, 70, 100), (64, 5, 3)] {
            let (weight, bias) = (random(&[outputs, inputs], 1) * 0.05, random(&[outputs], 2));
            let x = random(&[rows, inputs], 3).to_kind(Kind::BFloat16);
            let layer = Int8Linear::pack(&weight, &bias)?;
            let exact = x.to_kind(Kind::Float).linear(&weight, Some(&bias));
            let near = 0.01 * (1.0 + exact.abs().max().double_value(&[]));
            assert_near(&layer.forward(&x, None)?, &exact, near, "linear");
            assert_near(&layer.forward(&x, Some(Gelu::Exact))?, &exact.gelu("none"), near, "GELU");
            let beside = Tensor::cat(&[x.narrow(0, 4, 1), x.narrow(0, 0, 3) * 1000.0], 0);
            assert_eq!(layer.forward(&beside, None)?.narrow(0, 0, 1), layer.forward(&x, None)?.narrow(0, 4, 1));
        }
        Ok(())
    }

    /// The kernels for CPUs with fewer instructions than this one give the same: all these tests, once for each.
    #[test]
    fn every_set_of_kernels_is_right() {
        if std::env::var_os("REHEAD_KERNELS").is_some() {
            return; // one of those calls
        }
        for kernels in ["generic", "avx2", "avx512", "avx512_bf16"] {
            let outcome = std::process::Command::new(std::env::current_exe().expect("these tests"))
                .arg(module_path!().split_once("::").expect("within the crate").1)
                .env("REHEAD_KERNELS", kernels)
                .output()
                .expect("the tests run");
            let told = String::from_utf8_lossy(&outcome.stdout);
            assert!(outcome.status.success() && !told.contains("ok. 0 passed"), "{kernels}:\n{told}");
        }
    }

    #[test]
    fn bf16_kernels_agree_with_fp32_ones() -> Result<()> {
        let x = random(&[64, 96], 1);
        let half = x.to_kind(Kind::BFloat16);
        let (one, zero) =
            (Tensor::ones([96], (Kind::Float, Device::Cpu)), Tensor::zeros([96], (Kind::Float, Device::Cpu)));
        let norm = |x: &Tensor| add_norm(x, Some(x), &one, &zero, 1e-12, Drop::default());
        assert_near(&norm(&half)?, &norm(&half.to_kind(Kind::Float))?, 2e-2, "norm");
        assert_near(&gelu(&half, false)?, &gelu(&half.to_kind(Kind::Float), false)?, 2e-2, "gelu");
        let offsets = Tensor::from_slice(&[0i64, 10, 64]);
        let context = |x: &Tensor| attention(None, x, &offsets, 54, 2, Drop::default());
        assert_near(&context(&half)?, &context(&half.to_kind(Kind::Float))?, 2e-2, "attention");
        Ok(())
    }

    /// A row that catches up on the steps it missed is where it would be had it had them one by one.
    #[test]
    fn rows_of_a_table_may_be_updated_late() -> Result<()> {
        let step = AdamwStep { learning_rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 };
        let numbers: Vec<AdamwNumbers> = (1..=6).map(|at| step.numbers(at)).collect();
        let run = |every_step: bool| -> Result<[Tensor; 3]> {
            let table = [
                random(&[5, 19], 1),
                Tensor::zeros([5, 19], (Kind::Float, Device::Cpu)),
                Tensor::zeros([5, 19], (Kind::Float, Device::Cpu)),
            ];
            let mut steps = vec![0u32; 5];
            for at in 1..=6u32 {
                let read = vec![1i64, i64::from(at) % 5];
                let (mut before, mut all) = (read.clone(), (0..5).collect());
                let rows = if every_step { &mut all } else { &mut before };
                let [parameter, first, second] = table.each_ref();
                adamw_rows(Table { parameter, first, second, steps: &mut steps }, rows, None, &numbers, 1, at - 1)?;
                let mut rows = read;
                rows.sort_unstable();
                rows.dedup();
                let gradient = random(&[rows.len() as i64, 19], i64::from(at));
                adamw_rows(
                    Table { parameter, first, second, steps: &mut steps },
                    &mut rows,
                    Some((&gradient, 2.0)),
                    &numbers,
                    1,
                    at,
                )?;
            }
            let [parameter, first, second] = table.each_ref();
            adamw_rows(
                Table { parameter, first, second, steps: &mut steps },
                &mut (0..5).collect(),
                None,
                &numbers,
                1,
                6,
            )?;
            Ok(table)
        };
        for (late, at_once) in run(false)?.iter().zip(run(true)?) {
            assert_eq!(late, &at_once);
        }
        Ok(())
    }
}
