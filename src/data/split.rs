//! Sets rows aside for validation: a pure function of the examples, the fraction and the seed.
//!
//! Stratified: every class gives its share. Equal inputs stay on one side, since a validation row that was also trained
//! on measures nothing.

use std::collections::HashMap;

use super::{Example, Input};
use crate::error::{Error, Result};
use crate::random::Random;

/// Indices into the examples, in increasing order on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// The examples to train on.
    pub train: Vec<usize>,
    /// The examples that are held out.
    pub valid: Vec<usize>,
    /// Classes without a validation row.
    pub unvalidated: Vec<Unvalidated>,
    /// Classes that gave more rows than wanted, since each of their texts is repeated more often than that.
    pub repeated: Vec<u32>,
}

/// A class without a validation row, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unvalidated {
    /// The class.
    pub label: u32,
    /// Its different texts.
    pub texts: usize,
    /// Of these, how many have rows with another label too.
    pub contested: usize,
}

/// Rows with one and the same input.
#[derive(Debug, Default)]
struct DistinctInput {
    rows: Vec<usize>,
    /// How many of the rows have which label; more than one entry when they contradict each other.
    labels: Vec<(u32, usize)>,
}

impl DistinctInput {
    /// The label of most rows, the smallest of equals.
    fn label(&self) -> u32 {
        self.labels.iter().max_by_key(|(label, count)| (*count, u32::MAX - label)).map_or(0, |(label, _)| *label)
    }
}

/// Splits `examples` so that about `fraction` of each class is for validation: of a class with two different texts or
/// more at least one on each side, of a class with a single one none.
///
/// # Errors
/// When `fraction` is not between 0 and 1, or no class has a row to spare.
pub fn stratified(examples: &[Example], fraction: f64, seed: u64) -> Result<Split> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(Error::request(format!("{fraction} is not between 0 and 1 (both excluded)"))
            .key("valid-fraction")
            .hint("0.1 holds out a tenth of the rows"));
    }
    let groups = grouped(examples);
    let classes = examples.iter().map(|example| example.label as usize + 1).max().unwrap_or(0);
    let mut groups_of = vec![Vec::new(); classes];
    for (index, group) in groups.iter().enumerate() {
        if let Some(own) = groups_of.get_mut(group.label() as usize) {
            own.push(index);
        }
    }

    // A class that leads no group appears only in contradicting texts: those must stay in training, or it might vanish.
    let is_led = |label: u32| groups_of.get(label as usize).is_some_and(|own| !own.is_empty());
    let pinned: Vec<bool> = groups.iter().map(|group| group.labels.iter().any(|(label, _)| !is_led(*label))).collect();
    let is_pinned = |index: usize| pinned.get(index).copied().unwrap_or(true);
    let size = |index: usize| groups.get(index).map_or(0, |group| group.rows.len());

    let mut split = Split::default();
    let mut in_valid = vec![false; groups.len()];
    for (label, own) in groups_of.iter().enumerate() {
        let mut free: Vec<usize> = own.iter().copied().filter(|&index| !is_pinned(index)).collect();
        if own.len() < 2 || free.is_empty() {
            continue;
        }
        // A generator per class: adding rows of one class does not move the rows of another.
        Random::of(&[seed, label as u64]).shuffle(&mut free);
        let rows: usize = own.iter().map(|&index| size(index)).sum();
        let wanted = ((rows as f64 * fraction).round() as usize).clamp(1, rows - 1);
        let may_take = own.len() - 1;
        let mut chosen: Vec<usize> = Vec::new();
        let mut taken = 0;
        for &index in &free {
            if taken + size(index) <= wanted && chosen.len() < may_take {
                taken += size(index);
                chosen.push(index);
            }
        }
        if chosen.is_empty() {
            // Every text is repeated more often than rows are wanted.
            chosen.extend(free.iter().copied().min_by_key(|&index| size(index)));
            split.repeated.push(label as u32);
        }
        for index in chosen {
            if let Some(side) = in_valid.get_mut(index) {
                *side = true;
            }
        }
    }

    let mut validated = vec![false; classes];
    for (group, in_valid) in groups.iter().zip(in_valid) {
        let side = if in_valid { &mut split.valid } else { &mut split.train };
        side.extend(&group.rows);
        for (label, _) in &group.labels {
            if let Some(validated) = validated.get_mut(*label as usize) {
                *validated |= in_valid;
            }
        }
    }
    if split.valid.is_empty() {
        return Err(Error::request("no row can be held out: no class has two different texts"));
    }
    split.train.sort_unstable();
    split.valid.sort_unstable();
    split.unvalidated = unvalidated(&groups, &validated);
    Ok(split)
}

/// The classes that have rows, but none for validation.
fn unvalidated(groups: &[DistinctInput], validated: &[bool]) -> Vec<Unvalidated> {
    let mut texts = vec![(0, 0); validated.len()];
    for group in groups {
        for (label, _) in &group.labels {
            if let Some((all, contested)) = texts.get_mut(*label as usize) {
                *all += 1;
                *contested += usize::from(group.labels.len() > 1);
            }
        }
    }
    let without = (0..).zip(texts).zip(validated).filter(|((_, (all, _)), validated)| *all > 0 && !**validated);
    without.map(|((label, (texts, contested)), _)| Unvalidated { label, texts, contested }).collect()
}

/// The distinct inputs in the order of their first rows.
fn grouped(examples: &[Example]) -> Vec<DistinctInput> {
    let mut index_of: HashMap<&Input, usize> = HashMap::with_capacity(examples.len());
    let mut groups: Vec<DistinctInput> = Vec::with_capacity(examples.len());
    for (row, example) in examples.iter().enumerate() {
        let next = groups.len();
        let index = *index_of.entry(&example.input).or_insert(next);
        if index == next {
            groups.push(DistinctInput::default());
        }
        let Some(group) = groups.get_mut(index) else { continue };
        group.rows.push(row);
        match group.labels.iter_mut().find(|(label, _)| *label == example.label) {
            Some((_, count)) => *count += 1,
            None => group.labels.push((example.label, 1)),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn examples(rows: &[(&str, u32)]) -> Vec<Example> {
        (1..)
            .zip(rows)
            .map(|(row, (text, label))| Example { input: Input::Text((*text).into()), label: *label, file: 0, row })
            .collect()
    }

    fn labels_of(examples: &[Example], rows: &[usize]) -> HashSet<u32> {
        rows.iter().map(|&row| examples[row].label).collect()
    }

    #[test]
    fn each_class_gives_its_share() {
        let rows: Vec<(String, u32)> = (0..1000).map(|row| (row.to_string(), u32::from(row % 10 == 0))).collect();
        let rows: Vec<(&str, u32)> = rows.iter().map(|(text, label)| (text.as_str(), *label)).collect();
        let examples = examples(&rows);
        let split = stratified(&examples, 0.2, 1).unwrap();
        assert_eq!((split.train.len(), split.valid.len()), (800, 200));
        assert_eq!(split.valid.iter().filter(|&&row| examples[row].label == 1).count(), 20);
        assert_eq!(split, stratified(&examples, 0.2, 1).unwrap());
        assert_ne!(split, stratified(&examples, 0.2, 2).unwrap());
    }

    #[test]
    fn single_rows_stay_in_training_and_are_reported() {
        let split = stratified(&examples(&[("a", 0), ("b", 1), ("c", 1), ("d", 2), ("d", 2)]), 0.1, 0).unwrap();
        assert_eq!(split.valid.len(), 1);
        assert!(split.valid == [1] || split.valid == [2]);
        let unvalidated = |label| Unvalidated { label, texts: 1, contested: 0 };
        assert_eq!(split.unvalidated, [unvalidated(0), unvalidated(2)]);
        let error = stratified(&examples(&[("a", 0), ("b", 1)]), 0.1, 0).unwrap_err();
        assert!(error.to_string().contains("no row can be held out"));
    }

    #[test]
    fn why_a_class_is_not_validated_and_another_gives_much() {
        let mut rows = vec![("a", 0), ("a", 0), ("b", 0), ("b", 0), ("c", 1), ("d", 1), ("d", 0), ("d", 0)];
        rows.extend([("e", 2), ("e", 2), ("e", 2), ("f", 2), ("f", 2)]);
        let split = stratified(&examples(&rows), 0.1, 0).unwrap();
        assert_eq!(split.unvalidated.first(), Some(&Unvalidated { label: 1, texts: 2, contested: 1 }));
        assert!(split.repeated.contains(&2), "{:?}", split.repeated);
    }

    #[test]
    fn fraction_is_checked() {
        for wrong in [0.0, 1.0, -0.1, 3.0, f64::NAN] {
            let error = stratified(&examples(&[("a", 0), ("b", 0)]), wrong, 0).unwrap_err();
            assert!(error.to_string().starts_with("`valid-fraction`: "), "{error}");
        }
    }

    #[test]
    fn promises_hold_on_random_sets() {
        let mut random = Random::new(5);
        for round in 0..2_000 {
            let texts = 1 + random.below(20);
            let rows: Vec<Example> = (1..=1 + random.below(40))
                .map(|row| {
                    let text = random.below(texts);
                    // Mostly one label per text, sometimes a contradicting one.
                    let label = if random.below(5) == 0 { random.below(4) } else { text % 4 };
                    Example { input: Input::Text(text.to_string()), label: label as u32, file: 0, row }
                })
                .collect();
            let fraction = 0.01 + 0.98 * random.unit();
            let Ok(split) = stratified(&rows, fraction, round) else {
                continue;
            };
            let mut all = [split.train.clone(), split.valid.clone()].concat();
            all.sort_unstable();
            assert_eq!(all, (0..rows.len()).collect::<Vec<_>>());
            assert!(split.train.is_sorted() && split.valid.is_sorted());
            let inputs = |side: &[usize]| side.iter().map(|&row| &rows[row].input).collect::<HashSet<_>>();
            assert!(inputs(&split.train).is_disjoint(&inputs(&split.valid)));
            let everywhere = labels_of(&rows, &all);
            assert_eq!(labels_of(&rows, &split.train), everywhere);
            let validated = labels_of(&rows, &split.valid);
            let reported: HashSet<u32> = split.unvalidated.iter().map(|class| class.label).collect();
            assert_eq!(validated.union(&reported).copied().collect::<HashSet<_>>(), everywhere);
            assert!(validated.is_disjoint(&reported));
        }
    }
}
