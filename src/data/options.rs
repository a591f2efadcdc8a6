//! How a data file is to be read, as far as the command line, a configuration or an earlier run says. What is left open
//! is found out when the file is opened ([`super::reader`]) or its columns are resolved ([`super::columns`]).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Modality;
use crate::error::{Error, Result};

/// How to read a file; everything that is not set is found out.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The columns that hold the text.
    pub text: Option<TextColumns>,
    /// The column that holds the label.
    pub label: Option<String>,
    /// Used where `text` or `label` is not given and the file has these columns.
    pub trained_on: TrainedColumns,
    /// One ASCII character between fields.
    pub delimiter: Option<u8>,
    /// What encloses fields.
    pub quote: Quote,
    /// The first row is data too, and columns go by number, from 1.
    pub no_header: bool,
    /// The encoding of text files.
    pub encoding: Option<&'static encoding_rs::Encoding>,
    /// Rows that cannot be read are left out and counted, instead of ending the reading.
    pub skip_bad_rows: bool,
    /// The longest row that is accepted, in bytes; 64 MiB when not set.
    pub max_row_bytes: Option<usize>,
    /// What the model reads.
    pub modality: Modality,
    /// Whether the rows of a folder of class folders have the class as their label.
    pub classes: bool,
}

/// What encloses a field that holds the delimiter or a line break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quote {
    /// The double quote, unless the file shows that its quotes are text.
    #[default]
    Auto,
    /// Nothing: quotes are text, and every line is a row.
    None,
    /// This character.
    Byte(u8),
}

/// The columns of the file that a model was trained on.
#[derive(Debug, Clone, Default)]
pub struct TrainedColumns {
    /// `None` when that is not known, as of a model that rehead did not train.
    pub text: Option<TextColumns>,
    /// `None` when that is not known.
    pub label: Option<String>,
}

/// The column of the text, or the two columns of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TextColumns {
    /// A single text.
    One(String),
    /// The first and the second text of a pair, in this order.
    Two(String, String),
}

impl TextColumns {
    /// The one or two columns, the first text's first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self {
            Self::One(column) => (column, None),
            Self::Two(first, second) => (first, Some(second)),
        };
        std::iter::once(first.as_str()).chain(second.map(String::as_str))
    }
}

/// Parses `COL` or `COL,COL2`.
impl FromStr for TextColumns {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        let names: Vec<&str> = given.split(',').map(str::trim).collect();
        match names.as_slice() {
            [""] => {
                Err(Error::request("no column is named").key("text").hint("name one or two columns: COL or COL,COL2"))
            }
            [one] => Ok(Self::One((*one).to_owned())),
            [one, two] if one == two => Err(Error::request(format!("the column `{one}` is named twice"))
                .key("text")
                .hint("a pair needs two columns")),
            [one, two] if !one.is_empty() && !two.is_empty() => Ok(Self::Two((*one).to_owned(), (*two).to_owned())),
            _ => Err(Error::request(format!("`{given}` does not name one or two columns"))
                .key("text")
                .hint("write COL or COL,COL2")),
        }
    }
}

impl TryFrom<String> for TextColumns {
    type Error = Error;

    fn try_from(given: String) -> Result<Self> {
        given.parse()
    }
}

impl From<TextColumns> for String {
    fn from(columns: TextColumns) -> Self {
        columns.to_string()
    }
}

impl fmt::Display for TextColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(column) => f.write_str(column),
            Self::Two(first, second) => write!(f, "{first},{second}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_flag() {
        assert_eq!("a".parse::<TextColumns>().unwrap(), TextColumns::One("a".into()));
        assert_eq!("a, b".parse::<TextColumns>().unwrap(), TextColumns::Two("a".into(), "b".into()));
        for wrong in ["", ",", "a,", "a,a", "a,b,c"] {
            assert!(wrong.parse::<TextColumns>().is_err(), "{wrong}");
        }
    }
}
