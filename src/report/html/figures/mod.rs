//! The figures that the page of a run and that of a comparison share.

mod confusion;
mod coverage;
mod numbers;
mod precision_recall;
mod reliability;

pub use confusion::{confusion, confusion_note, confusions};
pub use coverage::{CoveragePoint, coverage_line, coverage_plot, coverage_table};
pub use numbers::{residuals, scatter};
pub use precision_recall::precision_recall;
pub use reliability::{confidence_histogram, reliability_figure};
