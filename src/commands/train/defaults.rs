//! What the settings left open, settled once data and model are known, with reasons; put into the settings that are saved.

use tch::{Device, Kind};

use crate::batch::sampler::BatchSize;
use crate::commands::train::Split;
use crate::config::{
    self, Augment, Choices, ClassWeights, HeadInit, Init, Pooling as PoolingSetting, RunConfig, Strategy, Switch,
};
use crate::data::Modality;
use crate::error::Result;
use crate::fingerprint::Fingerprint;
use crate::hardware::Hardware;
use crate::hardware::memory::available_bytes;
use crate::image::Augmentation;
use crate::inference::cache::CacheSettings;
use crate::model::parameters::Place;
use crate::model::{Classifier, Engine, InputSpec, Pooling};
use crate::training::TrainPlan;
use crate::training::loss::{LossSettings, balanced_weights};
use crate::training::mix::Mix;
use crate::training::optimizer::AdamwSettings;
use crate::transform::Transform;

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

/// How the images that are trained on are shown.
#[derive(Default)]
pub struct Variation {
    pub augmentation: Option<Augmentation>,
    pub mix: Mix,
    /// How many varied views of an image take its place; 0: every epoch has another.
    pub views: usize,
}

impl Variation {
    /// Whether an image is the same in every epoch.
    pub fn is_none(&self) -> bool {
        self.augmentation.is_none() && self.mix.is_none()
    }
}

/// How the images that are trained on are varied and mixed. What a strategy cannot do is left out, with the reason; the settings keep what
/// was asked for.
pub fn variation(config: &mut RunConfig, input: &InputSpec, choices: &mut Choices) -> Variation {
    let InputSpec::Image(how) = input else { return Variation::default() };
    let frozen = config.strategy.name == Strategy::Frozen;
    let cached = matches!(config.strategy.name, Strategy::Last(_)) && config.run.cache == Switch::On;
    let training = &mut config.training;
    let mut mix = Mix { mixup: training.mixup, cutmix: training.cutmix };
    if frozen && !mix.is_none() {
        for (name, asked) in
            [("mixup", mix.mixup), ("cutmix", mix.cutmix)].into_iter().filter(|(_, asked)| *asked > 0.0)
        {
            choices.record(name, 0, format!("not {asked}: the head is fitted on features of whole images"));
        }
        mix = Mix::default();
    }
    if cached && !mix.is_none() {
        choices.record("cache", "off", "mixed images differ in every epoch");
    }
    if !frozen && training.views > 1 {
        choices.record("views", 1, format!("not {}: a number of views is for --strategy frozen", training.views));
    }
    let once = frozen && training.views == 1;
    let (height, _) = how.output();
    let (usual, reason) = match config.strategy.name {
        _ if once => (Augment::None, "the features of each image are computed once, as it is; --views K varies them"),
        _ if cached && mix.is_none() => {
            (Augment::None, "what the frozen stages compute is computed once; --cache off allows it")
        }
        _ if height < 96 => (Augment::Light, "usual for images this small"),
        _ => (Augment::Standard, "usual for photographs"),
    };
    let chosen = match training.augment {
        Augment::Auto => {
            choices.record("augment", usual, reason);
            training.augment = usual;
            usual
        }
        asked if once && asked != Augment::None => {
            choices.record("augment", usual, format!("not {asked}: {reason}"));
            usual
        }
        asked => asked,
    };
    let augmentation = match chosen {
        Augment::Auto | Augment::None => None,
        Augment::Light => Some(Augmentation::light()),
        Augment::Standard => Some(Augmentation::standard()),
        Augment::Strong => Some(Augmentation::strong()),
    };
    if frozen && augmentation.is_none() && training.views > 1 {
        choices.record("views", 1, "images that are not varied have one view");
    }
    let views = if frozen && augmentation.is_some() { training.views } else { 0 };
    Variation { augmentation, mix, views }
}

/// Puts the sizes at which inputs are seen into the settings.
pub fn sizes(config: &mut RunConfig, transform: &Transform, choices: &mut Choices) {
    let data = &mut config.data;
    match transform {
        Transform::Text(tokenizer) => {
            if data.max_length.is_none() {
                choices.record("max_length", tokenizer.max_length(), "the model's and tokenizer's limit, at most 512");
            }
            data.max_length = Some(tokenizer.max_length());
        }
        Transform::Image(images) => {
            let (height, _) = images.preprocessing.output();
            if data.image_size.is_none() {
                choices.record("image_size", height, "what the model was trained on");
            }
            data.image_size = Some(height as usize);
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
    config.run.threads.get_or_insert(hardware.threads);
}

/// Examples of a step when nothing was said, as in transformers' recipes; half of it where there are few.
const EXAMPLES_A_STEP: f64 = 32.0;
/// Training examples below which there are few.
const FEW: usize = 2000;
/// Epochs when nothing was said; more of them, up to a limit, where they would be fewer steps than this: three epochs over a hundred rows
/// are nine steps, after which four data sets stood at 54 points of accuracy, and at 81 after 140 (docs/advice.md).
const EPOCHS: usize = 3;
const LEAST_STEPS: f64 = 200.0;
const MOST_EPOCHS: usize = 20;

/// Settles the optimisation.
pub fn plan(
    config: &mut RunConfig,
    train: &Split,
    valid: &Split,
    hardware: &Hardware,
    classifier: &Classifier,
    mix: Mix,
    choices: &mut Choices,
) -> TrainPlan {
    let init = config.model.init;
    let settings = &mut config.training;
    let frozen = config.strategy.name == Strategy::Frozen;
    let strategy = config.strategy.name;
    let lr = *settings.lr.get_or_insert_with(|| {
        let (lr, reason) = learning_rate(strategy, classifier, init);
        if !frozen {
            choices.record("lr", lr, reason);
        }
        lr
    });
    let set = &train.set;
    let examples = if set.len() < FEW { EXAMPLES_A_STEP / 2.0 } else { EXAMPLES_A_STEP };
    let costs = (0..set.len()).map(|index| set.cost(index)).sum::<usize>() as f64;
    let mean = costs / set.len().max(1) as f64;
    let reason = if set.len() < FEW { "few rows want small steps" } else { "usual for fine-tuning" };
    let batch = match (settings.batch_size, settings.batch_tokens) {
        (Some(examples), _) => BatchSize::Examples(examples),
        (None, Some(tokens)) => BatchSize::Tokens(tokens),
        (None, None) if matches!(classifier.input, InputSpec::Image(_)) => {
            if !frozen {
                choices.record("batch_size", examples, reason);
            }
            settings.batch_size = Some(examples as usize);
            BatchSize::Examples(examples as usize)
        }
        (None, None) => {
            let tokens = ((mean * examples / 64.0).round() as usize * 64).clamp(128, 32_768);
            if !frozen {
                let reason = format!("about {examples} texts of this length ({mean:.1} tokens); {reason}");
                choices.record("batch_tokens", tokens, reason);
            }
            settings.batch_tokens = Some(tokens);
            BatchSize::Tokens(tokens)
        }
    };
    let epochs = *settings.epochs.get_or_insert_with(|| {
        let steps = match batch {
            BatchSize::Examples(examples) => set.len() as f64 / examples.max(1) as f64,
            BatchSize::Tokens(tokens) => costs / tokens.max(1) as f64,
        };
        let (epochs, reason) = match (LEAST_STEPS / steps.max(1.0)).ceil() as usize {
            _ if frozen => (1, "the features are computed once".to_owned()),
            0..=EPOCHS => (EPOCHS, "usual for fine-tuning".to_owned()),
            more => {
                (more.min(MOST_EPOCHS), format!("few rows: as many as make {LEAST_STEPS} steps, at most {MOST_EPOCHS}"))
            }
        };
        choices.record("epochs", epochs, reason);
        epochs
    });
    // Batch norms see a micro-batch: where there are any, a step is one.
    let whole = match batch {
        BatchSize::Examples(examples) if !classifier.backbone.statistics().is_empty() => examples,
        _ => 0,
    };
    let budget = hardware.training_budget(&classifier.input).max(whole);
    let micro = *settings.micro_batch_tokens.get_or_insert(budget);
    let mut plan = TrainPlan {
        epochs,
        batch,
        micro_batch_tokens: micro,
        mix,
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
fn learning_rate(strategy: Strategy, classifier: &Classifier, init: Init) -> (f64, &'static str) {
    let width = classifier.backbone.feature_width();
    let image = matches!(classifier.input, InputSpec::Image(_));
    if init == Init::Random {
        return (1e-3, "usual where training begins from random numbers");
    }
    match strategy {
        Strategy::Lora { .. } => return (1e-3, "usual for low-rank adapters"),
        Strategy::Bitfit => return (1e-3, "usual where only biases are trained"),
        _ if image && !classifier.backbone.statistics().is_empty() => {
            return if width < 256 {
                (2e-3, "a convolutional network this small")
            } else {
                (3e-4, "usual for a convolutional network")
            };
        }
        Strategy::Last(_) if width < 512 && !image => return (1e-4, "a few layers of an encoder this narrow"),
        _ => {}
    }
    if width < 512 { (5e-5, "usual for an encoder this narrow") } else { (3e-5, "usual for an encoder this wide") }
}

/// What a snapshot must agree with: the settings that decide the result, and the data as the network sees it.
fn fingerprint(plan: &TrainPlan, config: &RunConfig, splits: [&Split; 2]) -> String {
    let mut hash = Fingerprint::default();
    let decisive = TrainPlan { log_every: 0, fingerprint: String::new(), ..plan.clone() };
    hash.bytes(format!("{decisive:?} {:?} {:?}", config.model, config.strategy));
    for split in splits {
        split.set.add_to(&mut hash);
        for label in &split.labels {
            hash.bytes(label.to_le_bytes());
        }
    }
    hash.finish()
}

/// Stands for the activations of a split behind `stages` stages: equal keys, equal activations.
pub fn prefix_key(classifier: &Classifier, stages: usize, split: &Split, compute: Kind) -> Result<String> {
    let mut hash = Fingerprint::default();
    hash.bytes(format!("{stages} {compute:?} {}", classifier.backbone.settings()));
    let backbone = &classifier.backbone;
    for parameter in backbone.parameters().iter().chain(backbone.statistics()) {
        if matches!(parameter.place, Place::Stage(stage) if stage < stages) {
            hash.tensor(&parameter.tensor)?;
        }
    }
    split.set.add_to(&mut hash);
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
