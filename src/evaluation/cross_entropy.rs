//! Cross-entropy: minus the logarithm of the probability given to the true label, with the natural logarithm. Lower is
//! better.
//!
//! Also the softmax that turns logits into probabilities. The largest logit is subtracted first, so nothing
//! overflows; sums are in f64.

/// log Σ exp(logit), the softmax's normaliser on the logarithmic scale; -∞ for an empty row.
pub fn log_sum_exp(row: &[f32]) -> f64 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !largest.is_finite() {
        return f64::from(largest);
    }
    let largest = f64::from(largest);
    largest + row.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum::<f64>().ln()
}

/// The natural logarithms of the probabilities of a row of logits.
pub fn log_softmax(row: &[f32]) -> Vec<f64> {
    let normaliser = log_sum_exp(row);
    row.iter().map(|&logit| f64::from(logit) - normaliser).collect()
}

/// The probabilities of a row of logits; they sum to 1.
pub fn softmax(row: &[f32]) -> Vec<f64> {
    let normaliser = log_sum_exp(row);
    row.iter().map(|&logit| (f64::from(logit) - normaliser).exp()).collect()
}

/// The cross-entropy of one row; `None` when `truth` is not one of the row's labels.
pub fn cross_entropy(row: &[f32], truth: u32) -> Option<f64> {
    row.get(truth as usize).map(|&logit| log_sum_exp(row) - f64::from(logit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    }

    #[test]
    fn equals_scipy() {
        // scipy.special.log_softmax([0.5, -1.25, 2.0]), scipy.special.softmax([0.5, -1.25, 2.0])
        let row = [0.5, -1.25, 2.0];
        close(&log_softmax(&row), &[-1.7326219831020326, -3.4826219831020326, -0.23262198310203266]);
        close(&softmax(&row), &[0.17682018210744427, 0.030726740326436432, 0.7924530775661193]);
    }

    #[test]
    fn large_logits_neither_overflow_nor_vanish() {
        // scipy.special.log_softmax([1000., 1001., -1000.])
        close(
            &log_softmax(&[1000.0, 1001.0, -1000.0]),
            &[-1.3132616875182228, -0.31326168751822286, -2001.3132616875182],
        );
        assert_eq!(cross_entropy(&[f32::MAX, f32::MIN], 1), Some(2.0 * f64::from(f32::MAX)));
    }

    #[test]
    fn a_label_outside_the_row_has_no_loss() {
        assert_eq!(cross_entropy(&[0.0, 0.0], 2), None);
        assert_eq!(cross_entropy(&[3.0], 0), Some(0.0));
    }
}
