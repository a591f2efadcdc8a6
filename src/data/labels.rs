//! The classes: names and their indices, in an order that depends on the names alone, so that an index means the same
//! class on every machine and in every run.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, listed, nearest};

/// More classes than this mean a mistake in the choice of the column.
pub const MAX_LABELS: usize = 10_000;

/// Distinct label names, numbered from 0. Serialised as the list of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Labels {
    names: Vec<String>,
    indices: HashMap<String, u32>,
}

impl Labels {
    /// Numbers the distinct names: by value when all are integers, otherwise by their characters.
    ///
    /// # Errors
    /// When there are more than [`MAX_LABELS`].
    pub fn from_names<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Result<Self> {
        let distinct: BTreeSet<String> = names.into_iter().map(Into::into).collect();
        let mut names: Vec<String> = distinct.into_iter().collect();
        let values: Option<Vec<i128>> = names.iter().map(|name| name.parse().ok()).collect();
        if values.is_some() {
            // Stable: names of one value (`1`, `01`) stay in the order of their characters.
            names.sort_by_key(|name| name.parse::<i128>().unwrap_or_default());
        }
        Self::in_order(names)
    }

    /// Keeps the order in which the names are given, as a model's configuration states it.
    ///
    /// # Errors
    /// When a name appears twice, or there are more than [`MAX_LABELS`].
    pub fn in_order(names: Vec<String>) -> Result<Self> {
        if names.len() > MAX_LABELS {
            return Err(too_many());
        }
        let mut indices = HashMap::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            if indices.insert(name.clone(), index as u32).is_some() {
                return Err(Error::request(format!("the label `{name}` appears twice in the list of labels")));
            }
        }
        Ok(Self { names, indices })
    }

    /// The index of a name, which must match to the letter; `None` when there is no such class.
    pub fn index_of(&self, name: &str) -> Option<u32> {
        self.indices.get(name).copied()
    }

    /// The name of an index; empty when there is no such class.
    pub fn name(&self, index: u32) -> &str {
        self.names.get(index as usize).map_or("", String::as_str)
    }

    /// The names in the order of their indices.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of classes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The names for a message; of many the first.
    pub fn listed(&self) -> String {
        const SHOWN: usize = 20;
        match self.names.get(..SHOWN) {
            Some(first) if self.len() > SHOWN => {
                let first: Vec<String> = first.iter().map(|name| format!("`{name}`")).collect();
                format!("{} and {} more", first.join(", "), self.len() - SHOWN)
            }
            _ => listed(&self.names),
        }
    }

    /// That somebody named a class that there is not.
    pub fn unknown(&self, name: &str) -> String {
        let meant = nearest(name, self.names.iter().map(String::as_str));
        let meant = meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
        format!("`{name}` is not a label of the training data{meant}")
    }

    /// Whether there is no class at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// The error for a label column with too many distinct values.
pub(super) fn too_many() -> Error {
    Error::request(format!("more than {MAX_LABELS} different labels"))
        .hint("is this column really the label? Name another with --label COL; --task regression takes numbers as such")
}

impl TryFrom<Vec<String>> for Labels {
    type Error = Error;

    fn try_from(names: Vec<String>) -> Result<Self> {
        Self::in_order(names)
    }
}

impl From<Labels> for Vec<String> {
    fn from(labels: Labels) -> Self {
        labels.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_depends_on_the_names_alone() {
        let names = |given: &[&str]| Labels::from_names(given.to_vec()).unwrap().names().to_vec();
        assert_eq!(names(&["10", "9", "-1", "9"]), ["-1", "9", "10"]);
        assert_eq!(names(&["10", "9", "x"]), ["10", "9", "x"]);
        assert_eq!(names(&["é", "z", "B", "a"]), ["B", "a", "z", "é"]);
        assert_eq!(names(&["1", "01"]), ["01", "1"]);
    }

    #[test]
    fn names_and_indices_match_and_survive_json() {
        let labels = Labels::from_names(["pos", "neg"]).unwrap();
        assert_eq!((labels.index_of("pos"), labels.index_of("neutral")), (Some(1), None));
        assert_eq!((labels.name(0), labels.name(9), labels.len()), ("neg", "", 2));
        let json = serde_json::to_string(&labels).unwrap();
        assert_eq!(json, r#"["neg","pos"]"#);
        assert_eq!(serde_json::from_str::<Labels>(&json).unwrap(), labels);
        assert!(serde_json::from_str::<Labels>(r#"["a","a"]"#).is_err());
        assert!(Labels::from_names((0..10_001).map(|index| index.to_string())).is_err());
    }
}
