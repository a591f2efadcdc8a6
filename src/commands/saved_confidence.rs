//! What a run knows of its confidences, as it is kept beside the model for `label`: `confidence.json`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tch::Kind;

use crate::error::{Error, Result};
use crate::evaluation::Typical;
use crate::evaluation::thresholds::Thresholds;
use crate::files::write_atomically;
use crate::fingerprint::Fingerprint;
use crate::model::Classifier;
use crate::report::metrics::to_readable_json;

/// The content of the file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedConfidence {
    /// A digest of the output layer whose confidences these are.
    output_layer: String,
    /// The scores by which a row is told to be unusual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typical: Option<Typical>,
    /// From which confidence on a target accuracy is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Thresholds>,
}

impl SavedConfidence {
    /// Of a trained classifier.
    pub fn of(classifier: &Classifier, typical: Option<Typical>, thresholds: Option<Thresholds>) -> Result<Self> {
        Ok(Self { output_layer: output_layer(classifier)?, typical, thresholds })
    }

    /// Keeps it in the run's directory.
    pub fn write(&self, run: &Path) -> Result<()> {
        write_atomically(file(run), format!("{}\n", to_readable_json(self)?).as_bytes())
    }

    /// What is kept beside a loaded model; nothing where there is no such file.
    ///
    /// # Errors
    /// The file is damaged, or belongs to other weights.
    pub fn read(classifier: &Classifier) -> Result<Self> {
        let file = file(&classifier.directory);
        if !file.is_file() {
            return Ok(Self::default());
        }
        let bytes = std::fs::read(&file).map_err(|error| Error::io(error, &file))?;
        let refused = |message: String| {
            let hint = "train the run again, or leave out --unknown and `--min-confidence auto`";
            Error::request(message).file(&file).hint(hint)
        };
        let saved: Self = serde_json::from_slice(&bytes)
            .map_err(|error| refused(format!("not what a run keeps of its confidences: {error}")))?;
        if saved.output_layer != output_layer(classifier)? {
            return Err(refused("it belongs to other weights than the model's".to_owned()));
        }
        Ok(saved)
    }
}

/// The file of a run.
fn file(run: &Path) -> PathBuf {
    run.join("confidence.json")
}

/// The output layer stays in fp32 in every precision.
fn output_layer(classifier: &Classifier) -> Result<String> {
    let mut hash = Fingerprint::default();
    hash.bytes(classifier.labels.names().join("\u{0}"));
    let head = classifier.head.parameters();
    for parameter in head.iter().skip(classifier.head.parameters_before_output().len()) {
        hash.tensor(&parameter.tensor.f_to_kind(Kind::Float)?)?;
    }
    Ok(hash.finish())
}
