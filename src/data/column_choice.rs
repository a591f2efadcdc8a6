//! Finds the columns of text and label: those that are given, or those with the names that data sets usually give them.
//! An automatic choice comes with its reason.

use std::collections::HashSet;
use std::path::Path;

use super::columns::{LabelSource, ResolvedColumns};
use super::format::FileLayout;
use super::lookup::{Column, columns_of, given_column, guessed_image, guessed_text, usual_column};
use super::names::LABEL_NAMES;
use super::options::{ReadOptions, TextColumns};
use super::trained_columns::{
    AS_IN_TRAINING, Findings, check_same_shape, label_instead, other_order, text_as_trained, trained_column,
};
use super::{DetectedSetting, Modality};
use crate::error::{Error, Result, listed};

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
    let label = found.label.iter().flat_map(LabelSource::columns);
    found.text.iter().chain(label).try_for_each(|column| check_unique(layout, column))?;
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
    let label_columns = label_columns(layout, options)?;
    let label = match &label_columns {
        Some(_) => None,
        None => resolve_label(layout, options, need, &mut found)?,
    };
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
    let label = label.map(LabelSource::Column).or(label_columns);
    if let Some(both) = label.iter().flat_map(LabelSource::columns).find(|column| text.contains(column)) {
        return Err(Error::request("the same column is to be text and label")
            .file(&layout.file)
            .column(&both.name)
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

/// The columns of labels that have one each: somebody has named several, or training did.
fn label_columns(layout: &FileLayout, options: &ReadOptions) -> Result<Option<LabelSource>> {
    let given = options.label.as_ref().or(options.trained_on.label.as_ref());
    let (Some(given), Some(_)) = (given, &options.label_separator) else { return Ok(None) };
    let names = TextColumns::new([given.as_str()]).names_in(&layout.columns);
    let is_needed = options.label.is_some();
    if names.len() < 2 || !is_needed && names.iter().any(|name| trained_column(layout, name).is_none()) {
        return Ok(None);
    }
    let column = |name: &String| given_column(layout, name, &names, "label");
    let columns: Vec<Column> = names.iter().map(column).collect::<Result<_>>()?;
    let mut seen = HashSet::new();
    if let Some(twice) = columns.iter().find(|column| !seen.insert(column.index)) {
        return Err(Error::request(format!("the column `{}` is named twice", twice.name))
            .key("label")
            .hint("name each column once"));
    }
    Ok(Some(LabelSource::YesNo { named: given.clone(), columns }))
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
    use crate::data::{Input, Row};

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
