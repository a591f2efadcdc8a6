//! The setting that says when training ends before its last epoch.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::accepts::COUNT;
use super::forms::{Forms, unknown_word};

/// When training ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub enum Patience {
    /// In the last third of the epochs, when the training rows are learned and nothing is left to learn from them.
    Auto,
    /// After so many epochs in a row without improvement on the validation data.
    Epochs(u32),
    /// Never.
    Off,
}

impl Patience {
    /// Epochs in a row without improvement after which training ends.
    pub fn epochs(self) -> Option<u32> {
        match self {
            Self::Epochs(epochs) => Some(epochs),
            Self::Auto | Self::Off => None,
        }
    }
}

impl Forms for Patience {
    const FORMS: &'static [&'static str] = &["auto", "off", "EPOCHS"];
}

impl FromStr for Patience {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            text => match text.parse::<u32>() {
                Ok(epochs) if epochs > 0 && u64::from(epochs) <= COUNT.max => Ok(Self::Epochs(epochs)),
                Ok(_) => Err(format!("expected {COUNT}, `auto` or `off`")),
                Err(_) => Err(unknown_word(text, Self::FORMS)),
            },
        }
    }
}

impl fmt::Display for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Epochs(epochs) => epochs.fmt(f),
        }
    }
}

/// How it stands in TOML: a number, or a word.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Number(u32),
    Text(String),
}

impl TryFrom<Form> for Patience {
    type Error = String;

    fn try_from(form: Form) -> Result<Self, String> {
        match form {
            Form::Number(epochs) => epochs.to_string().parse(),
            Form::Text(text) => text.parse(),
        }
    }
}

impl From<Patience> for Form {
    fn from(patience: Patience) -> Self {
        match patience {
            Patience::Epochs(epochs) => Self::Number(epochs),
            word => Self::Text(word.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back() {
        for text in ["auto", "off", "3"] {
            let patience: Patience = text.parse().unwrap();
            assert_eq!(patience.to_string(), text);
            let json = serde_json::to_string(&patience).unwrap();
            assert_eq!(serde_json::from_str::<Patience>(&json).unwrap(), patience, "{json}");
        }
        for wrong in ["0", "-1", "2.5", "5000000000", "never"] {
            assert!(wrong.parse::<Patience>().is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<Patience>("0").is_err());
    }
}
