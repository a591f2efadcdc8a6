//! Tokenised texts with the counts of their lengths: what a person reads before the work starts.

use crate::batch::{ExampleSet, TokenizedSet};
use crate::transform::unread::Unread;

/// Tokenised texts, and what of them is not read.
pub struct Tokenized {
    /// In the order of the inputs.
    pub set: TokenizedSet,
    /// Texts that were longer than the limit, or hold nothing that the tokenizer knows.
    pub unread: Unread,
}

/// Token counts of a tokenised set, for the summary printed before the work starts.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct LengthStatistics {
    /// How many there are; a pair counts as one.
    pub texts: usize,
    /// Of all texts together, special tokens included.
    pub tokens: usize,
    /// Tokens per text; 0 without texts.
    pub mean: f64,
    /// Tokens of the text in the middle of all lengths.
    pub median: usize,
    /// 95 % of the texts are not longer than this.
    pub p95: usize,
    /// Tokens of the longest text, after cutting.
    pub max: usize,
}

impl Tokenized {
    /// Counts over the set.
    pub fn statistics(&self) -> LengthStatistics {
        let mut lengths: Vec<usize> = (0..self.set.len()).map(|index| self.set.cost(index)).collect();
        lengths.sort_unstable();
        let at =
            |share: f64| lengths.get(((lengths.len() as f64 * share) as usize).min(lengths.len().saturating_sub(1)));
        LengthStatistics {
            texts: lengths.len(),
            tokens: self.set.tokens(),
            mean: self.set.tokens() as f64 / lengths.len().max(1) as f64,
            median: at(0.5).copied().unwrap_or(0),
            p95: at(0.95).copied().unwrap_or(0),
            max: lengths.last().copied().unwrap_or(0),
        }
    }
}

impl std::fmt::Display for LengthStatistics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tokens, mean, median, p95, max, .. } = self;
        write!(f, "{tokens} tokens (per text: mean {mean:.1}, median {median}, 95 % up to {p95}, longest {max})")
    }
}
