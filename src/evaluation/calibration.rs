//! Expected calibration error: how far confidence is from accuracy, on average. Unit: fraction from 0 to 1. Lower is
//! better.
//!
//! Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017): predictions are put into bins of
//! equal width by confidence (the probability of the predicted label); the error is the mean over rows of the
//! distance between a bin's accuracy and its mean confidence.

/// The number of bins, as in the paper's tables.
pub const BINS: usize = 15;

/// The error of predictions made with `confidence` (0 to 1), of which those marked in `correct` were right; 0 when
/// there are none.
///
/// Bin b holds confidences in (b/15, (b+1)/15].
pub fn expected_calibration_error(confidence: &[f64], correct: &[bool]) -> f64 {
    let rows = confidence.len().min(correct.len());
    if rows == 0 {
        return 0.0;
    }
    // By bin, the sum of (correct - confidence): the bin's gap times its number of rows.
    let mut gaps = [0.0; BINS];
    for (&confidence, &correct) in confidence.iter().zip(correct) {
        let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        gaps[bin] += f64::from(u8::from(correct)) - confidence;
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / rows as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_that_equals_accuracy_has_no_error() {
        assert!(expected_calibration_error(&[0.75; 4], &[true, true, true, false]).abs() < 1e-12);
        assert_eq!(expected_calibration_error(&[1.0, 1.0], &[true, false]), 0.5);
        assert_eq!(expected_calibration_error(&[], &[]), 0.0);
    }

    #[test]
    fn gaps_of_different_bins_do_not_cancel() {
        // c = np.array([0.6, 0.6, 0.9, 0.9]); r = np.array([1, 1, 1, 0])
        // bins 8 and 13: abs(1 - 0.6) * 0.5 + abs(0.5 - 0.9) * 0.5
        let error = expected_calibration_error(&[0.6, 0.6, 0.9, 0.9], &[true, true, true, false]);
        assert!((error - 0.4).abs() < 1e-12);
    }

    #[test]
    fn the_ends_of_the_scale_have_their_bins() {
        assert_eq!(expected_calibration_error(&[0.0], &[false]), 0.0);
        assert!(expected_calibration_error(&[1.0 + 1e-12], &[true]) < 1e-9);
    }
}
