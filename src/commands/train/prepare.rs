//! Everything that a run works with, loaded, and its settings complete. Nothing is written.

use std::path::Path;

use super::data::Data;
use super::network::NetworkSource;
use super::resolved;
use super::split::{PreparedSplit, SplitPreparation};
use super::splits::{Splits, Validation};
use crate::batch::Pooled;
use crate::commands::inputs::{TransformOptions, language_fit, transform_for};
use crate::commands::loaded_model::{engine, hardware_of_engine};
use crate::commands::locate::locate_network;
use crate::commands::origin::Origin;
use crate::commands::origins::origins;
use crate::config::{Choices, RunConfig, Strategy, Switch};
use crate::console::Console;
use crate::data::{LabelResolution, Labels, Origins, Sources, Summary};
use crate::error::Result;
use crate::hardware::Hardware;
use crate::inference::Inference;
use crate::inference::budget::inference_budget;
use crate::inference::cache::{Cache, CacheSettings};
use crate::model::Classifier;
use crate::strategy::frozen::FeatureCheckpoint;
use crate::strategy::variation::Variation;
use crate::strategy::{self, Guide, TrainRequest, Trained, Watch, cached, plan, variation};
use crate::task::{self, Dataset, Task};
use crate::training::reduce::SingleDevice;
use crate::training::{FitOptions, TrainPlan};
use crate::transform::{LanguageFit, LongTextRequest, Transform};

/// What belongs to the call rather than to the run.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// Whether to continue with what is in the run directory.
    pub resume: bool,
    /// Whether to say where the time of training goes.
    pub profile: bool,
    /// What earlier runs of this process have computed already.
    pub cache: &'a Cache,
    /// What a comparison, which has looked, says the run is made from.
    pub origin: Option<&'a Origin>,
    /// Whether folds are followed by the training on all rows. Without it a run ends with their predictions, and a
    /// later session can train its model.
    pub final_model: bool,
}

/// A run with all that it works with.
pub struct Run<'a> {
    pub config: RunConfig,
    pub choices: Choices,
    pub hardware: Hardware,
    /// Where it comes from.
    network: NetworkSource,
    pub classifier: Classifier,
    /// Whether nothing of the classifier has been trained yet.
    has_fresh_network: bool,
    pub transform: Transform,
    /// The names of the head's outputs.
    pub labels: Labels,
    /// How the labels of the training data became these.
    pub label_resolution: LabelResolution,
    pub task: &'static dyn Task,
    pub splits: Splits,
    /// The files of the data.
    pub sources: Sources,
    /// What is in the training files, before validation rows are held out.
    pub training: Summary,
    /// Whether the tokenizer knows the language of the training texts.
    pub language: Option<LanguageFit>,
    /// What is in the data: name, value.
    pub summary: Vec<(String, String)>,
    /// What a person should know of how the data were read.
    pub warnings: Vec<String>,
    pub plan: TrainPlan,
    /// Of each training image; 0: every epoch has others.
    pub views: usize,
    /// Where activations of the frozen stages are cached. None: they are not.
    pub activation_cache: Option<CacheSettings>,
    pub session: Session<'a>,
    pub console: &'a Console,
}

impl<'a> Run<'a> {
    /// Where the network is that the run begins with; none where it begins with random numbers.
    pub fn base_directory(&self) -> Option<&Path> {
        self.network.directory.as_deref()
    }

    /// Loads data and model, and decides what the settings leave open.
    pub fn prepare(mut config: RunConfig, session: Session<'a>, console: &'a Console) -> Result<Self> {
        let mut choices = Choices::default();
        let hardware = Hardware::choose(config.run.device, config.run.precision, config.run.threads, &mut choices)?;
        crate::native::set_deterministic(hardware.device == tch::Device::Cpu)?;

        console.section("data");
        let (directory, modality) = locate_network(&config.model, console.is_quiet())?;
        let data = Data::load(&mut config, modality, &mut choices, console)?;
        let task = task::task(config.data.task)?;
        let (labels, weights) = (data.names.clone(), data.class_weights.clone());

        console.section("model");
        let engine = engine(config.model.engine, directory.as_deref(), &mut choices)?;
        let hardware = hardware_of_engine(engine, hardware, &mut choices)?;
        let (before, names) = (config.clone(), labels.clone());
        let network = NetworkSource { config: before, directory, modality, labels: names, task, engine, hardware };
        let classifier = network.load(&mut choices, console)?;

        let variation = variation::variation(&mut config, &classifier.input, &mut choices);
        let transform = training_transform(&config, &classifier, &variation)?;
        transform.warnings().iter().for_each(|warning| console.warn(warning));
        let language = language_fit(&transform, data.train.iter().map(|example| &example.input), console);
        resolved::sizes(&mut config, &transform, &mut choices);
        let preparation = SplitPreparation {
            task,
            values: &data.labels,
            names: &labels,
            transform: &transform,
            on_bad_input: config.data.on_bad_input,
            cache: session.cache,
            console,
        };
        let splits = Splits::of(&data, Validation::of(&config, variation.views), preparation)?;
        resolved::hardware_and_model(&mut config, &classifier, &hardware, engine);
        strategy::defaults::head_init(&mut config, task.head_width(&labels), &mut choices);
        let mut plan_on = |datasets: &[&Dataset]| {
            plan::plan(&mut config, datasets, &hardware, &classifier, variation.mix, weights.clone(), &mut choices)
        };
        let plan = splits.plan(&mut plan_on)?;
        // Varied images differ in every epoch, and so does what the frozen stages compute of them.
        let is_cached =
            config.run.cache == Switch::On && matches!(config.strategy.name, Strategy::Last(_)) && variation.is_none();
        let activation_cache = is_cached.then(|| cached::settings(&config, &mut choices));
        console.note(&choices);
        let Data { mut summary, mut warnings, mut training, sources, resolution: label_resolution, .. } = data;
        splits.correct_held_out(&mut summary);
        summary.push((splits.train.dataset.examples.unit().to_owned(), splits.train.statistics.clone()));
        summary.extend(splits.train.remarks.iter().map(|remark| ("training texts".to_owned(), remark.clone())));
        for repeated in splits.repeated_images(&mut training, config.data.valid.is_none()) {
            console.note(format!("training data: {repeated}"));
            summary.push(("training data".to_owned(), repeated));
        }
        // What is shared by texts is among the warnings.
        let of_splits: Vec<String> = splits.warnings().into_iter().filter(|said| !warnings.contains(said)).collect();
        warnings.extend(of_splits);
        summary.extend(warnings.iter().map(|warning| ("reading".to_owned(), warning.clone())));
        Ok(Self {
            config,
            choices,
            hardware,
            network,
            classifier,
            has_fresh_network: true,
            transform,
            labels,
            label_resolution,
            task,
            splits,
            sources,
            training,
            language,
            summary,
            warnings,
            plan,
            views: variation.views,
            activation_cache,
            session,
            console,
        })
    }

    /// The run directory.
    pub fn out(&self) -> &Path {
        &self.config.run.out
    }

    /// Rows that the final model is trained on, each once however many views it has.
    pub fn train_rows(&self) -> u64 {
        self.rows_of(&self.splits.train.dataset)
    }

    /// Rows of a dataset that is trained on, each once however many views it has.
    pub fn rows_of(&self, dataset: &Dataset) -> u64 {
        (dataset.targets.len() / self.views.max(1)) as u64
    }

    /// What the rows of a split are in their files.
    pub fn origins<'s>(&self, split: &'s PreparedSplit) -> &'s Origins {
        split
            .origins
            .get_or_init(|| origins(&self.sources, &split.places, &split.texts, self.labels.names(), self.console))
    }

    /// Whether the run ends where its folds have predicted every row, without a model.
    pub fn ends_with_folds(&self) -> bool {
        self.splits.folded.is_some() && !self.session.final_model
    }

    /// The features that an interrupted call has left.
    pub fn feature_checkpoint(&self) -> FeatureCheckpoint {
        FeatureCheckpoint::new(self.out(), &self.plan.fingerprint)
    }

    /// The classifier as it is, in evaluation mode.
    pub fn inference(&self) -> Inference<'_> {
        let Self { classifier, hardware, .. } = self;
        let batch_tokens = inference_budget(hardware.device, &classifier.input);
        Inference { classifier, compute: hardware.compute, batch_tokens, lower_layers: None }
    }

    /// The same with the network as it was before anything of it was trained. One network is in memory at a time.
    pub fn with_fresh_network(mut self) -> Result<Self> {
        if !self.has_fresh_network {
            drop(self.classifier);
            // Everything has been said of it.
            self.classifier = self.network.load(&mut Choices::default(), &Console::new(true))?;
            self.has_fresh_network = true;
        }
        Ok(self)
    }

    /// Trains the classifier.
    pub fn train(&mut self, stage: &Stage) -> Result<Trained> {
        let Self { config, hardware, network, classifier, task, activation_cache, session, console, .. } = self;
        // Everything has been said of it.
        let reload = || network.load(&mut Choices::default(), &Console::new(true));
        let options = FitOptions {
            run: stage.folder,
            reduce: &SingleDevice,
            resume: session.resume,
            profile: session.profile,
            snapshot_seconds: config.training.snapshot_minutes * 60.0,
            kept_snapshots: config.training.keep_snapshots,
        };
        let request = TrainRequest {
            task: *task,
            train: stage.train,
            guide: stage.guide,
            plan: stage.plan,
            head_init: config.strategy.head_init,
            inference_budget: inference_budget(hardware.device, &classifier.input),
            activation_cache: activation_cache.as_ref(),
            cache: session.cache,
            counts_shared: stage.counts_shared,
            watch: stage.watch,
            options,
            reload: &reload,
            console,
        };
        self.has_fresh_network = false;
        strategy::train(config.strategy.name, classifier, &request)
    }
}

/// One training of a run.
pub struct Stage<'a> {
    pub train: &'a Dataset,
    pub guide: Guide<'a>,
    pub plan: &'a TrainPlan,
    /// Where its history and snapshots go.
    pub folder: &'a Path,
    /// Hears of the logits of the validation data after every epoch.
    pub watch: Option<Watch<'a>>,
    /// Whether the time of what the trainings of the run share counts to this one.
    pub counts_shared: bool,
}

/// How inputs become examples, training images varied.
fn training_transform(config: &RunConfig, classifier: &Classifier, variation: &Variation) -> Result<Transform> {
    let is_fitted_on_features = config.strategy.name == Strategy::Frozen;
    let long_text = LongTextRequest {
        long_text: config.data.long_text,
        stride: config.data.stride,
        window_pooling: config.data.window_pooling,
        pooled: Some(if is_fitted_on_features { Pooled::Features } else { Pooled::Logits }),
        afresh: true,
    };
    let options = TransformOptions {
        max_length: config.data.max_length,
        long_text,
        augmentation: variation.augmentation.clone(),
        views: variation.views,
        seed: config.training.seed,
    };
    transform_for(classifier, options)
}
