//! `rehead advise`: its flags and its help.

use std::path::PathBuf;

use clap::Args;

use super::settings::setting_flags;
use super::shared::{ColumnArgs, InferenceArgs};
use crate::config::{OnBadInput, Paths};

const ADVISE_EXAMPLES: &str = "\
One forward pass over (a sample of) the training data; no network is trained and nothing is written.

Examples:
  rehead advise --train reviews.csv --model bert-base-uncased
  rehead advise --train reviews.csv --model bert-base-uncased --json > advice.json";

/// The flags of `rehead advise`.
#[derive(Debug, Args)]
#[command(override_usage = "rehead advise --train FILE|DIR --model ID|DIR [OPTIONS]")]
#[command(after_help = ADVISE_EXAMPLES)]
pub struct AdviseArgs {
    /// The data and the network, which are settings of a run too.
    #[command(flatten)]
    pub settings: AdviseSettings,

    /// How the data file is read.
    #[command(flatten)]
    pub columns: ColumnArgs,

    /// Print the measurements and the advice on standard output as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// Print nothing but the advice, warnings and errors
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,

    /// How the network is run.
    #[command(flatten)]
    pub inference: InferenceArgs,
}

setting_flags! {
    /// The data, the network and the sample.
    AdviseSettings {
        train: Paths = "data.train",
        on_bad_input: OnBadInput = "data.on_bad_input",
        on_empty_label: OnBadInput = "data.on_empty_label",
        label_map: Option<PathBuf> = "data.label_map",
        merge_labels: bool = "data.merge_labels",
        min_rows_per_label: Option<u64> = "data.min_rows_per_label",
        other: Option<String> = "data.other",
        model: String = "model.model",
        seed: u64 = "training.seed" {
            heading: "Data",
            help: "Random seed of the rows that are measured and of their folds",
        },
    }
}
