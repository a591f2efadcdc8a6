//! `rehead train`: from labelled data and a pretrained model to a run directory.

pub(super) mod data;
mod defaults;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::Kind;

use self::data::Data;
use super::{Seen, check_writable, engine, locate_network, prepare, print, transform_for};
use crate::batch::ExampleSet;
use crate::batch::sampler::BatchSize;
use crate::cli::TrainArgs;
use crate::config::{self, Augment, Choices, HeadInit, OnBadInput, RunConfig, Strategy, Switch};
use crate::console::{Console, units};
use crate::data::{Example, Input, Labels, Modality};
use crate::error::{self, Error, Result};
use crate::evaluation::{Evaluation, evaluate};
use crate::files::{remove_temporaries, write_atomically};
use crate::hardware::Hardware;
use crate::inference::Inference;
use crate::inference::activations::Activations;
use crate::inference::activations::Wanted;
use crate::inference::cache::{Cache, CacheSettings, Examples, Found};
use crate::interrupt;
use crate::model::checkpoint::LoadReport;
use crate::model::{Classifier, Engine, Format, HeadRequest, InputSpec, Linears, LoadRequest};
use crate::report::{Predictions, RunMetrics, html};
use crate::strategy::{self, frozen, reinit};
use crate::training::history::{self, EvaluationRecord, HistoryWriter};
use crate::training::snapshot::{self, Snapshots};
use crate::training::{self, Evaluated, FitOptions, TrainPlan, TrainingSet};
use crate::transform::{Purpose, Transform};

pub fn run(args: &TrainArgs) -> Result<()> {
    let console = Console::new(args.run.output.quiet);
    let config = args.resolve()?;
    config.check_paths(args.resume)?;
    let session = Session { resume: args.resume, profile: args.profile, cache: &Cache::default() };
    let metrics = train(config, session, &console)?;
    if args.run.output.json {
        print(&metrics.to_json()?)?;
    }
    Ok(())
}

/// What belongs to the call rather than to the run.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// Whether to go on with what is in the run directory.
    pub resume: bool,
    /// Whether to say where the time of training goes.
    pub profile: bool,
    /// What earlier runs of this process have computed already.
    pub cache: &'a Cache,
}

/// Trains as `config` says, into `config.run.out`.
pub fn train(config: RunConfig, session: Session, console: &Console) -> Result<RunMetrics> {
    let resume = session.resume;
    check_task(&config)?;
    check_precision(&config)?;
    if resume {
        check_same_settings(&config)?;
        if let Some(metrics) = finished(&config.run.out, console)? {
            return Ok(metrics);
        }
    }
    check_writable(&config.run.out, "--out", resume)?;
    if let Some(folder) = config.run.cache_dir.as_deref() {
        check_writable(folder, "--cache-dir", true)?;
    }

    let mut run = Run::prepare(config, session, console)?;
    run.begin()?;
    let trained = match run.trained_before()? {
        Some(trained) => trained,
        None => {
            let trained = run.train().map_err(|error| run.how_to_go_on(error))?;
            run.save(&trained)?;
            trained
        }
    };
    let test = run.test().map_err(|error| run.how_to_go_on(error))?;
    run.finish(trained, test)
}

/// A run with all that it works with.
struct Run<'a> {
    config: RunConfig,
    choices: Choices,
    hardware: Hardware,
    classifier: Classifier,
    transform: Transform,
    labels: Labels,
    train: Split,
    valid: Split,
    test: Option<Split>,
    /// What is in the data: name, value.
    summary: Vec<(String, String)>,
    plan: TrainPlan,
    /// Of each training image.
    views: usize,
    /// None when nothing is to be kept.
    cache: Option<CacheSettings>,
    session: Session<'a>,
    console: &'a Console,
}

/// Examples as the network sees them.
struct Split {
    set: Arc<dyn ExampleSet>,
    labels: Vec<u32>,
    /// What is to be known of their sizes.
    statistics: String,
    /// What making the examples took.
    seconds: f64,
    /// As people read them, for the report; of the training examples none.
    texts: Vec<String>,
}

/// What every strategy hands back.
#[derive(Serialize, Deserialize)]
struct Trained {
    /// The configuration's fingerprint.
    fingerprint: String,
    seconds: f64,
    tokens: u64,
    best_epoch: Option<u32>,
    epochs: u32,
    trainable_parameters: u64,
    valid: Evaluation,
    #[serde(skip)]
    valid_predictions: Predictions,
}

impl<'a> Run<'a> {
    /// Loads data and model, and settles what was left open. Nothing is written.
    fn prepare(mut config: RunConfig, session: Session<'a>, console: &'a Console) -> Result<Self> {
        let mut choices = Choices::default();
        let hardware = Hardware::choose(config.run.device, config.run.precision, config.run.threads, &mut choices)?;
        crate::native::set_deterministic(hardware.device == tch::Device::Cpu)?;

        console.section("data");
        let (directory, modality) = locate_network(&config.model, console.is_quiet())?;
        let data = Data::load(&mut config, modality, &mut choices, console)?;

        console.section("model");
        let engine = engine(config.model.engine, &mut choices);
        let hardware =
            if engine == Engine::RustBert { Hardware { compute: Kind::Float, ..hardware } } else { hardware };
        let mut classifier = load_classifier(
            &config,
            directory.as_deref(),
            modality,
            &data.labels,
            engine,
            &hardware,
            &mut choices,
            console,
        )?;
        if config.model.reinit_layers > 0 {
            if classifier.format == Format::Timm {
                return Err(Error::request("convolutional networks keep all their layers")
                    .key("model.reinit_layers")
                    .hint("leave --reinit-layers out, or begin from nothing with --init random"));
            }
            reinit::reinitialise(&classifier, config.model.reinit_layers, config.training.seed)?;
        }
        if let Strategy::Lora { rank } = config.strategy.name {
            classifier.backbone.adapt(rank as i64, config.training.seed)?;
        }
        let fixed = strategy::frozen_stages(config.strategy.name, &classifier)?;
        classifier.backbone.fix(fixed, hardware.compute)?;
        let max_length = config.data.max_length;
        let variation = defaults::variation(&mut config, &classifier.input, &mut choices);
        let seen = Seen {
            max_length,
            augmentation: variation.augmentation.clone(),
            views: variation.views,
            seed: config.training.seed,
        };
        let transform = transform_for(&classifier, seen)?;
        defaults::sizes(&mut config, &transform, &mut choices);
        let on_bad_input = config.data.on_bad_input;
        let split = |examples: &[Example], purpose| {
            Split::of(examples, &transform, purpose, on_bad_input, session.cache, console)
        };
        let train = split(&data.train, Purpose::Training)?;
        let valid = split(&data.valid, Purpose::Inference)?;
        let test = data.test.as_deref().map(|examples| split(examples, Purpose::Inference)).transpose()?;
        console.note(format!("training data: {}", train.statistics));
        train.warn_of_copies(&valid, "validation", console);
        if let Some(test) = &test {
            train.warn_of_copies(test, "test", console);
        }

        defaults::hardware_and_model(&mut config, &classifier, &hardware, engine);
        defaults::head_init(&mut config, data.labels.len(), &mut choices);
        let plan = defaults::plan(&mut config, &train, &valid, &hardware, &classifier, variation.mix, &mut choices);
        // Varied images differ in every epoch, and so does what the frozen stages make of them.
        let cached =
            config.run.cache == Switch::On && matches!(config.strategy.name, Strategy::Last(_)) && variation.is_none();
        let alone = plan.micro_batch_tokens < 2 || plan.batch == BatchSize::Examples(1);
        if !plan.mix.is_none() && alone {
            return Err(Error::request("images are mixed in pairs, and a batch has room for one")
                .key("training.batch_size")
                .hint("take larger batches, or leave --mixup and --cutmix out"));
        }
        let cache = cached.then(|| defaults::cache(&config, &mut choices));
        console.note(&choices);
        let Data { labels, mut summary, .. } = data;
        summary.push((train.set.unit().to_owned(), train.statistics.clone()));
        Ok(Self {
            config,
            choices,
            hardware,
            classifier,
            transform,
            labels,
            train,
            valid,
            test,
            summary,
            plan,
            views: variation.views,
            cache,
            session,
            console,
        })
    }

    fn out(&self) -> &Path {
        &self.config.run.out
    }

    /// Makes the run directory and saves the settings in it; from now on an interruption leaves something to go on from.
    fn begin(&self) -> Result<()> {
        std::fs::create_dir_all(self.out()).map_err(|error| super::unwritable(error, self.out(), "--out"))?;
        if self.session.resume {
            remove_temporaries(self.out());
            remove_temporaries(&self.out().join("checkpoints"));
        }
        let settings = config::saved_settings(self.out());
        if !(self.session.resume && settings.is_file()) {
            write_atomically(settings, self.config.to_toml(&self.choices)?.as_bytes())?;
        }
        interrupt::listen();
        Ok(())
    }

    fn train(&mut self) -> Result<Trained> {
        self.console.section(format!("training ({})", self.config.strategy.name));
        match self.config.strategy.name {
            Strategy::Frozen => self.train_frozen(),
            _ => self.train_stages(),
        }
    }

    fn train_frozen(&mut self) -> Result<Trained> {
        let outcome = self.fit_head()?;
        let began = Instant::now();
        let evaluation = evaluate(&outcome.valid_logits.values, &self.valid.labels, self.labels.words())?;
        let mut history = HistoryWriter::create(self.out().join("history.jsonl"))?;
        history.evaluation(EvaluationRecord::new("valid", 1, 1, &evaluation, began.elapsed().as_secs_f64()))?;
        self.console.note(format!("validation {}", evaluation.summary()));
        Ok(Trained {
            fingerprint: self.plan.fingerprint.clone(),
            seconds: outcome.seconds,
            tokens: outcome.tokens,
            best_epoch: None,
            epochs: 1,
            trainable_parameters: self.trainable_parameters()?,
            valid_predictions: Predictions::of_logits(&outcome.valid_logits.values, &self.valid.labels),
            valid: evaluation,
        })
    }

    /// Fits the head on the features of the backbone as it is.
    fn fit_head(&mut self) -> Result<frozen::Outcome> {
        let kept = self.kept_features();
        let key = defaults::features_key(&self.classifier, [&self.train, &self.valid], self.hardware.compute)?;
        let cache = self.session.cache;
        let Self { classifier, train, valid, hardware, plan, console, config, .. } = self;
        let (stages, compute) = (classifier.backbone.stages().len(), hardware.compute);
        // The same features whatever is trained afterwards: strategies share them.
        classifier.backbone.fix(stages, compute)?;
        let outcome = frozen::fit(
            classifier,
            &frozen::LabelledExamples { examples: &*train.set, labels: &train.labels },
            &frozen::LabelledExamples { examples: &*valid.set, labels: &valid.labels },
            &frozen::Fitting {
                compute: hardware.compute,
                batch_tokens: hardware.inference_budget(&classifier.input),
                loss: &plan.loss,
                kept: &kept,
                cache,
                key: &key,
            },
            console,
        )?;
        let frozen = strategy::frozen_stages(config.strategy.name, classifier)?;
        classifier.backbone.fix(frozen, compute)?;
        Ok(outcome)
    }

    fn train_stages(&mut self) -> Result<Trained> {
        let mut seconds = 0.0;
        let begun = self.session.resume && Snapshots::new(self.out())?.latest()?.is_some();
        if self.config.strategy.head_init == HeadInit::Probe && !begun {
            seconds += self.fit_head()?.seconds;
        }
        let (train, valid) = (self.prefix_of(&self.train)?, self.prefix_of(&self.valid)?);
        // What an earlier run has computed for this one counts as if it had done so itself.
        seconds += [&train, &valid].into_iter().flatten().map(|found| found.activations.seconds).sum::<f64>();
        fn activations(found: &Option<Found>) -> Option<&Activations> {
            found.as_ref().map(|found| &*found.activations)
        }

        let scope = strategy::scope(self.config.strategy.name, &self.classifier)?;
        let (examples, labels) = (&self.train.set, self.train.labels.as_slice());
        let set = TrainingSet { examples, labels, prefix: activations(&train) };
        let evaluate = || self.score(&self.valid, "validation", activations(&valid));
        let Session { resume, profile, .. } = self.session;
        let snapshot_seconds = self.config.training.snapshot_minutes * 60.0;
        let options = FitOptions { run: self.out(), resume, profile, snapshot_seconds };
        let outcome = training::fit(&self.classifier, &scope, &set, &self.plan, &evaluate, options, self.console)?;
        let trainable_parameters = self.trainable_parameters()?;
        let adapted = !self.classifier.backbone.adapters().is_empty();
        self.classifier.backbone.merge_adapters()?;
        let folded = !self.classifier.backbone.statistics().is_empty();
        self.nothing_is_trained_any_more()?;
        // Merged and folded weights are rounded otherwise than apart: what is saved, and labels later, is what is scored.
        let scored = match outcome.valid.filter(|_| !adapted && !folded) {
            Some(scored) => scored,
            None => self.score(&self.valid, "validation", activations(&valid))?,
        };
        Ok(Trained {
            fingerprint: self.plan.fingerprint.clone(),
            seconds: outcome.seconds + seconds,
            tokens: outcome.tokens,
            best_epoch: outcome.best_epoch,
            epochs: outcome.epochs,
            trainable_parameters,
            valid_predictions: Predictions::of_logits(&scored.logits.values, &self.valid.labels),
            valid: scored.evaluation,
        })
    }

    fn nothing_is_trained_any_more(&mut self) -> Result<()> {
        let backbone = &mut self.classifier.backbone;
        backbone.fix(backbone.stages().len(), self.hardware.compute)
    }

    fn trainable_parameters(&self) -> Result<u64> {
        let scope = strategy::scope(self.config.strategy.name, &self.classifier)?;
        Ok(scope.parameters.iter().map(|parameter| parameter.elements()).sum())
    }

    /// The split's activations behind the stages that stay frozen, when there are any and they are to be kept.
    fn prefix_of(&self, split: &Split) -> Result<Option<Found>> {
        let stages = strategy::frozen_stages(self.config.strategy.name, &self.classifier)?;
        let Some(settings) = self.cache.as_ref().filter(|_| stages > 0) else { return Ok(None) };
        let key = defaults::prefix_key(&self.classifier, stages, split, self.hardware.compute)?;
        let wanted = Wanted {
            classifier: &self.classifier,
            stages,
            set: &*split.set,
            compute: self.hardware.compute,
            batch_tokens: self.hardware.inference_budget(&self.classifier.input),
            key: &key,
        };
        self.session.cache.get(&wanted, settings, self.console).map(Some)
    }

    fn save(&self, trained: &Trained) -> Result<()> {
        self.classifier.save(self.out())?;
        self.transform.save(self.out())?;
        trained.valid_predictions.write(self.out(), "valid", self.labels.words())?;
        Snapshots::new(self.out())?.trained(trained)
    }

    /// When an earlier session has trained and saved the model: how it went. The classifier is then that model.
    fn trained_before(&mut self) -> Result<Option<Trained>> {
        if !self.session.resume {
            return Ok(None);
        }
        let mut trained: Option<Trained> = Snapshots::new(self.out())?.account_of_training()?;
        if let Some(trained) = &mut trained {
            if trained.fingerprint != self.plan.fingerprint {
                return Err(snapshot::of_another_run(self.out()));
            }
            self.classifier.backbone.merge_adapters()?;
            let parameters: Vec<_> =
                self.classifier.parameters().chain(self.classifier.backbone.statistics()).collect();
            snapshot::copy_into(&self.out().join("model.safetensors"), &parameters)?;
            self.nothing_is_trained_any_more()?;
            trained.valid_predictions = Predictions::read(self.out(), "valid", self.labels.words())?;
            self.console.note("the model is trained and saved");
        }
        Ok(trained)
    }

    /// The trained classifier's score on the test data, when there are any.
    fn test(&self) -> Result<Option<Evaluated>> {
        let Some(test) = &self.test else { return Ok(None) };
        self.score(test, "test", None).map(Some).map_err(|error| match error.kind() {
            error::Kind::Interrupted => Error::interrupted("the model is trained and saved, the test data not scored"),
            _ => error,
        })
    }

    fn finish(self, trained: Trained, test: Option<Evaluated>) -> Result<RunMetrics> {
        let test_predictions = match (&test, &self.test) {
            (Some(scored), Some(split)) => {
                let predictions = Predictions::of_logits(&scored.logits.values, &split.labels);
                predictions.write(self.out(), "test", self.labels.words())?;
                Some(predictions)
            }
            _ => None,
        };
        let rate = |unit| (self.train.set.unit() == unit).then(|| trained.tokens as f64 / trained.seconds.max(1e-9));
        let metrics = RunMetrics {
            model: self.config.model.model.clone(),
            strategy: self.config.strategy.name.to_string(),
            seed: self.config.training.seed,
            train_rows: (self.train.labels.len() / self.views.max(1)) as u64,
            train_seconds: trained.seconds,
            prepare_seconds: self.train.seconds + self.valid.seconds,
            tokens_per_second: rate("tokens"),
            images_per_second: rate("images"),
            trainable_parameters: trained.trainable_parameters,
            total_parameters: self.classifier.total_parameters(),
            peak_memory_bytes: self.hardware.peak_memory_bytes(),
            valid: Some(trained.valid.clone()),
            test: test.map(|scored| scored.evaluation),
            best_epoch: trained.best_epoch,
            epochs: trained.epochs,
            choices: serde_json::to_value(&self.choices).unwrap_or_default(),
            rehead_version: RunMetrics::VERSION.to_owned(),
        };
        metrics.write(self.out().join("metrics.json"))?;
        let page = self.page(&metrics, &trained.valid_predictions, test_predictions.as_ref())?;
        write_atomically(self.out().join("report.html"), page.as_bytes())?;
        self.kept_features().remove()?;
        if let Some(settings) = self.cache.as_ref().filter(|settings| !settings.keep) {
            settings.clear()?;
        }
        Snapshots::new(self.out())?.finish()?;
        self.report(&metrics);
        Ok(metrics)
    }

    /// `report.html`.
    fn page(&self, metrics: &RunMetrics, valid: &Predictions, test: Option<&Predictions>) -> Result<String> {
        let file = config::saved_settings(self.out());
        let settings = std::fs::read_to_string(&file).map_err(|error| Error::io(error, &file))?;
        let history = history::read(self.out().join("history.jsonl"))?;
        let splits: Vec<html::run::ScoredSplit> = [
            ("valid", &metrics.valid, Some(valid), Some(&self.valid)),
            ("test", &metrics.test, test, self.test.as_ref()),
        ]
        .into_iter()
        .filter_map(|(name, evaluation, predictions, split)| {
            let (evaluation, predictions, split) = (evaluation.as_ref()?, predictions?, split?);
            Some(html::run::ScoredSplit {
                name,
                evaluation,
                truth: &predictions.truth,
                probabilities: &predictions.probabilities,
                texts: &split.texts,
                modality: self.transform.modality(),
            })
        })
        .collect();
        Ok(html::run::page(&html::run::RunReport {
            title: &self.out().display().to_string(),
            metrics,
            settings: &settings,
            history: &history,
            data: &self.summary,
            splits: &splits,
        }))
    }

    fn report(&self, metrics: &RunMetrics) {
        self.console.section("result");
        for (split, evaluation) in [("validation", &metrics.valid), ("test", &metrics.test)] {
            if let Some(evaluation) = evaluation {
                self.console.note(format!("{split}: {evaluation}"));
            }
        }
        let seconds = units::seconds(metrics.train_seconds);
        self.console.summary(format!("{} trained in {seconds}: {}", metrics.strategy, self.out().display()));
    }

    /// Scores the classifier as it is, with progress.
    fn score(&self, split: &Split, name: &str, prefix: Option<&Activations>) -> Result<Evaluated> {
        let inference = Inference {
            classifier: &self.classifier,
            compute: self.hardware.compute,
            batch_tokens: self.hardware.inference_budget(&self.classifier.input),
            prefix,
        };
        let set = &split.set;
        let bar = self.console.progress(name, Some(set.len() as u64), "examples").rate_in(set.unit());
        let logits =
            inference.logits(&**set, &mut |examples, tokens| bar.advance_with(examples as u64, tokens as u64))?;
        drop(bar);
        let evaluation = evaluate(&logits.values, &split.labels, self.labels.words())?;
        Ok(Evaluated { logits, evaluation })
    }

    fn kept_features(&self) -> frozen::KeptFeatures {
        frozen::KeptFeatures::new(self.out(), &self.plan.fingerprint)
    }

    fn how_to_go_on(&self, error: Error) -> Error {
        match error.kind() {
            error::Kind::Interrupted => {
                error.hint(format!("go on with: rehead train --resume --out {}", self.out().display()))
            }
            _ => error,
        }
    }
}

impl Split {
    fn of(
        examples: &[Example],
        transform: &Transform,
        purpose: Purpose,
        on_bad_input: OnBadInput,
        cache: &Cache,
        console: &Console,
    ) -> Result<Self> {
        let inputs: Vec<&Input> = examples.iter().map(|example| &example.input).collect();
        let Examples { set, places, statistics, seconds } = cache.examples(transform.key(&inputs, purpose), || {
            let began = Instant::now();
            let prepared = prepare(transform, &inputs, purpose, on_bad_input, console)?;
            let usable = prepared.usable(inputs.len());
            // As often as the set has each of them.
            let views = prepared.set.len() / usable.len().max(1);
            let (places, seconds) = (usable.repeat(views).into(), began.elapsed().as_secs_f64());
            Ok(Examples { set: prepared.set, places, statistics: prepared.statistics, seconds })
        })?;
        let usable = || places.iter().filter_map(|&place| examples.get(place));
        Ok(Self {
            labels: usable().map(|example| example.label).collect(),
            texts: match purpose {
                Purpose::Training => Vec::new(),
                Purpose::Inference => usable().map(|example| example.input.to_string()).collect(),
            },
            set,
            statistics,
            seconds,
        })
    }

    /// Says how many images of another split are copies of ones that are trained on. (Of texts that is told when they are loaded.)
    fn warn_of_copies(&self, other: &Split, name: &str, console: &Console) {
        fn contents(split: &Split) -> impl Iterator<Item = &str> {
            (0..split.set.len()).filter_map(|index| split.set.content(index))
        }
        let known: HashSet<&str> = contents(self).collect();
        let copies = contents(other).filter(|content| known.contains(content)).count();
        if copies > 0 {
            console
                .warn(format!("{copies} of the {name} images are copies of training images: scores on them flatter"));
        }
    }
}

/// The pretrained backbone with a new head for `labels`.
fn load_classifier(
    config: &RunConfig,
    directory: Option<&Path>,
    modality: Modality,
    labels: &Labels,
    engine: Engine,
    hardware: &Hardware,
    choices: &mut Choices,
    console: &Console,
) -> Result<Classifier> {
    let pooling = defaults::pooling(config, modality, choices);
    let head = HeadRequest::New { labels, pooling, dropout: config.model.dropout, seed: config.training.seed };
    let linears = Linears::In(Kind::Float);
    let request = LoadRequest { engine, device: hardware.device, linears, head, stages: config.model.stages };
    let (mut classifier, report) = match directory {
        Some(directory) => Classifier::load(directory, &request)?,
        None => (Classifier::fresh(&config.model.model, config.training.seed, &request)?, LoadReport::default()),
    };
    match (config.data.image_size, &classifier.input) {
        (_, InputSpec::Image(_)) if config.data.max_length.is_some() => {
            return Err(Error::request("this model reads images")
                .key("data.max_length")
                .hint("leave --max-length out"));
        }
        (Some(size), InputSpec::Image(how)) => classifier.set_preprocessing(how.at_size(size as u32))?,
        (Some(_), InputSpec::Text { .. }) => {
            return Err(Error::request("this model reads text").key("data.image_size").hint("leave --image-size out"));
        }
        (_, InputSpec::Text { .. }) => {
            let training = &config.training;
            let varied = [
                (!matches!(training.augment, Augment::Auto | Augment::None), "augment"),
                (training.mixup > 0.0, "mixup"),
                (training.cutmix > 0.0, "cutmix"),
                (training.views > 1, "views"),
            ];
            if let Some((_, name)) = varied.into_iter().find(|(asked, _)| *asked) {
                return Err(Error::request("texts are not varied")
                    .key(format!("training.{name}"))
                    .hint(format!("leave --{name} out")));
            }
        }
        _ => {}
    }
    if config.model.stages.is_some() && matches!(classifier.input, InputSpec::Image(_)) {
        return Err(Error::request("networks for images are kept whole")
            .key("model.stages")
            .hint("leave --stages out; --strategy last:N trains the last stages alone"));
    }
    console.note(format!(
        "{}: {} with {} stages, {} parameters",
        config.model.model,
        classifier.backbone.family(),
        classifier.backbone.stages().len(),
        units::count(classifier.total_parameters())
    ));
    for line in report.lines() {
        console.note(format!("weights {line}"));
    }
    Ok(classifier)
}

/// The metrics of a run that has ended.
fn finished(out: &Path, console: &Console) -> Result<Option<RunMetrics>> {
    if !Snapshots::new_if_there(out).is_some_and(|snapshots| snapshots.finished()) {
        return Ok(None);
    }
    console.note(format!("{} is finished: there is nothing to resume", out.display()));
    RunMetrics::read(out.join("metrics.json")).map(Some)
}

/// A run is gone on with under the settings that it began with.
fn check_same_settings(config: &RunConfig) -> Result<()> {
    let file = config::saved_settings(&config.run.out);
    if !file.is_file() {
        return Ok(());
    }
    let differences = config::differences(&config::load(&file)?, config)?;
    if differences.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = differences.iter().map(ToString::to_string).collect();
    Err(Error::request(format!("cannot go on with other settings: {}", shown.join("; ")))
        .file(file)
        .hint("`rehead train --resume --out RUN` alone takes the saved ones; other settings want another --out"))
}

fn check_precision(config: &RunConfig) -> Result<()> {
    match config.run.precision {
        config::Precision::Int8 => Err(Error::request("nothing can be trained in int8")
            .key("precision")
            .hint("train in bf16 or fp32; `rehead label --precision int8` then labels with the result")),
        _ => Ok(()),
    }
}

fn check_task(config: &RunConfig) -> Result<()> {
    match config.data.task {
        None | Some(config::Task::SingleLabel) => Ok(()),
        Some(task) => Err(Error::request(format!("`{task}` is not available in this version"))
            .key("task")
            .hint("`single-label` gives each text one of the labels")),
    }
}
