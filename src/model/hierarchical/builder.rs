//! What a hierarchical network takes its tensors with. Within the program, and in what it saves, they have
//! transformers' names; the families translate others.

use std::ops::{Deref, DerefMut};

use tch::Tensor;

use crate::error::Result;
use crate::model::builder::{Initial, NetworkWeights, ParameterBuilder};
use crate::model::convolutional::channels_last;
use crate::model::layers::{LayerNorm, Linear, NormKind, WeightDtype};
use crate::model::parameter::{Parameter, Role};

/// Takes tensors from their source and keeps the list of parameters that they become.
pub struct HierarchyBuilder<'a>(ParameterBuilder<'a>);

impl<'a> Deref for HierarchyBuilder<'a> {
    type Target = ParameterBuilder<'a>;

    fn deref(&self) -> &ParameterBuilder<'a> {
        &self.0
    }
}

impl DerefMut for HierarchyBuilder<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<'a> HierarchyBuilder<'a> {
    /// Linear layers keep their weights in `dtype`; all else is kept as the source has it.
    pub fn new(weights: NetworkWeights<'a>, dtype: WeightDtype) -> Self {
        Self(ParameterBuilder::new(weights, dtype, [""; 2]))
    }

    /// The parameters of all that was taken, in that order.
    pub fn into_parameters(self) -> Vec<Parameter> {
        self.0.parameters
    }

    /// The tensor `name`, which may be stored in the shape `other`, of as many numbers in the same order.
    pub fn take_as(
        &mut self,
        name: &str,
        shape: &[i64],
        other: &[i64],
        stage: usize,
        initial: Initial,
    ) -> Result<Tensor> {
        let is_other = |found: &[usize]| found.iter().map(|&size| size as i64).eq(other.iter().copied());
        match self.weights {
            NetworkWeights::Checkpoint(weights) if weights.shape(name).is_some_and(is_other) => {
                let tensor = weights.take(name, other)?.f_view(shape)?;
                Ok(self.register(name, tensor, stage, Role::Weight))
            }
            _ => self.take(name, shape, stage, initial),
        }
    }

    /// The weight of a convolution, `[outputs, inputs, rows, columns]`, channels last in memory.
    pub fn kernel(&mut self, name: &str, shape: &[i64; 4], stage: usize) -> Result<Tensor> {
        let tensor = channels_last(&self.unregistered(name, shape, Initial::Normal)?)?;
        Ok(self.register(name, tensor, stage, Role::Weight))
    }

    /// The linear layer `name`, whose weight may be stored as that of a 1×1 convolution.
    pub fn linear_or_pointwise(&mut self, name: &str, inputs: i64, outputs: i64, stage: usize) -> Result<Linear> {
        let (weight, shape) = (format!("{name}.weight"), [outputs, inputs]);
        let weight = self.take_as(&weight, &shape, &[outputs, inputs, 1, 1], stage, Initial::Normal)?;
        let bias = self.take(&format!("{name}.bias"), &[outputs], stage, Initial::Filled(0.0))?;
        self.in_dtype(weight, Some(bias))
    }

    /// The layer norm `name`.
    pub fn norm(&mut self, name: &str, width: i64, epsilon: f64, stage: usize) -> Result<LayerNorm> {
        Ok(LayerNorm {
            weight: self.take(&format!("{name}.weight"), &[width], stage, Initial::Filled(1.0))?,
            bias: self.take(&format!("{name}.bias"), &[width], stage, Initial::Filled(0.0))?,
            epsilon,
            kind: NormKind::Layer,
        })
    }
}
