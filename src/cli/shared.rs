//! Groups of flags that several commands have.

use std::path::PathBuf;

use clap::Args;

use super::settings::setting_flags;
use crate::config::{Columns, Delimiter, Device, Encoding, Engine, Flags, OnBadInput, Precision, Quote, Request};

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
    /// What happens when a row or an image cannot be read.
    OnBadInputArgs { on_bad_input: OnBadInput = "data.on_bad_input" }
}

setting_flags! {
    /// How the labels of data for a finished model are read.
    LabelRuleArgs {
        on_empty_label: OnBadInput = "data.on_empty_label",
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
    }
}
