//! Plain lines: a text per line, blank ones too. There is one column, and nothing that could be a label; such files are
//! read and not written.

use crate::data::bounded_lines::BoundedLines;
use crate::data::format::{FileLayout, Format, OpenedRows, RowSource, empty_file};
use crate::data::options::ReadOptions;
use crate::data::row::{Record, Row};
use crate::data::stream::ByteStream;
use crate::error::Result;

/// The name of the one column.
const COLUMN: &str = "text";

pub struct PlainLines;

impl Format for PlainLines {
    fn name(&self) -> &'static str {
        "plain lines"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["txt"]
    }

    /// Every stream that no other format claims.
    fn sniff(&self, _first_line: &[u8], _options: &ReadOptions) -> Option<String> {
        Some("the first line is not a JSON object and names no text column".to_owned())
    }

    fn open_stream(&self, stream: ByteStream, options: &ReadOptions) -> Result<OpenedRows> {
        let mut lines = BoundedLines::of_stream(stream, options.max_row_bytes);
        if lines.is_at_end()? {
            return Err(empty_file(lines.name()));
        }
        let columns = vec![COLUMN.to_owned()];
        let layout = FileLayout::new(lines.name(), &PlainLines, columns);
        Ok(OpenedRows { layout, rows: Box::new(LineRows { lines, buffer: Vec::new() }), choices: Vec::new() })
    }

    fn names_columns(&self) -> bool {
        false
    }
}

struct LineRows {
    lines: BoundedLines,
    buffer: Vec<u8>,
}

impl RowSource for LineRows {
    fn next_row(&mut self, number: u64) -> Result<Option<Row>> {
        let Some(text) = self.lines.next_text(&mut self.buffer, number)? else {
            return Ok(None);
        };
        let record = Record::Line(text.to_owned());
        Ok(Some(Row::new(number, self.lines.taken, record)))
    }

    fn goes_on(&self) -> bool {
        !self.lines.is_lost
    }
}
