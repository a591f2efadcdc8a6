//! From the class weights that are asked for (a file, pairs, a table) to a weight for each label of the training data.
//! How they enter the loss is the task's business.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::label_map::two_columns;
use super::label_text::trimmed;
use super::labels::Labels;
use crate::config::ClassWeights;
use crate::error::{Error, Result, nearest};
use crate::files;

/// What each class weighs in the loss.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum ClassWeighting {
    /// All the same.
    #[default]
    None,
    /// Inverse to their frequency in the training data.
    Balanced,
    /// By class, each above 0.
    Each(Vec<f64>),
}

impl ClassWeighting {
    /// What `asked` says of `labels`; a label that is not named weighs 1.
    ///
    /// # Errors
    /// A file that cannot be read, a weight that is no finite number above 0, or a label that is not one of the data:
    /// the hint lists those there are.
    pub fn resolve(asked: &ClassWeights, labels: &Labels) -> Result<Self> {
        let weights = match asked {
            ClassWeights::None => return Ok(Self::None),
            ClassWeights::Balanced => return Ok(Self::Balanced),
            ClassWeights::Table(weights) => {
                each(weights.iter().map(|(label, weight)| Pair::new(label, &weight.to_string())), labels)
            }
            ClassWeights::Text(text) => match asked.file() {
                Some(file) => of_file(file)
                    .and_then(|pairs| {
                        let mut pairs = pairs.into_iter().peekable();
                        pairs.next_if(|pair| pair.is_header(labels));
                        each(pairs, labels)
                    })
                    .map_err(|error| error.file(file)),
                None => inline(text).and_then(|pairs| each(pairs, labels)),
            },
        };
        weights.map(Self::Each).map_err(|error| error.key("class_weights").fallback_hint(hint(labels)))
    }

    /// The weights by label, for people; `None` where there is nothing to say.
    pub fn described(&self, labels: &Labels) -> Option<String> {
        const SHOWN: usize = 10;
        let Self::Each(weights) = self else { return None };
        let named: Vec<(&String, f64)> =
            labels.names().iter().zip(weights.iter().copied()).filter(|(_, weight)| *weight != 1.0).collect();
        let mut parts: Vec<String> =
            named.iter().take(SHOWN).map(|(label, weight)| format!("`{label}` {weight}")).collect();
        if named.len() > SHOWN {
            parts.push(format!("{} more", named.len() - SHOWN));
        }
        if named.len() < labels.len() {
            parts.push(if named.is_empty() { "all 1".to_owned() } else { "others 1".to_owned() });
        }
        Some(parts.join(", "))
    }
}

/// A label with its weight as they are written.
struct Pair {
    label: String,
    weight: String,
    /// The line of the file.
    line: Option<u64>,
}

impl Pair {
    fn new(label: &str, weight: &str) -> Self {
        Self { label: trimmed(label).to_owned(), weight: trimmed(weight).to_owned(), line: None }
    }

    /// Whether it names the columns of a table rather than a label and its weight.
    fn is_header(&self, labels: &Labels) -> bool {
        self.line.is_some() && self.weight.parse::<f64>().is_err() && labels.index_of(&self.label).is_none()
    }

    fn problem(&self, message: String) -> Error {
        let error = Error::request(message);
        match self.line {
            Some(line) => error.line(line),
            None => error,
        }
    }
}

/// The weight of each label.
fn each(pairs: impl Iterator<Item = Pair>, labels: &Labels) -> Result<Vec<f64>> {
    let mut weights: Vec<Option<f64>> = vec![None; labels.len()];
    for pair in pairs {
        let Pair { label, weight, .. } = &pair;
        let place = labels.index_of(label).and_then(|index| weights.get_mut(index as usize));
        let Some(place) = place else {
            return Err(pair.problem(labels.unknown(label)));
        };
        let number = weight.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
        let Some(number) = number else {
            return Err(pair.problem(format!("the weight of `{label}` is `{weight}`, not a number above 0")));
        };
        if place.replace(number).is_some() {
            return Err(pair.problem(format!("`{label}` is given two weights")));
        }
    }
    if weights.iter().all(Option::is_none) {
        return Err(Error::request("no label is given a weight"));
    }
    Ok(weights.into_iter().map(|weight| weight.unwrap_or(1.0)).collect())
}

/// The pairs of `a=2,b=0.5`. A label may hold commas: what has no `=` belongs to the label after it.
fn inline(text: &str) -> Result<std::vec::IntoIter<Pair>> {
    if !text.contains('=') {
        let meant = nearest(text, ["none", "balanced"]);
        let meant = meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
        return Err(Error::request(format!("`{text}` is neither a file nor weights such as a=2,b=0.5{meant}")));
    }
    let mut pairs = Vec::new();
    let mut begun = String::new();
    for part in text.split(',') {
        begun.push_str(part);
        match begun.rsplit_once('=') {
            Some((label, weight)) => {
                pairs.push(Pair::new(label, weight));
                begun.clear();
            }
            None => begun.push(','),
        }
    }
    match begun.trim_end_matches(',') {
        rest if trimmed(rest).is_empty() => Ok(pairs.into_iter()),
        rest => Err(Error::request(format!("`{}` has no weight", trimmed(rest)))),
    }
}

/// The pairs of a file: a JSON object, otherwise a table of two columns.
fn of_file(file: &Path) -> Result<Vec<Pair>> {
    let text = std::fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => Error::request("the file is not UTF-8 text"),
        _ => Error::io(error, file),
    })?;
    let text = text.trim_start_matches('\u{FEFF}');
    match files::extension(file).as_str() {
        "json" => of_json(text),
        extension => {
            let rows = two_columns(text, (extension == "tsv").then_some(b'\t'), "LABEL,WEIGHT")?;
            let rows =
                rows.into_iter().map(|(line, label, weight)| Pair { line: Some(line), ..Pair::new(&label, &weight) });
            // Spreadsheets write lines of nothing but separators.
            Ok(rows.filter(|pair| !(pair.label.is_empty() && pair.weight.is_empty())).collect())
        }
    }
}

fn of_json(text: &str) -> Result<Vec<Pair>> {
    /// The entries of an object, those of a name that occurs twice too.
    struct Entries(Vec<Pair>);

    impl<'de> Deserialize<'de> for Entries {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
            struct OfObject;
            impl<'de> Visitor<'de> for OfObject {
                type Value = Entries;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object of weights by label")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Entries, A::Error> {
                    let mut pairs = Vec::new();
                    while let Some((label, weight)) = map.next_entry::<String, serde_json::Value>()? {
                        pairs.push(match weight {
                            serde_json::Value::String(weight) => Pair::new(&label, &weight),
                            weight => Pair::new(&label, &weight.to_string()),
                        });
                    }
                    Ok(Entries(pairs))
                }
            }
            deserializer.deserialize_map(OfObject)
        }
    }

    let Entries(pairs) =
        serde_json::from_str(text).map_err(|error| Error::request(format!("not a JSON object: {error}")))?;
    Ok(pairs)
}

fn hint(labels: &Labels) -> String {
    format!(
        "the labels are {}; write a weight above 0 for some of them as a=2,b=0.5, or into a CSV file with lines \
         LABEL,WEIGHT or a JSON object; the others weigh 1",
        labels.listed()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels::from_names(["a", "b", "New York, NY", "x=y"]).unwrap()
    }

    fn weights(asked: &str) -> Result<Vec<(String, f64)>> {
        let labels = labels();
        match ClassWeighting::resolve(&asked.parse().unwrap(), &labels)? {
            ClassWeighting::Each(weights) => Ok(labels.names().iter().cloned().zip(weights).collect()),
            other => panic!("{other:?}"),
        }
    }

    fn of(asked: &str, label: &str) -> f64 {
        weights(asked).unwrap().into_iter().find(|(name, _)| name == label).unwrap().1
    }

    #[test]
    fn pairs_name_labels_with_commas_and_equal_signs() {
        let asked = "a = 2, New York, NY=0.5,x=y=1e1";
        assert_eq!(["a", "b", "New York, NY", "x=y"].map(|label| of(asked, label)), [2.0, 1.0, 0.5, 10.0]);
        assert_eq!(of("a=3,", "a"), 3.0);
    }

    #[test]
    fn files_say_the_same_in_every_form() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("w.json", r#"{"a": 2, "New York, NY": 0.5}"#),
            ("w.csv", "label,weight\na,2\n\"New York, NY\",0.5\n,\n"),
            ("w.csv", "\u{FEFF}a;2.0\r\nNew York, NY;.5\r\n"),
            ("w.tsv", "a\t2\nNew York, NY\t0.5\n"),
        ] {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            let file = file.to_str().unwrap();
            assert_eq!((of(file, "a"), of(file, "b"), of(file, "New York, NY")), (2.0, 1.0, 0.5), "{text}");
        }
        for (name, text) in [
            ("w.csv", "a,x\n"),
            ("w.csv", "a\n"),
            ("w.csv", ""),
            ("w.json", "[1]"),
            ("w.json", r#"{"a": 1, "a": 2}"#),
            ("w.csv", "q,2\n"),
        ] {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            let error = weights(file.to_str().unwrap()).unwrap_err();
            assert_eq!(error.exit_status(), 2, "{text}");
            assert!(error.hint_text().is_some_and(|hint| hint.contains("`New York, NY`")), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_weight_is_refused_with_the_labels() {
        for (asked, message) in [
            ("c=2", "`c` is not a label of the training data"),
            ("a=0", "the weight of `a` is `0`, not a number above 0"),
            ("a=-1", "the weight of `a` is `-1`"),
            ("a=inf", "the weight of `a` is `inf`"),
            ("a=nan", "the weight of `a` is `nan`"),
            ("a=two", "the weight of `a` is `two`"),
            ("a=2,b", "`b` has no weight"),
            ("a=2,a=3", "`a` is given two weights"),
            ("balancd", "did you mean `balanced`?"),
            ("absent.csv", "`absent.csv` is neither a file nor weights"),
        ] {
            let error = weights(asked).unwrap_err();
            assert!(error.to_string().contains(message), "{asked}: {error}");
            let hint = error.hint_text().unwrap_or_default();
            assert!(hint.contains("the labels are") && hint.contains("`x=y`"), "{asked}: {hint}");
        }
    }
}
