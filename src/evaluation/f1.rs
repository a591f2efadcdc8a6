//! Precision, recall and F1 by label, and their macro average. Unit: fraction from 0 to 1. Higher is better.
//!
//! scikit-learn's conventions with `zero_division=0`: a ratio without denominator is 0, and the macro average is the
//! plain mean over the labels that occur in the truth or in the predictions. A label of the model that does neither
//! is listed with zeros and not averaged (as `f1_score(truth, predicted, average="macro", zero_division=0)`).

use serde::{Deserialize, Serialize};

/// How well one label is recognised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Of the rows given this label, the fraction that has it.
    pub precision: f64,
    /// Of the rows that have this label, the fraction given it.
    pub recall: f64,
    /// The harmonic mean of precision and recall.
    pub f1: f64,
    /// Rows that have this label.
    pub support: u64,
}

/// What happened to one label, in rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that have the label and were given it.
    pub true_positive: u64,
    /// Rows that were given the label and have another.
    pub false_positive: u64,
    /// Rows that have the label and were given another.
    pub false_negative: u64,
}

impl Counts {
    /// Fractions of these rows; 0 where the denominator is 0.
    pub fn scores(&self) -> ClassScores {
        let Self { true_positive, false_positive, false_negative } = *self;
        ClassScores {
            precision: ratio(true_positive, true_positive + false_positive),
            recall: ratio(true_positive, true_positive + false_negative),
            f1: ratio(2 * true_positive, 2 * true_positive + false_positive + false_negative),
            support: true_positive + false_negative,
        }
    }

    /// Whether the label occurs in the truth or in the predictions.
    pub fn occurs(&self) -> bool {
        self.true_positive + self.false_positive + self.false_negative > 0
    }
}

/// Counts by label index. Indices of `classes` or more are not counted.
pub fn counts(predicted: &[u32], truth: &[u32], classes: usize) -> Vec<Counts> {
    let mut counts = vec![Counts::default(); classes];
    for (&predicted, &truth) in predicted.iter().zip(truth) {
        if predicted == truth {
            if let Some(count) = counts.get_mut(truth as usize) {
                count.true_positive += 1;
            }
            continue;
        }
        if let Some(count) = counts.get_mut(predicted as usize) {
            count.false_positive += 1;
        }
        if let Some(count) = counts.get_mut(truth as usize) {
            count.false_negative += 1;
        }
    }
    counts
}

/// The mean F1 over the labels that occur; 0 when none does.
pub fn macro_f1(counts: &[Counts]) -> f64 {
    let occurring: Vec<f64> = counts.iter().filter(|count| count.occurs()).map(|count| count.scores().f1).collect();
    if occurring.is_empty() { 0.0 } else { occurring.iter().sum::<f64>() / occurring.len() as f64 }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_equal_scikit_learn() {
        // precision_recall_fscore_support([0, 0, 1, 2], [0, 2, 1, 1], labels=range(3), zero_division=0)
        let counts = counts(&[0, 2, 1, 1], &[0, 0, 1, 2], 3);
        let scores: Vec<_> = counts.iter().map(Counts::scores).collect();
        assert_eq!(scores[0], ClassScores { precision: 1.0, recall: 0.5, f1: 2.0 / 3.0, support: 2 });
        assert_eq!(scores[1], ClassScores { precision: 0.5, recall: 1.0, f1: 2.0 / 3.0, support: 1 });
        assert_eq!(scores[2], ClassScores { precision: 0.0, recall: 0.0, f1: 0.0, support: 1 });
    }

    #[test]
    fn macro_f1_counts_labels_that_occur_only_as_prediction() {
        // f1_score([0, 0, 1], [0, 2, 1], average="macro", zero_division=0) == (2/3 + 1 + 0) / 3, whatever else is in
        // the label list
        let counts = counts(&[0, 2, 1], &[0, 0, 1], 5);
        assert!((macro_f1(&counts) - 5.0 / 9.0).abs() < 1e-12);
        assert_eq!(macro_f1(&[]), 0.0);
    }
}
