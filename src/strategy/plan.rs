//! The plan of a training run: every number that decides what training does. What the settings leave open (learning
//! rate, size of a step, epochs) is decided here, recorded with its reason, and put into the settings that are saved.

use crate::batch::sampler::BatchSize;
use crate::config::{Choices, Init, LossFunction, RunConfig, Strategy};
use crate::data::ClassWeighting;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::hardware::Hardware;
use crate::inference::budget::training_budget;
use crate::model::{Classifier, InputSpec};
use crate::task::{Dataset, LossSettings};
use crate::training::TrainPlan;
use crate::training::mix::Mix;
use crate::training::optimizer::AdamwSettings;

/// Examples of a step when nothing was said, as in transformers' recipes; half of it where there are few.
const EXAMPLES_A_STEP: f64 = 32.0;
/// Training examples below which there are few.
const FEW: usize = 2000;
/// Epochs when nothing was said; more of them where they would be few steps.
const EPOCHS: usize = 3;

/// Decides the optimisation of a run on the first of `splits`, as the settings say and else as is usual for the
/// strategy and the network.
///
/// # Errors
/// Images are to be mixed in pairs, and a batch has room for one.
pub fn plan(
    config: &mut RunConfig,
    splits: &[&Dataset],
    hardware: &Hardware,
    classifier: &Classifier,
    mix: Mix,
    class_weights: ClassWeighting,
    choices: &mut Choices,
) -> Result<TrainPlan> {
    let train = splits.first().ok_or_else(|| Error::failure("there is nothing to train on"))?;
    let pace = Pace::usual(config.strategy.name, classifier, config.model.init);
    let batch = step_size(config, train, classifier, choices);
    let steps_an_epoch = steps_an_epoch(train, batch);
    let epochs = epochs(config, steps_an_epoch, &pace, choices);
    let learning_rate = learning_rate(config, steps_an_epoch * epochs as f64, &pace, choices);
    let micro_batch_tokens = micro_batch(config, batch, hardware, classifier);
    if !mix.is_none() && (micro_batch_tokens < 2 || batch == BatchSize::Examples(1)) {
        return Err(Error::request("images are mixed in pairs, and a batch holds only one")
            .key("training.batch_size")
            .hint("use larger batches, or leave out --mixup and --cutmix"));
    }
    let settings = &config.training;
    let mut plan = TrainPlan {
        epochs,
        batch,
        micro_batch_tokens,
        mix,
        loss: LossSettings {
            label_smoothing: settings.label_smoothing,
            focal_gamma: settings.focal(),
            huber: settings.loss == Some(LossFunction::Huber),
            class_weights,
        },
        optimizer: AdamwSettings {
            learning_rate,
            head_learning_rate: settings.head_lr.unwrap_or(learning_rate),
            layer_decay: settings.layer_decay,
            stages: classifier.backbone.stages().len(),
            weight_decay: settings.weight_decay,
            max_grad_norm: settings.max_grad_norm,
        },
        schedule: settings.schedule,
        warmup_ratio: settings.warmup_ratio,
        patience: settings.patience,
        keep_best: settings.keep_best.clone(),
        seed: settings.seed,
        log_every: settings.log_every,
        compute: hardware.compute,
        fingerprint: String::new(),
    };
    plan.fingerprint = fingerprint(&plan, config, splits);
    Ok(plan)
}

/// The same plan for another training of the run: on these data, and as `what` says.
pub fn of_training(plan: &TrainPlan, what: &str, splits: &[&Dataset]) -> TrainPlan {
    let mut hash = Fingerprint::default();
    hash.bytes(format!("{} {what}", plan.fingerprint));
    for split in splits {
        split.examples.add_to(&mut hash);
        split.targets.add_to(&mut hash);
    }
    TrainPlan { fingerprint: hash.finish(), ..plan.clone() }
}

fn learning_rate(config: &mut RunConfig, steps: f64, pace: &Pace, choices: &mut Choices) -> f64 {
    let is_frozen = config.strategy.name == Strategy::Frozen;
    *config.training.lr.get_or_insert_with(|| {
        let (rate, reason) = pace.learning_rate(steps);
        // The head on frozen features is fitted by a solver that needs none.
        if !is_frozen {
            choices.record("lr", rate, reason);
        }
        rate
    })
}

/// How much data one optimizer step sees: as many images, or as many tokens as about that many texts have.
fn step_size(config: &mut RunConfig, train: &Dataset, classifier: &Classifier, choices: &mut Choices) -> BatchSize {
    let frozen = config.strategy.name == Strategy::Frozen;
    let settings = &mut config.training;
    let rows = train.examples.len();
    let (examples, reason) = if rows < FEW {
        (EXAMPLES_A_STEP / 2.0, "few rows: more, smaller steps")
    } else {
        (EXAMPLES_A_STEP, "usual for fine-tuning")
    };
    match (settings.batch_size, settings.batch_tokens) {
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
            let mean = total_cost(train) as f64 / rows.max(1) as f64;
            let tokens = ((mean * examples / 64.0).round() as usize * 64).clamp(128, 32_768);
            if !frozen {
                let reason = format!("about {examples} texts of this length ({mean:.1} tokens); {reason}");
                choices.record("batch_tokens", tokens, reason);
            }
            settings.batch_tokens = Some(tokens);
            BatchSize::Tokens(tokens)
        }
    }
}

/// Tokens of all texts; of images, their number.
fn total_cost(train: &Dataset) -> usize {
    (0..train.examples.len()).map(|index| train.examples.cost(index)).sum()
}

/// Optimizer steps of one pass over the training data.
fn steps_an_epoch(train: &Dataset, batch: BatchSize) -> f64 {
    let steps = match batch {
        BatchSize::Examples(examples) => {
            let read = train.examples.windows().map_or(train.examples.len(), |windows| windows.set.len());
            read as f64 / examples.max(1) as f64
        }
        BatchSize::Tokens(tokens) => total_cost(train) as f64 / tokens.max(1) as f64,
    };
    steps.max(1.0)
}

fn epochs(config: &mut RunConfig, steps_an_epoch: f64, pace: &Pace, choices: &mut Choices) -> usize {
    let is_frozen = config.strategy.name == Strategy::Frozen;
    *config.training.epochs.get_or_insert_with(|| {
        let (epochs, reason) = match (pace.least_steps / steps_an_epoch).ceil() as usize {
            _ if is_frozen => (1, "the features are computed once".to_owned()),
            0..=EPOCHS => (EPOCHS, "usual for fine-tuning".to_owned()),
            more => {
                let Pace { least_steps, most_epochs, .. } = pace;
                let reason = format!("few rows: as many as make {least_steps} steps, at most {most_epochs}");
                (more.min(*most_epochs), reason)
            }
        };
        choices.record("epochs", epochs, reason);
        epochs
    })
}

/// Tokens, or images, of one forward and backward pass: as many as fit into memory.
fn micro_batch(config: &mut RunConfig, batch: BatchSize, hardware: &Hardware, classifier: &Classifier) -> usize {
    // Batch norms take their statistics over a micro-batch: where there are any, a step is one.
    let least = match batch {
        BatchSize::Examples(examples) if classifier.backbone.has_statistics() => examples,
        _ => 0,
    };
    let budget = training_budget(hardware.device, &classifier.input, classifier.backbone.keeps_scores()).max(least);
    *config.training.micro_batch_tokens.get_or_insert(budget)
}

/// How fast and how long a strategy trains a network where the settings do not say.
struct Pace {
    /// Peak learning rate of a run of [`ENOUGH_STEPS`] or more.
    rate: f64,
    /// By how much the rate is larger, at most, where there are fewer steps.
    faster: f64,
    /// Why this rate.
    reason: &'static str,
    /// Steps that a run has at least, while its epochs are not more than `most_epochs`.
    least_steps: f64,
    most_epochs: usize,
}

/// Steps from which on a run takes the rate as it is.
const ENOUGH_STEPS: f64 = 200.0;

impl Pace {
    /// What is usual for a strategy and a network.
    ///
    /// Small encoders bear large steps, and larger ones where steps are few; with six epochs at most they then come as
    /// far as with twenty, and more labels take more steps; so they do in small convolutional networks
    /// (docs/accuracy.md has the study). Of large encoders nothing was measured here: the rate is the usual one of
    /// BERT, and few rows get many epochs (Mosbach et al. 2021, Zhang et al. 2021).
    fn usual(strategy: Strategy, classifier: &Classifier, init: Init) -> Self {
        let width = classifier.backbone.feature_width();
        let is_image = matches!(classifier.input, InputSpec::Image(_));
        let long = |rate, reason| Self { rate, faster: 1.0, reason, least_steps: 200.0, most_epochs: 20 };
        let steps_for_labels = (100.0 + 30.0 * classifier.labels.len() as f64).min(1000.0);
        let short = |rate| Self {
            rate,
            faster: 2.0,
            reason: "measured for a small encoder (hidden size below 512)",
            least_steps: steps_for_labels,
            most_epochs: 6,
        };
        let is_small_encoder = width < 512 && !is_image;
        match strategy {
            _ if init == Init::Random => long(1e-3, "usual for training from random weights"),
            Strategy::Lora { .. } if is_small_encoder => Self { faster: 1.0, most_epochs: 12, ..short(1e-3) },
            Strategy::Lora { .. } => long(1e-3, "usual for low-rank adapters"),
            Strategy::Bitfit if is_small_encoder => Self { most_epochs: 12, ..short(2e-3) },
            Strategy::Bitfit => long(1e-3, "usual where only biases are trained"),
            Strategy::Last(_) if is_small_encoder => short(1.5e-4),
            _ if is_image && classifier.backbone.has_statistics() => match width {
                ..256 => Self {
                    least_steps: steps_for_labels.max(200.0),
                    most_epochs: 24,
                    ..long(2e-3, "usual for a small convolutional network (fewer than 256 channels)")
                },
                _ => long(3e-4, "usual for a convolutional network"),
            },
            _ if is_small_encoder => short(1e-4),
            _ if width < 512 => long(5e-5, "usual for small encoders (hidden size below 512)"),
            _ => long(3e-5, "usual for encoders with a hidden size of 512 or more"),
        }
    }

    /// The rate of a run of so many steps, to two digits, and why.
    fn learning_rate(&self, steps: f64) -> (f64, String) {
        let factor = (ENOUGH_STEPS / steps.max(1.0)).clamp(1.0, self.faster);
        if factor == 1.0 {
            return (self.rate, self.reason.to_owned());
        }
        let digits = 10f64.powf(1.0 - (self.rate * factor).log10().floor());
        (
            (self.rate * factor * digits).round() / digits,
            format!("{}; larger, since there are only {steps:.0} steps", self.reason),
        )
    }
}

/// What a snapshot must agree with: the settings that decide the result, and the data as the network sees it.
fn fingerprint(plan: &TrainPlan, config: &RunConfig, splits: &[&Dataset]) -> String {
    let mut hash = Fingerprint::default();
    let decisive = TrainPlan { log_every: 0, fingerprint: String::new(), ..plan.clone() };
    hash.bytes(format!("{decisive:?} {:?} {:?}", config.model, config.strategy));
    for split in splits {
        split.examples.add_to(&mut hash);
        split.targets.add_to(&mut hash);
    }
    hash.finish()
}
