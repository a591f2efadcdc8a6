//! Where a hierarchical network's weights come from, a checkpoint or a random start, and the list of parameters that
//! they become. Within the program, and in what it saves, tensors have transformers' names; the families translate
//! others.

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::model::checkpoint::Weights;
use crate::model::convolutional::channels_last;
use crate::model::encoder::{EncoderWeights, INITIAL_STD};
use crate::model::layers::{LayerNorm, Linear, NormKind, WeightDtype, cast};
use crate::model::parameter::{Parameter, ParameterLocation, Role};
use crate::native::Int8Linear;
use crate::random::{Distribution, Random, drawn};

/// What a random start makes of a tensor: weights normal with std [`INITIAL_STD`], or one value everywhere.
#[derive(Clone, Copy)]
pub enum Initial {
    Normal,
    Filled(f64),
}

/// Takes tensors from their source and keeps the list of parameters that they become.
pub struct HierarchyBuilder<'a> {
    weights: EncoderWeights<'a>,
    dtype: WeightDtype,
    parameters: Vec<Parameter>,
    drawn: u64,
}

impl<'a> HierarchyBuilder<'a> {
    /// Linear layers keep their weights in `dtype`; all else is kept as the source has it.
    pub fn new(weights: EncoderWeights<'a>, dtype: WeightDtype) -> Self {
        Self { weights, dtype, parameters: Vec::new(), drawn: 0 }
    }

    /// The parameters of all that was taken, in that order.
    pub fn into_parameters(self) -> Vec<Parameter> {
        self.parameters
    }

    /// The tensor `name`.
    pub fn take(&mut self, name: String, shape: &[i64], stage: usize, initial: Initial) -> Result<Tensor> {
        let tensor = self.unregistered(&name, shape, initial)?;
        Ok(self.register(vec![(name, shape.first().copied().unwrap_or(1))], tensor, stage))
    }

    /// The same, which may be stored in the shape `other`, of as many numbers in the same order.
    pub fn take_as(
        &mut self,
        name: String,
        shape: &[i64],
        other: &[i64],
        stage: usize,
        initial: Initial,
    ) -> Result<Tensor> {
        let has = |weights: &Weights| {
            weights.shape(&name).is_some_and(|found| found.iter().map(|&size| size as i64).eq(other.iter().copied()))
        };
        match self.weights {
            EncoderWeights::Checkpoint(weights) if has(weights) => {
                let tensor = weights.take(&name, other)?.f_view(shape)?;
                Ok(self.register(vec![(name, shape.first().copied().unwrap_or(1))], tensor, stage))
            }
            _ => self.take(name, shape, stage, initial),
        }
    }

    /// The weight of a convolution, `[outputs, inputs, rows, columns]`, channels last in memory.
    pub fn kernel(&mut self, name: String, shape: &[i64; 4], stage: usize) -> Result<Tensor> {
        let tensor = channels_last(&self.unregistered(&name, shape, Initial::Normal)?)?;
        Ok(self.register(vec![(name, shape[0])], tensor, stage))
    }

    /// The linear layer `name`, whose weight may be stored as that of a 1×1 convolution.
    pub fn linear(&mut self, name: &str, inputs: i64, outputs: i64, stage: usize) -> Result<Linear> {
        let (weight, shape) = (format!("{name}.weight"), [outputs, inputs]);
        let weight = self.take_as(weight, &shape, &[outputs, inputs, 1, 1], stage, Initial::Normal)?;
        let bias = self.take(format!("{name}.bias"), &[outputs], stage, Initial::Filled(0.0))?;
        self.in_dtype(weight, Some(bias))
    }

    /// The linear layer `name` without a bias.
    pub fn linear_without_bias(&mut self, name: &str, inputs: i64, outputs: i64, stage: usize) -> Result<Linear> {
        let weight = self.take(format!("{name}.weight"), &[outputs, inputs], stage, Initial::Normal)?;
        self.in_dtype(weight, None)
    }

    /// Three linear layers of `width` inputs and outputs as one, stored under their own names.
    pub fn fused_linear(&mut self, names: [String; 3], width: i64, bias: bool, stage: usize) -> Result<Linear> {
        let mut fused = |field: &str, shape: &[i64], initial: Initial| {
            let parts: Vec<_> = names.iter().map(|name| (format!("{name}.{field}"), width)).collect();
            let take = |(name, _): &(String, i64)| self.unregistered(name, shape, initial);
            let tensors = parts.iter().map(take).collect::<Result<Vec<_>>>()?;
            Ok::<_, Error>(self.register(parts, Tensor::f_cat(&tensors, 0)?, stage))
        };
        let weight = fused("weight", &[width, width], Initial::Normal)?;
        let bias = if bias { Some(fused("bias", &[width], Initial::Filled(0.0))?) } else { None };
        self.in_dtype(weight, bias)
    }

    /// The layer norm `name`.
    pub fn norm(&mut self, name: &str, width: i64, epsilon: f64, stage: usize) -> Result<LayerNorm> {
        Ok(LayerNorm {
            weight: self.take(format!("{name}.weight"), &[width], stage, Initial::Filled(1.0))?,
            bias: self.take(format!("{name}.bias"), &[width], stage, Initial::Filled(0.0))?,
            epsilon,
            kind: NormKind::Layer,
        })
    }

    fn unregistered(&mut self, name: &str, shape: &[i64], initial: Initial) -> Result<Tensor> {
        let (seed, device) = match self.weights {
            EncoderWeights::Checkpoint(weights) => return weights.take(name, shape),
            EncoderWeights::Random { seed, device } => (seed, device),
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

    fn register(&mut self, parts: Vec<(String, i64)>, tensor: Tensor, stage: usize) -> Tensor {
        let location = ParameterLocation::Stage(stage);
        self.parameters.push(Parameter { parts, tensor: tensor.shallow_clone(), location, role: Role::Weight });
        tensor
    }

    /// The linear layer of the tensors that were taken last, in the dtype that it is kept in. Without a bias it adds
    /// zeros, which are no parameter.
    fn in_dtype(&mut self, weight: Tensor, bias: Option<Tensor>) -> Result<Linear> {
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
