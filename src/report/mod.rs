//! What a run leaves behind for people: `metrics.json`, predictions, and the HTML reports.
//!
//! Numbers are computed elsewhere; here they are only shown and saved.

pub mod evaluation;
pub mod folds;
pub mod html;
pub mod label_sets;
pub mod metrics;
pub mod model_card;
mod multi_label;
pub mod next_steps;
pub mod origins;
mod outcomes;
mod predicted_numbers;
pub mod predictions;
mod promise;
pub mod provenance;
pub mod regression;
pub mod split;
pub mod threshold;
pub mod verdict;
pub mod why;

pub use folds::{EpochScores, FoldScore, FoldScores};
pub use label_sets::{LabelSets, SplitPredictions};
pub use metrics::{Refit, RunMetrics};
pub use next_steps::NextStep;
pub use origins::{Origin, row_origins};
pub use predicted_numbers::PredictedNumbers;
pub use predictions::Predictions;
pub use split::{ScoredSets, ScoredSplit, Seen};
pub use why::Explained;
