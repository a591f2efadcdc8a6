//! The setting that says from which probability on a label is given, where rows may have several.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::forms::{Forms, unknown_word};

/// From which probability on labels are given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub enum LabelThresholds {
    /// Each from where its F1 on the validation rows is highest.
    F1,
    /// All from this one.
    All(f64),
}

impl Forms for LabelThresholds {
    const FORMS: &'static [&'static str] = &["f1", "P"];
}

impl FromStr for LabelThresholds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse::<f64>()) {
            ("f1", _) => Ok(Self::F1),
            (_, Ok(threshold)) if threshold > 0.0 && threshold < 1.0 => Ok(Self::All(threshold)),
            (_, Ok(_)) => Err("expected a probability above 0 and below 1, or `f1`".to_owned()),
            (_, Err(_)) => Err(unknown_word(text, Self::FORMS)),
        }
    }
}

impl fmt::Display for LabelThresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F1 => f.write_str("f1"),
            Self::All(threshold) => threshold.fmt(f),
        }
    }
}

/// As a file writes it: a word or a number.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Form {
    Word(String),
    Number(f64),
}

impl TryFrom<Form> for LabelThresholds {
    type Error = String;

    fn try_from(form: Form) -> Result<Self, String> {
        match form {
            Form::Word(text) => text.parse(),
            Form::Number(threshold) => threshold.to_string().parse(),
        }
    }
}

impl From<LabelThresholds> for Form {
    fn from(thresholds: LabelThresholds) -> Self {
        match thresholds {
            LabelThresholds::F1 => Self::Word("f1".to_owned()),
            LabelThresholds::All(threshold) => Self::Number(threshold),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_read_and_written() {
        for text in ["f1", "0.5", "0.25"] {
            assert_eq!(text.parse::<LabelThresholds>().map(|thresholds| thresholds.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "0", "1", "-0.1", "nan", "F1", "auto"] {
            assert!(wrong.parse::<LabelThresholds>().is_err(), "{wrong}");
        }
    }
}
