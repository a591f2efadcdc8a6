//! The temperature of a trained network: fitted on the validation data and folded into its output layer, before
//! anything is saved. Python's probabilities are then as calibrated as those of `label`.

use super::prepare::Run;
use crate::config::Switch;
use crate::error::Result;
use crate::evaluation::temperature::{Fit, multiplied};
use crate::evaluation::{Classification, Evaluation, fit_temperature};
use crate::inference::Rows;
use crate::task::{Evaluated, Targets};

/// Fits the temperature on `valid`, the trained network's scores on data with these `targets` that it was not trained
/// on, and folds it into the output layer. Returns what the network now scores, and the temperature.
pub fn calibrate(
    run: &mut Run,
    valid: Option<Evaluated>,
    targets: &Targets,
) -> Result<(Option<Evaluated>, Option<f64>)> {
    let Some(scored) = valid else { return Ok((None, None)) };
    let (scored, temperature) = calibrated(run, scored, targets)?;
    if let Some(temperature) = temperature {
        run.classifier.head.divide_output(temperature)?;
    }
    Ok((Some(scored), temperature))
}

/// Fits the temperature on scores of rows that were not trained on. Returns what they are with it; `None`: the run is
/// not to be calibrated.
pub fn calibrated(run: &Run, scored: Evaluated, targets: &Targets) -> Result<(Evaluated, Option<f64>)> {
    if run.config.training.calibrate == Switch::Off {
        return Ok((scored, None));
    }
    let temperature = fit_temperature(&scored.logits.values, targets.classes());
    Ok((divided(run, scored, targets, temperature)?, Some(temperature)))
}

/// What `scored` is where all logits are divided by `temperature`.
fn divided(run: &Run, scored: Evaluated, targets: &Targets, temperature: f64) -> Result<Evaluated> {
    let logits = Rows { values: multiplied(&scored.logits.values, 1.0 / temperature), width: scored.logits.width };
    let evaluation = run.task.evaluate(&logits, targets, &run.labels)?;
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
        other @ Evaluation::MultiLabel(_) => other,
    };
    Evaluated { logits, evaluation }
}
