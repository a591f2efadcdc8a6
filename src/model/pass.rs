//! How one forward pass computes: its precision, its dropout, and how token vectors are pooled. What is computed is the
//! backbone's and the head's affair.

use std::cell::Cell;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::Result;
use crate::native;
use crate::random::Random;

/// How token vectors are pooled into one feature vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The vector of the first token (`[CLS]`), or of the one that stands for the text in its place (XLNet's last).
    Cls,
    /// The mean over the sequence's tokens.
    Mean,
    /// Both, one after the other (DINOv2's head).
    #[serde(rename = "cls+mean")]
    ClsAndMean,
}

impl Pooling {
    /// Values of a feature vector, of token vectors of `width` values.
    pub fn width(self, width: i64) -> i64 {
        match self {
            Self::Cls | Self::Mean => width,
            Self::ClsAndMean => 2 * width,
        }
    }
}

/// How a forward pass computes: in which precision, and whether dropout is drawn.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// The kind that matrix products and activations are computed in; parameters may be kept wider.
    pub compute: Kind,
    /// Present in training, absent in evaluation.
    pub dropout: Option<&'a DropoutKeys>,
}

impl Pass<'_> {
    /// Evaluation: no dropout, fixed statistics.
    pub fn evaluation(compute: Kind) -> Self {
        Self { compute, dropout: None }
    }
}

/// A fresh key for each dropout of a step: the n-th call of step s always draws the same, whatever was computed before,
/// so an interrupted run continues with the same bits.
pub struct DropoutKeys {
    step: u64,
    calls: Cell<u64>,
}

impl DropoutKeys {
    /// Keys for one micro-batch, named by `seed`, optimizer step and position in the step.
    pub fn new(seed: u64, step: u64, micro_batch: u64) -> Self {
        Self { step: Random::of(&[seed, step, micro_batch]).next_u64(), calls: Cell::new(0) }
    }

    /// The next key.
    pub fn next(&self) -> u64 {
        let call = self.calls.get();
        self.calls.set(call + 1);
        self.step.wrapping_add(call)
    }

    /// Dropout with probability `p`; the tensor itself when there is nothing to drop.
    pub fn apply(keys: Option<&Self>, x: Tensor, p: f64) -> Result<Tensor> {
        match keys {
            Some(keys) if p > 0.0 => native::dropout(&x, p, keys.next()),
            _ => Ok(x),
        }
    }

    /// Stochastic depth (Huang et al. 2016): with probability `p` an example's part of `x` `[N, …]` is left out, and
    /// otherwise enlarged accordingly.
    pub fn drop_path(keys: Option<&Self>, x: Tensor, p: f64) -> Result<Tensor> {
        if keys.is_none() || p <= 0.0 {
            return Ok(x);
        }
        let mut shape = vec![1; x.dim()];
        shape.splice(..1, x.size().first().copied());
        let kept = Self::apply(keys, Tensor::f_ones(&shape, (x.kind(), x.device()))?, p)?;
        Ok(x.f_mul(&kept)?)
    }

    /// What a kernel that drops by itself needs: probability `p` with the next key.
    pub fn drop(keys: Option<&Self>, p: f64) -> native::DropoutSpec {
        match keys {
            Some(keys) if p > 0.0 => native::DropoutSpec { p, key: keys.next() },
            _ => native::DropoutSpec::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn an_examples_part_is_left_out_whole_or_enlarged() -> Result<()> {
        let x = Tensor::f_ones([64, 3, 5], (Kind::Float, Device::Cpu))?;
        let keys = DropoutKeys::new(7, 1, 0);
        let dropped = DropoutKeys::drop_path(Some(&keys), x.shallow_clone(), 0.25)?;
        let sums: Vec<f64> = Vec::try_from(dropped.f_sum_dim_intlist([1i64, 2].as_slice(), false, Kind::Double)?)?;
        let left_out = sums.iter().filter(|sum| **sum == 0.0).count();
        assert!(sums.iter().all(|sum| *sum == 0.0 || (sum - 15.0 / 0.75).abs() < 1e-4) && (4..32).contains(&left_out));
        assert!(DropoutKeys::drop_path(Some(&keys), x.shallow_clone(), 0.0)?.equal(&x));
        assert!(DropoutKeys::drop_path(None, x.shallow_clone(), 0.5)?.equal(&x));
        Ok(())
    }
}
