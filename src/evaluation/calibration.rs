//! Calibration: how far confidence is from accuracy. Unit: fraction from 0 to 1. Lower is better.
//!
//! Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017): predictions are put into bins of
//! equal width by confidence (the probability of the predicted label). The reliability diagram shows each bin's
//! accuracy against its mean confidence; the expected calibration error is the mean over rows of the distance between
//! the two.

/// The number of bins, as in the paper's tables.
pub const BINS: usize = 15;

/// The predictions whose confidence lies in one interval: bin b holds those in (b/15, (b+1)/15].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// Predictions whose confidence lies in the interval.
    pub rows: u64,
    /// Of these rows, those whose prediction is correct.
    pub correct: u64,
    confidence: f64,
}

impl Bin {
    /// The mean confidence of the bin's rows; `None` without rows.
    pub fn mean_confidence(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.confidence / self.rows as f64)
    }

    /// The fraction of the bin's rows whose prediction is correct; `None` without rows.
    pub fn accuracy(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.correct as f64 / self.rows as f64)
    }

    /// |accuracy - mean confidence| times rows.
    fn gap(&self) -> f64 {
        (self.correct as f64 - self.confidence).abs()
    }
}

/// The bins of predictions made with `confidence` (0 to 1), of which those marked in `correct` were right.
pub fn reliability(confidence: &[f64], correct: &[bool]) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for (&confidence, &correct) in confidence.iter().zip(correct) {
        let bin = &mut bins[((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
        bin.rows += 1;
        bin.correct += u64::from(correct);
        bin.confidence += confidence;
    }
    bins
}

/// The error of predictions made with `confidence` (0 to 1), of which those marked in `correct` were right; 0 when
/// there are none.
pub fn expected_calibration_error(confidence: &[f64], correct: &[bool]) -> f64 {
    let rows = confidence.len().min(correct.len());
    if rows == 0 {
        return 0.0;
    }
    reliability(confidence, correct).iter().map(Bin::gap).sum::<f64>() / rows as f64
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

    #[test]
    fn a_bin_knows_its_rows() {
        let bins = reliability(&[0.95, 0.97, 0.5], &[true, false, true]);
        let last = bins[BINS - 1];
        assert_eq!((last.rows, last.correct, last.accuracy()), (2, 1, Some(0.5)));
        assert!(last.mean_confidence().is_some_and(|mean| (mean - 0.96).abs() < 1e-12));
        assert_eq!(bins.iter().map(|bin| bin.rows).sum::<u64>(), 3);
        assert_eq!((bins[0].accuracy(), bins[0].mean_confidence()), (None, None));
    }
}
