//! Takes the text and the label out of a row, by the columns that hold them. Which these are is `column_choice.rs`'
//! part, numbering the labels is [`super::labels`]'.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::format::FileLayout;
use super::label_text::{brief, trimmed_cow};
use super::lookup::{Column, columns_of};
use super::options::TextColumns;
use super::row::{Cell, Row};
use super::row_labels::{RowLabel, RowLabels, json_label, json_labels, kind_of, listed_labels, yes_or_no};
use super::{DetectedSetting, Input};
use crate::error::{Error, Result, listed};

/// The columns that matter, found in a file.
#[derive(Debug, Clone)]
pub struct ResolvedColumns {
    /// One: a text or an image path. Two: a pair of texts. More: parts of one text.
    pub(super) text: Vec<Column>,
    /// Where the label is.
    pub(super) label: Option<LabelSource>,
    /// As messages name it.
    pub(super) file: PathBuf,
    /// The folder that image paths are relative to, when the model reads images.
    pub(super) image_folder: Option<PathBuf>,
    /// The rows are a folder's files.
    pub(super) is_listing: bool,
    /// What was chosen rather than given, with reasons.
    pub choices: Vec<DetectedSetting>,
    /// Choices that somebody may not want, which are to be said even when quiet.
    pub warnings: Vec<String>,
}

/// Where a row's label or labels stand.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LabelSource {
    /// In a cell.
    Column(Column),
    /// Each label has a column, which says whether the row has it.
    YesNo {
        /// As somebody named them: joined by commas.
        named: String,
        /// By label.
        columns: Vec<Column>,
    },
}

impl LabelSource {
    fn name(&self) -> &str {
        match self {
            Self::Column(column) => &column.name,
            Self::YesNo { named, .. } => named,
        }
    }

    pub(super) fn columns(&self) -> &[Column] {
        match self {
            Self::Column(column) => std::slice::from_ref(column),
            Self::YesNo { columns, .. } => columns,
        }
    }
}

impl ResolvedColumns {
    /// The columns of the text, or the column of the image paths.
    pub fn text(&self) -> TextColumns {
        TextColumns::new(self.text_names())
    }

    /// Their names, in the order in which they are read.
    pub fn text_names(&self) -> impl Iterator<Item = &str> {
        self.text.iter().map(|column| column.name.as_str())
    }

    /// The label's column, where there is one; of a column for each label their names, joined by commas.
    pub fn label(&self) -> Option<&str> {
        self.label.as_ref().map(LabelSource::name)
    }

    /// The columns of the label or the labels.
    pub fn label_columns(&self) -> impl Iterator<Item = &str> {
        self.label.iter().flat_map(LabelSource::columns).map(|column| column.name.as_str())
    }

    /// The labels that have a column each; none where labels stand in one column.
    pub fn labels_of_columns(&self) -> impl Iterator<Item = &str> {
        let columns = match &self.label {
            Some(LabelSource::YesNo { columns, .. }) => columns.as_slice(),
            _ => &[],
        };
        columns.iter().map(|column| column.name.trim())
    }

    /// The file that they were found in, as messages name it.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whether the same columns stand in the same places.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.text == other.text && self.label == other.label
    }

    /// That another file has these columns too, by the same names.
    ///
    /// # Errors
    /// With the other file, naming the first column that it lacks.
    pub(super) fn check_that_has(&self, layout: &FileLayout) -> Result<()> {
        if self.file.is_dir() {
            return Ok(());
        }
        let is_there = |column: &Column| columns_of(layout).any(|known| known.name.trim() == column.name.trim());
        let label = self.label.iter().flat_map(LabelSource::columns);
        let absent = self.text.iter().chain(label).find(|column| !is_there(column));
        match absent {
            None => Ok(()),
            Some(column) => Err(Error::request(format!(
                "there is no such column, which {} has; the columns are {}",
                self.file.display(),
                listed(&layout.columns)
            ))
            .file(&layout.file)
            .column(&column.name)
            .hint(
                "files that are read together must agree in the columns of text and label: rename it in one of them",
            )),
        }
    }

    /// What the network gets to see of a row. Of three columns and more, the parts that are not empty with a bar
    /// between them: in Python, `" | ".join(part for part in parts if part.strip())`.
    ///
    /// # Errors
    /// With file, row and column, when a JSON object lacks the text or holds something else there.
    pub fn input_of(&self, row: &Row) -> Result<Input> {
        let mut texts = match self.text.as_slice() {
            [] | [_] | [_, _] => {
                self.text.iter().map(|column| self.text_in(row, column)).collect::<Result<Vec<_>>>()?
            }
            parts => parts.iter().map(|column| self.part_in(row, column)).collect::<Result<Vec<_>>>()?,
        };
        if let (Some(folder), Some(path), Some(column)) = (&self.image_folder, texts.first(), self.text.first()) {
            return match path.trim() {
                "" => Err(self.error_at(row, column, "the path of the image is empty").hint("fill it in")),
                // A listed name is taken as it is; blanks around a typed one are meant if there is such a file.
                trimmed if trimmed.len() < path.len() && !self.is_listing && !folder.join(path).exists() => {
                    Ok(Input::Image(folder.join(trimmed)))
                }
                _ => Ok(Input::Image(folder.join(path))),
            };
        }
        Ok(match texts.as_mut_slice() {
            [text] => Input::Text(std::mem::take(text)),
            [first, second] => Input::Pair(std::mem::take(first), std::mem::take(second)),
            _ => {
                texts.retain(|part| !part.trim().is_empty());
                Input::Text(texts.join(BETWEEN_PARTS))
            }
        })
    }

    /// One of several parts, which a row need not have.
    fn part_in(&self, row: &Row, column: &Column) -> Result<String> {
        match row.cell(&column.name, column.index) {
            None => Ok(String::new()),
            Some(Cell::Json(value)) if value.is_null() => Ok(String::new()),
            Some(_) => self.text_in(row, column),
        }
    }

    fn text_in(&self, row: &Row, column: &Column) -> Result<String> {
        match row.cell(&column.name, column.index) {
            Some(Cell::Text(text)) => Ok(text.into_owned()),
            Some(Cell::Json(value)) => match &*value {
                Value::Number(_) => Ok(row.text(&column.name, column.index).unwrap_or_default().into_owned()),
                Value::Null => Ok(String::new()),
                other => Err(self
                    .error_at(row, column, format!("the text is {}", kind_of(other)))
                    .hint("the text must be a string; write \"\" for no text")),
            },
            None => Err(self.error_at(row, column, "the text is missing").hint("write \"\" for no text")),
        }
    }

    /// The label of a row, without white space and other invisible characters around it; an empty one where the row has
    /// none. `None` when the columns were resolved without a label. Borrowed from the row where possible.
    ///
    /// # Errors
    /// With file, row and column, when the label is neither a string, a number, a truth value, nor a list of one of
    /// these.
    pub fn label_of<'r>(&self, row: &'r Row) -> Result<Option<RowLabel<'r>>> {
        let column = match &self.label {
            None => return Ok(None),
            Some(LabelSource::Column(column)) => column,
            Some(LabelSource::YesNo { .. }) => {
                return Err(Error::failure("the columns of several labels are read as those of one"));
            }
        };
        let name = match row.cell(&column.name, column.index) {
            Some(Cell::Text(text)) => text,
            Some(Cell::Json(value)) if value.is_null() => Cow::Borrowed(""),
            Some(Cell::Json(value)) if value.is_number() => row.text(&column.name, column.index).unwrap_or_default(),
            Some(Cell::Json(value)) => json_label(&value).map(Cow::Owned).ok_or_else(|| {
                self.error_at(row, column, format!("the label is {}", kind_of(&value)))
                    .hint("a label must be a string, a number or a truth value, or a list of one of these")
            })?,
            None => return Ok(Some(RowLabel { name: Cow::Borrowed(""), was_trimmed: false, is_absent: true })),
        };
        let length = name.len();
        let name = trimmed_cow(name);
        Ok(Some(RowLabel { was_trimmed: name.len() < length, name, is_absent: false }))
    }

    /// The labels of a row that may have any number of them; `None` when the columns were resolved without a label.
    ///
    /// # Errors
    /// With file, row and column, when a cell is no list of labels, or does not say whether the row has its label.
    pub fn labels_of(&self, row: &Row, separator: &str) -> Result<Option<RowLabels>> {
        match &self.label {
            None => Ok(None),
            Some(LabelSource::YesNo { columns, .. }) => {
                let mut names = Vec::new();
                for column in columns {
                    let cell = row.text(&column.name, column.index);
                    match cell.as_deref().and_then(yes_or_no) {
                        Some(true) => names.push(column.name.trim().to_owned()),
                        Some(false) => {}
                        None => return Err(self.no_yes_or_no(row, column, cell.as_deref())),
                    }
                }
                Ok(Some(RowLabels { names, is_absent: false }))
            }
            Some(LabelSource::Column(column)) => match row.cell(&column.name, column.index) {
                None => Ok(Some(RowLabels { names: Vec::new(), is_absent: true })),
                Some(Cell::Text(text)) => {
                    let names = listed_labels(&text, separator).ok_or_else(|| {
                        self.error_at(row, column, format!("the labels `{}` are no list", brief(&text)))
                            .hint("a list is written as in JSON: [\"a\", \"b\"]; or join the names: a|b")
                    })?;
                    Ok(Some(RowLabels { names, is_absent: false }))
                }
                Some(Cell::Json(value)) => {
                    let names = match &*value {
                        Value::String(text) => listed_labels(text, separator),
                        value => json_labels(value),
                    };
                    let names = names.ok_or_else(|| {
                        self.error_at(row, column, format!("the labels are {}", kind_of(&value)))
                            .hint("labels are a list of strings, numbers or truth values; an empty one is no label")
                    })?;
                    Ok(Some(RowLabels { names, is_absent: false }))
                }
            },
        }
    }

    fn no_yes_or_no(&self, row: &Row, column: &Column, cell: Option<&str>) -> Error {
        let what = match cell.map(str::trim) {
            None | Some("") => "it is not said whether the row has this label".to_owned(),
            Some(cell) => format!("`{}` does not say whether the row has this label", brief(cell)),
        };
        self.error_at(row, column, what).hint("a column of a label holds 1 or 0 (or true and false, yes and no)")
    }

    /// Gives an error about a row's label its place.
    pub(super) fn at_label(&self, error: Error, row: u64, line: u64) -> Error {
        self.at_label_column(error.row(row).line(line))
    }

    /// Gives an error about all labels of the file its place.
    pub fn at_label_column(&self, error: Error) -> Error {
        let error = error.file(&self.file);
        match self.label() {
            Some(column) => error.column(column),
            None => error,
        }
    }

    fn error_at(&self, row: &Row, column: &Column, message: impl Into<String>) -> Error {
        Error::request(message).file(&self.file).row(row.number).line(row.line).column(&column.name)
    }
}

/// Between the parts of a text of three columns and more. Tokenizers have a token for the bar; a line end would be
/// white space to most of them.
pub const BETWEEN_PARTS: &str = " | ";
