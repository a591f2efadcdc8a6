//! The subcommands, a file each: every one reads like the pipeline it runs. What two of them need stands here.

pub mod compare;
pub mod evaluate;
pub mod fetch;
pub mod inspect;
pub mod label;
pub mod train;

use std::path::{Path, PathBuf};

use crate::cli::InferenceArgs;
use crate::config::{self, Choices, Columns, Engine as EngineSetting};
use crate::data::{ReadOptions, TextColumns};
use crate::error::{Error, Result};
use crate::hardware::Hardware;
use crate::inference::Inference;
use crate::model::{Classifier, Engine, HeadRequest, InputSpec, LoadRequest, hub};
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
    let InputSpec::Text { vocabulary, positions, segments } = classifier.input;
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
    trained_on: Option<(Option<Columns>, Option<String>)>,
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
        let request = LoadRequest { engine, device: hardware.device, kind: compute, head: HeadRequest::FromCheckpoint };
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
            Some((saved.data.text, saved.data.label))
        } else {
            None
        };
        Ok(Self { classifier, tokenizer, hardware, batch_tokens, choices, trained_on })
    }

    fn inference(&self) -> Inference<'_> {
        Inference { classifier: &self.classifier, compute: self.hardware.compute, batch_tokens: self.batch_tokens }
    }

    /// How to read a data file: the columns as told, else those of the training file where the file at hand has them.
    fn read_options(
        &self,
        file: &Path,
        text: Option<&Columns>,
        label: Option<&str>,
        delimiter: Option<config::Delimiter>,
    ) -> Result<ReadOptions> {
        let mut options = ReadOptions {
            text: text.map(text_columns).transpose()?,
            label: label.map(str::to_owned),
            delimiter: delimiter.map(config::Delimiter::byte),
            ..ReadOptions::default()
        };
        let Some((trained_text, trained_label)) = &self.trained_on else { return Ok(options) };
        // Standard input can be opened only once: its columns are found by their usual names, or told.
        if crate::data::format::is_standard_stream(file) {
            return Ok(options);
        }
        let there = crate::data::RowReader::open(file, &options)?.columns().to_vec();
        let has = |name: &str| there.iter().any(|column| column == name);
        if options.text.is_none()
            && let Some(columns) = trained_text.as_ref().filter(|columns| columns.iter().all(|name| has(name)))
        {
            options.text = Some(text_columns(columns)?);
        }
        if options.label.is_none()
            && let Some(name) = trained_label.as_ref().filter(|name| has(name))
        {
            options.label = Some(name.clone());
        }
        Ok(options)
    }
}

/// Puts a result on standard output.
fn print(text: &str) -> Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout().lock(), "{text}").map_err(|error| Error::io(error, "standard output"))
}
