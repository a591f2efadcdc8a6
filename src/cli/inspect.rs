//! `rehead inspect`: its flags and its help.

use std::path::PathBuf;

use clap::Args;

use super::shared::ColumnArgs;

const INSPECT_EXAMPLES: &str = "\
Examples:
  rehead inspect reviews.csv
  rehead inspect reviews.csv --text body --label stars
  rehead inspect .models/all-MiniLM-L6-v2 --json";

/// The flags of `rehead inspect`.
#[derive(Debug, Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub struct InspectArgs {
    /// A data file, a folder of class folders, or a model directory
    #[arg(value_name = "FILE|DIR")]
    pub path: PathBuf,

    /// How a data file is read; a model directory is read without them.
    #[command(flatten)]
    pub columns: ColumnArgs,

    /// Print the findings on standard output as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}
