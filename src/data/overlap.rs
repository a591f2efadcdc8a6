//! Inputs that appear more than once: within a set, with the same label or with another, and in two sets, where
//! training data leaked into the test. What makes two inputs equal is up to the caller: a text itself, or the content
//! of an image.

use std::collections::HashMap;
use std::hash::Hash;

/// How many pairs of rows a list of examples names.
const SHOWN_ROWS: usize = 5;

/// Rows of one set whose input also appears in an earlier row of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repeats {
    /// How many have the label of an earlier row.
    pub duplicates: u64,
    /// How many have another label than an earlier row.
    pub contradictions: u64,
    /// The first few of the duplicates: index of the row, and of the earlier one.
    pub duplicate_rows: Vec<(usize, usize)>,
    /// The first few of the contradictions: index of the row, and of the earlier one.
    pub contradicting_rows: Vec<(usize, usize)>,
}

/// Finds the inputs that appear again, of rows with their labels.
pub fn repeats<K: Eq + Hash, L: Eq>(rows: impl IntoIterator<Item = (K, L)>) -> Repeats {
    let mut found = Repeats::default();
    // Each input with the labels it has had and the row that gave each first: nearly always one.
    let mut seen: HashMap<K, Vec<(L, usize)>> = HashMap::new();
    for (row, (input, label)) in rows.into_iter().enumerate() {
        let earlier = seen.entry(input).or_default();
        let same = earlier.iter().find(|(known, _)| *known == label).map(|(_, first)| *first);
        if let Some((_, first)) = earlier.iter().find(|(known, _)| *known != label) {
            found.contradictions += 1;
            keep(&mut found.contradicting_rows, (row, *first));
        }
        match same {
            Some(first) => {
                found.duplicates += 1;
                keep(&mut found.duplicate_rows, (row, first));
            }
            None => earlier.push((label, row)),
        }
    }
    found
}

/// Rows of one set whose input also appears in another: training data that leaked into the test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlap {
    /// How many of the second set's rows.
    pub rows: u64,
    /// How many of these have a label that the first set never gives the same input.
    pub contradictions: u64,
    /// The first few of the contradictions: index in the second set, and in the first.
    pub contradicting_rows: Vec<(usize, usize)>,
}

/// Finds the inputs of `second` (test) that also appear in `first` (train), both of rows with their labels.
pub fn overlap<K: Eq + Hash, L: Eq>(
    first: impl IntoIterator<Item = (K, L)>,
    second: impl IntoIterator<Item = (K, L)>,
) -> Overlap {
    let mut known: HashMap<K, Vec<(L, usize)>> = HashMap::new();
    for (row, (input, label)) in first.into_iter().enumerate() {
        let labels = known.entry(input).or_default();
        if labels.iter().all(|(earlier, _)| *earlier != label) {
            labels.push((label, row));
        }
    }
    let mut overlap = Overlap::default();
    for (row, (input, label)) in second.into_iter().enumerate() {
        let Some(labels) = known.get(&input) else { continue };
        overlap.rows += 1;
        if let Some((_, first)) = labels.first().filter(|_| labels.iter().all(|(earlier, _)| *earlier != label)) {
            overlap.contradictions += 1;
            keep(&mut overlap.contradicting_rows, (row, *first));
        }
    }
    overlap
}

impl Overlap {
    /// How many have a label that the first set gives the same input too.
    pub fn agreeing(&self) -> u64 {
        self.rows - self.contradictions
    }

    /// What to say of it; nothing where there is nothing. Copies that agree have the `consequence`; of those whose
    /// labels contradict each other one is wrong. `what` says what so many of the rows are, and `name` names the first
    /// two that contradict each other.
    pub fn in_words(
        &self,
        what: impl Fn(u64) -> String,
        consequence: &str,
        name: impl Fn(usize, usize) -> String,
    ) -> Option<String> {
        let agreeing = (self.agreeing() > 0).then(|| format!("{}: {consequence}", what(self.agreeing())));
        let contradicting = self.contradicting_rows.first().map(|&(row, first)| {
            let example = name(row, first);
            format!("{} with another label ({example}): correct the wrong ones", what(self.contradictions))
        });
        let said: Vec<String> = agreeing.into_iter().chain(contradicting).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

fn keep(shown: &mut Vec<(usize, usize)>, pair: (usize, usize)) {
    if shown.len() < SHOWN_ROWS {
        shown.push(pair);
    }
}
