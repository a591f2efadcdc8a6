//! Low-rank adapters (Hu et al. 2022): how a fresh one is drawn. What it computes is [`super::parameters::Linear`]'s affair.

use tch::{Device, Kind, Tensor};

use super::parameters::Adapter;
use crate::error::Result;
use crate::random::{Random, from_torch};

/// The usual choice of alpha = 2 · rank: an adapter's scale, alpha / rank.
const SCALE: f64 = 2.0;

/// The `index`-th adapter of a network, as PEFT makes one: A uniform within ±1/√inputs, B zero, so that it adds nothing yet.
pub fn fresh(rank: i64, inputs: i64, outputs: i64, seed: u64, index: u64, device: Device) -> Result<Adapter> {
    let bound = 1.0 / (inputs.max(1) as f64).sqrt();
    let mut empty = Tensor::f_empty([rank, inputs], (Kind::Float, Device::Cpu))?;
    let down = from_torch(Random::of(&[seed, index]).next_u64(), || empty.f_uniform_(-bound, bound))?;
    let up = Tensor::f_zeros([outputs, rank], (Kind::Float, device))?;
    Ok(Adapter { down: down.f_to_device(device)?, up, scale: SCALE })
}
