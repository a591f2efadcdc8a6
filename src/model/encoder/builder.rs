//! What an encoder takes its tensors with: by its family's names, with the norms that the family has.

use std::ops::{Deref, DerefMut};

use tch::{Device, Kind, Tensor};

use super::config::EncoderConfig;
use super::names::Names;
use crate::error::Result;
use crate::model::builder::{Initial, NetworkWeights, ParameterBuilder};
use crate::model::layers::{LayerNorm, NormKind, WeightDtype};
use crate::model::parameter::{Parameter, Role};

/// Takes tensors from their source and keeps the list of parameters that they become.
pub struct EncoderBuilder<'a> {
    pub names: &'a Names,
    tensors: ParameterBuilder<'a>,
    norm_kind: NormKind,
    /// Whether norms have a bias.
    norm_bias: bool,
}

impl<'a> Deref for EncoderBuilder<'a> {
    type Target = ParameterBuilder<'a>;

    fn deref(&self) -> &ParameterBuilder<'a> {
        &self.tensors
    }
}

impl DerefMut for EncoderBuilder<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.tensors
    }
}

impl<'a> EncoderBuilder<'a> {
    /// Linear layers keep their weights in `dtype`; all else is kept as the source has it.
    pub fn new(names: &'a Names, weights: NetworkWeights<'a>, dtype: WeightDtype, config: &EncoderConfig) -> Self {
        let stored_prefix = match weights {
            NetworkWeights::Checkpoint(weights) => names.stored_prefix(weights),
            NetworkWeights::Random { .. } => names.prefix,
        };
        let EncoderConfig { norm_kind, norm_bias, .. } = *config;
        let tensors = ParameterBuilder::new(weights, dtype, [names.prefix, stored_prefix]);
        Self { names, tensors, norm_kind, norm_bias }
    }

    /// The parameters of all that was taken, in that order.
    pub fn into_parameters(self) -> Vec<Parameter> {
        self.tensors.parameters
    }

    /// The tensor `name`, `[1, rows, width]`, below a first row of zeros, which the checkpoint lacks.
    pub fn take_after_zeros(&mut self, name: &str, [rows, width]: [i64; 2], stage: usize) -> Result<Tensor> {
        let stored = self.unregistered(name, &[1, rows, width], Initial::Normal)?;
        let tensor = stored.f_constant_pad_nd([0, 0, 1, 0])?;
        Ok(self.register(name, tensor, stage, Role::Weight))
    }

    /// The tensor `name` for the files that are written, where the family's Python library expects it; zeros where the
    /// checkpoint lacks it.
    pub fn keep(&mut self, name: &str, shape: &[i64], stage: usize) -> Result<()> {
        let stored = format!("{}{name}", self.stored_prefix);
        let tensor = match self.weights {
            NetworkWeights::Checkpoint(weights) if weights.has(&stored) => weights.take(&stored, shape)?,
            _ => Tensor::f_zeros(shape, (Kind::Float, Device::Cpu))?,
        };
        let _ = self.register(name, tensor, stage, Role::Kept);
        Ok(())
    }

    /// A table that token ids index. On a GPU it is a weight like others: there updating the whole is quicker than
    /// finding the rows.
    pub fn take_table(&mut self, name: &str, shape: &[i64], stage: usize) -> Result<Tensor> {
        let tensor = self.take(name, shape, stage, Initial::Normal)?;
        if let Some(parameter) = self.parameters.last_mut().filter(|_| tensor.device() == Device::Cpu) {
            parameter.role = Role::Table;
        }
        Ok(tensor)
    }

    /// The layer norm `name`.
    pub fn norm(&mut self, name: &str, width: i64, epsilon: f64, stage: usize) -> Result<LayerNorm> {
        let weight = self.take(&format!("{name}.weight"), &[width], stage, Initial::Filled(1.0))?;
        Ok(LayerNorm {
            bias: match self.norm_bias {
                true => self.take(&format!("{name}.bias"), &[width], stage, Initial::Filled(0.0))?,
                // Zeros, which are no parameter.
                false => Tensor::f_zeros([width], (Kind::Float, weight.device()))?,
            },
            weight,
            epsilon,
            kind: self.norm_kind,
        })
    }
}
