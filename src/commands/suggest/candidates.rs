//! The rows that a model doubts most, of those seen so far: a bounded number of them, whatever the input's length, and
//! none twice. Counts the others.

use std::collections::{BinaryHeap, HashSet};

use crate::cli::MOST_SUGGESTED;
use crate::console::{Console, units};
use crate::data::{InputColumns, OutputValue, Row};
use crate::error::Error;

/// Candidates for each row that is asked for. Measured with 5, 10 and 20 (docs/accuracy.md).
const CANDIDATES: usize = 10;
/// No more candidates are kept, however many rows are asked for.
const MOST: usize = 2 * MOST_SUGGESTED as usize;
/// Digests of different rows that are kept to count repeats.
const MOST_DIGESTS: usize = 1 << 20;

/// A row that may be suggested.
pub struct Candidate {
    pub row: Row,
    /// Of the task's output columns.
    pub values: Vec<OutputValue>,
    /// What the head's output layer sees of it.
    pub features: Vec<f32>,
    /// How much the model doubts its answer.
    pub doubt: f64,
    /// Of what the network sees.
    pub digest: u64,
}

impl Candidate {
    /// File and row.
    fn place(&self) -> (u32, u64) {
        (self.row.file, self.row.number)
    }
}

/// In order: the most doubted first, of equals the earlier.
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.doubt.total_cmp(&self.doubt).then(self.place().cmp(&other.place()))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

/// What became of the rows.
#[derive(Debug, Clone, Default)]
pub struct Passed {
    /// All of them.
    pub rows: u64,
    /// Without a text.
    pub empty: u64,
    /// Whose text or image could not be read.
    pub unreadable: u64,
    /// That have a label in the input.
    pub labelled: u64,
    /// That are among the training rows, or in `--labelled`.
    pub known: u64,
    /// That are the same as an earlier one.
    pub repeated: u64,
    /// Whether more rows than these may be repeats, which were not kept to compare.
    pub more_repeated: bool,
}

/// The most doubted rows.
pub struct Candidates {
    pub passed: Passed,
    most: usize,
    /// The least doubted on top.
    kept: BinaryHeap<Candidate>,
    /// Of those kept.
    digests: HashSet<u64>,
    /// Of all rows, as far as they are kept.
    seen: HashSet<u64>,
}

impl Candidates {
    /// None yet, of those to suggest `count` from.
    pub fn new(count: usize) -> Self {
        let (passed, digests, seen) = (Passed::default(), HashSet::new(), HashSet::new());
        Self { passed, most: (CANDIDATES * count).min(MOST), kept: BinaryHeap::new(), digests, seen }
    }

    /// How much a row is doubted, if it is to be added; otherwise it is a repeat, which is counted, or doubted less
    /// than those that are kept. A repeat of a row that is no longer kept is doubted as little.
    pub fn admits(&mut self, digest: u64, place: (u32, u64), doubt: impl FnOnce() -> f64) -> Option<f64> {
        let is_new = match self.seen.len() < MOST_DIGESTS {
            true => self.seen.insert(digest),
            false => {
                self.passed.more_repeated = true;
                !self.seen.contains(&digest) && !self.digests.contains(&digest)
            }
        };
        if !is_new {
            self.passed.repeated += 1;
            return None;
        }
        let doubt = doubt();
        let is_doubted_more = |least: &Candidate| {
            let order = least.doubt.total_cmp(&doubt).then(place.cmp(&least.place()));
            order.is_lt()
        };
        (self.kept.len() < self.most || self.kept.peek().is_some_and(is_doubted_more)).then_some(doubt)
    }

    /// Adds a row that [`Candidates::admits`].
    pub fn add(&mut self, candidate: Candidate) {
        self.digests.insert(candidate.digest);
        self.kept.push(candidate);
        if self.kept.len() > self.most
            && let Some(least) = self.kept.pop()
        {
            self.digests.remove(&least.digest);
        }
    }

    /// Those that are kept, the most doubted first.
    pub fn into_sorted(self) -> Vec<Candidate> {
        self.kept.into_sorted_vec()
    }
}

impl Passed {
    /// Why rows are no candidates, with their number.
    fn reasons(&self, columns: &InputColumns) -> Vec<String> {
        let at_least = if self.more_repeated { "at least " } else { "" };
        let label = columns.label().unwrap_or_default();
        [
            (self.labelled, format!("with a label in the column `{label}`")),
            (self.known, "that are labelled already (training rows, or those of --labelled)".to_owned()),
            (self.repeated, "that repeat an earlier one".to_owned()),
            (self.empty, "without a text".to_owned()),
            (self.unreadable, "that could not be read".to_owned()),
        ]
        .into_iter()
        .filter(|(rows, _)| *rows > 0)
        .map(|(rows, which)| {
            let bound = if which.contains("repeat") { at_least } else { "" };
            format!("{bound}{} {which}", units::count(rows))
        })
        .collect()
    }

    /// Tells how many rows were passed over, and why.
    pub fn say(&self, columns: &InputColumns, console: &Console) {
        let reasons = self.reasons(columns);
        if !reasons.is_empty() {
            console.note(format!("skipped: {}", reasons.join("; ")));
        }
    }

    /// The error where all rows were passed over.
    pub fn nothing_left(&self, columns: &InputColumns) -> Error {
        let reasons = self.reasons(columns);
        let why = if reasons.is_empty() { "it has none".to_owned() } else { reasons.join("; ") };
        let hint = match self.labelled {
            0 => "give rows that have no label yet",
            _ => "a row with a label is not suggested; if that column holds something else, name another with --label",
        };
        Error::request(format!("no row is left to suggest: {why}")).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Record;
    use crate::random::Random;

    fn candidate(number: u64, doubt: f64) -> Candidate {
        let row = Row::new(number, 0, Record::Line(String::new()));
        Candidate { row, values: Vec::new(), features: Vec::new(), doubt, digest: number }
    }

    #[test]
    fn the_most_doubted_are_kept_whatever_their_number() {
        let mut random = Random::new(3);
        let doubts: Vec<f64> = (0..5000).map(|_| (random.unit() * 50.0).floor() / 100.0).collect();
        let mut candidates = Candidates::new(3);
        for (number, &doubt) in (1..).zip(&doubts) {
            if candidates.admits(number, (0, number), || doubt).is_some() {
                candidates.add(candidate(number, doubt));
            }
            assert!(candidates.kept.len() <= 30 && candidates.digests.len() == candidates.kept.len());
        }
        let mut expected: Vec<u64> = (1..=5000).collect();
        expected.sort_by(|&a, &b| doubts[b as usize - 1].total_cmp(&doubts[a as usize - 1]).then(a.cmp(&b)));
        let kept: Vec<u64> = candidates.into_sorted().iter().map(|candidate| candidate.row.number).collect();
        assert_eq!(kept, expected[..30]);
    }

    #[test]
    fn repeats_are_counted_and_not_admitted() {
        let mut candidates = Candidates::new(1);
        assert!(candidates.admits(9, (0, 1), || 0.5).is_some());
        candidates.add(Candidate { digest: 9, ..candidate(1, 0.5) });
        assert!(candidates.admits(9, (0, 2), || 0.5).is_none());
        assert_eq!(candidates.passed.repeated, 1);
        assert!(Candidates::new(MOST_SUGGESTED as usize).most <= MOST);
    }
}
