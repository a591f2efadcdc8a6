//! What the settings leave open about the network that a strategy trains: how features are pooled, and where a head
//! begins.

use crate::config::{Choices, HeadInit, Init, Pooling as PoolingSetting, RunConfig, Strategy};
use crate::data::Modality;
use crate::model::Pooling;

/// How the backbone's output is pooled: as the settings say, or mean when frozen (it separates classes better there),
/// or the family's own.
pub fn pooling(config: &RunConfig, modality: Modality, choices: &mut Choices) -> Option<Pooling> {
    match (config.model.pooling, config.strategy.name) {
        (PoolingSetting::Auto, _) if modality == Modality::Image => None,
        (PoolingSetting::Cls, _) => Some(Pooling::Cls),
        (PoolingSetting::Mean, _) => Some(Pooling::Mean),
        (PoolingSetting::ClsAndMean, _) => Some(Pooling::ClsAndMean),
        (PoolingSetting::Auto, Strategy::Frozen) => {
            choices.record(
                "pooling",
                "mean",
                "frozen features separate the classes better when averaged over the tokens",
            );
            Some(Pooling::Mean)
        }
        (PoolingSetting::Auto, _) => {
            choices.record("pooling", "cls", "this family's classification head reads the first token");
            Some(Pooling::Cls)
        }
    }
}

/// What the head of a trained backbone starts from.
pub fn head_init(config: &mut RunConfig, classes: usize, choices: &mut Choices) {
    if config.strategy.head_init == HeadInit::Auto {
        let (chosen, reason) = if classes >= MANY_CLASSES && config.model.init == Init::Pretrained {
            (HeadInit::Probe, "with this many classes a randomly initialised head learns slowly")
        } else {
            (HeadInit::Random, "as transformers does")
        };
        config.strategy.head_init = chosen;
        if config.strategy.name != Strategy::Frozen {
            choices.record("head_init", chosen, reason);
        }
    }
}

/// A head from the probe gained 5 points over a random one with 15 classes, 24 with 40, and lost a little with 10 and
/// fewer, more of it on few rows (docs/advice.md).
const MANY_CLASSES: usize = 15;
