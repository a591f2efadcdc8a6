//! The file of `--label-map`: which label is to be called what, and which are to be left out. Two columns of a CSV or
//! TSV file, or an object of JSON or TOML.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::label_text::{folded, trimmed};
use super::sniffing::{Beginning, sniffed_delimiter};
use crate::error::{Error, Result};
use crate::files;

/// New names of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMap {
    /// Where it was read.
    pub file: PathBuf,
    /// A label and its new name; `None`: its rows are left out.
    pub entries: Vec<(String, Option<String>)>,
}

/// First lines that say what the columns are.
const HEADERS: [(&str, &[&str]); 2] = [
    ("from", &["from", "old", "source", "label", "raw", "before", "original", "value"]),
    ("to", &["to", "new", "target", "label", "class", "name", "after", "mapped", "category"]),
];

impl LabelMap {
    /// Reads a map; its form follows from the file's extension, CSV where that says nothing.
    ///
    /// # Errors
    /// The file cannot be read, is not of this form, or gives a label two names.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => Error::request("the file is not UTF-8 text").file(file),
            _ => Error::io(error, file).hint(
                "check the path after --label-map; the file has a line FROM,TO for each label that gets another name",
            ),
        })?;
        let text = text.trim_start_matches('\u{FEFF}');
        let extension = files::extension(file);
        let pairs = match extension.as_str() {
            "json" => from_json(text),
            "toml" => from_toml(text),
            _ => from_table(text, (extension == "tsv").then_some(b'\t')),
        };
        let pairs = pairs.map_err(|error| {
            error.file(file).hint(
                "the map has a line FROM,TO for each label (or is a JSON or TOML object of such pairs); an empty TO \
                 leaves the label out",
            )
        })?;
        let mut entries: Vec<(String, Option<String>)> = Vec::new();
        for (from, to) in pairs {
            let (from, to) = (trimmed(&from).to_owned(), trimmed(&to).to_owned());
            let to = Some(to).filter(|to| !to.is_empty());
            match (from.is_empty(), &to) {
                (true, Some(to)) => {
                    return Err(Error::request(format!("a line without FROM would call empty labels `{to}`"))
                        .file(file)
                        .hint("leave such rows out with --on-empty-label skip, or write the name into the data"));
                }
                // Spreadsheets write lines of nothing but separators.
                (true, None) => continue,
                (false, _) => {}
            }
            match entries.iter().find(|(known, _)| *known == from) {
                Some((_, known)) if *known != to => {
                    return Err(Error::request(format!("the label `{from}` is given two names"))
                        .file(file)
                        .hint("keep one of the lines"));
                }
                Some(_) => {}
                None => entries.push((from, to)),
            }
        }
        match entries.is_empty() {
            true => Err(Error::request("the label map is empty").file(file).hint("write FROM,TO on each line")),
            false => Ok(Self { file: file.to_owned(), entries }),
        }
    }
}

/// The entries of a map, to be looked up.
pub struct MapLookup<'a> {
    exact: HashMap<&'a str, &'a Option<String>>,
    /// By folded spelling, the first FROM of it and the new name; no name: its spellings get different ones.
    folded: HashMap<String, (&'a str, Option<&'a Option<String>>)>,
}

impl<'a> MapLookup<'a> {
    /// Of a map.
    pub fn of(map: &'a LabelMap) -> Self {
        let mut lookup = Self { exact: HashMap::new(), folded: HashMap::new() };
        for (from, to) in &map.entries {
            lookup.exact.insert(from, to);
            let (_, name) = lookup.folded.entry(folded(from)).or_insert((from, Some(to)));
            *name = name.filter(|known| *known == to);
        }
        lookup
    }

    /// The new name of a label: by its spelling, or (`alike`) by that of labels that look like it and have one name.
    pub fn target(&self, label: &str, alike: bool) -> Option<&'a Option<String>> {
        let by_look = || self.folded.get(&folded(label)).and_then(|(_, name)| *name);
        self.exact.get(label).copied().or_else(|| alike.then(by_look).flatten())
    }

    /// The first FROM that looks like a label.
    pub fn lookalike(&self, label: &str) -> Option<&'a str> {
        self.folded.get(&folded(label)).map(|(from, _)| *from)
    }
}

fn from_json(text: &str) -> Result<Vec<(String, String)>> {
    let map: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| Error::request(format!("not a JSON object: {error}")))?;
    map.into_iter()
        .map(|(from, to)| match to {
            serde_json::Value::Null => Ok((from, String::new())),
            serde_json::Value::String(to) => Ok((from, to)),
            serde_json::Value::Number(to) => Ok((from, to.to_string())),
            serde_json::Value::Bool(to) => Ok((from, to.to_string())),
            _ => Err(Error::request(format!("the new name of `{from}` is not a text"))),
        })
        .collect()
}

fn from_toml(text: &str) -> Result<Vec<(String, String)>> {
    let map: toml::Table =
        text.parse().map_err(|error: toml::de::Error| Error::request(format!("not TOML: {}", error.message())))?;
    map.into_iter()
        .map(|(from, to)| match to {
            toml::Value::String(to) => Ok((from, to)),
            toml::Value::Integer(to) => Ok((from, to.to_string())),
            toml::Value::Boolean(to) => Ok((from, to.to_string())),
            _ => Err(Error::request(format!("the new name of `{from}` is not a text"))),
        })
        .collect()
}

fn from_table(text: &str, delimiter: Option<u8>) -> Result<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> =
        two_columns(text, delimiter, "FROM,TO")?.into_iter().map(|(_, from, to)| (from, to)).collect();
    let [(_, from), (_, to)] = HEADERS;
    let is_header = |pair: &(String, String)| {
        from.contains(&trimmed(&pair.0).to_lowercase().as_str())
            && to.contains(&trimmed(&pair.1).to_lowercase().as_str())
    };
    if pairs.first().is_some_and(is_header) {
        pairs.remove(0);
    }
    Ok(pairs)
}

/// The rows of a small table of two columns, each with its line. `names`: what messages call the columns.
///
/// # Errors
/// A row of more or fewer fields.
pub(super) fn two_columns(text: &str, delimiter: Option<u8>, names: &str) -> Result<Vec<(u64, String, String)>> {
    let Beginning { sep, table } = Beginning::of(text.as_bytes());
    let delimiter = delimiter.or(sep).unwrap_or_else(|| sniffed_delimiter(table).0);
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(table);
    let mut pairs = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| Error::request(format!("not a table: {error}")))?;
        let line = record.position().map_or(0, csv::Position::line);
        match record.iter().collect::<Vec<_>>().as_slice() {
            [first, second] => pairs.push((line, (*first).to_owned(), (*second).to_owned())),
            fields => {
                let found = crate::console::units::counted(fields.len() as u64, "field");
                return Err(Error::request(format!("{found} where {names} are two")).line(line));
            }
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Vec<(String, Option<String>)>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        LabelMap::read(&file).map(|map| map.entries)
    }

    #[test]
    fn every_form_says_the_same() {
        let expected = [("a".to_owned(), Some("x y".to_owned())), ("b, c".to_owned(), None)];
        for (name, text) in [
            ("m.csv", "from,to\n a ,x y\n\"b, c\",\n,\n"),
            ("m.csv", "\u{FEFF}a;x y\r\nb, c;\r\n"),
            ("m.csv", "sep=|\r\na|x y\r\nb, c|\r\n"),
            ("m.tsv", "a\tx y\nb, c\t\n"),
            ("m.json", r#"{"a": "x y", "b, c": null}"#),
            ("m.toml", "a = 'x y'\n'b, c' = ''\n"),
        ] {
            assert_eq!(read(name, text).unwrap(), expected, "{text}");
        }
        for (name, text) in [
            ("m.csv", ""),
            ("m.csv", "a\n"),
            ("m.csv", "a,b\na,c\n"),
            ("m.csv", "a,b\n,c\n"),
            ("m.json", "[]"),
            ("m.toml", "a = []"),
        ] {
            assert_eq!(read(name, text).unwrap_err().exit_status(), 2, "{text}");
        }
    }
}
