//! Rows of formats whose cells have types: spreadsheets and Parquet. A row keeps what it was read from, so that a copy
//! of the file keeps its types; a cell is turned into a value only when somebody asks for it.

use std::sync::Arc;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use serde_json::{Number, Value};

use super::arrow_values;
use crate::error::{Error, Result};

/// A row of a format whose cells have types.
#[derive(Debug, Clone, PartialEq)]
pub enum TypedRow {
    /// Of a spreadsheet: a cell for each column.
    Sheet(Vec<SheetCell>),
    /// Of a Parquet file.
    Batch(BatchRow),
}

/// A row of a batch of rows.
#[derive(Debug, Clone)]
pub struct BatchRow {
    /// Shared by its rows.
    pub batch: Arc<RecordBatch>,
    /// Which of its rows.
    pub index: usize,
}

impl PartialEq for BatchRow {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index && (Arc::ptr_eq(&self.batch, &other.batch) || self.batch == other.batch)
    }
}

/// A cell of a spreadsheet.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum SheetCell {
    /// Nothing.
    #[default]
    Empty,
    /// A text as it was entered.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// A number, or the last result of a formula.
    Number {
        /// As it is stored.
        value: f64,
        /// How it is shown, such as `0.00%`; `None`: as it is.
        format: Option<Arc<str>>,
    },
    /// A date, a time or both.
    Date {
        /// Days since the last day of 1899.
        serial: f64,
        /// How it is shown, such as `dd/mm/yyyy`; `None`: not known.
        format: Option<Arc<str>>,
        /// As ISO 8601 writes it, with a blank between date and time.
        text: String,
    },
    /// An error value, such as `#N/A`.
    Error(&'static str),
}

impl SheetCell {
    /// Its content as JSON; an error value is nothing.
    pub fn value(&self) -> Value {
        match self {
            Self::Empty | Self::Error(_) => Value::Null,
            Self::Text(text) | Self::Date { text, .. } => Value::String(text.clone()),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Number { value, .. } => number(*value),
        }
    }

    /// The moment of a date's serial number, in milliseconds since the beginning of 1970.
    pub fn milliseconds_since_1970(serial: f64) -> i64 {
        const DAYS_TO_1970: f64 = 25_569.0;
        const MILLISECONDS_A_DAY: f64 = 86_400_000.0;
        ((serial - DAYS_TO_1970) * MILLISECONDS_A_DAY).round() as i64
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.is_empty(),
            _ => false,
        }
    }
}

/// A spreadsheet's number: all of them are stored as fractions, and `1` is meant where `1.0` is stored.
fn number(value: f64) -> Value {
    /// Beyond it not every integer is stored.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

impl TypedRow {
    /// The same row in a batch of its own.
    ///
    /// # Errors
    /// A type of column that cannot be copied.
    pub fn alone(self) -> Result<Self> {
        let Self::Batch(BatchRow { batch, index }) = self else { return Ok(self) };
        let batch = take_record_batch(&batch, &UInt32Array::from(vec![index as u32]))
            .map_err(|error| Error::failure(format!("a row cannot be copied: {error}")))?;
        Ok(Self::Batch(BatchRow { batch: Arc::new(batch), index: 0 }))
    }

    /// The content of a column; `null` for none.
    pub fn value(&self, column: usize) -> Option<Value> {
        match self {
            Self::Sheet(cells) => cells.get(column).map(SheetCell::value),
            Self::Batch(BatchRow { batch, index }) => {
                let array = batch.columns().get(column)?;
                Some(arrow_values::value(array.as_ref(), *index))
            }
        }
    }

    /// The content of a column that holds a text, without copying it.
    pub fn text(&self, column: usize) -> Option<&str> {
        match self {
            Self::Sheet(cells) => match cells.get(column)? {
                SheetCell::Text(text) | SheetCell::Date { text, .. } => Some(text),
                SheetCell::Empty | SheetCell::Error(_) => Some(""),
                _ => None,
            },
            Self::Batch(BatchRow { batch, index }) => arrow_values::text(batch.columns().get(column)?.as_ref(), *index),
        }
    }

    /// The number of columns.
    pub fn width(&self) -> usize {
        match self {
            Self::Sheet(cells) => cells.len(),
            Self::Batch(BatchRow { batch, .. }) => batch.num_columns(),
        }
    }

    /// The date or time in a Parquet file's column of those, as ISO 8601 writes it with a blank between the two.
    pub fn moment(&self, column: usize) -> Option<String> {
        match self {
            Self::Sheet(_) => None,
            Self::Batch(BatchRow { batch, index }) => {
                arrow_values::moment(batch.columns().get(column)?.as_ref(), *index)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_whole() {
        let shown = |value: f64| SheetCell::Number { value, format: None }.value().to_string();
        assert_eq!(shown(1.0), "1");
        assert_eq!(shown(-0.0), "0");
        assert_eq!(shown(0.25), "0.25");
        assert_eq!(shown(1e300), "1e+300");
        assert_eq!(shown(f64::NAN), "null");
    }
}
