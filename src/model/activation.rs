//! Activation functions, alone and fused with the linear layer before them.

use tch::{Kind, Tensor};

use super::layers::{Linear, cast};
use super::pass::Pass;
use crate::error::Result;
use crate::native::{self, Gelu};

/// An activation function, by the names that transformers' `config.json` uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// The exact one, by the error function.
    Gelu,
    /// The tanh approximation, under its three names.
    #[serde(alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluNew,
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`.
    #[serde(alias = "swish")]
    Silu,
    /// `x · sigmoid(1.702 x)`, CLIP's.
    QuickGelu,
    /// The hyperbolic tangent, as in BERT's pooler.
    Tanh,
}

impl Activation {
    /// `activation(linear(x))`, in one pass where that exists.
    pub fn after(self, linear: &Linear, x: &Tensor, pass: Pass) -> Result<Tensor> {
        match (&linear.int8, self) {
            (Some(int8), Self::Gelu) => int8.forward(x, Some(Gelu::Exact)),
            (Some(int8), Self::GeluNew) => int8.forward(x, Some(Gelu::ByTanh)),
            // In training the bias is kept in fp32, and its gradient comes with GELU's.
            (None, Self::Gelu | Self::GeluNew)
                if linear.adapters.is_empty() && linear.bias.kind() == Kind::Float && native::has_bias_gelu(x) =>
            {
                let product = x.f_linear(&cast(&linear.weight, pass.compute)?, None::<&Tensor>)?;
                native::bias_gelu(&product, &linear.bias, self == Self::GeluNew)
            }
            _ => self.apply(&linear.forward(x, pass)?),
        }
    }

    /// Of every value; the result has the shape of `x`.
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Gelu => native::gelu(x, false)?,
            Self::GeluNew => native::gelu(x, true)?,
            Self::Relu => x.f_relu()?,
            Self::Silu => x.f_silu()?,
            Self::QuickGelu => x.f_mul_scalar(1.702)?.f_sigmoid()?.f_mul(x)?,
            Self::Tanh => x.f_tanh()?,
        })
    }
}
