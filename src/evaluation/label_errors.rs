//! Possible label errors: rows whose label and whose prediction contradict each other more than their classes lead one
//! to expect. Unit of the margin: difference of probabilities, from -1 to 1. Lower is more suspect.
//!
//! Confident learning: Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels"
//! (2021). A class's threshold is the mean probability that the rows labelled with it give it. A row counts for the
//! likeliest class among those whose threshold it reaches; where that is another class than its label, off the diagonal
//! of the paper's confident joint, the row is suspect, unless its label is what the network predicts after all, or is
//! held likelier than one of `classes` by chance: with few rows a class's threshold is a mean of little, and a network
//! that gives the label more than 1/`classes` does not contradict it. The order is by normalised margin: the
//! probability of the given label minus the largest of another.
//!
//! The probabilities must come from a network that was not trained on these rows. A hard row looks as a wrong label
//! does: this is a list of rows to look at, not of errors.

use super::accuracy::argmax;

/// Below a threshold by less than this counts as at it: sums round.
const TOLERANCE: f64 = 1e-6;

/// A row to look at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspect {
    /// Its index in the split.
    pub row: usize,
    /// The label it has.
    pub given: u32,
    /// The label that the network holds likeliest.
    pub likeliest: u32,
    /// The probability of the given label minus the largest of another.
    pub margin: f64,
}

/// The suspected rows, the most suspect first.
///
/// * `probabilities`: row-major `[truth.len(), classes]`.
/// * `truth`: the label that each row has. Rows with an index of `classes` or more are passed over.
pub fn suspected(probabilities: &[f32], truth: &[u32], classes: usize) -> Vec<Suspect> {
    if classes == 0 {
        return Vec::new();
    }
    let thresholds = thresholds(probabilities, truth, classes);
    let rows = probabilities.chunks_exact(classes).zip(truth).enumerate();
    let mut found: Vec<Suspect> = rows.filter_map(|(row, (p, &given))| suspect(row, p, given, &thresholds)).collect();
    found.sort_by(|a, b| a.margin.total_cmp(&b.margin).then(a.row.cmp(&b.row)));
    found
}

fn suspect(row: usize, probabilities: &[f32], given: u32, thresholds: &[f64]) -> Option<Suspect> {
    let own = *probabilities.get(given as usize)?;
    let likeliest = argmax(probabilities);
    let largest = *probabilities.get(likeliest)?;
    let confident = probabilities.iter().zip(thresholds).map(|(&probability, threshold)| {
        if f64::from(probability) >= threshold - TOLERANCE { probability } else { f32::NEG_INFINITY }
    });
    let confident: Vec<f32> = confident.collect();
    let counted = argmax(&confident);
    let is_counted = confident.get(counted).is_some_and(|probability| probability.is_finite());
    let is_held_likely = f64::from(own) * probabilities.len() as f64 > 1.0;
    let suspect = is_counted && counted != given as usize && likeliest != given as usize && !is_held_likely;
    let margin = f64::from(own) - f64::from(largest);
    suspect.then_some(Suspect { row, given, likeliest: likeliest as u32, margin })
}

/// The mean probability of each class over the rows labelled with it; a class without rows has no confident row.
fn thresholds(probabilities: &[f32], truth: &[u32], classes: usize) -> Vec<f64> {
    let (mut sums, mut counts) = (vec![0.0; classes], vec![0u64; classes]);
    for (row, &given) in probabilities.chunks_exact(classes).zip(truth) {
        if let Some(&own) = row.get(given as usize) {
            sums[given as usize] += f64::from(own);
            counts[given as usize] += 1;
        }
    }
    let mean = |(sum, &count): (f64, &u64)| if count == 0 { f64::INFINITY } else { sum / count as f64 };
    sums.into_iter().zip(&counts).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    const PROBABILITIES: [f32; 42] = [
        0.64, 0.12, 0.24,  0.13, 0.85, 0.02,  0.36, 0.43, 0.21,  0.46, 0.18, 0.36,  0.66, 0.06, 0.28,
        0.31, 0.25, 0.44,  0.81, 0.11, 0.08,  0.57, 0.34, 0.09,  0.51, 0.16, 0.33,  0.28, 0.32, 0.4,
        0.07, 0.58, 0.35,  0.02, 0.26, 0.72,  0.3, 0.6, 0.1,     0.13, 0.69, 0.18,
    ];
    const TRUTH: [u32; 14] = [2, 1, 2, 0, 2, 2, 2, 0, 0, 2, 0, 2, 1, 0];

    // t = np.array([p[y == k, k].mean() for k in range(3)])          the classes' thresholds
    // c = np.where(p >= t - 1e-6, p, -1)                             what each row is confident of
    // off = (c.max(1) >= 0) & (c.argmax(1) != y) & (p.argmax(1) != y)
    // m = p[np.arange(14), y] - np.where(np.arange(3) == y[:, None], -1, p).max(1)
    // i = np.flatnonzero(off); i = i[np.argsort(m[i], kind="stable")]
    // cleanlab 2: find_label_issues(y, p, filter_by="confident_learning", return_indices_ranked_by="normalized_margin")
    #[test]
    fn equals_the_reference_implementation() {
        let found = suspected(&PROBABILITIES, &TRUTH, 3);
        assert_eq!(found.iter().map(|suspect| suspect.row).collect::<Vec<_>>(), [6, 10, 0, 4, 2]);
        assert_eq!(found.iter().map(|suspect| suspect.likeliest).collect::<Vec<_>>(), [0, 1, 0, 0, 1]);
        for (suspect, margin) in found.iter().zip([-0.73, -0.51, -0.4, -0.38, -0.22]) {
            assert!((suspect.margin - margin).abs() < 1e-6 && suspect.given == TRUTH[suspect.row], "{suspect:?}");
        }
    }

    #[test]
    fn labels_that_agree_are_not_suspected() {
        assert!(suspected(&[0.9, 0.1, 0.2, 0.8], &[0, 1], 2).is_empty());
        // Wrong, but no more confident than the rows of the class itself.
        assert!(suspected(&[0.4, 0.6, 0.1, 0.9, 0.95, 0.05], &[0, 1, 0], 2).is_empty());
    }

    #[test]
    fn a_label_likelier_than_by_chance_is_not_contradicted() {
        let mut probabilities = vec![0.324, 0.316, 0.18, 0.18];
        for class in 0..4 {
            probabilities.extend((0..4).map(|other| if other == class { 0.31 } else { 0.23 }));
        }
        assert!(suspected(&probabilities, &[1, 0, 1, 2, 3], 4).is_empty());
        probabilities[1] = 0.02;
        assert_eq!(suspected(&probabilities, &[1, 0, 1, 2, 3], 4).len(), 1);
    }

    #[test]
    fn what_cannot_be_judged_is_passed_over() {
        assert!(suspected(&[], &[], 0).is_empty());
        assert!(suspected(&[0.1, 0.9], &[7], 2).is_empty());
        // Nothing has the second label: no row reaches its threshold.
        assert!(suspected(&[0.1, 0.9, 0.8, 0.2], &[0, 0], 2).iter().all(|suspect| suspect.likeliest == 0));
    }
}
