//! Outputs that are only whole at their end (Parquet, Excel workbooks): what is added to the rows grows in a file of
//! its own, which can be continued, and the output is made of it and the input when all rows are labelled.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::commands::label::progress::{Record, SameRows};
use crate::console::{Console, units};
use crate::data::format::{AddedColumn, FileFormat};
use crate::data::{InputRows, OutputValue, ReadOptions, Record as RowRecord, Row, RowReader, Together};
use crate::error::{Error, Result};

/// What it takes to make the output of the labels.
pub struct Assembly {
    pub format: FileFormat,
    pub inputs: Vec<PathBuf>,
    pub options: ReadOptions,
    pub added: Vec<AddedColumn>,
}

impl Assembly {
    /// Writes the input's rows with the `labels` into `output`.
    ///
    /// # Errors
    /// The input has changed since its rows were labelled, a row does not fit the format, writing fails, or
    /// interrupted.
    pub fn write(&self, labels: &Path, records: &[Record], output: &Path, console: &Console) -> Result<()> {
        let written = self.write_rows(labels, records, output);
        if written.is_err() {
            let _ = std::fs::remove_file(output);
        }
        for remark in written? {
            console.warn(remark);
        }
        Ok(())
    }

    fn write_rows(&self, labels: &Path, records: &[Record], output: &Path) -> Result<Vec<String>> {
        let rows = InputRows::open(&self.inputs, &self.options, Together::Written)?;
        let (file, columns) = (rows.layout().file.clone(), rows.columns().clone());
        let mut writer = self.format.whole_writer(output, rows.layout(), &self.added)?;
        let mut labels = match records {
            [] => None,
            _ => Some(RowReader::open(labels, &ReadOptions::default())?),
        };
        let mut same = SameRows::new(records);
        for row in rows {
            let row = row?;
            same.take(&row, columns.file_of(&row))?;
            let answer = labels.as_mut().and_then(Iterator::next).ok_or_else(|| changed(columns.file_of(&row)))??;
            let written = writer.write(&row, &self.values(&answer));
            written.map_err(|error| error.file(columns.file_of(&row)).row(row.number).line(row.line))?;
        }
        same.finish(&file)?;
        writer.finish()
    }

    fn values(&self, answer: &Row) -> Vec<OutputValue> {
        let RowRecord::Object { members, .. } = &answer.record else { return Vec::new() };
        let value = |column: &AddedColumn| match members.get(&column.name) {
            Some(Value::String(text)) => OutputValue::Text(text.clone()),
            Some(Value::Number(number)) => number.as_f64().map_or(OutputValue::Empty, OutputValue::Number),
            _ => OutputValue::Empty,
        };
        self.added.iter().map(value).collect()
    }
}

fn changed(file: &Path) -> Error {
    Error::request("there are more rows here than were labelled: the input has changed")
        .file(file)
        .hint("resume with the input as it was, or delete the partial output to begin again")
}

/// That a format holds so many rows, where their number is known.
///
/// # Errors
/// It does not.
pub fn check_row_count(format: FileFormat, rows: Option<u64>, output: &Path) -> Result<()> {
    match (format.max_rows(), rows) {
        (Some(most), Some(rows)) if rows > most => Err(too_many_rows(most).file(output)),
        _ => Ok(()),
    }
}

/// The error for more rows than a format holds.
pub fn too_many_rows(most: u64) -> Error {
    Error::request(format!("a sheet of Excel holds {} rows and a header, and there are more", units::count(most)))
        .hint("write to a .csv or .parquet file")
}
