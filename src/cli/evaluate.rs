//! `rehead evaluate`: its flags and its help.

use std::path::PathBuf;

use clap::Args;

use super::shared::{ColumnArgs, InferenceArgs, LabelRuleArgs, MistakeArgs, OnBadInputArgs, input_files};
use crate::error::Result;

const EVALUATE_EXAMPLES: &str = "\
Examples:
  rehead evaluate --model runs/reviews --data test.csv
  rehead evaluate --model runs/reviews --data test.csv --out results --json > metrics.json";

/// The flags of `rehead evaluate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EVALUATE_EXAMPLES)]
pub struct EvaluateArgs {
    /// Labelled examples: .csv, .tsv or .jsonl (also .gz, .zst), .xlsx, .parquet, or a folder of class folders; the
    /// columns are those of training; several, or quoted patterns, are read as one
    #[arg(long, value_name = "FILE|DIR", num_args = 1.., required = true, help_heading = "Data")]
    pub data: Vec<PathBuf>,

    /// How the data file is read.
    #[command(flatten)]
    pub columns: ColumnArgs,

    /// How its labels are read.
    #[command(flatten)]
    pub labels: LabelRuleArgs,

    /// What happens when an image cannot be read.
    #[command(flatten)]
    pub bad_input: OnBadInputArgs,

    /// The model: a run directory, any model directory with a classification head, or a hub id
    #[arg(long, value_name = "RUN|DIR|ID", help_heading = "Model")]
    pub model: String,

    /// Directory for metrics.json, report.html and the predictions [default: only printed]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,

    /// What the report says of mistakes.
    #[command(flatten)]
    pub mistakes: MistakeArgs,

    /// Print the metrics on standard output as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// Print nothing but warnings and errors
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,

    /// How the model is run.
    #[command(flatten)]
    pub inference: InferenceArgs,
}

impl EvaluateArgs {
    /// The same with the files that patterns stand for.
    pub fn with_files(&self) -> Result<Self> {
        Ok(Self { data: input_files(&self.data)?, ..self.clone() })
    }
}
