//! An output that is read again: its labels and confidences, to count them or to sort images by them. How it is written
//! is `output.rs`'s affair.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::cli::LabelArgs;
use crate::data::spreadsheet_safe::as_it_was;
use crate::data::writer::output_format;
use crate::data::{FileLayout, ReadOptions, Row, RowReader, TextColumns};
use crate::error::{Error, Result};

/// A written file that is read again.
pub struct WrittenRows {
    pub rows: RowReader,
    pub columns: WrittenColumns,
    /// Where the columns of label and confidence stand.
    pub label: usize,
    pub confidence: usize,
    /// Where that of typicality stands, and from when on a row was too unusual; where there is such a column.
    pub typicality: Option<(usize, f64)>,
}

/// The columns of a written file.
pub struct WrittenColumns {
    file: PathBuf,
    names: Vec<String>,
    /// Whether its fields were kept from being formulas.
    is_safe: bool,
}

impl WrittenRows {
    /// Opens what was written of the rows of `input`, as it was written.
    ///
    /// # Errors
    /// It cannot be read, or lacks these columns.
    pub fn open(file: &Path, input: &FileLayout, args: &LabelArgs) -> Result<Self> {
        let added = ["predicted_label", "confidence"].map(|name| args.added_column(name));
        let options = output_format(file, input)?.options_to_read_again(input);
        let text = Some(TextColumns::new([&added[0]])).filter(|_| !options.no_header);
        let rows = RowReader::open(file, &ReadOptions { text, ..options.clone() })?;
        let is_safe = args.csv_safe;
        let named = |name: &String| if is_safe { as_it_was(name.into()).into_owned() } else { name.clone() };
        let names = rows.columns().iter().map(named).collect();
        let columns = WrittenColumns { file: file.to_owned(), names, is_safe };
        // Without a header they are known by their place.
        let [label, confidence] = match options.no_header {
            true => [0, 1].map(|place| Ok(input.columns.len() + place)),
            false => [&added[0], &added[1]].map(|name| columns.index(name)),
        };
        let (label, confidence) = (label?, confidence?);
        // It stands after them.
        let typicality = args.unknown.map(|share| (confidence + 1, share));
        Ok(Self { rows, columns, label, confidence, typicality })
    }
}

impl WrittenColumns {
    /// Where a column stands.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn index(&self, name: &str) -> Result<usize> {
        self.names.iter().position(|column| column == name).ok_or_else(|| {
            Error::request("this is not what was written of these rows: a column is missing")
                .file(&self.file)
                .column(name)
        })
    }

    /// The text of a row's field.
    pub fn value<'r>(&self, row: &'r Row, index: usize) -> Cow<'r, str> {
        let text = self.names.get(index).and_then(|name| row.text(name, index)).unwrap_or_default();
        if self.is_safe { as_it_was(text) } else { text }
    }
}
