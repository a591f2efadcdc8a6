//! From a data file to typed examples, and from labelled rows back to a file.
//!
//! In the order in which a file meets it: [`stream`] opens and decompresses it, [`reader`] finds out which of the formats it has
//! and gives its rows, [`columns`] says which columns hold the text and the label, [`labels`] numbers the classes, [`examples`]
//! loads a labelled file and counts what is odd about it, [`split`] sets rows aside for validation, [`inspect`] reports on a file,
//! and [`writer`] writes rows with added columns. What a format is to all of these says [`mod@format`]; the formats themselves
//! are a file each. Tokens, pixels and batches are the business of later modules: nothing here knows a network.

mod bounded_lines;
pub mod columns;
mod compression;
mod delimited;
pub mod examples;
pub mod format;
mod formats;
pub mod inspect;
pub mod labels;
mod names;
pub mod options;
pub mod reader;
pub mod row;
pub mod split;
pub mod stream;
mod unsupported;
pub mod writer;

use std::fmt;
use std::path::PathBuf;

pub use columns::{ResolvedColumns, resolve};
pub use examples::{LabelledSet, Overlap, Summary, load_labelled, overlap};
pub use format::Layout;
pub use labels::Labels;
pub use options::{ReadOptions, TextColumns, TrainedColumns};
pub use reader::RowReader;
pub use row::{OutputValue, Record, Row};
pub use writer::RowWriter;

/// What a network reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Modality {
    #[default]
    Text,
    Image,
}

/// What the network gets to see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    Text(String),
    /// Two texts that are judged together: premise and hypothesis, question and answer.
    Pair(String, String),
    Image(PathBuf),
}

impl Input {
    /// Whether there is nothing to see: no text but white space (in either of a pair).
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.trim().is_empty(),
            Self::Pair(first, second) => first.trim().is_empty() && second.trim().is_empty(),
            Self::Image(_) => false,
        }
    }

    /// Length in characters, both of a pair together; 0 for an image.
    pub fn chars(&self) -> usize {
        match self {
            Self::Text(text) => text.chars().count(),
            Self::Pair(first, second) => first.chars().count() + second.chars().count(),
            Self::Image(_) => 0,
        }
    }
}

/// As people read it: the text, both of a pair with a bar between them, the path of an image.
impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Pair(first, second) => write!(f, "{first} | {second}"),
            Self::Image(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A labelled input and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    pub input: Input,
    /// Index into the set's [`Labels`].
    pub label: u32,
    /// Row of the file, counted from 1.
    pub row: u64,
}

/// Something that was chosen for the person, with the reason; shown and kept with the run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Choice {
    /// What was chosen: `format`, `delimiter`, `text`, `label`.
    pub setting: &'static str,
    pub value: String,
    pub reason: String,
}

impl Choice {
    pub(crate) fn new(setting: &'static str, value: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { setting, value: value.into(), reason: reason.into() }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.setting, self.value, self.reason)
    }
}
