//! The records of CSV and TSV: lines of fields, some of which are enclosed in quotes and may then hold line breaks.
//!
//! RFC 4180 is read strictly: an unterminated quote and text after a closing quote mean that rows were glued together
//! or torn apart, so they are refused, and reading goes on with the next line. A quote inside an unquoted field is
//! text. Two habits of people are understood where they can mean one thing only: a blank before a quoted field, and, in
//! tables with tabs, quotes that are text. Knows records and fields; header, column names and rows are the business of
//! [`super::formats`].

use std::path::Path;

use super::bounded_lines::{BoundedLines, MOST_COLUMNS, checked_text, content_length, too_many_columns};
use super::dialect::Dialect;
use super::pending_lines::PendingLines;
use crate::error::{Error, Result};

/// Reads delimited records, one at a time, into reused memory.
pub struct DelimitedRecords {
    lines: BoundedLines,
    dialect: Dialect,
    /// Lines that were read and do not belong to the current record.
    pending: PendingLines,
    /// What the current record was read from. It ends with a line feed even where the file lacks the last one.
    bytes: Vec<u8>,
    /// The fields without quotes, one after the other, and where each of them ends.
    contents: Vec<u8>,
    ends: Vec<usize>,
    /// Which fields stood within quotes, by their index.
    quoted: Vec<usize>,
    /// How many fields a record must have, once that is known.
    expected: Option<usize>,
    /// A line without anything is a record with one empty field, instead of nothing.
    keeps_blank_lines: bool,
    /// Line on which the current record begins.
    pub line: u64,
    /// Blank lines that were passed over, up to the current record.
    pub blank_lines: u64,
    /// Whether quotes of the current record were taken as text though they might have enclosed fields.
    pub took_quotes_as_text: bool,
    /// Whether a blank stood before or after a quoted field of the current record.
    pub had_blank_at_quote: bool,
    /// Offset of the current record's first byte in the stream.
    offset: u64,
    fault: Option<Fault>,
}

/// Why a record's quotes cannot be understood.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The field that opens at this place of the record is not closed before the end of the file.
    Unclosed(usize),
    /// Something stands between the closing quote of this field and the next delimiter.
    TextAfterQuote(usize),
    /// The lines that quotes hold together are no row: they have far more fields than one.
    TooManyFields,
}

impl DelimitedRecords {
    pub fn new(lines: BoundedLines, dialect: Dialect) -> Self {
        Self {
            lines,
            dialect,
            pending: PendingLines::default(),
            bytes: Vec::new(),
            contents: Vec::new(),
            ends: Vec::new(),
            quoted: Vec::new(),
            expected: None,
            keeps_blank_lines: false,
            line: 0,
            blank_lines: 0,
            took_quotes_as_text: false,
            had_blank_at_quote: false,
            offset: 0,
            fault: None,
        }
    }

    /// Says how many fields the header has. In a table of one column a blank line is a row too.
    pub fn expect(&mut self, fields: usize) {
        self.expected = Some(fields);
        self.keeps_blank_lines = fields == 1;
    }

    pub fn name(&self) -> &Path {
        self.lines.name()
    }

    /// The offset after the current record.
    pub fn end_offset(&self) -> u64 {
        self.lines.offset - self.pending.byte_count()
    }

    /// Whether the current record has its line end.
    pub fn is_terminated(&self) -> bool {
        self.end_offset() - self.offset == self.bytes.len() as u64
    }

    pub fn field_count(&self) -> usize {
        self.ends.len()
    }

    /// Which fields of the current record stood within quotes, by their index.
    pub fn quoted(&self) -> &[usize] {
        &self.quoted
    }

    /// Whether the current record holds a blank between a delimiter and a quote.
    pub fn has_blank_before_quote(&self) -> bool {
        let quote = self.dialect.quote.unwrap_or(b'"');
        self.bytes.windows(3).any(|three| three == [self.dialect.delimiter, b' ', quote])
    }

    /// The current record's fields without quotes.
    pub fn contents(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, &end)| self.contents.get(begin..end).unwrap_or_default())
    }

    /// Passes over one line, whatever it holds.
    pub fn skip_line(&mut self) -> Result<()> {
        self.bytes.clear();
        self.take_line().map(drop)
    }

    /// Moves to the next record that is not a blank line; false at the end of the stream.
    ///
    /// # Errors
    /// With file and line, for an unterminated quote or text after a closing quote, after which the next line can be
    /// read, and for an overlong record, after which nothing can.
    pub fn advance(&mut self) -> Result<bool> {
        let mut blank = 0;
        self.fault = None;
        loop {
            self.bytes.clear();
            self.offset = self.end_offset();
            if !self.take_line()? {
                return Ok(false);
            }
            if content_length(&self.bytes) > 0 || self.keeps_blank_lines {
                break;
            }
            blank += 1;
        }
        self.blank_lines += blank;
        self.line = self.lines.taken - self.pending.count;
        (self.took_quotes_as_text, self.had_blank_at_quote) = (false, false);
        self.parse()?;
        let Some(fault) = self.fault else { return Ok(true) };
        if self.dialect.quotes_may_be_text && self.first_line_is_whole() {
            self.give_back_later_lines();
            self.parse_unquoted();
            self.took_quotes_as_text = true;
            return Ok(true);
        }
        let error = self.quote_error(fault).file(self.name()).line(self.line);
        // Whatever is wrong with this line, the next ones are rows of their own.
        self.give_back_later_lines();
        Err(error)
    }

    /// Whether the last call of [`Self::advance`] refused a record after which the next one can be read.
    pub fn goes_on(&self) -> bool {
        self.fault.is_some()
    }

    /// Takes one more line; false at the end of the stream.
    fn take_line(&mut self) -> Result<bool> {
        let taken = self.pending.append_to(&mut self.bytes) || self.lines.append_to(&mut self.bytes)?;
        if taken && !self.bytes.ends_with(b"\n") {
            self.bytes.push(b'\n');
        }
        Ok(taken)
    }

    /// The length of the current record's first line, with its line end.
    fn first_line_length(&self) -> usize {
        memchr::memchr(b'\n', &self.bytes).map_or(self.bytes.len(), |end| end + 1)
    }

    /// Whether the first line has all fields of a row when quotes are text.
    fn first_line_is_whole(&self) -> bool {
        let line = self.bytes.get(..self.first_line_length()).unwrap_or_default();
        self.expected.is_some_and(|expected| expected > 1 && self.dialect.count_unquoted(line) == expected)
    }

    /// Makes the current record its first line; the others are read again.
    fn give_back_later_lines(&mut self) {
        let is_terminated = self.is_terminated();
        let mut later = self.bytes.split_off(self.first_line_length());
        if !is_terminated {
            // The line feed that the file lacks.
            later.pop();
        }
        if !later.is_empty() {
            self.pending.give_back(&later);
        }
    }

    /// Takes the current record's fields apart, reading on where a quoted field does. What is wrong with its quotes is
    /// put into `fault`.
    fn parse(&mut self) -> Result<()> {
        self.clear_fields();
        let mut at = Some(0);
        while let Some(begin) = at {
            at = match self.opening_quote(begin) {
                Some(open) => {
                    self.quoted.push(self.ends.len());
                    self.parse_quoted(open)?
                }
                None => self.parse_plain(begin),
            };
            self.ends.push(self.contents.len());
            if self.fault.is_some() {
                break;
            }
            if self.ends.len() > MOST_COLUMNS {
                return Err(too_many_columns(self.name()).line(self.line));
            }
        }
        Ok(())
    }

    /// Takes the current record's fields apart where quotes are text.
    fn parse_unquoted(&mut self) {
        self.clear_fields();
        self.fault = None;
        let mut at = Some(0);
        while let Some(begin) = at {
            at = self.parse_plain(begin);
            self.ends.push(self.contents.len());
        }
    }

    fn clear_fields(&mut self) {
        self.contents.clear();
        self.ends.clear();
        self.quoted.clear();
    }

    /// Takes the field that begins at `begin` as it is. Returns where the next one begins, if there is one.
    fn parse_plain(&mut self, begin: usize) -> Option<usize> {
        let rest = self.bytes.get(begin..).unwrap_or_default();
        let end = memchr::memchr2(self.dialect.delimiter, b'\n', rest).unwrap_or(rest.len());
        let is_last = rest.get(end) != Some(&self.dialect.delimiter);
        let content = rest.get(..end).unwrap_or_default();
        let content = if is_last { content.strip_suffix(b"\r").unwrap_or(content) } else { content };
        self.contents.extend_from_slice(content);
        (!is_last).then_some(begin + end + 1)
    }

    /// Where the quote stands that encloses the field which begins at `begin`; `None` for a field without quotes.
    fn opening_quote(&mut self, begin: usize) -> Option<usize> {
        let quote = self.dialect.quote?;
        let rest = self.bytes.get(begin..).unwrap_or_default();
        if rest.first() == Some(&quote) {
            return Some(begin);
        }
        let blanks = rest.iter().take_while(|&&byte| byte == b' ').count();
        if blanks == 0 || rest.get(blanks) != Some(&quote) {
            return None;
        }
        // After a blank the quote may be text, unless it is closed where the field ends.
        let mut at = begin + blanks + 1;
        loop {
            at += self.bytes.get(at..)?.iter().position(|&byte| byte == quote)? + 1;
            if self.bytes.get(at) != Some(&quote) {
                break;
            }
            at += 1;
        }
        self.after_quoted(at)?;
        self.had_blank_at_quote = true;
        Some(begin + blanks)
    }

    /// What follows a closing quote, which ends at `at`: the place of the next field, nothing, or (`None`) text.
    fn after_quoted(&self, at: usize) -> Option<Option<usize>> {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let blanks = rest.iter().take_while(|&&byte| byte == b' ' && self.dialect.delimiter != b' ').count();
        match rest.get(blanks..).unwrap_or_default() {
            [byte, ..] if *byte == self.dialect.delimiter => Some(Some(at + blanks + 1)),
            [] | [b'\n', ..] | [b'\r', b'\n', ..] => Some(None),
            _ => None,
        }
    }

    /// Takes the field whose quote stands at `open`, without its quotes. Returns where the next one begins, if there
    /// is one.
    fn parse_quoted(&mut self, open: usize) -> Result<Option<usize>> {
        let quote = self.dialect.quote.unwrap_or(b'"');
        let mut at = open + 1;
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let Some(length) = memchr::memchr(quote, rest) else {
                self.contents.extend_from_slice(rest);
                at = self.bytes.len();
                if self.has_too_many_fields() {
                    self.fault = Some(Fault::TooManyFields);
                    return Ok(None);
                }
                if self.next_line_is_a_row()? || !self.take_line()? {
                    self.fault = Some(Fault::Unclosed(open));
                    return Ok(None);
                }
                continue;
            };
            self.contents.extend_from_slice(rest.get(..length).unwrap_or_default());
            at += length + 1;
            if self.bytes.get(at) == Some(&quote) {
                self.contents.push(quote);
                at += 1;
                continue;
            }
            return Ok(match self.after_quoted(at) {
                Some(next) => {
                    self.had_blank_at_quote |= self.bytes.get(at) == Some(&b' ');
                    next
                }
                None => {
                    self.fault = Some(Fault::TextAfterQuote(self.ends.len()));
                    None
                }
            });
        }
    }

    /// Whether the current record has so many fields that its lines are rows whose quotes went wrong. Without an end of
    /// it every row of such a file would be read on to the last one.
    fn has_too_many_fields(&self) -> bool {
        self.expected.is_some_and(|expected| self.ends.len() > 2 * expected + 16)
    }

    /// Whether quotes are text here for all that can be seen: this line has all fields of a row though a quote is open
    /// at its end, and so has the next one.
    fn next_line_is_a_row(&mut self) -> Result<bool> {
        let is_one_line = self.first_line_length() == self.bytes.len();
        if !self.dialect.quotes_may_be_text || !is_one_line || !self.first_line_is_whole() {
            return Ok(false);
        }
        if self.pending.count == 0 {
            let mut line = Vec::new();
            if !self.lines.append_to(&mut line)? {
                return Ok(true);
            }
            self.pending.push(line);
        }
        let next = self.pending.next().map_or(0, |line| self.dialect.count_unquoted(line));
        Ok(Some(next) == self.expected)
    }

    fn quote_error(&self, fault: Fault) -> Error {
        match fault {
            Fault::TooManyFields => Error::request(format!(
                "quotes hold several lines together that have more than {} fields, where the header has {}",
                self.ends.len(),
                self.expected.unwrap_or_default()
            ))
            .hint("quote fields on both sides; where quotes are text: --quote none"),
            Fault::TextAfterQuote(index) => {
                Error::request(format!("text after the closing quote of field {}", index + 1)).hint(
                    "write a quote inside a quoted field twice (\"\"), and quote a field that begins with a quote; \
                     where quotes are text: --quote none",
                )
            }
            Fault::Unclosed(at) => {
                let lines_before = self.bytes.iter().take(at).filter(|&&byte| byte == b'\n').count();
                Error::request(format!(
                    "the quote opened on line {} is not closed before the end of the file",
                    self.line + lines_before as u64
                ))
                .hint(
                    "close the quote; a quote inside a quoted field is written twice (\"\"); where quotes are text: \
                     --quote none",
                )
            }
        }
    }

    /// The current record's fields in turn, checked to be UTF-8 without NUL.
    ///
    /// # Errors
    /// With file and line, and the field's index (from 0) for the caller to name.
    pub fn fields(&self) -> Result<impl Iterator<Item = String> + '_, (Option<usize>, Error)> {
        checked_text(&self.bytes, self.offset).map_err(|error| {
            let is_bad = |content: &[u8]| checked_text(content, 0).is_err();
            (self.contents().position(is_bad), error.file(self.name()).line(self.line))
        })?;
        // All bytes are text, and fields are cut at ASCII characters only: nothing is lost here.
        Ok(self.contents().map(|content| String::from_utf8_lossy(content).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn read(bytes: &[u8]) -> Result<Vec<Vec<String>>> {
        let lines = BoundedLines::of_bytes(bytes).at_most(1000);
        let mut records = DelimitedRecords::new(lines, Dialect::strict(b','));
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

    /// Fields of a table with tabs, whose rows have two fields.
    fn read_tabs(text: &str) -> Vec<Vec<String>> {
        let dialect = Dialect { delimiter: b'\t', quote: Some(b'"'), quotes_may_be_text: true };
        let mut records = DelimitedRecords::new(BoundedLines::of_bytes(text.as_bytes()), dialect);
        records.expect(2);
        let mut read = Vec::new();
        while records.advance().unwrap() {
            read.push(records.fields().map_err(|(_, error)| error).unwrap().collect());
        }
        read
    }

    #[test]
    fn quotes_in_tables_with_tabs_are_text_where_every_line_is_a_row() {
        assert_eq!(read_tabs("ham\t\"yes\nspam\twin\" now\n"), [["ham", "\"yes"], ["spam", "win\" now"]]);
        assert_eq!(read_tabs("ham\t\"yes\nspam\t\"win\"\n"), [["ham", "\"yes"], ["spam", "win"]]);
        assert_eq!(read_tabs("ham\t\"yes\" he said\n"), [["ham", "\"yes\" he said"]]);
        assert_eq!(read_tabs("ham\t\"yes"), [["ham", "\"yes"]]);
        assert_eq!(read_tabs("ham\t\"two\nlines\"\nspam\tx\n"), [["ham", "two\nlines"], ["spam", "x"]]);
        assert_eq!(read_tabs("\"two\nlines\"\tham\n\"a\tb\"\tx\n"), [["two\nlines", "ham"], ["a\tb", "x"]]);
    }

    #[test]
    fn a_blank_before_a_quoted_field_is_no_text() {
        assert_eq!(read(b"\"a, b\", \"c\"\"d\" , e\n").unwrap(), [["a, b", "c\"d", " e"]]);
        assert_eq!(read(b"a, \"b\" c\n").unwrap(), [["a", " \"b\" c"]]);
    }

    #[test]
    fn reading_goes_on_after_a_fault() {
        let lines = BoundedLines::of_bytes(b"a,\"x\nb,y\nc,\"z\"\n");
        let mut records = DelimitedRecords::new(lines, Dialect::strict(b','));
        assert!(records.advance().is_err() && records.goes_on());
        for (line, fields) in [(2, ["b", "y"]), (3, ["c", "z"])] {
            assert!(records.advance().unwrap());
            let read: Vec<String> = records.fields().map_err(|(_, error)| error).unwrap().collect();
            assert_eq!((records.line, read), (line, fields.map(str::to_owned).to_vec()));
        }
        assert!(!records.advance().unwrap());
    }
}
