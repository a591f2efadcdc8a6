//! Writes rows again with added columns: every input column in its order, then the new ones, in one of
//! [`super::formats`].
//!
//! Made for large files: output is appended row by row, a file that was cut off in the middle can be continued
//! ([`RowWriter::continue_at`]), and what cannot be written is refused before any work is done.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::compression::Compression;
use super::format::{FileFormat, FileLayout, RowEncoder, column_exists};
use super::formats::DEFAULT_OUTPUT;
use super::reader::NamedType;
use super::row::{OutputValue, Row};
use super::stream::is_standard_stream;
use crate::error::{Error, Result};
use crate::files;

/// Collected rows are handed on when they exceed this.
const BUFFER_BYTES: usize = 64 * 1024;

/// Writes rows with added columns. [`RowWriter::finish`] must be called at the end: rows may still be in memory.
pub struct RowWriter {
    target: Box<dyn Write + Send>,
    name: PathBuf,
    encoder: Box<dyn RowEncoder>,
    buffer: Vec<u8>,
    handed_on: u64,
    /// Of the bytes handed on since it was last taken.
    digest: Sha256,
    rows: u64,
}

impl RowWriter {
    /// Creates or replaces the file (`-`: standard output) for the rows of `input` with the columns `added`.
    ///
    /// # Errors
    /// When a column of that name exists already, the output is the input, or the output's format cannot be written.
    pub fn create(path: &Path, input: &FileLayout, added: &[String]) -> Result<Self> {
        let format = checked(path, input, added)?;
        if is_standard_stream(path) {
            return Self::to_stream(Box::new(io::stdout()), Path::new("standard output"), format, input, added);
        }
        let file = files::create(path)?;
        Self::to_stream(Box::new(file), path, format, input, added)
    }

    /// Continues a file after its first `bytes`, which hold `rows` rows; what follows is cut off.
    ///
    /// # Errors
    /// As for [`RowWriter::create`].
    pub fn continue_at(path: &Path, input: &FileLayout, added: &[String], rows: u64, bytes: u64) -> Result<Self> {
        let format = checked(path, input, added)?;
        let target = Box::new(files::continue_at(path, bytes)?);
        let mut writer = Self::unopened(target, path, format, input, added)?;
        writer.handed_on = bytes;
        writer.rows = rows;
        Ok(writer)
    }

    /// Writes to any stream, beginning with the header. `name` is for messages.
    pub fn to_stream(
        target: Box<dyn Write + Send>,
        name: &Path,
        format: FileFormat,
        input: &FileLayout,
        added: &[String],
    ) -> Result<Self> {
        check_added(input, added)?;
        let mut writer = Self::unopened(target, name, format, input, added)?;
        writer.encoder.push_header(&mut writer.buffer)?;
        if !writer.buffer.is_empty() {
            writer.flush()?;
        }
        Ok(writer)
    }

    fn unopened(
        target: Box<dyn Write + Send>,
        name: &Path,
        format: FileFormat,
        input: &FileLayout,
        added: &[String],
    ) -> Result<Self> {
        let encoder = format.encoder(input, added).ok_or_else(|| not_written(format).file(name))?;
        let name = name.to_owned();
        Ok(Self { target, name, encoder, buffer: Vec::new(), handed_on: 0, digest: Sha256::new(), rows: 0 })
    }

    /// Rows written, those of an earlier call included.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The output's length up to the end of the last row, those of an earlier call included. After
    /// [`RowWriter::flush`] the file is that long.
    pub fn bytes(&self) -> u64 {
        self.handed_on + self.buffer.len() as u64
    }

    /// The digest of the bytes handed on since the last call.
    pub fn take_digest(&mut self) -> Sha256 {
        std::mem::take(&mut self.digest)
    }

    /// Adds a row with the values of the added columns, in their order. An error names the row, and not its file.
    ///
    /// # Errors
    /// When the row does not fit the output (a JSON key that the columns do not have), or writing fails;
    /// [`crate::error::ErrorKind::ClosedPipe`] when the reader of our output is gone. A row that does not fit leaves no
    /// bytes in the output.
    pub fn write(&mut self, row: &Row, values: &[OutputValue]) -> Result<()> {
        let before = self.buffer.len();
        if let Err(error) = self.encoder.push_row(&mut self.buffer, row, values) {
            self.buffer.truncate(before);
            return Err(error.row(row.number).line(row.line));
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
        self.digest.update(&self.buffer);
        self.handed_on += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Checks everything that can be known before the work begins, and returns the output's format.
fn checked(path: &Path, input: &FileLayout, added: &[String]) -> Result<FileFormat> {
    check_added(input, added)?;
    let format = output_format(path, input)?;
    if !is_standard_stream(path) {
        files::check_distinct(&input.file, path)?;
    }
    Ok(format)
}

/// That no added column has the name of one of the input's.
///
/// # Errors
/// The first name that the input has already.
pub fn check_added(input: &FileLayout, added: &[String]) -> Result<()> {
    let mut names: HashSet<&str> = input.columns.iter().map(String::as_str).collect();
    match added.iter().find(|name| !names.insert(name)) {
        Some(name) => Err(column_exists(name).file(&input.file)),
        None => Ok(()),
    }
}

/// The format to write: by the output's extension; like the input for `-` and names that do not say it, or CSV where
/// the input's format is only read.
pub fn output_format(path: &Path, input: &FileLayout) -> Result<FileFormat> {
    let is_written = |format: FileFormat| format.encoder(input, &[]).is_some();
    let like_input = if is_written(input.format) { input.format } else { DEFAULT_OUTPUT };
    if is_standard_stream(path) {
        return Ok(like_input);
    }
    let named =
        NamedType::of(path).map_err(|_| not_written_hint(Error::request("this format is not written").file(path)))?;
    if named.compression != Compression::None {
        return Err(Error::request("compressed output is not written")
            .file(path)
            .hint("write to - and compress there: --output - | gzip > FILE"));
    }
    let extension = files::extension(path);
    match named.format {
        Some(format) if is_written(format) || format.written_whole().contains(&extension.as_str()) => Ok(format),
        Some(format) => Err(not_written(format).file(path)),
        None => Ok(like_input),
    }
}

fn not_written(format: FileFormat) -> Error {
    let message = match format.names_columns() {
        true => "this format is not written".to_owned(),
        false => format!("{format} have no columns for the labels"),
    };
    not_written_hint(Error::request(message))
}

fn not_written_hint(error: Error) -> Error {
    error.hint("write .csv, .tsv, .jsonl, .xlsx, .parquet or .arrow")
}

/// Whether what is written to `path` cannot be taken back: standard output, another open file by its number, a device,
/// a pipe. These are written to and never replaced.
pub fn is_stream(path: &Path) -> bool {
    let by_number = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"].iter().any(|place| path.starts_with(place));
    let special = || path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir());
    is_standard_stream(path) || by_number || special()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::formats::FORMATS;
    use super::super::options::ReadOptions;
    use super::super::reader::RowReader;
    use super::super::row::Record;
    use super::*;
    use crate::error::ErrorKind;
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
            writer.write(&row?, &[OutputValue::Text("po,s".into()), OutputValue::Number(0.98765432)])?;
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
            "{\"n\": 1.10, \"big\": 123456789012345678901234567890, \"x\": {\"y\": [1, null]}, \"z\": null,\
             \"predicted_label\":\"po,s\",\"confidence\":0.987654}\n\
             {\"predicted_label\":\"po,s\",\"confidence\":0.987654}\n"
        );
        let json = "{\"a\": {\"y\": [1, null]}, \"z\": null}\n{\"z\": true}\n";
        assert_eq!(
            copied("a.jsonl", json, "b.csv").unwrap(),
            "a,z,predicted_label,confidence\n\"{\"\"y\"\": [1, null]}\",,\"po,s\",0.987654\n,true,\"po,s\",0.987654\n"
        );
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let message = |name: &str, content: &str, output: &str| {
            let error = copied(name, content, output).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Request);
            assert!(error.hint_text().is_some());
            error.to_string()
        };
        assert!(
            message("a.csv", "text,confidence\nx,1\n", "b.csv")
                .contains("column `confidence`: the input already has a column of this name")
        );
        assert!(message("a.csv", "text\nx\n", "a.csv").contains("the output is the input file"));
        assert!(message("a.csv", "text\nx\n", "b.parquet").contains("not written"));
        assert!(message("a.csv", "text\nx\n", "b.csv.gz").contains("compressed"));
        assert!(message("a.csv", "text\nx\n", "b.txt").contains("no columns"));
        // Keys that come up where nobody looked ahead.
        let late = |key: &str| "{\"a\":1}\n".repeat(40) + &format!("{{\"{key}\":1}}\n");
        assert!(message("a.jsonl", &late("b"), "b.csv").contains("row 41 (line 41): the key `b` is not among"));
        let message = message("a.jsonl", &late("confidence"), "b.jsonl");
        assert!(message.contains("row 41 (line 41): column `confidence`"));
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

    fn format(name: &str) -> FileFormat {
        FORMATS.into_iter().find(|format| format.name() == name).unwrap()
    }

    fn layout(columns: &[String], format: FileFormat, delimiter: u8) -> FileLayout {
        FileLayout { delimiter, ..FileLayout::new(Path::new("in"), format, columns.to_vec()) }
    }

    #[test]
    fn a_closed_pipe_is_its_own_kind_of_error() {
        let input = layout(&["text".to_owned()], format("csv"), b',');
        let error =
            RowWriter::to_stream(Box::new(Closed), Path::new("standard output"), format("csv"), &input, &added());
        assert_eq!(error.err().unwrap().kind(), ErrorKind::ClosedPipe);
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
            let (extension, delimiter) = [("csv", b','), ("csv", b';'), ("tsv", b'\t'), ("jsonl", b',')][round % 4];
            let width = 1 + random.below(3);
            let columns: Vec<String> =
                (0..width).map(|column| format!("{column}{}", random_text(&mut random).replace('\r', ""))).collect();
            let like = if extension == "jsonl" { "csv" } else { extension };
            let input = layout(&columns, format(like), delimiter);
            let rows: Vec<Row> = (1..=1 + random.below(8))
                .map(|number| {
                    let fields = (0..width).map(|_| random_text(&mut random)).collect();
                    Row::new(number, 0, Record::fields(fields))
                })
                .collect();
            let extra: Vec<String> = (0..random.below(2)).map(|_| "extra".to_owned()).collect();
            let values: Vec<OutputValue> = extra.iter().map(|_| OutputValue::Text("w".into())).collect();

            let shared = Shared::default();
            let mut writer =
                RowWriter::to_stream(Box::new(shared.clone()), Path::new("out"), format(extension), &input, &extra)
                    .unwrap();
            let mut ends = Vec::new();
            for row in &rows {
                writer.write(row, &values).unwrap();
                ends.push(writer.bytes());
            }
            writer.finish().unwrap();
            let bytes = shared.0.lock().unwrap().clone();

            let path = folder.path().join(format!("{round}.{extension}"));
            std::fs::write(&path, &bytes).unwrap();
            // In a table with tabs a quote might be text.
            let quote = crate::config::Quote::Byte(b'"');
            let options = ReadOptions { delimiter: Some(delimiter), quote, ..ReadOptions::default() };
            let reader = RowReader::open(&path, &options).unwrap();
            let all: Vec<String> = columns.iter().chain(&extra).cloned().collect();
            assert_eq!(reader.columns(), all);
            for (read, row) in reader.zip(&rows) {
                let read = read.unwrap();
                let Record::Fields { fields, .. } = &row.record else { unreachable!() };
                for (index, field) in fields.iter().enumerate() {
                    assert_eq!(
                        read.text(&columns[index], index).unwrap(),
                        *field,
                        "{}",
                        String::from_utf8_lossy(&bytes)
                    );
                }
            }

            // Cut anywhere after a row: the file can be completed to the same bytes.
            let done = random.below(ends.len() as u64) as usize;
            let cut = ends[done] + random.below(bytes.len() as u64 - ends[done] + 1);
            std::fs::write(&path, &bytes[..cut as usize]).unwrap();
            let done = done + 1;
            let mut writer = RowWriter::continue_at(&path, &input, &extra, done as u64, ends[done - 1]).unwrap();
            assert_eq!(writer.rows(), done as u64);
            for row in &rows[done..] {
                writer.write(row, &values).unwrap();
            }
            assert_eq!(writer.bytes(), bytes.len() as u64);
            writer.finish().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    }
}
