//! What the program decided by itself, each decision with its reason: printed at the start of a run and kept with it.
//! Who decides and how is not known here.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::settings;

/// One automatic decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// A configuration key, with or without its section, or another short name.
    pub key: String,
    /// What was decided, as the settings write it.
    pub value: String,
    /// Why, as the end of a sentence: `this CPU has no fast bf16`.
    pub reason: String,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.key, self.value, self.reason)
    }
}

/// The automatic decisions of a run, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Choices(Vec<Choice>);

impl Choices {
    /// Keeps a decision. A later one on the same key replaces the earlier.
    pub fn record(&mut self, key: impl Into<String>, value: impl fmt::Display, reason: impl Into<String>) {
        let choice = Choice { key: key.into(), value: value.to_string(), reason: reason.into() };
        match self.0.iter_mut().find(|earlier| earlier.key == choice.key) {
            Some(earlier) => *earlier = choice,
            None => self.0.push(choice),
        }
    }

    /// The decision that was recorded under exactly this key.
    pub fn get(&self, key: &str) -> Option<&Choice> {
        self.0.iter().find(|choice| choice.key == key)
    }

    /// The decisions, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Choice> {
        self.0.iter()
    }

    /// Whether the program decided nothing by itself.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The decision on a configuration key, under whichever name it was recorded.
    pub(super) fn of_key(&self, section: &str, name: &str) -> Option<&Choice> {
        let path = format!("{section}.{name}");
        self.0.iter().find(|choice| settings::find(&choice.key).is_some_and(|setting| setting.path == path))
    }
}

/// One decision per line: `precision = fp32 (this CPU has no fast bf16)`.
impl fmt::Display for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, choice) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{choice}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_in_order_and_replaced_by_key() {
        let mut choices = Choices::default();
        choices.record("device", "cpu", "no GPU found");
        choices.record("precision", "bf16", "this CPU has fast bf16");
        choices.record("precision", "fp32", "asked for by the engine");
        assert_eq!(choices.to_string(), "device = cpu (no GPU found)\nprecision = fp32 (asked for by the engine)");
        assert_eq!(choices.of_key("run", "device").map(|choice| choice.value.as_str()), Some("cpu"));
        assert_eq!(choices.of_key("training", "lr"), None);
    }
}
