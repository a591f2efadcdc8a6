//! CSV and TSV: RFC 4180 with a header; in CSV another delimiter than the comma is possible, and recognised by the
//! header. How bytes become records is [`crate::data::delimited`]'s; here are the header, the check that every row fits
//! it, and writing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::data::DetectedSetting;
use crate::data::bounded_lines::BoundedLines;
use crate::data::delimited::{DelimitedRecords, first_record, push_record};
use crate::data::format::{CompleteRows, FileLayout, Format, OpenedRows, RowEncoder, RowSource, TextStyle, empty_file};
use crate::data::names::{PAIR_NAMES, TEXT_NAMES};
use crate::data::options::{ReadOptions, TextColumns};
use crate::data::row::{OutputValue, Record, Row, decimal, json_text};
use crate::data::stream::ByteStream;
use crate::error::{Error, Result};

pub static CSV: Delimited = Delimited { name: "csv", extensions: &["csv"], delimiter: None };
pub static TSV: Delimited = Delimited { name: "tsv", extensions: &["tsv", "tab"], delimiter: Some(b'\t') };

pub struct Delimited {
    name: &'static str,
    extensions: &'static [&'static str],
    /// The delimiter; found out for each file where the format leaves it open.
    delimiter: Option<u8>,
}

impl Format for Delimited {
    fn name(&self) -> &'static str {
        self.name
    }

    fn extensions(&self) -> &'static [&'static str] {
        self.extensions
    }

    fn sniff(&self, first_line: &[u8], options: &ReadOptions) -> Option<String> {
        let (delimiter, column) = sniffed_column(first_line, options)?;
        let is_tsv = delimiter == b'\t';
        (is_tsv == (self.delimiter == Some(b'\t'))).then(|| format!("the first line names the column `{column}`"))
    }

    fn open_stream(&self, stream: ByteStream, options: &ReadOptions) -> Result<OpenedRows> {
        let (delimiter, choices) = self.delimiter_of(&stream, options)?;
        let lines = BoundedLines::of_stream(stream, options.max_row_bytes);
        let mut records = DelimitedRecords::new(lines, delimiter);
        let columns = header(&mut records)?;
        let format = if self.delimiter.is_some() { &TSV } else { &CSV };
        let layout = FileLayout {
            file: records.name().to_owned(),
            format,
            delimiter,
            columns: columns.clone(),
            style: TextStyle::default(),
            schema: None,
            warnings: Vec::new(),
        };
        Ok(OpenedRows { layout, rows: Box::new(DelimitedRows { records, columns, delimiter }), choices })
    }

    fn shown_delimiter(&self, layout: &FileLayout) -> Option<String> {
        Some(shown(layout.delimiter))
    }

    fn encoder(&self, input: &FileLayout, added: &[String]) -> Option<Box<dyn RowEncoder>> {
        let delimiter = self.delimiter.unwrap_or_else(|| {
            // A file with semicolons stays one.
            let is_like_input = input.format.name() == self.name;
            if is_like_input { input.delimiter } else { b',' }
        });
        let (columns, added) = (input.columns.clone(), added.to_vec());
        Some(Box::new(DelimitedEncoder { delimiter, columns, added }))
    }
}

impl Delimited {
    /// The delimiter to read a stream with, and what was chosen for that.
    fn delimiter_of(&self, stream: &ByteStream, options: &ReadOptions) -> Result<(u8, Vec<DetectedSetting>)> {
        if let Some(given) = options.delimiter {
            if !given.is_ascii() || matches!(given, b'"' | b'\n' | b'\r' | 0) {
                return Err(Error::request(
                    "the delimiter must be one ASCII character other than a quote or a line end",
                ));
            }
            return Ok((given, Vec::new()));
        }
        if let Some(delimiter) = self.delimiter {
            return Ok((delimiter, Vec::new()));
        }
        let (delimiter, reason) = sniffed_delimiter(&stream.first_line);
        let choices = reason.map(|reason| DetectedSetting::new("delimiter", shown(delimiter), reason));
        Ok((delimiter, choices.into_iter().collect()))
    }
}

/// `tab` rather than an invisible character.
fn shown(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tab".to_owned(),
        other => format!("`{}`", other as char),
    }
}

/// The delimiter at which a first line is a header with a text column, and the name of that column.
fn sniffed_column(first_line: &[u8], options: &ReadOptions) -> Option<(u8, String)> {
    let candidates = match options.delimiter {
        Some(delimiter) => vec![delimiter],
        None => vec![b',', b'\t', b';', b'|'],
    };
    candidates.into_iter().find_map(|delimiter| {
        let names = first_record(first_line, delimiter);
        let has = |name: &str| names.iter().any(|known| known.trim() == name);
        let first_of = |text: &TextColumns| {
            let wanted = text.names_in(&names);
            wanted.iter().all(|name| has(name.trim())).then(|| wanted.first().cloned())?
        };
        let usual = || {
            let pair = PAIR_NAMES.iter().find(|(first, second)| has(first) && has(second)).map(|(first, _)| *first);
            pair.or_else(|| TEXT_NAMES.iter().copied().find(|name| has(name))).map(str::to_owned)
        };
        let column = match (&options.text, options.trained_on.text.as_ref().and_then(first_of)) {
            (Some(given), _) => first_of(given),
            (None, Some(trained_on)) => Some(trained_on),
            (None, None) => usual(),
        };
        Some((delimiter, column?))
    })
}

/// The delimiter of a CSV header, with a reason where it is not the comma.
fn sniffed_delimiter(header: &[u8]) -> (u8, Option<String>) {
    let count = |delimiter: u8| first_record(header, delimiter).len() - 1;
    if count(b',') > 0 {
        return (b',', None);
    }
    // The last one wins a draw, and the semicolon is the most usual.
    let best = [b'|', b'\t', b';'].into_iter().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',');
    if count(best) == 0 {
        return (b',', None);
    }
    (best, Some(format!("the header has no comma but {} of these", count(best))))
}

/// Reads and checks the header.
fn header(records: &mut DelimitedRecords) -> Result<Vec<String>> {
    if !records.advance()? {
        return Err(empty_file(records.name()));
    }
    let columns: Vec<String> = records.fields().map_err(|(_, error)| error.context("the header"))?.collect();
    let at_header = |message: String| Error::request(message).file(records.name()).line(records.line);
    if columns.iter().any(|name| name.contains('\r')) {
        return Err(at_header("the lines end in a carriage return alone (old Macintosh)".to_owned())
            .hint("convert the file: tr '\\r' '\\n' < OLD > NEW"));
    }
    if columns.first().is_some_and(|name| name.starts_with("sep=")) {
        return Err(at_header("this is Excel's `sep=` line, not a header".to_owned()).hint("delete the line"));
    }
    let mut seen = HashMap::with_capacity(columns.len());
    for (index, name) in columns.iter().enumerate() {
        if let Some(first) = seen.insert(name, index) {
            let what = if name.is_empty() {
                format!("the columns {} and {} have no name", first + 1, index + 1)
            } else {
                format!("the columns {} and {} are both named `{name}`", first + 1, index + 1)
            };
            return Err(at_header(what).hint("the first line must give each column a name of its own"));
        }
    }
    Ok(columns)
}

struct DelimitedRows {
    records: DelimitedRecords,
    columns: Vec<String>,
    delimiter: u8,
}

impl RowSource for DelimitedRows {
    fn next_row(&mut self, number: u64) -> Result<Option<Row>> {
        let Self { records, columns, delimiter } = self;
        if !records.advance().map_err(|error| error.row(number))? {
            return Ok(None);
        }
        let (count, expected) = (records.field_count(), columns.len());
        if count != expected {
            let hint = format!(
                "a field that contains {} or a line break must be quoted (\"…\"), and a quote inside it doubled (\"\")",
                shown(*delimiter)
            );
            let fields = if count == 1 { "field" } else { "fields" };
            return Err(Error::request(format!("{count} {fields} where the header has {expected}"))
                .file(records.name())
                .row(number)
                .line(records.line)
                .hint(hint));
        }
        let mut fields = Vec::with_capacity(expected);
        fields.extend(records.fields().map_err(|(field, error)| {
            let error = error.row(number);
            match field.and_then(|field| columns.get(field)) {
                Some(column) => error.column(column),
                None => error,
            }
        })?);
        Ok(Some(Row { number, line: records.line, record: Record::Fields(fields) }))
    }
}

struct DelimitedEncoder {
    delimiter: u8,
    /// The input's columns.
    columns: Vec<String>,
    added: Vec<String>,
}

impl RowEncoder for DelimitedEncoder {
    fn push_header(&self, buffer: &mut Vec<u8>) -> Result<()> {
        self.push(buffer, self.columns.iter().chain(&self.added))
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
        self.push(buffer, fields.iter().map(Cow::as_ref))
    }

    fn began(&self, file: &Path) -> Result<bool> {
        let mut records = DelimitedRecords::new(BoundedLines::of_file(file)?, self.delimiter);
        records.advance()?;
        let header: Vec<String> = records.fields().map_err(|(_, error)| error)?.collect();
        Ok(header.iter().eq(self.columns.iter().chain(&self.added)))
    }

    fn complete_rows(&self, file: &Path) -> Result<CompleteRows> {
        let mut records = DelimitedRecords::new(BoundedLines::of_file(file)?, self.delimiter);
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
        complete.rows = whole.saturating_sub(1);
        Ok(complete)
    }
}

impl DelimitedEncoder {
    fn push(&self, buffer: &mut Vec<u8>, fields: impl IntoIterator<Item: AsRef<[u8]>>) -> Result<()> {
        push_record(buffer, self.delimiter, fields).map_err(|error| Error::failure(error.to_string()))
    }

    /// A JSON object's values in the order of the columns.
    fn object_fields<'o>(&self, members: &'o Map<String, Value>) -> Result<Vec<Cow<'o, str>>> {
        let columns = &self.columns;
        let known = columns.iter().filter(|column| members.contains_key(*column)).count();
        if known < members.len() {
            let key = members.keys().find(|key| !columns.contains(key));
            let key = key.map_or("", String::as_str);
            return Err(Error::request(format!("the key `{key}` is not among the first row's keys"))
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::data::reader::RowReader;

    #[test]
    fn delimiter_is_the_comma_unless_the_header_has_none() {
        assert_eq!(sniffed_delimiter(b"a;b,c").0, b',');
        assert_eq!(sniffed_delimiter(b"a;b;c|d").0, b';');
        assert_eq!(sniffed_delimiter(b"\"a,b\"\tc").0, b'\t');
        assert_eq!(sniffed_delimiter(b"text").0, b',');
    }

    /// An independent suite; see its README for where it comes from.
    fn suite(name: &str) -> PathBuf {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/suites")).join(name);
        assert!(path.is_dir(), "{} is missing from the repository", path.display());
        path
    }

    /// Each CSV file of a folder with the JSON that it means, where that is given.
    fn cases(csvs: &Path, jsons: &Path) -> Vec<(String, PathBuf, Option<Value>)> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(csvs).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "{} is empty", csvs.display());
        files.sort();
        let case = |path: PathBuf| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let json = std::fs::read_to_string(jsons.join(format!("{name}.json"))).ok();
            (name, path, json.map(|json| serde_json::from_str(&json).unwrap()))
        };
        files.into_iter().map(case).collect()
    }

    /// A file as JSON: the header's and the rows' fields.
    fn table(path: &Path) -> Result<(Vec<String>, Vec<Vec<String>>)> {
        let reader = RowReader::open(path, &ReadOptions::default())?;
        let columns = reader.columns().to_vec();
        let fields = |row: Row| match row.record {
            Record::Fields(fields) => fields,
            other => panic!("{other:?}"),
        };
        let rows = reader.map(|row| row.map(fields)).collect::<Result<_>>()?;
        Ok((columns, rows))
    }

    fn objects((columns, rows): (Vec<String>, Vec<Vec<String>>)) -> Value {
        rows.into_iter().map(|row| columns.iter().cloned().zip(row).collect::<Value>()).collect()
    }

    #[test]
    fn agrees_with_csv_spectrum() {
        let suite = suite("csv-spectrum");
        for (name, path, json) in cases(&suite.join("csvs"), &suite.join("json")) {
            // The suite's own answer for this file is of another row than the file's.
            if name != "location_coordinates" {
                assert_eq!(Some(objects(table(&path).unwrap())), json, "{name}");
            }
        }
    }

    #[test]
    fn agrees_with_csv_test_data() {
        let suite = suite("csv-test-data");
        for (name, path, json) in cases(&suite.join("csv"), &suite.join("json")) {
            let read = table(&path);
            match (name.as_str(), json) {
                // Lines without anything are skipped, not rows of one empty field.
                ("all-empty", _) => assert!(read.unwrap_err().to_string().contains("empty")),
                ("empty-one-column", _) => assert_eq!(read.unwrap(), (vec!["foo".to_owned()], vec![])),
                // A stray quote within an unquoted field is text: people write 5" and don't know of RFC 4180.
                ("bad-unescaped-quote", _) => assert_eq!(read.unwrap().1[0][1], "This \"quotes\" must be escaped"),
                // Any header is right here: which columns are needed is checked later.
                ("bad-header-wrong-header", _) => assert_eq!(read.unwrap().1, Vec::<Vec<String>>::new()),
                (_, None) => assert!(read.is_err(), "{name} must be refused"),
                ("header-simple" | "header-no-rows", Some(json)) => assert_eq!(objects(read.unwrap()), json, "{name}"),
                (_, Some(json)) => {
                    let (columns, rows) = read.unwrap();
                    let all: Value = std::iter::once(columns).chain(rows).collect();
                    assert_eq!(all, json, "{name}");
                }
            }
        }
    }
}
