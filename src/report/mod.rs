//! What the program tells people and leaves behind: the console, `metrics.json`, and the small parts they are made of
//! (units, tables, files written whole).
//!
//! Everything that appears on standard error passes through [`Console`]. Numbers are computed elsewhere; here they
//! are only shown and saved.

pub mod console;
pub mod evaluation;
pub mod html;
pub mod memory;
pub mod metrics;
pub mod predictions;
pub mod table;
pub mod units;
pub mod verdict;
pub mod write;

pub use console::{Console, Progress};
pub use metrics::RunMetrics;
pub use predictions::Predictions;
pub use table::{Column, Table};
pub use write::{remove_temporaries, write_atomically};
