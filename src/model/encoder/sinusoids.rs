//! Vectors of the distances between tokens as sines and cosines (Dai et al. 2019), which all layers of an XLNet read.

use tch::{Kind, Tensor};

use super::config::TwoStreamOptions;
use crate::error::Result;
use crate::model::layers::cast;
use crate::model::pass::{DropoutKeys, Pass};

/// See the [module](self).
pub struct Sinusoids {
    /// `[2·longest - 1, width]`, from the distance `1 - longest` (a key that far after the query) up.
    pub vectors: Tensor,
    /// For the same distances, the row in `vectors`.
    pub rows: Vec<i64>,
}

impl Sinusoids {
    /// For sequences of at most `longest` tokens, on the device of `like`, with dropout.
    pub fn new(
        longest: i64,
        width: i64,
        dropout: f64,
        options: TwoStreamOptions,
        like: &Tensor,
        pass: Pass,
    ) -> Result<Self> {
        let float = (Kind::Float, like.device());
        let distances = Tensor::f_arange_start(1 - longest, longest, float)?;
        let distances = match options.farthest {
            Some(farthest) => distances.f_clamp(-farthest, farthest)?,
            None => distances,
        };
        let shares = Tensor::f_arange_start_step(0, width, 2, float)?.f_div_scalar(width)?;
        let frequencies = shares.f_full_like(10000.0)?.f_pow(&shares)?.f_reciprocal()?;
        let angles = distances.f_unsqueeze(1)?.f_mul(&frequencies)?;
        let vectors = cast(&Tensor::f_cat(&[angles.f_sin()?, angles.f_cos()?], 1)?, pass.compute)?;
        let vectors = DropoutKeys::apply(pass.dropout, vectors, dropout)?;
        Ok(Self { vectors, rows: (0..2 * longest - 1).collect() })
    }
}
