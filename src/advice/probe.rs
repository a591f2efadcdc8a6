//! The linear probe, cross-validated: how well a new head alone would label rows it has not seen, and how that grows
//! with the number of rows. Accuracies are fractions from 0 to 1.
//!
//! The rows are dealt into stratified folds. In each round one fold is the test, the next one chooses the penalty, and
//! the rest trains; every row is tested once. The head is the one that `frozen` trains ([`logistic`]).

use crate::error::{Error, Result};
use crate::evaluation::{Interval, argmax, wilson};
use crate::inference::{Rows, to_vec};
use crate::linear::logistic::{self, Labelled, Search, Targets, soft_targets};
use crate::random::Random;
use tch::Tensor;

use super::features::check;

/// How far the measurements are: what their watcher hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A head's loss was computed once more.
    Evaluated,
    /// A head was fitted.
    Fitted,
}

/// What was counted over all test folds, after training on `train_rows` rows in each round.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Score {
    /// Mean over the rounds.
    pub train_rows: f64,
    /// Test rows whose label was predicted.
    pub correct: u64,
    /// Test rows: every row once.
    pub rows: u64,
    /// The penalty that was chosen; of the rounds' the middle one.
    pub l2: f64,
}

impl Score {
    /// Fraction of the test rows; 0 without any.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.rows.max(1) as f64
    }

    /// What so many test rows can tell.
    pub fn interval(&self) -> Interval {
        wilson(self.correct, self.rows)
    }
}

/// Rows dealt into folds, the same for every stage so that stages can be compared row by row.
pub struct Folds {
    count: usize,
    /// By row.
    fold: Vec<usize>,
    /// Rows in an order of which every beginning has all classes in about their share.
    order: Vec<usize>,
}

impl Folds {
    /// # Errors
    /// Fewer than three folds, or fewer rows than folds.
    pub fn new(labels: &[u32], count: usize, seed: u64) -> Result<Self> {
        if count < 3 || labels.len() < count {
            return Err(Error::request(format!(
                "advice needs at least {count} labelled rows, and there are {}",
                labels.len()
            ))
            .hint("add labelled rows, or let `rehead train --strategy frozen` do with what there is"));
        }
        let classes = labels.iter().max().map_or(0, |&label| label as usize + 1);
        let mut by_class = vec![Vec::new(); classes];
        for (row, &label) in labels.iter().enumerate() {
            by_class[label as usize].push(row);
        }
        let mut fold = vec![0; labels.len()];
        let mut places = Vec::with_capacity(labels.len());
        // Dealing continues from class to class, so that the folds differ by one row at most.
        let mut dealt = 0;
        for (class, mut rows) in by_class.into_iter().enumerate() {
            Random::of(&[seed, class as u64]).shuffle(&mut rows);
            for (rank, &row) in rows.iter().enumerate() {
                fold[row] = dealt % count;
                dealt += 1;
                places.push(((rank as f64 + 0.5) / rows.len() as f64, row));
            }
        }
        places.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Ok(Self { count, fold, order: places.into_iter().map(|(_, row)| row).collect() })
    }

    /// The rows of the folds for which `wanted` holds.
    fn rows(&self, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        self.order.iter().copied().filter(|&row| wanted(self.fold[row])).collect()
    }
}

/// The score after training on each of `shares` of the training folds, each subset part of the next. `[1.0]` is a plain
/// cross-validation. The penalty is chosen among `penalties`. `watch` hears of every step, and ends it
/// with its error.
pub fn cross_validated(
    features: &Rows,
    labels: &[u32],
    folds: &Folds,
    shares: &[f64],
    penalties: &'static [f64],
    watch: &mut dyn FnMut(Step) -> Result<()>,
) -> Result<Vec<Score>> {
    check(features, labels)?;
    if folds.fold.len() != labels.len() {
        return Err(Error::failure("the folds belong to other rows"));
    }
    let classes = labels.iter().max().map_or(0, |&label| label as usize + 1);
    let search = Search { l2: penalties, ..logistic::QUICK };
    let mut scores = vec![Score { train_rows: 0.0, correct: 0, rows: 0, l2: 0.0 }; shares.len()];
    let mut chosen = vec![Vec::with_capacity(folds.count); shares.len()];
    for test in 0..folds.count {
        let valid = (test + 1) % folds.count;
        let train_rows = folds.rows(|fold| fold != test && fold != valid);
        let part = |rows: &[usize]| Part::of(features, labels, classes, rows);
        let (valid, test) = (part(&folds.rows(|fold| fold == valid))?, part(&folds.rows(|fold| fold == test))?);
        for ((share, score), chosen) in shares.iter().zip(&mut scores).zip(&mut chosen) {
            let taken = ((train_rows.len() as f64 * share).round() as usize).clamp(1, train_rows.len());
            let train = part(&train_rows[..taken])?;
            let (head, trial) =
                logistic::fit(&train.labelled(), &valid.labelled(), search, &mut |_| watch(Step::Evaluated))?;
            chosen.push(trial.l2);
            let logits = test.features.f_linear(&head.weight, Some(&head.bias))?;
            let values = to_vec::<f32>(&logits)?;
            let predicted = values.chunks_exact(classes.max(1)).map(argmax);
            score.correct += predicted.zip(&test.labels).filter(|(a, b)| *a == **b as usize).count() as u64;
            score.rows += test.labels.len() as u64;
            score.train_rows += taken as f64 / folds.count as f64;
            watch(Step::Fitted)?;
        }
    }
    for (score, mut chosen) in scores.iter_mut().zip(chosen) {
        chosen.sort_by(f64::total_cmp);
        score.l2 = chosen.get(chosen.len() / 2).copied().unwrap_or_default();
    }
    Ok(scores)
}

/// The rows of some folds.
struct Part {
    features: Tensor,
    targets: Targets,
    labels: Vec<u32>,
}

impl Part {
    fn of(features: &Rows, labels: &[u32], classes: usize, rows: &[usize]) -> Result<Self> {
        let mut values = Vec::with_capacity(rows.len() * features.width);
        for &row in rows {
            values.extend_from_slice(features.row(row));
        }
        let labels: Vec<u32> = rows.iter().map(|&row| labels[row]).collect();
        let features = Rows { values, width: features.width }.to_tensor()?;
        Ok(Self { features, targets: soft_targets(&labels, classes, 0.0, None)?, labels })
    }

    fn labelled(&self) -> Labelled<'_> {
        Labelled { features: &self.features, targets: &self.targets }
    }
}

/// A learning curve: the error falls with one over the root of the number of rows, to a floor that more rows do not
/// lower.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct LearningCurve {
    /// The error that more rows leave.
    pub floor: f64,
    /// What is divided by the root of the number of rows and added to the floor.
    pub slope: f64,
}

impl LearningCurve {
    /// Least squares through `scores`, with neither number below zero.
    pub fn through(scores: &[Score]) -> Self {
        let points: Vec<(f64, f64)> =
            scores.iter().map(|score| (score.train_rows.max(1.0).sqrt().recip(), 1.0 - score.accuracy())).collect();
        let count = points.len().max(1) as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let spread = points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>();
        let product = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>();
        let slope = if spread > 0.0 { (product / spread).max(0.0) } else { 0.0 };
        let floor = y - slope * x;
        if floor >= 0.0 {
            return Self { floor, slope };
        }
        // Through the origin.
        let squares = points.iter().map(|point| point.0.powi(2)).sum::<f64>();
        let slope = points.iter().map(|point| point.0 * point.1).sum::<f64>() / squares.max(f64::MIN_POSITIVE);
        Self { floor: 0.0, slope }
    }

    /// The accuracy to expect after training on so many rows.
    pub fn accuracy(&self, rows: f64) -> f64 {
        (1.0 - self.floor - self.slope / rows.max(1.0).sqrt()).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::features::samples::sample;

    fn random_rows(labels: &[u32], width: usize, shift: f32) -> Rows {
        let mut random = Random::new(3);
        let mut values = Vec::new();
        for &label in labels {
            for column in 0..width {
                let noise: f64 = (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
                values.push(noise as f32 + if column == label as usize { shift } else { 0.0 });
            }
        }
        Rows { values, width }
    }

    fn cross_validate(features: &Rows, labels: &[u32], shares: &[f64]) -> Result<Vec<Score>> {
        cross_validated(features, labels, &Folds::new(labels, 5, 1)?, shares, logistic::QUICK.l2, &mut |_| Ok(()))
    }

    #[test]
    fn folds_are_even_and_every_beginning_is_stratified() -> Result<()> {
        let labels: Vec<u32> = (0..103).map(|row| if row % 10 == 0 { 2 } else { row % 2 }).collect();
        let folds = Folds::new(&labels, 5, 7)?;
        let mut seen = vec![0; labels.len()];
        for fold in 0..5 {
            let rows = folds.rows(|other| other == fold);
            assert!((20..=21).contains(&rows.len()));
            assert!((2..=3).contains(&rows.iter().filter(|&&row| labels[row] == 2).count()));
            rows.iter().for_each(|&row| seen[row] += 1);
            // The first half of the rest has half of every class.
            let rest = folds.rows(|other| other != fold);
            let half = rest[..rest.len() / 2].iter().filter(|&&row| labels[row] == 2).count();
            assert!((3..=5).contains(&half), "{half}");
        }
        assert!(seen.iter().all(|&times| times == 1));
        assert!(Folds::new(&labels[..4], 5, 7).is_err());
        Ok(())
    }

    #[test]
    fn noise_scores_like_chance_and_classes_far_apart_are_found() -> Result<()> {
        let labels: Vec<u32> = (0..300).map(|row| row % 3).collect();
        let noise = cross_validate(&random_rows(&labels, 10, 0.0), &labels, &[1.0])?[0];
        assert_eq!(noise.rows, 300);
        assert!(noise.interval().low < 1.0 / 3.0 && noise.interval().high > 1.0 / 3.0, "{noise:?}");
        let clear = cross_validate(&random_rows(&labels, 10, 6.0), &labels, &[0.25, 1.0])?;
        assert_eq!((clear[0].train_rows, clear[1].train_rows), (45.0, 180.0));
        assert!(clear[1].accuracy() > 0.99 && clear[0].accuracy() > 0.95, "{clear:?}");
        Ok(())
    }

    #[test]
    fn a_class_with_one_row_is_no_obstacle() -> Result<()> {
        let (features, mut labels) = sample(40, 6, 2);
        labels[7] = 2;
        let score = cross_validate(&features, &labels, &[0.125, 1.0])?[1];
        assert_eq!(score.rows, 40);
        Ok(())
    }

    #[test]
    fn the_curve_is_scipys() {
        // A = np.c_[np.ones(4), 1 / np.sqrt([100, 200, 400, 800])]; scipy.optimize.nnls(A, [0.30, 0.25, 0.22, 0.20])
        // and the same with [0.20, 0.13, 0.08, 0.06]
        let scores = |wrong: [u64; 4]| -> Vec<Score> {
            let rows = [100.0, 200.0, 400.0, 800.0];
            rows.iter()
                .zip(wrong)
                .map(|(&train_rows, wrong)| Score { train_rows, correct: 100 - wrong, rows: 100, l2: 1.0 })
                .collect()
        };
        let curve = LearningCurve::through(&scores([30, 25, 22, 20]));
        assert!(
            (curve.floor - 0.14331439768287085).abs() < 1e-9 && (curve.slope - 1.5493754838727996).abs() < 1e-9,
            "{curve:?}"
        );
        let curve = LearningCurve::through(&scores([20, 13, 8, 6]));
        assert!(curve.floor == 0.0 && (curve.slope - 1.8833977866125204).abs() < 1e-9, "{curve:?}");
        // Errors that grow with the rows are noise: a flat line.
        let curve = LearningCurve::through(&scores([20, 21, 22, 23]));
        assert!(curve.slope == 0.0 && (curve.accuracy(1e9) - 0.785).abs() < 1e-9, "{curve:?}");
    }
}
