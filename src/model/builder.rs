//! Where a network's weights come from, a checkpoint or a random start, and the list of parameters that they become.
//! What the tensors are called and which a network has is the affair of the networks (`encoder/`, `hierarchical/`).

use tch::{Device, Kind, Tensor};

use super::checkpoint::Weights;
use super::layers::{Linear, WeightDtype, cast};
use super::parameter::{Parameter, ParameterLocation, Role};
use crate::error::Result;
use crate::native::Int8Linear;
use crate::random::{Distribution, Random, drawn};

/// The standard deviation that weights are drawn with, as transformers' `initializer_range`.
pub const INITIAL_STD: f64 = 0.02;

/// Where a network's weights come from.
#[derive(Clone, Copy)]
pub enum NetworkWeights<'a> {
    Checkpoint(&'a Weights),
    /// Drawn by `seed`, as transformers does: weights normal with std [`INITIAL_STD`], biases 0, norms that change
    /// nothing.
    Random {
        seed: u64,
        device: Device,
    },
}

/// What a random start makes of a tensor.
#[derive(Clone, Copy)]
pub enum Initial {
    Normal,
    Filled(f64),
}

/// Takes tensors from their source and keeps the list of parameters that they become.
pub struct ParameterBuilder<'a> {
    pub weights: NetworkWeights<'a>,
    pub parameters: Vec<Parameter>,
    /// What stands before the names in files that are written, and what in the checkpoint.
    prefix: &'static str,
    pub stored_prefix: &'static str,
    dtype: WeightDtype,
    /// How many tensors have been drawn.
    drawn: u64,
}

impl<'a> ParameterBuilder<'a> {
    /// Linear layers keep their weights in `dtype`; all else is kept as the source has it. `prefixes`: what stands
    /// before the names in files that are written, and what in the checkpoint.
    pub fn new(weights: NetworkWeights<'a>, dtype: WeightDtype, prefixes: [&'static str; 2]) -> Self {
        let [prefix, stored_prefix] = prefixes;
        Self { weights, parameters: Vec::new(), prefix, stored_prefix, dtype, drawn: 0 }
    }

    /// The tensor `name`, registered under the name that a classification checkpoint gives it.
    pub fn take(&mut self, name: &str, shape: &[i64], stage: usize, initial: Initial) -> Result<Tensor> {
        let tensor = self.unregistered(name, shape, initial)?;
        Ok(self.register(name, tensor, stage, Role::Weight))
    }

    /// Adds a tensor to the parameters.
    pub fn register(&mut self, name: &str, tensor: Tensor, stage: usize, role: Role) -> Tensor {
        let (name, location) = (format!("{}{name}", self.prefix), ParameterLocation::Stage(stage));
        self.parameters.push(Parameter::new(name, tensor.shallow_clone(), location, role));
        tensor
    }

    /// A tensor as the source has it, which is no parameter yet.
    pub fn unregistered(&mut self, name: &str, shape: &[i64], initial: Initial) -> Result<Tensor> {
        let (seed, device) = match self.weights {
            NetworkWeights::Checkpoint(weights) => {
                return weights.take(&format!("{}{name}", self.stored_prefix), shape);
            }
            NetworkWeights::Random { seed, device } => (seed, device),
        };
        let tensor = match initial {
            Initial::Filled(value) => Tensor::f_full(shape, value, (Kind::Float, Device::Cpu))?,
            Initial::Normal => {
                let seed = Random::of(&[seed, self.drawn]).next_u64();
                self.drawn += 1;
                drawn(shape, Distribution::Normal { std: INITIAL_STD }, seed)?
            }
        };
        Ok(tensor.f_to_device(device)?)
    }

    /// Several tensors as one, stacked along dimension 0, stored under their own names.
    fn take_fused(&mut self, parts: &[(String, Vec<i64>)], stage: usize, initial: Initial) -> Result<Tensor> {
        let tensors = parts.iter().map(|(name, shape)| self.unregistered(name, shape, initial));
        let tensor = Tensor::f_cat(&tensors.collect::<Result<Vec<_>>>()?, 0)?;
        let rows = |shape: &[i64]| shape.first().copied().unwrap_or(1);
        let parts = parts.iter().map(|(name, shape)| (format!("{}{name}", self.prefix), rows(shape))).collect();
        let location = ParameterLocation::Stage(stage);
        self.parameters.push(Parameter { parts, tensor: tensor.shallow_clone(), location, role: Role::Weight });
        Ok(tensor)
    }

    /// The linear layer `name`, perhaps without a bias.
    pub fn linear_with(&mut self, bias: bool, name: &str, inputs: i64, outputs: i64, stage: usize) -> Result<Linear> {
        match bias {
            true => self.linear(name, inputs, outputs, stage),
            false => self.linear_without_bias(name, inputs, outputs, stage),
        }
    }

    /// The linear layer `name`.
    pub fn linear(&mut self, name: &str, inputs: i64, outputs: i64, stage: usize) -> Result<Linear> {
        let weight = self.take(&format!("{name}.weight"), &[outputs, inputs], stage, Initial::Normal)?;
        let bias = self.take(&format!("{name}.bias"), &[outputs], stage, Initial::Filled(0.0))?;
        self.in_dtype(weight, Some(bias))
    }

    /// The same without a bias.
    pub fn linear_without_bias(&mut self, name: &str, inputs: i64, outputs: i64, stage: usize) -> Result<Linear> {
        let weight = self.take(&format!("{name}.weight"), &[outputs, inputs], stage, Initial::Normal)?;
        self.in_dtype(weight, None)
    }

    /// Several linear layers of the same inputs as one: their names and outputs.
    pub fn fused_linear(&mut self, parts: &[(String, i64)], inputs: i64, bias: bool, stage: usize) -> Result<Linear> {
        let weights: Vec<_> =
            parts.iter().map(|(name, outputs)| (format!("{name}.weight"), vec![*outputs, inputs])).collect();
        let biases: Vec<_> = parts.iter().map(|(name, outputs)| (format!("{name}.bias"), vec![*outputs])).collect();
        let weight = self.take_fused(&weights, stage, Initial::Normal)?;
        let bias = match bias {
            true => Some(self.take_fused(&biases, stage, Initial::Filled(0.0))?),
            false => None,
        };
        self.in_dtype(weight, bias)
    }

    /// The linear layer of the tensors that were taken last, in the dtype that it is kept in. Without a bias it adds
    /// zeros, which are no parameter.
    pub fn in_dtype(&mut self, weight: Tensor, bias: Option<Tensor>) -> Result<Linear> {
        let has_bias = bias.is_some();
        let bias = match bias {
            Some(bias) => bias,
            None => Tensor::f_zeros([weight.size2()?.0], (Kind::Float, weight.device()))?,
        };
        let WeightDtype::Float(kind) = self.dtype else {
            let int8 = Some(Int8Linear::pack(&weight, &bias)?);
            return Ok(Linear { int8, ..Linear::new(weight, bias) });
        };
        let linear = Linear::new(cast(&weight, kind)?, cast(&bias, kind)?);
        let held = if has_bias { vec![&linear.bias, &linear.weight] } else { vec![&linear.weight] };
        for (parameter, tensor) in self.parameters.iter_mut().rev().zip(held) {
            parameter.tensor = tensor.shallow_clone();
        }
        Ok(linear)
    }
}
