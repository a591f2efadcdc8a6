//! From which confidence on a label is written: as given, or as training chose for a target accuracy.

use crate::cli::{LabelArgs, MinConfidence};
use crate::commands::loaded_model::LoadedModel;
use crate::console::Console;
use crate::error::{Error, Result};

/// The least confidence of a label that is written.
pub struct Confident {
    /// By label.
    pub by_label: Vec<f64>,
    /// Why a row has no label: `below 0.8`.
    pub below: String,
}

impl Confident {
    /// That of a call; what the model's own promises is said.
    ///
    /// # Errors
    /// The model's own is asked for, and it has none.
    pub fn of(args: &LabelArgs, model: &LoadedModel, console: &Console) -> Result<Self> {
        let labels = model.classifier.labels.names();
        let least = match args.min_confidence {
            None => 0.0,
            Some(MinConfidence::Of(least)) => least,
            Some(MinConfidence::Auto) => return Self::of_model(model, console),
        };
        Ok(Self { by_label: vec![least; labels.len()], below: format!("below {least}") })
    }

    fn of_model(model: &LoadedModel, console: &Console) -> Result<Self> {
        let refused = |message: String| {
            Err(Error::request(message)
                .key("min-confidence")
                .hint("train with --target-accuracy P, or give --min-confidence a number"))
        };
        let Some(thresholds) = model.saved_confidence()?.thresholds else {
            return refused("the model has no confidence thresholds of its own".to_owned());
        };
        if thresholds.shown.is_empty() {
            return refused(thresholds.sentence());
        }
        let below = match thresholds.shown.as_slice() {
            [one] if thresholds.without.is_empty() => format!("below {}", one.confidence),
            _ => "below the threshold of the label".to_owned(),
        };
        let by_label = thresholds.by_label(model.classifier.labels.names());
        console.note(thresholds.sentence());
        Ok(Self { by_label, below })
    }
}
