//! Which parameters a strategy trains, and how many stages it leaves frozen.

use crate::config::Strategy;
use crate::error::{Error, Result};
use crate::model::Classifier;
use crate::model::parameter::{Parameter, ParameterLocation, Role};
use crate::training::Scope;
use crate::training::schedule::Unfreezing;

/// What a strategy trains of a classifier.
///
/// # Errors
/// More stages are to be trained than there are.
pub fn scope(strategy: Strategy, classifier: &Classifier) -> Result<Scope<'_>> {
    let frozen = frozen_stages(strategy, classifier)?;
    let stages = classifier.backbone.stages().len();
    let unfreezing = match strategy {
        Strategy::Gradual => Unfreezing::OneByOne { stages },
        _ => Unfreezing::Never { frozen },
    };
    let parameters = classifier
        .trainable()
        .filter(|parameter| match (strategy, parameter.location) {
            (_, ParameterLocation::Head) => true,
            (Strategy::Frozen, _) => false,
            (_, ParameterLocation::PretrainedHead) => true,
            (Strategy::Full | Strategy::Gradual | Strategy::Last(_), ParameterLocation::Stage(stage)) => {
                stage >= frozen
            }
            (Strategy::Lora { .. }, ParameterLocation::Stage(_)) => parameter.role == Role::Adapter,
            (Strategy::Bitfit, ParameterLocation::Stage(_)) => parameter.is_bias(),
        })
        .collect();
    let of_trained =
        |parameter: &&Parameter| matches!(parameter.location, ParameterLocation::Stage(stage) if stage >= frozen);
    let statistics = classifier.backbone.statistics().filter(of_trained).collect();
    Ok(Scope { parameters, statistics, unfreezing })
}

/// How many stages, counted from the first, a strategy leaves frozen throughout: those whose activations are cached.
///
/// # Errors
/// More stages are to be trained than there are.
pub fn frozen_stages(strategy: Strategy, classifier: &Classifier) -> Result<usize> {
    let stages = classifier.backbone.stages().len();
    match strategy {
        Strategy::Last(trained) => stages.checked_sub(trained).ok_or_else(|| {
            let names = classifier.backbone.stages();
            let message = match names {
                [only] => format!("`{strategy}`: the network is one stage (`{only}`), trained or frozen as a whole"),
                [first, .., last] => {
                    format!("`{strategy}`: the network has {stages} stages, from `{first}` to `{last}`")
                }
                [] => format!("`{strategy}`: the network has no stages"),
            };
            Error::request(message)
                .key("strategy.name")
                .hint(format!("`last:{stages}` trains them all, as `full` does"))
        }),
        Strategy::Frozen => Ok(stages),
        Strategy::Full | Strategy::Gradual | Strategy::Lora { .. } | Strategy::Bitfit => Ok(0),
    }
}
