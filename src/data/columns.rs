//! Which columns hold the text and the label: those that are given, or those with the names that data sets usually give
//! them. An automatic choice comes with its reason. Also takes text and label out of a row; numbering the labels is
//! [`super::labels`]' part.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::format::FileLayout;
use super::label_text::trimmed_cow;
use super::lookup::{Column, columns_of, given_column, guessed_image, guessed_text, usual_column};
use super::names::LABEL_NAMES;
use super::options::{ReadOptions, TextColumns};
use super::row::{Cell, Row};
use super::trained_columns::{
    AS_IN_TRAINING, Findings, check_same_shape, label_instead, other_order, text_as_trained, trained_column,
};
use super::{DetectedSetting, Input, Modality};
use crate::error::{Error, Result, listed};

/// The columns that matter, found in a file.
#[derive(Debug, Clone)]
pub struct ResolvedColumns {
    /// One: a text or an image path. Two: a pair of texts. More: parts of one text.
    text: Vec<Column>,
    label: Option<Column>,
    file: PathBuf,
    /// The folder that image paths are relative to, when the model reads images.
    image_folder: Option<PathBuf>,
    /// The rows are a folder's files.
    is_listing: bool,
    /// What was chosen rather than given, with reasons.
    pub choices: Vec<DetectedSetting>,
    /// Choices that somebody may not want, which are to be said even when quiet.
    pub warnings: Vec<String>,
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

    /// The label's column, where there is one.
    pub fn label(&self) -> Option<&str> {
        self.label.as_ref().map(|column| column.name.as_str())
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
        let absent = self.text.iter().chain(&self.label).find(|column| !is_there(column));
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
        let Some(column) = &self.label else { return Ok(None) };
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

/// The name of a row's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowLabel<'r> {
    /// Without white space and other invisible characters around it; empty: the row has no label.
    pub name: Cow<'r, str>,
    /// Whether there was something invisible around it.
    pub was_trimmed: bool,
    /// Whether the row does not even have the column, as an object without the key.
    pub is_absent: bool,
}

/// A JSON value as a label: a string, a number as it is written, a truth value, or the one element of a list.
fn json_label(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(list) => match list.as_slice() {
            [one @ (Value::String(_) | Value::Number(_) | Value::Bool(_))] => json_label(one),
            _ => None,
        },
        _ => None,
    }
}

/// What a JSON value is, for messages.
fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => format!("the truth value {truth}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Between the parts of a text of three columns and more. Tokenizers have a token for the bar; a line end would be
/// white space to most of them.
pub const BETWEEN_PARTS: &str = " | ";

/// Whether the label must be there: for training and evaluation, not for labelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelColumn {
    /// A file without it is an error.
    Needed,
    /// Used when it is given or has a usual name; otherwise there is none.
    Optional,
}

/// Finds the text and label columns of a file: those that `options` give, otherwise those with usual names.
///
/// # Errors
/// With the file and the columns there are, when a column does not exist or cannot be found out.
pub fn resolve(layout: &FileLayout, options: &ReadOptions, need: LabelColumn) -> Result<ResolvedColumns> {
    let found = find_columns(layout, options, need).map_err(|error| match &layout.style.header_doubt {
        Some(doubt) => error.or_hint(doubt),
        None => error,
    })?;
    found.text.iter().chain(&found.label).try_for_each(|column| check_unique(layout, column))?;
    Ok(found)
}

/// A column that is used needs a name of its own.
fn check_unique(layout: &FileLayout, used: &Column) -> Result<()> {
    let namesakes: Vec<usize> =
        columns_of(layout).filter(|column| column.name == used.name).map(|column| column.index + 1).collect();
    match namesakes[..] {
        [first, second, ..] => Err(Error::request(format!(
            "the columns {first} and {second} are both named `{}`",
            used.name
        ))
        .file(&layout.file)
        .line(1)
        .hint(
            "a column that is used needs a name of its own: rename one of them, or name another with --text or --label",
        )),
        _ => Ok(()),
    }
}

fn find_columns(layout: &FileLayout, options: &ReadOptions, need: LabelColumn) -> Result<ResolvedColumns> {
    let mut found = Findings::default();
    let label = resolve_label(layout, options, need, &mut found)?;
    let text = match (&options.text, &options.trained_on.text) {
        (Some(given), trained_on) => given_text(layout, given, trained_on.as_ref(), options.modality, &mut found)?,
        (None, Some(trained_on)) if !layout.file.is_dir() => {
            text_as_trained(layout, trained_on, label.as_ref(), options.modality, &mut found)?
        }
        (None, _) if options.modality == Modality::Image => {
            vec![guessed_image(layout, label.as_ref(), &mut found.choices)?]
        }
        (None, _) => guessed_text(layout, label.as_ref(), &mut found.choices)?,
    };
    if let Some(label) = label.as_ref().filter(|label| text.contains(label)) {
        return Err(Error::request("the same column is to be text and label")
            .file(&layout.file)
            .column(&label.name)
            .hint("name the columns with --text and --label"));
    }
    let image_folder = (options.modality == Modality::Image).then(|| match layout.file.is_dir() {
        true => layout.file.clone(),
        false => layout.file.parent().unwrap_or(Path::new("")).to_owned(),
    });
    if let (Some(_), [_, second, ..]) = (&image_folder, text.as_slice()) {
        return Err(Error::request("one column holds the path of the image")
            .file(&layout.file)
            .column(&second.name)
            .hint("name that column alone: --text COL"));
    }
    let Findings { mut choices, warnings } = found;
    if layout.file.is_dir() {
        // A folder has no columns to choose.
        choices.clear();
    }
    let warnings = layout.warnings.iter().cloned().chain(warnings).collect();
    let (file, is_listing) = (layout.file.clone(), layout.file.is_dir());
    Ok(ResolvedColumns { text, label, file, image_folder, is_listing, choices, warnings })
}

/// The text's columns that somebody named.
fn given_text(
    layout: &FileLayout,
    given: &TextColumns,
    trained_on: Option<&TextColumns>,
    modality: Modality,
    found: &mut Findings,
) -> Result<Vec<Column>> {
    let mut text: Vec<Column> = Vec::new();
    let names = given.names_in(&layout.columns);
    for name in &names {
        if name.trim().is_empty() {
            return Err(Error::request(format!("`{given}` names a column without a name"))
                .key("text")
                .hint("write COL or COL,COL2; a name that holds a comma is written as it is"));
        }
        let column = given_column(layout, name, &names, "text")?;
        if text.contains(&column) {
            return Err(Error::request(format!("the column `{name}` is named twice"))
                .key("text")
                .hint("name each column once"));
        }
        text.push(column);
    }
    match trained_on {
        Some(trained_on) if modality == Modality::Text => {
            check_same_shape(layout, &text, trained_on)?;
            found.warnings.extend(other_order(layout, &text, trained_on));
        }
        _ => {}
    }
    Ok(text)
}

fn resolve_label(
    layout: &FileLayout,
    options: &ReadOptions,
    need: LabelColumn,
    found: &mut Findings,
) -> Result<Option<Column>> {
    if let Some(given) = &options.label {
        return given_column(layout, given, std::slice::from_ref(given), "label").map(Some);
    }
    let text = match (&options.text, &options.trained_on.text) {
        (Some(given), _) | (None, Some(given)) => given.names_in(&layout.columns),
        (None, None) => Vec::new(),
    };
    let free = |column: &Column| !text.contains(&column.name);
    if let Some(trained_on) = &options.trained_on.label
        && !layout.file.is_dir()
    {
        if let Some(column) = trained_column(layout, trained_on).filter(free) {
            found.choices.push(DetectedSetting::new("label", &column.name, AS_IN_TRAINING));
            return Ok(Some(column));
        }
        if need == LabelColumn::Needed {
            return label_instead(layout, trained_on, &text, found).map(Some);
        }
    }
    let usual = LABEL_NAMES.iter().filter_map(|name| usual_column(layout, name)).find(free);
    if let Some(column) = &usual {
        found.choices.push(DetectedSetting::new("label", &column.name, "the usual name of a label column"));
    } else if need == LabelColumn::Needed {
        return Err(Error::request(format!("no label column found; the columns are {}", listed(&layout.columns)))
            .file(&layout.file)
            .hint("name the column that holds the label: --label COL"));
    }
    Ok(usual)
}

#[cfg(test)]
mod tests {
    use super::super::formats::DEFAULT_OUTPUT;
    use super::super::row::Record;
    use super::*;

    fn layout(columns: &[&str]) -> FileLayout {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        FileLayout::new(Path::new("x.csv"), DEFAULT_OUTPUT, columns)
    }

    fn guess(columns: &[&str]) -> Result<(String, Option<String>)> {
        let resolved = resolve(&layout(columns), &ReadOptions::default(), LabelColumn::Optional)?;
        Ok((resolved.text().to_string(), resolved.label().map(str::to_owned)))
    }

    fn object(source: &str) -> Row {
        let record = Record::Object { members: serde_json::from_str(source).unwrap(), source: source.to_owned() };
        Row::new(3, 3, record)
    }

    #[test]
    fn usual_names_are_found() {
        let cases: [(&[&str], &str, Option<&str>); 9] = [
            (&["id", "text", "label"], "text", Some("label")),
            (&["Label", " Text"], " Text", Some("Label")),
            (&["text_a", "text_b", "label"], "text_a,text_b", Some("label")),
            (&["premise", "hypothesis", "class"], "premise,hypothesis", Some("class")),
            (&["text", "text_pair"], "text,text_pair", None),
            (&["question", "topic"], "question", Some("topic")),
            (&["question", "answer", "y"], "question,answer", Some("y")),
            (&["Kommentar", "sentiment"], "Kommentar", Some("sentiment")),
            (&["review", "title", "category", "target"], "review", Some("category")),
        ];
        for (columns, text, label) in cases {
            assert_eq!(guess(columns).unwrap(), (text.to_owned(), label.map(str::to_owned)), "{columns:?}");
        }
        let error = guess(&["id", "Beschreibung", "label"]).unwrap_err();
        assert!(error.to_string().contains("no text column found; the columns are `id`, `Beschreibung` and `label`"));
    }

    #[test]
    fn given_columns_must_exist() {
        let options = ReadOptions { text: Some(TextColumns::new(["txet"])), ..ReadOptions::default() };
        let error = resolve(&layout(&["text", "label"]), &options, LabelColumn::Needed).unwrap_err();
        assert_eq!(
            error.to_string(),
            "x.csv: column `txet`: there is no such column; the columns are `text` and `label`"
        );
        assert_eq!(error.hint_text(), Some("did you mean --text text?"));

        let options = ReadOptions { text: Some(TextColumns::new(["label"])), ..ReadOptions::default() };
        let error = resolve(&layout(&["text", "label"]), &options, LabelColumn::Needed).unwrap_err();
        assert!(error.to_string().contains("no label column found"), "{error}");
        assert!(resolve(&layout(&["text", "label"]), &options, LabelColumn::Optional).unwrap().label().is_none());
    }

    #[test]
    fn json_values_as_text_and_label() {
        let columns = resolve(&layout(&["text", "label"]), &ReadOptions::default(), LabelColumn::Needed).unwrap();
        let label = |source: &str| {
            columns
                .label_of(&object(source))
                .map(|label| label.unwrap().name.into_owned())
                .map_err(|error| error.to_string())
        };
        assert_eq!(label(r#"{"label": -1}"#).unwrap(), "-1");
        assert_eq!(label(r#"{"label": true}"#).unwrap(), "true");
        assert_eq!(label(r#"{"label": " a "}"#).unwrap(), "a");
        assert_eq!(label(r#"{"label": 1.0}"#).unwrap(), "1.0");
        assert_eq!(label(r#"{"label": ["a"]}"#).unwrap(), "a");
        assert_eq!(
            label(r#"{"label": ["a", "b"]}"#).unwrap_err(),
            "x.csv: row 3 (line 3): column `label`: the label is an array"
        );
        for none in [r#"{"label": null}"#, r#"{"label": " \u200b"}"#, "{}"] {
            assert_eq!(label(none).unwrap(), "", "{none}");
        }
        let text = |source: &str| columns.input_of(&object(source)).map_err(|error| error.to_string());
        assert_eq!(text(r#"{"text": 12}"#).unwrap(), Input::Text("12".into()));
        assert!(text(r#"{"text": ["a"]}"#).unwrap_err().ends_with("the text is an array"));
        assert!(text("{}").unwrap_err().ends_with("column `text`: the text is missing"));
    }
}
