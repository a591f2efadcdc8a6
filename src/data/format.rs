//! What a file format is to the rest of the program: a [`Format`] recognises its files, opens them as a [`RowSource`],
//! and writes rows through a [`RowEncoder`]. The formats themselves stand in [`super::formats`], a file each, with the
//! list of all of them.

use std::fmt;
use std::path::{Path, PathBuf};

use arrow_schema::SchemaRef;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::DetectedSetting;
use super::options::ReadOptions;
use super::row::{OutputValue, Row};
use super::stream::ByteStream;
use crate::error::{Error, Result, caught};

/// A file format. Only the name is required; every other method has a default that says "this format cannot do that".
pub trait Format: Sync {
    /// As messages and reports write it: `csv`.
    fn name(&self) -> &'static str;

    /// The extensions of its files, in lower case without the dot.
    fn extensions(&self) -> &'static [&'static str] {
        &[]
    }

    /// Why a stream whose name does not say its format is of this one, judged by its first line; `None` when it is not.
    fn sniff(&self, _first_line: &[u8], _options: &ReadOptions) -> Option<String> {
        None
    }

    /// Opens what is not to be read as a stream of bytes, such as a folder or a file that is read from its end; `None`
    /// when `path` is not of this kind.
    ///
    /// # Errors
    /// `path` is of this kind and cannot be opened.
    fn open_path(&self, _path: &Path, _options: &ReadOptions) -> Result<Option<OpenedRows>> {
        Ok(None)
    }

    /// Reads what stands before the first row (a header, say) of a decompressed stream.
    ///
    /// # Errors
    /// The stream is empty, its header cannot be used, or this format cannot be read from a stream.
    fn open_stream(&self, stream: ByteStream, _options: &ReadOptions) -> Result<OpenedRows> {
        Err(Error::request(format!("{} cannot be read from a stream", self.name())).file(stream.name))
    }

    /// Whether files of this format say what their columns are called. One that does not has a single column of text,
    /// and nothing that could be a label.
    fn names_columns(&self) -> bool {
        true
    }

    /// The delimiter between fields, as reports show it, in formats that have one.
    fn shown_delimiter(&self, _layout: &FileLayout) -> Option<String> {
        None
    }

    /// The extensions of files that are only written as a whole, by [`Format::whole_writer`]: they cannot be continued
    /// row by row.
    fn written_whole(&self) -> &'static [&'static str] {
        &[]
    }

    /// Begins a file that is written as a whole: the rows of `input` with the columns `added`.
    ///
    /// # Errors
    /// The file cannot be created, or the columns do not fit the format.
    fn whole_writer(&self, path: &Path, _input: &FileLayout, _added: &[AddedColumn]) -> Result<Box<dyn WholeWriter>> {
        Err(Error::request(format!("{} is not written", self.name())).file(path))
    }

    /// Whether a column can hold a list of numbers.
    fn has_lists(&self) -> bool {
        false
    }

    /// The most rows that a file can hold, in formats that have a limit.
    fn max_rows(&self) -> Option<u64> {
        None
    }

    /// What writes the rows of `input` with the columns `added` in this format; `None` in formats that are not written.
    fn encoder(&self, _input: &FileLayout, _added: &[String]) -> Option<Box<dyn RowEncoder>> {
        None
    }

    /// How to read what was written of the rows of `input`.
    fn options_to_read_again(&self, _input: &FileLayout) -> ReadOptions {
        ReadOptions::default()
    }
}

/// Which of the formats a file has.
pub type FileFormat = &'static dyn Format;

impl PartialEq for dyn Format {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for dyn Format {}

impl fmt::Debug for dyn Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for dyn Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for dyn Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What a file's rows look like: what a writer must know to write them again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLayout {
    /// The path, or `standard input` for `-`, as messages name it.
    pub file: PathBuf,
    /// By the path, the file's name or its first line.
    pub format: FileFormat,
    /// Between fields, in formats that have a delimiter.
    pub delimiter: u8,
    /// The header's names; for JSONL the first rows' keys; for plain lines `text`; numbers where there is no header.
    pub columns: Vec<String>,
    /// How its text is written, which an output of the same format keeps.
    pub style: TextStyle,
    /// The columns' types, in formats that say them.
    pub schema: Option<SchemaRef>,
    /// Where in a workbook the rows stand.
    pub sheet: Option<Sheet>,
    /// What is not read of it, which changes what its rows mean.
    pub warnings: Vec<String>,
}

impl FileLayout {
    /// Of a file whose format knows no more of it than the columns.
    pub fn new(file: &Path, format: FileFormat, columns: Vec<String>) -> Self {
        let (file, style) = (file.to_owned(), TextStyle::default());
        Self { file, format, delimiter: b',', columns, style, schema: None, sheet: None, warnings: Vec::new() }
    }
}

/// The sheet of a workbook that is read, and what is not read beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// As the workbook names it.
    pub name: String,
    /// The workbook's other sheets.
    pub others: Vec<String>,
    /// Rows of the sheet above its header.
    pub rows_above: usize,
}

/// How the text of a table is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextStyle {
    /// It begins with a byte-order mark.
    pub byte_order_mark: bool,
    /// Its lines end as Windows ends them, in a carriage return and a line feed.
    pub crlf: bool,
    /// Excel's line that names the delimiter stands before the header.
    pub sep_line: bool,
    /// What encloses fields; `None` where quotes are text.
    pub quote: Option<u8>,
    /// Which names of the header stand within quotes, by their index.
    pub quoted_names: Vec<usize>,
    /// The first row is data.
    pub no_header: bool,
    /// Why the header looks like data; `None` where it does not, or there is none.
    pub header_doubt: Option<String>,
    /// Fields that a spreadsheet would compute are written so that it shows them (`spreadsheet_safe.rs`).
    pub is_safe: bool,
}

impl Default for TextStyle {
    fn default() -> Self {
        Self {
            byte_order_mark: false,
            crlf: false,
            sep_line: false,
            quote: Some(b'"'),
            quoted_names: Vec::new(),
            no_header: false,
            header_doubt: None,
            is_safe: false,
        }
    }
}

/// Reads rows one after the other, in memory that does not grow with the file.
///
/// Reading is strict: what does not fit is an error with its row and line, never a guess, since a row that is silently
/// skipped or shifted ends up as a wrong label.
pub trait RowSource: Send {
    /// The next row, which is row `number` of the file; `None` at the end. Not called again after an error, unless
    /// [`RowSource::goes_on`].
    fn next_row(&mut self, number: u64) -> Result<Option<Row>>;

    /// Whether the error that the last call gave is that of one row, and the next one can be read.
    fn goes_on(&self) -> bool {
        false
    }

    /// How many rows are left, where that is known without reading them.
    fn remaining(&self) -> Option<u64> {
        None
    }
}

/// A file whose header is read.
pub struct OpenedRows {
    /// What is known before the first row is read.
    pub layout: FileLayout,
    /// The rows, from the first one on.
    pub rows: Box<dyn RowSource>,
    /// What the format found out about the file, with reasons.
    pub choices: Vec<DetectedSetting>,
}

/// Writes rows with added columns as one format's bytes, and finds out how much of a partly written file is whole.
pub trait RowEncoder: Send {
    /// Appends what stands before the first row: a header, or nothing.
    fn push_header(&self, buffer: &mut Vec<u8>) -> Result<()>;

    /// Appends a row and the values of the added columns, in their order. After an error `buffer` may hold part of the
    /// row.
    ///
    /// # Errors
    /// The row does not fit the output, such as a JSON object with a key that the table's columns do not have.
    fn push_row(&self, buffer: &mut Vec<u8>, row: &Row, values: &[OutputValue]) -> Result<()>;
}

/// A column that is added to those of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedColumn {
    /// Its header.
    pub name: String,
    /// What stands in it.
    pub kind: ColumnKind,
}

/// What stands in a column that is added, in formats whose columns have types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Words.
    Text,
    /// Fractions.
    Number,
    /// Counts.
    Whole,
    /// Lists of so many numbers in fp32.
    Numbers(usize),
}

impl ColumnKind {
    /// That of a column with this value.
    pub fn of(value: &OutputValue) -> Self {
        match value {
            OutputValue::Text(_) | OutputValue::Empty => Self::Text,
            OutputValue::Number(_) | OutputValue::Exact(_) => Self::Number,
            OutputValue::Numbers(numbers) => Self::Numbers(numbers.len()),
            OutputValue::Whole(_) => Self::Whole,
        }
    }
}

/// Writes a file that is only whole at its end.
pub trait WholeWriter: Send {
    /// Adds a row and the values of the added columns, in their order.
    ///
    /// # Errors
    /// The row does not fit the format, or writing fails.
    fn write(&mut self, row: &Row, values: &[OutputValue]) -> Result<()>;

    /// Ends the file. Returns what there is to say about it.
    ///
    /// # Errors
    /// Writing fails.
    fn finish(self: Box<Self>) -> Result<Vec<String>>;
}

/// The error for a file without any row or header.
pub fn empty_file(name: &Path) -> Error {
    Error::request("the file is empty").file(name).hint("it needs a header line and at least one row")
}

/// Runs `work` of a library that reads `file`. Where that panics, the file is damaged.
///
/// # Errors
/// That of `work`, and a request error where it panics.
pub fn guarded<T>(file: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let damaged = |_| Err(Error::request("the file is damaged: its parts contradict each other").file(file));
    caught(work).unwrap_or_else(damaged)
}

/// That a table with these columns loses nothing of a JSON object.
///
/// # Errors
/// The object has a key that is no column.
pub fn check_keys(members: &Map<String, Value>, columns: &[String]) -> Result<()> {
    let known = columns.iter().filter(|column| members.contains_key(*column)).count();
    match members.keys().find(|key| known < members.len() && !columns.contains(key)) {
        None => Ok(()),
        Some(key) => Err(Error::request(format!("the key `{key}` is not among the first rows' keys"))
            .hint("a table cannot get a new column later on: write to a .jsonl file")),
    }
}

/// The error for an added column that the input has already.
pub fn column_exists(name: &str) -> Error {
    Error::request("the input already has a column of this name, which is to be added")
        .column(name)
        .hint("was this file labelled before? --column-prefix NEW_ names the added columns apart")
}
