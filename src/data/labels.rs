//! The classes: words and their indices, in an order that depends on the words alone, so that an index means the same
//! class on every machine and in every run.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// More classes than this are taken for a mistake in the choice of the column.
pub const MAX_LABELS: usize = 10_000;

/// Distinct label words, numbered from 0. Serialised as the list of words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Labels {
    words: Vec<String>,
    indices: HashMap<String, u32>,
}

impl Labels {
    /// Numbers the distinct words: by value when all are integers, otherwise by their characters.
    ///
    /// # Errors
    /// When there are more than [`MAX_LABELS`].
    pub fn from_words<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Result<Self> {
        let distinct: BTreeSet<String> = words.into_iter().map(Into::into).collect();
        let mut words: Vec<String> = distinct.into_iter().collect();
        let values: Option<Vec<i128>> = words.iter().map(|word| word.parse().ok()).collect();
        if values.is_some() {
            // Stable: words of one value (`1`, `01`) stay in the order of their characters.
            words.sort_by_key(|word| word.parse::<i128>().unwrap_or_default());
        }
        Self::in_order(words)
    }

    /// Keeps the order in which the words are given, as a model's configuration states it.
    ///
    /// # Errors
    /// When a word appears twice, or there are more than [`MAX_LABELS`].
    pub fn in_order(words: Vec<String>) -> Result<Self> {
        if words.len() > MAX_LABELS {
            return Err(too_many());
        }
        let mut indices = HashMap::with_capacity(words.len());
        for (index, word) in words.iter().enumerate() {
            if indices.insert(word.clone(), index as u32).is_some() {
                return Err(Error::request(format!("the label `{word}` appears twice in the list of labels")));
            }
        }
        Ok(Self { words, indices })
    }

    pub fn index_of(&self, word: &str) -> Option<u32> {
        self.indices.get(word).copied()
    }

    /// The word of an index; empty when there is no such class.
    pub fn word(&self, index: u32) -> &str {
        self.words.get(index as usize).map_or("", String::as_str)
    }

    /// The words in the order of their indices.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    pub fn len(&self) -> usize {
        self.words.len()
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

/// The error for a label column with too many distinct values.
pub(super) fn too_many() -> Error {
    Error::request(format!("more than {MAX_LABELS} different labels"))
        .hint("is this column really the label? Name another with --label COL")
}

impl TryFrom<Vec<String>> for Labels {
    type Error = Error;

    fn try_from(words: Vec<String>) -> Result<Self> {
        Self::in_order(words)
    }
}

impl From<Labels> for Vec<String> {
    fn from(labels: Labels) -> Self {
        labels.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_depends_on_the_words_alone() {
        let words = |given: &[&str]| Labels::from_words(given.to_vec()).unwrap().words().to_vec();
        assert_eq!(words(&["10", "9", "-1", "9"]), ["-1", "9", "10"]);
        assert_eq!(words(&["10", "9", "x"]), ["10", "9", "x"]);
        assert_eq!(words(&["é", "z", "B", "a"]), ["B", "a", "z", "é"]);
        assert_eq!(words(&["1", "01"]), ["01", "1"]);
    }

    #[test]
    fn words_and_indices_match_and_survive_json() {
        let labels = Labels::from_words(["pos", "neg"]).unwrap();
        assert_eq!((labels.index_of("pos"), labels.index_of("neutral")), (Some(1), None));
        assert_eq!((labels.word(0), labels.word(9), labels.len()), ("neg", "", 2));
        let json = serde_json::to_string(&labels).unwrap();
        assert_eq!(json, r#"["neg","pos"]"#);
        assert_eq!(serde_json::from_str::<Labels>(&json).unwrap(), labels);
        assert!(serde_json::from_str::<Labels>(r#"["a","a"]"#).is_err());
        assert!(Labels::from_words((0..10_001).map(|index| index.to_string())).is_err());
    }
}
