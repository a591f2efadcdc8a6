//! Deals rows into folds, each of which is held out once: a pure function of the groups of rows and the seed.
//!
//! Stratified: every fold has about its share of every label. Groups are dealt whole, the largest first, each into the
//! fold that then differs least from the others in the labels of the group (greedily, as scikit-learn's
//! `StratifiedGroupKFold` does). Of rows that stand alone a label's counts differ by one between folds at most.

use super::row_groups::RowGroup;
use crate::error::{Error, Result};
use crate::random::Random;

/// Which fold each row is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    /// How many there are.
    pub count: usize,
    /// By row, from 0.
    pub of: Vec<usize>,
    /// Labels that some fold has no row of.
    pub short: Vec<ShortLabel>,
}

/// A label with fewer groups of rows than there are folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortLabel {
    /// Which.
    pub label: u32,
    /// Its rows.
    pub rows: usize,
    /// The groups that they are in. With one, the label is not trained on when its rows are held out.
    pub groups: usize,
}

impl Folds {
    /// Deals `groups`, which hold every row once, into `count` folds.
    ///
    /// # Errors
    /// Fewer groups than folds.
    pub fn deal(groups: &[RowGroup], count: usize, seed: u64) -> Result<Self> {
        if groups.len() < count {
            return Err(Error::request(format!(
                "{count} folds need as many rows that are not tied to each other, and there are {}",
                groups.len()
            ))
            .key("folds")
            .hint("fewer folds, or more rows; equal texts and rows of one group stay together"));
        }
        let rows: usize = groups.iter().map(|group| group.rows.len()).sum();
        let classes = groups.iter().flat_map(|group| &group.labels).map(|(label, _)| *label as usize + 1).max();
        let mut totals = vec![(0usize, 0usize); classes.unwrap_or(0)];
        for (label, own) in groups.iter().flat_map(|group| &group.labels) {
            if let Some((rows, groups)) = totals.get_mut(*label as usize) {
                (*rows, *groups) = (*rows + own, *groups + 1);
            }
        }
        let mut order: Vec<&RowGroup> = groups.iter().collect();
        Random::of(&[seed]).shuffle(&mut order);
        order.sort_by_key(|group| std::cmp::Reverse(group.rows.len()));
        let mut folds = vec![(0, vec![0usize; totals.len()]); count];
        let mut of = vec![0; rows];
        for group in order {
            // What the sum of squared shares of its labels grows by.
            let growth = |counts: &[usize]| -> f64 {
                let of_label = |&(label, own): &(u32, usize)| {
                    let (before, total) = (counts.get(label as usize)?, totals.get(label as usize)?.0 as f64);
                    Some((own * (2 * before + own)) as f64 / (total * total))
                };
                group.labels.iter().filter_map(of_label).sum()
            };
            let cost = |(rows, counts): &(usize, Vec<usize>)| (growth(counts), *rows);
            let best = folds.iter_mut().enumerate().min_by(|(_, a), (_, b)| {
                let (a, b) = (cost(a), cost(b));
                a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
            });
            let Some((fold, (rows, counts))) = best else { continue };
            *rows += group.rows.len();
            for &(label, own) in &group.labels {
                if let Some(count) = counts.get_mut(label as usize) {
                    *count += own;
                }
            }
            for &row in &group.rows {
                if let Some(place) = of.get_mut(row) {
                    *place = fold;
                }
            }
        }
        let short = (0..).zip(totals).filter(|(_, (rows, groups))| *rows > 0 && *groups < count);
        let short = short.map(|(label, (rows, groups))| ShortLabel { label, rows, groups }).collect();
        Ok(Self { count, of, short })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::row_groups::Ties;

    fn singles(labels: &[u32]) -> Vec<RowGroup> {
        Ties::new(labels.len()).groups(labels.iter().map(std::slice::from_ref))
    }

    fn counts(folds: &Folds, labels: &[u32], label: u32) -> Vec<usize> {
        let mut counts = vec![0; folds.count];
        for (&fold, &own) in folds.of.iter().zip(labels) {
            counts[fold] += usize::from(own == label);
        }
        counts
    }

    #[test]
    fn every_fold_has_its_share_of_every_label() {
        let mut random = Random::new(3);
        for round in 0..300 {
            let rows = 20 + random.below(80) as usize;
            let labels: Vec<u32> = (0..rows).map(|_| random.below(4).min(random.below(4)) as u32).collect();
            let count = 2 + random.below(6) as usize;
            let folds = Folds::deal(&singles(&labels), count, round).unwrap();
            let spread = |counts: &[usize]| counts.iter().max().unwrap() - counts.iter().min().unwrap();
            for label in 0..4 {
                assert!(spread(&counts(&folds, &labels, label)) <= 1, "{labels:?} {folds:?}");
            }
            let sizes: Vec<usize> = (0..count).map(|fold| folds.of.iter().filter(|&&f| f == fold).count()).collect();
            assert!(spread(&sizes) <= 2, "{sizes:?}");
            assert_eq!(folds, Folds::deal(&singles(&labels), count, round).unwrap());
        }
        let of = |seed| Folds::deal(&singles(&[0; 30]), 3, seed).unwrap().of;
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn groups_stay_whole_and_labels_are_spread_over_folds() {
        let mut random = Random::new(4);
        for round in 0..100 {
            let rows = 200;
            let groups: Vec<u64> = (0..rows).map(|_| random.below(40)).collect();
            let labels: Vec<u32> = groups.iter().map(|group| (group % 3) as u32).collect();
            let mut ties = Ties::new(rows);
            ties.tie(groups.iter().map(Some));
            let folds = Folds::deal(&ties.groups(labels.iter().map(std::slice::from_ref)), 5, round).unwrap();
            for (row, group) in groups.iter().enumerate() {
                assert!((0..rows).all(|other| groups[other] != *group || folds.of[other] == folds.of[row]));
            }
            for label in 0..3 {
                let counts = counts(&folds, &labels, label);
                let mean = counts.iter().sum::<usize>() as f64 / 5.0;
                assert!(counts.iter().all(|&count| (count as f64 - mean).abs() < 8.0), "{counts:?}");
            }
        }
    }

    #[test]
    fn labels_with_too_few_rows_are_named() {
        let labels = [0, 0, 0, 0, 0, 1, 1, 2];
        let folds = Folds::deal(&singles(&labels), 3, 1).unwrap();
        let short = |label, rows| ShortLabel { label, rows, groups: rows };
        assert_eq!(folds.short, [short(1, 2), short(2, 1)]);
        let error = Folds::deal(&singles(&labels[..2]), 3, 1).unwrap_err();
        assert!(error.to_string().contains("3 folds need") && error.hint_text().is_some(), "{error}");
    }
}
