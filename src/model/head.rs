//! The head: from a feature vector to a score for each class.
//!
//! Knows a feature width and a number of classes, nothing of text or pixels. BERT's own head has a hidden layer (the
//! pooler, pretrained) before the linear one; with mean pooling, and for images, the linear layer is all there is. The
//! linear layer is made anew for each set of labels.

use tch::{Device, Kind, Tensor};

use super::backbone::{DropoutKeys, Pass};
use super::checkpoint::Weights;
use super::encoder::Activation;
use super::parameters::{Linear, Parameter, Place, cast};
use crate::error::Result;
use crate::random::from_torch;

/// A linear classifier on features, with an optional hidden layer before it.
pub struct Head {
    hidden: Option<(Linear, Activation)>,
    dropout: f64,
    output: Linear,
    parameters: Vec<Parameter>,
}

/// A layer with the names that its tensors are stored under, and where it came from.
pub struct NamedLinear {
    pub linear: Linear,
    /// `classifier` gives `classifier.weight` and `classifier.bias`.
    pub name: String,
    pub place: Place,
}

impl NamedLinear {
    /// The layer `name` of a checkpoint.
    pub fn stored(weights: &Weights, name: &str, outputs: i64, inputs: i64, place: Place) -> Result<Self> {
        let weight = weights.take(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = weights.take(&format!("{name}.bias"), &[outputs])?;
        Ok(Self { linear: Linear::new(weight, bias), name: name.to_owned(), place })
    }

    fn parameters(&self) -> [Parameter; 2] {
        [
            Parameter::new(format!("{}.weight", self.name), self.linear.weight.shallow_clone(), self.place),
            Parameter::new(format!("{}.bias", self.name), self.linear.bias.shallow_clone(), self.place),
        ]
    }
}

/// Rows that go through the last product together, in evaluation.
const ROWS: i64 = 16;

impl Head {
    /// `hidden`, when there is one, maps features to features of the same width.
    pub fn new(hidden: Option<(NamedLinear, Activation)>, dropout: f64, output: NamedLinear) -> Self {
        let mut parameters = Vec::new();
        if let Some((hidden, _)) = &hidden {
            parameters.extend(hidden.parameters());
        }
        parameters.extend(output.parameters());
        Self {
            hidden: hidden.map(|(hidden, activation)| (hidden.linear, activation)),
            dropout,
            output: output.linear,
            parameters,
        }
    }

    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Those that decide what [`penultimate`](Self::penultimate) gives.
    pub fn parameters_before_output(&self) -> &[Parameter] {
        self.parameters.get(..self.parameters.len().saturating_sub(2)).unwrap_or_default()
    }

    /// How many classes it tells apart.
    pub fn classes(&self) -> i64 {
        self.output.bias.size().first().copied().unwrap_or(0)
    }

    /// What the linear layer gets to see: `[N, width]` to `[N, width]`.
    pub fn penultimate(&self, features: &Tensor, pass: Pass) -> Result<Tensor> {
        match &self.hidden {
            Some((hidden, activation)) => activation.apply(&hidden.forward(features, pass)?),
            None => Ok(features.shallow_clone()),
        }
    }

    /// Logits `[N, classes]` in fp32 from features `[N, width]`.
    pub fn forward(&self, features: &Tensor, pass: Pass) -> Result<Tensor> {
        let x = DropoutKeys::apply(pass.dropout, self.penultimate(features, pass)?, self.dropout)?;
        // The last product is small and its result is what people read: fp32 throughout.
        let pass = Pass { compute: Kind::Float, ..pass };
        let x = cast(&x, Kind::Float)?;
        if pass.dropout.is_some() || x.device() != Device::Cpu {
            return self.output.forward(&x, pass);
        }
        // A CPU's libraries choose how to sum by the number of rows: always the same number, and a row's answer is its own.
        let rows = x.size().first().copied().unwrap_or_default();
        let filled = x.f_constant_pad_nd([0, 0, 0, (-rows).rem_euclid(ROWS)])?;
        let parts = filled.f_split(ROWS, 0)?;
        let parts = parts.iter().map(|part| self.output.forward(part, pass)).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::f_cat(&parts, 0)?.f_narrow(0, 0, rows)?)
    }

    /// Sets the linear layer: `weight` `[classes, width]`, `bias` `[classes]`.
    pub fn set_output(&mut self, weight: &Tensor, bias: &Tensor) -> Result<()> {
        tch::no_grad(|| {
            self.output.weight.f_copy_(weight)?;
            self.output.bias.f_copy_(bias)?;
            Ok(())
        })
    }
}

/// A fresh linear layer as Hugging Face makes one: weights normal with deviation `deviation`, biases zero. Drawn on the
/// CPU, so that a seed means the same weights on every device.
pub fn fresh_linear(inputs: i64, outputs: i64, deviation: f64, seed: u64, device: Device) -> Result<Linear> {
    let mut empty = Tensor::f_empty([outputs, inputs], (Kind::Float, Device::Cpu))?;
    let weight = from_torch(seed, || empty.f_normal_(0.0, deviation))?;
    Ok(Linear::new(weight.f_to_device(device)?, Tensor::f_zeros([outputs], (Kind::Float, device))?))
}
