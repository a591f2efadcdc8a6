//! Reinitialising the last layers with random weights (Zhang et al. 2021): what the pretraining task has made of them
//! may be of less use than nothing.

use crate::error::{Error, Result};
use crate::model::Classifier;
use crate::model::layout::Layout;
use crate::model::parameter::ParameterLocation;
use crate::random::{Distribution, Random, drawn};

/// The standard deviation that BERT's weights were first drawn with.
const STD: f64 = 0.02;

/// Reinitialises the last `layers` stages, by `seed`: matrices normal, biases zero, the scales of norms one.
///
/// # Errors
/// More layers than there are; the first stage, which holds what the network knows of words, is none of them.
pub fn reinitialise(classifier: &Classifier, layers: usize, seed: u64) -> Result<()> {
    if matches!(classifier.backbone.layout(0), Layout::Map { .. }) {
        return Err(Error::request("convolutional networks keep all their layers")
            .key("model.reinit_layers")
            .hint("leave --reinit-layers out, or start from random weights with --init random"));
    }
    let stages = classifier.backbone.stages().len();
    let Some(kept) = stages.checked_sub(layers).filter(|&kept| kept > 0) else {
        return Err(Error::request(format!("{layers} layers cannot be reinitialised: the network has {}", stages - 1))
            .key("model.reinit_layers")
            .hint("the last one or two are what usually helps, if any"));
    };
    for (index, parameter) in classifier.backbone.weights().enumerate() {
        if !matches!(parameter.location, ParameterLocation::Stage(stage) if stage >= kept) {
            continue;
        }
        let mut tensor = parameter.tensor.shallow_clone();
        tch::no_grad(|| -> Result<()> {
            if parameter.decays() {
                let seed = Random::of(&[seed, index as u64]).next_u64();
                tensor.f_copy_(&drawn(&tensor.size(), Distribution::Normal { std: STD }, seed)?)?;
            } else {
                let value = if parameter.is_bias() { 0.0 } else { 1.0 };
                let _ = tensor.f_fill_(value)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}
