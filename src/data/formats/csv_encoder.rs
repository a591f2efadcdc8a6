//! Writing CSV and TSV: the header, rows of whatever kind as fields, and how much of an interrupted file is whole.
//! Which delimiter and style an output has is the format's to say.

use std::borrow::Cow;

use crate::data::delimited_output::{Writing, push_record};
use crate::data::format::{RowEncoder, TextStyle, check_keys};
use crate::data::row::{OutputValue, Record, Row, decimal};
use crate::data::spreadsheet_safe::safe;
use crate::error::{Error, Result};

/// Writes rows as a table's text.
pub struct DelimitedEncoder {
    pub writing: Writing,
    /// How the table is written; its quotes and line ends are in `writing`.
    pub style: TextStyle,
    /// Fields that stood within quotes do so again.
    pub keeps_quotes: bool,
    /// The input's columns.
    pub columns: Vec<String>,
    /// Those that the output gets besides.
    pub added: Vec<String>,
}

impl RowEncoder for DelimitedEncoder {
    fn push_header(&self, buffer: &mut Vec<u8>) -> Result<()> {
        if self.style.byte_order_mark {
            buffer.extend_from_slice("\u{feff}".as_bytes());
        }
        if self.style.sep_line {
            buffer.extend_from_slice(b"sep=");
            buffer.push(self.writing.delimiter);
            buffer.extend_from_slice(if self.writing.crlf { b"\r\n" } else { b"\n" });
        }
        match self.style.no_header {
            true => Ok(()),
            false => {
                let quoted = self.kept(&self.style.quoted_names);
                let names = self.columns.iter().chain(&self.added).map(|name| self.shown(name.into()));
                push_record(buffer, self.writing, names.map(AsBytes), quoted)
            }
        }
    }

    fn push_row(&self, buffer: &mut Vec<u8>, row: &Row, values: &[OutputValue]) -> Result<()> {
        let mut quoted: &[usize] = &[];
        let mut fields: Vec<Cow<'_, str>> = match &row.record {
            Record::Fields { fields, quoted: kept } => {
                quoted = self.kept(kept);
                fields.iter().map(Cow::from).collect()
            }
            Record::Line(line) => vec![line.into()],
            Record::Object { members, .. } => {
                check_keys(members, &self.columns)?;
                self.fields_of(row)?
            }
            Record::Typed(_) => self.fields_of(row)?,
        };
        fields.extend(values.iter().map(|value| match value {
            OutputValue::Text(text) => text.into(),
            OutputValue::Number(number) if number.is_finite() => decimal(*number).into(),
            OutputValue::Whole(number) => number.to_string().into(),
            OutputValue::Exact(number) if number.is_finite() => number.to_string().into(),
            // Lists have no place in a table, and are never given to one.
            OutputValue::Number(_) | OutputValue::Exact(_) | OutputValue::Numbers(_) | OutputValue::Empty => "".into(),
        }));
        push_record(buffer, self.writing, fields.into_iter().map(|field| AsBytes(self.shown(field))), quoted)
    }
}

/// A field as its bytes.
struct AsBytes<'f>(Cow<'f, str>);

impl AsRef<[u8]> for AsBytes<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl DelimitedEncoder {
    /// A field as the table has it.
    fn shown<'f>(&self, field: Cow<'f, str>) -> Cow<'f, str> {
        if self.style.is_safe { safe(field) } else { field }
    }

    /// The fields that keep their quotes.
    fn kept<'q>(&self, quoted: &'q [usize]) -> &'q [usize] {
        if self.keeps_quotes { quoted } else { &[] }
    }

    /// The values of an object, or the cells of a row of another kind of table, in the order of the columns.
    fn fields_of<'r>(&self, row: &'r Row) -> Result<Vec<Cow<'r, str>>> {
        let columns = self.columns.iter().enumerate();
        columns.map(|(index, name)| without_nul(name, row.text(name, index).unwrap_or_default())).collect()
    }
}

/// A field that delimited text can hold.
fn without_nul<'f>(column: &str, field: Cow<'f, str>) -> Result<Cow<'f, str>> {
    match field.contains('\0') {
        true => Err(Error::request("a NUL character, which a table cannot hold")
            .column(column)
            .hint("write to a .jsonl file")),
        false => Ok(field),
    }
}
