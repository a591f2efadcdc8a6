//! How unusual a row is for a model, measured against rows of the kind that it was trained for.
//!
//! The score is the logarithm of the largest probability (Hendrycks and Gimpel, "A Baseline for Detecting Misclassified
//! and Out-of-Distribution Examples" (2017)). docs/accuracy.md has it beside the energy, the largest logit and
//! distances to the classes' means, none of which was better. A probability alone does not say what is usual for this
//! model, so a row is placed among rows that were not trained on: its typicality is the share of them, itself included,
//! that are at least as unusual (a conformal p-value; Bates et al., "Testing for outliers with conformal p-values"
//! (2023)). Of new rows of the same kind at most the share P has a typicality of P or less.

use serde::{Deserialize, Serialize};

use super::argmax;
use super::cross_entropy::log_softmax;

/// Scores kept of more rows.
const MOST_KEPT: usize = 1000;

/// The scores of usual rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Typical {
    /// Their name.
    score: String,
    /// In ascending order; of many rows evenly spaced ones.
    scores: Vec<f32>,
}

impl Typical {
    /// Of rows that were not trained on: `logits` is row-major, `[rows, classes]`.
    pub fn of(logits: &[f32], classes: usize) -> Self {
        let mut all: Vec<f32> = logits.chunks_exact(classes.max(1)).map(score).collect();
        all.sort_by(f32::total_cmp);
        let kept = all.len().min(MOST_KEPT);
        let scores = (0..kept).filter_map(|place| all.get((2 * place + 1) * all.len() / (2 * kept)).copied()).collect();
        Self { score: NAME.to_owned(), scores }
    }

    /// The share of usual rows that are at least as unusual as one with these logits: small where it is unusual.
    pub fn share_of(&self, logits: &[f32]) -> f64 {
        let own = score(logits);
        let below = self.scores.partition_point(|&usual| usual <= own);
        (below + 1) as f64 / (self.scores.len() + 1) as f64
    }

    /// The smallest share there can be.
    pub fn smallest(&self) -> f64 {
        1.0 / (self.scores.len() + 1) as f64
    }

    /// Whether the scores are those that are computed here.
    pub fn is_known(&self) -> bool {
        self.score == NAME
    }
}

/// The score's name.
const NAME: &str = "log_probability";

fn score(logits: &[f32]) -> f32 {
    log_softmax(logits).get(argmax(logits)).copied().unwrap_or(f64::NEG_INFINITY) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows from unsure to sure.
    fn rows(count: usize) -> Vec<f32> {
        (1..=count).flat_map(|row| [5.0 * row as f32 / count as f32, 0.0]).collect()
    }

    #[test]
    fn a_share_counts_the_row_itself() {
        let typical = Typical::of(&rows(9), 2);
        assert_eq!(typical.share_of(&[0.1, 0.0]), 0.1);
        assert_eq!(typical.share_of(&[0.0, 0.6]), 0.2);
        assert_eq!(typical.share_of(&[103.0, 3.0]), 1.0);
        assert_eq!((typical.smallest(), Typical::of(&[], 2).share_of(&[1.0, 2.0])), (0.1, 1.0));
    }

    #[test]
    fn many_rows_are_kept_in_part() {
        let typical = Typical::of(&rows(50_000), 2);
        assert_eq!(typical.scores.len(), MOST_KEPT);
        for share in [0.01, 0.05, 0.5, 0.99] {
            let found = typical.share_of(&[5.0 * share as f32, 0.0]);
            assert!((found - share).abs() < 0.002, "{found}");
        }
        let json = serde_json::to_string(&typical).unwrap();
        assert_eq!(serde_json::from_str::<Typical>(&json).unwrap(), typical);
    }

    #[test]
    fn of_usual_rows_a_known_share_is_unusual() {
        let score = |row: usize| [((row * 7919) % 10_007) as f32 / 2000.0, 0.0];
        let typical = Typical::of(&(0..400).flat_map(score).collect::<Vec<_>>(), 2);
        let unusual = (400..4400).filter(|&row| typical.share_of(&score(row)) <= 0.1).count();
        assert!((300..=500).contains(&unusual), "{unusual}");
    }
}
