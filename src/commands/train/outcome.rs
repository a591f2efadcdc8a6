//! The trained model in its directory, with the record of how training went, and the same found again on resuming.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::calibration::{Calibration, calibrate};
use super::prepare::{Run, Stage};
use crate::commands::trained_rows::{HELD_OUT_ROWS, TRAINED_ROWS};
use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, Typical};
use crate::report::{FoldScores, Refit, SplitPredictions};
use crate::strategy::{Guide, Trained};
use crate::task::Evaluated;
use crate::training::collapse::Restart;
use crate::training::ended::files_in;
use crate::training::snapshot::{self, Snapshots};
use crate::training::stopping::Ended;

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
    /// What was done to the network's answers.
    #[serde(flatten)]
    pub calibration: Calibration,
    /// How unusual the validation rows are.
    #[serde(default)]
    pub typical: Option<Typical>,
    /// Of a head that was fitted on features.
    #[serde(default)]
    pub penalty: Option<f64>,
    /// How the run was begun again, if its training had collapsed.
    #[serde(default)]
    pub restart: Option<Restart>,
    /// Why training ended where it did; of a head that was fitted on features nothing.
    #[serde(default)]
    pub ended: Option<Ended>,
    /// The scores on the validation rows: with `refit` of the model before it.
    pub valid: Option<Evaluation>,
    /// The scores of all training rows, where each was held out in a fold.
    #[serde(default)]
    pub folds: Option<FoldScores>,
    /// What was predicted for the rows that these are the scores of.
    #[serde(skip)]
    pub predictions: SplitPredictions,
    /// The training on all rows that followed.
    #[serde(default)]
    pub refit: Option<Refit>,
}

/// How unusual rows are that were not trained on, of a task that gives each one label.
pub fn typical(scored: &Evaluated) -> Option<Typical> {
    scored.evaluation.single_label().map(|_| Typical::of(&scored.logits.values, scored.logits.width))
}

impl SavedTraining {
    /// The record of a `trained` model, whose answers were calibrated so.
    pub fn new(run: &Run, trained: Trained, calibration: Calibration) -> Self {
        let Trained { seconds, tokens, best_epoch, epochs, trainable_parameters, penalty, valid, restart, ended } =
            trained;
        let predictions = match (&valid, &run.splits.valid) {
            (Some(scored), Some(split)) => {
                let thresholds = calibration.label_thresholds.as_deref();
                SplitPredictions::of_logits(&scored.logits, &split.dataset.targets, thresholds)
            }
            _ => SplitPredictions::default(),
        };
        Self {
            fingerprint: run.plan.fingerprint.clone(),
            seconds,
            tokens,
            best_epoch,
            epochs,
            trainable_parameters,
            calibration,
            typical: valid.as_ref().and_then(typical),
            penalty,
            restart,
            ended,
            predictions,
            valid: valid.map(|valid| valid.evaluation),
            folds: None,
            refit: None,
        }
    }

    /// Trains with validation rows.
    pub fn of_training(run: &mut Run) -> Result<Self> {
        run.console.section(format!("training ({})", run.config.strategy.name));
        let (train, plan, folder) = (run.splits.choosing().clone(), run.plan.clone(), run.out().to_owned());
        let valid = run.splits.valid.as_ref().map(|valid| valid.dataset.clone());
        let valid = valid.ok_or_else(|| Error::failure("there are no validation rows"))?;
        let guide = Guide::Validation(&valid);
        let trained =
            run.train(&Stage { train: &train, guide, plan: &plan, folder: &folder, watch: None, counts_shared: true })?;
        let (scored, calibration) = calibrate(run, trained.valid, &valid.targets)?;
        Ok(Self::new(run, Trained { valid: scored, ..trained }, calibration))
    }

    /// Saves the trained model and this record of it.
    pub fn save(&self, run: &Run) -> Result<()> {
        run.classifier.save(run.out())?;
        run.transform.save(run.out())?;
        self.save_predictions(run)?;
        run.splits.train.digests.write(&run.out().join(TRAINED_ROWS))?;
        if let Some(valid) = &run.splits.valid {
            valid.digests.write(&run.out().join(HELD_OUT_ROWS))?;
        }
        /// What the report and the model card are made of, or are themselves, is written after this.
        const LATER: [&str; 2] = ["metrics.json", "confidence.json"];
        let mut files = files_in(run.out(), &[".json", ".jsonl", ".safetensors", ".txt", ".model", ".py"]);
        files.retain(|file| !LATER.iter().any(|later| file.as_os_str() == *later));
        files.extend(Self::predicted(run));
        Snapshots::new(run.out())?.trained(self, &files)
    }

    /// Records that these chose for how long the run's model is trained.
    pub fn record_choice(&self, run: &Run) -> Result<()> {
        self.save_predictions(run)?;
        // The history of a run with folds becomes that of its final training.
        let history = run.splits.folded.is_none().then(|| "history.jsonl".into());
        let files: Vec<PathBuf> = Self::predicted(run).into_iter().chain(history).collect();
        Snapshots::new(run.out())?.chosen(self, &files)
    }

    /// The file of the predictions that [`save_predictions`](Self::save_predictions) writes.
    fn predicted(run: &Run) -> Option<PathBuf> {
        run.splits.judging().map(|(name, _)| format!("predictions/{name}.csv").into())
    }

    /// Saves what was predicted for the rows that chose the epoch.
    fn save_predictions(&self, run: &Run) -> Result<()> {
        let Some((name, rows)) = run.splits.judging() else { return Ok(()) };
        let origins = run.origins(rows);
        let with_folds = run.splits.folded.as_ref().map(|folded| folded.origins(origins));
        self.predictions.write(run.out(), name, run.labels.names(), with_folds.as_ref().unwrap_or(origins))
    }

    /// With the predictions that were saved.
    pub fn with_predictions(mut self, run: &Run) -> Result<Self> {
        if let Some((name, rows)) = run.splits.judging() {
            let targets = &rows.dataset.targets;
            let thresholds = self.calibration.label_thresholds.as_deref();
            self.predictions = SplitPredictions::read(run.out(), name, run.labels.names(), targets, thresholds)?;
        }
        Ok(self)
    }

    /// Whether it was made of the data and settings of `run`.
    pub fn is_of(&self, run: &Run) -> bool {
        self.fingerprint == run.plan.fingerprint
    }

    /// What an earlier session saved, if it came so far. The run's classifier is then the trained one.
    pub fn of_earlier_session(run: &mut Run) -> Result<Option<Self>> {
        if !run.session.resume {
            return Ok(None);
        }
        let Some(outcome) = Snapshots::new(run.out())?.training_record::<Self>()? else { return Ok(None) };
        if !outcome.is_of(run) {
            return Err(snapshot::of_another_run(run.out()));
        }
        run.classifier.merge_adapters()?;
        let parameters: Vec<_> = run.classifier.parameters().chain(run.classifier.backbone.statistics()).collect();
        snapshot::copy_into(&run.out().join("model.safetensors"), &parameters)?;
        run.classifier.label_thresholds.clone_from(&outcome.calibration.label_thresholds);
        run.classifier.freeze()?;
        run.console.note("the model is trained and saved");
        outcome.with_predictions(run).map(Some)
    }
}
