//! Measures the features after every stage, and how the last stage's head learns from more rows.

use super::features::StageFeatures;
use super::{hscore, logme, neighbours, probe};
use crate::error::{Error, Result};
use crate::linear::logistic::QUICK;

/// What the measurements say of the features after one stage.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StageScores {
    /// That of the stage, one of the backbone's.
    pub name: String,
    /// Of a new head alone, cross-validated.
    pub probe: probe::Score,
    /// Of no training at all, each row left out once.
    pub neighbours: neighbours::Neighbours,
    /// In nats; higher is better, comparable between the stages.
    pub logme: f64,
    /// From 0 to the number of classes less one; higher is better.
    pub hscore: f64,
}

/// Everything that was measured on the same rows.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Measurements {
    /// In order; the last is what a head on the whole network sees.
    pub stages: Vec<StageScores>,
    /// The last stage's probe after training on ever more rows.
    pub curve: Vec<probe::Score>,
    /// By class, of the rows that were measured.
    pub class_rows: Vec<usize>,
}

/// The shares of the training folds on which the learning curve is measured.
const SHARES: [f64; 4] = [0.125, 0.25, 0.5, 1.0];
const FOLDS: usize = 5;

/// Measures every stage. `watch` hears of every step, among them [`steps`] fitted heads, and ends it with its error.
///
/// # Errors
/// No stage, too few rows, features that are not finite, or `watch` says so.
pub fn measure(
    stages: &[StageFeatures],
    labels: &[u32],
    seed: u64,
    watch: &mut dyn FnMut(probe::Step) -> Result<()>,
) -> Result<Measurements> {
    let folds = probe::Folds::new(labels, FOLDS, seed)?;
    let (last, earlier) = stages.split_last().ok_or_else(|| Error::failure("the network has no stages"))?;
    let curve = probe::cross_validated(&last.rows, labels, &folds, &SHARES, QUICK.l2, watch)?;
    let whole = curve.last().copied().ok_or_else(|| Error::failure("no share of the rows was measured"))?;
    // Features are standardised: what suits one stage suits the others, and two thirds of the time are saved.
    let chosen = QUICK.l2.iter().position(|&l2| l2 == whole.l2);
    let penalties = chosen.and_then(|index| QUICK.l2.get(index..=index)).unwrap_or(QUICK.l2);
    let mut scores = Vec::with_capacity(stages.len());
    for stage in earlier {
        let probes = probe::cross_validated(&stage.rows, labels, &folds, &[1.0], penalties, watch)?;
        scores.extend(probes.into_iter().map(|probe| (stage, probe)));
    }
    scores.push((last, whole));
    let scores = scores.into_iter().map(|(stage, probe)| {
        Ok(StageScores {
            name: stage.name.clone(),
            probe,
            neighbours: neighbours::leave_one_out(&stage.rows, labels)?,
            logme: logme::logme(&stage.rows, labels)?,
            hscore: hscore::hscore(&stage.rows, labels)?,
        })
    });
    let scores = scores.collect::<Result<Vec<_>>>()?;
    let mut class_rows = vec![0; labels.iter().max().map_or(0, |&label| label as usize + 1)];
    for &label in labels {
        if let Some(count) = class_rows.get_mut(label as usize) {
            *count += 1;
        }
    }
    Ok(Measurements { stages: scores, curve, class_rows })
}

/// How many heads [`measure`] fits.
pub fn steps(stages: usize) -> usize {
    FOLDS * (stages + SHARES.len() - 1)
}
