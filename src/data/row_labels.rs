//! What a cell says of a row's label, or of its labels: a name, joined names, a list, yes or no. Which cells are looked
//! at is `columns.rs`' part.

use std::borrow::Cow;

use serde_json::Value;

use super::label_text::trimmed;

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

/// The names of a row's labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowLabels {
    /// As they stand there, without white space and other invisible characters around them; none is empty. One that is
    /// given twice is there twice.
    pub names: Vec<String>,
    /// Whether the row does not even have the column, as an object without the key.
    pub is_absent: bool,
}

/// Whether a row has the label of a column with this cell.
pub fn yes_or_no(cell: &str) -> Option<bool> {
    match cell.trim().to_ascii_lowercase().as_str() {
        "1" | "1.0" | "true" | "yes" => Some(true),
        "0" | "0.0" | "false" | "no" => Some(false),
        _ => None,
    }
}

/// The labels of a cell: names with a separator between them, or a list as JSON or Python writes it. `None`: what looks
/// like a list is none.
pub fn listed_labels(text: &str, separator: &str) -> Option<Vec<String>> {
    let text = trimmed(text);
    let names: Vec<String> = if text.starts_with('[') && text.ends_with(']') {
        let list = serde_json::from_str(text).or_else(|_| serde_json::from_str(&text.replace('\'', "\"")));
        json_labels(&list.ok()?)?
    } else {
        text.split(separator).map(|name| trimmed(name).to_owned()).collect()
    };
    Some(names.into_iter().filter(|name| !name.is_empty()).collect())
}

/// The labels of a JSON value: a list, a single one, or (null) none.
pub fn json_labels(value: &Value) -> Option<Vec<String>> {
    let name = |value: &Value| match value {
        Value::Array(_) | Value::Object(_) | Value::Null => None,
        value => json_label(value).map(|name| trimmed(&name).to_owned()),
    };
    let names = match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list.iter().map(name).collect::<Option<Vec<_>>>()?,
        value => vec![name(value)?],
    };
    Some(names.into_iter().filter(|name| !name.is_empty()).collect())
}

/// A JSON value as a label: a string, a number as it is written, a truth value, or the one element of a list.
pub fn json_label(value: &Value) -> Option<String> {
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
pub fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => format!("the truth value {truth}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_joined_or_listed() {
        let of = |text: &str| listed_labels(text, "|");
        let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(of("a| b |c d"), names(&["a", "b", "c d"]));
        assert_eq!((of(""), of(" | |")), (names(&[]), names(&[])));
        assert_eq!(of("[\"a|b\", 3, true]"), names(&["a|b", "3", "true"]));
        assert_eq!((of("['a', 'b']"), of("[]")), (names(&["a", "b"]), names(&[])));
        assert_eq!((of("[a, b]"), of("[{}]")), (None, None));
        assert_eq!(json_labels(&serde_json::json!(["a", [1]])), None);
        assert_eq!(json_labels(&Value::Null), names(&[]));
        assert_eq!(
            [" Yes", "1.0", "TRUE", "0", "no", "2", ""].map(yes_or_no),
            [Some(true), Some(true), Some(true), Some(false), Some(false), None, None]
        );
    }
}
