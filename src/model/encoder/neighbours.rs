//! What lies beside a token in its text: rows of a packed batch, moved along the texts.

use tch::Tensor;

use crate::error::Result;

/// `[T, width]`: for each token the row of `x` of the token that is `offset` places after it in the same text (before
/// it, if negative); zeros where there is none. `positions` `[T]` begin at 0 in each text.
pub fn neighbour(x: &Tensor, positions: &Tensor, offset: i64) -> Result<Tensor> {
    let moved = |tensor: &Tensor| tensor.f_roll([-offset], [0i64]);
    let is_there = moved(positions)?.f_eq_tensor(&positions.f_add_scalar(offset)?)?;
    Ok(moved(x)?.f_mul(&is_there.f_to_kind(x.kind())?.f_unsqueeze(1)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_of_the_same_text() -> Result<()> {
        // Texts of 3, 1 and 2 tokens, and filling.
        let positions = Tensor::from_slice(&[0i64, 1, 2, 0, 0, 1, 0, 0]);
        let x = Tensor::from_slice(&[1f32, 2., 3., 4., 5., 6., 7., 8.]).view([8, 1]);
        for (offset, expected) in [
            (1, [2f32, 3., 0., 0., 6., 0., 0., 0.]),
            (-1, [0., 1., 2., 0., 0., 5., 0., 0.]),
            (2, [3., 0., 0., 0., 0., 0., 0., 0.]),
        ] {
            assert_eq!(Vec::<f32>::try_from(neighbour(&x, &positions, offset)?.view([8])).unwrap(), expected);
        }
        Ok(())
    }
}
