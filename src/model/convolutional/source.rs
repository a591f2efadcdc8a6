//! Where the numbers of a network come from, a checkpoint or chance, and the list of parameters that they become.

use tch::{Device, Kind, Tensor};

use super::layers::{BatchNorm, Conv, ConvSpec, channels_last};
use super::names::Naming;
use crate::error::Result;
use crate::model::checkpoint::Weights;
use crate::model::parameters::{Parameter, Place};
use crate::random::{Random, from_torch};

/// Where the numbers come from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    Checkpoint {
        weights: &'a Weights,
        naming: Naming,
    },
    /// As torchvision starts a ResNet: convolutions normal with deviation √(2 / (outputs · kernel area)) (He et al. 2015,
    /// by fan-out), norms 1 and 0, biases 0. Drawn on the CPU, so that a seed means the same on every device.
    Fresh {
        seed: u64,
        device: Device,
    },
}

/// Takes numbers from a source and keeps the list of what they become.
pub struct Builder<'a> {
    source: Source<'a>,
    device: Device,
    pub parameters: Vec<Parameter>,
    /// Running means, running variances, numbers of batches.
    pub statistics: Vec<Parameter>,
    /// By stage: the numbers of batches that its norms have seen, `[norms]`; what [`statistics`](Self::statistics) lists
    /// are views of it.
    pub batches: Vec<Tensor>,
    drawn: u64,
}

impl<'a> Builder<'a> {
    pub fn new(source: Source<'a>, device: Device) -> Self {
        Self { source, device, parameters: Vec::new(), statistics: Vec::new(), batches: Vec::new(), drawn: 0 }
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
        let norm =
            spec.norm.as_ref().map(|(name, epsilon)| self.norm(name, spec.outputs, *epsilon, stage)).transpose()?;
        Ok(Conv { spec: spec.clone(), weight, bias, norm, folded: None })
    }

    /// Ends a stage: its norms count their batches in one tensor.
    pub fn end_stage(&mut self, stage: usize) -> Result<()> {
        let counts = |parameter: &&mut Parameter| {
            parameter.place == Place::Stage(stage) && parameter.tensor.kind() == Kind::Int64
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

    fn norm(&mut self, name: &str, channels: i64, epsilon: f64, stage: usize) -> Result<BatchNorm> {
        let weight = self.vector(format!("{name}.weight"), channels, 1.0, stage)?;
        let bias = self.vector(format!("{name}.bias"), channels, 0.0, stage)?;
        let mean = self.numbers(&format!("{name}.running_mean"), channels, 0.0)?;
        let variance = self.numbers(&format!("{name}.running_var"), channels, 1.0)?;
        let batches = format!("{name}.num_batches_tracked");
        let count = match self.source {
            // Older files have none.
            Source::Checkpoint { weights, naming } if weights.has(&naming.stored(&batches)) => {
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
            self.statistics.push(Parameter::new(name, tensor, Place::Stage(stage)));
        }
        Ok(BatchNorm { weight, bias, mean, variance, epsilon })
    }

    fn vector(&mut self, name: String, length: i64, fresh: f64, stage: usize) -> Result<Tensor> {
        let tensor = self.numbers(&name, length, fresh)?;
        self.parameter(name, &tensor, stage);
        Ok(tensor)
    }

    fn parameter(&mut self, name: String, tensor: &Tensor, stage: usize) {
        self.parameters.push(Parameter::new(name, tensor.shallow_clone(), Place::Stage(stage)));
    }

    fn numbers(&self, name: &str, length: i64, fresh: f64) -> Result<Tensor> {
        match self.source {
            Source::Checkpoint { weights, naming } => weights.take(&naming.stored(name), &[length]),
            Source::Fresh { device, .. } => Ok(Tensor::f_full([length], fresh, (Kind::Float, device))?),
        }
    }

    fn kernel(&mut self, name: &str, spec: &ConvSpec) -> Result<Tensor> {
        let ConvSpec { outputs, inputs, kernel, .. } = *spec;
        match self.source {
            Source::Checkpoint { weights, naming } => {
                channels_last(&naming.take_kernel(weights, name, outputs, inputs, kernel)?)
            }
            Source::Fresh { seed, device } => {
                let [height, width] = kernel;
                let seed = Random::of(&[seed, self.drawn]).next_u64();
                self.drawn += 1;
                let deviation = (2.0 / (outputs * height * width).max(1) as f64).sqrt();
                let shape = [outputs, inputs, height, width];
                let mut empty = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
                let drawn = from_torch(seed, || empty.f_normal_(0.0, deviation))?;
                channels_last(&drawn.f_to_device(device)?)
            }
        }
    }
}
