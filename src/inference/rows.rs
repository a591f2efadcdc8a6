//! One row of values per example: logits or features as they come from a network.

use tch::kind::Element;
use tch::{Device, Tensor};

use crate::error::Result;

/// The values of a tensor of any shape, kind and device, row by row.
pub fn to_vec<T: Element + Clone>(tensor: &Tensor) -> Result<Vec<T>> {
    let tensor = tensor.f_to_kind(T::KIND)?.f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut values = vec![T::ZERO; tensor.numel()];
    tensor.f_copy_data(&mut values, tensor.numel())?;
    Ok(values)
}

/// One row of values per example, in the examples' order.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Row-major.
    pub values: Vec<f32>,
    /// Values of each example.
    pub width: usize,
}

impl Rows {
    /// The values of example `index`.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// Those of the examples at `indices`, in this order.
    pub fn part(&self, indices: &[usize]) -> Self {
        Self { values: indices.iter().flat_map(|&index| self.row(index)).copied().collect(), width: self.width }
    }

    /// How many examples there are; 0 where the width is 0.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The first `widths[0]` values of each row, and the `widths[1]` after them.
    pub fn divided(&self, widths: [usize; 2]) -> [Self; 2] {
        let [first, second] = widths;
        let mut parts = widths.map(|width| Self { values: Vec::with_capacity(self.len() * width), width });
        for index in 0..self.len() {
            let (left, right) = self.row(index).split_at(first.min(self.width));
            parts[0].values.extend_from_slice(left);
            parts[1].values.extend_from_slice(right.get(..second).unwrap_or(right));
        }
        parts
    }

    /// `[len, width]`, fp32, on the CPU.
    pub fn to_tensor(&self) -> Result<Tensor> {
        Ok(Tensor::f_from_slice(&self.values)?.f_view([self.len() as i64, self.width as i64])?)
    }
}

/// Rows that may have been computed in part, by an interrupted call.
pub struct Partial {
    /// All examples'; zeros where nothing has been computed.
    pub rows: Rows,
    /// By example.
    pub done: Vec<bool>,
}

impl Partial {
    /// Nothing computed yet, for `examples` rows of `width` values.
    pub fn new(examples: usize, width: usize) -> Self {
        Self { rows: Rows { values: vec![0.0; examples * width], width }, done: vec![false; examples] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn rows_are_divided_in_two() {
        let rows = Rows { values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], width: 3 };
        let [first, second] = rows.divided([1, 2]);
        assert_eq!((first.values, first.width), (vec![1.0, 4.0], 1));
        assert_eq!((second.values, second.width), (vec![2.0, 3.0, 5.0, 6.0], 2));
    }

    #[test]
    fn values_come_row_by_row_whatever_the_layout_and_the_kind() -> Result<()> {
        let table = Tensor::from_slice(&[1i64, 2, 3, 4, 5, 6]).view([2, 3]);
        assert_eq!(to_vec::<i64>(&table.transpose(0, 1))?, [1, 4, 2, 5, 3, 6]);
        assert_eq!(to_vec::<f32>(&table.to_kind(Kind::BFloat16).narrow(1, 1, 2))?, [2.0, 3.0, 5.0, 6.0]);
        assert!(to_vec::<f64>(&table.narrow(0, 0, 0))?.is_empty());
        Ok(())
    }
}
