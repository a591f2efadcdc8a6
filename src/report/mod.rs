//! What a run leaves behind for people: `metrics.json`, predictions, and the HTML reports.
//!
//! Numbers are computed elsewhere; here they are only shown and saved.

pub mod evaluation;
pub mod html;
pub mod metrics;
pub mod next_steps;
pub mod predictions;
pub mod provenance;
pub mod threshold;
pub mod verdict;

pub use metrics::RunMetrics;
pub use next_steps::NextStep;
pub use predictions::Predictions;
