//! The windows that Swin's attention stays within: squares of a map, in every second block shifted by half a side.

use tch::{Device, Kind, Tensor};

use super::patches::{padded, squares};
use crate::error::Result;
use crate::model::convolutional::Extent;

/// What is added to the scores of places that a shift has brought together: little enough that nothing is left of them.
const APART: f64 = -100.0;

/// How a map is divided into windows.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    extent: Extent,
    /// The extent in whole windows.
    whole: Extent,
    side: i64,
    shift: i64,
}

impl Windows {
    /// Windows of `side`; not shifted where one fills the map in a direction.
    pub fn of(extent: Extent, side: i64, shifted: bool) -> Self {
        let whole = extent.map(|places| (places + side - 1) / side * side);
        let fills = extent.iter().any(|places| *places <= side);
        Self { extent, whole, side, shift: if shifted && !fills { side / 2 } else { 0 } }
    }

    /// Windows of an image.
    pub fn count(&self) -> i64 {
        (self.whole[0] / self.side) * (self.whole[1] / self.side)
    }

    /// Places of a window.
    pub fn places(&self) -> i64 {
        self.side * self.side
    }

    /// `[N, H, W, C]` to `[N · windows · places, C]`. The map is filled up with zeros at the right and below, then
    /// rolled to the left and up: what goes over the edge comes in on the other side.
    pub fn divide(&self, x: &Tensor) -> Result<Tensor> {
        let channels = x.size().last().copied().unwrap_or(0);
        let whole = padded(x, self.side)?;
        let rolled = if self.shift > 0 { whole.f_roll([-self.shift; 2], [1, 2])? } else { whole };
        Ok(squares(&rolled, self.side, false)?.f_reshape([-1, channels])?)
    }

    /// The map of `images` images that [`divide`](Self::divide) has divided.
    pub fn join(&self, rows: &Tensor, images: i64) -> Result<Tensor> {
        let channels = rows.size().last().copied().unwrap_or(0);
        let ([height, width], side) = (self.whole, self.side);
        let windows = rows.f_view([images, height / side, width / side, side, side, channels])?;
        let map = windows.f_permute([0i64, 1, 3, 2, 4, 5])?.f_reshape([images, height, width, channels])?;
        let map = if self.shift > 0 { map.f_roll([self.shift; 2], [1, 2])? } else { map };
        Ok(map.f_narrow(1, 0, self.extent[0])?.f_narrow(2, 0, self.extent[1])?)
    }

    /// What is added to the scores, `[windows, places, places]`; nothing where there is no shift.
    pub fn mask(&self, kind: Kind, device: Device) -> Result<Option<Tensor>> {
        if self.shift == 0 {
            return Ok(None);
        }
        // Three regions in each direction: places that were neighbours before the map was rolled share one.
        let region = |places: i64| -> Result<Tensor> {
            let at = Tensor::f_arange(places, (Kind::Int64, device))?;
            let after = |start: i64| -> Result<Tensor> { Ok(at.f_ge(start)?.f_to_kind(Kind::Int64)?) };
            Ok(after(places - self.side)?.f_add(&after(places - self.shift)?)?)
        };
        let [rows, columns] = [region(self.whole[0])?, region(self.whole[1])?];
        let regions = rows.f_mul_scalar(3)?.f_unsqueeze(1)?.f_add(&columns)?;
        let regions = squares(&regions.f_unsqueeze(0)?.f_unsqueeze(-1)?, self.side, false)?;
        let regions = regions.f_view([self.count(), self.places()])?;
        let apart = regions.f_unsqueeze(1)?.f_ne_tensor(&regions.f_unsqueeze(2)?)?;
        Ok(Some(apart.f_to_kind(kind)?.f_mul_scalar(APART)?))
    }
}

/// Which row of a table of biases belongs to each pair of places of a window, `[places · places]`: one for every
/// distance in rows and columns.
pub fn relative_index(side: i64, device: Device) -> Result<Tensor> {
    let places = || (0..side).flat_map(|row| (0..side).map(move |column| (row, column)));
    let span = 2 * side - 1;
    let index: Vec<i64> = places()
        .flat_map(|(row, column)| {
            places().map(move |(to_row, to_column)| (row - to_row + side - 1) * span + column - to_column + side - 1)
        })
        .collect();
    Ok(Tensor::f_from_slice(&index)?.f_to_device(device)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_divided_is_joined_again() -> Result<()> {
        for (extent, side, shifted) in [([8, 8], 4, true), ([7, 10], 3, true), ([7, 3], 3, true), ([5, 6], 4, false)] {
            let windows = Windows::of(extent, side, shifted);
            let count = 2 * extent[0] * extent[1] * 3;
            let x = Tensor::arange(count, (Kind::Float, Device::Cpu)).view([2, extent[0], extent[1], 3]);
            let rows = windows.divide(&x)?;
            assert_eq!(rows.size(), [2 * windows.count() * windows.places(), 3]);
            assert_eq!(windows.join(&rows, 2)?, x);
        }
        Ok(())
    }

    #[test]
    fn a_shift_keeps_strangers_apart() -> Result<()> {
        let mask = Windows::of([4, 4], 2, true).mask(Kind::Float, Device::Cpu)?.expect("shifted");
        // The first window lies within the map; the last holds its four corners.
        assert_eq!(mask.get(0).abs().sum(Kind::Float).double_value(&[]), 0.0);
        assert_eq!(mask.get(3).sum(Kind::Float).double_value(&[]), 12.0 * APART);
        assert!(Windows::of([2, 4], 2, true).mask(Kind::Float, Device::Cpu)?.is_none());
        Ok(())
    }
}
