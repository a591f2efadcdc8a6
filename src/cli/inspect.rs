//! `rehead inspect`: its flags and its help.

use std::path::PathBuf;

use clap::Args;

use super::shared::{ColumnArgs, TrainingLabelArgs, input_files};
use crate::error::Result;

const INSPECT_EXAMPLES: &str = "\
Examples:
  rehead inspect reviews.csv
  rehead inspect reviews.csv --text body --label stars
  rehead inspect january.csv february.csv --merge-labels
  rehead inspect .models/all-MiniLM-L6-v2 --json
  rehead inspect bert-base-uncased";

/// The flags of `rehead inspect`.
#[derive(Debug, Clone, Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub struct InspectArgs {
    /// A data file, a folder of class folders, a model directory, or the hub id of a model in the cache; of several
    /// data files also what training gets of them together
    #[arg(value_name = "FILE|DIR|ID", id = "path", required = true)]
    pub paths: Vec<PathBuf>,

    /// How a data file is read; a model directory is read without them.
    #[command(flatten)]
    pub columns: ColumnArgs,

    /// What training would do to the labels.
    #[command(flatten)]
    pub labels: TrainingLabelArgs,

    /// Print the findings on standard output as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

impl InspectArgs {
    /// The same with the files that patterns stand for.
    pub fn with_files(&self) -> Result<Self> {
        Ok(Self { paths: input_files(&self.paths)?, ..self.clone() })
    }
}
