//! Rotary positions (Su et al. 2021): queries and keys are turned by angles that grow with their position, so that
//! their product depends on the distance. Layers that see only the tokens near each other may have other angles.

use tch::{Kind, Tensor};

use crate::error::Result;

/// How positions turn queries and keys.
#[derive(Debug, Clone, Copy)]
pub struct RotaryOptions {
    /// The base of the angles in layers that see the whole text.
    pub theta: f64,
    /// By what these angles are divided, so that a text has room for more tokens; 1 for most (Chen et al. 2023).
    pub divisor: f64,
    /// Where there are layers that see only near tokens.
    pub local: Option<LocalOptions>,
}

/// How positions turn queries and keys in local layers.
#[derive(Debug, Clone, Copy)]
pub struct LocalOptions {
    /// The base of the angles.
    pub theta: f64,
    /// How far from a query a key may be, in tokens.
    pub window: i64,
}

/// The angles of a batch's tokens.
pub struct Rotations {
    global: Rotation,
    local: Option<(Rotation, i64)>,
}

/// Cosine and sine of each token's angles, `[T, 1, d]`, in fp32.
struct Rotation {
    cos: Tensor,
    sin: Tensor,
}

impl Rotations {
    /// For tokens at `positions` `[T]` and heads of `d` columns.
    pub fn new(positions: &Tensor, d: i64, options: &RotaryOptions) -> Result<Self> {
        let local = match options.local {
            Some(LocalOptions { theta, window }) => Some((Rotation::new(positions, d, theta, 1.0)?, window)),
            None => None,
        };
        Ok(Self { global: Rotation::new(positions, d, options.theta, options.divisor)?, local })
    }

    /// How far from a query a key may be in a local layer, in tokens.
    pub fn window(&self) -> Option<i64> {
        self.local.as_ref().map(|(_, window)| *window)
    }

    /// Turns the first `turned` of the `heads` that lie side by side in `projected` `[T, heads·d]`, in layers that see
    /// the whole text or in local ones. Computed in fp32.
    pub fn turn(&self, projected: &Tensor, [turned, heads]: [i64; 2], is_local: bool) -> Result<Tensor> {
        let Rotation { cos, sin } = match &self.local {
            Some((local, _)) if is_local => local,
            _ => &self.global,
        };
        let columns = projected.size().last().copied().unwrap_or(0);
        let d = columns / heads;
        let by_head = projected.f_view([-1, heads, d])?;
        let x = by_head.f_narrow(1, 0, turned)?.f_to_kind(Kind::Float)?;
        let across = Tensor::f_cat(&[x.f_narrow(-1, d / 2, d / 2)?.f_neg()?, x.f_narrow(-1, 0, d / 2)?], -1)?;
        let x = x.f_mul(cos)?.f_add(&across.f_mul(sin)?)?.f_to_kind(projected.kind())?;
        let rest = by_head.f_narrow(1, turned, heads - turned)?;
        Ok(Tensor::f_cat(&[x, rest], 1)?.f_view([-1, columns])?)
    }
}

impl Rotation {
    fn new(positions: &Tensor, d: i64, theta: f64, divisor: f64) -> Result<Self> {
        let options = (Kind::Float, positions.device());
        let shares = Tensor::f_arange_start_step(0, d, 2, options)?.f_div_scalar(d)?;
        let frequencies = shares.f_full_like(theta)?.f_pow(&shares)?.f_reciprocal()?;
        let frequencies = if divisor == 1.0 { frequencies } else { frequencies.f_div_scalar(divisor)? };
        let angles = positions.f_to_kind(Kind::Float)?.f_unsqueeze(1)?.f_mul(&frequencies)?;
        let angles = Tensor::f_cat(&[&angles, &angles], 1)?.f_unsqueeze(1)?;
        Ok(Self { cos: angles.f_cos()?, sin: angles.f_sin()? })
    }
}
