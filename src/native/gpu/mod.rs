//! Enables a GPU's kernels: compiles `fused.cu` for it, compares every kernel with libtorch's operations, and falls
//! back to the latter where that is not possible or anything differs.

use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind, Tensor};

use super::attention::{attention, has_attention};
use super::dropout::{DropoutSpec, dropout};
use super::gelu::bias_gelu;
use super::norm::add_norm;
use super::tensors::check as outcome;
use crate::error::{Error, Result};

unsafe extern "C" {
    fn rehead_fused_load(source: *const c_char, gpu: c_int, bf16: c_int) -> *mut c_char;
    fn rehead_fused_disable(gpu: c_int, bf16: c_int);
    fn rehead_flash_attention_disable(gpu: c_int) -> *mut c_char;
}

const SOURCE: &str = include_str!("fused.cu");

/// `REHEAD_FUSED=0` leaves the kernels out.
const SWITCH: &str = "REHEAD_FUSED";

/// What computes a part of the network, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendChoice {
    /// `kernels`, or `attention`.
    pub part: &'static str,
    /// What computes it.
    pub backend: &'static str,
    /// Why that was chosen.
    pub reason: String,
}

/// Chooses what a GPU computes with on activations in `kind` (fp32 or bf16), once a process.
///
/// # Errors
/// A GPU that does nothing right any more.
pub fn prepare(gpu: usize, kind: Kind) -> Result<Vec<BackendChoice>> {
    static CHOSEN: Mutex<Vec<(usize, Kind, Vec<BackendChoice>)>> = Mutex::new(Vec::new());
    let mut chosen = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, _, choices)) = chosen.iter().find(|(of, with, _)| (*of, *with) == (gpu, kind)) {
        return Ok(choices.clone());
    }
    let choices = choose(gpu, kind)?;
    chosen.push((gpu, kind, choices.clone()));
    Ok(choices)
}

fn choose(gpu: usize, kind: Kind) -> Result<Vec<BackendChoice>> {
    let (device, index, bf16) = (Device::Cuda(gpu), gpu as c_int, c_int::from(kind == Kind::BFloat16));
    let mut found = Vec::new();
    let fused = if std::env::var_os(SWITCH).is_some_and(|value| value == "0") {
        Err(format!("{SWITCH} is 0"))
    } else {
        load(index, bf16).and_then(|()| {
            let checked = expected_mask().and_then(|mask| check(device, kind, &mask));
            checked.map_err(|error| {
                // SAFETY: plain numbers.
                unsafe { rehead_fused_disable(index, bf16) };
                error.to_string()
            })
        })
    };
    alive(device)?;
    found.push(match fused {
        Ok(()) => {
            BackendChoice { part: "kernels", backend: "fused", reason: "compiled for this GPU, and right".to_owned() }
        }
        Err(reason) => BackendChoice { part: "kernels", backend: "libtorch's", reason },
    });
    if kind == Kind::BFloat16
        && let Err(error) = check_attention(device)
    {
        // SAFETY: a plain number.
        outcome(unsafe { rehead_flash_attention_disable(index) })?;
        alive(device)?;
        found.push(BackendChoice { part: "attention", backend: "matrix products", reason: error.to_string() });
    }
    Ok(found)
}

/// Compiles the kernels and registers them; the reason why not.
fn load(gpu: c_int, bf16: c_int) -> std::result::Result<(), String> {
    let source = CString::new(SOURCE).map_err(|error| error.to_string())?;
    // SAFETY: a NUL-terminated source, which is not kept.
    let message = unsafe { rehead_fused_load(source.as_ptr(), gpu, bf16) };
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: a NUL-terminated string from strdup, which is ours to free.
    let reason = unsafe {
        let reason = CStr::from_ptr(message).to_string_lossy().into_owned();
        libc::free(message.cast());
        reason
    };
    Err(reason)
}

/// Whether a GPU still computes: after a kernel that read or wrote beyond its memory nothing does.
fn alive(device: Device) -> Result<()> {
    let two = Tensor::f_ones([2], (Kind::Float, device)).and_then(|ones| ones.f_sum(Kind::Float)?.f_double_value(&[]));
    match two {
        Ok(2.0) => Ok(()),
        Ok(_) => Err(Error::failure("the GPU computes wrong sums").hint("--device cpu runs on the processor")),
        Err(error) => Err(Error::from(error).hint(format!("{SWITCH}=0 leaves out rehead's own kernels"))),
    }
}

// ---- the comparison ------------------------------------------------------------------------------------------------

/// Rows and columns: fewer than a warp's, not in fours, in fours, as wide as any, more rows than there are warps.
const SHAPES: [[i64; 2]; 5] = [[3, 5], [5, 770], [37, 52], [2, 4096], [2053, 8]];
const DROP: DropoutSpec = DropoutSpec { p: 0.2, key: 5 };

/// 1/(1-p) or 0 for the first elements, as [`DROP`] keeps or drops them on the CPU.
fn expected_mask() -> Result<Tensor> {
    let most = SHAPES.iter().map(|[rows, width]| rows * width).max().unwrap_or(0);
    dropout(&Tensor::f_ones([most], (Kind::Float, Device::Cpu))?, DROP.p, DROP.key)
}

/// Compares every kernel, forwards and backwards, with libtorch's operations in fp64 on the CPU.
fn check(device: Device, kind: Kind, mask: &Tensor) -> Result<()> {
    let limit = if kind == Kind::BFloat16 { 0.02 } else { 2e-5 };
    let compare = Comparison { device, kind, limit };
    for shape in SHAPES {
        let mask = mask.f_narrow(0, 0, shape[0] * shape[1])?.f_view(shape)?;
        compare.dropout(shape, &mask)?;
        compare.add_norm(shape, None)?;
        compare.add_norm(shape, Some(&mask))?;
        for by_tanh in [false, true] {
            compare.bias_gelu(shape, by_tanh)?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Comparison {
    device: Device,
    kind: Kind,
    /// How far apart results may be, as a share of the largest.
    limit: f64,
}

impl Comparison {
    /// Numbers between -2 and 2 in `kind`, and the same in fp64 on the CPU; both to take gradients of.
    fn leaves(self, shape: &[i64], phase: f64, kind: Kind) -> Result<(Tensor, Tensor)> {
        let count: i64 = shape.iter().product();
        let wave = Tensor::f_arange(count, (Kind::Double, Device::Cpu))?.f_mul_scalar(0.7)?.f_add_scalar(phase)?;
        let exact = wave.f_sin()?.f_mul_scalar(2.0)?.f_view(shape)?.f_to_kind(kind)?;
        let ours = exact.f_to_device(self.device)?.f_detach()?.f_set_requires_grad(true)?;
        let reference = exact.f_to_kind(Kind::Double)?.f_detach()?.f_set_requires_grad(true)?;
        Ok((ours, reference))
    }

    fn near(self, what: &str, shape: &[i64], found: &Tensor, expected: &Tensor) -> Result<()> {
        let found = found.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
        let apart = found.f_sub(expected)?.f_abs()?.f_max()?.f_double_value(&[])?;
        let scale = expected.f_abs()?.f_max()?.f_double_value(&[])?.max(1.0);
        // Written so that not-a-number does not pass.
        if apart <= self.limit * scale {
            return Ok(());
        }
        let shape = shape.iter().map(i64::to_string).collect::<Vec<_>>().join(" × ");
        Err(Error::failure(format!("{what} of {shape} in {:?} differs from libtorch by {apart:.2e}", self.kind)))
    }

    /// Compares results and, of a weighted sum of them, the gradients of all leaves.
    fn both(self, what: &str, shape: &[i64], results: [&Tensor; 2], leaves: &[&(Tensor, Tensor)]) -> Result<()> {
        let [found, expected] = results;
        self.near(what, shape, found, expected)?;
        let (weights, exact) = self.leaves(&expected.size(), 0.3, self.kind)?;
        found.f_mul(&weights.f_detach()?)?.f_sum(Kind::Float)?.f_backward()?;
        expected.f_mul(&exact.f_detach()?)?.f_sum(Kind::Double)?.f_backward()?;
        for (ours, reference) in leaves {
            self.near(&format!("the gradient of {what}"), shape, &ours.f_grad()?, &reference.f_grad()?)?;
        }
        Ok(())
    }

    fn dropout(self, shape: [i64; 2], mask: &Tensor) -> Result<()> {
        let x = self.leaves(&shape, 1.0, self.kind)?;
        let found = dropout(&x.0, DROP.p, DROP.key)?;
        self.both("dropout", &shape, [&found, &x.1.f_mul(mask)?], &[&x])
    }

    /// With dropout and a residual, or without both, then beginning where elements cannot be read in fours.
    fn add_norm(self, shape: [i64; 2], mask: Option<&Tensor>) -> Result<()> {
        let [rows, width] = shape;
        let epsilon = 1e-5;
        let skipped = i64::from(mask.is_none());
        let flat = self.leaves(&[skipped + rows * width], 1.0, self.kind)?;
        let x = [&flat.0, &flat.1].map(|flat| flat.f_narrow(0, skipped, rows * width)?.f_view(shape));
        let [x, x_exact] = x;
        let (x, x_exact) = (x?, x_exact?);
        let weight = self.leaves(&[width], 2.0, Kind::Float)?;
        let bias = self.leaves(&[width], 3.0, Kind::Float)?;
        let residual = self.leaves(&shape, 4.0, self.kind)?;
        let expected = |sum: &Tensor| sum.f_layer_norm([width], Some(&weight.1), Some(&bias.1), epsilon, false);
        match mask {
            Some(mask) => {
                let found = add_norm(&x, Some(&residual.0), &weight.0, &bias.0, epsilon, DROP)?;
                let expected = expected(&x_exact.f_mul(mask)?.f_add(&residual.1)?)?;
                self.both("add_norm", &shape, [&found, &expected], &[&flat, &residual, &weight, &bias])
            }
            None => {
                let found = add_norm(&x, None, &weight.0, &bias.0, epsilon, DropoutSpec::default())?;
                self.both("layer norm", &shape, [&found, &expected(&x_exact)?], &[&flat, &weight, &bias])
            }
        }
    }

    fn bias_gelu(self, shape: [i64; 2], by_tanh: bool) -> Result<()> {
        let x = self.leaves(&shape, 1.0, self.kind)?;
        let bias = self.leaves(&shape[1..], 2.0, Kind::Float)?;
        let found = bias_gelu(&x.0, &bias.0, by_tanh)?;
        let expected = x.1.f_add(&bias.1)?.f_gelu(if by_tanh { "tanh" } else { "none" })?;
        self.both("GELU", &shape, [&found, &expected], &[&x, &bias])
    }

    /// Sequences of 1, 3, 17 and 130 tokens; all tokens ask, or the first alone.
    fn attention(self, heads: i64, head_width: i64, first_only: bool) -> Result<()> {
        const ENDS: [i64; 5] = [0, 1, 4, 21, 151];
        let (width, parts) = (heads * head_width, if first_only { 2 } else { 3 });
        let shape = [ENDS[4], parts * width];
        let projected = self.leaves(&shape, 1.0, self.kind)?;
        let query = self.leaves(&[ENDS.len() as i64 - 1, width], 2.0, self.kind)?;
        if !has_attention(&projected.0, head_width) {
            return Err(Error::failure("FlashAttention is not there"));
        }
        let of_kind = if self.device == Device::Cpu { Kind::Int64 } else { Kind::Int };
        let offsets = Tensor::f_from_slice(&ENDS)?.f_to_kind(of_kind)?.f_to_device(self.device)?;
        let found =
            attention(first_only.then_some(&query.0), &projected.0, &offsets, 130, heads, DropoutSpec::default())?;
        let mut contexts = Vec::new();
        for (index, bounds) in ENDS.windows(2).enumerate() {
            let &[begin, end] = bounds else { continue };
            let split = |rows: &Tensor| rows.f_view([-1, heads, head_width])?.f_transpose(0, 1);
            let rows = projected.1.f_narrow(0, begin, end - begin)?;
            let part = |at: i64| split(&rows.f_narrow(1, at * width, width)?.f_contiguous()?);
            let asking = if first_only { split(&query.1.f_narrow(0, index as i64, 1)?)? } else { part(0)? };
            let scores = asking.f_matmul(&part(parts - 2)?.f_transpose(1, 2)?)?;
            let weights = scores.f_mul_scalar(1.0 / (head_width as f64).sqrt())?.f_softmax(-1, Kind::Double)?;
            contexts.push(weights.f_matmul(&part(parts - 1)?)?.f_transpose(0, 1)?.f_reshape([-1, width])?);
        }
        let expected = Tensor::f_cat(&contexts, 0)?;
        let leaves = if first_only { vec![&projected, &query] } else { vec![&projected] };
        self.both("attention", &shape, [&found, &expected], &leaves)
    }
}

/// Compares attention in bf16, which FlashAttention keeps its weights in too, with matrix products and softmax.
fn check_attention(device: Device) -> Result<()> {
    let compare = Comparison { device, kind: Kind::BFloat16, limit: 0.05 };
    for (heads, head_width) in [(2, 32), (1, 64)] {
        for first_only in [false, true] {
            compare.attention(heads, head_width, first_only)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::gelu::has_bias_gelu;

    unsafe extern "C" {
        fn rehead_stand_in(which: c_int);
    }

    /// Runs `body` while something else computes on the CPU's tensors in this thread: the GPU's kernels thread by
    /// thread, or kernels that do nothing.
    fn with_stand_in<T>(which: c_int, body: impl FnOnce() -> T) -> T {
        struct Back;
        impl Drop for Back {
            fn drop(&mut self) {
                // SAFETY: a plain number, one that emulation.cpp knows.
                unsafe { rehead_stand_in(0) }
            }
        }
        let _back = Back;
        // SAFETY: as above.
        unsafe { rehead_stand_in(which) }
        body()
    }
    const EMULATION: c_int = 1;
    const IDLE: c_int = 2;

    #[test]
    fn the_gpus_kernels_agree_with_libtorch_and_with_the_cpus() -> Result<()> {
        let mask = expected_mask()?;
        for kind in [Kind::Float, Kind::BFloat16] {
            with_stand_in(EMULATION, || check(Device::Cpu, kind, &mask))?;
        }
        Ok(())
    }

    #[test]
    fn kernels_that_compute_nothing_are_found_out() -> Result<()> {
        let mask = expected_mask()?;
        let outcome = with_stand_in(IDLE, || check(Device::Cpu, Kind::Float, &mask));
        assert!(outcome.is_err_and(|error| error.to_string().contains("dropout of 3 × 5 in Float differs")));
        assert!(!has_bias_gelu(&mask), "nobody stands in any more");
        Ok(())
    }

    #[test]
    fn the_gpus_kernels_give_the_same_bits_every_time() -> Result<()> {
        let compare = Comparison { device: Device::Cpu, kind: Kind::BFloat16, limit: 0.0 };
        let gradients = || -> Result<[Tensor; 3]> {
            let (x, _) = compare.leaves(&[2053, 8], 1.0, Kind::BFloat16)?;
            let (weight, _) = compare.leaves(&[8], 2.0, Kind::Float)?;
            let (bias, _) = compare.leaves(&[8], 3.0, Kind::Float)?;
            let out = add_norm(&x, Some(&x), &weight, &bias, 1e-5, DROP)?;
            out.f_square()?.f_sum(Kind::Float)?.f_backward()?;
            Ok([x.f_grad()?, weight.f_grad()?, bias.f_grad()?])
        };
        let twice = with_stand_in(EMULATION, || [gradients(), gradients()]);
        let [first, second] = twice;
        assert_eq!(first?, second?);
        Ok(())
    }

    #[test]
    fn the_check_of_attention_accepts_the_cpus() -> Result<()> {
        check_attention(Device::Cpu)
    }
}
