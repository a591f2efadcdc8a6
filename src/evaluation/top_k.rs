//! Top-k accuracy: the fraction of rows whose true label is among the k most probable. Unit: fraction from 0 to 1.
//! Higher is better; with few labels it says little, so it is asked for where there are at least twice as many.

/// Of `logits`, row-major `[rows, classes]`; of equal logits the later count as larger (as scikit-learn's
/// `top_k_accuracy_score`). `None` with fewer than 2 `k` labels, or without rows.
pub fn top_k_accuracy(logits: &[f32], truth: &[u32], classes: usize, k: usize) -> Option<f64> {
    if classes < 2 * k || truth.is_empty() {
        return None;
    }
    let is_among = |(row, &label): (&[f32], &u32)| {
        let Some(own) = row.get(label as usize) else { return false };
        let before = |(class, logit): (usize, &f32)| logit > own || (logit == own && class > label as usize);
        row.iter().enumerate().filter(|&(class, logit)| before((class, logit))).count() < k
    };
    let found = logits.chunks_exact(classes).zip(truth).filter(|&pair| is_among(pair)).count();
    Some(found as f64 / truth.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_of_equals_count_as_larger() {
        // top_k_accuracy_score([5, 0, 2], z, k=3, labels=range(6))
        let z = [0.0; 6].into_iter().chain([0.0; 6]).chain([5.0, 4.0, 3.0, 2.0, 1.0, 0.0]).collect::<Vec<f32>>();
        assert_eq!(top_k_accuracy(&z, &[5, 0, 2], 6, 3), Some(2.0 / 3.0));
        assert_eq!(top_k_accuracy(&z, &[5, 0, 3], 6, 3), Some(1.0 / 3.0));
        assert_eq!(top_k_accuracy(&z[..5], &[0], 5, 3), None);
        assert_eq!(top_k_accuracy(&[], &[], 6, 3), None);
    }
}
