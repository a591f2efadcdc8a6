//! The head: from a feature vector to a score for each class.
//!
//! Knows a feature width and a number of classes, nothing of text or pixels. BERT's own head has a hidden layer (the
//! pooler, pretrained) before the output, RoBERTa's too (newly initialised); with mean pooling, and for images, the
//! output layer is all there is. The family says which head it has; where its weights come from is decided
//! in `load.rs`.

use tch::{Device, Kind, Tensor};

use super::activation::Activation;
use super::checkpoint::Weights;
use super::layers::{LayerNorm, Linear, NormKind, cast};
use super::parameter::{Parameter, ParameterLocation, Role};
use super::pass::{DropoutKeys, Pass};
use crate::data::Scaling;
use crate::error::Result;
use crate::random::{Distribution, drawn};

/// A linear classifier on features, with an optional hidden layer before it.
pub struct Head {
    hidden: Option<Hidden>,
    dropout: f64,
    output: Linear,
    /// What the outputs are multiplied by and added to, while a head for standardised numbers is trained.
    scaling: Option<Scaling>,
    parameters: Vec<Parameter>,
    /// Whether the hidden layer reads every token, and the mean comes after it.
    pub each_token: bool,
}

/// The hidden layer: `activation(linear(dropout(features)))`, as wide as the features.
pub struct Hidden<L = Linear> {
    /// `[width, width]`; a [`NamedLinear`] until [`Head::new`] has listed its parameters.
    pub linear: L,
    /// Applied to what the layer gives.
    pub activation: Activation,
    /// Dropout before it.
    pub dropout: f64,
    /// Applied after the activation.
    pub norm: Option<NamedNorm>,
}

/// A norm with the name that its tensors are stored under, and where it came from.
pub struct NamedNorm {
    /// `[width]`, in fp32.
    pub norm: LayerNorm,
    /// `head.norm` gives `head.norm.weight` and, if it has one, `head.norm.bias`.
    pub name: String,
    /// Whether the bias is a parameter, and not zeros.
    pub has_bias: bool,
    /// Whether it was loaded with the backbone or belongs to the new head.
    pub location: ParameterLocation,
}

/// How a hidden layer begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HiddenState {
    /// How long the layer makes a random vector of length 1, as the root of the mean square: 1 for the identity.
    pub gain: f64,
    /// Whether it was newly initialised rather than loaded.
    pub is_new: bool,
    /// Applied to what the layer gives.
    pub activation: Activation,
}

/// A layer with the names that its tensors are stored under, and where it came from.
pub struct NamedLinear {
    /// `[outputs, width]`, in fp32.
    pub linear: Linear,
    /// `classifier` gives `classifier.weight` and, if it has one, `classifier.bias`.
    pub name: String,
    /// Whether the bias is a parameter, and not zeros.
    pub has_bias: bool,
    /// Whether it was loaded with the backbone or belongs to the new head.
    pub location: ParameterLocation,
}

/// A layer's weight, and its bias where that is a parameter.
fn named(
    [weight, bias]: [&Tensor; 2],
    has_bias: bool,
    name: &str,
    location: ParameterLocation,
) -> impl Iterator<Item = Parameter> {
    let tensors = [("weight", weight), ("bias", bias)].map(|(field, tensor)| {
        Parameter::new(format!("{name}.{field}"), tensor.shallow_clone(), location, Role::Weight)
    });
    tensors.into_iter().take(if has_bias { 2 } else { 1 })
}

impl NamedLinear {
    fn parameters(&self) -> impl Iterator<Item = Parameter> {
        named([&self.linear.weight, &self.linear.bias], self.has_bias, &self.name, self.location)
    }
}

impl NamedNorm {
    fn parameters(&self) -> impl Iterator<Item = Parameter> {
        named([&self.norm.weight, &self.norm.bias], self.has_bias, &self.name, self.location)
    }
}

/// The linear layer `name` of a checkpoint.
///
/// # Errors
/// It is missing or of another shape.
pub fn stored_linear(weights: &Weights, name: &str, outputs: i64, inputs: i64, has_bias: bool) -> Result<Linear> {
    let weight = weights.take(&format!("{name}.weight"), &[outputs, inputs])?;
    let bias = stored_bias(weights, name, &weight, has_bias)?;
    Ok(Linear::new(weight, bias))
}

/// The norm `name` of a checkpoint, with these settings.
///
/// # Errors
/// It is missing or of another shape.
pub fn stored_norm(weights: &Weights, name: &str, width: i64, epsilon: f64, has_bias: bool) -> Result<LayerNorm> {
    let weight = weights.take(&format!("{name}.weight"), &[width])?;
    let bias = stored_bias(weights, name, &weight, has_bias)?;
    Ok(LayerNorm { weight, bias, epsilon, kind: NormKind::Layer })
}

/// The bias that belongs to a weight; zeros where there is none.
fn stored_bias(weights: &Weights, name: &str, weight: &Tensor, has_bias: bool) -> Result<Tensor> {
    let rows = weight.size().first().copied().unwrap_or(0);
    match has_bias {
        true => weights.take(&format!("{name}.bias"), &[rows]),
        false => Ok(Tensor::f_zeros([rows], (Kind::Float, weight.device()))?),
    }
}

/// Rows that go through the last product together, in evaluation.
const ROWS: i64 = 16;

impl Head {
    /// The head of these layers, with dropout before the output.
    pub fn new(hidden: Option<Hidden<NamedLinear>>, dropout: f64, output: NamedLinear) -> Self {
        let mut parameters = Vec::new();
        if let Some(hidden) = &hidden {
            parameters.extend(hidden.linear.parameters());
            parameters.extend(hidden.norm.iter().flat_map(NamedNorm::parameters));
        }
        parameters.extend(output.parameters());
        let hidden = hidden.map(|Hidden { linear, activation, dropout, norm }| Hidden {
            linear: linear.linear,
            activation,
            dropout,
            norm,
        });
        Self { hidden, dropout, output: output.linear, scaling: None, parameters, each_token: false }
    }

    /// All of them, those of the output last.
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

    /// What the output layer gets to see: `[N, width]` to `[N, width]`.
    pub fn penultimate(&self, features: &Tensor, pass: Pass) -> Result<Tensor> {
        match &self.hidden {
            Some(Hidden { linear, activation, dropout, norm }) => {
                let features = DropoutKeys::apply(pass.dropout, features.shallow_clone(), *dropout)?;
                let hidden = activation.apply(&linear.forward(&features, pass)?)?;
                match norm {
                    Some(named) => named.norm.forward(&hidden),
                    None => Ok(hidden),
                }
            }
            None => Ok(features.shallow_clone()),
        }
    }

    /// Logits `[N, classes]` in fp32 from features `[N, width]`.
    pub fn forward(&self, features: &Tensor, pass: Pass) -> Result<Tensor> {
        self.output(&self.penultimate(features, pass)?, pass)
    }

    /// The same from what the output layer gets to see.
    pub fn output(&self, penultimate: &Tensor, pass: Pass) -> Result<Tensor> {
        self.scaled(self.plain_output(penultimate, pass)?)
    }

    /// Outputs of the linear layer as the head gives them.
    pub fn scaled(&self, outputs: Tensor) -> Result<Tensor> {
        match self.scaling {
            Some(Scaling { mean, deviation }) => Ok(outputs.f_mul_scalar(deviation)?.f_add_scalar(mean)?),
            None => Ok(outputs),
        }
    }

    fn plain_output(&self, penultimate: &Tensor, pass: Pass) -> Result<Tensor> {
        let x = DropoutKeys::apply(pass.dropout, penultimate.shallow_clone(), self.dropout)?;
        // The last product is small and its result is what people read: fp32 throughout.
        let pass = Pass { compute: Kind::Float, ..pass };
        let x = cast(&x, Kind::Float)?;
        if pass.dropout.is_some() || x.device() != Device::Cpu {
            return self.output.forward(&x, pass);
        }
        // A CPU's libraries choose how to sum by the number of rows: always the same number, and a row's answer is its
        // own.
        let rows = x.size().first().copied().unwrap_or_default();
        let filled = x.f_constant_pad_nd([0, 0, 0, (-rows).rem_euclid(ROWS)])?;
        let parts = filled.f_split(ROWS, 0)?;
        let parts = parts.iter().map(|part| self.output.forward(part, pass)).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::f_cat(&parts, 0)?.f_narrow(0, 0, rows)?)
    }

    /// What there is to know of the hidden layer; `None` where the output reads the features themselves.
    pub fn hidden_layer(&self) -> Result<Option<HiddenState>> {
        let (Some(hidden), Some(first)) = (&self.hidden, self.parameters.first()) else { return Ok(None) };
        let width = hidden.linear.bias.size().first().copied().unwrap_or(1).max(1);
        let norm = hidden.linear.weight.f_norm()?.f_double_value(&[])?;
        let is_new = first.location == ParameterLocation::Head;
        Ok(Some(HiddenState { gain: norm / (width as f64).sqrt(), is_new, activation: hidden.activation }))
    }

    /// Makes the hidden layer `scale` times the identity before its activation; nothing where there is none.
    pub fn begin_hidden_as_identity(&mut self, scale: f64) -> Result<()> {
        let Some(Hidden { linear, .. }) = &mut self.hidden else { return Ok(()) };
        let width = linear.bias.size().first().copied().unwrap_or(0);
        tch::no_grad(|| {
            let identity = Tensor::f_eye(width, (Kind::Float, linear.weight.device()))?.f_mul_scalar(scale)?;
            linear.weight.f_copy_(&identity)?;
            let _ = linear.bias.f_zero_()?;
            Ok(())
        })
    }

    /// Sets the linear layer: `weight` `[classes, width]`, `bias` `[classes]`.
    pub fn set_output(&mut self, weight: &Tensor, bias: &Tensor) -> Result<()> {
        tch::no_grad(|| {
            self.output.weight.f_copy_(weight)?;
            self.output.bias.f_copy_(bias)?;
            Ok(())
        })
    }

    /// From now on the outputs are multiplied by the deviation and the mean is added to them; `None`: they are as they
    /// are.
    pub fn scale(&mut self, scaling: Option<Scaling>) {
        self.scaling = scaling;
    }

    /// Multiplies [`scale`](Self::scale) into the weights and biases of the linear layer. Whether there was any.
    pub fn fold_scale(&mut self) -> Result<bool> {
        let Some(Scaling { mean, deviation }) = self.scaling.take() else { return Ok(false) };
        tch::no_grad(|| {
            let _ = self.output.weight.f_mul_scalar_(deviation)?;
            let _ = self.output.bias.f_mul_scalar_(deviation)?.f_add_scalar_(mean)?;
            Ok(true)
        })
    }

    /// Divides the weights and biases of the linear layer, and with them all logits.
    pub fn divide_output(&mut self, divisor: f64) -> Result<()> {
        tch::no_grad(|| {
            let _ = self.output.weight.f_div_scalar_(divisor)?;
            let _ = self.output.bias.f_div_scalar_(divisor)?;
            Ok(())
        })
    }
}

/// A newly initialised linear layer: weights normal with this std, biases zero. Drawn on the CPU, so that a seed means
/// the same weights on every device.
pub fn random_linear(inputs: i64, outputs: i64, std: f64, seed: u64, device: Device) -> Result<Linear> {
    let weight = drawn(&[outputs, inputs], Distribution::Normal { std }, seed)?;
    Ok(Linear::new(weight.f_to_device(device)?, Tensor::f_zeros([outputs], (Kind::Float, device))?))
}
