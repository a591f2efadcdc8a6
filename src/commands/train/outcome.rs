//! The trained model in its directory, with the record of how training went, and the same found again on resuming.

use serde::{Deserialize, Serialize};

use super::prepare::Run;
use crate::error::Result;
use crate::evaluation::Evaluation;
use crate::report::Predictions;
use crate::strategy::Trained;
use crate::training::snapshot::{self, Snapshots};

/// How training went, as it is kept until the run is finished.
#[derive(Serialize, Deserialize)]
pub struct SavedTraining {
    /// The configuration's fingerprint.
    fingerprint: String,
    pub seconds: f64,
    pub tokens: u64,
    pub best_epoch: Option<u32>,
    pub epochs: u32,
    pub trainable_parameters: u64,
    /// What the output layer was divided by.
    #[serde(default)]
    pub temperature: Option<f64>,
    pub valid: Evaluation,
    #[serde(skip)]
    pub valid_predictions: Predictions,
}

impl SavedTraining {
    /// The record of a `trained` model, whose output layer was divided by `temperature`.
    pub fn new(run: &Run, trained: Trained, temperature: Option<f64>) -> Self {
        let Trained { seconds, tokens, best_epoch, epochs, trainable_parameters, valid } = trained;
        Self {
            fingerprint: run.plan.fingerprint.clone(),
            seconds,
            tokens,
            best_epoch,
            epochs,
            trainable_parameters,
            temperature,
            valid_predictions: Predictions::of_logits(&valid.logits, &run.splits.valid.dataset.targets),
            valid: valid.evaluation,
        }
    }

    /// Saves the trained model and this record of it.
    pub fn save(&self, run: &Run) -> Result<()> {
        run.classifier.save(run.out())?;
        run.transform.save(run.out())?;
        let origins = run.origins(&run.splits.valid);
        self.valid_predictions.write(run.out(), "valid", run.labels.names(), origins)?;
        run.splits.train.trained_rows.write(run.out())?;
        Snapshots::new(run.out())?.trained(self)
    }

    /// What an earlier session saved, if it came so far. The run's classifier is then the trained one.
    pub fn of_earlier_session(run: &mut Run) -> Result<Option<Self>> {
        if !run.session.resume {
            return Ok(None);
        }
        let Some(mut outcome) = Snapshots::new(run.out())?.training_record::<Self>()? else { return Ok(None) };
        if outcome.fingerprint != run.plan.fingerprint {
            return Err(snapshot::of_another_run(run.out()));
        }
        run.classifier.merge_adapters()?;
        let parameters: Vec<_> = run.classifier.parameters().chain(run.classifier.backbone.statistics()).collect();
        snapshot::copy_into(&run.out().join("model.safetensors"), &parameters)?;
        run.classifier.freeze()?;
        outcome.valid_predictions = Predictions::read(run.out(), "valid", run.labels.names())?;
        run.console.note("the model is trained and saved");
        Ok(Some(outcome))
    }
}
