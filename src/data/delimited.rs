//! The records of CSV and TSV, made of lines by the `csv` crate.
//!
//! That parser always finds some reading. What it forgives and RFC 4180 does not is refused here: an unterminated quote
//! and text after a closing quote mean that rows were glued together or torn apart. A quote inside an unquoted field is
//! text. Knows records and fields; header, column names and rows are the business of [`super::formats`].

use std::io::{self, Read};
use std::path::Path;

use super::bounded_lines::{BoundedLines, checked_text, content_length};
use super::stream::read_error;
use crate::error::{Error, Result};

/// The lines of one record, as the parser asks for them: it never gets to see the lines of the next.
struct RecordLines {
    lines: BoundedLines,
    /// What the record was read from. It ends with a line feed even where the file lacks the last one.
    bytes: Vec<u8>,
    /// How much of it the parser has.
    served: usize,
    /// Whether the parser asked for more after the last line, as it does only within quotes.
    is_cut_short: bool,
}

impl RecordLines {
    /// Takes one more line; false at the end of the stream.
    fn take_line(&mut self) -> Result<bool> {
        let taken = self.lines.append_to(&mut self.bytes)?;
        if taken && !self.bytes.ends_with(b"\n") {
            self.bytes.push(b'\n');
        }
        Ok(taken)
    }
}

impl Read for RecordLines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.served == self.bytes.len() {
            self.is_cut_short = !self.take_line().map_err(io::Error::other)?;
        }
        let mut rest = self.bytes.get(self.served..).unwrap_or_default();
        let read = rest.read(buffer)?;
        self.served += read;
        Ok(read)
    }
}

/// Reads delimited records, one at a time, into reused memory.
pub struct DelimitedRecords {
    parser: csv::Reader<RecordLines>,
    fields: csv::ByteRecord,
    delimiter: u8,
    /// Line on which the current record begins.
    pub line: u64,
    /// Offset of the current record's first byte in the stream.
    offset: u64,
}

impl DelimitedRecords {
    pub fn new(lines: BoundedLines, delimiter: u8) -> Self {
        let parser = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            // A carriage return alone ends no line; the one before a line feed is taken off in `contents`.
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(RecordLines { lines, bytes: Vec::new(), served: 0, is_cut_short: false });
        Self { parser, fields: csv::ByteRecord::new(), delimiter, line: 0, offset: 0 }
    }

    pub fn name(&self) -> &Path {
        self.parser.get_ref().lines.name()
    }

    /// The offset after the current record.
    pub fn end_offset(&self) -> u64 {
        self.parser.get_ref().lines.offset
    }

    /// Whether the current record has its line end.
    pub fn is_terminated(&self) -> bool {
        self.end_offset() - self.offset == self.bytes().len() as u64
    }

    pub fn field_count(&self) -> usize {
        self.fields.len()
    }

    /// What the current record was read from.
    fn bytes(&self) -> &[u8] {
        &self.parser.get_ref().bytes
    }

    /// The current record's fields without quotes.
    fn contents(&self) -> impl Iterator<Item = &[u8]> {
        let ends_with_return = self.bytes().ends_with(b"\r\n");
        self.fields.iter().enumerate().map(move |(index, field)| match field {
            [content @ .., b'\r'] if ends_with_return && self.is_last(index) => content,
            _ => field,
        })
    }

    /// Moves to the next record that is not a blank line; false at the end of the stream.
    ///
    /// # Errors
    /// With file and line, for an unterminated quote, text after a closing quote, an overlong record.
    pub fn advance(&mut self) -> Result<bool> {
        let source = self.parser.get_mut();
        loop {
            source.bytes.clear();
            source.served = 0;
            self.offset = source.lines.offset;
            if !source.take_line()? {
                return Ok(false);
            }
            if content_length(&source.bytes) > 0 {
                break;
            }
        }
        self.line = source.lines.taken;
        let read = self.parser.read_byte_record(&mut self.fields);
        let read = read.map_err(|error| own_error(error, self.name()).line(self.line))?;
        match self.misquoted() {
            Some((index, at)) => Err(self.quote_error(index, at).file(self.name()).line(self.line)),
            None => Ok(read),
        }
    }

    /// Whether the current record was refused for its last field, on which the file ends in the middle.
    pub fn is_torn(&self) -> bool {
        let ends_within = self.parser.get_ref().is_cut_short || !self.is_terminated();
        ends_within && self.misquoted().is_some_and(|(index, _)| self.is_last(index))
    }

    fn is_last(&self, index: usize) -> bool {
        index + 1 == self.fields.len()
    }

    /// The first field whose quotes the parser forgave: its index and where it begins in the record.
    fn misquoted(&self) -> Option<(usize, usize)> {
        let bytes = self.bytes();
        if !bytes.contains(&b'"') {
            return None;
        }
        let mut rest = bytes;
        for (index, content) in self.contents().enumerate() {
            let after = if rest.starts_with(b"\"") {
                after_quoted(rest, content)
            } else {
                let end = rest.iter().position(|byte| [self.delimiter, b'\n'].contains(byte));
                rest.get(end.unwrap_or(rest.len())..)
            };
            match after {
                Some(after) => rest = after.get(1..).unwrap_or_default(),
                None => return Some((index, bytes.len() - rest.len())),
            }
        }
        None
    }

    fn quote_error(&self, index: usize, at: usize) -> Error {
        if !(self.parser.get_ref().is_cut_short && self.is_last(index)) {
            return Error::request(format!("text after the closing quote of field {}", index + 1))
                .hint("write a quote inside a quoted field twice (\"\"), and quote a field that begins with a quote");
        }
        let lines_before = self.bytes().iter().take(at).filter(|&&byte| byte == b'\n').count();
        Error::request(format!(
            "the quote opened on line {} is not closed before the end of the file",
            self.line + lines_before as u64
        ))
        .hint("close the quote; a quote inside a quoted field is written twice (\"\")")
    }

    /// The current record's fields in turn, checked to be UTF-8 without NUL.
    ///
    /// # Errors
    /// With file and line, and the field's index (from 0) for the caller to name.
    pub fn fields(&self) -> Result<impl Iterator<Item = String> + '_, (Option<usize>, Error)> {
        checked_text(self.bytes(), self.offset).map_err(|error| {
            let is_bad = |content: &[u8]| checked_text(content, 0).is_err();
            (self.contents().position(is_bad), error.file(self.name()).line(self.line))
        })?;
        // All bytes are text, and fields are cut at ASCII characters only: nothing is lost here.
        Ok(self.contents().map(|content| String::from_utf8_lossy(content).into_owned()))
    }
}

/// What follows in `record` after the quoted field that it begins with, if that means `content` and nothing else.
fn after_quoted<'r>(record: &'r [u8], content: &[u8]) -> Option<&'r [u8]> {
    let mut rest = record.strip_prefix(b"\"")?;
    for (index, part) in content.split(|&byte| byte == b'"').enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(b"\"\"")?;
        }
        rest = rest.strip_prefix(part)?;
    }
    rest.strip_prefix(b"\"")
}

/// The error that came up while the parser read, out of its wrapping.
fn own_error(error: csv::Error, name: &Path) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.downcast().unwrap_or_else(|error| read_error(error, name)),
        other => Error::failure(format!("{other:?}")).file(name),
    }
}

/// The fields of a header line, as far as they can be made out: for sniffing.
pub fn first_record(line: &[u8], delimiter: u8) -> Vec<String> {
    let parser = csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(line);
    match parser.into_records().next() {
        Some(Ok(record)) => record.iter().map(str::to_owned).collect(),
        _ => vec![String::new()],
    }
}

/// Appends a record with its line end, each field quoted when it must be.
pub fn push_record(
    buffer: &mut Vec<u8>,
    delimiter: u8,
    fields: impl IntoIterator<Item: AsRef<[u8]>>,
) -> csv::Result<()> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        // One record per writer: its own buffer need not be large.
        .buffer_capacity(1024)
        .from_writer(buffer);
    writer.write_record(fields)?;
    Ok(writer.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::stream::ByteStream;
    use crate::random::Random;

    fn read(bytes: &[u8]) -> Result<Vec<Vec<String>>> {
        let lines = BoundedLines::of_stream(
            ByteStream {
                reader: Box::new(io::Cursor::new(bytes.to_owned())),
                name: "x.csv".into(),
                skipped: 0,
                first_line: Vec::new(),
            },
            Some(1000),
        );
        let mut records = DelimitedRecords::new(lines, b',');
        let mut read = Vec::new();
        while records.advance()? {
            read.push(records.fields().map_err(|(_, error)| error)?.collect());
        }
        Ok(read)
    }

    #[test]
    fn fields_quotes_and_line_ends() {
        let cases: [(&str, &[&[&str]]); 11] = [
            ("a,b\n1,2", &[&["a", "b"], &["1", "2"]]),
            ("a,b\r\n1,\r\n", &[&["a", "b"], &["1", ""]]),
            ("\n\r\na\n\n", &[&["a"]]),
            ("\"\"\n\"\",\n", &[&[""], &["", ""]]),
            ("\"a\nb\",\"c\r\nd\"\n", &[&["a\nb", "c\r\nd"]]),
            ("\"\"\"a\"\"\",x", &[&["\"a\"", "x"]]),
            ("37'8\"N,5\" disk\n", &[&["37'8\"N", "5\" disk"]]),
            (",\n", &[&["", ""]]),
            ("\"a\"\r\n\"b\",", &[&["a"], &["b", ""]]),
            ("\"a\r\"\r\n\"b\r\"\n", &[&["a\r"], &["b\r"]]),
            ("1,5\" disk", &[&["1", "5\" disk"]]),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text.as_bytes()).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn refuses_what_other_parsers_guess_at() {
        let message = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        assert!(message(b"a\n1,\"x\ny\n").contains("line 2: the quote opened on line 2 is not closed"));
        assert!(message(b"a\n\"x\ny\",\"z").contains("line 2: the quote opened on line 3 is not closed"));
        assert!(message(b"a\n1,\"x\"y\n").contains("text after the closing quote of field 2"));
        assert!(message(b"a\n\xE9t\xE9\n").contains("byte 0xE9 at offset 2"));
        assert!(message(b"a\n1\x002\n").contains("NUL byte at offset 3"));
        assert!(message(&[b'a'; 2000]).contains("longer than 1000 bytes"));
        assert!(message(&[b"\"", "x\n".repeat(2000).as_bytes()].concat()).contains("longer than 1000 bytes"));
    }

    #[test]
    fn reads_what_it_takes_as_the_csv_crate_does() {
        let mut random = Random::new(3);
        let mut accepted = 0;
        for _ in 0..20_000 {
            let length = random.below(14);
            let bytes: Vec<u8> = (0..length).map(|_| b"ab,,\"\"\n\n\xC3\xA9"[random.below(10) as usize]).collect();
            let Ok(ours) = read(&bytes) else { continue };
            let mut theirs = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes.as_slice());
            let theirs: Vec<Vec<String>> =
                theirs.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
            assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(&bytes));
            accepted += 1;
        }
        assert!(accepted > 3_000, "{accepted}");
    }
}
