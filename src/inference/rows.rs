//! One row of numbers an example: logits or features as they come from a network.

use tch::Tensor;

use crate::error::Result;

/// One row of numbers an example, in the examples' order.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Row-major.
    pub values: Vec<f32>,
    pub width: usize,
}

impl Rows {
    /// The numbers of example `index`.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// `[len, width]`, fp32, on the CPU.
    pub fn to_tensor(&self) -> Result<Tensor> {
        Ok(Tensor::f_from_slice(&self.values)?.f_view([self.len() as i64, self.width as i64])?)
    }
}

/// Rows that may have been computed in part, by an interrupted call.
pub struct Partial {
    pub rows: Rows,
    /// By example.
    pub done: Vec<bool>,
}

impl Partial {
    /// Nothing computed yet, for `examples` rows of `width` numbers.
    pub fn new(examples: usize, width: usize) -> Self {
        Self { rows: Rows { values: vec![0.0; examples * width], width }, done: vec![false; examples] }
    }
}
