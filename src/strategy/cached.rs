//! The cached lower layers: what the stages that stay frozen compute for every example, computed once, and the keys by
//! which it is found again.

use tch::Kind;

use crate::batch::ExampleSet;
use crate::config::{Choices, RunConfig};
use crate::error::Result;
use crate::fingerprint::Fingerprint;
use crate::hardware::memory::available_bytes;
use crate::inference::cache::CacheSettings;
use crate::model::Classifier;
use crate::model::parameter::ParameterLocation;

/// Stands for the activations of `examples` after the first `stages` stages: equal keys, equal activations.
pub fn activations_key(
    classifier: &Classifier,
    stages: usize,
    examples: &dyn ExampleSet,
    compute: Kind,
) -> Result<String> {
    let mut hash = Fingerprint::default();
    hash.bytes(format!("{stages} {compute:?} {}", classifier.backbone.description().settings));
    let backbone = &classifier.backbone;
    for parameter in backbone.parameters() {
        if matches!(parameter.location, ParameterLocation::Stage(stage) if stage < stages) {
            hash.tensor(&parameter.tensor)?;
        }
    }
    examples.add_to(&mut hash);
    Ok(hash.finish())
}

/// Stands for the features of `examples` that the head's linear layer reads.
pub fn features_key(classifier: &Classifier, examples: &dyn ExampleSet, compute: Kind) -> Result<String> {
    let mut hash = Fingerprint::default();
    hash.bytes(format!("{:?}", classifier.pooling));
    for parameter in classifier.head.parameters_before_output() {
        hash.tensor(&parameter.tensor)?;
    }
    hash.bytes(activations_key(classifier, classifier.backbone.stages().len(), examples, compute)?);
    Ok(hash.finish())
}

/// Where the activations of the frozen stages are cached.
pub fn settings(config: &RunConfig, choices: &mut Choices) -> CacheSettings {
    const MEGABYTE: u64 = 1 << 20;
    let memory = match config.run.cache_memory {
        Some(megabytes) => megabytes * MEGABYTE,
        None if config.run.cache_dir.is_some() => 0,
        None => {
            let quarter = available_bytes() / 4;
            choices.record("cache_memory", quarter / MEGABYTE, "a quarter of the memory that is free, in megabytes");
            quarter
        }
    };
    let of_run = || config.run.out.join("checkpoints");
    CacheSettings {
        memory,
        folder: config.run.cache_dir.clone().unwrap_or_else(of_run),
        keep: config.run.cache_dir.is_some(),
    }
}
