//! Low-rank adapters (LoRA, Hu et al. 2022) on the linear layers of any backbone that has some: added, listed, merged.
//! What an adapter computes is [`Linear`](super::layers::Linear)'s affair.

use tch::{Device, Kind, Tensor};

use super::backbone::Backbone;
use super::layers::Adapter;
use super::parameter::{Parameter, ParameterLocation, Role};
use crate::error::Result;
use crate::random::{Distribution, Random, drawn};

/// The usual choice of alpha = 2 · rank: an adapter's scale, alpha / rank.
const SCALE: f64 = 2.0;

/// Gives every linear layer of the backbone adapters of `rank`, drawn by `seed`: what is computed stays the same until
/// they are trained. Returns their parameters.
///
/// # Errors
/// A backbone without linear layers that can be adapted.
pub fn adapt(backbone: &mut dyn Backbone, rank: i64, seed: u64) -> Result<Vec<Parameter>> {
    let mut parameters = Vec::new();
    for layer in backbone.linears_mut()? {
        let (_, inputs) = layer.linear.weight.size2()?;
        for (name, rows) in layer.parts {
            let index = parameters.len() as u64;
            let adapter = random_adapter(rank, inputs, rows, seed, index, layer.linear.weight.device())?;
            let location = ParameterLocation::Stage(layer.stage);
            for (suffix, tensor) in [("lora_A", &adapter.down), ("lora_B", &adapter.up)] {
                let name = format!("{name}.{suffix}.weight");
                parameters.push(Parameter::new(name, tensor.shallow_clone(), location, Role::Adapter));
            }
            layer.linear.adapters.push(adapter);
        }
    }
    Ok(parameters)
}

/// Adds what the adapters have learned to the weights and takes the adapters away.
pub fn merge(backbone: &mut dyn Backbone) -> Result<()> {
    for layer in backbone.linears_mut()? {
        layer.linear.merge_adapters()?;
    }
    Ok(())
}

/// An adapter as PEFT makes one: A uniform within ±1/√inputs, B zero, so that it adds nothing yet. `index` is the
/// number of tensors drawn or made before it.
fn random_adapter(rank: i64, inputs: i64, outputs: i64, seed: u64, index: u64, device: Device) -> Result<Adapter> {
    let bound = 1.0 / (inputs.max(1) as f64).sqrt();
    let seed = Random::of(&[seed, index]).next_u64();
    let down = drawn(&[rank, inputs], Distribution::Uniform { bound }, seed)?;
    let up = Tensor::f_zeros([outputs, rank], (Kind::Float, device))?;
    Ok(Adapter { down: down.f_to_device(device)?, up, scale: SCALE })
}
