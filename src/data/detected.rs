//! A setting that was detected in the data rather than given.

use std::fmt;

/// Something that was chosen for the person, with the reason; shown and kept with the run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DetectedSetting {
    /// What was chosen: `format`, `delimiter`, `text`, `label`.
    pub setting: &'static str,
    /// What was found, as a person would have written it.
    pub value: String,
    /// Why, as the end of a sentence.
    pub reason: String,
}

impl DetectedSetting {
    pub(crate) fn new(setting: &'static str, value: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { setting, value: value.into(), reason: reason.into() }
    }
}

impl fmt::Display for DetectedSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.setting, self.value, self.reason)
    }
}
