//! The columns of several files that are read as one input: each file has its own, by the same names. Which files go
//! together is decided here.

use std::path::Path;
use std::sync::Arc;

use super::Input;
use super::column_choice::{LabelColumn, resolve};
use super::columns::ResolvedColumns;
use super::format::FileLayout;
use super::options::ReadOptions;
use super::row::Row;
use super::row_labels::RowLabel;
use crate::error::{Error, Result, listed};

/// What files that are read together must have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Together {
    /// What the network gets to see: the other columns do not matter.
    Read,
    /// All columns: the rows of all files are written into one.
    Written,
}

/// The columns that matter, in each of the files.
#[derive(Debug, Clone)]
pub struct InputColumns(Arc<Vec<ResolvedColumns>>);

impl InputColumns {
    /// Those of files with these columns.
    pub(super) fn new(of_files: Vec<ResolvedColumns>) -> Self {
        Self(Arc::new(of_files))
    }

    /// Those of a file; of the first where there is no such file.
    pub fn of_file(&self, file: u32) -> Option<&ResolvedColumns> {
        self.0.get(file as usize).or_else(|| self.0.first())
    }

    /// Each file's.
    pub fn iter(&self) -> impl Iterator<Item = &ResolvedColumns> {
        self.0.iter()
    }

    /// The file that a row stands in, as messages name it.
    pub fn file_of(&self, row: &Row) -> &Path {
        self.of_file(row.file).map_or(Path::new(""), ResolvedColumns::file)
    }

    /// As [`ResolvedColumns::input_of`].
    ///
    /// # Errors
    /// As there.
    pub fn input_of(&self, row: &Row) -> Result<Input> {
        self.of(row)?.input_of(row)
    }

    /// As [`ResolvedColumns::label_of`].
    ///
    /// # Errors
    /// As there.
    pub fn label_of<'r>(&self, row: &'r Row) -> Result<Option<RowLabel<'r>>> {
        self.of(row)?.label_of(row)
    }

    fn of(&self, row: &Row) -> Result<&ResolvedColumns> {
        self.of_file(row.file).ok_or_else(|| Error::failure("a row of no file").row(row.number))
    }

    /// The label's column, where there is one.
    pub fn label(&self) -> Option<&str> {
        self.of_file(0)?.label()
    }
}

/// The columns of a file that is read together with others, whose first has the columns `first` and looks like
/// `layout`.
///
/// # Errors
/// It does not go together with them.
pub(super) fn columns_of_other(
    other: &FileLayout,
    first: &ResolvedColumns,
    layout: &FileLayout,
    options: &ReadOptions,
    together: Together,
) -> Result<ResolvedColumns> {
    if other.file.is_dir() != layout.file.is_dir() {
        return Err(Error::request("a folder and a file cannot be read together")
            .file(&other.file)
            .hint(format!("{} is of the other kind: give one of them at a time", layout.file.display())));
    }
    if together == Together::Written {
        check_written(other, layout)?;
    }
    resolve(other, &options_of_other(first, options), LabelColumn::Optional)
}

/// How other files are read than the first: with its columns of the text.
pub(super) fn options_of_other(first: &ResolvedColumns, options: &ReadOptions) -> ReadOptions {
    if first.file().is_dir() {
        return options.clone();
    }
    ReadOptions { text: Some(first.text()), ..options.clone() }
}

/// That the rows of both can be written into one file.
fn check_written(other: &FileLayout, first: &FileLayout) -> Result<()> {
    let refused = |message: String| {
        Err(Error::request(message).file(&other.file).hint(
            "files that are written into one must agree; `rehead label` writes one for each into --output FOLDER/",
        ))
    };
    let name = first.file.display();
    if first.file.is_dir() {
        return refused("images of several folders are not listed in one file: their names would mean several".into());
    }
    if other.format != first.format {
        return refused(format!(
            "this is {}, and {name} is {}: one output is made of one format",
            other.format, first.format
        ));
    }
    if has_keys(first) {
        return Ok(());
    }
    if other.columns != first.columns {
        return refused(match missing(&first.columns, &other.columns) {
            Some(missing) => {
                format!("there is no column `{missing}`, which {name} has; the columns are {}", listed(&other.columns))
            }
            None => match missing(&other.columns, &first.columns) {
                Some(new) => format!("the column `{new}` is not in {name}"),
                None => format!("the columns are in another order than in {name}"),
            },
        });
    }
    if let (Some(schema), Some(first)) = (&other.schema, &first.schema) {
        let differing = schema.fields().iter().zip(first.fields()).find(|(a, b)| a.data_type() != b.data_type());
        if let Some((field, first)) = differing {
            let (kind, first_kind) = (field.data_type(), first.data_type());
            return refused(format!("the column `{}` is {kind}, and in {name} {first_kind}", field.name()));
        }
    }
    Ok(())
}

/// Whether each row names its columns itself.
fn has_keys(layout: &FileLayout) -> bool {
    layout.format.name() == "jsonl"
}

/// The first of the columns that is not among the others.
fn missing<'c>(columns: &'c [String], others: &[String]) -> Option<&'c String> {
    columns.iter().find(|column| !others.contains(column))
}

/// Adds columns that only another file has, where rows name theirs.
pub(super) fn add_keys(layout: &mut FileLayout, other: &FileLayout) {
    if has_keys(layout) && layout.format == other.format {
        let new: Vec<String> =
            other.columns.iter().filter(|column| !layout.columns.contains(column)).cloned().collect();
        layout.columns.extend(new);
    }
}
