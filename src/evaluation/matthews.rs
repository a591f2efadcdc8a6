//! The Matthews correlation of predictions and truth, for any number of labels (Gorodkin 2004). From -1 to 1; 0 is what
//! guessing without looking reaches, however unequal the labels are. Higher is better.

use super::f1::Counts;

/// By the counts of each label; 0 where all rows have one label, or are given one (as scikit-learn's
/// `matthews_corrcoef`).
pub fn matthews_correlation(counts: &[Counts]) -> f64 {
    let (mut rows, mut correct, mut both, mut of_truth, mut of_predicted) = (0u128, 0u128, 0u128, 0u128, 0u128);
    for Counts { true_positive, false_positive, false_negative } in counts {
        let true_rows = u128::from(true_positive + false_negative);
        let predicted_rows = u128::from(true_positive + false_positive);
        rows += true_rows;
        correct += u128::from(*true_positive);
        both += true_rows * predicted_rows;
        of_truth += true_rows * true_rows;
        of_predicted += predicted_rows * predicted_rows;
    }
    let of = |squares: u128| (rows * rows).saturating_sub(squares) as f64;
    let spread = of(of_truth) * of(of_predicted);
    let together = (correct * rows) as f64 - both as f64;
    if spread > 0.0 { together / spread.sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::f1::counts;

    #[test]
    fn it_is_scikit_learns() {
        let of = |truth: &[u32], predicted: &[u32]| matthews_correlation(&counts(predicted, truth, 4));
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} not {expected}");
        // matthews_corrcoef(truth, predicted) of scikit-learn 1.9.1
        close(of(&[1, 1, 1, 0], &[1, 0, 1, 1]), -1.0 / 3.0);
        close(of(&[0, 0, 1, 2, 2, 1, 0], &[0, 1, 1, 2, 0, 1, 0]), 0.5809475019311126);
        close(of(&[0, 1, 2], &[0, 1, 2]), 1.0);
        close(of(&[0, 1, 2], &[1, 1, 1]), 0.0);
        close(of(&[1, 1], &[1, 0]), 0.0);
        close(of(&[], &[]), 0.0);
    }
}
