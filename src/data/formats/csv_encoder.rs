//! Writing CSV and TSV: the header, rows of whatever kind as fields, and how much of an interrupted file is whole. Which
//! delimiter and style an output has is the format's to say.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use crate::data::bounded_lines::BoundedLines;
use crate::data::delimited::{DelimitedRecords, Dialect};
use crate::data::delimited_output::{Writing, push_record};
use crate::data::format::{CompleteRows, RowEncoder, TextStyle};
use crate::data::row::{OutputValue, Record, Row, decimal, json_text};
use crate::error::{Error, Result};

/// Writes rows as a table's text.
pub struct DelimitedEncoder {
    pub writing: Writing,
    /// How the table is written; its quotes and line ends are in `writing`.
    pub style: TextStyle,
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
            false => push_record(buffer, self.writing, self.columns.iter().chain(&self.added)),
        }
    }

    fn push_row(&self, buffer: &mut Vec<u8>, row: &Row, values: &[OutputValue]) -> Result<()> {
        let mut fields: Vec<Cow<'_, str>> = match &row.record {
            Record::Fields(fields) => fields.iter().map(Cow::from).collect(),
            Record::Line(line) => vec![line.into()],
            Record::Object { members, .. } => self.object_fields(members)?,
            Record::Typed(_) => self.typed_fields(row)?,
        };
        fields.extend(values.iter().map(|value| match value {
            OutputValue::Text(text) => text.into(),
            OutputValue::Number(number) if number.is_finite() => decimal(*number).into(),
            OutputValue::Number(_) | OutputValue::Empty => "".into(),
        }));
        push_record(buffer, self.writing, fields.iter().map(Cow::as_ref))
    }

    fn began(&self, file: &Path) -> Result<bool> {
        if self.style.no_header {
            // There are only the numbers of columns to go by.
            let mut records = self.written(file)?;
            return Ok(records.advance()? && records.field_count() == self.columns.len() + self.added.len());
        }
        let mut expected = Vec::new();
        self.push_header(&mut expected)?;
        let mut begin = Vec::new();
        let opened = std::fs::File::open(file).map_err(|error| Error::io(error, file))?;
        opened.take(expected.len() as u64).read_to_end(&mut begin).map_err(|error| Error::io(error, file))?;
        Ok(begin == expected)
    }

    fn complete_rows(&self, file: &Path) -> Result<CompleteRows> {
        let mut records = self.written(file)?;
        let mut complete = CompleteRows::default();
        let mut whole = 0u64;
        loop {
            match records.advance() {
                Ok(true) if records.is_terminated() => {
                    whole += 1;
                    complete.bytes = records.end_offset();
                }
                Ok(_) => break,
                Err(_) if records.is_torn() => break,
                Err(error) => return Err(error.context("reading what was written before")),
            }
        }
        // The header is the first of them.
        complete.rows = whole.saturating_sub(u64::from(!self.style.no_header));
        Ok(complete)
    }
}

impl DelimitedEncoder {
    /// The records of a file that this encoder began, behind its `sep=` line.
    fn written(&self, file: &Path) -> Result<DelimitedRecords> {
        let Writing { delimiter, quote, .. } = self.writing;
        let dialect = Dialect { quote, ..Dialect::strict(delimiter) };
        let mut records = DelimitedRecords::new(BoundedLines::of_file(file)?, dialect);
        if self.style.sep_line {
            records.skip_line()?;
        }
        Ok(records)
    }

    /// A JSON object's values in the order of the columns.
    fn object_fields<'o>(&self, members: &'o Map<String, Value>) -> Result<Vec<Cow<'o, str>>> {
        let columns = &self.columns;
        let known = columns.iter().filter(|column| members.contains_key(*column)).count();
        if known < members.len() {
            let key = members.keys().find(|key| !columns.contains(key));
            let key = key.map_or("", String::as_str);
            return Err(Error::request(format!("the key `{key}` is not among the first rows' keys"))
                .hint("a table cannot get a new column later on: write to a .jsonl file"));
        }
        let field = |column: &String| without_nul(column, members.get(column).map_or("".into(), json_text));
        columns.iter().map(field).collect()
    }

    /// The cells of a row of another kind of table.
    fn typed_fields<'r>(&self, row: &'r Row) -> Result<Vec<Cow<'r, str>>> {
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
