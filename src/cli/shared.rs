//! Groups of flags that several commands have.

use std::path::PathBuf;

use clap::Args;

use super::settings::setting_flags;
use crate::config::accepts::{COUNT, MAX_LENGTH, THREADS};
use crate::config::{Columns, Delimiter, Device, Engine, Flags, OnBadInput, Precision, Request};

/// What `train` and `compare` have besides the flags of settings.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct RunArgs {
    /// Settings file, such as the `rehead.toml` of an earlier run
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,

    /// Set one setting by its key, such as lr=1e-4 or training.lr=1e-4; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
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
    }
}

setting_flags! {
    /// What happens when an image cannot be read.
    OnBadInputArgs { on_bad_input: OnBadInput = "data.on_bad_input" }
}

/// How a finished model is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Hardware")]
pub struct InferenceArgs {
    /// Device to compute on; auto uses a GPU if there is one
    #[arg(long, value_name = "auto|cpu|cuda[:N]", default_value = "auto")]
    pub device: Device,

    /// Number format of matrix products; auto uses bf16 where the device is fast in it. int8 is faster still and costs
    /// a little accuracy
    #[arg(long, value_name = "auto|fp32|bf16|int8", default_value = "auto")]
    pub precision: Precision,

    /// CPU threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = THREADS.parser::<usize>(), allow_negative_numbers = true)]
    pub threads: Option<usize>,

    /// Implementation that runs a text network; auto uses packed where it supports the model family
    #[arg(long, value_name = "auto|packed|rust-bert", default_value = "auto")]
    pub engine: Engine,

    /// Batch size in tokens [default: by the device]
    #[arg(
        long,
        value_name = "TOKENS",
        value_parser = COUNT.parser::<usize>(),
        allow_negative_numbers = true,
        conflicts_with = "batch_size"
    )]
    pub batch_tokens: Option<usize>,

    /// Batch size in examples, instead of a number of tokens
    #[arg(long, value_name = "N", value_parser = COUNT.parser::<usize>(), allow_negative_numbers = true)]
    pub batch_size: Option<usize>,

    /// Maximum tokens per text, special tokens included [default: as in training, else the model's limit]
    #[arg(long, value_name = "TOKENS", value_parser = MAX_LENGTH.parser::<usize>(), allow_negative_numbers = true)]
    pub max_length: Option<usize>,
}
