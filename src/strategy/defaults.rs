//! What the settings leave open about the network that a strategy trains: how features are pooled, and where a head begins.

use crate::config::{Choices, HeadInit, Init, Pooling as PoolingSetting, RunConfig, Strategy};
use crate::data::Modality;
use crate::model::Pooling;

/// How the backbone's output is pooled: as told, or mean when frozen (it separates better there), or the family's own.
pub fn pooling(config: &RunConfig, modality: Modality, choices: &mut Choices) -> Option<Pooling> {
    match (config.model.pooling, config.strategy.name) {
        (PoolingSetting::Auto, _) if modality == Modality::Image => None,
        (PoolingSetting::Cls, _) => Some(Pooling::Cls),
        (PoolingSetting::Mean, _) => Some(Pooling::Mean),
        (PoolingSetting::Auto, Strategy::Frozen) => {
            choices.record("pooling", "mean", "frozen features separate better when averaged over the tokens");
            Some(Pooling::Mean)
        }
        (PoolingSetting::Auto, _) => {
            choices.record("pooling", "cls", "the family's own head reads the first token");
            Some(Pooling::Cls)
        }
    }
}

/// What the head of a trained backbone starts from.
pub fn head_init(config: &mut RunConfig, classes: usize, choices: &mut Choices) {
    if config.strategy.head_init == HeadInit::Auto {
        let (chosen, reason) = if classes >= MANY_CLASSES && config.model.init == Init::Pretrained {
            (HeadInit::Probe, "with so many classes a random head takes long to learn")
        } else {
            (HeadInit::Random, "as transformers does")
        };
        config.strategy.head_init = chosen;
        if config.strategy.name != Strategy::Frozen {
            choices.record("head_init", chosen, reason);
        }
    }
}

/// A head from the probe gained 5 points over a random one with 15 classes, 24 with 40, and lost a little with 10 and fewer, more of it on
/// few rows (docs/advice.md).
const MANY_CLASSES: usize = 15;
