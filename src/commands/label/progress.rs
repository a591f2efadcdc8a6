//! How far an output has grown, and what it was made of: a file beside it that grows with it. Its first line says which
//! call the output is of; each further one, how many rows are written, with digests of these input rows and of their
//! bytes in the output. An interrupted output is only continued over the same rows, and where no bit of it has changed.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::commands::reading::input_is_shorter;
use crate::data::Row;
use crate::error::{Error, Result};
use crate::files::checksum::{Checksum, damaged};
use crate::files::{self, write_atomically};
use crate::interrupt;

/// What is written after a window of rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Record {
    /// Rows of the input that are written.
    pub rows: u64,
    /// The length of the output with them.
    pub bytes: u64,
    /// Digest of the input rows since the record before, and of that one's.
    input: String,
    /// Digest of the output's bytes since the record before, and of that one's.
    output: String,
    /// Of rows that are images, the digest of each one's file since the record before; of others nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contents: Vec<String>,
}

/// Records how an output grows.
pub struct ProgressLog {
    path: PathBuf,
    file: File,
    last: Record,
    input: Sha256,
    contents: Vec<String>,
}

impl ProgressLog {
    /// Begins the file, or lets it end after `records`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(path: &Path, origin: &impl Serialize, records: &[Record]) -> Result<Self> {
        let mut text = line(origin, path)?;
        for record in records {
            text.push_str(&line(record, path)?);
        }
        write_atomically(path, text.as_bytes())?;
        let last = records.last().cloned().unwrap_or_default();
        let (file, input) = (files::append(path)?, chained(&last.input));
        Ok(Self { path: path.to_owned(), file, input, last, contents: Vec::new() })
    }

    /// Notes an input row that is written; `content` is the digest of its image's file.
    pub fn row(&mut self, row: &Row, content: Option<&str>) {
        row.add_to(&mut self.input);
        self.contents.extend(content.map(str::to_owned));
    }

    /// Notes that the output holds `rows` rows in `bytes` bytes; `output` is the digest of the bytes since the last
    /// record.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn record(&mut self, rows: u64, bytes: u64, output: Sha256) -> Result<()> {
        if rows == self.last.rows {
            return Ok(());
        }
        let mut chain = chained(&self.last.output);
        chain.update(output.finalize());
        let input = std::mem::take(&mut self.input);
        let contents = std::mem::take(&mut self.contents);
        self.last = Record { rows, bytes, input: hex(input), output: hex(chain), contents };
        self.input = chained(&self.last.input);
        let line = line(&self.last, &self.path)?;
        self.file.write_all(line.as_bytes()).map_err(|error| Error::io(error, &self.path))
    }
}

/// A digest that goes on from an earlier one.
fn chained(before: &str) -> Sha256 {
    Sha256::new().chain_update(before)
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn line(value: &impl Serialize, path: &Path) -> Result<String> {
    let json = serde_json::to_string(value)
        .map_err(|error| Error::failure(format!("cannot be written: {error}")).file(path))?;
    let content = json.strip_suffix('}').unwrap_or(&json);
    Ok(format!("{content}{CHECKSUM}{}\"}}\n", Checksum::of(content)))
}

/// What stands between a line's last member and its checksum.
const CHECKSUM: &str = ",\"checksum\":\"";

/// Whether a line is as it was written. Earlier versions wrote no checksum.
fn is_intact(line: &str) -> bool {
    let parts = line.trim_end().strip_suffix("\"}").and_then(|line| line.rsplit_once(CHECKSUM));
    parts.is_none_or(|(content, checksum)| Checksum::of(content) == checksum)
}

/// Reads the file: what the output is of, and the records.
///
/// # Errors
/// It is not there, or not such a file. A torn last line is none: the writer was killed.
pub fn read<Origin: DeserializeOwned>(path: &Path) -> Result<(Origin, Vec<Record>)> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::io(error, path)
            .context("the note that says what the interrupted output is made of")
            .hint("delete the partial output to begin again")
    })?;
    let unreadable = |error: serde_json::Error| {
        Error::request(format!("this is not the note that says what the interrupted output is made of: {error}"))
            .file(path)
            .hint("delete the partial output to begin again")
    };
    if !text.split_inclusive('\n').filter(|line| line.ends_with('\n')).all(is_intact) {
        return Err(damaged(path).hint("delete it and the partial output to begin again"));
    }
    let mut lines = text.split_inclusive('\n');
    let origin = serde_json::from_str(lines.next().unwrap_or_default()).map_err(unreadable)?;
    let whole = lines.filter(|line| line.ends_with('\n'));
    let records = whole.map(serde_json::from_str).collect::<Result<_, _>>().map_err(unreadable)?;
    Ok((origin, records))
}

/// Those of the records whose rows are in the output, which must be as they say.
///
/// # Errors
/// The output is damaged, or cannot be read.
pub fn intact(mut records: Vec<Record>, output: &Path) -> Result<Vec<Record>> {
    let failed = |error| Error::io(error, output);
    let file = File::open(output).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    records.retain(|record| record.bytes <= length);
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut before = Record::default();
    for record in &records {
        let mut digest = Sha256::new();
        let mut left = record.bytes.saturating_sub(before.bytes);
        while left > 0 {
            let chunk = file.fill_buf().map_err(failed)?;
            let taken = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if taken == 0 {
                break;
            }
            digest.update(chunk.get(..taken).unwrap_or_default());
            file.consume(taken);
            left -= taken as u64;
        }
        let mut chain = chained(&before.output);
        chain.update(digest.finalize());
        if hex(chain) != record.output {
            return Err(Error::request(format!(
                "the interrupted output is damaged: rows {} to {} are not as they were written",
                before.rows + 1,
                record.rows
            ))
            .file(output)
            .hint("delete it and begin again, without --resume"));
        }
        before = record.clone();
    }
    Ok(records)
}

/// Holds the rows of an input to the records of those that were read before.
pub struct SameRows<'r> {
    records: std::slice::Iter<'r, Record>,
    /// The next record to compare with, and the rows of the one before.
    next: Option<&'r Record>,
    before: u64,
    input: Sha256,
    rows: u64,
}

impl<'r> SameRows<'r> {
    /// Nothing read yet.
    pub fn new(records: &'r [Record]) -> Self {
        let mut records = records.iter();
        let next = records.next();
        Self { records, next, before: 0, input: chained(""), rows: 0 }
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// The rows of a record are others than they were, or interrupted.
    pub fn take(&mut self, row: &Row, file: &Path) -> Result<()> {
        /// Rows between two looks at the flag.
        const EVERY: u64 = 1024;
        row.add_to(&mut self.input);
        self.rows += 1;
        if self.rows.is_multiple_of(EVERY) && interrupt::requested() {
            return Err(Error::interrupted("while comparing the input with the rows that are done already"));
        }
        let Some(record) = self.next.filter(|record| record.rows == self.rows) else { return Ok(()) };
        let found = hex(std::mem::replace(&mut self.input, chained(&record.input)));
        if found != record.input {
            return Err(Error::request(format!(
                "the rows {} to {} are not those that were read before: the input has changed",
                self.before + 1,
                record.rows
            ))
            .file(file)
            .hint("resume with the input as it was, or delete the partial output to begin again"));
        }
        self.before = record.rows;
        self.next = self.records.next();
        Ok(())
    }

    /// That all recorded rows were there.
    ///
    /// # Errors
    /// The input is shorter.
    pub fn finish(&self, file: &Path) -> Result<()> {
        match self.next {
            None => Ok(()),
            Some(_) => Err(input_is_shorter(file)),
        }
    }
}
