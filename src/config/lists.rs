//! Settings that are one text or several: columns, and the files of the training data. In TOML a text or a list of
//! them, on the command line a flag with several values or given several times.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;
use crate::files::patterns;

/// What TOML has for such a setting.
#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    List(Vec<String>),
}

/// The columns of the text: one, two of a pair, or more that are joined to one text. `title,body` on the command line,
/// or the flag several times; in TOML the same, or a list. A name may hold a comma: whether `title,body` is one column
/// or two is decided when the file is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Columns(Vec<String>);

impl Columns {
    /// One name or more, each another one.
    pub fn new(names: Vec<String>) -> Result<Self, String> {
        if names.is_empty() || names.iter().any(|name| name.trim().is_empty()) {
            return Err("expected the name of a column, or several".to_owned());
        }
        match first_repeated(&names) {
            Some(name) => Err(format!("expected different columns; `{name}` is named twice")),
            None => Ok(Self(names)),
        }
    }
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(vec![text.to_owned()])
    }
}

impl Deref for Columns {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.join(","))
    }
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Text(text) => text.parse(),
            Form::List(names) => Self::new(names),
        }
        .map_err(D::Error::custom)
    }
}

/// Files or folders that belong together, at least one. A single one is written as a text, as it always was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths(Vec<PathBuf>);

impl Paths {
    /// One path or more, none of them empty or given twice.
    pub fn new(paths: Vec<PathBuf>) -> Result<Self, String> {
        if paths.is_empty() || paths.iter().any(|path| path.to_string_lossy().trim().is_empty()) {
            return Err("expected one path or several, none of them empty".to_owned());
        }
        match first_repeated(&paths) {
            Some(path) => Err(given_twice(path)),
            None => Ok(Self(paths)),
        }
    }
}

impl Paths {
    /// Those that patterns among them stand for.
    ///
    /// # Errors
    /// A pattern matches nothing, or a file is given twice.
    pub fn expanded(&self) -> Result<Self, Error> {
        Self::new(patterns::expand(&self.0)?).map_err(Error::request)
    }
}

/// The first element of a list that stands before it already.
pub(super) fn first_repeated<T: PartialEq>(list: &[T]) -> Option<&T> {
    list.iter()
        .enumerate()
        .find_map(|(index, one)| list.iter().take(index).any(|earlier| earlier == one).then_some(one))
}

/// What is wrong with a list of files that has one of them twice.
pub(super) fn given_twice(path: &Path) -> String {
    format!("{} is given twice and its rows would count twice: name each file once", path.display())
}

impl Deref for Paths {
    type Target = [PathBuf];

    fn deref(&self) -> &[PathBuf] {
        &self.0
    }
}

impl From<&Path> for Paths {
    fn from(path: &Path) -> Self {
        Self(vec![path.to_owned()])
    }
}

/// `a.csv + b.csv`.
impl fmt::Display for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " + " };
            write!(f, "{separator}{}", path.display())?;
        }
        Ok(())
    }
}

impl Serialize for Paths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let paths = match Form::deserialize(deserializer)? {
            Form::Text(text) => vec![text],
            Form::List(paths) => paths,
        };
        Self::new(paths.into_iter().map(PathBuf::from).collect()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_kept_as_they_are_given() {
        assert_eq!("title, body".parse::<Columns>().unwrap().to_vec(), ["title, body"]);
        assert!("".parse::<Columns>().is_err());
        assert!(Columns::new(vec!["a".into(), "a".into()]).is_err());
    }

    #[test]
    fn paths_are_a_text_or_a_list() {
        let read = |value: &str| {
            format!("value = {value}").parse::<toml::Table>().unwrap()["value"].clone().try_into::<Paths>()
        };
        assert_eq!(read("'a.csv'").unwrap().to_string(), "a.csv");
        assert_eq!(read("['a.csv', 'b.csv']").unwrap().to_string(), "a.csv + b.csv");
        for wrong in ["[]", "''", "['a', ' ']", "['a', 'b', 'a']", "3"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
