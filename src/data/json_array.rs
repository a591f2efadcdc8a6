//! The elements of a JSON array, one after the other, in memory that does not grow with the array: one line or many, as
//! pandas and most programs write tables. What an element means is the business of a format.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::bounded_lines::{MAX_RECORD_BYTES, checked_text};
use super::stream::{ByteStream, read_error};
use crate::error::{Error, Result};

/// The elements of an array that begins a stream.
pub struct ArrayElements {
    reader: Box<dyn BufRead + Send>,
    name: PathBuf,
    /// Bytes taken so far.
    pub offset: u64,
    /// The line that is being read, from 1.
    line: u64,
    limit: usize,
    state: State,
}

/// Where in the array the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the bracket.
    Outside,
    /// Before an element, or before the end of an array that has none.
    First,
    /// After an element.
    After,
    /// After a comma.
    Next,
    /// After the closing bracket.
    Closed,
    /// The place in the stream is lost.
    Lost,
}

/// Where within an element a byte is.
#[derive(Default)]
struct Within {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// An object or array has been closed.
    is_whole: bool,
}

impl ArrayElements {
    /// Elements of at most `limit` bytes, 64 MiB when not given.
    pub fn of_stream(stream: ByteStream, limit: Option<usize>) -> Self {
        let ByteStream { reader, name, skipped, .. } = stream;
        let limit = limit.unwrap_or(MAX_RECORD_BYTES);
        Self { reader, name, offset: skipped, line: 1, limit, state: State::Outside }
    }

    /// How messages name the stream.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Whether nothing more can be read after an error.
    pub fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// The next element as text on one line, and the line on which it begins; `number` is the row that an error names.
    ///
    /// # Errors
    /// The array does not continue as arrays do, or an element is too long or not UTF-8.
    pub fn next_text(&mut self, number: u64) -> Result<Option<(String, u64)>> {
        let refused = |array: &mut Self, message: &str| {
            array.state = State::Lost;
            let error = Error::request(message.to_owned()).file(&array.name).row(number).line(array.line);
            Err(error.hint("the file must be one JSON array of objects: [{…}, {…}]"))
        };
        loop {
            let Some(byte) = self.peek()? else {
                return match self.state {
                    State::Closed => Ok(None),
                    _ => refused(self, "the array is not closed: the file is cut short"),
                };
            };
            match (self.state, byte) {
                (_, b' ' | b'\t' | b'\r' | b'\n') => self.skip(byte),
                (State::Outside, b'[') => {
                    self.skip(byte);
                    self.state = State::First;
                }
                (State::First | State::After, b']') => {
                    self.skip(byte);
                    self.state = State::Closed;
                }
                (State::After, b',') => {
                    self.skip(byte);
                    self.state = State::Next;
                }
                (State::First | State::Next, byte) if !b",]}:".contains(&byte) => {
                    return self.element(number).map(Some);
                }
                (State::Closed, _) => return refused(self, "something follows the array"),
                _ => return refused(self, "the array does not continue with a comma and an object"),
            }
        }
    }

    fn peek(&mut self) -> Result<Option<u8>> {
        let rest = self.reader.fill_buf().map_err(|error| read_error(error, &self.name))?;
        Ok(rest.first().copied())
    }

    fn skip(&mut self, byte: u8) {
        self.reader.consume(1);
        self.offset += 1;
        self.line += u64::from(byte == b'\n');
    }

    /// The element that begins with the next byte.
    fn element(&mut self, number: u64) -> Result<(String, u64)> {
        let (line, offset) = (self.line, self.offset);
        self.state = State::Lost;
        let mut bytes: Vec<u8> = Vec::new();
        let mut within = Within::default();
        loop {
            let rest = self.reader.fill_buf().map_err(|error| read_error(error, &self.name).row(number).line(line))?;
            if rest.is_empty() {
                return Err(Error::request("the array is not closed: the file is cut short")
                    .file(&self.name)
                    .row(number)
                    .line(line)
                    .hint("fetch or write the file again"));
            }
            let end = rest.iter().position(|&byte| within.ends_at(byte));
            let taken = end.unwrap_or(rest.len());
            bytes.extend_from_slice(rest.get(..taken).unwrap_or_default());
            self.reader.consume(taken);
            self.offset += taken as u64;
            if bytes.len() > self.limit {
                let message = format!("an element of the array is longer than {} bytes", self.limit);
                return Err(Error::request(message).file(&self.name).row(number).line(line));
            }
            if end.is_some() {
                break;
            }
        }
        self.line += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.state = State::After;
        let text = checked_text(&bytes, offset).map_err(|error| error.file(&self.name).row(number).line(line))?;
        // A line end within a string is an error of the element; elsewhere it is a blank.
        Ok((text.trim_end().replace(['\r', '\n'], " "), line))
    }
}

impl Within {
    /// Takes a byte; whether the element has ended before it.
    fn ends_at(&mut self, byte: u8) -> bool {
        if self.is_whole {
            return true;
        }
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' | b',' if self.depth == 0 => return true,
            b'}' | b']' => {
                self.depth -= 1;
                self.is_whole = self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::super::reading_log::ReadingLog;
    use super::*;
    use crate::random::Random;

    fn elements(text: &str, buffer: usize) -> ArrayElements {
        let reader = Box::new(std::io::Cursor::new(text.as_bytes().to_vec())) as Box<dyn Read + Send>;
        let reader = Box::new(BufReader::with_capacity(buffer, reader));
        let (name, log) = (PathBuf::from("a.json"), ReadingLog::default());
        let (first_line, head, choices) = (Vec::new(), Vec::new(), Vec::new());
        let (skipped, byte_order_mark, encoding) = (0, false, None);
        let stream = ByteStream { reader, name, skipped, first_line, head, byte_order_mark, encoding, log, choices };
        ArrayElements::of_stream(stream, Some(100))
    }

    fn read(text: &str) -> Result<Vec<(String, u64)>> {
        let mut elements = elements(text, 3);
        (1..).map_while(|number| elements.next_text(number).transpose()).take(1000).collect()
    }

    #[test]
    fn elements_come_one_by_one_however_they_are_laid_out() {
        let texts = [r#"{"a": "], }\\\"[{,"}"#, "{}", r#"{"b": [1, {"c": "é\\"}], "d": null}"#, "7", r#""x,y]""#];
        let mut random = Random::new(5);
        for round in 0..200 {
            let chosen: Vec<&str> = (0..random.below(6)).map(|_| texts[random.below(5) as usize]).collect();
            let mut blank = || ["", " ", "\n", "\r\n  ", "\t"][random.below(5) as usize];
            let mut text = blank().to_owned() + "[" + blank();
            for (index, element) in chosen.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                text.push_str(&[blank(), element, blank()].concat());
            }
            text.push_str(&["]", blank()].concat());
            let found = read(&text).unwrap();
            assert_eq!(found.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), chosen, "{round} {text}");
        }
        assert_eq!(read("[\n{\"a\":\n1},\n\n{}]").unwrap(), [("{\"a\": 1}".to_owned(), 2), ("{}".to_owned(), 5)]);
    }

    #[test]
    fn what_is_no_array_is_named_with_its_row() {
        for (text, message) in [
            ("[{}", "not closed"),
            ("[{}, {", "not closed"),
            ("[{} {}]", "a comma"),
            ("[,{}]", "a comma"),
            ("[{},]", "a comma"),
            ("[{}] x", "follows"),
            (&format!("[\"{}\"]", "x".repeat(200)), "longer than 100 bytes"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
        }
        let mut lost = elements("[{} {}]", 64);
        assert!(
            lost.next_text(1).is_ok() && lost.next_text(2).is_err() && lost.is_lost() && lost.next_text(3).is_err()
        );
    }
}
