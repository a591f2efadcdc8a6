//! Writes Excel workbooks (.xlsx) with one sheet: numbers as numbers, dates as dates in the format they had, texts as
//! texts even where they begin with `=`. Rows are handed on as they come, so memory does not grow with the sheet.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};
use serde_json::Value;

use crate::data::format::{AddedColumn, FileLayout, Sheet, WholeWriter, check_keys};
use crate::data::row::{OutputValue, Record, Row};
use crate::data::typed::{SheetCell, TypedRow};
use crate::error::{Error, Result, listed};
use crate::files;

/// Excel's limits: rows of a sheet, the header included, columns, and characters of a cell (UTF-16 units).
pub const MAX_ROWS: u64 = 1_048_576;
const MAX_COLUMNS: usize = 16_384;
const MAX_CHARACTERS: usize = 32_767;

/// How dates are shown whose own format is not known.
const DATE: &str = "yyyy-mm-dd";
const MOMENT: &str = "yyyy-mm-dd hh:mm:ss";

pub struct XlsxWriter {
    path: PathBuf,
    workbook: Workbook,
    columns: Vec<String>,
    /// What the input has and the output lacks.
    left_out: Option<String>,
    /// The sheet's next row, from 0.
    row: u32,
    formats: HashMap<String, Format>,
    /// Cells that were too long, and the row and column of the first.
    cut: u64,
    first_cut: Option<(u64, String)>,
}

impl XlsxWriter {
    /// Begins the workbook; the file is written at the end.
    ///
    /// # Errors
    /// There are too many columns, or no temporary file can be made beside the output.
    pub fn create(path: &Path, input: &FileLayout, added: &[AddedColumn]) -> Result<Self> {
        let count = input.columns.len() + added.len();
        if count > MAX_COLUMNS {
            return Err(Error::request(format!("{count} columns; a sheet of Excel holds {MAX_COLUMNS}"))
                .file(path)
                .hint("write .csv or .parquet"));
        }
        let mut workbook = Workbook::new();
        let created = ExcelDateTime::from_ymd(2000, 1, 1).map_err(|error| failed(&error, path))?;
        // The same rows give the same bytes.
        workbook.set_properties(&DocProperties::new().set_creation_datetime(&created));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        workbook.set_tempdir(folder).map_err(|error| failed(&error, path))?;
        let sheet = workbook.add_worksheet_with_constant_memory().map_err(|error| failed(&error, path))?;
        if let Some(read) = &input.sheet {
            // A name that Excel does not allow stays as in a new workbook.
            let _ = sheet.set_name(&read.name);
        }
        let mut writer = Self {
            path: path.to_owned(),
            workbook,
            columns: input.columns.clone(),
            left_out: input.sheet.as_ref().and_then(left_out),
            row: 0,
            formats: HashMap::new(),
            cut: 0,
            first_cut: None,
        };
        if input.style.no_header {
            return Ok(writer);
        }
        let names = input.columns.iter().chain(added.iter().map(|column| &column.name));
        for (column, name) in (0..).zip(names) {
            writer.put(column, Content::Text(name)).map_err(|error| failed(&error, path))?;
        }
        writer.row = 1;
        Ok(writer)
    }

    fn sheet(&mut self) -> Result<&mut Worksheet, XlsxError> {
        self.workbook.worksheet_from_index(0)
    }

    fn put(&mut self, column: u16, content: Content<'_>) -> Result<(), XlsxError> {
        let row = self.row;
        match content {
            Content::Text(text) => {
                let fitting = fitting(text);
                if fitting.len() < text.len() {
                    self.cut += 1;
                    let name = self.columns.get(usize::from(column)).cloned().unwrap_or_default();
                    self.first_cut.get_or_insert((u64::from(row), name));
                }
                self.sheet()?.write_string(row, column, fitting)?;
            }
            Content::Truth(truth) => {
                self.sheet()?.write_boolean(row, column, truth)?;
            }
            Content::Number(number, format) if number.is_finite() => match format {
                Some(code) => {
                    let format =
                        self.formats.entry(code.to_owned()).or_insert_with(|| Format::new().set_num_format(code));
                    let format = format.clone();
                    self.sheet()?.write_number_with_format(row, column, number, &format)?;
                }
                None => {
                    self.sheet()?.write_number(row, column, number)?;
                }
            },
            Content::Number(..) => {}
        }
        Ok(())
    }

    fn put_value(&mut self, column: u16, value: &Value) -> Result<(), XlsxError> {
        /// Beyond it Excel does not keep every digit of a number.
        const EXACT: f64 = 1e15;
        match value {
            Value::Null => Ok(()),
            Value::Bool(truth) => self.put(column, Content::Truth(*truth)),
            Value::String(text) => self.put(column, Content::Text(text)),
            Value::Number(number) => match number.as_f64() {
                Some(short) if short.abs() < EXACT || number.is_f64() => self.put(column, Content::Number(short, None)),
                _ => self.put(column, Content::Text(&number.to_string())),
            },
            other => self.put(column, Content::Text(&other.to_string())),
        }
    }

    fn put_cell(&mut self, column: u16, cell: &SheetCell) -> Result<(), XlsxError> {
        match cell {
            SheetCell::Empty | SheetCell::Error(_) => Ok(()),
            SheetCell::Text(text) => self.put(column, Content::Text(text)),
            SheetCell::Bool(truth) => self.put(column, Content::Truth(*truth)),
            SheetCell::Number { value, format } => self.put(column, Content::Number(*value, format.as_deref())),
            SheetCell::Date { serial, format, .. } => {
                let usual = if serial.fract() == 0.0 { DATE } else { MOMENT };
                self.put(column, Content::Number(*serial, Some(format.as_deref().unwrap_or(usual))))
            }
        }
    }

    fn put_row(&mut self, row: &Row, values: &[OutputValue]) -> Result<(), XlsxError> {
        let width = self.columns.len();
        for index in 0..width {
            let column = index as u16;
            match &row.record {
                Record::Typed(TypedRow::Sheet(cells)) => {
                    if let Some(cell) = cells.get(index) {
                        self.put_cell(column, cell)?;
                    }
                }
                Record::Typed(typed) => match typed.moment(index).and_then(|text| serial_of(&text)) {
                    Some((serial, format)) => self.put(column, Content::Number(serial, Some(format)))?,
                    None => self.put_value(column, &typed.value(index).unwrap_or_default())?,
                },
                Record::Object { members, .. } => {
                    let Some(name) = self.columns.get(index) else { continue };
                    match members.get(name) {
                        Some(Value::Number(number)) if number.is_f64() => {
                            let text = row.text(name, index).unwrap_or_default();
                            match text.contains(['.', 'e', 'E']) {
                                true => self.put(column, Content::Number(number.as_f64().unwrap_or(f64::NAN), None))?,
                                // An id of more digits than a number holds.
                                false => self.put(column, Content::Text(&text))?,
                            }
                        }
                        Some(Value::Array(_) | Value::Object(_)) => {
                            self.put(column, Content::Text(&row.text(name, index).unwrap_or_default()))?;
                        }
                        Some(value) => self.put_value(column, value)?,
                        None => {}
                    }
                }
                Record::Fields { .. } | Record::Line(_) => {
                    self.put(column, Content::Text(&row.text("", index).unwrap_or_default()))?;
                }
            }
        }
        for (column, value) in (width as u16..).zip(values) {
            match value {
                OutputValue::Text(text) => self.put(column, Content::Text(text))?,
                OutputValue::Number(number) => self.put(column, Content::Number(*number, None))?,
                OutputValue::Whole(number) => self.put(column, Content::Number(*number as f64, None))?,
                OutputValue::Exact(number) => self.put(column, Content::Number(f64::from(*number), None))?,
                OutputValue::Numbers(_) | OutputValue::Empty => {}
            }
        }
        Ok(())
    }
}

/// What is put into a cell.
enum Content<'a> {
    Text(&'a str),
    Truth(bool),
    /// With the code of its format.
    Number(f64, Option<&'a str>),
}

impl WholeWriter for XlsxWriter {
    fn write(&mut self, row: &Row, values: &[OutputValue]) -> Result<()> {
        if let Record::Object { members, .. } = &row.record {
            check_keys(members, &self.columns).map_err(|error| error.row(row.number).line(row.line))?;
        }
        self.put_row(row, values).map_err(|error| failed(&error, &self.path).row(row.number))?;
        self.row += 1;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>> {
        let io = |error| Error::io(error, &self.path);
        let mut file = BufWriter::new(files::create(&self.path)?);
        self.workbook.save_to_writer(&mut file).map_err(|error| failed(&error, &self.path))?;
        file.flush().map_err(io)?;
        let cells = if self.cut == 1 { "1 cell is".to_owned() } else { format!("{} cells are", self.cut) };
        let cut = self.first_cut.as_ref().map(|(row, column)| {
            format!(
                "{cells} cut to the {MAX_CHARACTERS} characters that a cell of Excel holds, the first in row {row}, \
                 column `{column}`; .csv and .parquet keep all"
            )
        });
        Ok(self.left_out.into_iter().chain(cut).collect())
    }
}

/// What a workbook has besides the rows that are read and written.
fn left_out(sheet: &Sheet) -> Option<String> {
    let others = match sheet.others.as_slice() {
        [] => None,
        [one] => Some(format!("the sheet `{one}`")),
        several => Some(format!("the sheets {}", listed(several))),
    };
    let above = match sheet.rows_above {
        0 => None,
        1 => Some("the row above the header".to_owned()),
        rows => Some(format!("the {rows} rows above the header")),
    };
    let parts: Vec<String> = others.into_iter().chain(above).collect();
    let what = parts.join(" and ");
    (!parts.is_empty()).then(|| format!("the output has the table of the sheet `{}` alone, without {what}", sheet.name))
}

/// The beginning of a text that fits into a cell.
fn fitting(text: &str) -> &str {
    if text.len() <= MAX_CHARACTERS {
        return text;
    }
    let mut units = 0;
    for (at, character) in text.char_indices() {
        units += character.len_utf16();
        if units > MAX_CHARACTERS {
            return text.get(..at).unwrap_or_default();
        }
    }
    text
}

/// A date or moment, as ISO 8601 writes it with a blank, as Excel stores it, with its format; `None` where Excel has no
/// such day.
fn serial_of(text: &str) -> Option<(f64, &'static str)> {
    let text = text.strip_suffix("+00:00").unwrap_or(text);
    let moment = ExcelDateTime::parse_from_str(&text.replace(' ', "T")).ok()?;
    Some((moment.to_excel(), if text.contains(' ') { MOMENT } else { DATE }))
}

fn failed(error: &XlsxError, path: &Path) -> Error {
    match error {
        XlsxError::IoError(error) => Error::io(std::io::Error::new(error.kind(), error.to_string()), path),
        other => Error::failure(format!("the workbook cannot be written: {other}")).file(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        let long = "😎".repeat(20_000);
        assert_eq!(fitting(&long).chars().count(), 16_383);
        assert_eq!(fitting("short"), "short");
    }

    #[test]
    fn dates_are_numbers_for_excel() {
        assert_eq!(serial_of("2024-03-01"), Some((45_352.0, DATE)));
        assert_eq!(serial_of("2024-03-01 12:00:00"), Some((45_352.5, MOMENT)));
        assert_eq!(serial_of("0001-01-01"), None);
    }
}
