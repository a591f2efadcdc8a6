//! Holds out rows that may have several labels, so that every label gives about its share: iterative stratification
//! (Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", 2011). The rarest label that is left
//! deals out its rows first, each to the side that lacks most rows of this label, of equals to the one that lacks most
//! rows.

use super::row_groups::RowGroup;
use crate::random::Random;

/// Which of `groups`, whose rows stay together, are held out: about `fraction` of the rows, and of those of each of the
/// `labels`, but no label's last row. A pure function of these and the seed.
pub fn held_out(groups: &[RowGroup], labels: usize, fraction: f64, seed: u64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    Random::of(&[seed]).shuffle(&mut order);
    // The largest first, as long as there is most room.
    order.sort_by_key(|&group| std::cmp::Reverse(groups[group].rows.len()));
    let mut left: Vec<usize> = vec![0; labels];
    for (label, rows) in groups.iter().flat_map(|group| &group.labels) {
        left[*label as usize] += rows;
    }
    let rows: usize = groups.iter().map(|group| group.rows.len()).sum();
    let shares = [1.0 - fraction, fraction];
    let mut sides = shares.map(|share| Side {
        rows: rows as f64 * share,
        labels: left.iter().map(|&rows| rows as f64 * share).collect(),
    });
    let mut side_of: Vec<Option<usize>> = vec![None; groups.len()];
    let mut place = |group: usize, label: Option<usize>, left: &mut [usize]| {
        let lacks = |side: &Side| (label.map_or(0.0, |label| side.labels[label]), side.rows);
        let (train, valid) = (lacks(&sides[0]), lacks(&sides[1]));
        // Rows to train on go first where both lack as many.
        let chosen = usize::from(valid.0 > train.0 + TINY || (valid.0 - train.0).abs() <= TINY && valid.1 > train.1);
        let side = &mut sides[chosen];
        side.rows -= groups[group].rows.len() as f64;
        for &(label, rows) in &groups[group].labels {
            side.labels[label as usize] -= rows as f64;
            left[label as usize] -= rows;
        }
        chosen
    };
    while let Some(label) = (0..labels).filter(|&label| left[label] > 0).min_by_key(|&label| left[label]) {
        for &group in &order {
            let has = groups[group].labels.iter().any(|(of, _)| *of as usize == label);
            if has && side_of[group].is_none() {
                side_of[group] = Some(place(group, Some(label), &mut left));
            }
        }
    }
    for &group in &order {
        if side_of[group].is_none() {
            side_of[group] = Some(place(group, None, &mut left));
        }
    }
    side_of.into_iter().map(|side| side == Some(1)).collect()
}

/// Less than this is the rounding of shares.
const TINY: f64 = 1e-9;

/// What a side still lacks.
struct Side {
    rows: f64,
    /// Rows of each label.
    labels: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::row_groups::Ties;

    fn groups(rows: &[Vec<u32>]) -> Vec<RowGroup> {
        Ties::new(rows.len()).groups(rows.iter().map(Vec::as_slice))
    }

    #[test]
    fn every_label_gives_its_share() {
        let mut random = Random::new(3);
        // Forty labels, the last ones rare.
        let rows: Vec<Vec<u32>> =
            (0..1500).map(|_| (0..40).filter(|&label| random.unit() < 0.2 / f64::from(1 + label)).collect()).collect();
        let chosen = held_out(&groups(&rows), 40, 0.2, 7);
        let of = |label: u32, side: bool| {
            rows.iter().zip(&chosen).filter(|(row, is)| row.contains(&label) && **is == side).count()
        };
        for label in 0..40 {
            let (train, valid) = (of(label, false), of(label, true));
            let wanted = (train + valid) as f64 * 0.2;
            assert!((valid as f64 - wanted).abs() <= 2.0, "label {label}: {valid} of {}", train + valid);
            assert!(train > 0 || valid == 0);
        }
        let all = chosen.iter().filter(|chosen| **chosen).count();
        assert!((280..=320).contains(&all), "{all}");
        assert_eq!(chosen, held_out(&groups(&rows), 40, 0.2, 7));
        assert_ne!(chosen, held_out(&groups(&rows), 40, 0.2, 8));
    }

    #[test]
    fn a_label_of_one_row_is_trained_on() {
        let rows = [vec![0], vec![1], vec![0, 1], vec![], vec![1], vec![1], vec![1], vec![2]];
        for seed in 0..20 {
            let chosen = held_out(&groups(&rows), 3, 0.25, seed);
            assert!(!chosen[7] && chosen.iter().filter(|chosen| **chosen).count() <= 3, "{chosen:?}");
        }
        assert!(held_out(&[], 3, 0.5, 0).is_empty());
    }
}
