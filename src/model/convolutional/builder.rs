//! Where a convolutional network's weights come from, a checkpoint or a random start, and the list of parameters that
//! they become.

use tch::{Device, Kind, Tensor};

use super::layers::{BatchNorm, Conv, channels_last};
use super::names::Naming;
use super::spec::{ConvSpec, NormSpec};
use crate::error::Result;
use crate::model::checkpoint::Weights;
use crate::model::parameter::{Parameter, ParameterLocation, Role};
use crate::random::{Distribution, Random, drawn};

/// Where the weights come from.
#[derive(Clone, Copy)]
pub enum ConvWeights<'a> {
    Checkpoint {
        weights: &'a Weights,
        naming: Naming,
    },
    /// As torchvision starts a ResNet, and timm an EfficientNet: convolutions normal with std √(2 / (outputs of a group
    /// · kernel area)) (He et al. 2015, by fan-out), norms 1 and 0, biases 0. Drawn on the CPU, so that a seed means
    /// the same on every device.
    Random {
        seed: u64,
        device: Device,
    },
}

/// Takes weights from their source and keeps the list of parameters that they become.
pub struct ConvBuilder<'a> {
    weights: ConvWeights<'a>,
    device: Device,
    parameters: Vec<Parameter>,
    /// Running means, running variances, numbers of batches.
    statistics: Vec<Parameter>,
    batches: Vec<Tensor>,
    drawn: u64,
}

impl<'a> ConvBuilder<'a> {
    /// Nothing taken yet.
    pub fn new(weights: ConvWeights<'a>, device: Device) -> Self {
        Self { weights, device, parameters: Vec::new(), statistics: Vec::new(), batches: Vec::new(), drawn: 0 }
    }

    /// All parameters, statistics last; and by stage the numbers of batches that its norms have seen, `[norms]`, of
    /// which the statistics are views.
    pub fn finish(mut self) -> (Vec<Parameter>, Vec<Tensor>) {
        self.parameters.extend(self.statistics);
        (self.parameters, self.batches)
    }

    /// A convolution of stage `stage`.
    pub fn conv(&mut self, spec: &ConvSpec, stage: usize) -> Result<Conv> {
        let name = format!("{}.weight", spec.name);
        let weight = self.kernel(&name, spec)?;
        self.parameter(name, &weight, stage);
        let bias = match spec.bias {
            true => Some(self.vector(format!("{}.bias", spec.name), spec.outputs, 0.0, stage)?),
            false => None,
        };
        let norm = spec.norm.as_ref().map(|norm| self.norm(norm, spec.outputs, stage)).transpose()?;
        Ok(Conv::new(spec.clone(), weight, bias, norm))
    }

    /// Ends a stage: its norms count their batches in one tensor.
    pub fn end_stage(&mut self, stage: usize) -> Result<()> {
        let counts = |parameter: &&mut Parameter| {
            parameter.location == ParameterLocation::Stage(stage) && parameter.tensor.kind() == Kind::Int64
        };
        let mut counters: Vec<&mut Parameter> = self.statistics.iter_mut().filter(counts).collect();
        let parts: Vec<&Tensor> = counters.iter().map(|counter| &counter.tensor).collect();
        let batches = match parts.as_slice() {
            [] => Tensor::f_zeros([0i64], (Kind::Int64, self.device))?,
            parts => Tensor::f_stack(parts, 0)?,
        };
        for (index, counter) in counters.iter_mut().enumerate() {
            counter.tensor = batches.f_select(0, index as i64)?;
        }
        self.batches.push(batches);
        Ok(())
    }

    fn norm(&mut self, spec: &NormSpec, channels: i64, stage: usize) -> Result<BatchNorm> {
        let NormSpec { name, epsilon, momentum } = spec;
        let weight = self.vector(format!("{name}.weight"), channels, 1.0, stage)?;
        let bias = self.vector(format!("{name}.bias"), channels, 0.0, stage)?;
        let mean = self.values(&format!("{name}.running_mean"), channels, 0.0)?;
        let variance = self.values(&format!("{name}.running_var"), channels, 1.0)?;
        let batches = format!("{name}.num_batches_tracked");
        let count = match self.weights {
            // Older files have none.
            ConvWeights::Checkpoint { weights, naming } if weights.has(&naming.stored(&batches)) => {
                weights.take_integer(&naming.stored(&batches))?
            }
            _ => 0,
        };
        let count = Tensor::f_scalar_tensor(count, (Kind::Int64, self.device))?;
        for (name, tensor) in [
            (format!("{name}.running_mean"), mean.shallow_clone()),
            (format!("{name}.running_var"), variance.shallow_clone()),
            (batches, count),
        ] {
            self.statistics.push(Parameter::new(name, tensor, ParameterLocation::Stage(stage), Role::Statistic));
        }
        Ok(BatchNorm { weight, bias, mean, variance, epsilon: *epsilon, momentum: *momentum })
    }

    fn vector(&mut self, name: String, length: i64, initial: f64, stage: usize) -> Result<Tensor> {
        let tensor = self.values(&name, length, initial)?;
        self.parameter(name, &tensor, stage);
        Ok(tensor)
    }

    fn parameter(&mut self, name: String, tensor: &Tensor, stage: usize) {
        self.parameters.push(Parameter::new(
            name,
            tensor.shallow_clone(),
            ParameterLocation::Stage(stage),
            Role::Weight,
        ));
    }

    fn values(&self, name: &str, length: i64, initial: f64) -> Result<Tensor> {
        match self.weights {
            ConvWeights::Checkpoint { weights, naming } => weights.take(&naming.stored(name), &[length]),
            ConvWeights::Random { device, .. } => Ok(Tensor::f_full([length], initial, (Kind::Float, device))?),
        }
    }

    fn kernel(&mut self, name: &str, spec: &ConvSpec) -> Result<Tensor> {
        let shape = spec.shape();
        match self.weights {
            ConvWeights::Checkpoint { weights, naming } => channels_last(&naming.take_kernel(weights, name, shape)?),
            ConvWeights::Random { seed, device } => {
                let [outputs, _, height, width] = shape;
                let seed = Random::of(&[seed, self.drawn]).next_u64();
                self.drawn += 1;
                let fan_out = outputs * height * width / spec.groups.max(1);
                let std = (2.0 / fan_out.max(1) as f64).sqrt();
                let weight = drawn(&shape, Distribution::Normal { std }, seed)?;
                channels_last(&weight.f_to_device(device)?)
            }
        }
    }
}
