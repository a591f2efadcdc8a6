//! Which columns hold the text and the label: those that are given, or those with the names that data sets usually give
//! them. An automatic choice comes with its reason. Also takes text and label out of a row; numbering the labels is
//! [`super::labels`]' part.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::format::FileLayout;
use super::names::{IMAGE_NAMES, LABEL_NAMES, PAIR_NAMES, TEXT_NAMES};
use super::options::{ReadOptions, TextColumns};
use super::row::{Cell, Row};
use super::{DetectedSetting, Input, Modality};
use crate::error::{Error, Result, listed, nearest};

/// A column's name and its index in the header.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    index: usize,
}

/// The columns that matter, found in a file.
#[derive(Debug, Clone)]
pub struct ResolvedColumns {
    first: Column,
    second: Option<Column>,
    label: Option<Column>,
    file: PathBuf,
    /// The folder that image paths are relative to, when the model reads images.
    image_folder: Option<PathBuf>,
    /// What was chosen rather than given, with reasons.
    pub choices: Vec<DetectedSetting>,
}

impl ResolvedColumns {
    /// The column of the text or of the image paths, or the two columns of a pair.
    pub fn text(&self) -> TextColumns {
        match &self.second {
            None => TextColumns::One(self.first.name.clone()),
            Some(second) => TextColumns::Two(self.first.name.clone(), second.name.clone()),
        }
    }

    /// The label's column, where there is one.
    pub fn label(&self) -> Option<&str> {
        self.label.as_ref().map(|column| column.name.as_str())
    }

    /// The file that they were found in, as messages name it.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// That another file has these columns too, by the same names.
    ///
    /// # Errors
    /// With the other file, naming the first column that it lacks.
    pub(super) fn check_that_has(&self, layout: &FileLayout) -> Result<()> {
        if self.file.is_dir() {
            return Ok(());
        }
        let used = [Some(&self.first), self.second.as_ref(), self.label.as_ref()];
        let absent = used
            .into_iter()
            .flatten()
            .find(|column| !columns_of(layout).any(|known| known.name.trim() == column.name.trim()));
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

    /// What the network gets to see of a row.
    ///
    /// # Errors
    /// With file, row and column, when a JSON object lacks the text or holds something else there.
    pub fn input_of(&self, row: &Row) -> Result<Input> {
        let first = self.text_in(row, &self.first)?;
        if let Some(folder) = &self.image_folder {
            return match first.trim() {
                "" => Err(self.error_at(row, &self.first, "the path of the image is empty").hint("fill it in")),
                path => Ok(Input::Image(folder.join(path))),
            };
        }
        Ok(match &self.second {
            None => Input::Text(first),
            Some(second) => Input::Pair(first, self.text_in(row, second)?),
        })
    }

    fn text_in(&self, row: &Row, column: &Column) -> Result<String> {
        match row.cell(&column.name, column.index) {
            Some(Cell::Text(text)) => Ok(text.into_owned()),
            Some(Cell::Json(value)) => match &*value {
                Value::Number(number) => Ok(number.to_string()),
                other => Err(self
                    .error_at(row, column, format!("the text is {}", kind_of(other)))
                    .hint("the text must be a string; write \"\" for no text")),
            },
            None => Err(self.error_at(row, column, "the text is missing").hint("write \"\" for no text")),
        }
    }

    /// The label of a row, without white space around it; `None` when the columns were resolved without a label.
    /// Borrowed from the row where possible.
    ///
    /// # Errors
    /// With file, row and column, when the label is empty, missing, or neither a string, an integer nor a truth value.
    pub fn label_of<'r>(&self, row: &'r Row) -> Result<Option<RowLabel<'r>>> {
        let Some(column) = &self.label else { return Ok(None) };
        let name = match row.cell(&column.name, column.index) {
            Some(Cell::Text(text)) => text,
            Some(Cell::Json(value)) => match &*value {
                Value::Bool(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
                Value::Number(number) if number.is_i64() || number.is_u64() => Cow::Owned(number.to_string()),
                other => {
                    return Err(self
                        .error_at(row, column, format!("the label is {}", kind_of(other)))
                        .hint("a label must be a string, an integer or a truth value"));
                }
            },
            None => {
                return Err(self.error_at(row, column, "the label is missing").hint("fill it in or delete the row"));
            }
        };
        let length = name.len();
        let trimmed = match name {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        if trimmed.is_empty() {
            return Err(self.error_at(row, column, "the label is empty").hint("fill it in or delete the row"));
        }
        Ok(Some(RowLabel { was_trimmed: trimmed.len() < length, name: trimmed }))
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
    /// Without the white space around it, and never empty.
    pub name: Cow<'r, str>,
    /// Whether there was white space around it.
    pub was_trimmed: bool,
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

const AS_IN_TRAINING: &str = "as in training";

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
    let mut choices = Vec::new();
    let label = resolve_label(layout, options, need, &mut choices)?;
    let trained_on =
        options.trained_on.text.as_ref().filter(|text| text.names().all(|name| exact_column(layout, name).is_some()));
    if let (None, Some(trained_on)) = (&options.text, trained_on) {
        choices.push(DetectedSetting::new("text", trained_on.to_string(), AS_IN_TRAINING));
    }
    let (first, second) = match options.text.as_ref().or(trained_on) {
        Some(given) => {
            let columns: Vec<Column> =
                given.names().map(|name| given_column(layout, name, "text")).collect::<Result<_>>()?;
            let mut columns = columns.into_iter();
            match columns.next() {
                Some(first) => (first, columns.next()),
                None => return Err(Error::request("no column is named").key("text")),
            }
        }
        None if options.modality == Modality::Image => (guessed_image(layout, label.as_ref(), &mut choices)?, None),
        None => guessed_text(layout, label.as_ref(), &mut choices)?,
    };
    if let Some(label) = &label
        && (*label == first || Some(label) == second.as_ref())
    {
        return Err(Error::request("the same column is to be text and label")
            .file(&layout.file)
            .column(&label.name)
            .hint("name the columns with --text and --label"));
    }
    let image_folder = (options.modality == Modality::Image).then(|| match layout.file.is_dir() {
        true => layout.file.clone(),
        false => layout.file.parent().unwrap_or(Path::new("")).to_owned(),
    });
    if let (Some(_), Some(second)) = (&image_folder, &second) {
        return Err(Error::request("one column holds the path of the image")
            .file(&layout.file)
            .column(&second.name)
            .hint("name that column alone: --text COL"));
    }
    Ok(ResolvedColumns { first, second, label, file: layout.file.clone(), image_folder, choices })
}

fn resolve_label(
    layout: &FileLayout,
    options: &ReadOptions,
    need: LabelColumn,
    choices: &mut Vec<DetectedSetting>,
) -> Result<Option<Column>> {
    if let Some(given) = &options.label {
        return match given_column(layout, given, "label") {
            Err(_) if need == LabelColumn::Optional => Ok(None),
            found => found.map(Some),
        };
    }
    let taken = |column: &Column| options.text.iter().flat_map(TextColumns::names).any(|name| name == column.name);
    if let Some(column) =
        options.trained_on.label.as_ref().and_then(|name| exact_column(layout, name)).filter(|column| !taken(column))
    {
        choices.push(DetectedSetting::new("label", &column.name, AS_IN_TRAINING));
        return Ok(Some(column));
    }
    let found = LABEL_NAMES.iter().filter_map(|name| usual_column(layout, name)).find(|column| !taken(column));
    if let Some(column) = &found {
        choices.push(DetectedSetting::new("label", &column.name, "the usual name of a label column"));
    } else if need == LabelColumn::Needed {
        return Err(Error::request(format!("no label column found; the columns are {}", listed(&layout.columns)))
            .file(&layout.file)
            .hint("name the column that holds the label: --label COL"));
    }
    Ok(found)
}

fn guessed_text(
    layout: &FileLayout,
    label: Option<&Column>,
    choices: &mut Vec<DetectedSetting>,
) -> Result<(Column, Option<Column>)> {
    if !layout.format.names_columns()
        && let Some(line) = columns_of(layout).next()
    {
        return Ok((line, None));
    }
    let free = |column: &Column| label != Some(column);
    // `text` goes before the pairs, except where there is a `text_pair` too.
    let alone = usual_column(layout, TEXT_NAMES[0]).filter(free);
    let paired = || {
        PAIR_NAMES.iter().find_map(|(first, second)| {
            let first = usual_column(layout, first).filter(free)?;
            Some((first, usual_column(layout, second).filter(free)?))
        })
    };
    let pair = match &alone {
        None => paired(),
        Some(text) => usual_column(layout, "text_pair").filter(free).map(|second| (text.clone(), second)),
    };
    if let Some((first, second)) = pair {
        let value = format!("{},{}", first.name, second.name);
        choices.push(DetectedSetting::new("text", value, "the usual names of a pair of texts"));
        return Ok((first, Some(second)));
    }
    if let Some(column) = alone.or_else(|| TEXT_NAMES.iter().filter_map(|name| usual_column(layout, name)).find(free)) {
        choices.push(DetectedSetting::new("text", &column.name, "the usual name of a text column"));
        return Ok((column, None));
    }
    let mut others = columns_of(layout).filter(free);
    match (others.next(), others.next()) {
        (Some(column), None) if column.name.is_empty() => Err(Error::request("the text's column has no name")
            .file(&layout.file)
            .line(1)
            .hint("the first line must give each column a name; has this file a header?")),
        (Some(column), None) => {
            let reason = if label.is_some() {
                "the only column that is not the label"
            } else {
                "the only column"
            };
            choices.push(DetectedSetting::new("text", &column.name, reason));
            Ok((column, None))
        }
        _ => Err(Error::request(format!(
            "no text column found; the columns are {}",
            listed(&layout.columns)
        ))
        .file(&layout.file)
        .hint(
            "name the column that holds the text: --text COL (or COL,COL2 for pairs); the first line must be a header",
        )),
    }
}

fn guessed_image(layout: &FileLayout, label: Option<&Column>, choices: &mut Vec<DetectedSetting>) -> Result<Column> {
    let free = |column: &Column| label != Some(column);
    if let Some(column) = IMAGE_NAMES.iter().filter_map(|name| usual_column(layout, name)).find(free) {
        choices.push(DetectedSetting::new("text", &column.name, "the usual name of a column of image paths"));
        return Ok(column);
    }
    let mut others = columns_of(layout).filter(free);
    match (others.next(), others.next()) {
        (Some(column), None) => {
            choices.push(DetectedSetting::new("text", &column.name, "the only column that is not the label"));
            Ok(column)
        }
        _ => {
            Err(Error::request(format!("no column of image paths found; the columns are {}", listed(&layout.columns)))
                .file(&layout.file)
                .hint("name the column that holds the path of the image: --text COL"))
        }
    }
}

fn columns_of(layout: &FileLayout) -> impl Iterator<Item = Column> + '_ {
    layout.columns.iter().enumerate().map(|(index, name)| Column { name: name.clone(), index })
}

/// A column by one of the usual names, whatever its case and the white space around it.
fn usual_column(layout: &FileLayout, usual: &str) -> Option<Column> {
    columns_of(layout).find(|column| column.name.trim().eq_ignore_ascii_case(usual))
}

fn exact_column(layout: &FileLayout, name: &str) -> Option<Column> {
    columns_of(layout).find(|column| column.name == name)
}

/// A column that was named by the person.
fn given_column(layout: &FileLayout, given: &str, key: &str) -> Result<Column> {
    if let Some(column) =
        exact_column(layout, given).or_else(|| columns_of(layout).find(|column| column.name.trim() == given.trim()))
    {
        return Ok(column);
    }
    let known = listed(&layout.columns);
    let error =
        Error::request(format!("there is no such column; the columns are {known}")).file(&layout.file).column(given);
    Err(match nearest(given, layout.columns.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean --{key} {near}?")),
        None => error.hint(format!("name one of these with --{key}; the file's first line must be a header")),
    })
}

#[cfg(test)]
mod tests {
    use super::super::format::TextStyle;
    use super::super::formats::DEFAULT_OUTPUT;
    use super::super::row::Record;
    use super::*;

    fn layout(columns: &[&str]) -> FileLayout {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        FileLayout {
            file: "x.csv".into(),
            format: DEFAULT_OUTPUT,
            delimiter: b',',
            columns,
            style: TextStyle::default(),
            schema: None,
        }
    }

    fn guess(columns: &[&str]) -> Result<(String, Option<String>)> {
        let resolved = resolve(&layout(columns), &ReadOptions::default(), LabelColumn::Optional)?;
        Ok((resolved.text().to_string(), resolved.label().map(str::to_owned)))
    }

    fn object(source: &str) -> Row {
        let record = Record::Object { members: serde_json::from_str(source).unwrap(), source: source.to_owned() };
        Row { number: 3, line: 3, record }
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
        let options = ReadOptions { text: Some(TextColumns::One("txet".into())), ..ReadOptions::default() };
        let error = resolve(&layout(&["text", "label"]), &options, LabelColumn::Needed).unwrap_err();
        assert_eq!(
            error.to_string(),
            "x.csv: column `txet`: there is no such column; the columns are `text` and `label`"
        );
        assert_eq!(error.hint_text(), Some("did you mean --text text?"));

        let options = ReadOptions { text: Some(TextColumns::One("label".into())), ..ReadOptions::default() };
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
        assert_eq!(
            label(r#"{"label": 0.5}"#).unwrap_err(),
            "x.csv: row 3 (line 3): column `label`: the label is the number 0.5"
        );
        assert!(label(r#"{"label": null}"#).unwrap_err().ends_with("the label is null"));
        assert!(label(r#"{"label": "  "}"#).unwrap_err().ends_with("the label is empty"));
        assert!(label("{}").unwrap_err().ends_with("the label is missing"));
        let text = |source: &str| columns.input_of(&object(source)).map_err(|error| error.to_string());
        assert_eq!(text(r#"{"text": 12}"#).unwrap(), Input::Text("12".into()));
        assert!(text(r#"{"text": ["a"]}"#).unwrap_err().ends_with("the text is an array"));
        assert!(text("{}").unwrap_err().ends_with("column `text`: the text is missing"));
    }
}
