//! Leave-one-out accuracy of the k nearest neighbours by cosine: how well the network's own sense of likeness fits the
//! labels, with nothing trained. Unit: fraction from 0 to 1. Higher is better.

use tch::Kind;

use super::features::check;
use crate::error::Result;
use crate::inference::{Rows, to_vec};

/// The numbers of neighbours that are tried.
const NEIGHBOURS: [usize; 4] = [1, 5, 10, 20];
/// Rows compared with all others at once.
const BLOCK: i64 = 1024;

/// The best of [`NEIGHBOURS`] on these rows.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Neighbours {
    /// How many neighbours vote; of equally good numbers the smallest.
    pub k: usize,
    /// Fraction of all rows, each left out once.
    pub accuracy: f64,
}

/// A row gets the label that most of its k nearest have; of equally many that of the nearest.
pub fn leave_one_out(features: &Rows, labels: &[u32]) -> Result<Neighbours> {
    check(features, labels)?;
    let rows = labels.len();
    let x = features.to_tensor()?;
    let lengths = x.f_square()?.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Float)?.f_sqrt()?;
    let x = x.f_div(&lengths.f_clamp_min(1e-12)?)?;
    let most = NEIGHBOURS.iter().copied().filter(|&k| k < rows).max().unwrap_or(1);
    let mut correct = [0usize; NEIGHBOURS.len()];
    for start in (0..rows as i64).step_by(BLOCK as usize) {
        let block = x.f_narrow(0, start, BLOCK.min(rows as i64 - start))?;
        let likeness = block.f_matmul(&x.f_transpose(0, 1)?)?;
        // Nobody is a neighbour of itself.
        let _ = likeness.f_diagonal(start, 0, 1)?.f_fill_(-2.0)?;
        let (_, nearest) = likeness.f_topk(most as i64, 1, true, true)?;
        let indices = to_vec::<i64>(&nearest)?;
        let truth = labels.get(start as usize..).unwrap_or_default();
        for (near, &truth) in indices.chunks_exact(most).zip(truth) {
            for (k, correct) in NEIGHBOURS.iter().zip(&mut correct) {
                let near = near.iter().take(*k).filter_map(|&index| labels.get(index as usize).copied());
                *correct += usize::from(vote(near) == Some(truth));
            }
        }
    }
    let mut best = Neighbours { k: 1, accuracy: 0.0 };
    for (&k, correct) in NEIGHBOURS.iter().zip(correct).filter(|(k, _)| **k <= most) {
        let accuracy = correct as f64 / rows as f64;
        if accuracy > best.accuracy {
            best = Neighbours { k, accuracy };
        }
    }
    Ok(best)
}

/// The label that comes most often; of equals the one that comes first.
fn vote(labels: impl Iterator<Item = u32>) -> Option<u32> {
    let mut counts: Vec<(u32, usize)> = Vec::new();
    for label in labels {
        match counts.iter_mut().find(|(known, _)| *known == label) {
            Some((_, count)) => *count += 1,
            None => counts.push((label, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max()?;
    counts.into_iter().find(|(_, count)| *count == most).map(|(label, _)| label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::features::samples::sample;

    #[test]
    fn equals_scikit_learn_where_no_vote_is_a_tie() -> Result<()> {
        // cross_val_score(KNeighborsClassifier(1, metric="cosine"), x, y, cv=LeaveOneOut()).mean(): 0.9166…, and 0.75
        // with 5, where two classes have no ties.
        let (features, labels) = sample(12, 20, 2);
        assert_eq!(leave_one_out(&features, &labels)?, Neighbours { k: 1, accuracy: 11.0 / 12.0 });
        // By hand in numpy, with ties to the nearest: 0.7666…, 0.7833…, 0.7833…, 0.7666… for k = 1, 5, 10, 20.
        let (features, labels) = sample(60, 8, 3);
        assert_eq!(leave_one_out(&features, &labels)?, Neighbours { k: 5, accuracy: 47.0 / 60.0 });
        Ok(())
    }

    #[test]
    fn blocks_leave_nobody_as_its_own_neighbour() -> Result<()> {
        // Each row's label is its own: only by itself would it be found.
        let rows = BLOCK as usize + 50;
        let values = (0..rows * 4).map(|i| ((i * 7919) % 1009) as f32 / 1009.0).collect();
        let labels: Vec<u32> = (0..rows as u32).collect();
        assert_eq!(leave_one_out(&Rows { values, width: 4 }, &labels)?.accuracy, 0.0);
        Ok(())
    }

    #[test]
    fn ties_go_to_the_nearest() {
        assert_eq!(vote([2, 1, 1, 2, 0].into_iter()), Some(2));
        assert_eq!(vote([2, 1, 1].into_iter()), Some(1));
        assert_eq!(vote([].into_iter()), None);
    }
}
