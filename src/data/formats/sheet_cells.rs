//! The cells of a spreadsheet's sheet, each at its place, as far as they hold something: a cell far away costs nothing,
//! and what all take in memory is bounded. Header, columns and rows are `spreadsheet.rs`'s affair.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::sync::Arc;

use calamine::{Cell, CellErrorType, Data, DataRef, ExcelDateTime, Reader, Sheets, Xlsx};

use crate::data::typed::SheetCell;

/// The cells of a row that hold something, each with its column, and the row's number in the sheet, from 1.
pub struct SparseRow {
    pub line: u64,
    pub cells: Vec<(usize, SheetCell)>,
}

pub fn has_data(workbook: &mut Sheets<BufReader<File>>, name: &str) -> Result<bool, calamine::Error> {
    let is_filled = |cell: &Cell<DataRef>| *cell.get_value() != DataRef::Empty;
    match workbook {
        Sheets::Xlsx(workbook) => {
            let mut cells = workbook.worksheet_cells_reader(name)?;
            while let Some(cell) = cells.next_cell()? {
                if is_filled(&cell) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Sheets::Xlsb(workbook) => {
            let mut cells = workbook.worksheet_cells_reader(name)?;
            while let Some(cell) = cells.next_cell()? {
                if is_filled(&cell) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        workbook => Ok(workbook.worksheet_range(name)?.used_cells().next().is_some()),
    }
}

/// The rows of a sheet from the top, without those in which nothing was ever entered.
pub fn sheet_rows(workbook: &mut Sheets<BufReader<File>>, name: &str) -> Result<Rows, calamine::Error> {
    if let Sheets::Xlsx(workbook) = workbook {
        return xlsx_rows(workbook, name);
    }
    if let Sheets::Xlsb(workbook) = workbook {
        let (mut cells, mut rows) = (workbook.worksheet_cells_reader(name)?, Rows::default());
        while let Some(cell) = cells.next_cell()? {
            let (row, column) = cell.get_position();
            rows.push(u64::from(row), column as usize, sheet_cell(cell.get_value().clone(), None, false))?;
        }
        return Ok(rows);
    }
    let range = workbook.worksheet_range(name)?;
    let (first_row, first_column) = range.start().unwrap_or_default();
    let mut rows = Rows::default();
    for (row, column, value) in range.used_cells() {
        let cell = sheet_cell(borrowed(value), None, false);
        rows.push((row + first_row as usize) as u64, column + first_column as usize, cell)?;
    }
    Ok(rows)
}

/// Cell by cell, so that a stray cell far away costs nothing, and with the format of each number.
fn xlsx_rows<R: Read + Seek>(workbook: &mut Xlsx<R>, name: &str) -> Result<Rows, calamine::Error> {
    let is_1904 = workbook.has_1904_epoch();
    let mut cells = workbook.worksheet_cells_reader(name)?;
    let formats: Vec<Option<Arc<str>>> = cells
        .styles()
        .iter()
        .map(|style| {
            let code = &style.number_format.as_ref()?.format_code;
            (code != "General").then(|| Arc::from(code.as_str()))
        })
        .collect();
    let mut rows = Rows::default();
    while let Some((cell, style)) = cells.next_cell_with_style_id()? {
        let (row, column) = cell.get_position();
        let format = formats.get(style).cloned().flatten();
        rows.push(u64::from(row), column as usize, sheet_cell(cell.get_value().clone(), format, is_1904))?;
    }
    Ok(rows)
}

/// Rows that are made of cells, which come row by row.
#[derive(Default)]
pub struct Rows {
    pub rows: Vec<SparseRow>,
    /// There are cells without a value: with a format alone, or a formula.
    pub has_blank_cells: bool,
    /// About what they take in memory.
    bytes: usize,
}

/// What the cells of a sheet may take in memory, each with its text, which may be written once for a million cells.
const MOST_BYTES: usize = 2 << 30;

impl Rows {
    /// `row` and `column` are counted from 0.
    ///
    /// # Errors
    /// There are too many for the memory.
    fn push(&mut self, row: u64, column: usize, cell: SheetCell) -> Result<(), calamine::Error> {
        self.has_blank_cells |= cell.is_empty();
        if cell == SheetCell::Empty {
            return Ok(());
        }
        let text = if let SheetCell::Text(text) | SheetCell::Date { text, .. } = &cell { text.len() } else { 0 };
        self.bytes += size_of::<(usize, SheetCell)>() + text;
        if self.bytes > MOST_BYTES {
            return Err(calamine::Error::Msg("its cells take more than 2 GiB of memory"));
        }
        match self.rows.last_mut() {
            Some(last) if last.line == row + 1 => last.cells.push((column, cell)),
            _ => self.rows.push(SparseRow { line: row + 1, cells: vec![(column, cell)] }),
        }
        Ok(())
    }
}

fn borrowed(value: &Data) -> DataRef<'_> {
    match value {
        Data::Empty => DataRef::Empty,
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => DataRef::SharedString(text),
        Data::Bool(truth) => DataRef::Bool(*truth),
        Data::Int(value) => DataRef::Int(*value),
        Data::Float(value) => DataRef::Float(*value),
        Data::DateTime(moment) => DataRef::DateTime(*moment),
        Data::Error(error) => DataRef::Error(error.clone()),
    }
}

pub fn sheet_cell(value: DataRef<'_>, format: Option<Arc<str>>, is_1904: bool) -> SheetCell {
    match value {
        DataRef::Empty => SheetCell::Empty,
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => SheetCell::Text(text),
        DataRef::SharedString(text) => SheetCell::Text(text.to_owned()),
        DataRef::Bool(truth) => SheetCell::Bool(truth),
        DataRef::Int(value) => SheetCell::Number { value: value as f64, format },
        DataRef::Float(value) => SheetCell::Number { value, format },
        DataRef::DateTime(moment) => {
            /// Days between the two days from which dates are counted.
            const DAYS_TO_1904: f64 = 1462.0;
            let shift = if is_1904 && moment.is_datetime() { DAYS_TO_1904 } else { 0.0 };
            SheetCell::Date { serial: moment.as_f64() + shift, text: moment_text(&moment), format }
        }
        DataRef::Error(error) => SheetCell::Error(error_name(&error)),
    }
}

/// `2024-03-01`, `2024-03-01 12:30:00` or `12:30:00`; a duration as hours, minutes and seconds.
fn moment_text(moment: &ExcelDateTime) -> String {
    let days = moment.as_f64();
    if moment.is_duration() {
        let seconds = (days.abs() * 86_400.0).round() as u64;
        let sign = if days < 0.0 { "-" } else { "" };
        return format!("{sign}{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, milli) = moment.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    let mut time = format!("{hour:02}:{minute:02}:{second:02}");
    if milli > 0 {
        time.push_str(&format!(".{milli:03}"));
    }
    match (days < 1.0, time == "00:00:00") {
        (true, _) => time,
        (false, true) => date,
        (false, false) => format!("{date} {time}"),
    }
}

fn error_name(error: &CellErrorType) -> &'static str {
    match error {
        CellErrorType::Div0 => "#DIV/0!",
        CellErrorType::NA => "#N/A",
        CellErrorType::Name => "#NAME?",
        CellErrorType::Null => "#NULL!",
        CellErrorType::Num => "#NUM!",
        CellErrorType::Ref => "#REF!",
        CellErrorType::Value => "#VALUE!",
        CellErrorType::GettingData => "#GETTING_DATA",
    }
}
