//! What a network predicted for the rows of a split, beside what is true: that from which the figures are drawn.

use crate::evaluation::argmax;
use crate::evaluation::coverage::Coverage;

/// The predictions for the rows of a split, beside the true labels.
pub(super) struct Outcomes {
    pub truth: Vec<u32>,
    pub predicted: Vec<u32>,
    pub confidence: Vec<f64>,
    pub correct: Vec<bool>,
}

impl Outcomes {
    pub fn new(truth: &[u32], predicted: &[u32], confidence: &[f32]) -> Self {
        let rows = truth.len().min(predicted.len()).min(confidence.len());
        let correct = truth.iter().zip(predicted).take(rows).map(|(a, b)| a == b).collect();
        Self {
            truth: truth[..rows].to_vec(),
            predicted: predicted[..rows].to_vec(),
            confidence: confidence[..rows].iter().map(|&confidence| f64::from(confidence)).collect(),
            correct,
        }
    }

    /// From row-major probabilities.
    pub fn of(truth: &[u32], probabilities: &[f32], classes: usize) -> Self {
        let rows = probabilities.chunks_exact(classes.max(1));
        let predicted: Vec<u32> = rows.clone().map(|row| argmax(row) as u32).collect();
        let largest = rows.map(|row| row.iter().copied().fold(0.0, f32::max));
        Self::new(truth, &predicted, &largest.collect::<Vec<f32>>())
    }

    pub fn rows(&self) -> usize {
        self.correct.len()
    }

    pub fn mean_confidence(&self) -> f64 {
        self.confidence.iter().sum::<f64>() / self.rows().max(1) as f64
    }

    pub fn coverage(&self) -> Coverage {
        Coverage::of(&self.confidence, &self.correct)
    }

    /// How often each of the `classes` labels is predicted.
    pub fn predicted_rows(&self, classes: usize) -> Vec<u64> {
        let mut rows = vec![0; classes];
        for &label in &self.predicted {
            if let Some(rows) = rows.get_mut(label as usize) {
                *rows += 1;
            }
        }
        rows
    }

    pub fn accuracy(&self) -> f64 {
        self.correct.iter().filter(|correct| **correct).count() as f64 / self.rows().max(1) as f64
    }
}

/// The predictions of several runs over the same rows, together.
impl std::iter::Sum for Outcomes {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let nothing = Self { truth: Vec::new(), predicted: Vec::new(), confidence: Vec::new(), correct: Vec::new() };
        all.fold(nothing, |mut sum, one| {
            sum.truth.extend(one.truth);
            sum.predicted.extend(one.predicted);
            sum.confidence.extend(one.confidence);
            sum.correct.extend(one.correct);
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_of_unequal_length_are_cut() {
        let predictions = Outcomes::of(&[0, 1, 1], &[0.9, 0.1, 0.6, 0.4], 2);
        assert_eq!((predictions.rows(), predictions.accuracy()), (2, 0.5));
        assert!((predictions.mean_confidence() - 0.75).abs() < 1e-6);
        assert_eq!(Outcomes::of(&[], &[], 0).accuracy(), 0.0);
    }
}
