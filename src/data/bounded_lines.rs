//! A byte stream taken line by line, each of bounded length, with the line number and the offset kept for messages.
//! Knows bytes and lines; what a line means is the business of a format.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use super::stream::{ByteStream, read_error};
use crate::error::{Error, Result};

/// The longest line or record that is read; a longer one means a damaged file rather than text.
pub const MAX_RECORD_BYTES: usize = 64 * 1024 * 1024;

/// More columns than any table has that people make; a row of a million takes tens of megabytes in memory.
pub const MOST_COLUMNS: usize = 100_000;

/// The error for a table, or a row, with more columns than [`MOST_COLUMNS`].
pub fn too_many_columns(name: &Path) -> Error {
    Error::request(format!("there are more than {MOST_COLUMNS} columns"))
        .file(name)
        .hint("leave out the columns that are not needed, or name the character between fields: --delimiter")
}

pub struct BoundedLines {
    reader: Box<dyn BufRead + Send>,
    name: PathBuf,
    /// Bytes taken so far.
    pub offset: u64,
    /// Lines taken so far.
    pub taken: u64,
    limit: usize,
    /// Whether the place in the stream is lost, and nothing more can be read.
    pub is_lost: bool,
}

impl BoundedLines {
    /// Lines of at most `limit` bytes, [`MAX_RECORD_BYTES`] when not given.
    pub fn of_stream(stream: ByteStream, limit: Option<usize>) -> Self {
        let ByteStream { reader, name, skipped, .. } = stream;
        Self { reader, name, offset: skipped, taken: 0, limit: limit.unwrap_or(MAX_RECORD_BYTES), is_lost: false }
    }

    /// The lines of some bytes in memory.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let reader = Box::new(std::io::Cursor::new(bytes.to_owned()));
        Self { reader, name: PathBuf::new(), offset: 0, taken: 0, limit: MAX_RECORD_BYTES, is_lost: false }
    }

    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The same lines, with another bound of their length.
    #[cfg(test)]
    pub fn at_most(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Whether there is nothing more to take.
    pub fn is_at_end(&mut self) -> Result<bool> {
        let rest = self.reader.fill_buf().map_err(|error| read_error(error, &self.name))?;
        Ok(rest.is_empty())
    }

    /// Appends the next line with its line end to `buffer`; false at the end of the stream.
    pub fn append_to(&mut self, buffer: &mut Vec<u8>) -> Result<bool> {
        let before = buffer.len();
        let was_lost = std::mem::replace(&mut self.is_lost, true);
        let room = self.limit.saturating_sub(before) as u64 + 1;
        let read = (&mut self.reader).take(room).read_until(b'\n', buffer);
        let read = read.map_err(|error| read_error(error, &self.name).line(self.taken + 1))?;
        if read == 0 {
            self.is_lost = was_lost;
            return Ok(false);
        }
        self.offset += read as u64;
        self.taken += 1;
        if buffer.len() > self.limit {
            return Err(Error::request(format!("longer than {} bytes", self.limit))
                .file(&self.name)
                .line(self.taken)
                .hint("is a quote not closed, or is this not a text file? Where quotes are text: --quote none"));
        }
        self.is_lost = was_lost;
        Ok(true)
    }

    /// The next line as text without its line end, read into `buffer`; `number` is the row that an error names.
    pub fn next_text<'a>(&mut self, buffer: &'a mut Vec<u8>, number: u64) -> Result<Option<&'a str>> {
        buffer.clear();
        let offset = self.offset;
        if !self.append_to(buffer).map_err(|error| error.row(number))? {
            return Ok(None);
        }
        let content = buffer.get(..content_length(buffer)).unwrap_or_default();
        let text = checked_text(content, offset);
        text.map(Some).map_err(|error| error.file(&self.name).row(number).line(self.taken))
    }
}

/// The length of `line` without its line end (LF or CRLF).
pub fn content_length(line: &[u8]) -> usize {
    let Some(content) = line.strip_suffix(b"\n") else {
        return line.len();
    };
    content.strip_suffix(b"\r").unwrap_or(content).len()
}

/// `bytes` as text, or an error with the place of the first bad byte in the stream, where `bytes` begin at `offset`.
pub fn checked_text(bytes: &[u8], offset: u64) -> Result<&str> {
    let text = std::str::from_utf8(bytes);
    let valid = text.map_or_else(|error| error.valid_up_to(), str::len);
    let valid = bytes.get(..valid).unwrap_or_default();
    // `contains` on bytes is a fast search.
    if valid.contains(&0) {
        let at = offset + valid.iter().take_while(|&&byte| byte != 0).count() as u64;
        return Err(Error::request(format!("a NUL byte at offset {at} of the file"))
            .hint("is the file damaged, or UTF-16 without a byte-order mark? Then: --encoding utf-16le"));
    }
    text.map_err(|_| {
        let byte = bytes.get(valid.len()).copied().unwrap_or_default();
        let at = offset + valid.len() as u64;
        Error::request(format!("not UTF-8: byte 0x{byte:02X} at offset {at} of the file"))
            .hint("if the file is not UTF-8, name its encoding, such as --encoding cp1252; else fix these bytes")
    })
}
