//! Temperature scaling: one number T by which all logits are divided, so that a confidence of 80 % is right in 80 % of
//! the rows. It changes no prediction.
//!
//! Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017): T is the one that minimises the
//! cross-entropy of rows that were not trained on. A few rows that are all right would make that T→0 and every answer
//! infinitely sure. So T has a prior, log T ~ N(0, [`SPREAD`]²), and the fit is the maximum a posteriori: of few rows T
//! stays near 1, of some hundred rows the data decide alone. The rows count alike, whatever loss training minimised.

use super::calibration::expected_calibration_error;
use super::{argmax, cross_entropy, softmax};

/// The standard deviation of the prior of log T. docs/accuracy.md has the measurement that chose it.
const SPREAD: f64 = 0.25;

/// |log T| is at most this: T from 0.05 to 20.
const FARTHEST: f64 = 3.0;

/// The search for log T ends at this distance.
const TOLERANCE: f64 = 1e-9;

/// The temperature for rows that were not trained on: the validation rows, or all rows where each was predicted by a
/// model that had not seen it.
///
/// * `logits`: row-major `[rows, labels]`, finite, in the order of `truth`.
/// * `truth`: the index of each row's true label.
///
/// 1 where there are no rows.
pub fn fit_temperature(logits: &[f32], truth: &[u32]) -> f64 {
    let (mut low, mut high) = (-FARTHEST, FARTHEST);
    let mut log = 0.0;
    // Newton's method for the root of the slope, halving the bracket where that would leave it.
    for _ in 0..100 {
        let (slope, curvature) = derivatives(logits, truth, log);
        *(if slope > 0.0 { &mut high } else { &mut low }) = log;
        let newton = log - slope / curvature;
        let next = if curvature > 0.0 && newton >= low && newton <= high { newton } else { (low + high) / 2.0 };
        let moved = (next - log).abs();
        log = next;
        if moved < TOLERANCE {
            break;
        }
    }
    log.exp()
}

/// The first and second derivative by log T of the summed cross-entropy at T plus the prior's penalty.
fn derivatives(logits: &[f32], truth: &[u32], log: f64) -> (f64, f64) {
    let prior = 1.0 / (SPREAD * SPREAD);
    let inverse = (-log).exp();
    let (mut slope, mut curvature) = (log * prior, prior);
    for (row, &label) in rows(logits, truth) {
        let Some(&true_logit) = row.get(label as usize) else { continue };
        // Moments of the logits under the probabilities at T, from the largest logit on so that nothing overflows.
        let largest = f64::from(row.get(argmax(row)).copied().unwrap_or(0.0));
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for &logit in row {
            let below = f64::from(logit) - largest;
            let weight = (below * inverse).exp();
            sum += weight;
            first += weight * below;
            second += weight * below * below;
        }
        let mean = first / sum;
        let gradient = mean - (f64::from(true_logit) - largest);
        slope -= inverse * gradient;
        curvature += inverse * gradient + inverse * inverse * (second / sum - mean * mean);
    }
    (slope, curvature)
}

fn rows<'a>(logits: &'a [f32], truth: &'a [u32]) -> impl Iterator<Item = (&'a [f32], &'a u32)> {
    let classes = logits.len().checked_div(truth.len()).unwrap_or(0);
    logits.chunks_exact(classes.max(1)).zip(truth)
}

/// How well the probabilities of logits fit: what calibration changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Mean cross-entropy.
    pub loss: f64,
    /// Expected calibration error, a fraction.
    pub ece: f64,
}

impl Fit {
    /// Of the logits `[rows, labels]` of a split, each multiplied by `factor`.
    pub fn of(logits: &[f32], truth: &[u32], factor: f64) -> Self {
        let (mut loss, mut confidence, mut correct) = (0.0, Vec::new(), Vec::new());
        for (row, &label) in rows(logits, truth) {
            let row = multiplied(row, factor);
            let best = argmax(&row);
            loss += cross_entropy(&row, label).unwrap_or(0.0);
            confidence.push(softmax(&row).get(best).copied().unwrap_or(0.0));
            correct.push(best == label as usize);
        }
        let rows = confidence.len().max(1) as f64;
        Self { loss: loss / rows, ece: expected_calibration_error(&confidence, &correct) }
    }
}

/// Logits times `factor`.
pub fn multiplied(logits: &[f32], factor: f64) -> Vec<f32> {
    logits.iter().map(|&logit| (f64::from(logit) * factor) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::log_softmax;

    /// Rows whose labels are drawn from the probabilities of the logits at temperature 1, evenly spread instead of at
    /// random, and the same logits times `factor`.
    fn drawn(rows: u32, factor: f32) -> (Vec<f32>, Vec<u32>) {
        let (mut logits, mut truth) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let of = |step: f64| (f64::from(row) * step).fract();
            let own = [(4.0 * of(0.618_034) - 2.0) as f32, (3.0 * of(0.754_878)) as f32, 0.5];
            let (mut left, mut label) = (of(0.569_840), 0);
            for p in softmax(&own) {
                if left < p {
                    break;
                }
                left -= p;
                label += 1;
            }
            truth.push(label.min(2));
            logits.extend(own.map(|logit| logit * factor));
        }
        (logits, truth)
    }

    /// The minimum by trying, with the prior written out.
    fn by_search(logits: &[f32], truth: &[u32]) -> f64 {
        let at = |log: f64| {
            let loss: f64 = rows(logits, truth)
                .map(|(row, &label)| -log_softmax(&multiplied(row, (-log).exp()))[label as usize])
                .sum();
            loss + log * log / (2.0 * SPREAD * SPREAD)
        };
        let tried = (-3000..=3000).map(|thousandth| f64::from(thousandth) / 1000.0);
        tried.min_by(|&a, &b| at(a).total_cmp(&at(b))).unwrap().exp()
    }

    #[test]
    fn it_undoes_a_factor() {
        for factor in [0.25, 1.0, 3.0] {
            let (logits, truth) = drawn(4000, factor);
            let temperature = fit_temperature(&logits, &truth);
            assert!((temperature / f64::from(factor)).ln().abs() < 0.06, "{factor}: {temperature}");
            let before = Fit::of(&logits, &truth, 1.0);
            let after = Fit::of(&logits, &truth, 1.0 / temperature);
            assert!(after.loss <= before.loss && after.ece < 0.03, "{before:?} {after:?}");
        }
    }

    #[test]
    fn it_is_the_minimum() {
        for (rows, factor) in [(3, 1.0), (20, 4.0), (50, 0.3), (200, 9.0)] {
            let (logits, truth) = drawn(rows, factor);
            let (found, tried) = (fit_temperature(&logits, &truth), by_search(&logits, &truth));
            assert!((found / tried).ln().abs() < 0.002, "{rows} {factor}: {found}, tried {tried}");
        }
    }

    #[test]
    fn few_rows_that_are_all_right_do_not_make_it_infinitely_sure() {
        let logits: Vec<f32> = (0..10).flat_map(|_| [3.0, 0.0]).collect();
        let temperature = fit_temperature(&logits, &[0; 10]);
        assert!(temperature > 0.6 && temperature < 1.0, "{temperature}");
        // All wrong and very sure of it.
        let temperature = fit_temperature(&[1e4, -1e4], &[1]);
        assert!(temperature.is_finite() && temperature > 1.0 && temperature <= 20.1, "{temperature}");
        assert_eq!(fit_temperature(&[], &[]), 1.0);
        assert_eq!(fit_temperature(&[f32::MAX, f32::MIN], &[0]), 1.0);
    }

    #[test]
    fn predictions_stay() {
        let (logits, truth) = drawn(500, 3.0);
        let scaled = multiplied(&logits, 1.0 / fit_temperature(&logits, &truth));
        assert!(logits.chunks(3).zip(scaled.chunks(3)).all(|(a, b)| argmax(a) == argmax(b)));
    }
}
