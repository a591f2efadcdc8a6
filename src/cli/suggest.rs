//! `rehead suggest`: its flags and its help.

use std::path::PathBuf;

use clap::Args;

use super::settings::setting_flags;
use super::shared::{InferenceArgs, InputFormArgs, check_none_is, input_files, is_stream};
use crate::config::OnBadInput;
use crate::config::accepts::Whole;
use crate::error::Result;

const SUGGEST_EXAMPLES: &str = "\
The rows that the model is least sure of, and of those that are alike only one. Each is written with all its columns,
those that say the most first: fill in the labels from the top, and train on the old rows and the new.

Examples:
  rehead suggest --model runs/reviews --input new.csv --count 100 --output to-label.csv
  rehead suggest --model runs/reviews --input new.csv --labelled more.csv --count 50 --output to-label.xlsx
  rehead train --train reviews.csv to-label.csv --on-empty-label skip --model bert-base-uncased --out runs/reviews-2";

/// The most rows that are suggested at once.
pub const MOST_SUGGESTED: u64 = 10_000;

/// The flags of `rehead suggest`.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "rehead suggest --model RUN|DIR|ID --input FILE|DIR|- --count K --output FILE|- [OPTIONS]")]
#[command(after_help = SUGGEST_EXAMPLES)]
pub struct SuggestArgs {
    /// Rows to choose from: .csv, .tsv, .jsonl or .txt (also .gz, .zst), .xlsx, .parquet, a folder of images, or `-`
    /// for standard input (CSV, JSON Lines or one text per line); several, or quoted patterns, are read together
    #[arg(long, value_name = "FILE|DIR|-", num_args = 1.., required = true, help_heading = "Data")]
    pub input: Vec<PathBuf>,

    /// Rows that are labelled already, besides those that the run was trained on: none of them is suggested
    #[arg(long, value_name = "FILE|DIR", num_args = 1.., help_heading = "Data")]
    pub labelled: Vec<PathBuf>,

    /// How the rows are read.
    #[command(flatten)]
    pub form: InputFormArgs,

    /// Which rows have a label, and how it is chosen.
    #[command(flatten)]
    pub rows: SuggestRowArgs,

    /// The model: a run directory, any model directory with a classification head, or a hub id
    #[arg(long, value_name = "RUN|DIR|ID", help_heading = "Model")]
    pub model: String,

    /// Rows to suggest
    #[arg(
        long,
        value_name = "K",
        value_parser = Whole { min: 1, max: MOST_SUGGESTED }.parser::<usize>(),
        allow_negative_numbers = true,
        help_heading = "Output"
    )]
    pub count: usize,

    /// File for the suggested rows (.csv, .tsv, .jsonl, .xlsx, .parquet), or `-` for standard output
    #[arg(long, value_name = "FILE|-", help_heading = "Output")]
    pub output: PathBuf,

    /// Begin the names of added columns with PREFIX
    #[arg(long, value_name = "PREFIX", help_heading = "Output")]
    pub column_prefix: Option<String>,

    /// Print nothing but warnings and errors
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,

    /// How the model is run.
    #[command(flatten)]
    pub inference: InferenceArgs,
}

setting_flags! {
    /// Which of the rows to choose from have a label, and how it is chosen.
    SuggestRowArgs {
        label: Option<String> = "data.label" {
            help: "Column of the label: a row that has one is not suggested",
            default: "as in training, else found by name",
        },
        on_bad_input: OnBadInput = "data.on_bad_input",
        seed: u64 = "training.seed" {
            heading: "Data",
            help: "Random seed of the choice among rows that are equally worth a label",
        },
    }
}

impl SuggestArgs {
    /// What no single flag can tell: the rows to choose from stay as they are.
    pub fn check(&self) -> Result<()> {
        if is_stream(&self.output) {
            return Ok(());
        }
        check_none_is(&self.input, &self.output)?;
        check_none_is(&self.labelled, &self.output)
    }

    /// The same with the files that patterns stand for.
    pub fn with_files(&self) -> Result<Self> {
        let (input, labelled) = (input_files(&self.input)?, input_files(&self.labelled)?);
        Ok(Self { input, labelled, ..self.clone() })
    }
}
