//! Looks columns up in a file's header: by the name that somebody gave, or by the names that data sets usually have. An
//! automatic choice comes with its reason.

use super::DetectedSetting;
use super::format::FileLayout;
use super::header::numbered;
use super::names::{IMAGE_NAMES, PAIR_NAMES, TEXT_NAMES};
use crate::error::{Error, Result, listed, nearest, shell_word};

/// A column's name and its index in the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub index: usize,
}

/// The column of the text, or the two of a pair.
pub fn guessed_text(
    layout: &FileLayout,
    label: Option<&Column>,
    choices: &mut Vec<DetectedSetting>,
) -> Result<Vec<Column>> {
    if !layout.format.names_columns()
        && let Some(line) = columns_of(layout).next()
    {
        return Ok(vec![line]);
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
        return Ok(vec![first, second]);
    }
    if let Some(column) = alone.or_else(|| TEXT_NAMES.iter().filter_map(|name| usual_column(layout, name)).find(free)) {
        choices.push(DetectedSetting::new("text", &column.name, "the usual name of a text column"));
        return Ok(vec![column]);
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
            Ok(vec![column])
        }
        _ if has_numbers_for_names(layout) => Err(Error::request(format!(
            "it is not known which column holds the text; the columns are {}",
            listed(&layout.columns)
        ))
        .file(&layout.file)
        .hint("--text is missing: without a header, name the column by its number, such as --text 2")),
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

/// The column of the image paths.
pub fn guessed_image(
    layout: &FileLayout,
    label: Option<&Column>,
    choices: &mut Vec<DetectedSetting>,
) -> Result<Column> {
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

/// Whether the columns go by their numbers, for lack of a header.
fn has_numbers_for_names(layout: &FileLayout) -> bool {
    layout.columns == numbered(layout.columns.len())
}

/// All columns of a file.
pub fn columns_of(layout: &FileLayout) -> impl Iterator<Item = Column> + '_ {
    layout.columns.iter().enumerate().map(|(index, name)| Column { name: name.clone(), index })
}

/// A column by one of the usual names, whatever its case and the white space around it.
pub fn usual_column(layout: &FileLayout, usual: &str) -> Option<Column> {
    columns_of(layout).find(|column| column.name.trim().eq_ignore_ascii_case(usual))
}

/// A column by exactly this name.
pub fn exact_column(layout: &FileLayout, name: &str) -> Option<Column> {
    columns_of(layout).find(|column| column.name == name)
}

/// A column that was named by the person, as one of `names`.
///
/// # Errors
/// There is none of this name.
pub fn given_column(layout: &FileLayout, given: &str, names: &[String], key: &str) -> Result<Column> {
    if let Some(column) =
        exact_column(layout, given).or_else(|| columns_of(layout).find(|column| column.name.trim() == given.trim()))
    {
        return Ok(column);
    }
    let known = listed(&layout.columns);
    let error =
        Error::request(format!("there is no such column; the columns are {known}")).file(&layout.file).column(given);
    Err(match nearest(given, layout.columns.iter().map(String::as_str)) {
        Some(near) => {
            // At the commas of a name the list was taken apart; the parts are no names.
            let is_column = |name: &&str| exact_column(layout, name).is_some();
            let mut others = names.iter().map(String::as_str).peekable();
            let mut meant: Vec<&str> = std::iter::from_fn(|| others.next_if(|name| *name != given)).collect();
            meant.push(near);
            others.next();
            let parts = near.matches(',').count();
            meant.extend(others.enumerate().filter(|(at, name)| *at >= parts || is_column(name)).map(|(_, name)| name));
            error.hint(format!("did you mean {}?", flags(key, &meant)))
        }
        None if has_numbers_for_names(layout) => {
            error.hint(format!("without a header, columns go by their numbers, such as --{key} 2"))
        }
        None => error.hint(format!("name one of these with --{key}; the file's first line must be a header")),
    })
}

/// The flags that name columns, to be copied into a shell: one for all, or one each where a name holds a comma.
pub fn flags(key: &str, names: &[&str]) -> String {
    match names {
        [_, _, ..] if names.iter().any(|name| name.contains(',')) => {
            names.iter().map(|name| format!("--{key} {}", shell_word(name))).collect::<Vec<_>>().join(" ")
        }
        _ => format!("--{key} {}", shell_word(&names.join(","))),
    }
}
