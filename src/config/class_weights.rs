//! What each class weighs in the loss, as it is asked for. Labels and files are looked at where the labels of the data
//! are known, in `data::class_weights`.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The weight of each class in the loss.
#[derive(Debug, Clone, PartialEq)]
pub enum ClassWeights {
    /// Every example counts the same.
    None,
    /// Inverse to the class's frequency, so that every class counts the same.
    Balanced,
    /// The name of a file, or pairs such as `a=2,b=0.5`.
    Text(String),
    /// Of TOML: weights by label.
    Table(BTreeMap<String, f64>),
}

impl ClassWeights {
    /// The file that has the weights, where there is one of that name.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Text(text) => Some(Path::new(text)).filter(|path| path.is_file()),
            Self::None | Self::Balanced | Self::Table(_) => None,
        }
    }
}

impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => Err("expected `none`, `balanced`, a file, or weights such as a=2,b=0.5".to_owned()),
            "none" => Ok(Self::None),
            "balanced" => Ok(Self::Balanced),
            text => Ok(Self::Text(text.to_owned())),
        }
    }
}

impl Serialize for ClassWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::Balanced => serializer.serialize_str("balanced"),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Table(weights) => weights.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ClassWeights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Table(BTreeMap<String, f64>),
        }
        match Form::deserialize(deserializer)? {
            Form::Text(text) => text.parse().map_err(D::Error::custom),
            Form::Table(weights) => Ok(Self::Table(weights)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_words_a_text_or_a_table() {
        let read = |value: &str| {
            let table: toml::Table = format!("value = {value}").parse().unwrap();
            table["value"].clone().try_into::<ClassWeights>()
        };
        assert_eq!(read("'balanced'").unwrap(), ClassWeights::Balanced);
        assert_eq!(read("' none '").unwrap(), ClassWeights::None);
        assert_eq!(read("'a=2,b=0.5'").unwrap(), ClassWeights::Text("a=2,b=0.5".into()));
        let table = read("{ a = 2, 'b c' = 0.5 }").unwrap();
        assert_eq!(table, ClassWeights::Table(BTreeMap::from([("a".into(), 2.0), ("b c".into(), 0.5)])));
        let written = toml::Value::try_from(&table).unwrap().to_string();
        assert_eq!(read(&written).unwrap(), table, "{written}");
        for wrong in ["''", "3", "['a']", "{ a = 'x' }"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
