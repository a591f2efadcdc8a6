//! Squares of a map side by side: what a convolution that does not overlap reads, as rows of a matrix product.

use tch::Tensor;

use crate::error::Result;
use crate::model::layers::cast;
use crate::model::pass::Pass;

/// A convolution whose stride is its side, without padding: the stem's, and between two levels of a ConvNeXt.
pub struct PatchProjection {
    /// `[outputs, inputs, side, side]`, channels last in memory.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Tensor,
}

impl PatchProjection {
    /// `[N, H, W, C]` to `[N, H / side, W / side, outputs]`, in the pass's kind. What is over at the right and below is
    /// left out.
    pub fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let (outputs, _, side, _) = self.weight.size4()?;
        let weight = self.weight.f_permute([0i64, 2, 3, 1])?.f_reshape([outputs, -1])?;
        let (weight, bias) = (cast(&weight, pass.compute)?, cast(&self.bias, pass.compute)?);
        Ok(squares(&cast(x, pass.compute)?, side, false)?.f_linear(&weight, Some(&bias))?)
    }
}

/// `[N, H, W, C]` to `[N, H / side, W / side, side · side · C]`: each square's rows one after another, or its columns.
pub fn squares(x: &Tensor, side: i64, by_column: bool) -> Result<Tensor> {
    let (images, height, width, channels) = x.size4()?;
    let (rows, columns) = (height / side, width / side);
    let whole = x.f_narrow(1, 0, rows * side)?.f_narrow(2, 0, columns * side)?;
    let order = if by_column { [0i64, 1, 3, 4, 2, 5] } else { [0, 1, 3, 2, 4, 5] };
    let squares = whole.f_unflatten(1, [rows, side])?.f_unflatten(3, [columns, side])?.f_permute(order)?;
    Ok(squares.f_reshape([images, rows, columns, side * side * channels])?)
}

/// `[N, H, W, C]`, with zeros at the right and below until both sides are multiples of `side`.
pub fn padded(x: &Tensor, side: i64) -> Result<Tensor> {
    let (_, height, width, _) = x.size4()?;
    match [height, width].map(|places| (-places).rem_euclid(side)) {
        [0, 0] => Ok(x.shallow_clone()),
        [below, right] => Ok(x.f_constant_pad_nd([0, 0, 0, right, 0, below])?),
    }
}
