//! What the settings left open, settled once data and model are known, with reasons; put into the settings that are saved.

use tch::{Device, Kind};

use super::Split;
use crate::batch::ExampleSet;
use crate::batch::sampler::BatchSize;
use crate::config::{self, Choices, ClassWeights, HeadInit, Pooling as PoolingSetting, RunConfig, Strategy};
use crate::error::Result;
use crate::fingerprint::Fingerprint;
use crate::hardware::Hardware;
use crate::model::parameters::Place;
use crate::model::{Classifier, Engine, Pooling};
use crate::report::memory::available_bytes;
use crate::strategy::cache::CacheSettings;
use crate::training::Plan;
use crate::training::loss::{LossSettings, balanced_weights};
use crate::training::optimizer::AdamwSettings;

/// How the backbone's output is pooled: as told, or mean when frozen (it separates better there), or the family's own.
pub fn pooling(config: &RunConfig, choices: &mut Choices) -> Option<Pooling> {
    match (config.model.pooling, config.strategy.name) {
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
pub fn head_init(config: &mut RunConfig, choices: &mut Choices) {
    if config.strategy.head_init == HeadInit::Auto {
        config.strategy.head_init = HeadInit::Random;
        if config.strategy.name != Strategy::Frozen {
            choices.record("head_init", "random", "as transformers does");
        }
    }
}

/// Puts what is known only with the model at hand into the settings.
pub fn hardware_and_model(config: &mut RunConfig, classifier: &Classifier, hardware: &Hardware, engine: Engine) {
    config.model.pooling = match classifier.pooling {
        Pooling::Cls => PoolingSetting::Cls,
        Pooling::Mean => PoolingSetting::Mean,
    };
    config.model.engine = match engine {
        Engine::Packed => config::Engine::Packed,
        Engine::RustBert => config::Engine::RustBert,
    };
    config.run.device = match hardware.device {
        Device::Cuda(index) => config::Device::Cuda(index),
        _ => config::Device::Cpu,
    };
    config.run.precision =
        if hardware.compute == Kind::BFloat16 { config::Precision::Bf16 } else { config::Precision::Fp32 };
    config.run.threads = Some(hardware.threads);
}

/// Examples of a step when nothing was said, as in transformers' recipes.
const EXAMPLES_A_STEP: f64 = 32.0;

/// Settles the optimisation.
pub fn plan(
    config: &mut RunConfig,
    train: &Split,
    valid: &Split,
    hardware: &Hardware,
    classifier: &Classifier,
    choices: &mut Choices,
) -> Plan {
    let settings = &mut config.training;
    let frozen = config.strategy.name == Strategy::Frozen;
    let epochs = *settings.epochs.get_or_insert_with(|| {
        let (epochs, reason) =
            if frozen { (1, "the features are computed once") } else { (3, "usual for fine-tuning") };
        choices.record("epochs", epochs, reason);
        epochs
    });
    let strategy = config.strategy.name;
    let lr = *settings.lr.get_or_insert_with(|| {
        let (lr, reason) = learning_rate(strategy, classifier.backbone.feature_width());
        if !frozen {
            choices.record("lr", lr, reason);
        }
        lr
    });
    let batch = match (settings.batch_size, settings.batch_tokens) {
        (Some(examples), _) => BatchSize::Examples(examples),
        (None, Some(tokens)) => BatchSize::Tokens(tokens),
        (None, None) => {
            let mean = train.tokens.set.tokens() as f64 / train.tokens.set.len().max(1) as f64;
            let tokens = ((mean * EXAMPLES_A_STEP / 64.0).round() as usize * 64).clamp(128, 32_768);
            if !frozen {
                choices.record("batch_tokens", tokens, format!("about 32 texts of this length ({mean:.1} tokens)"));
            }
            settings.batch_tokens = Some(tokens);
            BatchSize::Tokens(tokens)
        }
    };
    let on_cpu = hardware.device == Device::Cpu;
    let micro = *settings.micro_batch_tokens.get_or_insert(if on_cpu { 8_192 } else { 65_536 });
    let mut plan = Plan {
        epochs,
        batch,
        micro_batch_tokens: micro,
        loss: LossSettings {
            label_smoothing: settings.label_smoothing,
            class_weights: (settings.class_weights == ClassWeights::Balanced)
                .then(|| balanced_weights(&train.labels, classifier.labels.len())),
        },
        optimizer: AdamwSettings {
            learning_rate: lr,
            head_learning_rate: settings.head_lr.unwrap_or(lr),
            layer_decay: settings.layer_decay,
            stages: classifier.backbone.stages().len(),
            weight_decay: settings.weight_decay,
            max_grad_norm: settings.max_grad_norm,
        },
        schedule: settings.schedule,
        warmup_ratio: settings.warmup_ratio,
        patience: settings.patience.map(|epochs| epochs.min(u32::MAX as usize) as u32),
        seed: settings.seed,
        log_every: settings.log_every,
        compute: hardware.compute,
        fingerprint: String::new(),
    };
    plan.fingerprint = fingerprint(&plan, config, [train, valid]);
    plan
}

/// Narrow encoders bear larger steps (docs/log.md has two rates tried on SST-2 with a 384-wide one); the wide rate is BERT's
/// usual one.
fn learning_rate(strategy: Strategy, width: i64) -> (f64, &'static str) {
    match strategy {
        Strategy::Lora { .. } => return (1e-3, "usual for low-rank adapters"),
        Strategy::Bitfit => return (1e-3, "usual where only biases are trained"),
        Strategy::Last(_) if width < 512 => return (1e-4, "a few layers of an encoder this narrow"),
        _ => {}
    }
    if width < 512 { (5e-5, "usual for an encoder this narrow") } else { (3e-5, "usual for an encoder this wide") }
}

/// What a snapshot must agree with: the settings that decide the result, and the data as the network sees it.
fn fingerprint(plan: &Plan, config: &RunConfig, splits: [&Split; 2]) -> String {
    let mut hash = Fingerprint::default();
    let decisive = Plan { log_every: 0, fingerprint: String::new(), ..plan.clone() };
    hash.bytes(format!("{decisive:?} {:?} {:?}", config.model, config.strategy));
    for split in splits {
        add_tokens(&mut hash, split);
        for label in &split.labels {
            hash.bytes(label.to_le_bytes());
        }
    }
    hash.finish()
}

fn add_tokens(hash: &mut Fingerprint, split: &Split) {
    let set = &split.tokens.set;
    for index in 0..set.len() {
        hash.bytes((set.ids(index).len() as u64).to_le_bytes());
        hash.bytes(set.types(index));
        for id in set.ids(index) {
            hash.bytes(id.to_le_bytes());
        }
    }
}

/// Stands for the activations of a split behind `stages` stages: equal keys, equal activations.
pub fn prefix_key(classifier: &Classifier, stages: usize, split: &Split, compute: Kind) -> Result<String> {
    let mut hash = Fingerprint::default();
    hash.bytes(format!("{stages} {compute:?} {}", classifier.backbone.settings()));
    for parameter in classifier.backbone.parameters() {
        if matches!(parameter.place, Place::Stage(stage) if stage < stages) {
            hash.tensor(&parameter.tensor)?;
        }
    }
    add_tokens(&mut hash, split);
    Ok(hash.finish())
}

/// Stands for what the head's linear layer gets to see of these splits.
pub fn features_key(classifier: &Classifier, splits: [&Split; 2], compute: Kind) -> Result<String> {
    let mut hash = Fingerprint::default();
    hash.bytes(format!("{:?}", classifier.pooling));
    for parameter in classifier.head.parameters_before_output() {
        hash.tensor(&parameter.tensor)?;
    }
    for split in splits {
        hash.bytes(prefix_key(classifier, classifier.backbone.stages().len(), split, compute)?);
    }
    Ok(hash.finish())
}

/// Where the activations behind the frozen stages are kept.
pub fn cache(config: &RunConfig, choices: &mut Choices) -> CacheSettings {
    const MEGABYTE: u64 = 1 << 20;
    let memory = match config.run.cache_memory {
        Some(megabytes) => megabytes * MEGABYTE,
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
