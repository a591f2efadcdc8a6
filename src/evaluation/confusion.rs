//! The confusion matrix: which labels get mixed up. Unit: rows of data. More on the diagonal is better.

/// Beyond this number of labels the matrix, its square in counts, is too large to read and is left out.
pub const MOST_CLASSES: usize = 2000;

/// `matrix[true label][predicted label]`; empty beyond [`MOST_CLASSES`]. Pairs with an index of `classes` or more are
/// not counted.
pub fn confusion(predicted: &[u32], truth: &[u32], classes: usize) -> Vec<Vec<u64>> {
    if classes > MOST_CLASSES {
        return Vec::new();
    }
    let mut matrix = vec![vec![0; classes]; classes];
    for (&predicted, &truth) in predicted.iter().zip(truth) {
        if let Some(count) = matrix.get_mut(truth as usize).and_then(|row| row.get_mut(predicted as usize)) {
            *count += 1;
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_true_and_columns_predicted() {
        // confusion_matrix([0, 0, 1, 2], [0, 2, 1, 1], labels=range(3))
        assert_eq!(confusion(&[0, 2, 1, 1], &[0, 0, 1, 2], 3), [[1, 0, 1], [0, 1, 0], [0, 1, 0]]);
    }

    #[test]
    fn a_matrix_too_large_to_read_is_left_out() {
        assert!(confusion(&[0], &[0], MOST_CLASSES + 1).is_empty());
    }
}
