//! Everything that a person sees on standard error: notes, sections, warnings, errors, progress, downloads, tables and
//! units.
//!
//! There are three modes: a terminal, with a moving bar (and colours, unless NO_COLOR is set); a log, with a plain line
//! now and then; quiet, with warnings and errors only. Standard output is never touched. What cannot be written
//! (standard error closed, terminal gone) is dropped silently: a run does not fail because its messages do.

mod download;
mod output;
mod progress;
pub mod table;
pub mod units;

pub use self::download::DownloadEvent;
pub use self::output::{Console, plain};
pub use self::progress::Progress;
pub use self::table::{Column, Table};
