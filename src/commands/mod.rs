//! The subcommands, a file each: every one reads like the pipeline it runs. What two of them need stands here.

pub mod advise;
pub mod compare;
pub mod evaluate;
pub mod fetch;
pub mod inspect;
pub mod label;
pub mod train;

use std::path::{Path, PathBuf};

use crate::cli::InferenceArgs;
use crate::config::{self, Choices, Columns, Engine as EngineSetting};
use crate::data::{Before, ReadOptions, TextColumns};
use crate::error::{Error, Result};
use crate::hardware::Hardware;
use crate::inference::Inference;
use crate::model::{Classifier, Engine, HeadRequest, InputSpec, Linears, LoadRequest, hub};
use crate::report::Console;
use crate::transform::tokenize::TextTokenizer;

/// The directory that `--model` names: itself, or a hub id's place in the cache.
fn locate_model(model: &str, quiet: bool) -> Result<PathBuf> {
    hub::locate(model, &hub::console(quiet))
}

fn engine(setting: EngineSetting, choices: &mut Choices) -> Engine {
    match setting {
        EngineSetting::Packed => Engine::Packed,
        EngineSetting::RustBert => Engine::RustBert,
        EngineSetting::Auto => {
            choices.record("engine", "packed", "the packed encoder knows this family");
            Engine::Packed
        }
    }
}

fn tokenizer_for(classifier: &Classifier, max_length: Option<usize>) -> Result<TextTokenizer> {
    let InputSpec::Text { vocabulary, positions, segments } = classifier.input else {
        return Err(Error::failure("this model reads images, not text"));
    };
    TextTokenizer::load(&classifier.directory, vocabulary, positions, segments, max_length)
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
    tokenizer: TextTokenizer,
    hardware: Hardware,
    batch_tokens: usize,
    choices: Choices,
    /// The columns that the run was trained on, when it is a run of ours.
    trained_on: Before,
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
        let request = LoadRequest { engine, device: hardware.device, linears, head: HeadRequest::FromCheckpoint };
        let (classifier, report) = Classifier::load(&directory, &request)?;
        for line in report.lines() {
            console.note(format!("weights {line}"));
        }
        let tokenizer = tokenizer_for(&classifier, args.max_length)?;
        let batch_tokens = match (args.batch_tokens, args.batch_size) {
            (Some(tokens), _) => tokens,
            (None, Some(examples)) => examples.saturating_mul(tokenizer.max_length()),
            (None, None) => hardware.inference_tokens(),
        };
        let settings = config::saved_settings(&directory);
        let trained_on = if settings.is_file() {
            let saved = config::load(&settings)?;
            Before { text: saved.data.text.as_ref().map(text_columns).transpose()?, label: saved.data.label }
        } else {
            Before::default()
        };
        Ok(Self { classifier, tokenizer, hardware, batch_tokens, choices, trained_on })
    }

    fn inference(&self) -> Inference<'_> {
        let Self { classifier, hardware, batch_tokens, .. } = self;
        Inference { classifier, compute: hardware.compute, batch_tokens: *batch_tokens, prefix: None }
    }

    /// How to read a data file: the columns as told, else those of the training file where the file at hand has them.
    fn read_options(
        &self,
        text: Option<&Columns>,
        label: Option<&str>,
        delimiter: Option<config::Delimiter>,
    ) -> Result<ReadOptions> {
        Ok(ReadOptions {
            text: text.map(text_columns).transpose()?,
            label: label.map(str::to_owned),
            as_before: self.trained_on.clone(),
            delimiter: delimiter.map(config::Delimiter::byte),
            ..ReadOptions::default()
        })
    }
}

/// Whether files can be written into `path` (or into what would become its parent), found out by writing one.
fn check_writable(path: &Path, existing_is_fine: bool) -> Result<()> {
    if path.exists() && !path.is_dir() {
        return Err(Error::request("--out needs a directory, and this is a file").file(path).hint(ANOTHER_OUT));
    }
    let occupied = path.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if occupied && !existing_is_fine {
        return Err(Error::request("the output directory is not empty")
            .file(path)
            .hint("give a new directory to --out"));
    }
    let made = path
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .last()
        .map(Path::to_owned);
    let probe = path.join(".rehead-probe");
    let written = std::fs::create_dir_all(path)
        .and_then(|()| std::fs::write(&probe, b""))
        .map_err(|error| unwritable(error, path));
    let _ = std::fs::remove_file(&probe);
    if let Some(made) = made {
        // Only empty directories are removed: what is in the way stays.
        let mut path = path.to_owned();
        while std::fs::remove_dir(&path).is_ok() && path != made && path.pop() {}
    }
    written
}

const ANOTHER_OUT: &str = "give another directory to --out";

fn unwritable(error: std::io::Error, path: &Path) -> Error {
    Error::io(error, path).context("the output directory cannot be written").hint(ANOTHER_OUT)
}

/// Puts a result on standard output.
fn print(text: &str) -> Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout().lock(), "{text}").map_err(|error| Error::io(error, "standard output"))
}
