//! Writes rows again with added columns, as CSV, TSV or JSONL: every input column in its order, then the new ones.
//!
//! Made for large files: output is appended row by row, a file that was cut off in the middle can be continued behind
//! its last complete row ([`RowWriter::resume`]), and what cannot be written is refused before any work is done.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Compression;
use super::format::{FileFormat, is_standard_stream, named_type};
use super::rows::{Layout, Record, Row, json_text};
use crate::data::formats::csv::{Lines, MAX_RECORD_BYTES, Records, content_length, push_record};
use crate::error::{Error, Result};

/// The value of an added column.
#[derive(Debug, Clone, PartialEq)]
pub enum Added {
    Word(String),
    /// Written with at most six decimals. Not finite: as [`Added::Empty`].
    Number(f64),
    /// An empty field; `null` in JSON.
    Empty,
}

/// Collected rows are handed on when they exceed this.
const BUFFER_BYTES: usize = 64 * 1024;

/// Writes rows with added columns. [`RowWriter::finish`] must be called at the end: rows may still be in memory.
pub struct RowWriter {
    target: Box<dyn Write + Send>,
    name: PathBuf,
    format: FileFormat,
    delimiter: u8,
    input: Layout,
    added: Vec<String>,
    buffer: Vec<u8>,
    handed_on: u64,
    rows: u64,
}

impl RowWriter {
    /// Creates or replaces the file (`-`: standard output) for the rows of `input` with the columns `added`.
    ///
    /// # Errors
    /// When a column of that name exists already, the output is the input, or the output's format cannot be written.
    pub fn create(path: &Path, input: &Layout, added: &[String]) -> Result<Self> {
        let format = checked(path, input, added)?;
        if is_standard_stream(path) {
            return Self::to_stream(Box::new(io::stdout()), Path::new("standard output"), format, input, added);
        }
        let file = File::create(path).map_err(|error| {
            let is_absent = error.kind() == io::ErrorKind::NotFound;
            let error = Error::io(error, path);
            if is_absent { error.context("creating the output").hint("make its folder first: mkdir -p") } else { error }
        })?;
        Self::to_stream(Box::new(file), path, format, input, added)
    }

    /// Continues a file behind its last complete row; what stands behind that, a torn row, is cut off. A file that does
    /// not exist is created. [`RowWriter::rows`] tells how many input rows are done.
    ///
    /// # Errors
    /// As for [`RowWriter::create`], and when the file is not one that the same call would have begun, or is a stream.
    pub fn resume(path: &Path, input: &Layout, added: &[String]) -> Result<Self> {
        let format = checked(path, input, added)?;
        if is_standard_stream(path) {
            return Err(Error::request("standard output cannot be resumed").hint("write to a file"));
        }
        if !path.exists() {
            return Self::create(path, input, added);
        }
        let mut writer = Self::unopened(Box::new(io::sink()), path, format, input, added);
        let complete = complete_rows(path, format, writer.delimiter)?;
        if complete.bytes == 0 {
            return Self::create(path, input, added);
        }
        writer.check_beginning(path)?;
        let mut file = OpenOptions::new().write(true).open(path).map_err(|error| Error::io(error, path))?;
        file.set_len(complete.bytes).map_err(|error| Error::io(error, path))?;
        file.seek(SeekFrom::End(0)).map_err(|error| Error::io(error, path))?;
        writer.target = Box::new(file);
        writer.handed_on = complete.bytes;
        writer.rows = complete.rows;
        Ok(writer)
    }

    /// Writes to any stream, beginning with the header. `name` is for messages.
    pub fn to_stream(
        target: Box<dyn Write + Send>,
        name: &Path,
        format: FileFormat,
        input: &Layout,
        added: &[String],
    ) -> Result<Self> {
        check_added(input, added)?;
        let mut writer = Self::unopened(target, name, format, input, added);
        if format != FileFormat::Jsonl {
            writer.push_record(input.columns.iter().chain(added))?;
            writer.flush()?;
        }
        Ok(writer)
    }

    fn unopened(
        target: Box<dyn Write + Send>,
        name: &Path,
        format: FileFormat,
        input: &Layout,
        added: &[String],
    ) -> Self {
        let delimiter = match (format, input.format) {
            (FileFormat::Tsv, _) => b'\t',
            // A file with semicolons stays one.
            (FileFormat::Csv, FileFormat::Csv) => input.delimiter,
            _ => b',',
        };
        let (input, added) = (input.clone(), added.to_vec());
        Self {
            target,
            name: name.to_owned(),
            format,
            delimiter,
            input,
            added,
            buffer: Vec::new(),
            handed_on: 0,
            rows: 0,
        }
    }

    /// Rows written, those found by [`RowWriter::resume`] included.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The output's length up to the end of the last row, those found by [`RowWriter::resume`] included. After
    /// [`RowWriter::flush`] the file is that long.
    pub fn bytes(&self) -> u64 {
        self.handed_on + self.buffer.len() as u64
    }

    /// Adds a row with the values of the added columns, in their order.
    ///
    /// # Errors
    /// When the row does not fit the output (a JSON key that the columns do not have), or writing fails;
    /// [`crate::error::Kind::ClosedPipe`] when the reader of our output is gone. A row that does not fit leaves nothing
    /// behind.
    pub fn write(&mut self, row: &Row, values: &[Added]) -> Result<()> {
        let before = self.buffer.len();
        let pushed = match self.format {
            FileFormat::Jsonl => self.push_object(row, values),
            _ => self.push_fields(row, values),
        };
        if let Err(error) = pushed {
            self.buffer.truncate(before);
            return Err(error.file(&self.input.file).row(row.number).line(row.line));
        }
        self.rows += 1;
        if self.buffer.len() >= BUFFER_BYTES {
            self.hand_on()?;
        }
        Ok(())
    }

    /// Hands every collected row on to the file or stream.
    pub fn flush(&mut self) -> Result<()> {
        self.hand_on()?;
        self.target.flush().map_err(|error| Error::io(error, &self.name))
    }

    /// Ends the output.
    pub fn finish(mut self) -> Result<()> {
        self.flush()
    }

    fn hand_on(&mut self) -> Result<()> {
        self.target.write_all(&self.buffer).map_err(|error| Error::io(error, &self.name))?;
        self.handed_on += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn push_fields(&mut self, row: &Row, values: &[Added]) -> Result<()> {
        let mut fields: Vec<Cow<'_, str>> = match &row.record {
            Record::Fields(fields) => fields.iter().map(Cow::from).collect(),
            Record::Line(line) => vec![line.into()],
            Record::Object { members, .. } => self.object_fields(members)?,
        };
        fields.extend(values.iter().map(|value| match value {
            Added::Word(word) => word.into(),
            Added::Number(number) if number.is_finite() => decimal(*number).into(),
            Added::Number(_) | Added::Empty => "".into(),
        }));
        self.push_record(fields.iter().map(Cow::as_ref))
    }

    /// A JSON object's values in the order of the columns.
    fn object_fields<'o>(&self, members: &'o serde_json::Map<String, Value>) -> Result<Vec<Cow<'o, str>>> {
        let columns = &self.input.columns;
        let known = columns.iter().filter(|column| members.contains_key(*column)).count();
        if known < members.len() {
            let key = members.keys().find(|key| !columns.contains(key));
            let key = key.map_or("", String::as_str);
            return Err(Error::request(format!("the key `{key}` is not among the first row's keys"))
                .hint("a table cannot take a new column on the way: write to a .jsonl file"));
        }
        let field = |column: &String| {
            let field = members.get(column).map_or("".into(), json_text);
            if field.contains('\0') {
                return Err(Error::request("a NUL character, which a table cannot hold")
                    .column(column)
                    .hint("write to a .jsonl file"));
            }
            Ok(field)
        };
        columns.iter().map(field).collect()
    }

    fn push_record(&mut self, fields: impl IntoIterator<Item: AsRef<[u8]>>) -> Result<()> {
        push_record(&mut self.buffer, self.delimiter, fields)
            .map_err(|error| Error::failure(error.to_string()).file(&self.name))
    }

    fn push_object(&mut self, row: &Row, values: &[Added]) -> Result<()> {
        let mut object = ObjectText::begin(&mut self.buffer);
        match &row.record {
            Record::Fields(fields) => {
                for (column, field) in self.input.columns.iter().zip(fields) {
                    object.text(column, field);
                }
            }
            Record::Line(line) => self.input.columns.iter().for_each(|column| object.text(column, line)),
            Record::Object { members, source } => {
                if let Some(key) = self.added.iter().find(|key| members.contains_key(*key)) {
                    return Err(exists_already(key));
                }
                object.members(source_inside(source));
            }
        }
        for (key, value) in self.added.iter().zip(values) {
            match value {
                Added::Word(word) => object.text(key, word),
                Added::Number(number) if number.is_finite() => object.json(key, &decimal(*number)),
                Added::Number(_) | Added::Empty => object.json(key, "null"),
            }
        }
        object.end();
        Ok(())
    }

    /// Checks that an existing file begins as this writer would have begun it.
    fn check_beginning(&self, path: &Path) -> Result<()> {
        let file = File::open(path).map_err(|error| Error::io(error, path))?;
        let mut lines = Lines::new(Box::new(BufReader::new(file)), path, 0, MAX_RECORD_BYTES);
        let fits = if self.format == FileFormat::Jsonl {
            let mut line = Vec::new();
            lines.append_to(&mut line)?;
            let first: Option<serde_json::Map<String, Value>> = serde_json::from_slice(&line).ok();
            first.is_some_and(|first| self.added.iter().all(|key| first.contains_key(key)))
        } else {
            let mut records = Records::new(lines, self.delimiter);
            records.advance()?;
            let header: Vec<String> = records.fields().map_err(|(_, error)| error)?.collect();
            header.iter().eq(self.input.columns.iter().chain(&self.added))
        };
        if fits {
            return Ok(());
        }
        Err(Error::request("the file was not begun by the same command: its columns are others")
            .file(path)
            .hint("name another output, or leave out --resume to replace this one"))
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
fn source_inside(source: &str) -> &str {
    let source = source.trim();
    source.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default().trim()
}

/// Checks everything that can be known before the work begins, and returns the output's format.
fn checked(path: &Path, input: &Layout, added: &[String]) -> Result<FileFormat> {
    check_added(input, added)?;
    let format = output_format(path, input.format)?;
    if !is_standard_stream(path)
        && let (Ok(output), Ok(input)) = (path.canonicalize(), input.file.canonicalize())
        && output == input
    {
        return Err(Error::request("the output is the input file, which would be lost")
            .file(path)
            .hint("name another file with --output"));
    }
    Ok(format)
}

fn check_added(input: &Layout, added: &[String]) -> Result<()> {
    let mut names: HashSet<&str> = input.columns.iter().map(String::as_str).collect();
    match added.iter().find(|name| !names.insert(name)) {
        Some(name) => Err(exists_already(name).file(&input.file)),
        None => Ok(()),
    }
}

fn exists_already(name: &str) -> Error {
    Error::request("the input has a column of this name already, and it is to be added")
        .column(name)
        .hint("was this file labelled before? Rename or remove the column")
}

/// The format to write: by the output's extension; like the input for `-` and names that do not say it (plain lines
/// become CSV).
pub fn output_format(path: &Path, input: FileFormat) -> Result<FileFormat> {
    let like_input = if input == FileFormat::Text { FileFormat::Csv } else { input };
    if is_standard_stream(path) {
        return Ok(like_input);
    }
    let named = named_type(path)
        .map_err(|_| Error::request("this format is not written").file(path).hint("write .csv, .tsv or .jsonl"))?;
    if named.compression != Compression::None {
        return Err(Error::request("compressed output is not written")
            .file(path)
            .hint("write to - and compress there: --output - | gzip > FILE"));
    }
    match named.format {
        Some(FileFormat::Text) => Err(Error::request("a .txt file has no columns for the labels")
            .file(path)
            .hint("write .csv, .tsv or .jsonl")),
        Some(format) => Ok(format),
        None => Ok(like_input),
    }
}

/// Whether what is written to `path` is gone at once: standard output, another open file by its number, a device, a pipe. Such
/// a thing is written to and never replaced.
pub fn is_stream(path: &Path) -> bool {
    let by_number = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"].iter().any(|place| path.starts_with(place));
    let special = || path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir());
    is_standard_stream(path) || by_number || special()
}

/// What of a partly written file is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Complete {
    /// Rows that end in a line end, the header not counted.
    pub rows: u64,
    /// The offset behind the last of them, or behind the header; 0 when not even that is whole.
    pub bytes: u64,
}

/// Counts the complete rows of a file that a [`RowWriter`] began; a torn last row is no error.
///
/// # Errors
/// When the file cannot be read, or is damaged before its end.
pub fn complete_rows(path: &Path, format: FileFormat, delimiter: u8) -> Result<Complete> {
    let file = File::open(path).map_err(|error| Error::io(error, path))?;
    let reader = Box::new(BufReader::with_capacity(4 * BUFFER_BYTES, file));
    let mut lines = Lines::new(reader, path, 0, MAX_RECORD_BYTES);
    let mut complete = Complete::default();
    if format == FileFormat::Jsonl {
        let mut line = Vec::new();
        while lines.append_to(&mut line)? {
            if line.ends_with(b"\n") {
                complete.rows += u64::from(content_length(&line) > 0);
                complete.bytes = lines.offset;
            }
            line.clear();
        }
        return Ok(complete);
    }
    let mut records = Records::new(lines, delimiter);
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
    complete.rows = whole.saturating_sub(1);
    Ok(complete)
}

/// A number with at most six decimals and at least one: `0.5`, `0.333333`, `1.0`.
fn decimal(number: f64) -> String {
    let mut text = format!("{number:.6}");
    let zeros = text.len() - text.trim_end_matches('0').len();
    text.truncate(text.len() - zeros.min(5));
    if text == "-0.0" { "0.0".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::rows::{ReadOptions, RowReader};
    use super::*;
    use crate::error::Kind;
    use crate::random::Random;

    fn added() -> Vec<String> {
        vec!["predicted_label".to_owned(), "confidence".to_owned()]
    }

    /// Copies a file with two added columns and returns what was written.
    fn copied(name: &str, content: &str, output: &str) -> Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join(name), folder.path().join(output));
        std::fs::write(&input, content).unwrap();
        let reader = RowReader::open(&input, &ReadOptions::default())?;
        let mut writer = RowWriter::create(&output, reader.layout(), &added())?;
        for row in reader {
            writer.write(&row?, &[Added::Word("po,s".into()), Added::Number(0.98765432)])?;
        }
        let bytes = writer.bytes();
        writer.finish()?;
        let written = std::fs::read_to_string(&output).unwrap();
        assert_eq!(written.len() as u64, bytes);
        Ok(written)
    }

    #[test]
    fn every_column_is_kept_in_every_format() {
        let csv = "id,text\n1,\"a\"\"b\"\n";
        assert_eq!(
            copied("a.csv", csv, "b.csv").unwrap(),
            "id,text,predicted_label,confidence\n1,\"a\"\"b\",\"po,s\",0.987654\n"
        );
        assert_eq!(
            copied("a.csv", csv, "b.tsv").unwrap(),
            "id\ttext\tpredicted_label\tconfidence\n1\t\"a\"\"b\"\tpo,s\t0.987654\n"
        );
        assert_eq!(copied("a.csv", csv, "b").unwrap(), copied("a.csv", csv, "b.csv").unwrap());
        assert_eq!(
            copied("a.csv", csv, "b.jsonl").unwrap(),
            "{\"id\":\"1\",\"text\":\"a\\\"b\",\"predicted_label\":\"po,s\",\"confidence\":0.987654}\n"
        );
        assert!(copied("a.csv", "id;text\n1;a,b\n", "b.csv").unwrap().ends_with("\n1;a,b;po,s;0.987654\n"));
        assert_eq!(
            copied("a.txt", "x\n\n", "b").unwrap(),
            "text,predicted_label,confidence\nx,\"po,s\",0.987654\n,\"po,s\",0.987654\n"
        );
    }

    #[test]
    fn json_numbers_keep_every_digit() {
        let json =
            "{ \"n\": 1.10, \"big\": 123456789012345678901234567890, \"x\": {\"y\": [1, null]}, \"z\": null }\n{}\n";
        assert_eq!(
            copied("a.jsonl", json, "b.jsonl").unwrap(),
            "{\"n\": 1.10, \"big\": 123456789012345678901234567890, \"x\": {\"y\": [1, null]}, \"z\": null,\"predicted_label\":\"po,s\",\"confidence\":0.987654}\n\
             {\"predicted_label\":\"po,s\",\"confidence\":0.987654}\n"
        );
        let json = "{\"a\": {\"y\": [1, null]}, \"z\": null}\n{\"z\": true}\n";
        assert_eq!(
            copied("a.jsonl", json, "b.csv").unwrap(),
            "a,z,predicted_label,confidence\n\"{\"\"y\"\":[1,null]}\",,\"po,s\",0.987654\n,true,\"po,s\",0.987654\n"
        );
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let message = |name: &str, content: &str, output: &str| {
            let error = copied(name, content, output).unwrap_err();
            assert_eq!(error.kind(), Kind::Request);
            assert!(error.hint_text().is_some());
            error.to_string()
        };
        assert!(
            message("a.csv", "text,confidence\nx,1\n", "b.csv")
                .contains("column `confidence`: the input has a column of this name")
        );
        assert!(message("a.csv", "text\nx\n", "a.csv").contains("the output is the input file"));
        assert!(message("a.csv", "text\nx\n", "b.parquet").contains("not written"));
        assert!(message("a.csv", "text\nx\n", "b.csv.gz").contains("compressed"));
        assert!(message("a.csv", "text\nx\n", "b.txt").contains("no columns"));
        assert!(
            message("a.jsonl", "{\"a\":1}\n{\"b\":1}\n", "b.csv").contains("row 2 (line 2): the key `b` is not among")
        );
        assert!(
            message("a.jsonl", "{\"a\":1}\n{\"confidence\":1}\n", "b.jsonl")
                .contains("row 2 (line 2): column `confidence`")
        );
    }

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

    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn layout(columns: &[String], format: FileFormat, delimiter: u8) -> Layout {
        Layout { file: "in".into(), format, delimiter, columns: columns.to_vec() }
    }

    #[test]
    fn a_closed_pipe_is_told() {
        let input = layout(&["text".to_owned()], FileFormat::Csv, b',');
        let error =
            RowWriter::to_stream(Box::new(Closed), Path::new("standard output"), FileFormat::Csv, &input, &added());
        assert_eq!(error.err().unwrap().kind(), Kind::ClosedPipe);
    }

    fn random_text(random: &mut Random) -> String {
        let parts = ["a", "é", "😎", ",", ";", "\t", "\"", "\n", "\r", "\r\n", " ", "\\", "{", "'", "|"];
        (0..random.below(6)).map(|_| parts[random.below(parts.len() as u64) as usize]).collect()
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn random_tables_are_read_back_and_resumed_anywhere() {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random::new(11);
        for round in 0..400 {
            let (format, delimiter) =
                [(FileFormat::Csv, b','), (FileFormat::Csv, b';'), (FileFormat::Tsv, b'\t'), (FileFormat::Jsonl, b',')]
                    [round % 4];
            let width = 1 + random.below(3);
            let columns: Vec<String> =
                (0..width).map(|column| format!("{column}{}", random_text(&mut random).replace('\r', ""))).collect();
            let input = layout(&columns, if format == FileFormat::Jsonl { FileFormat::Csv } else { format }, delimiter);
            let rows: Vec<Row> = (1..=1 + random.below(8))
                .map(|number| {
                    let fields = (0..width).map(|_| random_text(&mut random)).collect();
                    Row { number, line: 0, record: Record::Fields(fields) }
                })
                .collect();
            let extra: Vec<String> = (0..random.below(2)).map(|_| "extra".to_owned()).collect();
            let values: Vec<Added> = extra.iter().map(|_| Added::Word("w".into())).collect();

            let shared = Shared::default();
            let mut writer =
                RowWriter::to_stream(Box::new(shared.clone()), Path::new("out"), format, &input, &extra).unwrap();
            let mut ends = Vec::new();
            for row in &rows {
                writer.write(row, &values).unwrap();
                ends.push(writer.bytes());
            }
            writer.finish().unwrap();
            let bytes = shared.0.lock().unwrap().clone();

            let path = folder.path().join(format!("{round}.out"));
            std::fs::write(&path, &bytes).unwrap();
            let options = ReadOptions { format: Some(format), delimiter: Some(delimiter), ..ReadOptions::default() };
            let reader = RowReader::open(&path, &options).unwrap();
            let all: Vec<String> = columns.iter().chain(&extra).cloned().collect();
            assert_eq!(reader.columns(), all);
            for (read, row) in reader.zip(&rows) {
                let read = read.unwrap();
                let Record::Fields(fields) = &row.record else { unreachable!() };
                for (index, field) in fields.iter().enumerate() {
                    assert_eq!(
                        read.text(&columns[index], index).unwrap(),
                        *field,
                        "{}",
                        String::from_utf8_lossy(&bytes)
                    );
                }
            }

            // Cut anywhere: the whole rows are found, and the file can be completed to the same bytes.
            let cut = random.below(bytes.len() as u64 + 1);
            let done = ends.iter().filter(|end| **end <= cut).count();
            std::fs::write(&path, &bytes[..cut as usize]).unwrap();
            let found = complete_rows(&path, format, delimiter).unwrap();
            assert_eq!(found.rows, done as u64, "cut at {cut} of {:?}", String::from_utf8_lossy(&bytes));
            if done > 0 {
                assert_eq!(found.bytes, ends[done - 1]);
            }
            if extra.is_empty() && format == FileFormat::Jsonl {
                continue;
            }
            let path_with_type = path.with_extension(match format {
                FileFormat::Tsv => "tsv",
                FileFormat::Jsonl => "jsonl",
                _ => "csv",
            });
            std::fs::rename(&path, &path_with_type).unwrap();
            let mut writer = RowWriter::resume(&path_with_type, &input, &extra).unwrap();
            assert_eq!(writer.rows(), done as u64);
            for row in &rows[done..] {
                writer.write(row, &values).unwrap();
            }
            assert_eq!(writer.bytes(), bytes.len() as u64);
            writer.finish().unwrap();
            assert_eq!(std::fs::read(&path_with_type).unwrap(), bytes);
        }
    }

    #[test]
    fn resuming_another_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        let content = "something,else\n1,2\n";
        std::fs::write(&path, content).unwrap();
        let input = layout(&["text".to_owned()], FileFormat::Csv, b',');
        let error = RowWriter::resume(&path, &input, &added()).err().unwrap();
        assert!(error.to_string().contains("not begun by the same command"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
}
