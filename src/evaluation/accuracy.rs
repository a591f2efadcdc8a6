//! Accuracy: the fraction of rows whose predicted label is correct. Unit: fraction from 0 to 1. Higher is better.

/// The index of the largest logit, the first of equals (as `numpy.argmax`); 0 for an empty row.
pub fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, logit) in row.iter().enumerate() {
        if *logit > row[best] {
            best = index;
        }
    }
    best
}

/// The fraction of `predicted` that equals `truth`; 0 when there are none.
pub fn accuracy(predicted: &[u32], truth: &[u32]) -> f64 {
    let rows = predicted.len().min(truth.len());
    if rows == 0 {
        return 0.0;
    }
    let correct = predicted.iter().zip(truth).filter(|(a, b)| a == b).count();
    correct as f64 / rows as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_logits_is_predicted() {
        assert_eq!(argmax(&[-1.0, 2.0, 2.0]), 1);
        assert_eq!(argmax(&[]), 0);
    }

    #[test]
    fn accuracy_is_a_fraction() {
        // accuracy_score([0, 1, 2, 2], [0, 1, 1, 2])
        assert_eq!(accuracy(&[0, 1, 1, 2], &[0, 1, 2, 2]), 0.75);
        assert_eq!(accuracy(&[], &[]), 0.0);
    }
}
