//! The network of a run: a pretrained backbone, or a randomly initialised one, with a new head, as the strategy wants
//! it.

use std::path::PathBuf;

use tch::Kind;

use crate::config::{Augment, Choices, Pooling as PoolingSetting, RunConfig, Strategy};
use crate::console::{Console, units};
use crate::data::{Labels, Modality};
use crate::error::{Error, Result};
use crate::hardware::Hardware;
use crate::model::checkpoint::LoadReport;
use crate::model::{Classifier, Engine, HeadRequest, InputSpec, LoadRequest, Pooling, WeightDtype};
use crate::strategy::{self, pooler, reinit};
use crate::task::Task;

/// Which network, where, and run by what: enough to load it as often as a training begins with it.
pub struct NetworkSource {
    /// The settings as they were before the network completed them.
    pub config: RunConfig,
    /// None: randomly initialised.
    pub directory: Option<PathBuf>,
    pub modality: Modality,
    pub labels: Labels,
    pub task: &'static dyn Task,
    pub engine: Engine,
    pub hardware: Hardware,
}

impl NetworkSource {
    /// Loads the network and makes it what the strategy trains: last layers reinitialised, adapters added, stages
    /// frozen. The same each time.
    pub fn load(&self, choices: &mut Choices, console: &Console) -> Result<Classifier> {
        let config = &self.config;
        let mut classifier = self.with_new_head(choices, console)?;
        pooler::begin(config, &mut classifier, choices)?;
        if config.model.reinit_layers > 0 {
            reinit::reinitialise(&classifier, config.model.reinit_layers, config.training.seed)?;
        }
        if let Strategy::Lora { rank } = config.strategy.name {
            classifier.adapt(rank as i64, config.training.seed)?;
        }
        let frozen = strategy::frozen_stages(config.strategy.name, &classifier)?;
        classifier.backbone.freeze(frozen)?;
        Ok(classifier)
    }

    /// The backbone with a new head for the labels.
    fn with_new_head(&self, choices: &mut Choices, console: &Console) -> Result<Classifier> {
        let Self { config, directory, modality, labels, task, engine, hardware } = self;
        let pooling = strategy::defaults::pooling(config, *modality, choices);
        let head = HeadRequest::New { labels, pooling, dropout: config.model.dropout, seed: config.training.seed };
        let (weight_dtype, stages) = (WeightDtype::Float(Kind::Float), config.model.stages);
        let load = LoadRequest { engine: *engine, device: hardware.device, weight_dtype, head, stages };
        let (mut classifier, report) = match directory {
            Some(directory) => Classifier::load(directory, &load)?,
            None => (Classifier::fresh(&config.model.model, config.training.seed, &load)?, LoadReport::default()),
        };
        classifier.problem_type = task.problem_type().to_owned();
        check_input(config, &classifier.input)?;
        let wanted = config.model.pooling;
        let needs_token = matches!(wanted, PoolingSetting::Cls | PoolingSetting::ClsAndMean);
        if needs_token && classifier.pooling == Pooling::Mean {
            console.warn(format!(
                "`--pooling {wanted}` has no effect: this network has no first token, its features are averaged"
            ));
        }
        if let (Some(size), InputSpec::Image(preprocessing)) = (config.data.image_size, &classifier.input) {
            classifier.set_preprocessing(preprocessing.at_size(size as u32))?;
        }
        console.note(format!(
            "{}: {} ({}), {} parameters",
            config.model.model,
            classifier.backbone.family(),
            layers_of(classifier.backbone.stages()),
            units::count(classifier.total_parameters())
        ));
        for line in report.lines() {
            console.note(format!("weights {line}"));
        }
        Ok(classifier)
    }
}

/// The stages as a practitioner would count them: `embeddings + 6 layers`, `stem + 8 blocks`, `16 stages`.
fn layers_of(stages: &[String]) -> String {
    let counted = |others: &[String], noun| units::counted(others.len() as u64, noun);
    match stages {
        [first, layers @ ..] if first == "embeddings" => format!("{first} + {}", counted(layers, "layer")),
        [first, blocks @ ..] if first == "stem" => format!("{first} + {}", counted(blocks, "block")),
        _ => counted(stages, "stage"),
    }
}

/// A setting about the length of texts that is given.
fn length_setting(config: &RunConfig) -> Option<&'static str> {
    let data = &config.data;
    let given = [
        ("max_length", data.max_length.is_some()),
        ("long_text", data.long_text.is_some()),
        ("stride", data.stride.is_some()),
        ("window_pooling", data.window_pooling.is_some()),
    ];
    given.into_iter().find_map(|(name, is_given)| is_given.then_some(name))
}

/// That the settings suit what the network reads.
fn check_input(config: &RunConfig, input: &InputSpec) -> Result<()> {
    let training = &config.training;
    match input {
        InputSpec::Image(_) if length_setting(config).is_some() => {
            let name = length_setting(config).unwrap_or_default();
            return Err(Error::request("this model reads images")
                .key(format!("data.{name}"))
                .hint(format!("leave --{} out", name.replace('_', "-"))));
        }
        InputSpec::Image(_) if config.model.stages.is_some() => {
            return Err(Error::request("image networks cannot be cut")
                .key("model.stages")
                .hint("leave --stages out; --strategy last:N trains the last stages alone"));
        }
        InputSpec::Text { .. } if config.data.image_size.is_some() => {
            return Err(Error::request("this model reads text").key("data.image_size").hint("leave --image-size out"));
        }
        InputSpec::Text { .. } => {
            let augmentations = [
                (!matches!(training.augment, Augment::Auto | Augment::None), "augment"),
                (training.mixup > 0.0, "mixup"),
                (training.cutmix > 0.0, "cutmix"),
                (training.views > 1, "views"),
            ];
            if let Some((_, name)) = augmentations.into_iter().find(|(asked, _)| *asked) {
                return Err(Error::request("texts are not augmented")
                    .key(format!("training.{name}"))
                    .hint(format!("leave --{name} out")));
            }
        }
        InputSpec::Image(_) => {}
    }
    Ok(())
}
