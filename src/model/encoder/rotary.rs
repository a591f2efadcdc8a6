//! Rotary positions (Su et al. 2021): queries and keys are turned by angles that grow with their position, so that
//! their product depends on the distance. Some layers see only the tokens near each other, and have other angles.

use tch::{Kind, Tensor};

use crate::error::Result;

/// How positions turn queries and keys.
#[derive(Debug, Clone, Copy)]
pub struct RotaryOptions {
    /// The base of the angles in layers that see the whole text.
    pub theta: f64,
    /// The same in local layers.
    pub local_theta: f64,
    /// How far from a query a key may be in a local layer, in tokens.
    pub window: i64,
}

/// The angles of a batch's tokens.
pub struct Rotations {
    global: Rotation,
    local: Rotation,
    /// As in [`RotaryOptions`].
    pub window: i64,
}

/// Cosine and sine of each token's angles, `[T, 1, 1, d]`, in fp32.
struct Rotation {
    cos: Tensor,
    sin: Tensor,
}

impl Rotations {
    /// For tokens at `positions` `[T]` and heads of `d` columns.
    pub fn new(positions: &Tensor, d: i64, options: &RotaryOptions) -> Result<Self> {
        let rotation = |theta| Rotation::new(positions, d, theta);
        Ok(Self { global: rotation(options.theta)?, local: rotation(options.local_theta)?, window: options.window })
    }

    /// Turns the first `turned` of the `parts` that lie side by side in `projected` `[T, parts·width]`, in layers that
    /// see the whole text or in local ones. Computed in fp32.
    pub fn turn(&self, projected: &Tensor, [turned, parts]: [i64; 2], heads: i64, is_local: bool) -> Result<Tensor> {
        let Rotation { cos, sin } = if is_local { &self.local } else { &self.global };
        let columns = projected.size().last().copied().unwrap_or(0);
        let d = columns / parts / heads;
        let by_head = projected.f_view([-1, parts, heads, d])?;
        let x = by_head.f_narrow(1, 0, turned)?.f_to_kind(Kind::Float)?;
        let across = Tensor::f_cat(&[x.f_narrow(-1, d / 2, d / 2)?.f_neg()?, x.f_narrow(-1, 0, d / 2)?], -1)?;
        let x = x.f_mul(cos)?.f_add(&across.f_mul(sin)?)?.f_to_kind(projected.kind())?;
        let rest = by_head.f_narrow(1, turned, parts - turned)?;
        Ok(Tensor::f_cat(&[x, rest], 1)?.f_view([-1, columns])?)
    }
}

impl Rotation {
    fn new(positions: &Tensor, d: i64, theta: f64) -> Result<Self> {
        let options = (Kind::Float, positions.device());
        let shares = Tensor::f_arange_start_step(0, d, 2, options)?.f_div_scalar(d)?;
        let frequencies = shares.f_full_like(theta)?.f_pow(&shares)?.f_reciprocal()?;
        let angles = positions.f_to_kind(Kind::Float)?.f_unsqueeze(1)?.f_mul(&frequencies)?;
        let angles = Tensor::f_cat(&[&angles, &angles], 1)?.f_unsqueeze(1)?.f_unsqueeze(1)?;
        Ok(Self { cos: angles.f_cos()?, sin: angles.f_sin()? })
    }
}
