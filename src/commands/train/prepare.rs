//! Everything that a run works with, loaded, and its settings complete. Nothing is written.

use std::path::{Path, PathBuf};

use super::data::{Data, SeenRows};
use super::network::{self, NetworkRequest};
use super::resolved;
use super::split::{PreparedSplit, SplitPreparation};
use crate::commands::inputs::{TransformOptions, language_fit, transform_for};
use crate::commands::loaded_model::{engine, hardware_of_engine};
use crate::commands::locate::locate_network;
use crate::commands::origin::Origin;
use crate::commands::origins::origins;
use crate::config::{Choices, RunConfig, Strategy, Switch};
use crate::console::{Console, units};
use crate::data::{Example, LabelResolution, Labels, Origins, Sources, Summary, repeats};
use crate::error::Result;
use crate::hardware::Hardware;
use crate::inference::Inference;
use crate::inference::budget::inference_budget;
use crate::inference::cache::{Cache, CacheSettings};
use crate::model::Classifier;
use crate::strategy::frozen::FeatureCheckpoint;
use crate::strategy::variation::Variation;
use crate::strategy::{self, TrainRequest, cached, plan, variation};
use crate::task::{self, Task};
use crate::training::reduce::SingleDevice;
use crate::training::{FitOptions, TrainPlan};
use crate::transform::{LanguageFit, Purpose, Transform};

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
}

/// A run with all that it works with.
pub struct Run<'a> {
    pub config: RunConfig,
    pub choices: Choices,
    pub hardware: Hardware,
    pub classifier: Classifier,
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

/// The splits of a run.
pub struct Splits {
    pub train: PreparedSplit,
    pub valid: PreparedSplit,
    pub test: Option<PreparedSplit>,
}

impl<'a> Run<'a> {
    /// Loads data and model, and decides what the settings leave open.
    pub fn prepare(mut config: RunConfig, session: Session<'a>, console: &'a Console) -> Result<Self> {
        let task = task::task(config.data.task)?;
        let mut choices = Choices::default();
        let hardware = Hardware::choose(config.run.device, config.run.precision, config.run.threads, &mut choices)?;
        crate::native::set_deterministic(hardware.device == tch::Device::Cpu)?;

        console.section("data");
        let (directory, modality) = locate_network(&config.model, console.is_quiet())?;
        let data = Data::load(&mut config, modality, &mut choices, console)?;
        let (labels, weights) = (data.names.clone(), data.class_weights.clone());

        console.section("model");
        let engine = engine(config.model.engine, directory.as_deref(), &mut choices)?;
        let hardware = hardware_of_engine(engine, hardware, &mut choices)?;
        let request =
            NetworkRequest { directory: directory.as_deref(), modality, labels: &labels, task, engine, hardware };
        let classifier = network::load(&config, &request, &mut choices, console)?;
        let hardware = request.hardware;

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
        let splits = Splits::of(&data, preparation)?;
        resolved::hardware_and_model(&mut config, &classifier, &hardware, engine);
        strategy::defaults::head_init(&mut config, task.head_width(&labels), &mut choices);
        let datasets = [&splits.train.dataset, &splits.valid.dataset];
        let plan = plan::plan(&mut config, datasets, &hardware, &classifier, variation.mix, weights, &mut choices)?;
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
            classifier,
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

    /// What the rows of a split are in their files.
    pub fn origins<'s>(&self, split: &'s PreparedSplit) -> &'s Origins {
        split
            .origins
            .get_or_init(|| origins(&self.sources, &split.places, &split.texts, self.labels.names(), self.console))
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

    /// What is trained, and what training needs.
    pub fn train_request(&mut self) -> (&mut Classifier, TrainRequest<'_>) {
        let Self { config, hardware, classifier, task, splits, plan, activation_cache, session, console, .. } = self;
        let options = FitOptions {
            run: &config.run.out,
            reduce: &SingleDevice,
            resume: session.resume,
            profile: session.profile,
            snapshot_seconds: config.training.snapshot_minutes * 60.0,
        };
        let request = TrainRequest {
            task: *task,
            train: &splits.train.dataset,
            valid: &splits.valid.dataset,
            plan,
            head_init: config.strategy.head_init,
            inference_budget: inference_budget(hardware.device, &classifier.input),
            activation_cache: activation_cache.as_ref(),
            cache: session.cache,
            options,
            console,
        };
        (classifier, request)
    }
}

/// How inputs become examples, training images varied.
fn training_transform(config: &RunConfig, classifier: &Classifier, variation: &Variation) -> Result<Transform> {
    let options = TransformOptions {
        max_length: config.data.max_length,
        augmentation: variation.augmentation.clone(),
        views: variation.views,
        seed: config.training.seed,
    };
    transform_for(classifier, options)
}

impl Splits {
    /// By split, how many of its images cannot be read.
    pub fn left_out(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let splits = [("training", Some(&self.train)), ("validation", Some(&self.valid)), ("test", self.test.as_ref())];
        splits.into_iter().filter_map(|(name, split)| Some((name, split?.left_out)))
    }

    /// Puts into what was said of the rows that are held out how many of them can be used.
    fn correct_held_out(&self, summary: &mut [(String, String)]) {
        let held_out = summary.iter_mut().find(|(name, _)| name == "validation");
        if let Some((_, said)) = held_out.filter(|_| self.valid.left_out > 0) {
            let used = self.valid.dataset.targets.len();
            said.push_str(&format!(": {used} used, {} that cannot be read", self.valid.left_out));
        }
    }

    /// What a person should know of the validation and test data: images left out, and rows that training sees too.
    fn warnings(&self) -> Vec<String> {
        // Those of training are in the statistics.
        let unread = self.left_out().filter(|(name, count)| *name != "training" && *count > 0);
        let unread = unread.map(|(name, count)| {
            format!("{} left out, which cannot be read", units::counted(count as u64, &format!("{name} image")))
        });
        let seen = [Some(&self.valid), self.test.as_ref()].into_iter().filter_map(|split| split?.seen.as_ref());
        unread.chain(seen.map(|seen| seen.warning.clone())).collect()
    }

    /// Counts the images of the training data that repeat others, validation images among them where they were held
    /// out; in words. Texts were counted when they were loaded.
    fn repeated_images(&self, training: &mut Summary, held_out: bool) -> Vec<String> {
        if !training.images {
            return Vec::new();
        }
        let splits = || [Some(&self.train), held_out.then_some(&self.valid)].into_iter().flatten();
        let files: Vec<&PathBuf> = splits().flat_map(|split| &split.files).collect();
        let name = |_: &Summary, row: usize| files.get(row).map_or(String::new(), |file| file.display().to_string());
        training.set_repeats(&repeats(splits().flat_map(PreparedSplit::contents)), name);
        training.repeated()
    }

    fn of(data: &Data, preparation: SplitPreparation) -> Result<Self> {
        let console = preparation.console;
        let split = |examples: &[Example], purpose| PreparedSplit::of(examples, purpose, preparation);
        let train = split(&data.train, Purpose::Training)?;
        let mut valid = split(&data.valid, Purpose::Inference)?;
        let mut test = data.test.as_deref().map(|examples| split(examples, Purpose::Inference)).transpose()?;
        console.note(format!("training data: {}", train.statistics));
        for (name, split) in [("training", Some(&train)), ("validation", Some(&valid)), ("test", test.as_ref())] {
            for remark in split.into_iter().flat_map(|split| split.remarks.iter()) {
                console.warn(format!("{name} data: {remark}"));
            }
        }
        let SeenRows { valid: seen_valid, test: seen_test } = &data.seen;
        let held_out = [("validation", Some(&mut valid), seen_valid), ("test", test.as_mut(), seen_test)];
        for (name, split, seen) in held_out {
            let Some(split) = split else { continue };
            let copies = train.copies_in("training", split, name);
            copies.iter().for_each(|copies| console.warn(&copies.warning));
            split.seen = copies.or_else(|| seen.clone());
        }
        let copies = test.as_ref().and_then(|test| valid.copies_in("validation", test, "test"));
        copies.iter().for_each(|copies| console.warn(&copies.warning));
        Ok(Self { train, valid, test })
    }
}
