//! Tokenised texts with the counts of their lengths: what a person reads before the work starts.

use std::ops::Range;
use std::sync::Arc;

use crate::batch::{ExampleSet, TokenizedSet, WindowedTexts, Windows};
use crate::console::units::{count, counted};
use crate::error::Result;
use crate::transform::overlong::LongTexts;
use crate::transform::unread::Unread;

/// Tokenised texts, and what of them is not read.
pub struct Tokenized {
    /// In the order of the inputs; of a text that is read in windows each of these, one after another.
    pub set: TokenizedSet,
    /// Where the windows of each text end in `set`.
    pub ends: Vec<usize>,
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
    /// Texts that are read in several windows.
    pub divided: usize,
    /// Windows of all texts.
    pub windows: usize,
}

impl Tokenized {
    /// The windows of each text.
    fn windows(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends.iter().copied()).map(|(start, end)| start..end)
    }

    /// The texts as examples.
    ///
    /// # Errors
    /// The counts of windows do not fit the set.
    pub fn examples(self, read: LongTexts) -> Result<Arc<dyn ExampleSet>> {
        let LongTexts::Windows { pooling, pooled, .. } = read else { return Ok(Arc::new(self.set)) };
        let windows = Windows { set: Arc::new(self.set), ends: self.ends.into(), pooling, pooled };
        Ok(Arc::new(WindowedTexts::new(windows)?))
    }

    /// Counts over the set.
    pub fn statistics(&self) -> LengthStatistics {
        let length = |windows: Range<usize>| windows.map(|window| self.set.cost(window)).sum();
        let mut lengths: Vec<usize> = self.windows().map(length).collect();
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
            divided: self.windows().filter(|windows| windows.len() > 1).count(),
            windows: self.set.len(),
        }
    }
}

impl std::fmt::Display for LengthStatistics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let &Self { texts, tokens, mean, median, p95, max, divided, windows } = self;
        write!(f, "{tokens} tokens (per text: mean {mean:.1}, median {median}, 95 % up to {p95}, longest {max})")?;
        if divided == 0 {
            return Ok(());
        }
        let (divided, of) = (count(divided as u64), counted(texts as u64, "text"));
        write!(f, "; {divided} of {of} in several windows, {} in all", counted(windows as u64, "window"))
    }
}
