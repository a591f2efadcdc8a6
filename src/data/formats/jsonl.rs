//! JSON Lines: one object per line. Blank lines are skipped; the columns are the first object's keys. On output an
//! object keeps the text it was read from, so that numbers keep every digit, and the added columns follow as further
//! members.

use std::path::Path;

use serde_json::{Map, Value};

use crate::data::bounded_lines::{BoundedLines, content_length};
use crate::data::format::{
    CompleteRows, FileLayout, Format, OpenedRows, RowEncoder, RowSource, TextStyle, column_exists, empty_file,
};
use crate::data::options::ReadOptions;
use crate::data::row::{OutputValue, Record, Row, decimal};
use crate::data::stream::ByteStream;
use crate::error::{Error, Result};

pub struct Jsonl;

impl Format for Jsonl {
    fn name(&self) -> &'static str {
        "jsonl"
    }

    /// A `.json` file may hold an object per line; an array is refused at its first row, with a hint.
    fn extensions(&self) -> &'static [&'static str] {
        &["jsonl", "ndjson", "json"]
    }

    fn sniff(&self, first_line: &[u8], _options: &ReadOptions) -> Option<String> {
        let line = first_line.trim_ascii();
        if line.starts_with(b"{") {
            return Some("the first line begins with `{`".to_owned());
        }
        // Reading the first row of an array explains how to convert it, and its lines are not texts.
        (line == b"[" || line.starts_with(b"[{")).then(|| "the first line begins a JSON array".to_owned())
    }

    fn open_stream(&self, stream: ByteStream, options: &ReadOptions) -> Result<OpenedRows> {
        let lines = BoundedLines::of_stream(stream, options.max_row_bytes);
        let mut rows = JsonlRows { lines, buffer: Vec::new(), first: None };
        let first = rows.read_object(1)?.ok_or_else(|| empty_file(rows.lines.name()))?;
        let columns = match &first.record {
            Record::Object { members, .. } => members.keys().cloned().collect(),
            _ => Vec::new(),
        };
        let layout = FileLayout {
            file: rows.lines.name().to_owned(),
            format: &Jsonl,
            delimiter: b',',
            columns,
            style: TextStyle::default(),
            schema: None,
            warnings: Vec::new(),
        };
        rows.first = Some(first);
        Ok(OpenedRows { layout, rows: Box::new(rows), choices: Vec::new() })
    }

    fn encoder(&self, input: &FileLayout, added: &[String]) -> Option<Box<dyn RowEncoder>> {
        Some(Box::new(JsonlEncoder { columns: input.columns.clone(), added: added.to_vec() }))
    }
}

struct JsonlRows {
    lines: BoundedLines,
    buffer: Vec<u8>,
    /// The first object, which was read for its keys.
    first: Option<Row>,
}

impl RowSource for JsonlRows {
    fn next_row(&mut self, number: u64) -> Result<Option<Row>> {
        match self.first.take() {
            Some(row) => Ok(Some(row)),
            None => self.read_object(number),
        }
    }
}

impl JsonlRows {
    fn read_object(&mut self, number: u64) -> Result<Option<Row>> {
        loop {
            let Some(source) = self.lines.next_text(&mut self.buffer, number)? else {
                return Ok(None);
            };
            let source = source.trim();
            if source.is_empty() {
                continue;
            }
            let line = self.lines.taken;
            let members = serde_json::from_str(source).map_err(|error| {
                not_an_object(source, &error, number).file(self.lines.name()).row(number).line(line)
            })?;
            return Ok(Some(Row { number, line, record: Record::Object { members, source: source.to_owned() } }));
        }
    }
}

fn not_an_object(source: &str, error: &serde_json::Error, number: u64) -> Error {
    let whole = error.to_string();
    // serde_json counts lines within the one line it is given.
    let message = whole.split(" at line ").next().unwrap_or(&whole);
    let column = error.column();
    let error = Error::request(format!("not a JSON object: {message} (character {column} of the line)"));
    if number == 1 && source.starts_with('[') {
        error.hint("a JSON array is not supported; make it one object per line: jq -c '.[]' OLD.json > NEW.jsonl")
    } else {
        error.hint("each line must be one whole JSON object, such as {\"text\": \"…\", \"label\": \"…\"}")
    }
}

struct JsonlEncoder {
    /// The input's columns.
    columns: Vec<String>,
    added: Vec<String>,
}

impl RowEncoder for JsonlEncoder {
    fn push_header(&self, _buffer: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn push_row(&self, buffer: &mut Vec<u8>, row: &Row, values: &[OutputValue]) -> Result<()> {
        let mut object = ObjectText::begin(buffer);
        match &row.record {
            Record::Fields(fields) => {
                for (column, field) in self.columns.iter().zip(fields) {
                    object.text(column, field);
                }
            }
            Record::Line(line) => self.columns.iter().for_each(|column| object.text(column, line)),
            Record::Object { members, source } => {
                if let Some(key) = self.added.iter().find(|key| members.contains_key(*key)) {
                    return Err(column_exists(key));
                }
                object.members(inside_braces(source));
            }
            Record::Typed(row) => {
                for (index, column) in self.columns.iter().enumerate() {
                    object.json(column, &row.value(index).unwrap_or_default().to_string());
                }
            }
        }
        for (key, value) in self.added.iter().zip(values) {
            match value {
                OutputValue::Text(text) => object.text(key, text),
                OutputValue::Number(number) if number.is_finite() => object.json(key, &decimal(*number)),
                OutputValue::Number(_) | OutputValue::Empty => object.json(key, "null"),
            }
        }
        object.end();
        Ok(())
    }

    fn began(&self, file: &Path) -> Result<bool> {
        let mut line = Vec::new();
        BoundedLines::of_file(file)?.append_to(&mut line)?;
        let first: Option<Map<String, Value>> = serde_json::from_slice(&line).ok();
        Ok(first.is_some_and(|first| self.added.iter().all(|key| first.contains_key(key))))
    }

    fn complete_rows(&self, file: &Path) -> Result<CompleteRows> {
        let mut lines = BoundedLines::of_file(file)?;
        let mut complete = CompleteRows::default();
        let mut line = Vec::new();
        while lines.append_to(&mut line)? {
            if line.ends_with(b"\n") {
                complete.rows += u64::from(content_length(&line) > 0);
                complete.bytes = lines.offset;
            }
            line.clear();
        }
        Ok(complete)
    }
}

/// A JSON object that is being written.
struct ObjectText<'b> {
    buffer: &'b mut Vec<u8>,
    is_first: bool,
}

impl<'b> ObjectText<'b> {
    fn begin(buffer: &'b mut Vec<u8>) -> Self {
        buffer.push(b'{');
        Self { buffer, is_first: true }
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.quoted(text);
    }

    fn json(&mut self, key: &str, json: &str) {
        self.key(key);
        self.buffer.extend_from_slice(json.as_bytes());
    }

    /// Members as JSON text, without the braces around them.
    fn members(&mut self, members: &str) {
        self.is_first &= members.is_empty();
        self.buffer.extend_from_slice(members.as_bytes());
    }

    fn end(self) {
        self.buffer.extend_from_slice(b"}\n");
    }

    fn key(&mut self, key: &str) {
        if !self.is_first {
            self.buffer.push(b',');
        }
        self.is_first = false;
        self.quoted(key);
        self.buffer.push(b':');
    }

    fn quoted(&mut self, text: &str) {
        // Text into memory: neither can fail.
        let written = serde_json::to_writer(&mut *self.buffer, text);
        debug_assert!(written.is_ok());
    }
}

/// What stands between an object's braces, to the last digit as it was read.
fn inside_braces(source: &str) -> &str {
    let source = source.trim();
    source.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default().trim()
}
