//! How much to retrain, from measurements on features of the pretrained network: what `rehead advise` computes.
//!
//! One forward pass gives the features behind every stage. How well they separate the classes ([`probe`], [`neighbours`],
//! [`logme`], [`hscore`]) and how that grows with the number of rows decides what is recommended ([`recommend`]). All functions
//! here are pure: features and labels in, numbers out. docs/advice.md compares the advice with what was best in real runs.

pub mod hscore;
pub mod logme;
pub mod neighbours;
pub mod probe;
pub mod recommend;

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::inference::Rows;
use crate::linear::logistic::QUICK;

/// What the network makes of each row up to and including one stage: the mean over the row's tokens of the activations behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct StageFeatures {
    pub name: String,
    pub rows: Rows,
}

/// Features with their labels, checked.
struct Table {
    /// `[N, D]`, fp64.
    x: Tensor,
    /// `[N, C]`, fp64: one-hot.
    y: Tensor,
    /// Rows by class.
    counts: Vec<usize>,
}

impl Table {
    /// # Errors
    /// Fewer than two rows, a row without label, or features that are no numbers.
    fn new(features: &Rows, labels: &[u32]) -> Result<Self> {
        check(features, labels)?;
        let classes = labels.iter().max().map_or(0, |&label| label as usize + 1);
        let mut counts = vec![0; classes];
        let mut y = vec![0f64; labels.len() * classes];
        for (row, &label) in y.chunks_exact_mut(classes.max(1)).zip(labels) {
            let label = label as usize;
            if let (Some(cell), Some(count)) = (row.get_mut(label), counts.get_mut(label)) {
                *cell = 1.0;
                *count += 1;
            }
        }
        let y = Tensor::f_from_slice(&y)?.f_view([labels.len() as i64, classes as i64])?;
        Ok(Self { x: features.to_tensor()?.f_to_kind(Kind::Double)?, y, counts })
    }
}

fn check(features: &Rows, labels: &[u32]) -> Result<()> {
    if features.len() != labels.len() {
        return Err(Error::failure("features and labels do not belong together"));
    }
    if labels.len() < 2 {
        return Err(Error::request("one row cannot be measured").hint("advice needs at least two rows a class"));
    }
    if features.values.iter().any(|value| !value.is_finite()) {
        return Err(Error::failure("the network's features are not finite").hint("try again with --precision fp32"));
    }
    Ok(())
}

/// What the measurements say of the features behind one stage.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StageScores {
    pub name: String,
    pub probe: probe::Score,
    pub neighbours: neighbours::Neighbours,
    pub logme: f64,
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

/// Measures every stage. `watch` is told of each of [`steps`] steps.
///
/// # Errors
/// No stage, too few rows, or features that are no numbers.
pub fn measure(
    stages: &[StageFeatures],
    labels: &[u32],
    seed: u64,
    watch: &mut dyn FnMut() -> Result<()>,
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

/// How often [`measure`] tells its watcher.
pub fn steps(stages: usize) -> usize {
    FOLDS * (stages + SHARES.len() - 1)
}

#[cfg(test)]
mod samples {
    use super::*;

    /// Features and labels that the expectations' Python makes too:
    ///
    /// ```text
    /// i, j = np.arange(n)[:, None], np.arange(d)[None, :]
    /// y = np.arange(n) * 7 % 11 % c
    /// x = ((i * 37 + j * 101 + i * j * 7) % 97).astype(np.float32) / np.float32(97) + 0.5 * (j == y[:, None])
    /// x = x.astype(np.float32)
    /// ```
    pub fn sample(n: usize, d: usize, c: usize) -> (Rows, Vec<u32>) {
        let labels: Vec<u32> = (0..n).map(|i| (i * 7 % 11 % c) as u32).collect();
        let value = |i: usize, j: usize| {
            let pattern = ((i * 37 + j * 101 + i * j * 7) % 97) as f32 / 97.0;
            pattern + if j == labels[i] as usize { 0.5 } else { 0.0 }
        };
        let values = (0..n).flat_map(|i| (0..d).map(move |j| (i, j))).map(|(i, j)| value(i, j)).collect();
        (Rows { values, width: d }, labels)
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let rows = |values: &[f32]| Rows { values: values.to_vec(), width: 1 };
        for (features, labels, expected) in [
            (rows(&[1.0, 2.0]), vec![0], "do not belong together"),
            (rows(&[1.0]), vec![0], "one row"),
            (rows(&[1.0, f32::NAN]), vec![0, 1], "not finite"),
        ] {
            for error in [
                logme::logme(&features, &labels).unwrap_err(),
                hscore::hscore(&features, &labels).unwrap_err(),
                neighbours::leave_one_out(&features, &labels).unwrap_err(),
            ] {
                assert!(error.to_string().contains(expected), "{error}");
            }
        }
    }

    #[test]
    fn features_that_do_not_vary_say_nothing() -> Result<()> {
        let features = Rows { values: vec![1.0; 40], width: 2 };
        let labels: Vec<u32> = (0..20).map(|row| row % 2).collect();
        assert_eq!(hscore::hscore(&features, &labels)?, 0.0);
        assert!(logme::logme(&features, &labels)?.is_finite());
        let zero = Rows { values: vec![0.0; 40], width: 2 };
        assert_eq!(hscore::hscore(&zero, &labels)?, 0.0);
        assert!(logme::logme(&zero, &labels)?.is_finite());
        assert!(neighbours::leave_one_out(&zero, &labels)?.accuracy.is_finite());
        Ok(())
    }
}
