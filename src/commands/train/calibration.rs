//! What is fitted of a trained network's answers on rows that it was not trained on, before anything is saved: the
//! temperature, which is folded into the output layer so that Python's probabilities are as calibrated as those of
//! `label`, and where rows may have several labels the least probability at which each is given.

use serde::{Deserialize, Serialize};

use super::prepare::Run;
use crate::config::{LabelThresholds, Switch};
use crate::error::Result;
use crate::evaluation::temperature::{Fit, multiplied};
use crate::evaluation::{Classification, Evaluation, fit_temperature};
use crate::inference::Rows;
use crate::model::Classifier;
use crate::task::{Evaluated, Targets};

/// What is done to a network's answers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Calibration {
    /// What the output layer is divided by.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// By label the least probability at which it is given.
    #[serde(default)]
    pub label_thresholds: Option<Vec<f64>>,
}

impl Calibration {
    /// Has the network answer so.
    pub fn apply(&self, classifier: &mut Classifier) -> Result<()> {
        if let Some(temperature) = self.temperature {
            classifier.head.divide_output(temperature)?;
        }
        classifier.label_thresholds.clone_from(&self.label_thresholds);
        Ok(())
    }
}

/// Fits what is to be done on `valid`, the trained network's scores on data with these `targets` that it was not
/// trained on, and has the network answer so. Returns what it now scores, too.
pub fn calibrate(
    run: &mut Run,
    valid: Option<Evaluated>,
    targets: &Targets,
) -> Result<(Option<Evaluated>, Calibration)> {
    let Some(scored) = valid else { return Ok((None, Calibration::default())) };
    let (scored, calibration) = calibrated(run, scored, targets)?;
    calibration.apply(&mut run.classifier)?;
    Ok((Some(scored), calibration))
}

/// Fits what is to be done on scores of rows that were not trained on. Returns what they are with it.
pub fn calibrated(run: &Run, scored: Evaluated, targets: &Targets) -> Result<(Evaluated, Calibration)> {
    if let Some(chosen) = run.task.thresholds(&scored.logits, targets) {
        let thresholds = match run.config.training.label_thresholds {
            LabelThresholds::F1 => chosen,
            LabelThresholds::All(threshold) => vec![threshold; run.labels.len()],
        };
        let evaluation = run.task.evaluate(&scored.logits, targets, &run.labels, Some(&thresholds))?;
        let scored = Evaluated { evaluation, ..scored };
        return Ok((scored, Calibration { temperature: None, label_thresholds: Some(thresholds) }));
    }
    // Numbers have no confidence.
    if run.config.training.calibrate == Switch::Off || matches!(targets, Targets::Numbers(_)) {
        return Ok((scored, Calibration::default()));
    }
    let temperature = fit_temperature(&scored.logits.values, targets.classes());
    let calibration = Calibration { temperature: Some(temperature), label_thresholds: None };
    Ok((divided(run, scored, targets, temperature)?, calibration))
}

/// What `scored` is where all logits are divided by `temperature`.
fn divided(run: &Run, scored: Evaluated, targets: &Targets, temperature: f64) -> Result<Evaluated> {
    let logits = Rows { values: multiplied(&scored.logits.values, 1.0 / temperature), width: scored.logits.width };
    let evaluation = run.task.evaluate(&logits, targets, &run.labels, None)?;
    Ok(with_scores_before(Evaluated { logits, evaluation }, targets, Some(temperature)))
}

/// Adds to the scores of a calibrated network what they were before.
pub fn with_scores_before(scored: Evaluated, targets: &Targets, temperature: Option<f64>) -> Evaluated {
    let Evaluated { logits, evaluation } = scored;
    let before = temperature.map(|temperature| Fit::of(&logits.values, targets.classes(), temperature));
    let (ece_before, loss_before) = before.map(|before| (before.ece, before.loss)).unzip();
    let evaluation = match evaluation {
        Evaluation::SingleLabel(scores) => {
            Evaluation::SingleLabel(Classification { ece_before, loss_before, ..scores })
        }
        other @ (Evaluation::MultiLabel(_) | Evaluation::Regression(_)) => other,
    };
    Evaluated { logits, evaluation }
}
