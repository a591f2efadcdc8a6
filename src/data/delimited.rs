//! Lines of bounded length, and the records of CSV and TSV (RFC 4180) made of them.
//!
//! Stricter than the usual parsers, which always find some reading: here an unterminated quote and text after a closing
//! quote are errors, since they mean that rows were glued together or torn apart. A quote inside an unquoted field is
//! text. Knows bytes, lines and fields; header, column names and rows are the business of [`super::rows`].

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use super::format::read_error;
use crate::error::{Error, Result};

/// The longest line or record that is read; a longer one is no text but a damaged file.
pub const MAX_RECORD_BYTES: usize = 64 * 1024 * 1024;

/// A byte stream taken line by line, with the place kept for messages.
pub struct Lines {
    reader: Box<dyn BufRead + Send>,
    name: PathBuf,
    /// Bytes taken so far.
    pub offset: u64,
    /// Lines taken so far.
    pub taken: u64,
    limit: usize,
}

impl Lines {
    pub fn new(reader: Box<dyn BufRead + Send>, name: &Path, offset: u64, limit: usize) -> Self {
        Self {
            reader,
            name: name.to_owned(),
            offset,
            taken: 0,
            limit,
        }
    }

    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Whether there is nothing more to take.
    pub fn is_at_end(&mut self) -> Result<bool> {
        let rest = self.reader.fill_buf().map_err(|error| read_error(error, &self.name))?;
        Ok(rest.is_empty())
    }

    /// Appends the next line with its line end to `buffer`; false at the end of the stream.
    pub fn append_to(&mut self, buffer: &mut Vec<u8>) -> Result<bool> {
        let before = buffer.len();
        let room = self.limit.saturating_sub(before) as u64 + 1;
        let read = (&mut self.reader).take(room).read_until(b'\n', buffer);
        let read = read.map_err(|error| read_error(error, &self.name).line(self.taken + 1))?;
        if read == 0 {
            return Ok(false);
        }
        self.offset += read as u64;
        self.taken += 1;
        if buffer.len() > self.limit {
            return Err(Error::request(format!("longer than {} bytes", self.limit))
                .file(&self.name)
                .line(self.taken)
                .hint("is a quote not closed, or is this no text file?"));
        }
        Ok(true)
    }
}

/// The length of `line` without its line end (LF or CRLF).
pub fn content_length(line: &[u8]) -> usize {
    let Some(content) = line.strip_suffix(b"\n") else {
        return line.len();
    };
    content.strip_suffix(b"\r").unwrap_or(content).len()
}

/// Where a field lies in the record's bytes, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    /// Whether doubled quotes inside are to be made single.
    doubled: bool,
}

/// Reads delimited records, one at a time, into reused memory.
pub struct Records {
    lines: Lines,
    delimiter: u8,
    bytes: Vec<u8>,
    spans: Vec<Span>,
    /// Line on which the current record begins.
    pub line: u64,
    /// Offset of the current record's first byte in the stream.
    pub offset: u64,
}

impl Records {
    pub fn new(lines: Lines, delimiter: u8) -> Self {
        Self {
            lines,
            delimiter,
            bytes: Vec::new(),
            spans: Vec::new(),
            line: 0,
            offset: 0,
        }
    }

    pub fn name(&self) -> &Path {
        self.lines.name()
    }

    /// The offset behind the current record.
    pub fn end_offset(&self) -> u64 {
        self.lines.offset
    }

    /// Whether the stream has nothing behind the current record.
    pub fn is_at_end(&mut self) -> Result<bool> {
        self.lines.is_at_end()
    }

    /// Whether the current record has its line end.
    pub fn is_terminated(&self) -> bool {
        self.bytes.ends_with(b"\n")
    }

    pub fn field_count(&self) -> usize {
        self.spans.len()
    }

    /// Moves to the next record that is not a blank line; false at the end of the stream.
    ///
    /// # Errors
    /// With file and line, for an unterminated quote, text after a closing quote, an overlong record.
    pub fn advance(&mut self) -> Result<bool> {
        self.spans.clear();
        loop {
            self.bytes.clear();
            self.offset = self.lines.offset;
            if !self.lines.append_to(&mut self.bytes)? {
                return Ok(false);
            }
            if content_length(&self.bytes) > 0 {
                break;
            }
        }
        self.line = self.lines.taken;
        let mut start = 0;
        loop {
            let span = if self.bytes.get(start) == Some(&b'"') {
                self.quoted_field(start + 1)?
            } else {
                let end = content_length(&self.bytes);
                let field = self.bytes.get(start..end).unwrap_or_default();
                let length = field
                    .iter()
                    .position(|&byte| byte == self.delimiter)
                    .unwrap_or(field.len());
                Span {
                    start,
                    end: start + length,
                    doubled: false,
                }
            };
            self.spans.push(span);
            let was_quoted = span.start > start;
            let next = span.end + usize::from(was_quoted);
            if next >= content_length(&self.bytes) {
                return Ok(true);
            }
            // `next` is a delimiter: `quoted_field` and the search above end at nothing else.
            start = next + 1;
        }
    }

    /// The quoted field whose content begins at `start`, taking further lines as needed.
    fn quoted_field(&mut self, start: usize) -> Result<Span> {
        let opened_on = self.lines.taken;
        let mut doubled = false;
        let mut searched = start;
        let end = loop {
            let rest = self.bytes.get(searched..).unwrap_or_default();
            match rest.iter().position(|&byte| byte == b'"') {
                Some(at) if rest.get(at + 1) == Some(&b'"') => {
                    doubled = true;
                    searched += at + 2;
                }
                Some(at) => break searched + at,
                None => {
                    searched = self.bytes.len();
                    if !self
                        .lines
                        .append_to(&mut self.bytes)
                        .map_err(|error| error.line(self.line))?
                    {
                        return Err(Error::request(format!(
                            "the quote opened on line {opened_on} is not closed before the end of the file"
                        ))
                        .file(self.lines.name())
                        .line(self.line)
                        .hint("close the quote; a quote inside a quoted field is written twice (\"\")"));
                    }
                }
            }
        };
        let after = end + 1;
        if after < content_length(&self.bytes) && self.bytes.get(after) != Some(&self.delimiter) {
            let field = self.spans.len() + 1;
            return Err(Error::request(format!("text after the closing quote of field {field}"))
                .file(self.lines.name())
                .line(self.line)
                .hint("a quote inside a quoted field is written twice (\"\"), and a field that begins with a quote must be quoted"));
        }
        Ok(Span { start, end, doubled })
    }

    /// The current record's fields in turn, checked to be UTF-8 without NUL.
    ///
    /// # Errors
    /// With file and line, and the field's index (from 0) for the caller to name.
    pub fn fields(&self) -> Result<impl Iterator<Item = String> + '_, (Option<usize>, Error)> {
        let text = checked_text(&self.bytes, self.offset).map_err(|(at, error)| {
            let field = self.spans.iter().position(|span| (span.start..span.end).contains(&at));
            (field, error.file(self.lines.name()).line(self.line))
        })?;
        Ok(self.spans.iter().map(move |span| {
            // The bounds are quotes, delimiters and line ends, all ASCII, and so never inside a character.
            let field = text.get(span.start..span.end).unwrap_or_default();
            if span.doubled {
                field.replace("\"\"", "\"")
            } else {
                field.to_owned()
            }
        }))
    }
}

/// `bytes` as text, or the index of the first bad byte with an error that gives its offset in the stream.
pub fn checked_text(bytes: &[u8], offset: u64) -> Result<&str, (usize, Error)> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        let error = Error::request(format!(
            "not UTF-8: byte 0x{byte:02X} at offset {} of the file",
            offset + at as u64
        ))
        .hint("convert the file: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW (or whatever its encoding is)");
        (at, error)
    })?;
    // `contains` on bytes is a fast search.
    if bytes.contains(&0) {
        let at = bytes.iter().position(|&byte| byte == 0).unwrap_or_default();
        let error = Error::request(format!("a NUL byte at offset {} of the file", offset + at as u64))
            .hint("is the file damaged, or UTF-16? Then: iconv -f UTF-16 -t UTF-8 OLD > NEW");
        return Err((at, error));
    }
    Ok(text)
}

/// The fields of a header line, as well as they can be told: for finding out what a file is.
pub fn first_record(line: &[u8], delimiter: u8) -> Vec<String> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let lines = Lines::new(
        Box::new(std::io::Cursor::new(line.to_owned())),
        Path::new(""),
        0,
        usize::MAX - 1,
    );
    let mut records = Records::new(lines, delimiter);
    match records.advance() {
        Ok(true) => records
            .fields()
            .map(Iterator::collect)
            .unwrap_or_else(|_| vec![String::new()]),
        _ => vec![String::new()],
    }
}

/// Appends one field to a record that is being written, quoted when it must be.
pub fn push_field(record: &mut Vec<u8>, field: &str, delimiter: u8) {
    let must_quote = |byte: u8| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    if !field.bytes().any(must_quote) {
        record.extend_from_slice(field.as_bytes());
        return;
    }
    record.push(b'"');
    for (index, part) in field.split('"').enumerate() {
        if index > 0 {
            record.extend_from_slice(b"\"\"");
        }
        record.extend_from_slice(part.as_bytes());
    }
    record.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn read(bytes: &[u8]) -> Result<Vec<Vec<String>>> {
        let lines = Lines::new(
            Box::new(std::io::Cursor::new(bytes.to_owned())),
            Path::new("x.csv"),
            0,
            1000,
        );
        let mut records = Records::new(lines, b',');
        let mut read = Vec::new();
        while records.advance()? {
            read.push(records.fields().map_err(|(_, error)| error)?.collect());
        }
        Ok(read)
    }

    #[test]
    fn fields_quotes_and_line_ends() {
        let cases: [(&str, &[&[&str]]); 9] = [
            ("a,b\n1,2", &[&["a", "b"], &["1", "2"]]),
            ("a,b\r\n1,\r\n", &[&["a", "b"], &["1", ""]]),
            ("\n\r\na\n\n", &[&["a"]]),
            ("\"\"\n\"\",\n", &[&[""], &["", ""]]),
            ("\"a\nb\",\"c\r\nd\"\n", &[&["a\nb", "c\r\nd"]]),
            ("\"\"\"a\"\"\",x", &[&["\"a\"", "x"]]),
            ("37'8\"N,5\" disk\n", &[&["37'8\"N", "5\" disk"]]),
            (",\n", &[&["", ""]]),
            ("\"a\"\r\n\"b\",", &[&["a"], &["b", ""]]),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text.as_bytes()).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn refuses_what_other_parsers_guess_at() {
        let message = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        assert!(message(b"a\n1,\"x\ny\n").contains("line 2: the quote opened on line 2 is not closed"));
        assert!(message(b"a\n1,\"x\"y\n").contains("text after the closing quote of field 2"));
        assert!(message(b"a\n\xE9t\xE9\n").contains("byte 0xE9 at offset 2"));
        assert!(message(b"a\n1\x002\n").contains("NUL byte at offset 3"));
        assert!(message(&[b'a'; 2000]).contains("longer than 1000 bytes"));
        assert!(message(&[b"\"", "x\n".repeat(2000).as_bytes()].concat()).contains("longer than 1000 bytes"));
    }

    #[test]
    fn agrees_with_the_csv_crate_on_random_bytes_that_both_take() {
        let mut random = Random::new(3);
        let mut accepted = 0;
        for _ in 0..20_000 {
            let length = random.below(14);
            let bytes: Vec<u8> = (0..length)
                .map(|_| b"ab,,\"\"\n\n\xC3\xA9"[random.below(10) as usize])
                .collect();
            let Ok(ours) = read(&bytes) else { continue };
            let mut theirs = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(bytes.as_slice());
            let theirs: Vec<Vec<String>> = theirs
                .records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .collect();
            assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(&bytes));
            accepted += 1;
        }
        assert!(accepted > 3_000, "{accepted}");
    }
}
