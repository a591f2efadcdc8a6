//! JSON Lines: one object per line; or one array of objects, on any number of lines. Blank lines are skipped; the
//! columns are the keys of the first objects. On output, which is lines, an object keeps the text it was read from, so
//! that numbers keep every digit, and the added columns follow as further members.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::data::bounded_lines::{BoundedLines, MOST_COLUMNS};
use crate::data::format::{
    FileLayout, Format, OpenedRows, RowEncoder, RowSource, TextStyle, column_exists, empty_file,
};
use crate::data::json_array::ArrayElements;
use crate::data::options::ReadOptions;
use crate::data::reading_log::{Oddity, ReadingLog};
use crate::data::row::{OutputValue, Record, Row, decimal};
use crate::data::stream::ByteStream;
use crate::error::{Error, Result};

pub struct Jsonl;

impl Format for Jsonl {
    fn name(&self) -> &'static str {
        "jsonl"
    }

    /// A `.json` file may hold an object per line, or an array of objects.
    fn extensions(&self) -> &'static [&'static str] {
        &["jsonl", "ndjson", "json"]
    }

    fn sniff(&self, first_line: &[u8], _options: &ReadOptions) -> Option<String> {
        let line = first_line.trim_ascii();
        if line.starts_with(b"{") {
            return Some("the first line begins with `{`".to_owned());
        }
        (line == b"[" || line.starts_with(b"[{")).then(|| "the first line begins a JSON array".to_owned())
    }

    fn open_stream(&self, stream: ByteStream, options: &ReadOptions) -> Result<OpenedRows> {
        let log = stream.log.clone();
        let style = TextStyle { crlf: stream.first_line.ends_with(b"\r"), ..TextStyle::default() };
        let is_array = stream.head.trim_ascii_start().starts_with(b"[");
        let objects = match is_array {
            true => Objects::Array(ArrayElements::of_stream(stream, options.max_row_bytes)),
            false => {
                Objects::Lines { lines: BoundedLines::of_stream(stream, options.max_row_bytes), buffer: Vec::new() }
            }
        };
        let mut rows = JsonlRows { objects, first: VecDeque::new(), goes_on: false, log };
        let columns = rows.read_ahead()?;
        let layout = FileLayout { style, ..FileLayout::new(rows.objects.name(), &Jsonl, columns) };
        Ok(OpenedRows { layout, rows: Box::new(rows), choices: Vec::new() })
    }

    fn has_lists(&self) -> bool {
        true
    }

    fn encoder(&self, input: &FileLayout, added: &[String]) -> Option<Box<dyn RowEncoder>> {
        let crlf = input.format.name() == self.name() && input.style.crlf;
        let (columns, file) = (input.columns.clone(), input.file.clone());
        Some(Box::new(JsonlEncoder { columns, file, added: added.to_vec(), crlf }))
    }
}

/// How many objects, and how many bytes of them, are read ahead to find the keys that there are.
const AHEAD: usize = 32;
const AHEAD_BYTES: u64 = 1024 * 1024;

/// Where the objects stand.
enum Objects {
    Lines { lines: BoundedLines, buffer: Vec<u8> },
    Array(ArrayElements),
}

impl Objects {
    fn name(&self) -> &Path {
        match self {
            Self::Lines { lines, .. } => lines.name(),
            Self::Array(elements) => elements.name(),
        }
    }

    fn is_lost(&self) -> bool {
        match self {
            Self::Lines { lines, .. } => lines.is_lost,
            Self::Array(elements) => elements.is_lost(),
        }
    }

    /// Bytes taken so far.
    fn offset(&self) -> u64 {
        match self {
            Self::Lines { lines, .. } => lines.offset,
            Self::Array(elements) => elements.offset,
        }
    }

    /// The text of the next object, and the line on which it begins.
    fn next_text(&mut self, number: u64) -> Result<Option<(String, u64)>> {
        match self {
            Self::Array(elements) => elements.next_text(number),
            Self::Lines { lines, buffer } => {
                while let Some(source) = lines.next_text(buffer, number)? {
                    let source = source.trim();
                    if !source.is_empty() {
                        return Ok(Some((source.to_owned(), lines.taken)));
                    }
                }
                Ok(None)
            }
        }
    }
}

struct JsonlRows {
    objects: Objects,
    /// The first objects, which were read for their keys: each with whether the next can be read if it is bad.
    first: VecDeque<(Result<Row>, bool)>,
    goes_on: bool,
    log: ReadingLog,
}

impl RowSource for JsonlRows {
    fn next_row(&mut self, number: u64) -> Result<Option<Row>> {
        match self.first.pop_front() {
            Some((row, goes_on)) => {
                self.goes_on = goes_on;
                row.map(Some)
            }
            None => {
                let row = self.read_object(number);
                self.goes_on = !self.objects.is_lost();
                row
            }
        }
    }

    fn goes_on(&self) -> bool {
        self.goes_on
    }
}

impl JsonlRows {
    /// Reads the first objects and returns their keys, in the order in which they come up.
    fn read_ahead(&mut self) -> Result<Vec<String>> {
        let (mut columns, mut known) = (Vec::new(), HashSet::new());
        while self.first.len() < AHEAD && self.objects.offset() < AHEAD_BYTES {
            let number = self.first.len() as u64 + 1;
            let Some(row) = self.read_object(number).transpose() else { break };
            if let Ok(Row { record: Record::Object { members, .. }, .. }) = &row {
                columns.extend(members.keys().filter(|key| known.insert((*key).clone())).cloned());
            }
            let goes_on = !self.objects.is_lost();
            let stops = row.is_err() && !goes_on;
            self.first.push_back((row, goes_on));
            if stops {
                break;
            }
        }
        match self.first.pop_front() {
            None => Err(empty_file(self.objects.name())),
            // Without any object there are no columns: the first fault is what is wrong.
            Some((Err(error), _)) if columns.is_empty() => Err(error),
            Some(first) => {
                self.first.push_front(first);
                Ok(columns)
            }
        }
    }

    fn read_object(&mut self, number: u64) -> Result<Option<Row>> {
        let Some((mut source, line)) = self.objects.next_text(number)? else { return Ok(None) };
        let is_element = matches!(self.objects, Objects::Array(_));
        if source.len() > 2 * MOST_VALUES && holds_too_many(&source) {
            return Err(Error::request(format!("the object holds more than {MOST_VALUES} values"))
                .file(self.objects.name())
                .row(number)
                .line(line)
                .hint("leave out the members that are not needed"));
        }
        let mut parsed = serde_json::from_str(&source);
        if parsed.is_err()
            && let Some(repaired) = without_lone_surrogates(&source)
        {
            parsed = serde_json::from_str(&repaired);
            if parsed.is_ok() {
                self.log.notice(Oddity::LoneSurrogate, number);
                source = repaired;
            }
        }
        let UniqueMembers(members) = parsed.map_err(|error| {
            not_an_object(&source, &error, number, is_element).file(self.objects.name()).row(number).line(line)
        })?;
        Ok(Some(Row::new(number, line, Record::Object { members, source })))
    }
}

/// Values of one object, those within others too: in memory each takes many times what it takes as text.
const MOST_VALUES: usize = 1_000_000;

/// Whether a JSON text has more commas and brackets outside of strings than [`MOST_VALUES`].
fn holds_too_many(source: &str) -> bool {
    let (mut in_string, mut is_escaped, mut values) = (false, false, 0);
    for byte in source.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => values += 1,
            _ => {}
        }
    }
    values > MOST_VALUES
}

/// An object's members, no two of which have the same key.
struct UniqueMembers(Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = UniqueMembers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<UniqueMembers, A::Error> {
                let mut members = Map::new();
                while let Some(key) = access.next_key::<String>()? {
                    let value = access.next_value()?;
                    if members.contains_key(&key) {
                        return Err(A::Error::custom(format!("the key `{key}` appears twice")));
                    }
                    members.insert(key, value);
                    if members.len() > MOST_COLUMNS {
                        return Err(A::Error::custom(format!("more than {MOST_COLUMNS} keys")));
                    }
                }
                Ok(UniqueMembers(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// JSON text with the replacement character in place of each `\\uXXXX` that is half of a pair of UTF-16 units; `None`
/// when there is no such half.
fn without_lone_surrogates(source: &str) -> Option<String> {
    let unit = |at: usize| {
        let digits = source.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut repaired = String::with_capacity(source.len());
    let (mut copied, mut at, mut is_changed) = (0, 0, false);
    while let Some(found) = memchr::memchr(b'\\', source.as_bytes().get(at..)?) {
        at += found;
        at += match (unit(at), unit(at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                repaired.push_str(source.get(copied..at)?);
                repaired.push_str("\\ufffd");
                is_changed = true;
                copied = at + 6;
                6
            }
            (Some(_), _) => 6,
            // An escaped character, which may itself be a backslash.
            (None, _) => 2,
        };
    }
    repaired.push_str(source.get(copied..)?);
    is_changed.then_some(repaired)
}

fn not_an_object(source: &str, error: &serde_json::Error, number: u64, is_element: bool) -> Error {
    let whole = error.to_string();
    // serde_json counts lines within the one line it is given.
    let message = whole.split(" at line ").next().unwrap_or(&whole);
    let column = error.column();
    let place = if is_element { "element" } else { "line" };
    let error = Error::request(format!("not a JSON object: {message} (character {column} of the {place})"));
    if !is_element && source.ends_with(['{', ',']) && number == 1 {
        return error.hint("the object goes on over several lines; write it on one: jq -c . OLD.json > NEW.jsonl");
    }
    let at = source.get(column.saturating_sub(1)..).unwrap_or_default();
    if ["NaN", "Infinity", "-Infinity"].iter().any(|number| at.starts_with(number) || source.contains(number)) {
        return error.hint("JSON has no NaN and no Infinity: write null");
    }
    if is_element {
        return error.hint("each element of the array must be an object, such as {\"text\": \"…\", \"label\": \"…\"}");
    }
    error.hint("each line must be one whole JSON object, such as {\"text\": \"…\", \"label\": \"…\"}")
}

struct JsonlEncoder {
    /// The input's columns.
    columns: Vec<String>,
    /// The input, whose columns may not fit.
    file: PathBuf,
    added: Vec<String>,
    /// Lines end in a carriage return and a line feed.
    crlf: bool,
}

impl RowEncoder for JsonlEncoder {
    fn push_header(&self, _buffer: &mut Vec<u8>) -> Result<()> {
        let mut seen = HashSet::new();
        match self.columns.iter().find(|column| !seen.insert(*column)) {
            None => Ok(()),
            Some(column) => {
                Err(Error::request(format!("two columns are named `{column}`, which an object of JSON cannot have"))
                    .file(&self.file)
                    .hint("write to a .csv or .tsv file, or rename one of the columns"))
            }
        }
    }

    fn push_row(&self, buffer: &mut Vec<u8>, row: &Row, values: &[OutputValue]) -> Result<()> {
        let mut object = ObjectText::begin(buffer);
        match &row.record {
            Record::Fields { fields, .. } => {
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
                OutputValue::Whole(number) => object.json(key, &number.to_string()),
                OutputValue::Exact(number) if number.is_finite() => object.json(key, &number.to_string()),
                OutputValue::Numbers(numbers) => object.json(key, &json_list(numbers)),
                OutputValue::Number(_) | OutputValue::Exact(_) | OutputValue::Empty => object.json(key, "null"),
            }
        }
        object.end(self.crlf);
        Ok(())
    }
}

/// A list as JSON writes it; of numbers that JSON does not have, `null`.
fn json_list(numbers: &[f32]) -> String {
    let text = |number: &f32| if number.is_finite() { number.to_string() } else { "null".to_owned() };
    format!("[{}]", numbers.iter().map(text).collect::<Vec<_>>().join(", "))
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

    fn end(self, crlf: bool) {
        self.buffer.extend_from_slice(if crlf { b"}\r\n" } else { b"}\n" });
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
