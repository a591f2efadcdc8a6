//! Rows of one set whose input also appears in another: training data that leaked into the test.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Serialize;

use super::example::Place;
use super::{Example, Input};

/// How many pairs of rows a list of examples names.
const SHOWN_ROWS: usize = 5;

/// Rows of one set whose input also appears in another: training data that leaked into the test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// How many of the second set's rows.
    pub rows: u64,
    /// How many of these have a label that the first set never gives the same input.
    pub contradictions: u64,
    /// The first few: row in the first set, row in the second.
    pub shared_rows: Vec<(Place, Place)>,
}

/// Finds the inputs of `second` (test) that also appear in `first` (train). Labels are compared by index: load the
/// second set with the labels of the first.
pub fn overlap(first: &[Example], second: &[Example]) -> Overlap {
    let mut known: HashMap<&Input, Vec<&Example>> = HashMap::with_capacity(first.len());
    for example in first {
        match known.entry(&example.input) {
            Entry::Vacant(entry) => {
                entry.insert(vec![example]);
            }
            Entry::Occupied(mut entry) => {
                let same = entry.get().iter().any(|earlier| earlier.label == example.label);
                if !same {
                    entry.get_mut().push(example);
                }
            }
        }
    }
    let mut overlap = Overlap::default();
    for example in second {
        let Some(shared) = known.get(&example.input) else {
            continue;
        };
        overlap.rows += 1;
        overlap.contradictions += u64::from(shared.iter().all(|earlier| earlier.label != example.label));
        if let Some(earlier) = shared.first()
            && overlap.shared_rows.len() < SHOWN_ROWS
        {
            overlap.shared_rows.push((earlier.place(), example.place()));
        }
    }
    overlap
}
