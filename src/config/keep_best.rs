//! The setting that says by which validation score the kept epoch is chosen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::forms::{Forms, unknown_word};

/// A score of the validation data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeepBest {
    /// The latest epoch whose macro-F1 is within the noise of the best.
    Latest,
    /// The mean F1 over the labels.
    MacroF1,
    /// The F1 of all decisions together: of one label per row the accuracy.
    MicroF1,
    /// The fraction of correct rows; where rows have several labels, of those with exactly their labels.
    Accuracy,
    /// Cross-entropy; the lowest is best.
    Loss,
    /// Matthews correlation.
    Mcc,
    /// Spearman correlation, of regression.
    Spearman,
    /// The F1 of this label.
    F1(String),
}

impl Forms for KeepBest {
    const FORMS: &'static [&'static str] =
        &["latest", "macro_f1", "micro_f1", "accuracy", "loss", "mcc", "spearman", "f1:LABEL"];
}

impl FromStr for KeepBest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "latest" => Ok(Self::Latest),
            "macro_f1" | "macro-f1" => Ok(Self::MacroF1),
            "micro_f1" | "micro-f1" => Ok(Self::MicroF1),
            "accuracy" => Ok(Self::Accuracy),
            "loss" => Ok(Self::Loss),
            "mcc" => Ok(Self::Mcc),
            "spearman" => Ok(Self::Spearman),
            text => match text.strip_prefix("f1:").map(str::trim) {
                Some(label) if !label.is_empty() => Ok(Self::F1(label.to_owned())),
                _ => Err(unknown_word(text, Self::FORMS)),
            },
        }
    }
}

impl fmt::Display for KeepBest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::MacroF1 => f.write_str("macro_f1"),
            Self::MicroF1 => f.write_str("micro_f1"),
            Self::Accuracy => f.write_str("accuracy"),
            Self::Loss => f.write_str("loss"),
            Self::Mcc => f.write_str("mcc"),
            Self::Spearman => f.write_str("spearman"),
            Self::F1(label) => write!(f, "f1:{label}"),
        }
    }
}

impl TryFrom<String> for KeepBest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<KeepBest> for String {
    fn from(score: KeepBest) -> Self {
        score.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_read_and_written() {
        for text in ["latest", "macro_f1", "accuracy", "loss", "mcc", "spearman", "f1:New York: NY"] {
            assert_eq!(text.parse::<KeepBest>().map(|score| score.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "f1", "f1:", "f1: ", "auc", "Loss"] {
            assert!(wrong.parse::<KeepBest>().is_err(), "{wrong}");
        }
        assert!("acuracy".parse::<KeepBest>().unwrap_err().contains("did you mean `accuracy`?"));
    }
}
