//! Convolutions of a network that is not trained, with a sum and a ReLU in the same pass: by Winograd's algorithm,
//! oneDNN or libtorch.

use std::cell::OnceCell;
use std::ffi::{c_char, c_int};
use std::ptr::null_mut;

use tch::{Kind, Tensor};

use super::tensors::{Pointer, adopt, check, pointer};
use crate::error::Result;

unsafe extern "C" {
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
}

/// A convolution of a network that is not trained, with its norm folded into weights that are kept as inference wants
/// them.
pub struct FoldedConvolution {
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

impl FoldedConvolution {
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

    /// The convolution and what follows it in the same pass over memory: adding `added` (which may be overwritten),
    /// then a ReLU. `x` and `added` `[N, C, H, W]` in channels-last memory; all of one kind.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::testing::{assert_near, random};

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
                let folded = FoldedConvolution::new(&masters[0], &masters[1], stride, [padding; 2], kind)?;
                let of = |added: Option<&Tensor>, relu| folded.apply(&x, added, relu);
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
}
