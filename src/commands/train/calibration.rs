//! The temperature of a trained network: fitted on the validation data and folded into its output layer, before
//! anything is saved. Python's probabilities are then as calibrated as those of `label`.

use super::prepare::Run;
use crate::config::Switch;
use crate::error::Result;
use crate::evaluation::temperature::{Fit, multiplied};
use crate::evaluation::{Evaluation, fit_temperature};
use crate::inference::Rows;
use crate::task::{Evaluated, Targets};

/// Fits the temperature on `valid`, the trained network's scores on the validation data, and folds it into the output
/// layer. Returns what the network now scores, and the temperature; `None`: the run is not to be calibrated.
pub fn calibrate(run: &mut Run, valid: Evaluated) -> Result<(Evaluated, Option<f64>)> {
    if run.config.training.calibrate == Switch::Off {
        return Ok((valid, None));
    }
    let temperature = fit_temperature(&valid.logits.values, run.splits.valid.dataset.targets.classes());
    Ok((fold(run, valid, temperature)?, Some(temperature)))
}

/// Divides the output layer by `temperature`. Returns what the network now scores on the validation data, on which it
/// scored `valid`.
pub fn fold(run: &mut Run, valid: Evaluated, temperature: f64) -> Result<Evaluated> {
    run.classifier.head.divide_output(temperature)?;
    let targets = &run.splits.valid.dataset.targets;
    let logits = Rows { values: multiplied(&valid.logits.values, 1.0 / temperature), width: valid.logits.width };
    let evaluation = run.task.evaluate(&logits, targets, &run.labels)?;
    Ok(with_scores_before(Evaluated { logits, evaluation }, targets, Some(temperature)))
}

/// Adds to the scores of a calibrated network what they were before.
pub fn with_scores_before(scored: Evaluated, targets: &Targets, temperature: Option<f64>) -> Evaluated {
    let Evaluated { logits, evaluation } = scored;
    let before = temperature.map(|temperature| Fit::of(&logits.values, targets.classes(), temperature));
    let (ece_before, loss_before) = before.map(|before| (before.ece, before.loss)).unzip();
    Evaluated { logits, evaluation: Evaluation { ece_before, loss_before, ..evaluation } }
}
