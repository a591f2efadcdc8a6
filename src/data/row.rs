//! A row of a data file, whatever the file's format, and the values that are added to it on output. Keeps every column,
//! so that a labelled copy of the file can be written. Which columns matter is decided in [`super::columns`].

use std::borrow::Cow;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::json_source;
use super::typed::{SheetCell, TypedRow};
use crate::error::Result;

/// What a row holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A table's row.
    Fields {
        /// In the order of the columns.
        fields: Vec<String>,
        /// Which of them stood within quotes, by their index.
        quoted: Vec<usize>,
    },
    /// A JSON object.
    Object {
        /// Its keys and values, in the order of the file.
        members: Map<String, Value>,
        /// The text it was read from, so that it can be written again to the last digit.
        source: String,
    },
    /// A line of text.
    Line(String),
    /// A row of a format whose cells have types.
    Typed(TypedRow),
}

impl Record {
    /// A row of fields without quotes.
    pub fn fields(fields: Vec<String>) -> Self {
        Self::Fields { fields, quoted: Vec::new() }
    }
}

/// What stands in a column of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'r> {
    /// A text.
    Text(Cow<'r, str>),
    /// Anything but a text.
    Json(Cow<'r, Value>),
}

impl<'r> Cell<'r> {
    /// Texts as they are, other values as JSON writes them, `null` as nothing.
    pub fn into_text(self) -> Cow<'r, str> {
        match self {
            Self::Text(text) => text,
            Self::Json(Cow::Borrowed(value)) => json_text(value),
            Self::Json(Cow::Owned(value)) => Cow::Owned(json_text(&value).into_owned()),
        }
    }
}

/// One row of a data file, and where it stands there.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which of the files that are read together it stands in, counted from 0.
    pub file: u32,
    /// Counted from 1 in its file; a header is no row.
    pub number: u64,
    /// The line of the file on which the row begins, counted from 1.
    pub line: u64,
    /// All of its columns, used or not.
    pub record: Record,
}

impl Row {
    /// A row of the first file.
    pub fn new(number: u64, line: u64, record: Record) -> Self {
        Self { file: 0, number, line, record }
    }

    /// The same row, which holds on to nothing of the file besides: a row of a Parquet file shares the memory of the
    /// rows that were read with it.
    ///
    /// # Errors
    /// A type of column that cannot be copied.
    pub fn alone(self) -> Result<Self> {
        match self.record {
            Record::Typed(row) => Ok(Self { record: Record::Typed(row.alone()?), ..self }),
            record => Ok(Self { record, ..self }),
        }
    }

    /// Whether it is a row of a spreadsheet without anything in it, which is no example and counts all the same.
    pub fn is_blank(&self) -> bool {
        matches!(&self.record, Record::Typed(TypedRow::Sheet(cells)) if cells.iter().all(SheetCell::is_empty))
    }

    /// Adds all that the row holds to a digest of rows.
    pub fn add_to(&self, digest: &mut Sha256) {
        let mut part = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        match &self.record {
            Record::Fields { fields, .. } => fields.iter().for_each(|field| part(field.as_bytes())),
            Record::Object { source, .. } => part(source.as_bytes()),
            Record::Line(line) => part(line.as_bytes()),
            Record::Typed(row) => (0..row.width()).for_each(|column| match row.text(column) {
                Some(text) => part(text.as_bytes()),
                None => part(row.value(column).unwrap_or_default().to_string().as_bytes()),
            }),
        }
        part(b"end of the row");
    }

    /// What stands in a column, given the column's name and its index in the header. `None` when a JSON object lacks
    /// the key. An empty cell of a spreadsheet or Parquet file is an empty text.
    pub fn cell(&self, name: &str, index: usize) -> Option<Cell<'_>> {
        match &self.record {
            Record::Fields { fields, .. } => fields.get(index).map(|field| Cell::Text(field.into())),
            Record::Line(line) => Some(Cell::Text(line.into())),
            Record::Object { members, .. } => members.get(name).map(|value| match value {
                Value::String(text) => Cell::Text(text.into()),
                other => Cell::Json(Cow::Borrowed(other)),
            }),
            Record::Typed(row) => match row.text(index) {
                Some(text) => Some(Cell::Text(text.into())),
                None => row.value(index).map(|value| match value {
                    Value::String(text) => Cell::Text(text.into()),
                    Value::Null => Cell::Text("".into()),
                    other => Cell::Json(Cow::Owned(other)),
                }),
            },
        }
    }

    /// The text in a column, where a text stands there.
    pub fn plain_text(&self, name: &str, index: usize) -> Option<&str> {
        match &self.record {
            Record::Fields { fields, .. } => fields.get(index).map(String::as_str),
            Record::Line(line) => Some(line),
            Record::Object { members, .. } => members.get(name)?.as_str(),
            Record::Typed(row) => row.text(index),
        }
    }

    /// About what it takes in memory, in bytes.
    pub fn memory(&self) -> usize {
        const TEXT: usize = 40;
        const VALUE: usize = 150;
        match &self.record {
            Record::Fields { fields, .. } => fields.iter().map(|field| field.len() + TEXT).sum(),
            Record::Line(line) => line.len() + TEXT,
            // Twice: as it was read, and as values.
            Record::Object { members, source } => 2 * source.len() + VALUE * members.len(),
            Record::Typed(TypedRow::Sheet(cells)) => TEXT * cells.len(),
            Record::Typed(TypedRow::Batch(row)) => row.batch.get_array_memory_size() / row.batch.num_rows().max(1),
        }
    }

    /// How many columns it has.
    pub fn width(&self) -> usize {
        match &self.record {
            Record::Fields { fields, .. } => fields.len(),
            Record::Line(_) => 1,
            Record::Object { members, .. } => members.len(),
            Record::Typed(row) => row.width(),
        }
    }

    /// The value in a column as text, as [`Row::cell`] finds it: strings as they are, other JSON values as the file
    /// writes them, to the last digit, `null` as nothing.
    pub fn text(&self, name: &str, index: usize) -> Option<Cow<'_, str>> {
        match &self.record {
            Record::Object { members, source } => members.get(name).map(|value| match value {
                Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    json_source::member(source, name).map_or_else(|| json_text(value), Cow::Borrowed)
                }
                other => json_text(other),
            }),
            _ => self.cell(name, index).map(Cell::into_text),
        }
    }
}

/// A JSON value as the text of a table's field.
pub fn json_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Null => Cow::Borrowed(""),
        other => Cow::Owned(other.to_string()),
    }
}

/// The value of an output column that the input does not have.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputValue {
    /// A word, such as a label; escaped as the format asks for it.
    Text(String),
    /// Written with at most six decimals. Not finite: as [`OutputValue::Empty`].
    Number(f64),
    /// A count, or the number of a row.
    Whole(u64),
    /// Written with as many digits as tell it from all others.
    Exact(f32),
    /// Several of these, in formats that have lists ([`Format::has_lists`](super::format::Format::has_lists)).
    Numbers(Vec<f32>),
    /// An empty field; `null` in JSON.
    Empty,
}

/// A number with at most six decimals and at least one: `0.5`, `0.333333`, `1.0`.
pub fn decimal(number: f64) -> String {
    let mut text = format!("{number:.6}");
    let zeros = text.len() - text.trim_end_matches('0').len();
    text.truncate(text.len() - zeros.min(5));
    if text == "-0.0" { "0.0".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.5, "0.5"),
            (1.0 / 3.0, "0.333333"),
            (1.0, "1.0"),
            (0.0, "0.0"),
            (1e-9, "0.0"),
            (-1e-9, "0.0"),
            (12.0, "12.0"),
        ];
        for (number, text) in cases {
            assert_eq!(decimal(number), text);
        }
    }
}
