//! The subcommands, a file each: every one reads like the pipeline it runs. What two of them need stands here.

pub mod advise;
pub mod compare;
pub mod evaluate;
pub mod fetch;
pub mod inspect;
pub mod label;
pub mod train;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::cli::{ColumnArgs, InferenceArgs};
use crate::config::{self, Choices, Columns, Engine as EngineSetting, Init, ModelConfig, OnBadInput};
use crate::console::Console;
use crate::data::{Before, Input, Modality, ReadOptions, TextColumns};
use crate::error::{Error, Result};
use crate::hardware::Hardware;
use crate::hardware::memory::available_bytes;
use crate::hub;
use crate::image::Augmentation;
use crate::inference::Inference;
use crate::model::{self, Classifier, Engine, HeadRequest, InputSpec, Linears, LoadRequest};
use crate::transform::images::ImageTransform;
use crate::transform::text::TextTokenizer;
use crate::transform::{Prepared, Purpose, Transform};

/// The directory that `--model` names: itself, or a hub id's place in the cache; or a file of weights.
fn locate_model(model: &str, quiet: bool) -> Result<PathBuf> {
    if model.ends_with(".safetensors") && Path::new(model).is_file() {
        return Ok(PathBuf::from(model));
    }
    let report = hub::console(quiet);
    hub::locate(&hub_id(model, &report), &report)
}

/// A hub id as it is; for an architecture's bare name, which no directory has, that of its usual trained network.
fn hub_id<'a>(model: &'a str, report: &dyn Fn(hub::Event)) -> Cow<'a, str> {
    match model::pretrained_id(model) {
        Some(id) if !Path::new(model).exists() => {
            report(hub::Event::Note(&format!("`{model}` is {id} from the hub")));
            Cow::Owned(id)
        }
        _ => Cow::Borrowed(model),
    }
}

/// Where the network of a run is, and what it reads. Nowhere, when it begins from random numbers: that only networks for images can.
fn locate_network(config: &ModelConfig, quiet: bool) -> Result<(Option<PathBuf>, Modality)> {
    match config.init {
        Init::Random => Ok((None, Modality::Image)),
        Init::Pretrained => {
            let directory = locate_model(&config.model, quiet)?;
            let modality = model::modality(&directory)?;
            Ok((Some(directory), modality))
        }
    }
}

fn engine(setting: EngineSetting, choices: &mut Choices) -> Engine {
    match setting {
        EngineSetting::Packed => Engine::Packed,
        EngineSetting::RustBert => Engine::RustBert,
        EngineSetting::Auto => {
            choices.record("engine", "packed", "the project's own layers know this family");
            Engine::Packed
        }
    }
}

/// How inputs are to be seen, where that is not the model's own affair.
#[derive(Default)]
struct Seen {
    max_length: Option<usize>,
    /// Of images that are trained on.
    augmentation: Option<Augmentation>,
    /// How many varied views of an image take the place of the image; 0: its views are those of the epochs.
    views: usize,
    seed: u64,
}

fn transform_for(classifier: &Classifier, seen: Seen) -> Result<Transform> {
    match &classifier.input {
        &InputSpec::Text { vocabulary, positions, segments } => {
            TextTokenizer::load(&classifier.directory, vocabulary, positions, segments, seen.max_length)
                .map(Transform::Text)
        }
        InputSpec::Image(how) => {
            let memory = available_bytes() / 4;
            Ok(Transform::Image(ImageTransform::new(*how, seen.augmentation, seen.views, seen.seed, memory)))
        }
    }
}

/// Prepares inputs with progress. What cannot be used is an error, or (`Skip`) told and left out.
fn prepare(
    transform: &Transform,
    inputs: &[&Input],
    purpose: Purpose,
    on_bad_input: OnBadInput,
    console: &Console,
) -> Result<Prepared> {
    let bar = matches!(transform, Transform::Image(_))
        .then(|| console.progress("reading", Some(inputs.len() as u64), "images"));
    let prepared = transform.prepare(inputs, purpose, &mut |count| {
        if let Some(bar) = &bar {
            bar.advance_with(count as u64, 0);
        }
    })?;
    let count = prepared.unusable.len();
    let all = count > 0 && count == inputs.len();
    let on_bad_input = if all { OnBadInput::Fail } else { on_bad_input };
    let prepared = settle_unusable(prepared, on_bad_input, console, &|_, error| error)?;
    if count > 0 {
        console.warn(format!("{count} of {} images cannot be read and are left out", inputs.len()));
    }
    Ok(prepared)
}

/// What is done about inputs that cannot be used: the first is the error, or (`Skip`) all are told. `at` completes an error with the
/// place of the input.
fn settle_unusable(
    mut prepared: Prepared,
    on_bad_input: OnBadInput,
    console: &Console,
    at: &dyn Fn(usize, Error) -> Error,
) -> Result<Prepared> {
    let count = prepared.unusable.len();
    if on_bad_input == OnBadInput::Fail && count > 0 {
        let (place, error) = prepared.unusable.swap_remove(0);
        let which = if count > 1 { format!("the first of {count} images that") } else { "an image that".to_owned() };
        return Err(at(place, error.context(format!("{which} cannot be read")))
            .hint("mend or remove it, or leave such images out with --on-bad-input skip"));
    }
    for (_, error) in &prepared.unusable {
        console.warn(format!("left out: {error}"));
    }
    Ok(prepared)
}

fn text_columns(columns: &Columns) -> Result<TextColumns> {
    match &columns[..] {
        [one] => Ok(TextColumns::One(one.clone())),
        [first, second] => Ok(TextColumns::Two(first.clone(), second.clone())),
        _ => Err(Error::request("one or two columns hold the text").key("text")),
    }
}

/// A classifier ready to label: loaded in the kind it computes in, with its tokenizer.
struct Ready {
    classifier: Classifier,
    transform: Transform,
    hardware: Hardware,
    batch_tokens: usize,
    choices: Choices,
    /// The columns that the run was trained on, when it is a run of ours.
    trained_on: Before,
    modality: Modality,
}

impl Ready {
    fn load(model: &str, args: &InferenceArgs, quiet: bool, console: &Console) -> Result<Self> {
        let mut choices = Choices::default();
        let directory = locate_model(model, quiet)?;
        let hardware = Hardware::choose(args.device, args.precision, args.threads, &mut choices)?;
        let engine = engine(args.engine, &mut choices);
        // rust-bert computes in fp32 alone.
        let compute = if engine == Engine::RustBert { tch::Kind::Float } else { hardware.compute };
        let hardware = Hardware { compute, ..hardware };
        if hardware.int8 && engine == Engine::RustBert {
            return Err(Error::request("rust-bert computes in fp32 alone").key("precision").hint("leave out --engine"));
        }
        let linears = if hardware.int8 { Linears::Int8 } else { Linears::In(compute) };
        let modality = model::modality(&directory)?;
        let head = HeadRequest::FromCheckpoint;
        let request = LoadRequest { engine, device: hardware.device, linears, head, stages: None };
        let (mut classifier, report) = Classifier::load(&directory, &request)?;
        classifier.backbone.fix(classifier.backbone.stages().len(), compute)?;
        for line in report.lines() {
            console.note(format!("weights {line}"));
        }
        let transform = transform_for(&classifier, Seen { max_length: args.max_length, ..Seen::default() })?;
        let batch_tokens = match (args.batch_tokens, args.batch_size, &transform) {
            (Some(tokens), ..) => tokens,
            (None, Some(examples), Transform::Text(tokenizer)) => examples.saturating_mul(tokenizer.max_length()),
            (None, Some(images), Transform::Image(_)) => images,
            (None, None, _) => hardware.inference_budget(&classifier.input),
        };
        let settings = config::saved_settings(&directory);
        let trained_on = if settings.is_file() {
            let saved = config::load(&settings)?;
            Before { text: saved.data.text.as_ref().map(text_columns).transpose()?, label: saved.data.label }
        } else {
            Before::default()
        };
        Ok(Self { classifier, transform, hardware, batch_tokens, choices, trained_on, modality })
    }

    fn inference(&self) -> Inference<'_> {
        let Self { classifier, hardware, batch_tokens, .. } = self;
        Inference { classifier, compute: hardware.compute, batch_tokens: *batch_tokens, prefix: None }
    }

    /// How to read a data file: as told, else with the columns of the training file where the file at hand has them.
    fn read_options(&self, told: ReadOptions) -> ReadOptions {
        ReadOptions { as_before: self.trained_on.clone(), modality: self.modality, ..told }
    }
}

impl ColumnArgs {
    /// How to read a data file, as far as the command line says.
    fn read_options(&self) -> Result<ReadOptions> {
        read_options(self.text.as_ref(), self.label.as_deref(), self.delimiter)
    }
}

fn read_options(
    text: Option<&Columns>,
    label: Option<&str>,
    delimiter: Option<config::Delimiter>,
) -> Result<ReadOptions> {
    Ok(ReadOptions {
        text: text.map(text_columns).transpose()?,
        label: label.map(str::to_owned),
        delimiter: delimiter.map(config::Delimiter::byte),
        ..ReadOptions::default()
    })
}

/// Whether files can be written into the directory `path` that `option` names (or into what would become its parent), found out by
/// writing one.
fn check_writable(path: &Path, option: &str, existing_is_fine: bool) -> Result<()> {
    if path.exists() && !path.is_dir() {
        return Err(Error::request(format!("{option} needs a directory, and this is a file"))
            .file(path)
            .hint(another(option)));
    }
    let occupied = path.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if occupied && !existing_is_fine {
        return Err(Error::request("the output directory is not empty")
            .file(path)
            .hint(format!("give a new directory to {option}")));
    }
    let made = path
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .last()
        .map(Path::to_owned);
    let probe = path.join(".rehead-probe");
    let written = std::fs::create_dir_all(path)
        .and_then(|()| std::fs::write(&probe, b""))
        .map_err(|error| unwritable(error, path, option));
    let _ = std::fs::remove_file(&probe);
    if let Some(made) = made {
        // Only empty directories are removed: what is in the way stays.
        let mut path = path.to_owned();
        while std::fs::remove_dir(&path).is_ok() && path != made && path.pop() {}
    }
    written
}

fn another(option: &str) -> String {
    format!("give another directory to {option}")
}

fn unwritable(error: std::io::Error, path: &Path, option: &str) -> Error {
    Error::io(error, path).context("the directory cannot be written").hint(another(option))
}

/// Puts a result on standard output.
fn print(text: &str) -> Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout().lock(), "{text}").map_err(|error| Error::io(error, "standard output"))
}
