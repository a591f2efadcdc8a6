//! The columns of a file for a model that was trained on columns of another. They have the same names; where they do
//! not, the file is refused unless only one column can be meant, since a model answers by the wrong column without a
//! word.

use super::format::FileLayout;
use super::lookup::{Column, columns_of, exact_column, flags, usual_column};
use super::names::{IMAGE_NAMES, KEY_NAMES, LABEL_NAMES, TEXT_NAMES};
use super::options::TextColumns;
use super::{DetectedSetting, Modality};
use crate::error::{Error, Result, listed};

pub const AS_IN_TRAINING: &str = "as in training";

/// What was found out about the columns of a file.
#[derive(Default)]
pub struct Findings {
    /// What was chosen rather than given.
    pub choices: Vec<DetectedSetting>,
    /// Choices that somebody may not want.
    pub warnings: Vec<String>,
}

/// The column of a name that a model was trained on; one that differs in case or in white space around it too, where it
/// is the only such.
pub fn trained_column(layout: &FileLayout, name: &str) -> Option<Column> {
    let folded = |name: &str| name.trim().to_lowercase();
    let mut alike = columns_of(layout).filter(|column| folded(&column.name) == folded(name));
    exact_column(layout, name).or_else(|| alike.next().filter(|_| alike.next().is_none()))
}

/// The text columns of a file for a model that was trained on `trained_on`.
///
/// # Errors
/// The file lacks them, and more than one column could be meant instead.
pub fn text_as_trained(
    layout: &FileLayout,
    trained_on: &TextColumns,
    label: Option<&Column>,
    modality: Modality,
    found: &mut Findings,
) -> Result<Vec<Column>> {
    let columns: Option<Vec<Column>> = trained_on.given().map(|name| trained_column(layout, name)).collect();
    if let Some(columns) = columns {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        found.choices.push(DetectedSetting::new("text", names.join(","), AS_IN_TRAINING));
        return Ok(columns);
    }
    let is_single = trained_on.given().count() == 1;
    if is_single && !layout.format.names_columns() {
        return Ok(columns_of(layout).collect());
    }
    let (what, usual): (_, &[&str]) = match modality {
        Modality::Text => ("text", &TEXT_NAMES),
        Modality::Image => ("image", &IMAGE_NAMES),
    };
    match only_column(layout, label, usual).filter(|_| is_single) {
        Some(column) => {
            found.warnings.push(instead(layout, what, &trained_on.to_string(), &column));
            found.choices.push(DetectedSetting::new("text", &column.name, "the only column that can be meant"));
            Ok(vec![column])
        }
        None => Err(lacks(layout, trained_on, "text")),
    }
}

/// The label's column in a file without the one that a model was trained on, where only one can be meant: it is the
/// only one besides the text, and has a usual name.
///
/// # Errors
/// More than one could be meant, or none.
pub fn label_instead(layout: &FileLayout, trained_on: &str, text: &[String], found: &mut Findings) -> Result<Column> {
    let usual = |column: &Column| has_name_of(layout, column, &LABEL_NAMES);
    let text_is_there = text.iter().all(|name| exact_column(layout, name).is_some());
    let is_text =
        |column: &Column| text.contains(&column.name) || !text_is_there && has_name_of(layout, column, &TEXT_NAMES);
    let others: Vec<Column> = columns_of(layout).filter(|column| !is_text(column) && !is_key(column)).collect();
    match others.as_slice() {
        [column] if usual(column) => {
            found.warnings.push(instead(layout, "label", trained_on, column));
            found.choices.push(DetectedSetting::new("label", &column.name, "the only column that can be meant"));
            Ok(column.clone())
        }
        _ => Err(lacks(layout, &TextColumns::new([trained_on]), "label")),
    }
}

/// That columns which somebody named make what a model was trained on: a single text, or a pair of texts.
///
/// # Errors
/// A model of pairs is given single texts, or the other way round.
pub fn check_same_shape(layout: &FileLayout, text: &[Column], trained_on: &TextColumns) -> Result<()> {
    let named = listed(trained_on.given());
    let several = trained_on.given().count() > 1;
    let columns = if several { "columns" } else { "column" };
    let (message, hint) = match (trained_on.is_pair(), text.len() == 2) {
        (true, true) | (false, false) => return Ok(()),
        (true, false) => (
            format!("this model was trained on pairs of texts (the {columns} {named}), and gets no pair here"),
            "name the two columns of the pair: --text COL,COL2",
        ),
        (false, true) if several => (
            format!("this model was trained on single texts (the {columns} {named}), and gets a pair here"),
            "name one column, or as many as in training: --text COL,COL2,COL3",
        ),
        (false, true) => (
            format!("this model was trained on single texts (the {columns} {named}), and gets a pair here"),
            "name one column: --text COL",
        ),
    };
    Err(Error::request(message).file(&layout.file).hint(hint))
}

/// That somebody named the columns of training in another order, which may be a slip and changes every answer.
pub fn other_order(layout: &FileLayout, text: &[Column], trained_on: &TextColumns) -> Option<String> {
    let trained: Vec<Column> = trained_on.given().map(|name| trained_column(layout, name)).collect::<Option<_>>()?;
    let is_same_set = trained.len() == text.len() && trained.iter().all(|column| text.contains(column));
    (is_same_set && trained != text).then(|| {
        let names = |columns: &[Column]| listed(columns.iter().map(|column| &column.name));
        let as_trained: Vec<&str> = trained.iter().map(|column| column.name.as_str()).collect();
        format!(
            "{}: the model was trained on the columns {}, in this order, and reads {}, as --text says; as in training: \
             {}",
            layout.file.display(),
            names(&trained),
            names(text),
            flags("text", &as_trained)
        )
    })
}

/// The one column that can be meant: the only one that is not a label, or the only one that is neither label nor key
/// and has a usual name.
fn only_column(layout: &FileLayout, label: Option<&Column>, usual: &[&str]) -> Option<Column> {
    let mut all = columns_of(layout);
    if let (Some(only), None) = (all.next(), all.next()) {
        return Some(only);
    }
    let is_label = |column: &Column| label == Some(column) || has_name_of(layout, column, &LABEL_NAMES);
    let others: Vec<Column> = columns_of(layout).filter(|column| !is_label(column)).collect();
    let contents: Vec<&Column> = others.iter().filter(|column| !is_key(column)).collect();
    match contents.as_slice() {
        [only] if others.len() == 1 || has_name_of(layout, only, usual) => Some((*only).clone()),
        _ => None,
    }
}

/// Whether a column is what is found by one of the usual names.
fn has_name_of(layout: &FileLayout, column: &Column, usual: &[&str]) -> bool {
    usual.iter().any(|name| usual_column(layout, name).as_ref() == Some(column))
}

/// Whether a column numbers or names the rows.
fn is_key(column: &Column) -> bool {
    let name = column.name.trim().to_lowercase();
    name.is_empty() || name.starts_with("unnamed:") || KEY_NAMES.contains(&name.as_str())
}

fn instead(layout: &FileLayout, what: &str, trained_on: &str, column: &Column) -> String {
    format!(
        "{}: the model was trained on the {what} column `{trained_on}`, which is not here; `{}` is used instead, the \
         only column that can be it",
        layout.file.display(),
        column.name
    )
}

/// The error for a file without the columns of training.
fn lacks(layout: &FileLayout, trained_on: &TextColumns, key: &str) -> Error {
    let names: Vec<&str> = trained_on.given().collect();
    let absent: Vec<&str> = names.iter().copied().filter(|name| trained_column(layout, name).is_none()).collect();
    let (columns, of) = match names.as_slice() {
        [_] => ("column", ""),
        [_, _] => ("columns", ", a pair of texts"),
        _ => ("columns", ""),
    };
    let verb = if absent.len() == 1 { "is" } else { "are" };
    let present = match layout.format.names_columns() {
        true => format!("; the columns are {}", listed(&layout.columns)),
        false => ", which has plain lines".to_owned(),
    };
    let what = if key == "label" { "label " } else { "" };
    let message = format!(
        "the model was trained on the {what}{columns} {}{of}; {} {verb} not in this file{present}",
        listed(&names),
        listed(&absent)
    );
    let hint = match (key, names.len()) {
        (_, 2..) if key != "label" && layout.columns.len() < names.len() => {
            let header = names.join(",");
            let mut needed =
                format!("such a row needs {} columns: give a CSV whose first line is {header}", names.len());
            if layout.format.names_columns() {
                needed.push_str(", or name its columns with --text");
            }
            return Error::request(message).file(&layout.file).hint(needed);
        }
        ("label", _) => "name the column that holds the label: --label COL",
        (_, 1) => "name the column that holds the same: --text COL",
        (_, 2) => "name the two columns that hold the same: --text COL,COL2",
        _ => "name the columns that hold the same, in the same order: --text COL,COL2,COL3",
    };
    Error::request(message).file(&layout.file).hint(hint)
}
