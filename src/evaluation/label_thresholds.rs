//! The probability from which on each label of a multi-label task is given: where the F1 of rows that were not trained
//! on is highest.
//!
//! Of few rows with a label the best threshold is mostly chance. So there is one threshold for all labels, where
//! micro-F1 is highest, and a label has one of its own from [`FEWEST_ROWS`] rows on.

use super::f1::Counts;
use super::multi_label::sigmoid;

/// The least probability of a label for which none was chosen.
pub const USUAL: f64 = 0.5;

/// A label with fewer rows takes the shared threshold.
pub const FEWEST_ROWS: usize = 5;

/// A threshold for each of `width` labels, with six digits; 0.5 where nothing speaks for another.
///
/// * `logits`: row-major `[rows, width]`, in the order of `truth`, of rows that were not trained on.
/// * `truth`: the indices of each row's labels, increasing.
pub fn choose(logits: &[f32], truth: &[Vec<u32>], width: usize) -> Vec<f64> {
    let scored = |label: usize| -> Vec<(f64, bool)> {
        let rows = logits.chunks_exact(width.max(1)).zip(truth);
        rows.filter_map(|(row, own)| Some((sigmoid(*row.get(label)?), own.binary_search(&(label as u32)).is_ok())))
            .collect()
    };
    let by_label: Vec<Vec<(f64, bool)>> = (0..width).map(scored).collect();
    let shared = best(&by_label.concat()).unwrap_or(USUAL);
    let own = |rows: &Vec<(f64, bool)>| {
        let has = rows.iter().filter(|(_, has)| *has).count();
        if has < FEWEST_ROWS { shared } else { best(rows).unwrap_or(shared) }
    };
    by_label.iter().map(own).collect()
}

/// The threshold with the highest F1; of equals the one nearest to 0.5. `None` where no row has the label.
fn best(rows: &[(f64, bool)]) -> Option<f64> {
    let mut rows = rows.to_vec();
    rows.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
    let positives = rows.iter().filter(|(_, has)| *has).count() as u64;
    let mut counts = Counts { false_negative: positives, ..Counts::default() };
    let mut found: Option<(f64, f64)> = None;
    let mut at = 0;
    for equal in rows.chunk_by(|(a, _), (b, _)| a == b) {
        at += equal.len();
        for (_, has) in equal {
            if *has {
                counts.true_positive += 1;
                counts.false_negative -= 1;
            } else {
                counts.false_positive += 1;
            }
        }
        let (last, next) = (equal.first().map_or(0.0, |row| row.0), rows.get(at).map_or(0.0, |row| row.0));
        // In the middle between two rows, or at 0.5 where that lies between them.
        let threshold = if next < 0.5 && 0.5 <= last { 0.5 } else { ((last + next) / 2.0 * 1e6).round() / 1e6 };
        let (f1, from_half) = (counts.scores().f1, (threshold - 0.5).abs());
        let is_better = |&(best, of): &(f64, f64)| f1 > best || f1 == best && from_half < (of - 0.5).abs();
        if threshold > 0.0 && threshold <= last && found.as_ref().is_none_or(is_better) {
            found = Some((f1, threshold));
        }
    }
    found.filter(|(f1, _)| *f1 > 0.0).map(|(_, threshold)| threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logit(probability: f64) -> f32 {
        (probability / (1.0 - probability)).ln() as f32
    }

    #[test]
    fn each_threshold_is_where_f1_is_highest() {
        // One label: the rows above 0.3 have it, but for one.
        let probabilities = [0.9, 0.8, 0.7, 0.4, 0.35, 0.2, 0.1, 0.05];
        let has = [true, true, true, false, true, false, false, false];
        // Ten rows of each, so that they count.
        let logits: Vec<f32> = probabilities.iter().flat_map(|&p| [logit(p); 3]).collect();
        let truth: Vec<Vec<u32>> = has.iter().flat_map(|&has| vec![if has { vec![0] } else { vec![] }; 3]).collect();
        let chosen = choose(&logits, &truth, 1);
        // F1 at 0.7: 2 * 9 / (9 + 12) = 0.857; at 0.35: 2 * 12 / (15 + 12) = 0.889.
        assert!((chosen[0] - 0.275).abs() < 1e-6, "{chosen:?}");
    }

    #[test]
    fn rare_labels_share_one_and_equals_are_near_a_half() {
        // The second label has a row that only a very low threshold finds.
        let rows: Vec<[f64; 2]> = (0..20).map(|row| [if row < 10 { 0.8 } else { 0.1 }, 0.02]).collect();
        let logits: Vec<f32> = rows.iter().flatten().map(|&p| logit(p)).collect();
        let truth: Vec<Vec<u32>> = (0..20).map(|row| if row < 10 { vec![0] } else { vec![] }).collect();
        let mut rare = truth.clone();
        rare[3].push(1);
        assert_eq!(choose(&logits, &truth, 2), [0.5, 0.5]);
        assert_eq!(choose(&logits, &rare, 2), [0.5, 0.5]);
        assert_eq!(choose(&[], &[], 2), [0.5, 0.5]);
    }
}
