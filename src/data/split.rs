//! Sets rows aside for validation: a pure function of the examples, the fraction and the seed.
//!
//! Stratified: every class gives its share. Equal inputs stay on one side, since a validation row that was also trained
//! on measures nothing.

use super::iterative_split::held_out;
use super::row_groups::{RowGroup, Ties};
use super::{Example, Truth, quantile_bins};
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

/// Splits `examples` so that about `fraction` of each class is for validation: of a class with two different texts or
/// more at least one on each side, of a class with a single one none.
///
/// # Errors
/// When `fraction` is not between 0 and 1, or no class has a row to spare.
pub fn stratified(examples: &[Example], fraction: f64, seed: u64) -> Result<Split> {
    check_fraction(fraction)?;
    let mut ties = Ties::new(examples.len());
    ties.tie(examples.iter().map(|example| Some(&example.input)));
    let groups = ties.groups(examples.iter().map(|example| example.truth.labels()));
    let classes = classes(examples);
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

    let mut repeated = Vec::new();
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
            repeated.push(label as u32);
        }
        for index in chosen {
            if let Some(side) = in_valid.get_mut(index) {
                *side = true;
            }
        }
    }

    if !in_valid.contains(&true) {
        return Err(Error::request("no row can be held out: no class has two different texts"));
    }
    Ok(Split { repeated, ..Split::of(&groups, &in_valid, classes) })
}

/// Splits `examples` whose rows may have several labels so that about `fraction` of the rows of each label is for
/// validation, by iterative stratification. Rows of one of `groups` stay together.
///
/// # Errors
/// When `fraction` is not between 0 and 1, or no row can be held out.
pub fn stratified_by_several(
    examples: &[Example],
    groups: Option<&[Option<u32>]>,
    fraction: f64,
    seed: u64,
) -> Result<Split> {
    check_fraction(fraction)?;
    let mut ties = Ties::new(examples.len());
    ties.tie(examples.iter().map(|example| Some(&example.input)));
    if let Some(groups) = groups {
        ties.tie(groups.iter().copied());
    }
    let groups = ties.groups(examples.iter().map(|example| example.truth.labels()));
    let classes = classes(examples);
    let mut in_valid = held_out(&groups, classes, fraction, seed);
    if !in_valid.contains(&true) {
        // So few rows that every share rounds to none: one that leaves its labels to train on.
        let mut totals = vec![0usize; classes];
        groups.iter().flat_map(|group| &group.labels).for_each(|(label, rows)| totals[*label as usize] += rows);
        let leaves_some = |group: &RowGroup| group.labels.iter().all(|(label, own)| *own < totals[*label as usize]);
        let free = (0..groups.len()).rev().find(|&group| groups.len() > 1 && leaves_some(&groups[group]));
        let free = free.ok_or_else(|| {
            Error::request("no row can be held out: each has a label that no other text has, or there is only one")
        })?;
        in_valid[free] = true;
    }
    Ok(Split::of(&groups, &in_valid, classes))
}

/// Splits `examples` that have numbers so that about `fraction` of them is for validation, of small and large numbers
/// alike: stratified by bins of the numbers with about as many rows each. Rows of one of `groups` stay together.
///
/// # Errors
/// As for [`stratified`] and [`stratified_by_group`].
pub fn stratified_by_number(
    examples: &[Example],
    groups: Option<&[Option<u32>]>,
    fraction: f64,
    seed: u64,
) -> Result<Split> {
    /// More bins make no difference.
    const MOST_BINS: f64 = 10.0;
    check_fraction(fraction)?;
    let numbers: Vec<f64> = examples.iter().filter_map(|example| example.truth.number()).collect();
    // Each bin gives a row.
    let bins = (examples.len() as f64 * fraction).floor().clamp(1.0, MOST_BINS) as usize;
    let bins = quantile_bins(&numbers, bins);
    let in_bin = |(example, bin): (&Example, u32)| Example { truth: Truth::Class(bin), ..example.clone() };
    let binned: Vec<Example> = examples.iter().zip(bins).map(in_bin).collect();
    let split = match groups {
        Some(groups) => stratified_by_group(&binned, groups, fraction, seed)?,
        None => stratified(&binned, fraction, seed)?,
    };
    Ok(Split { unvalidated: Vec::new(), repeated: Vec::new(), ..split })
}

/// The classes that have rows, but none for validation.
fn unvalidated(groups: &[RowGroup], validated: &[bool]) -> Vec<Unvalidated> {
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

/// Splits `examples` as [`stratified`] does, where rows of one of `groups` stay together: the groups, the largest
/// first, are held out while that brings the labels nearer to their share. Of every label rows stay to train on.
///
/// # Errors
/// As there, or a single group.
pub fn stratified_by_group(examples: &[Example], groups: &[Option<u32>], fraction: f64, seed: u64) -> Result<Split> {
    check_fraction(fraction)?;
    let mut ties = Ties::new(examples.len());
    ties.tie(examples.iter().map(|example| Some(&example.input)));
    ties.tie(groups.iter().copied());
    let groups = ties.groups(examples.iter().map(|example| example.truth.labels()));
    let classes = classes(examples);
    let mut totals = vec![0usize; classes];
    let labels = examples.iter().flat_map(|example| example.truth.labels());
    labels.for_each(|&label| totals[label as usize] += 1);
    // What the squared distance of the labels' shares from the fraction changes by.
    let change = |held_out: &[usize], group: &RowGroup| -> f64 {
        let of_label = |&(label, own): &(u32, usize)| {
            let (before, total) = (held_out[label as usize] as f64, totals[label as usize] as f64);
            let distance = |rows: f64| (rows / total - fraction).powi(2);
            distance(before + own as f64) - distance(before)
        };
        group.labels.iter().map(of_label).sum()
    };
    let leaves_some = |held_out: &[usize], group: &RowGroup| {
        group.labels.iter().all(|&(label, own)| held_out[label as usize] + own < totals[label as usize])
    };
    let mut order: Vec<usize> = (0..groups.len()).collect();
    Random::of(&[seed]).shuffle(&mut order);
    order.sort_by_key(|&index| std::cmp::Reverse(groups[index].rows.len()));
    let mut held_out = vec![0usize; classes];
    let mut in_valid = vec![false; groups.len()];
    for &index in &order {
        let group = &groups[index];
        if change(&held_out, group) < 0.0 && leaves_some(&held_out, group) {
            in_valid[index] = true;
            group.labels.iter().for_each(|&(label, own)| held_out[label as usize] += own);
        }
    }
    if !in_valid.contains(&true) {
        // Every group is larger than what is wanted.
        let free = order.iter().copied().filter(|&index| leaves_some(&held_out, &groups[index]));
        let nearest = free.min_by(|&a, &b| change(&held_out, &groups[a]).total_cmp(&change(&held_out, &groups[b])));
        let nearest = nearest.ok_or_else(|| {
            Error::request("no group can be held out: each has all rows of some label, or there is only one")
        })?;
        in_valid[nearest] = true;
    }
    Ok(Split::of(&groups, &in_valid, classes))
}

/// How many labels the examples have at least.
fn classes(examples: &[Example]) -> usize {
    let labels = examples.iter().flat_map(|example| example.truth.labels());
    labels.map(|&label| label as usize + 1).max().unwrap_or(0)
}

fn check_fraction(fraction: f64) -> Result<()> {
    match fraction > 0.0 && fraction < 1.0 {
        true => Ok(()),
        false => Err(Error::request(format!("{fraction} is not between 0 and 1 (both excluded)"))
            .key("valid-fraction")
            .hint("0.1 holds out a tenth of the rows")),
    }
}

impl Split {
    /// The groups for which `in_valid` holds are held out.
    fn of(groups: &[RowGroup], in_valid: &[bool], classes: usize) -> Self {
        let mut split = Self::default();
        let mut validated = vec![false; classes];
        for (group, &in_valid) in groups.iter().zip(in_valid) {
            let side = if in_valid { &mut split.valid } else { &mut split.train };
            side.extend(&group.rows);
            for (label, _) in &group.labels {
                if let Some(validated) = validated.get_mut(*label as usize) {
                    *validated |= in_valid;
                }
            }
        }
        split.train.sort_unstable();
        split.valid.sort_unstable();
        split.unvalidated = unvalidated(groups, &validated);
        split
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::data::{Input, Number};

    fn examples(rows: &[(&str, u32)]) -> Vec<Example> {
        (1..)
            .zip(rows)
            .map(|(row, (text, label))| Example {
                input: Input::Text((*text).into()),
                truth: Truth::Class(*label),
                file: 0,
                row,
            })
            .collect()
    }

    fn labels_of(examples: &[Example], rows: &[usize]) -> HashSet<u32> {
        rows.iter().map(|&row| examples[row].truth.labels()[0]).collect()
    }

    #[test]
    fn each_class_gives_its_share() {
        let rows: Vec<(String, u32)> = (0..1000).map(|row| (row.to_string(), u32::from(row % 10 == 0))).collect();
        let rows: Vec<(&str, u32)> = rows.iter().map(|(text, label)| (text.as_str(), *label)).collect();
        let examples = examples(&rows);
        let split = stratified(&examples, 0.2, 1).unwrap();
        assert_eq!((split.train.len(), split.valid.len()), (800, 200));
        assert_eq!(split.valid.iter().filter(|&&row| examples[row].truth.labels()[0] == 1).count(), 20);
        assert_eq!(split, stratified(&examples, 0.2, 1).unwrap());
        assert_ne!(split, stratified(&examples, 0.2, 2).unwrap());
    }

    #[test]
    fn small_and_large_numbers_give_their_share() {
        let numbered = |row: u64| Example {
            input: Input::Text((row / 2).to_string()),
            truth: Truth::Number(Number::new((row * 7 % 400) as f64).unwrap()),
            file: 0,
            row,
        };
        let rows: Vec<Example> = (0..400).map(numbered).collect();
        let split = stratified_by_number(&rows, None, 0.2, 1).unwrap();
        assert!((76..=84).contains(&split.valid.len()) && split.train.len() + split.valid.len() == 400);
        assert_eq!(split, stratified_by_number(&rows, None, 0.2, 1).unwrap());
        for quarter in 0..4 {
            let of_quarter = |row: &&usize| rows[**row].truth.number().unwrap() as u64 / 100 == quarter;
            let rows = split.valid.iter().filter(of_quarter).count();
            assert!((14..=26).contains(&rows), "{rows} of quarter {quarter}");
        }
        let texts = |side: &[usize]| side.iter().map(|&row| row / 2).collect::<HashSet<_>>();
        assert!(texts(&split.train).is_disjoint(&texts(&split.valid)));
        let few = stratified_by_number(&rows[..20], None, 0.1, 1).unwrap();
        assert!((1..=4).contains(&few.valid.len()), "{few:?}");
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
    fn groups_are_held_out_whole_and_about_as_many_rows_as_asked_for() {
        let mut random = Random::new(6);
        for round in 0..200 {
            let rows: Vec<Example> = (1..=300)
                .map(|row| Example {
                    input: Input::Text(row.to_string()),
                    truth: Truth::Class(random.below(3) as u32),
                    file: 0,
                    row,
                })
                .collect();
            let groups: Vec<Option<u32>> =
                (0..300).map(|row| (row % 10 > 0).then(|| random.below(60) as u32)).collect();
            let split = stratified_by_group(&rows, &groups, 0.2, round).unwrap();
            assert!((45..=75).contains(&split.valid.len()), "{}", split.valid.len());
            let of = |side: &[usize]| side.iter().filter_map(|&row| groups[row]).collect::<HashSet<_>>();
            assert!(of(&split.train).is_disjoint(&of(&split.valid)));
            assert_eq!(split.train.len() + split.valid.len(), 300);
        }
        let rows = examples(&[("a", 0), ("b", 1), ("c", 0), ("d", 1), ("e", 0), ("f", 1)]);
        // Larger than wanted, but there is no smaller one.
        let groups = [1, 1, 2, 2, 2, 2].map(Some);
        assert_eq!(stratified_by_group(&rows, &groups, 0.1, 1).unwrap().valid, [0, 1]);
        let error = stratified_by_group(&rows, &[Some(1); 6], 0.1, 1).unwrap_err();
        assert!(error.to_string().contains("no group can be held out"), "{error}");
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
                    Example { input: Input::Text(text.to_string()), truth: Truth::Class(label as u32), file: 0, row }
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
