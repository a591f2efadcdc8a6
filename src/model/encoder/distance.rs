//! A bias of the attention scores by the distance of two tokens, which all layers share (Raffel et al. 2020, as MPNet
//! has it): near distances each have a value per head, far ones one for many.

use tch::{Device, Kind, Tensor};

use super::builder::EncoderBuilder;
use super::config::EncoderConfig;
use crate::error::Result;
use crate::model::builder::Initial;
use crate::model::layers::cast;
use crate::model::pass::Pass;

/// Kinds of distance: half of them for tokens that come later.
pub const BUCKETS: i64 = 32;
/// The distance from which on all are of one kind.
const FARTHEST: f64 = 128.0;

/// See the [module](self).
pub struct DistanceBias {
    /// `[BUCKETS, heads]`. It belongs to stage 0: with that it is trained or frozen.
    table: Tensor,
}

impl DistanceBias {
    /// The table `name`.
    pub fn load(name: &str, config: &EncoderConfig, builder: &mut EncoderBuilder) -> Result<Self> {
        Ok(Self { table: builder.take(name, &[BUCKETS, config.attention.heads], 0, Initial::Normal)? })
    }

    /// `[1, heads, longest, longest]`, in the pass's kind: what is added to the score of a query (third dimension) and
    /// a key. A shorter sequence takes the first rows and columns of it.
    pub fn of(&self, longest: i64, pass: Pass) -> Result<Tensor> {
        let buckets = buckets(longest)?.f_to_device(self.table.device())?;
        let values = Tensor::f_embedding(&self.table, &buckets, -1, false, false)?.f_transpose(0, 1)?;
        // A window of the distances for each query: the first begins at the distance of 0, the last ends there.
        let windows = values.f_unfold(1, longest, 1)?.f_flip([1i64])?;
        cast(&windows.f_unsqueeze(0)?.f_contiguous()?, pass.compute)
    }
}

/// The kind of each distance from `1 - longest` (a token before the query) to `longest - 1`, computed with the
/// functions that transformers computes it with.
fn buckets(longest: i64) -> Result<Tensor> {
    let (half, exact) = (BUCKETS / 2, BUCKETS / 4);
    let distances = Tensor::f_arange_start(1 - longest, longest, (Kind::Int64, Device::Cpu))?;
    let far = distances.f_abs()?;
    let scale = (FARTHEST / exact as f64).ln();
    let shares = far.f_to_kind(Kind::Float)?.f_div_scalar(exact as f64)?.f_log()?.f_div_scalar(scale)?;
    let coarse = shares.f_mul_scalar(half - exact)?.f_to_kind(Kind::Int64)?.f_add_scalar(exact)?;
    let coarse = coarse.f_clamp_max(half - 1)?;
    let kinds = far.f_where_self(&far.f_lt(exact)?, &coarse)?;
    let later = distances.f_gt(0)?.f_to_kind(Kind::Int64)?.f_mul_scalar(half)?;
    Ok(kinds.f_add(&later)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of transformers' `MPNetEncoder.relative_position_bucket`.
    #[test]
    fn kinds_of_distance_are_those_of_transformers() -> Result<()> {
        let kinds = Vec::<i64>::try_from(buckets(130)?).expect("numbers");
        let of = |distance: i64| kinds[(distance + 129) as usize];
        let found = [-129, -128, -64, -20, -8, -7, -1, 0, 1, 7, 8, 12, 16, 64, 127].map(of);
        assert_eq!(found, [15, 15, 14, 10, 8, 7, 1, 0, 17, 23, 24, 25, 26, 30, 31]);
        Ok(())
    }
}
