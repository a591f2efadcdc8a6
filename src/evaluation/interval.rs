//! The interval that an accuracy measured on few rows leaves open. Unit: fraction from 0 to 1. Narrower is better.
//!
//! Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (1927). Unlike the textbook's
//! normal interval it stays inside 0 to 1 and is honest for small sets and for accuracies near 1. It speaks of other
//! rows of the same kind, not of another training run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959963984540054;

/// A 95 % interval. Displays as `0.872 to 0.901`; in JSON `[low, high]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct Interval {
    /// Of a share at least 0.
    pub low: f64,
    /// Of a share at most 1.
    pub high: f64,
}

impl From<[f64; 2]> for Interval {
    fn from([low, high]: [f64; 2]) -> Self {
        Self { low, high }
    }
}

impl From<Interval> for [f64; 2] {
    fn from(Interval { low, high }: Interval) -> Self {
        [low, high]
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} to {:.3}", self.low, self.high)
    }
}

/// The 95 % interval of a proportion of which `successes` of `trials` were seen; 0 to 1 without trials.
pub fn wilson(successes: u64, trials: u64) -> Interval {
    if trials == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    wilson_score(successes.min(trials) as f64 / trials as f64, trials as f64)
}

/// The same for a proportion `p` of `n` trials that need not be whole.
pub fn wilson_score(p: f64, n: f64) -> Interval {
    let z2 = Z * Z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // At the ends rounding would leave 1e-17 where the interval is closed.
    let low = if p == 0.0 { 0.0 } else { centre - half };
    let high = if p == 1.0 { 1.0 } else { centre + half };
    Interval { low, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_scipy() {
        // scipy.stats.binomtest(k, n).proportion_ci(0.95, "wilson")
        let expected = [
            (8, 12, 0.39062208887279953, 0.8618799089087867),
            (0, 10, 0.0, 0.27753279986288926),
            (10, 10, 0.7224672001371109, 1.0),
            (1615, 1821, 0.8715054621041238, 0.9006164080941608),
        ];
        for (successes, trials, low, high) in expected {
            let interval = wilson(successes, trials);
            assert!((interval.low - low).abs() < 1e-12 && (interval.high - high).abs() < 1e-12, "{interval:?}");
        }
        assert_eq!(wilson(1615, 1821).to_string(), "0.872 to 0.901");
    }

    #[test]
    fn nothing_seen_says_nothing() {
        assert_eq!(wilson(0, 0), Interval { low: 0.0, high: 1.0 });
    }
}
