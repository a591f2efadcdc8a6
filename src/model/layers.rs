//! The plain layers that every network is made of: linear (with LoRA's adapters and 8-bit weights) and layer norm.
//! Where their weights come from is the affair of who builds them; activations are in `activation.rs`.

use std::ops::Range;

use tch::{Kind, Tensor};

use super::pass::Pass;
use crate::error::Result;
use crate::native::{self, Int8Linear};

/// `y = x Wᵀ + b`, W `[out, in]`, b `[out]`.
pub struct Linear {
    /// `[out, in]`: in a backbone of its [`WeightDtype`], in a head fp32.
    pub weight: Tensor,
    /// `[out]`, in the same kind; zeros where the checkpoint has none.
    pub bias: Tensor,
    /// The same in 8 bits, for inference; then this is what computes.
    pub int8: Option<Int8Linear>,
    /// What is trained instead of the weight, if anything is; together they cover all outputs, in order.
    pub adapters: Vec<Adapter>,
}

/// A low-rank addition to the rows of a weight that are stored under one name (LoRA, Hu et al. 2022): `scale · B A`.
pub struct Adapter {
    /// A, `[rank, in]`.
    pub down: Tensor,
    /// B, `[rows, rank]`.
    pub up: Tensor,
    /// What the product is multiplied by: alpha / rank.
    pub scale: f64,
}

impl Adapter {
    fn outputs(&self) -> i64 {
        self.up.size().first().copied().unwrap_or(0)
    }
}

/// The type in which a backbone's linear layers keep their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightDtype {
    /// This floating-point kind: fp32 for training (masters), the compute kind for inference, so that weights are not
    /// converted for every batch.
    Float(Kind),
    /// 8 bits, for inference on the CPU with activations in bf16.
    Int8,
}

impl Linear {
    /// `weight` `[out, in]`, `bias` `[out]`; without adapters, not in 8 bits.
    pub fn new(weight: Tensor, bias: Tensor) -> Self {
        Self { weight, bias, int8: None, adapters: Vec::new() }
    }

    /// The last dimension of what it gives.
    pub fn outputs(&self) -> i64 {
        self.bias.size().first().copied().unwrap_or(0)
    }

    /// `x` `[…, in]` to `[…, out]`, computed in the pass's kind or in 8 bits.
    pub fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        self.forward_part(x, 0..self.outputs(), pass)
    }

    /// The same for the outputs `part` alone.
    pub fn forward_part(&self, x: &Tensor, part: Range<i64>, pass: Pass) -> Result<Tensor> {
        let (start, count) = (part.start, part.end - part.start);
        if let Some(int8) = &self.int8 {
            let y = int8.forward(x, None)?;
            return if count < self.outputs() { Ok(y.f_narrow(-1, start, count)?) } else { Ok(y) };
        }
        let (mut weight, mut bias) = (cast(&self.weight, pass.compute)?, cast(&self.bias, pass.compute)?);
        if count < self.outputs() {
            (weight, bias) = (weight.f_narrow(0, start, count)?, bias.f_narrow(0, start, count)?);
        }
        let y = x.f_linear(&weight, Some(&bias))?;
        let mut at = 0;
        let (mut downs, mut ups) = (Vec::new(), Vec::new());
        for adapter in &self.adapters {
            let outputs = adapter.outputs();
            let (first, last) = (start.max(at), part.end.min(at + outputs));
            if first < last {
                let up = match last - first == outputs {
                    true => adapter.up.shallow_clone(),
                    false => adapter.up.f_narrow(0, first - at, last - first)?,
                };
                downs.push(adapter.down.shallow_clone());
                ups.push(up.f_mul_scalar(adapter.scale)?);
            }
            at += outputs;
        }
        if downs.is_empty() {
            return Ok(y);
        }
        // Several adapters at once: their A's one below the other, their B's on a diagonal of blocks.
        let down = cast(&Tensor::f_cat(&downs, 0)?, pass.compute)?;
        let up = cast(&Tensor::f_block_diag(&ups)?, pass.compute)?;
        let low = x.f_linear(&down, None::<&Tensor>)?;
        Ok(y.f_addmm(&low, &up.f_transpose(0, 1)?)?)
    }

    /// Adds what the adapters have learned to the weight, which then computes the same without them.
    pub fn merge_adapters(&mut self) -> Result<()> {
        let mut at = 0;
        for Adapter { down, up, scale } in self.adapters.drain(..) {
            let rows = up.size().first().copied().unwrap_or(0);
            tch::no_grad(|| -> Result<()> {
                let addition = up.f_matmul(&down)?.f_mul_scalar(scale)?;
                let _ = self.weight.f_narrow(0, at, rows)?.f_add_(&addition)?;
                Ok(())
            })?;
            at += rows;
        }
        Ok(())
    }
}

/// What a norm makes of a token's values before it scales them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// Mean 0 and variance 1 (Ba et al. 2016).
    Layer,
    /// A mean square of 1 (RMSNorm, Zhang and Sennrich 2019).
    Rms,
    /// Nothing: they are only scaled (MobileBERT).
    Scale,
}

/// Normalisation over the last dimension.
pub struct LayerNorm {
    /// `[width]`, by which the normalised values are multiplied.
    pub weight: Tensor,
    /// `[width]`, which is then added.
    pub bias: Tensor,
    /// Added to the variance, or the mean square, before its root is taken.
    pub epsilon: f64,
    /// What is made of the values before they are scaled.
    pub kind: NormKind,
}

impl LayerNorm {
    /// Same shape and kind as `x`; statistics are computed in fp32 whatever the kind.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.kind != NormKind::Layer {
            return self.scaled(x);
        }
        native::add_norm(x, None, &self.weight, &self.bias, self.epsilon, native::DropoutSpec::default())
    }

    /// `norm(residual + dropout(x))`.
    pub fn add_forward(&self, x: &Tensor, residual: &Tensor, drop: native::DropoutSpec) -> Result<Tensor> {
        if self.kind != NormKind::Layer {
            let x = if drop.p > 0.0 { native::dropout(x, drop.p, drop.key)? } else { x.shallow_clone() };
            return self.scaled(&x.f_add(residual)?);
        }
        native::add_norm(x, Some(residual), &self.weight, &self.bias, self.epsilon, drop)
    }

    fn scaled(&self, x: &Tensor) -> Result<Tensor> {
        let normal = match self.kind {
            NormKind::Rms => {
                let wide = cast(x, Kind::Float)?;
                let square = wide.f_square()?.f_mean_dim([-1i64].as_slice(), true, Kind::Float)?;
                cast(&wide.f_mul(&square.f_add_scalar(self.epsilon)?.f_rsqrt()?)?, x.kind())?
            }
            NormKind::Layer | NormKind::Scale => x.shallow_clone(),
        };
        let scaled = normal.f_mul(&cast(&self.weight, x.kind())?)?;
        Ok(scaled.f_add(&cast(&self.bias, x.kind())?)?)
    }
}

/// The same values in other memory, in the same order.
pub fn copied(x: &Tensor) -> Result<Tensor> {
    let mut copy = x.f_empty_like()?;
    copy.f_copy_(x)?;
    Ok(copy)
}

/// `tensor` in `kind`; itself when it is already.
pub fn cast(tensor: &Tensor, kind: Kind) -> Result<Tensor> {
    if tensor.kind() == kind { Ok(tensor.shallow_clone()) } else { Ok(tensor.f_to_kind(kind)?) }
}
