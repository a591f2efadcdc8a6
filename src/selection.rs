//! Which of many candidates are worth a label: those that a model doubts, one for each kind of them. Numbers only;
//! where features and doubts come from is the business of the caller.
//!
//! The candidates are clustered by their features, each weighing as much as it is doubted, into as many clusters as
//! labels are wanted, and the candidate nearest to each cluster's centre is chosen (Zhdanov, "Diverse mini-batch Active
//! Learning", 2019). A choice is therefore typical of what is doubted, and two that say the same are in one cluster.

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::random::Random;

/// A candidate that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Its index among the candidates.
    pub candidate: usize,
    /// How many candidates it stands for, itself included.
    pub stands_for: usize,
}

/// Rounds of k-means; assignments hardly change after them.
const ROUNDS: usize = 10;
/// Unit vectors whose squared distance is below this are the same but for rounding.
const SAME: f64 = 1e-6;
/// No candidate weighs less.
const LEAST_WEIGHT: f64 = 1e-12;
/// Distances that are computed at once, which take 16 MiB.
const DISTANCES: usize = 1 << 22;

/// Chooses `count` of the candidates, those that stand for the most doubt first; all, where there are no more.
///
/// `features` is `[N, width]` in fp32 on the CPU and compared by angle; `doubts` has N numbers from 0 up. The same
/// candidates in the same order and the same seed give the same choices.
///
/// # Errors
/// libtorch fails, as where memory does not suffice.
pub fn choose(features: &Tensor, doubts: &[f64], count: usize, seed: u64) -> Result<Vec<Choice>> {
    let alone = |candidate: usize| Choice { candidate, stands_for: 1 };
    if doubts.len() <= count {
        return Ok(by_doubt(doubts).into_iter().map(alone).collect());
    }
    tch::no_grad(|| {
        let points = Points::new(features, doubts)?;
        let centres = points.means(&points.seeds(count, seed)?)?;
        let mut clusters = points.clusters(&centres)?;
        clusters.sort_by(|a, b| b.doubt.total_cmp(&a.doubt).then(a.choice.candidate.cmp(&b.choice.candidate)));
        let mut choices: Vec<Choice> = clusters.into_iter().map(|cluster| cluster.choice).collect();
        let rest = points.rest(&choices, count - choices.len())?;
        choices.extend(rest.into_iter().map(alone));
        Ok(choices)
    })
}

/// Indices of the numbers, the largest first.
fn by_doubt(doubts: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..doubts.len()).collect();
    order.sort_by(|&a, &b| doubts[b].total_cmp(&doubts[a]).then(a.cmp(&b)));
    order
}

/// Candidates as points on the unit sphere, with weights.
struct Points<'a> {
    /// `[N, width]`.
    unit: Tensor,
    doubts: &'a [f64],
}

/// The candidates that are nearest to one centre.
struct Cluster {
    choice: Choice,
    /// Of all of them.
    doubt: f64,
}

/// What each point is nearest to.
struct Assignment {
    /// By point: the index of the centre.
    centres: Vec<i64>,
    /// By point: the larger, the nearer.
    nearness: Vec<f32>,
}

impl<'a> Points<'a> {
    fn new(features: &Tensor, doubts: &'a [f64]) -> Result<Self> {
        let length = features.f_norm_scalaropt_dim(2, [1i64], true)?.f_clamp_min(1e-12)?;
        Ok(Self { unit: features.f_div(&length)?, doubts })
    }

    fn weight(&self, point: usize) -> f64 {
        self.doubts[point].max(LEAST_WEIGHT)
    }

    /// Squared distance of every point to one of them.
    fn distances_to(&self, point: usize) -> Result<Vec<f64>> {
        let one = self.unit.f_get(point as i64)?;
        let apart: Vec<f32> =
            values(&self.unit.f_sub(&one)?.f_square()?.f_sum_dim_intlist(&[1i64][..], false, Kind::Float)?)?;
        Ok(apart.into_iter().map(|distance| if f64::from(distance) < SAME { 0.0 } else { distance.into() }).collect())
    }

    /// Points to begin with (k-means++): the most doubted, then each drawn with a probability that grows with its doubt
    /// and its distance to those before. Fewer than `count` where all others are the same as one of these.
    fn seeds(&self, count: usize, seed: u64) -> Result<Vec<usize>> {
        let mut random = Random::new(seed);
        let mut seeds: Vec<usize> = by_doubt(self.doubts).into_iter().take(1).collect();
        let mut nearest = vec![f64::INFINITY; self.doubts.len()];
        while let Some(&last) = seeds.last().filter(|_| seeds.len() < count) {
            for (nearest, distance) in nearest.iter_mut().zip(self.distances_to(last)?) {
                *nearest = nearest.min(distance);
            }
            let shares: Vec<f64> =
                nearest.iter().enumerate().map(|(point, apart)| apart * self.weight(point)).collect();
            match drawn(&shares, random.unit()) {
                Some(next) => seeds.push(next),
                None => break,
            }
        }
        Ok(seeds)
    }

    /// The weighted means that the points at `seeds` become by k-means: `[seeds, width]`.
    fn means(&self, seeds: &[usize]) -> Result<Tensor> {
        let index: Vec<i64> = seeds.iter().map(|&seed| seed as i64).collect();
        let weights: Vec<f32> = (0..self.doubts.len()).map(|point| self.weight(point) as f32).collect();
        let weights = Tensor::f_from_slice(&weights)?.f_unsqueeze(1)?;
        let weighted = self.unit.f_mul(&weights)?;
        let mut centres = self.unit.f_index_select(0, &Tensor::f_from_slice(&index)?)?;
        let mut before = Vec::new();
        for _ in 0..ROUNDS {
            let nearest = self.nearest(&centres)?.centres;
            if nearest == before {
                break;
            }
            let index = Tensor::f_from_slice(&nearest)?;
            let sums = centres.f_zeros_like()?.f_index_add(0, &index, &weighted)?;
            let weight = Tensor::f_zeros([centres.size()[0], 1], (Kind::Float, Device::Cpu))?;
            let weight = weight.f_index_add(0, &index, &weights)?;
            // A centre that nothing is nearest to stays where it is.
            centres = sums.f_div(&weight)?.f_where_self(&weight.f_gt(0.0)?, &centres)?;
            before = nearest;
        }
        Ok(centres)
    }

    fn nearest(&self, centres: &Tensor) -> Result<Assignment> {
        let from_middle = centres.f_square()?.f_sum_dim_intlist(&[1i64][..], false, Kind::Float)?;
        let mut found = Assignment { centres: Vec::new(), nearness: Vec::new() };
        let rows = (DISTANCES / centres.size()[0].max(1) as usize).max(1) as i64;
        for part in self.unit.f_split(rows, 0)? {
            // |a - b|² = |a|² - (2ab - |b|²), and |a| is the same for all centres.
            let nearness = part.f_matmul(&centres.f_transpose(0, 1)?)?.f_mul_scalar(2.0)?.f_sub(&from_middle)?;
            let (nearness, centre) = nearness.f_max_dim(1, false)?;
            found.nearness.extend(values::<f32>(&nearness)?);
            found.centres.extend(values::<i64>(&centre)?);
        }
        Ok(found)
    }

    /// The clusters of these centres that have a point, with the point nearest to the centre.
    fn clusters(&self, centres: &Tensor) -> Result<Vec<Cluster>> {
        let Assignment { centres: of, nearness } = self.nearest(centres)?;
        let mut clusters: Vec<Option<Cluster>> = (0..centres.size()[0]).map(|_| None).collect();
        for (point, &centre) in of.iter().enumerate() {
            let Some(cluster) = clusters.get_mut(centre as usize) else { continue };
            let new = || Cluster { choice: Choice { candidate: point, stands_for: 0 }, doubt: 0.0 };
            let cluster = cluster.get_or_insert_with(new);
            cluster.choice.stands_for += 1;
            cluster.doubt += self.doubts[point];
            if nearness[point] > nearness[cluster.choice.candidate] {
                cluster.choice.candidate = point;
            }
        }
        Ok(clusters.into_iter().flatten().collect())
    }

    /// `count` more points, where clusters came out empty: the most doubted, those last that are the same as a choice.
    fn rest(&self, choices: &[Choice], count: usize) -> Result<Vec<usize>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut nearest = vec![f64::INFINITY; self.doubts.len()];
        for choice in choices {
            for (nearest, distance) in nearest.iter_mut().zip(self.distances_to(choice.candidate)?) {
                *nearest = nearest.min(distance);
            }
        }
        let is_chosen = |point: &usize| choices.iter().any(|choice| choice.candidate == *point);
        let mut rest: Vec<usize> = by_doubt(self.doubts).into_iter().filter(|point| !is_chosen(point)).collect();
        rest.sort_by_key(|&point| nearest[point] == 0.0);
        rest.truncate(count);
        Ok(rest)
    }
}

/// The index that `at`, from 0 to below 1, falls on when each has a part of the whole like its share; `None` where all
/// shares are 0.
fn drawn(shares: &[f64], at: f64) -> Option<usize> {
    let whole: f64 = shares.iter().sum();
    let mut left = at * whole;
    let mut last = None;
    for (index, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
        last = Some(index);
        left -= share;
        if left < 0.0 {
            break;
        }
    }
    last
}

fn values<T: tch::kind::Element + Clone>(tensor: &Tensor) -> Result<Vec<T>> {
    let tensor = tensor.f_contiguous()?;
    let mut values = vec![T::ZERO; tensor.numel()];
    tensor.f_copy_data(&mut values, tensor.numel())?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(rows: &[[f32; 2]]) -> Tensor {
        Tensor::from_slice(rows.as_flattened()).view([rows.len() as i64, 2])
    }

    fn chosen(features: &Tensor, doubts: &[f64], count: usize) -> Vec<usize> {
        choose(features, doubts, count, 42).unwrap().iter().map(|choice| choice.candidate).collect()
    }

    /// Groups of points around directions of their own, in turn.
    fn groups(groups: usize, each: usize) -> Tensor {
        let mut random = Random::new(7);
        let mut rows = Vec::new();
        for index in 0..groups * each {
            let angle = (index % groups) as f32 + 0.05 * random.unit() as f32;
            rows.push([angle.cos(), angle.sin()]);
        }
        points(&rows)
    }

    #[test]
    fn of_two_equal_rows_only_one_is_chosen() {
        // Of another length, and the same direction.
        let features = points(&[[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]);
        for seed in 0..20 {
            let choices = choose(&features, &[0.5, 0.5, 0.1], 2, seed).unwrap();
            assert_eq!(choices[0], Choice { candidate: 0, stands_for: 2 });
            assert_eq!(choices[1], Choice { candidate: 2, stands_for: 1 });
        }
    }

    #[test]
    fn each_kind_is_chosen_once_and_the_most_doubt_comes_first() {
        let features = groups(5, 20);
        let doubts: Vec<f64> = (0..100).map(|index| 0.1 * (1 + index % 5) as f64).collect();
        let choices = choose(&features, &doubts, 5, 42).unwrap();
        let kinds: Vec<usize> = choices.iter().map(|choice| choice.candidate % 5).collect();
        assert_eq!(kinds, [4, 3, 2, 1, 0]);
        assert!(choices.iter().all(|choice| choice.stands_for == 20), "{choices:?}");
    }

    #[test]
    fn a_choice_is_typical_of_the_doubted() {
        // Between the two that are doubted, whatever the third is.
        let features = points(&[[1.0, 0.0], [1.0, 0.2], [1.0, 0.1], [0.6, 1.0], [0.0, 1.0]]);
        assert_eq!(chosen(&features, &[0.5, 0.5, 0.4, 0.001, 0.5], 2)[0], 2);
    }

    #[test]
    fn there_are_as_many_as_asked_for_and_all_differ() {
        for (features, doubts) in [
            (groups(3, 10), vec![0.5; 30]),
            (groups(3, 10), vec![0.0; 30]),
            (points(&[[1.0, 1.0]; 30]), (0..30).map(f64::from).collect()),
            (points(&[[0.0, 0.0]; 30]), vec![0.1; 30]),
        ] {
            for count in [1, 2, 7, 29, 30, 31] {
                let mut all = chosen(&features, &doubts, count);
                assert_eq!(all, chosen(&features, &doubts, count));
                all.sort_unstable();
                all.dedup();
                assert_eq!(all.len(), count.min(30));
            }
        }
    }

    #[test]
    fn few_candidates_are_all_chosen_the_most_doubted_first() {
        assert_eq!(chosen(&points(&[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), &[0.1, 0.4, 0.3], 9), [1, 2, 0]);
        assert_eq!(chosen(&Tensor::zeros([0, 2], (Kind::Float, Device::Cpu)), &[], 3), [0usize; 0]);
    }

    #[test]
    fn draws_follow_the_shares() {
        assert_eq!(drawn(&[0.0, 1.0, 3.0], 0.0), Some(1));
        assert_eq!(drawn(&[0.0, 1.0, 3.0], 0.26), Some(2));
        assert_eq!(drawn(&[1.0, 3.0, 0.0], 0.999_999_999), Some(1));
        assert_eq!(drawn(&[0.0, 0.0], 0.5), None);
    }
}
