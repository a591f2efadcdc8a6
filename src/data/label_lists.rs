//! Whether a file plainly gives its rows several labels each: lists, or a column for each label. Whether names are
//! joined in one cell is told by `label_findings.rs`, from all of them.

use std::path::Path;

use serde_json::Value;

use super::column_choice::{LabelColumn, resolve};
use super::lookup::columns_of;
use super::options::{ReadOptions, TextColumns};
use super::reader::RowReader;
use super::row::Cell;
use crate::error::Result;

/// Rows that are looked at.
const ROWS: usize = 1000;

/// Why a row of the first of `files` may have several labels, as the end of a sentence; `None` where that is not plain.
///
/// # Errors
/// The file cannot be read; what is wrong with its rows or columns is for the loading to say.
pub fn lists_of_labels<P: AsRef<Path>>(files: &[P], options: &ReadOptions) -> Result<Option<String>> {
    let Some(file) = files.first().map(AsRef::as_ref).filter(|file| !file.is_dir()) else { return Ok(None) };
    let rows = RowReader::open(file, &ReadOptions { skip_bad_rows: true, ..options.clone() })?;
    if let Some(given) = &options.label {
        let names = TextColumns::new([given.as_str()]).names_in(&rows.layout().columns);
        let is_column = |name: &String| columns_of(rows.layout()).any(|column| column.name.trim() == name.trim());
        if names.len() > 1 && names.iter().all(is_column) {
            return Ok(Some(format!("{} columns are named, one for each label", names.len())));
        }
    }
    if !rows.layout().format.has_lists() {
        return Ok(None);
    }
    let Ok(columns) = resolve(rows.layout(), options, LabelColumn::Optional) else { return Ok(None) };
    let Some(label) = columns.label().map(str::to_owned) else { return Ok(None) };
    let Some(index) = rows.layout().columns.iter().position(|column| *column == label) else { return Ok(None) };
    for row in rows.take(ROWS) {
        let Ok(row) = row else { continue };
        if let Some(Cell::Json(value)) = row.cell(&label, index)
            && let Value::Array(list) = &*value
            && list.len() != 1
        {
            return Ok(Some(format!("row {} has a list of {} labels", row.number, list.len())));
        }
    }
    Ok(None)
}
