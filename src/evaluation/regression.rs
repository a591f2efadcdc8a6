//! The scores of regression: every number of `metrics.json` for one split, from the numbers that are predicted and
//! those that are right. RMSE, MAE and R² are scikit-learn's, the correlations scipy's (ties share their mean rank).
//!
//! The 95 % intervals speak of other rows of the same kind: those of the correlations by Fisher's z, with Bonett and
//! Wright's standard error (2000) for ranks; the others by the jackknife over rows.

use serde::{Deserialize, Serialize};

use super::classification::NOT_FINITE;
use super::interval::Interval;
use crate::error::{Error, Result};

/// What `metrics.json` holds for one split of a regression task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// Examples evaluated.
    pub rows: u64,
    /// Root of the mean squared error, in the unit of the numbers. Lower is better.
    pub rmse: f64,
    /// Its 95 % interval; `None` with a single row, as are the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rmse_interval: Option<Interval>,
    /// Mean absolute error, in the unit of the numbers. Lower is better.
    pub mae: f64,
    /// Its 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mae_interval: Option<Interval>,
    /// The share of the variance that is explained: 1 at most, 0 for the mean of these rows, and less for worse. `None`
    /// where all rows have the same number.
    pub r2: Option<f64>,
    /// Its 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2_interval: Option<Interval>,
    /// Pearson's correlation of predicted and right numbers. `None` where either are all the same.
    pub pearson: Option<f64>,
    /// Its 95 % interval; `None` with fewer than four rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pearson_interval: Option<Interval>,
    /// Spearman's correlation: Pearson's of the ranks.
    pub spearman: Option<f64>,
    /// Its 95 % interval; `None` with fewer than four rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spearman_interval: Option<Interval>,
    /// Mean squared error.
    pub loss: f64,
    /// Mean of the right numbers.
    pub truth_mean: f64,
    /// Their standard deviation: the RMSE of always answering their mean.
    pub truth_deviation: f64,
    /// What the numbers are called.
    pub labels: Vec<String>,
}

/// Scores the `predicted` numbers of a split; `truth` has the right ones in the same order, `name` says what they are.
///
/// # Errors
/// When there are no rows, not as many of both, or a predicted number is not finite (the row is named).
pub fn evaluate_regression(predicted: &[f32], truth: &[f64], name: &[String]) -> Result<Regression> {
    let rows = truth.len();
    if rows == 0 {
        return Err(Error::request("there are no rows to evaluate"));
    }
    if predicted.len() != rows {
        return Err(Error::failure(format!("{} numbers are not those of {rows} rows", predicted.len())));
    }
    if let Some(row) = predicted.iter().position(|number| !number.is_finite()) {
        return Err(Error::failure(format!("the number of row {} (of {rows} evaluated) is not finite", row + 1))
            .hint(NOT_FINITE));
    }
    let predicted: Vec<f64> = predicted.iter().map(|&number| f64::from(number)).collect();
    let errors: Vec<f64> = predicted.iter().zip(truth).map(|(predicted, truth)| predicted - truth).collect();
    let sums = Sums::of(&errors, truth);
    let (mse, mae) = (sums.squares / rows as f64, sums.absolute / rows as f64);
    let pearson = correlation(&predicted, truth);
    let spearman = correlation(&ranks(&predicted), &ranks(truth));
    let count = rows as f64;
    let fisher = |of: Option<f64>, variance: &dyn Fn(f64) -> f64| {
        of.filter(|_| rows > 3).map(|of| fisher_interval(of, (variance(of) / (count - 3.0)).sqrt()))
    };
    let jackknife = |score: fn(&Sums) -> Option<f64>| sums.jackknife(&errors, truth, score);
    let at_most_one = |Interval { low, high }: Interval| Interval { low, high: high.min(1.0) };
    let at_least_zero = |Interval { low, high }: Interval| Interval { low: low.max(0.0), high };
    Ok(Regression {
        rows: rows as u64,
        rmse: mse.sqrt(),
        rmse_interval: jackknife(|sums| Some((sums.squares / sums.rows).sqrt())).map(at_least_zero),
        mae,
        mae_interval: jackknife(|sums| Some(sums.absolute / sums.rows)).map(at_least_zero),
        r2: sums.r2(),
        r2_interval: jackknife(Sums::r2).map(at_most_one),
        pearson,
        pearson_interval: fisher(pearson, &|_| 1.0),
        spearman,
        spearman_interval: fisher(spearman, &|spearman| 1.0 + spearman * spearman / 2.0),
        loss: mse,
        truth_mean: sums.truth / count + sums.origin,
        truth_deviation: (sums.variation() / count).sqrt(),
        labels: name.to_vec(),
    })
}

/// What the scores of errors are made of; a row is taken out by subtraction.
#[derive(Clone, Copy)]
struct Sums {
    rows: f64,
    /// Of the squared errors.
    squares: f64,
    /// Of the absolute errors.
    absolute: f64,
    /// Of the right numbers less `origin`, and of their squares.
    truth: f64,
    truth_squares: f64,
    /// The mean of the right numbers, so that nothing is lost where they are large.
    origin: f64,
}

impl Sums {
    fn of(errors: &[f64], truth: &[f64]) -> Self {
        let origin = truth.iter().sum::<f64>() / truth.len().max(1) as f64;
        let none = Self { rows: 0.0, squares: 0.0, absolute: 0.0, truth: 0.0, truth_squares: 0.0, origin };
        errors.iter().zip(truth).fold(none, |sums, (error, truth)| sums.with(*error, *truth, 1.0))
    }

    fn with(self, error: f64, truth: f64, times: f64) -> Self {
        let truth = truth - self.origin;
        Self {
            rows: self.rows + times,
            squares: self.squares + times * error * error,
            absolute: self.absolute + times * error.abs(),
            truth: self.truth + times * truth,
            truth_squares: self.truth_squares + times * truth * truth,
            origin: self.origin,
        }
    }

    /// The sum of the squared distances of the right numbers from their mean.
    fn variation(&self) -> f64 {
        (self.truth_squares - self.truth * self.truth / self.rows).max(0.0)
    }

    fn r2(&self) -> Option<f64> {
        // What rounding leaves of numbers that are all the same is no variation.
        let least = f64::EPSILON * self.rows * self.origin * self.origin;
        (self.variation() > least).then(|| 1.0 - self.squares / self.variation())
    }

    /// A score plus and minus 1.96 standard errors, by leaving out each row in turn.
    fn jackknife(&self, errors: &[f64], truth: &[f64], score: fn(&Self) -> Option<f64>) -> Option<Interval> {
        if errors.len() < 2 {
            return None;
        }
        let without = |(error, truth): (&f64, &f64)| score(&self.with(*error, *truth, -1.0));
        let values: Vec<f64> = errors.iter().zip(truth).map(without).collect::<Option<_>>()?;
        let (count, score) = (values.len() as f64, score(self)?);
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let half = 1.96 * (squares * (count - 1.0) / count).sqrt();
        half.is_finite().then_some(Interval { low: score - half, high: score + half })
    }
}

/// Pearson's; `None` where the values of either are all the same.
fn correlation(one: &[f64], other: &[f64]) -> Option<f64> {
    let rows = one.len().max(1) as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / rows;
    let (mean_one, mean_other) = (mean(one), mean(other));
    let varies = |values: &[f64]| values.iter().any(|value| Some(value) != values.first());
    if !varies(one) || !varies(other) {
        return None;
    }
    let (mut both, mut squares_one, mut squares_other) = (0.0, 0.0, 0.0);
    for (a, b) in one.iter().zip(other) {
        let (a, b) = (a - mean_one, b - mean_other);
        both += a * b;
        squares_one += a * a;
        squares_other += b * b;
    }
    let product = (squares_one * squares_other).sqrt();
    (product > 0.0).then(|| (both / product).clamp(-1.0, 1.0))
}

/// The rank of each value, from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = from as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|&row| ranks[row] = mean);
        from += equal.len();
    }
    ranks
}

/// A correlation's interval, whose Fisher transform has this standard error.
fn fisher_interval(correlation: f64, error: f64) -> Interval {
    if correlation.abs() >= 1.0 {
        return Interval { low: correlation, high: correlation };
    }
    let z = correlation.atanh();
    Interval { low: (z - 1.96 * error).tanh(), high: (z + 1.96 * error).tanh() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: [f64; 8] = [1.5, 2.0, 4.5, 3.0, 0.5, 3.0, 5.0, 2.5];
    const PREDICTED: [f32; 8] = [1.25, 2.5, 4.0, 2.75, 1.0, 3.5, 4.75, 2.5];

    fn close(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-12), "{found:?} is not {expected}");
    }

    #[test]
    fn every_number_is_scikit_learns_and_scipys() {
        let name = ["score".to_owned()];
        let scores = evaluate_regression(&PREDICTED, &TRUTH, &name).unwrap();
        assert_eq!(scores.rows, 8);
        // root_mean_squared_error, mean_absolute_error and r2_score of scikit-learn, pearsonr and spearmanr of scipy
        close(Some(scores.rmse), 0.385275875185561);
        close(Some(scores.mae), 0.34375);
        close(scores.r2, 0.9233870967741935);
        close(scores.pearson, 0.9667304797378113);
        close(scores.spearman, 0.9879518072289155);
        // np.tanh(np.arctanh(r) ± 1.96 / sqrt(5)), and for ranks with sqrt((1 + r² / 2) / 5)
        let Interval { low, high } = scores.pearson_interval.unwrap();
        close(Some(low), 0.8220814344594352);
        close(Some(high), 0.9941560158708362);
        let Interval { low, high } = scores.spearman_interval.unwrap();
        close(Some(low), 0.9021645772218376);
        close(Some(high), 0.9985727369122158);
        // The jackknife over scikit-learn's scores without each row.
        let Interval { low, high } = scores.rmse_interval.unwrap();
        close(Some(low), 0.28604402423591313);
        close(Some(high), 0.48450772613520887);
        close(scores.r2_interval.map(|interval| interval.low), 0.8359861606683079);
        close(scores.r2_interval.map(|interval| interval.high), 1.0);
        let json = serde_json::to_string(&scores).unwrap();
        assert_eq!(serde_json::from_str::<super::super::Evaluation>(&json).unwrap(), scores.into());
    }

    #[test]
    fn intervals_hold_the_score_and_are_narrower_with_more_rows() {
        let name = ["score".to_owned()];
        let once = evaluate_regression(&PREDICTED, &TRUTH, &name).unwrap();
        let twice = evaluate_regression(&PREDICTED.repeat(2), &TRUTH.repeat(2), &name).unwrap();
        for (score, wide, narrow) in [
            (once.rmse, once.rmse_interval, twice.rmse_interval),
            (once.mae, once.mae_interval, twice.mae_interval),
            (once.r2.unwrap(), once.r2_interval, twice.r2_interval),
            (once.pearson.unwrap(), once.pearson_interval, twice.pearson_interval),
            (once.spearman.unwrap(), once.spearman_interval, twice.spearman_interval),
        ] {
            let (wide, narrow) = (wide.unwrap(), narrow.unwrap());
            assert!(wide.low < score && score < wide.high, "{score} {wide:?}");
            assert!(narrow.high - narrow.low < wide.high - wide.low, "{narrow:?} {wide:?}");
        }
        // The mean's standard error: 1.96 sd / √n.
        let errors: Vec<f64> = PREDICTED.iter().zip(TRUTH).map(|(p, t)| (f64::from(*p) - t).abs()).collect();
        let variance = errors.iter().map(|error| (error - once.mae).powi(2)).sum::<f64>() / 7.0;
        let Interval { low, high } = once.mae_interval.unwrap();
        close(Some(high - low), 2.0 * 1.96 * (variance / 8.0).sqrt());
    }

    #[test]
    fn what_is_not_defined_is_none_and_what_is_not_finite_an_error() {
        let name = ["score".to_owned()];
        let same = evaluate_regression(&[1.0, 2.0], &[3.1, 3.1], &name).unwrap();
        assert_eq!((same.r2, same.pearson, same.spearman, same.r2_interval), (None, None, None, None));
        let constant = evaluate_regression(&[2.0, 2.0], &[1.0, 3.0], &name).unwrap();
        assert_eq!((constant.r2, constant.pearson), (Some(0.0), None));
        assert!(evaluate_regression(&[], &[], &name).is_err());
        let error = evaluate_regression(&[1.0, f32::NAN], &[1.0, 2.0], &name).unwrap_err();
        assert!(error.to_string().contains("row 2 (of 2 evaluated)"), "{error}");
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
    }
}
