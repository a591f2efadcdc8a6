//! Spreadsheets (.xlsx, .xlsm, .xlsb, .xls, .ods): the first sheet with data, or the one that is named. The first row
//! with more than a title in it is the header. The sheet is held in memory; formulas stand for their last results, and
//! error values for nothing.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use calamine::{Reader, SheetType, SheetVisible, Sheets};

use super::sheet_cells::{SparseRow, has_data, sheet_cell, sheet_rows};
use super::xlsx_writer::{MAX_ROWS, XlsxWriter};
use crate::console::units::counted;
use crate::data::DetectedSetting;
use crate::data::format::{
    AddedColumn, FileLayout, Format, OpenedRows, RowSource, Sheet, TextStyle, WholeWriter, guarded,
};
use crate::data::header::{SAMPLED_ROWS, doubt, numbered};
use crate::data::options::ReadOptions;
use crate::data::row::{Record, Row, json_text};
use crate::data::stream::{ByteStream, is_standard_stream};
use crate::data::typed::{SheetCell, TypedRow};
use crate::error::{Error, Result, listed};
use crate::files;

pub struct Spreadsheet;

impl Format for Spreadsheet {
    fn name(&self) -> &'static str {
        "spreadsheet"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["xlsx", "xlsm", "xlsb", "xls", "ods"]
    }

    fn open_path(&self, path: &Path, options: &ReadOptions) -> Result<Option<OpenedRows>> {
        let extension = files::extension(path);
        if !self.extensions().contains(&extension.as_str()) || is_standard_stream(path) || path.is_dir() {
            return Ok(None);
        }
        guarded(path, || opened(path, options)).map(Some)
    }

    fn written_whole(&self) -> &'static [&'static str] {
        &["xlsx"]
    }

    fn whole_writer(&self, path: &Path, input: &FileLayout, added: &[AddedColumn]) -> Result<Box<dyn WholeWriter>> {
        Ok(Box::new(XlsxWriter::create(path, input, added)?))
    }

    fn max_rows(&self) -> Option<u64> {
        // The header is one of them.
        Some(MAX_ROWS - 1)
    }

    fn open_stream(&self, stream: ByteStream, _options: &ReadOptions) -> Result<OpenedRows> {
        Err(Error::request("a spreadsheet is read from a file, not from a compressed file or a pipe")
            .file(stream.name)
            .hint("name the uncompressed file itself"))
    }
}

fn opened(path: &Path, options: &ReadOptions) -> Result<OpenedRows> {
    let mut workbook = workbook(path)?;
    let (name, mut choices) = match &options.sheet {
        Some(given) => (given_sheet(&workbook, given, path)?, Vec::new()),
        None => chosen_sheet(&mut workbook, path)?,
    };
    let read = sheet_rows(&mut workbook, &name).map_err(|error| damaged(&error, path))?;
    let no_results = match read.has_blank_cells {
        true => formulas_without_result(&mut workbook, &name).map_err(|error| damaged(&error, path))?,
        false => None,
    };
    let mut rows = read.rows;
    // Below the first row of a single column a blank text is a row, as in other tables.
    let is_single = rows.iter().flat_map(|row| &row.cells).all(|(column, _)| *column == 0);
    let mut is_below = false;
    rows.retain(|row| {
        let is_filled = row.cells.iter().any(|(_, cell)| !cell.is_empty());
        is_below |= is_filled;
        is_filled || (is_single && is_below)
    });
    let title = if options.no_header { 0 } else { titles(&rows) };
    if title > 0
        && let Some(header) = rows.get(title)
    {
        choices.push(DetectedSetting::new(
            "header",
            format!("row {} of the sheet", header.line),
            "above it is a title in a single cell",
        ));
    }
    let mut rows = rows.into_iter().skip(title).peekable();
    let header = if options.no_header { None } else { rows.next() };
    // The row before the first one of data.
    let line = header.as_ref().map(|header| header.line).or_else(|| Some(rows.peek()?.line - 1));
    let Some(line) = line else {
        return Err(Error::request(format!("the sheet `{name}` is empty"))
            .file(path)
            .hint("its first row must name the columns, such as text and label"));
    };
    let rows: Vec<SparseRow> = rows.collect();
    let warnings = error_values(&rows).into_iter().chain(no_results).collect();
    let others = workbook.sheet_names().into_iter().filter(|other| *other != name).collect();
    let sheet = Some(Sheet { name, others, rows_above: title });
    let columns = columns(header.as_ref(), &rows);
    let schema = Some(Arc::new(schema(&columns, &rows)));
    let sampled: Vec<Vec<String>> = rows.iter().take(SAMPLED_ROWS).map(|row| texts(row, columns.len())).collect();
    let header_doubt = header.and_then(|_| doubt(&columns, &sampled, options));
    let style = TextStyle { no_header: options.no_header, header_doubt, ..TextStyle::default() };
    let layout = FileLayout { style, schema, sheet, warnings, ..FileLayout::new(path, &Spreadsheet, columns.clone()) };
    let source = SheetRows { line, rows: rows.into_iter().peekable(), width: columns.len() };
    Ok(OpenedRows { layout, rows: Box::new(source), choices })
}

/// How many rows above the header hold a title: one cell each, where the row below has several.
fn titles(rows: &[SparseRow]) -> usize {
    let filled = |row: &SparseRow| row.cells.iter().filter(|(_, cell)| !cell.is_empty()).count();
    let first = rows.iter().take_while(|row| filled(row) == 1).count();
    match rows.get(first) {
        // A column of texts with one stray cell far below is no title, nor are texts above a blank one.
        Some(below) if first <= MAX_TITLES && filled(below) > 1 => first,
        _ => 0,
    }
}

const MAX_TITLES: usize = 5;

/// The columns' names: the header's, and none for a column that only further rows have; numbers where there is no
/// header.
fn columns(header: Option<&SparseRow>, rows: &[SparseRow]) -> Vec<String> {
    let last = |row: &SparseRow| {
        let filled = row.cells.iter().filter(|(_, cell)| !cell.is_empty());
        filled.map(|(column, _)| column + 1).max().unwrap_or(0)
    };
    let width = rows.iter().map(last).max().unwrap_or(0).max(header.map_or(0, last));
    let Some(header) = header else {
        return numbered(width);
    };
    texts(header, width)
}

/// The cells of a row as texts.
fn texts(row: &SparseRow, width: usize) -> Vec<String> {
    let mut texts = vec![String::new(); width];
    for (column, cell) in &row.cells {
        if let Some(text) = texts.get_mut(*column) {
            *text = json_text(&cell.value()).into_owned();
        }
    }
    texts
}

/// The types of the columns, for a file that needs them: that of all cells which are not empty, and text where they
/// differ.
fn schema(columns: &[String], rows: &[SparseRow]) -> Schema {
    let mut kinds: Vec<Option<DataType>> = vec![None; columns.len()];
    for (column, cell) in rows.iter().flat_map(|row| &row.cells) {
        let kind = match cell {
            SheetCell::Empty | SheetCell::Error(_) => continue,
            SheetCell::Bool(_) => DataType::Boolean,
            SheetCell::Date { serial, .. } if *serial >= 1.0 => DataType::Timestamp(TimeUnit::Millisecond, None),
            SheetCell::Number { .. } if cell.value().is_i64() => DataType::Int64,
            SheetCell::Number { .. } => DataType::Float64,
            SheetCell::Text(_) | SheetCell::Date { .. } => DataType::Utf8,
        };
        let Some(known) = kinds.get_mut(*column) else { continue };
        let merged = match known.take() {
            None => kind,
            Some(before) if before == kind => kind,
            Some(DataType::Int64 | DataType::Float64) if matches!(kind, DataType::Int64 | DataType::Float64) => {
                DataType::Float64
            }
            Some(_) => DataType::Utf8,
        };
        *known = Some(merged);
    }
    let kinds = kinds.into_iter().map(|kind| kind.unwrap_or(DataType::Utf8));
    Schema::new(columns.iter().zip(kinds).map(|(name, kind)| Field::new(name, kind, true)).collect::<Vec<_>>())
}

/// What there is to say about error values, which hold nothing.
fn error_values(rows: &[SparseRow]) -> Option<String> {
    let errors: Vec<(u64, &str)> = rows
        .iter()
        .flat_map(|row| row.cells.iter().map(move |(_, cell)| (row.line, cell)))
        .filter_map(|(line, cell)| if let SheetCell::Error(name) = cell { Some((line, *name)) } else { None })
        .collect();
    let (line, name) = *errors.first()?;
    let (cells, are) = (counted(errors.len() as u64, "cell"), if errors.len() == 1 { "is" } else { "are" });
    Some(format!("{cells} with an error value {are} read as empty, the first ({name}) in row {line} of the sheet"))
}

/// What there is to say about formulas whose result is not in the file, as programs write them that compute nothing.
fn formulas_without_result(
    workbook: &mut Sheets<BufReader<File>>,
    name: &str,
) -> Result<Option<String>, calamine::Error> {
    let Sheets::Xlsx(workbook) = workbook else { return Ok(None) };
    let mut cells = workbook.worksheet_cells_reader(name)?;
    let (mut count, mut first) = (0, 0);
    while let Some(cell) = cells.next_cell_with_formula_metadata()? {
        if cell.formula.is_some() && sheet_cell(cell.value, None, false).is_empty() {
            count += 1;
            first = if count == 1 { cell.pos.0 + 1 } else { first };
        }
    }
    let (formulas, are) = (counted(count, "formula"), if count == 1 { "is" } else { "are" });
    Ok((count > 0).then(|| {
        format!(
            "{formulas} without a stored result {are} read as empty, the first in row {first} of the sheet; a \
             spreadsheet program that opens and saves the file stores the results"
        )
    }))
}

struct SheetRows {
    rows: std::iter::Peekable<std::vec::IntoIter<SparseRow>>,
    /// The sheet's row that was read last.
    line: u64,
    width: usize,
}

impl RowSource for SheetRows {
    fn next_row(&mut self, number: u64) -> Result<Option<Row>> {
        let Some(next) = self.rows.peek() else { return Ok(None) };
        // Blank rows are rows too, so that numbers mean the same whatever the rows are read for.
        self.line += 1;
        let mut cells = vec![SheetCell::Empty; self.width];
        if next.line <= self.line
            && let Some(row) = self.rows.next()
        {
            for (column, cell) in row.cells {
                if let Some(place) = cells.get_mut(column) {
                    *place = cell;
                }
            }
        }
        Ok(Some(Row::new(number, self.line, Record::Typed(TypedRow::Sheet(cells)))))
    }
}

fn workbook(path: &Path) -> Result<Sheets<BufReader<File>>> {
    let mut head = Vec::new();
    let mut file = File::open(path).map_err(|error| Error::io(error, path))?;
    file.by_ref().take(8).read_to_end(&mut head).map_err(|error| Error::io(error, path))?;
    file.rewind().map_err(|error| Error::io(error, path))?;
    if head.is_empty() {
        return Err(Error::request("the file is empty").file(path).hint("save or fetch the file again"));
    }
    let is_archive = head.starts_with(b"PK");
    let is_compound = head.starts_with(b"\xD0\xCF\x11\xE0");
    if !is_archive && !is_compound {
        return Err(Error::request("the name says spreadsheet, the content is something else (text or HTML?)")
            .file(path)
            .hint(
                "rename it to .csv or .tsv if it is text, or open it in a spreadsheet program and save it as .xlsx",
            ));
    }
    let file = BufReader::new(file);
    let extension = files::extension(path);
    let opened = match extension.as_str() {
        // By the content: files of the older kind often have the newer one's name, and the other way round.
        _ if is_compound && extension != "xls" => match calamine::open_workbook_from_rs(file) {
            Ok(workbook) => Ok(Sheets::Xls(workbook)),
            Err(calamine::XlsError::Password) => Err(calamine::Error::Xls(calamine::XlsError::Password)),
            // What is left of the compound files that have these names is encrypted ones.
            Err(_) => Err(calamine::Error::Msg("the workbook is protected by a password")),
        },
        "xls" if is_compound => calamine::open_workbook_from_rs(file).map(Sheets::Xls).map_err(calamine::Error::Xls),
        "xlsb" => calamine::open_workbook_from_rs(file).map(Sheets::Xlsb).map_err(calamine::Error::Xlsb),
        "ods" => calamine::open_workbook_from_rs(file).map(Sheets::Ods).map_err(calamine::Error::Ods),
        _ => calamine::open_workbook_from_rs(file).map(Sheets::Xlsx).map_err(calamine::Error::Xlsx),
    };
    opened.map_err(|error| damaged(&error, path))
}

fn damaged(error: &calamine::Error, path: &Path) -> Error {
    let message = error.to_string();
    // Without the names of the layers that it came through: `Xlsx error: Zip error: …`.
    let mut message = message.as_str();
    while let Some((layer, rest)) = message.split_once(" error: ")
        && !layer.contains(' ')
    {
        message = rest;
    }
    let is_protected = message.to_lowercase().contains("password");
    let (message, hint) = match is_protected {
        true => ("the workbook is protected by a password".to_owned(), "save it without a password"),
        false => (
            format!("the spreadsheet cannot be read: {message}"),
            "open it in a spreadsheet program and save it again as .xlsx, or as CSV with UTF-8 encoding",
        ),
    };
    Error::request(message).file(path).hint(hint)
}

/// The name of the sheet that somebody named, or gave the number of.
fn given_sheet(workbook: &Sheets<BufReader<File>>, given: &str, path: &Path) -> Result<String> {
    let names = workbook.sheet_names();
    let by_number = given.parse::<usize>().ok().and_then(|number| names.get(number.checked_sub(1)?));
    match names.iter().find(|name| *name == given).or(by_number) {
        Some(name) => Ok(name.clone()),
        None => Err(Error::request(format!("there is no sheet `{given}`; the sheets are {}", listed(&names)))
            .file(path)
            .key("sheet")
            .hint("name one of these with --sheet, or give its number, from 1")),
    }
}

/// The name of the sheet to read, and what there is to say about the choice.
fn chosen_sheet(workbook: &mut Sheets<BufReader<File>>, path: &Path) -> Result<(String, Vec<DetectedSetting>)> {
    let sheets = workbook.sheets_metadata().iter();
    let visible: Vec<String> = sheets
        .filter(|sheet| sheet.typ == SheetType::WorkSheet && sheet.visible == SheetVisible::Visible)
        .map(|sheet| sheet.name.clone())
        .collect();
    let mut filled = Vec::new();
    for name in visible {
        if has_data(workbook, &name).map_err(|error| damaged(&error, path))? {
            filled.push(name);
        }
    }
    let mut filled = filled.into_iter();
    let Some(first) = filled.next() else {
        return Err(Error::request("the workbook has no data").file(path).hint("name a hidden sheet with --sheet"));
    };
    let others: Vec<String> = filled.collect();
    let mut choices = Vec::new();
    if !others.is_empty() {
        let reason = format!("the first sheet with data; --sheet NAME reads another: {}", listed(&others));
        choices.push(DetectedSetting::new("sheet", &first, reason));
    }
    Ok((first, choices))
}
