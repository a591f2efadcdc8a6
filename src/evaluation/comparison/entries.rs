//! Scores as means of numbers by row, which is what an analysis of variance takes: for accuracy whether the row is
//! correct, for macro-F1 the row's jackknife pseudo-value.

use crate::evaluation::accuracy;
use crate::evaluation::f1::{self, Counts};

/// A score of one list of predictions, and the entry in the analysis of variance that each row makes. The mean of the
/// entries is the score.
pub struct Entries<'a> {
    pub truth: &'a [u32],
    predicted: &'a [u32],
    pub score: f64,
    metric: Metric,
}

enum Metric {
    Accuracy,
    MacroF1(Jackknife),
}

impl<'a> Entries<'a> {
    pub fn of_accuracy(predicted: &'a [u32], truth: &'a [u32]) -> Self {
        Self { truth, predicted, score: accuracy(predicted, truth), metric: Metric::Accuracy }
    }

    pub fn of_macro_f1(predicted: &'a [u32], truth: &'a [u32], classes: usize) -> Self {
        let counts = f1::counts(predicted, truth, classes);
        let score = f1::macro_f1(&counts);
        let mut jackknife = Jackknife::new(&counts, truth.len());
        let sum: f64 = truth.iter().zip(predicted).map(|(&truth, &predicted)| jackknife.entry(truth, predicted)).sum();
        jackknife.shift = score - sum / jackknife.rows;
        Self { truth, predicted, score, metric: Metric::MacroF1(jackknife) }
    }

    /// `None` beyond the last row.
    pub fn get(&self, row: usize) -> Option<f64> {
        let (truth, predicted) = (*self.truth.get(row)?, *self.predicted.get(row)?);
        Some(match &self.metric {
            Metric::Accuracy => f64::from(u8::from(truth == predicted)),
            Metric::MacroF1(jackknife) => jackknife.entry(truth, predicted),
        })
    }

    pub fn is_correct(&self, row: usize) -> bool {
        self.truth.get(row) == self.predicted.get(row)
    }
}

/// Macro-F1 without one row, for any row.
struct Jackknife {
    rows: f64,
    /// Sum of F1 over the classes that occur, and their number.
    sum: f64,
    occurring: f64,
    /// By class, what a row that leaves takes away from `sum` and `occurring`: a true positive, a false positive, a
    /// false negative.
    true_positive: Vec<(f64, f64)>,
    false_positive: Vec<(f64, f64)>,
    false_negative: Vec<(f64, f64)>,
    /// Makes the mean of the pseudo-values the score (they also correct its bias, which is not wanted).
    shift: f64,
}

impl Jackknife {
    fn new(counts: &[Counts], rows: usize) -> Self {
        let share = |counts: &Counts| (counts.scores().f1, f64::from(u8::from(counts.occurs())));
        let without = |leave: fn(&mut Counts)| -> Vec<(f64, f64)> {
            let taken = |counts: &Counts| {
                let mut rest = *counts;
                leave(&mut rest);
                let ((f1, occurs), (rest_f1, rest_occurs)) = (share(counts), share(&rest));
                (f1 - rest_f1, occurs - rest_occurs)
            };
            counts.iter().map(taken).collect()
        };
        Self {
            rows: rows as f64,
            sum: counts.iter().map(|counts| share(counts).0).sum(),
            occurring: counts.iter().map(|counts| share(counts).1).sum(),
            true_positive: without(|rest| rest.true_positive = rest.true_positive.saturating_sub(1)),
            false_positive: without(|rest| rest.false_positive = rest.false_positive.saturating_sub(1)),
            false_negative: without(|rest| rest.false_negative = rest.false_negative.saturating_sub(1)),
            shift: 0.0,
        }
    }

    /// The pseudo-value of a row by its two labels.
    fn entry(&self, truth: u32, predicted: u32) -> f64 {
        let of = |list: &[(f64, f64)], class: u32| list.get(class as usize).copied().unwrap_or_default();
        let (f1, occurring) = if truth == predicted {
            of(&self.true_positive, truth)
        } else {
            let (a, b) = (of(&self.false_positive, predicted), of(&self.false_negative, truth));
            (a.0 + b.0, a.1 + b.1)
        };
        let left = self.occurring - occurring;
        let rest = if left > 0.0 { (self.sum - f1) / left } else { 0.0 };
        self.rows * (self.sum / self.occurring.max(1.0)) - (self.rows - 1.0) * rest + self.shift
    }
}
