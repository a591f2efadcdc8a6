//! Groups of flags that several commands have.

use std::path::{Path, PathBuf};

use clap::Args;

use super::settings::setting_flags;
use crate::config::{
    Columns, Delimiter, Device, Encoding, Engine, Flags, LongText, OnBadInput, Precision, Quote, Request, WindowPooling,
};
use crate::error::{Error, Result};
use crate::files::{self, patterns};

/// The files that an input consists of, with those that patterns stand for. Standard input is read alone.
pub(super) fn input_files(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let inputs = patterns::expand(given)?;
    if inputs.len() > 1 && inputs.iter().any(|input| is_stream(input)) {
        return Err(Error::request("standard input is read alone").hint("leave `-` out, or give nothing else"));
    }
    let twice = inputs.iter().enumerate().find(|(place, input)| inputs[..*place].contains(input));
    match twice {
        Some((_, input)) => Err(Error::request("the file is given twice").file(input).hint("name each file once")),
        None => Ok(inputs),
    }
}

/// `-`: standard input or standard output.
pub fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// `a.csv + b.csv`.
pub fn named(inputs: &[PathBuf]) -> String {
    inputs.iter().map(|input| input.display().to_string()).collect::<Vec<_>>().join(" + ")
}

/// Whether an input is standard input.
pub(super) fn has_stream(inputs: &[PathBuf]) -> bool {
    inputs.iter().any(|input| is_stream(input))
}

/// That writing `output` overwrites none of the inputs.
pub(super) fn check_none_is(inputs: &[PathBuf], output: &Path) -> Result<()> {
    let files = inputs.iter().filter(|input| !is_stream(input));
    files.into_iter().try_for_each(|input| files::check_distinct(input, output))
}

/// What `train` and `compare` have besides the flags of settings.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct RunArgs {
    /// Settings file, such as the `rehead.toml` of an earlier run
    #[arg(long, value_name = "FILE.toml", help_heading = "Configuration")]
    pub config: Option<PathBuf>,

    /// Set one setting by its key, such as lr=1e-4 or training.lr=1e-4; may be repeated
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Configuration")]
    pub set: Vec<String>,

    /// Print the metrics on standard output as JSON
    #[arg(long)]
    pub json: bool,

    /// Print nothing but warnings and errors
    #[arg(long, short)]
    pub quiet: bool,
}

impl RunArgs {
    /// What was asked for, with `flags` as the uppermost layer.
    pub fn request(&self, flags: &Flags, resume: bool) -> Request {
        Request { config: self.config.clone(), set: self.set.clone(), flags: flags.clone(), resume }
    }
}

setting_flags! {
    /// How a data file is read.
    ColumnArgs {
        text: Option<Columns> = "data.text",
        label: Option<String> = "data.label",
        delimiter: Option<Delimiter> = "data.delimiter",
        quote: Quote = "data.quote",
        no_header: bool = "data.no_header",
        encoding: Option<Encoding> = "data.encoding",
        sheet: Option<String> = "data.sheet",
    }
}

setting_flags! {
    /// How the rows of a finished model's input are read, which need no labels.
    InputFormArgs {
        text: Option<Columns> = "data.text" { default: "as in training, else found by name and content" },
        delimiter: Option<Delimiter> = "data.delimiter",
        quote: Quote = "data.quote",
        no_header: bool = "data.no_header" { help: "The first row is data too; columns then go by number: --text 2" },
        encoding: Option<Encoding> = "data.encoding",
        sheet: Option<String> = "data.sheet",
    }
}

setting_flags! {
    /// What happens when a row or an image cannot be read.
    OnBadInputArgs { on_bad_input: OnBadInput = "data.on_bad_input" }
}

setting_flags! {
    /// What the report of a finished model says of its mistakes.
    MistakeArgs under "Output" {
        explain_mistakes: Option<usize> = "run.explain_mistakes" {
            default: "up to 10, as 3 seconds allow",
        },
    }
}

setting_flags! {
    /// How the labels of data for a finished model are read.
    LabelRuleArgs {
        on_empty_label: OnBadInput = "data.on_empty_label",
        label_separator: Option<String> = "data.label_separator" {
            default: "as in training, else |",
        },
        label_map: Option<PathBuf> = "data.label_map" {
            help: "Rename labels before they are compared with the model's: a CSV or TSV with lines FROM,TO, or a JSON \
                   or TOML object (what training did to labels is done without it)",
        },
    }
}

setting_flags! {
    /// What training does to labels.
    TrainingLabelArgs {
        on_empty_label: OnBadInput = "data.on_empty_label",
        label_map: Option<PathBuf> = "data.label_map",
        merge_labels: bool = "data.merge_labels",
        min_rows_per_label: Option<u64> = "data.min_rows_per_label",
        other: Option<String> = "data.other",
    }
}

setting_flags! {
    /// How a finished model is run.
    InferenceArgs under "Hardware" {
        device: Device = "run.device",
        precision: Precision = "run.precision" {
            values: "auto|fp32|bf16|int8",
            help: "Number format of matrix products; int8 is faster still and costs a little accuracy",
        },
        threads: Option<usize> = "run.threads",
        engine: Engine = "model.engine",
        batch_tokens: Option<usize> = "training.batch_tokens" {
            help: "Batch size in tokens",
            default: "by the device",
        },
        batch_size: Option<usize> = "training.batch_size" {
            help: "Batch size in examples, instead of a number of tokens",
        },
        max_length: Option<usize> = "data.max_length" {
            default: "as in training, else the model's limit",
        },
        long_text: Option<LongText> = "data.long_text" { default: "as in training, else truncate" },
        stride: Option<usize> = "data.stride" { default: "as in training, else a quarter of --max-length" },
        window_pooling: Option<WindowPooling> = "data.window_pooling" {
            help: "How the results of a text's windows become one",
            default: "as in training, else mean",
        },
    }
}
