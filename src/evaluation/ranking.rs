//! How well the probability of a label puts its rows before the others, whatever threshold is chosen: the area under
//! the ROC curve and the average precision. Fractions from 0 to 1; higher is better. The area of guessing is 0.5, the
//! average precision of guessing is the label's share of the rows.
//!
//! With two labels both are those of the second one (for the area the other's is the same); with more they are the
//! plain means over the labels, each against all others. Equal to scikit-learn's `roc_auc_score` (`multi_class="ovr"`)
//! and `average_precision_score`.

/// The two scores of a split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranking {
    /// Area under the ROC curve.
    pub roc_auc: f64,
    /// Average precision: the area under the precision-recall curve, as a sum over its steps.
    pub average_precision: f64,
}

impl Ranking {
    /// Of the labels' probabilities: `logits` row-major `[rows, classes]`, `normalisers` the logarithm of each row's
    /// sum of exponentials. `None` where a label has no rows, which leaves its curves undefined.
    pub fn of(logits: &[f32], normalisers: &[f64], truth: &[u32], classes: usize) -> Option<Self> {
        let mut rows_of = vec![0usize; classes];
        for &label in truth {
            if let Some(rows) = rows_of.get_mut(label as usize) {
                *rows += 1;
            }
        }
        if classes < 2 || rows_of.contains(&0) {
            return None;
        }
        let ranked = if classes == 2 { 1..2 } else { 0..classes };
        let count = ranked.len() as f64;
        let (mut areas, mut precisions) = (0.0, 0.0);
        for class in ranked {
            let of_row = |((row, normaliser), label): ((&[f32], &f64), &u32)| {
                let logit = row.get(class).copied().map_or(f64::NEG_INFINITY, f64::from);
                ((logit - normaliser).exp(), *label as usize == class)
            };
            let mut scored: Vec<(f64, bool)> =
                logits.chunks_exact(classes).zip(normalisers).zip(truth).map(of_row).collect();
            let (area, precision) = curves(&mut scored);
            areas += area;
            precisions += precision;
        }
        Some(Self { roc_auc: areas / count, average_precision: precisions / count })
    }
}

/// Area under the ROC curve and average precision of rows, each with its score and whether it is positive; there are
/// rows of both kinds.
pub(super) fn curves(scored: &mut [(f64, bool)]) -> (f64, f64) {
    scored.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
    let all_positive = scored.iter().filter(|(_, positive)| *positive).count() as f64;
    let all_negative = scored.len() as f64 - all_positive;
    let (mut positives, mut negatives, mut pairs, mut precision) = (0.0, 0.0, 0.0, 0.0);
    // Rows of one score enter together, whatever their order.
    for equal in scored.chunk_by(|(a, _), (b, _)| a == b) {
        let positive = equal.iter().filter(|(_, positive)| *positive).count() as f64;
        let negative = equal.len() as f64 - positive;
        pairs += negative * (positives + positive / 2.0);
        positives += positive;
        negatives += negative;
        precision += positive * positives / (positives + negatives);
    }
    (pairs / (all_positive * all_negative), precision / all_positive)
}
