//! Linear layers in 8 bits, for inference on CPUs with instructions for them.

use std::ffi::{c_char, c_int};
use std::ptr::null_mut;

use tch::{Device, Kind, Tensor};

use super::tensors::{Pointer, adopt, check, pointer};
use crate::error::{Error, Result};

unsafe extern "C" {
    fn rehead_has_int8() -> c_int;
    fn rehead_pack_int8(weight: Pointer, bias: Pointer, parts: *mut Pointer) -> *mut c_char;
    fn rehead_int8_linear(
        x: Pointer,
        parts: *const Pointer,
        outputs: i64,
        gelu: c_int,
        out: *mut Pointer,
    ) -> *mut c_char;
}

/// Whether this CPU has the instructions that [`Int8Linear`] needs.
pub fn has_int8() -> bool {
    // SAFETY: asks the CPU, nothing else.
    unsafe { rehead_has_int8() != 0 }
}

/// A linear layer in 8 bits, for inference on a CPU that [`has_int8`]: weights with a scale for each output, inputs
/// quantised again row by row, so that no row's result depends on its neighbours.
pub struct Int8Linear {
    parts: [Tensor; 4],
    inputs: i64,
    outputs: i64,
}

/// The GELU that an [`Int8Linear`] may apply to its result at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gelu {
    /// By the normal distribution itself.
    Exact = 1,
    /// By its tanh approximation.
    ByTanh = 2,
}

impl Int8Linear {
    /// From a weight `[outputs, inputs]` and bias `[outputs]`, both fp32 on the CPU.
    pub fn pack(weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let [outputs, inputs] = weight.size()[..] else {
            return Err(Error::failure("a linear layer's weight is a table"));
        };
        let fp32 = |tensor: &Tensor| tensor.kind() == Kind::Float && tensor.device() == Device::Cpu;
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
        let fits = x.dim() == 2 && x.size().last() == Some(&self.inputs) && x.device() == Device::Cpu;
        if !fits || x.kind() != Kind::BFloat16 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::testing::{assert_near, random};

    /// Sizes that do and do not fill panels and blocks of rows; a row gives the same alone and beside a much larger
    /// one.
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
}
