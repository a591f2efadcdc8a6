//! `rehead train`: from labelled data and a pretrained model to a run directory.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tch::Kind;

use super::{engine, locate_model, print, text_columns, tokenizer_for};
use crate::batch::ExampleSet;
use crate::batch::sampler::BatchSize;
use crate::cli::TrainArgs;
use crate::config::{self, Choices, Columns, Delimiter, Pooling as PoolingSetting, RunConfig, Strategy};
use crate::data::split::stratified;
use crate::data::{Example, LabelledSet, Labels, ReadOptions, load_labelled, overlap};
use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, evaluate};
use crate::hardware::Hardware;
use crate::inference::Inference;
use crate::interrupt;
use crate::model::{Classifier, Engine, HeadRequest, LoadRequest, Pooling};
use crate::report::{Console, RunMetrics, units, write_atomically};
use crate::strategy::{self, frozen};
use crate::training::history::{EvaluationRecord, HistoryWriter};
use crate::training::optimizer::AdamwSettings;
use crate::training::snapshot::Snapshots;
use crate::training::{self, Plan, TrainingSet};
use crate::transform::tokenize::Tokenized;

pub fn run(args: &TrainArgs) -> Result<()> {
    let console = Console::new(args.run.output.quiet);
    let config = args.resolve()?;
    config.check_paths(args.resume)?;
    let metrics = train(config, args.resume, &console)?;
    if args.run.output.json {
        print(&metrics.to_json()?)?;
    }
    Ok(())
}

/// Trains as `config` says, into `config.run.out`.
pub fn train(mut config: RunConfig, resume: bool, console: &Console) -> Result<RunMetrics> {
    let mut choices = Choices::default();
    let out = config.run.out.clone();
    if resume && Snapshots::new_if_there(&out).is_some_and(|snapshots| snapshots.finished()) {
        console.note(format!("{} is finished: there is nothing to resume", out.display()));
        return RunMetrics::read(out.join("metrics.json"));
    }
    strategy::check(config.strategy.name)?;
    check_task(&config)?;
    if resume {
        check_same_settings(&config)?;
    }
    let directory = RunDirectory::prepare(&out, resume)?;
    let hardware = Hardware::choose(config.run.device, config.run.precision, config.run.threads, &mut choices)?;
    crate::native::set_deterministic(hardware.device == tch::Device::Cpu)?;

    console.section("data");
    let data = Data::load(&mut config, &mut choices, console)?;

    console.section("model");
    let model_directory = locate_model(&config.model.model, console.is_quiet())?;
    let engine = engine(config.model.engine, &mut choices);
    let hardware = if engine == Engine::RustBert { Hardware { compute: Kind::Float, ..hardware } } else { hardware };
    let head = HeadRequest::New {
        labels: &data.labels,
        pooling: pooling(&config, &mut choices),
        dropout: config.model.dropout,
        seed: config.training.seed,
    };
    let request = LoadRequest { engine, device: hardware.device, kind: Kind::Float, head };
    let (mut classifier, report) = Classifier::load(&model_directory, &request)?;
    let stages = classifier.backbone.stages().len();
    console.note(format!(
        "{}: {} with {} stages, {} parameters",
        config.model.model,
        classifier.backbone.family(),
        stages,
        units::count(classifier.total_parameters())
    ));
    for line in report.lines() {
        console.note(format!("weights {line}"));
    }

    let tokenizer = tokenizer_for(&classifier, config.data.max_length)?;
    if config.data.max_length.is_none() {
        choices.record("max_length", tokenizer.max_length(), "the model's and tokenizer's limit, at most 512");
    }
    let tokenize = |examples: &[Example]| tokenizer.tokenize(examples.iter().map(|example| &example.input));
    let (train_set, valid_set) = (tokenize(&data.train)?, tokenize(&data.valid)?);
    let test_set = data.test.as_deref().map(tokenize).transpose()?;
    console.note(format!("training data: {}", train_set.statistics()));

    settle_hardware_and_model(&mut config, &classifier, &hardware, tokenizer.max_length(), engine);
    let plan = settle(&mut config, &train_set, &valid_set, &data, &hardware, &classifier, &mut choices);
    console.note(&choices);
    directory.begin()?;
    let settings = config::saved_settings(&out);
    if !(resume && settings.is_file()) {
        write_atomically(settings, config.to_toml(&choices)?.as_bytes())?;
    }
    interrupt::listen();

    console.section(format!("training ({})", config.strategy.name));
    let how_to_resume = format!("go on with: rehead train --resume --out {}", out.display());
    let trained = match config.strategy.name {
        Strategy::Frozen => {
            let kept = frozen::KeptFeatures::new(&out, &plan.fingerprint);
            train_frozen(&mut classifier, &data, &train_set, &valid_set, &hardware, &kept, &out, console)
        }
        strategy => {
            train_stages(strategy, &classifier, &data, &train_set, &valid_set, &plan, &hardware, &out, resume, console)
        }
    }
    .map_err(|error| match error.kind() {
        crate::error::Kind::Interrupted => error.hint(how_to_resume.clone()),
        _ => error,
    })?;

    classifier.save(&out)?;
    tokenizer.save(&out)?;
    let inference =
        Inference { classifier: &classifier, compute: hardware.compute, batch_tokens: hardware.inference_tokens() };
    let test = match (&test_set, &data.test) {
        (Some(set), Some(examples)) => {
            let score = score(&inference, &set.set, examples, &data.labels, "test", console);
            Some(score.map_err(|error| error.hint(how_to_resume))?)
        }
        _ => None,
    };
    let metrics = RunMetrics {
        model: config.model.model.clone(),
        strategy: config.strategy.name.to_string(),
        seed: config.training.seed,
        train_rows: data.train.len() as u64,
        train_seconds: trained.seconds,
        tokens_per_second: Some(trained.tokens as f64 / trained.seconds.max(1e-9)),
        trainable_parameters: strategy::trained_parameters(config.strategy.name, &classifier)?
            .iter()
            .map(|parameter| parameter.elements())
            .sum(),
        total_parameters: classifier.total_parameters(),
        peak_memory_bytes: hardware.peak_memory_bytes(),
        valid: Some(trained.valid),
        test,
        best_epoch: trained.best_epoch,
        epochs: trained.epochs,
        choices: serde_json::to_value(&choices).unwrap_or_default(),
        rehead_version: RunMetrics::VERSION.to_owned(),
    };
    metrics.write(out.join("metrics.json"))?;
    frozen::KeptFeatures::new(&out, &plan.fingerprint).remove()?;
    Snapshots::new(&out)?.finish()?;
    report_result(&metrics, &out, console);
    Ok(metrics)
}

/// What every strategy hands back.
struct Trained {
    seconds: f64,
    tokens: u64,
    best_epoch: Option<u32>,
    epochs: u32,
    valid: Evaluation,
}

#[allow(clippy::too_many_arguments)]
fn train_frozen(
    classifier: &mut Classifier,
    data: &Data,
    train: &Tokenized,
    valid: &Tokenized,
    hardware: &Hardware,
    kept: &frozen::KeptFeatures,
    out: &Path,
    console: &Console,
) -> Result<Trained> {
    let (train_labels, valid_labels) = (labels_of(&data.train), labels_of(&data.valid));
    let outcome = frozen::fit(
        classifier,
        &frozen::LabelledExamples { examples: &train.set, labels: &train_labels },
        &frozen::LabelledExamples { examples: &valid.set, labels: &valid_labels },
        hardware.compute,
        hardware.inference_tokens(),
        kept,
        console,
    )?;
    let evaluation = evaluate(&outcome.valid_logits.values, &valid_labels, data.labels.words())?;
    let mut history = HistoryWriter::create(out.join("history.jsonl"))?;
    history.evaluation(EvaluationRecord::new("valid", 1, 1, &evaluation, outcome.seconds))?;
    console.note(format!("validation {}", evaluation.summary()));
    Ok(Trained { seconds: outcome.seconds, tokens: outcome.tokens, best_epoch: None, epochs: 1, valid: evaluation })
}

#[allow(clippy::too_many_arguments)]
fn train_stages(
    strategy: Strategy,
    classifier: &Classifier,
    data: &Data,
    train: &Tokenized,
    valid: &Tokenized,
    plan: &Plan,
    hardware: &Hardware,
    out: &Path,
    resume: bool,
    console: &Console,
) -> Result<Trained> {
    let trained = strategy::trained_parameters(strategy, classifier)?;
    let labels = labels_of(&data.train);
    let evaluate = |classifier: &Classifier| {
        let inference = Inference { classifier, compute: hardware.compute, batch_tokens: hardware.inference_tokens() };
        score(&inference, &valid.set, &data.valid, &data.labels, "validation", console)
    };
    let set = TrainingSet { examples: &train.set, labels: &labels };
    let outcome = training::fit(classifier, &trained, &set, plan, &evaluate, out, resume, console)?;
    Ok(Trained {
        seconds: outcome.seconds,
        tokens: outcome.tokens,
        best_epoch: outcome.best_epoch,
        epochs: outcome.epochs,
        valid: match outcome.valid {
            Some(evaluation) => evaluation,
            None => evaluate(classifier)?,
        },
    })
}

/// Scores a classifier on labelled examples, with progress.
fn score(
    inference: &Inference,
    set: &dyn ExampleSet,
    examples: &[Example],
    labels: &Labels,
    split: &str,
    console: &Console,
) -> Result<Evaluation> {
    let bar = console.progress(split, Some(examples.len() as u64), "examples").rate_in("tokens");
    let logits = inference.logits(set, &mut |examples, tokens| bar.advance_with(examples as u64, tokens as u64))?;
    drop(bar);
    evaluate(&logits.values, &labels_of(examples), labels.words())
}

fn labels_of(examples: &[Example]) -> Vec<u32> {
    examples.iter().map(|example| example.label).collect()
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

fn check_task(config: &RunConfig) -> Result<()> {
    match config.data.task {
        None | Some(config::Task::SingleLabel) => Ok(()),
        Some(task) => Err(Error::request(format!("`{task}` is not available in this version"))
            .key("task")
            .hint("`single-label` gives each text one of the labels")),
    }
}

/// The training, validation and test examples of a run.
struct Data {
    train: Vec<Example>,
    valid: Vec<Example>,
    test: Option<Vec<Example>>,
    labels: Labels,
}

impl Data {
    /// Loads and splits what `config` names, prints what is in it, and puts the columns it found into `config`.
    fn load(config: &mut RunConfig, choices: &mut Choices, console: &Console) -> Result<Self> {
        let mut options = ReadOptions {
            text: config.data.text.as_ref().map(text_columns).transpose()?,
            label: config.data.label.clone(),
            delimiter: config.data.delimiter.map(Delimiter::byte),
            ..ReadOptions::default()
        };
        let set = load_labelled(&config.data.train, &options, None)?;
        for choice in &set.choices {
            choices.record(choice.setting, &choice.value, choice.reason.clone());
        }
        console.note(format!("{}: {}", config.data.train.display(), set.summary));
        // The other files are read as this one is.
        options.text = Some(set.columns.text());
        options.label = set.columns.label().map(str::to_owned);
        let names = set.columns.text().names().map(str::to_owned).collect();
        config.data.text = Some(Columns::new(names).map_err(Error::request)?);
        config.data.label = options.label.clone();

        let labels = set.labels.clone();
        let mut load = |path: &Path| -> Result<Vec<Example>> {
            let other = load_labelled(path, &options, Some(&labels))?;
            console.note(format!("{}: {}", path.display(), other.summary));
            let shared = overlap(&set.examples, &other.examples);
            if shared.rows > 0 {
                console.warn(format!(
                    "{} of its rows also stand in {}, {} with another label: scores on it flatter",
                    shared.rows,
                    config.data.train.display(),
                    shared.contradictions
                ));
            }
            Ok(other.examples)
        };
        let test = config.data.test.as_deref().map(&mut load).transpose()?;
        let valid = config.data.valid.as_deref().map(&mut load).transpose()?;
        let LabelledSet { examples, .. } = set;
        let (train, valid) = match valid {
            Some(valid) => (examples, valid),
            None => {
                let fraction = config.data.valid_fraction.unwrap_or_else(|| {
                    choices.record("valid_fraction", 0.1, "no --valid file was given");
                    0.1
                });
                config.data.valid_fraction = Some(fraction);
                let split = stratified(&examples, fraction, config.training.seed)?;
                for &class in &split.unvalidated {
                    console.warn(format!("no validation row for `{}`: all its rows are alike", labels.word(class)));
                }
                let pick = |indices: &[usize]| indices.iter().map(|&index| examples[index].clone()).collect::<Vec<_>>();
                console.note(format!("validation: {} of the training rows held out", split.valid.len()));
                (pick(&split.train), pick(&split.valid))
            }
        };
        if train.is_empty() || valid.is_empty() {
            return Err(Error::request("there are too few rows to hold any out for validation")
                .file(&config.data.train)
                .hint("give more rows, or a validation file with --valid"));
        }
        Ok(Self { train, valid, test, labels })
    }
}

/// How the backbone's output is pooled: as told, or mean when frozen (it separates better there), or the family's own.
fn pooling(config: &RunConfig, choices: &mut Choices) -> Option<Pooling> {
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

/// Examples of a step when nothing was said, as in transformers' recipes.
const EXAMPLES_A_STEP: f64 = 32.0;

/// Settles what was left open about the optimisation, and puts it into `config`.
fn settle(
    config: &mut RunConfig,
    train: &Tokenized,
    valid: &Tokenized,
    data: &Data,
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
    let lr = *settings.lr.get_or_insert_with(|| {
        let width = classifier.backbone.feature_width();
        let (lr, reason) = learning_rate(width);
        if !frozen {
            choices.record("lr", lr, reason);
        }
        lr
    });
    let batch = match (settings.batch_size, settings.batch_tokens) {
        (Some(examples), _) => BatchSize::Examples(examples),
        (None, Some(tokens)) => BatchSize::Tokens(tokens),
        (None, None) => {
            let mean = train.set.tokens() as f64 / train.set.len().max(1) as f64;
            let tokens = ((mean * EXAMPLES_A_STEP / 64.0).round() as usize * 64).clamp(128, 32_768);
            if !frozen {
                choices.record("batch_tokens", tokens, format!("about 32 texts of this length ({mean:.1} tokens)"));
            }
            settings.batch_tokens = Some(tokens);
            BatchSize::Tokens(tokens)
        }
    };
    let on_cpu = hardware.device == tch::Device::Cpu;
    let micro = *settings.micro_batch_tokens.get_or_insert(if on_cpu { 8_192 } else { 65_536 });
    let mut plan = Plan {
        epochs,
        batch,
        micro_batch_tokens: micro,
        optimizer: AdamwSettings {
            learning_rate: lr,
            head_learning_rate: settings.head_lr.unwrap_or(lr),
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
    plan.fingerprint = fingerprint(&plan, config, (train, &data.train), (valid, &data.valid));
    plan
}

/// Narrow encoders bear larger steps (docs/log.md has two rates tried on SST-2 with a 384-wide one); the wide rate is BERT's
/// usual one.
fn learning_rate(width: i64) -> (f64, &'static str) {
    if width < 512 { (5e-5, "usual for an encoder this narrow") } else { (3e-5, "usual for an encoder this wide") }
}

/// Puts what is known only now into the settings that are saved.
fn settle_hardware_and_model(
    config: &mut RunConfig,
    classifier: &Classifier,
    hardware: &Hardware,
    max_length: usize,
    engine: Engine,
) {
    config.data.max_length = Some(max_length);
    config.model.pooling = match classifier.pooling {
        Pooling::Cls => PoolingSetting::Cls,
        Pooling::Mean => PoolingSetting::Mean,
    };
    config.model.engine = match engine {
        Engine::Packed => config::Engine::Packed,
        Engine::RustBert => config::Engine::RustBert,
    };
    config.run.device = match hardware.device {
        tch::Device::Cuda(index) => config::Device::Cuda(index),
        _ => config::Device::Cpu,
    };
    config.run.precision =
        if hardware.compute == Kind::BFloat16 { config::Precision::Bf16 } else { config::Precision::Fp32 };
    config.run.threads = Some(hardware.threads);
}

/// What a snapshot must agree with: the settings that decide the result, and the data as the network sees it.
fn fingerprint(
    plan: &Plan,
    config: &RunConfig,
    train: (&Tokenized, &[Example]),
    valid: (&Tokenized, &[Example]),
) -> String {
    let mut hash = Sha256::new();
    let decisive = Plan { log_every: 0, fingerprint: String::new(), ..plan.clone() };
    hash.update(format!("{decisive:?} {:?} {:?}", config.model, config.strategy));
    for (tokenized, examples) in [train, valid] {
        for (index, example) in examples.iter().enumerate() {
            for id in tokenized.set.ids(index) {
                hash.update(id.to_le_bytes());
            }
            hash.update(example.label.to_le_bytes());
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn report_result(metrics: &RunMetrics, out: &Path, console: &Console) {
    console.section("result");
    for (split, evaluation) in [("validation", &metrics.valid), ("test", &metrics.test)] {
        if let Some(evaluation) = evaluation {
            console.note(format!("{split}: {evaluation}"));
        }
    }
    console.summary(format!(
        "{} trained in {}: {}",
        metrics.strategy,
        units::seconds(metrics.train_seconds),
        out.display()
    ));
}

/// The run's directory: checked before the work starts, taken away again when the work never began.
struct RunDirectory {
    path: PathBuf,
    /// The topmost directory that was made for it.
    made: std::cell::RefCell<Option<PathBuf>>,
}

impl RunDirectory {
    fn prepare(path: &Path, resume: bool) -> Result<Self> {
        check_writable(path, resume)?;
        let made = first_missing(path);
        std::fs::create_dir_all(path).map_err(|error| unwritable(error, path))?;
        Ok(Self { path: path.to_owned(), made: std::cell::RefCell::new(made) })
    }

    /// From now on the directory stays, whatever happens.
    fn begin(&self) -> Result<()> {
        self.made.replace(None);
        std::fs::create_dir_all(&self.path).map_err(|error| unwritable(error, &self.path))
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        if let Some(made) = self.made.take() {
            // Only empty directories are removed: what is in the way stays.
            let mut path = self.path.clone();
            while std::fs::remove_dir(&path).is_ok() && path != made && path.pop() {}
        }
    }
}

fn first_missing(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .last()
        .map(Path::to_owned)
}

fn unwritable(error: std::io::Error, path: &Path) -> Error {
    Error::io(error, path).context("the output directory cannot be written").hint("give another directory to --out")
}

/// Whether files can be written into `path` (or into what would become its parent), found out by writing one.
pub fn check_writable(path: &Path, existing_is_fine: bool) -> Result<()> {
    let occupied = path.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if occupied && !existing_is_fine {
        return Err(Error::request("the output directory is not empty")
            .file(path)
            .hint("give a new directory to --out"));
    }
    let made = first_missing(path);
    std::fs::create_dir_all(path).map_err(|error| unwritable(error, path))?;
    let probe = path.join(".rehead-probe");
    let written = std::fs::write(&probe, b"").map_err(|error| unwritable(error, path));
    let _ = std::fs::remove_file(&probe);
    if let Some(made) = made {
        let mut path = path.to_owned();
        while std::fs::remove_dir(&path).is_ok() && path != made && path.pop() {}
    }
    written
}
