//! The probability from which on each label of a multi-label task is given: where the F1 of rows that were not trained
//! on is highest.
//!
//! Of few rows with a label the best threshold is mostly chance, and one threshold for all labels is then the better
//! choice on new rows (docs/accuracy.md has the measurements). So each label counts its own rows, and besides those of
//! all labels together as if they were [`PRIOR_ROWS`] of its own: a label with a few rows gets about the threshold that
//! is best for all, one with many its own.

use super::f1::Counts;
use super::multi_label::millionths;

/// The least probability of a label for which none was chosen.
pub const USUAL: f64 = 0.5;

/// As many rows with a label count the rows of all labels together.
pub const PRIOR_ROWS: f64 = 50.0;

/// Thresholds that are tried: steps of 0.005, without 0 and 1.
const STEPS: usize = 200;
const STEP_MILLIONTHS: u64 = 1_000_000 / STEPS as u64;

/// A threshold for each of `width` labels; 0.5 where nothing speaks for another.
///
/// * `logits`: row-major `[rows, width]`, in the order of `truth`, of rows that were not trained on.
/// * `truth`: the indices of each row's labels, increasing.
pub fn choose(logits: &[f32], truth: &[Vec<u32>], width: usize) -> Vec<f64> {
    let own = counts_by_step(logits, truth, width);
    let mut all = vec![Counts::default(); STEPS];
    for of_label in &own {
        for (sum, step) in all.iter_mut().zip(of_label) {
            sum.true_positive += step.true_positive;
            sum.false_positive += step.false_positive;
            sum.false_negative += step.false_negative;
        }
    }
    let rows_with_a_label = all.first().map_or(0, |step| step.true_positive + step.false_negative);
    if rows_with_a_label == 0 {
        return vec![USUAL; width];
    }
    let weight = PRIOR_ROWS / rows_with_a_label as f64;
    own.iter().map(|own| best(own, &all, weight)).collect()
}

/// By label and step what giving the label from the step's threshold on comes to.
fn counts_by_step(logits: &[f32], truth: &[Vec<u32>], width: usize) -> Vec<Vec<Counts>> {
    // How many rows of a label have their probability in which step: those that have the label, and the others.
    let mut in_step = vec![vec![(0u64, 0u64); STEPS]; width];
    for (row, labels) in logits.chunks_exact(width.max(1)).zip(truth) {
        for (label, (&logit, steps)) in row.iter().zip(&mut in_step).enumerate() {
            let step = (millionths(logit) / STEP_MILLIONTHS).min(STEPS as u64 - 1) as usize;
            match labels.binary_search(&(label as u32)) {
                Ok(_) => steps[step].0 += 1,
                Err(_) => steps[step].1 += 1,
            }
        }
    }
    let cumulated = |steps: Vec<(u64, u64)>| {
        let all: u64 = steps.iter().map(|(has, _)| has).sum();
        let mut counts = vec![Counts::default(); STEPS];
        let (mut true_positive, mut false_positive) = (0, 0);
        for (count, (has, lacks)) in counts.iter_mut().zip(steps).rev() {
            (true_positive, false_positive) = (true_positive + has, false_positive + lacks);
            *count = Counts { true_positive, false_positive, false_negative: all - true_positive };
        }
        counts
    };
    in_step.into_iter().map(cumulated).collect()
}

/// The threshold with the highest F1 of a label's `own` counts and of those of `all` labels, each of which counts
/// `weight`; of equals the one nearest to 0.5.
fn best(own: &[Counts], all: &[Counts], weight: f64) -> f64 {
    let f1 = |step: usize| {
        let sum = |of: fn(&Counts) -> u64| of(&own[step]) as f64 + weight * of(&all[step]) as f64;
        let hits = 2.0 * sum(|counts| counts.true_positive);
        let wrong = sum(|counts| counts.false_positive + counts.false_negative);
        if hits == 0.0 { 0.0 } else { hits / (hits + wrong) }
    };
    let from_half = |step: usize| step.abs_diff(STEPS / 2);
    let steps = 1..STEPS;
    let best = steps.max_by(|&a, &b| f1(a).total_cmp(&f1(b)).then(from_half(b).cmp(&from_half(a))));
    best.map_or(USUAL, |step| step as f64 / STEPS as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::is_given;
    use crate::random::Random;

    fn logit(probability: f64) -> f32 {
        (probability / (1.0 - probability)).ln() as f32
    }

    #[test]
    fn a_label_with_many_rows_has_its_own_threshold_and_a_rare_one_the_shared() {
        // Of the first label rows from 0.3 on have it, of the second from 0.8 on, of the third one row, at 0.02.
        let mut random = Random::new(1);
        let rows: Vec<[f64; 3]> = (0..2000).map(|_| [random.unit(), random.unit(), 0.1 * random.unit()]).collect();
        let logits: Vec<f32> = rows.iter().flatten().map(|&p| logit(p.clamp(1e-4, 1.0 - 1e-4))).collect();
        let has = |row: &[f64; 3]| [row[0] >= 0.3, row[1] >= 0.8, false];
        let sets = |row: &[f64; 3]| (0u32..).zip(has(row)).filter(|(_, has)| *has).map(|(label, _)| label).collect();
        let mut truth: Vec<Vec<u32>> = rows.iter().map(sets).collect();
        truth[7].push(2);
        let chosen = choose(&logits, &truth, 3);
        assert!((chosen[0] - 0.3).abs() < 0.03 && (chosen[1] - 0.8).abs() < 0.05, "{chosen:?}");
        // Alone the rare one would be given from its row on.
        assert!(chosen[2] > 0.2, "{chosen:?}");
        assert_eq!(chosen, choose(&logits, &truth, 3));
        assert_eq!(choose(&[], &[], 2), [0.5, 0.5]);
        assert_eq!(choose(&[1.0, -1.0], &[vec![]], 2), [0.5, 0.5]);
    }

    /// What is counted for a threshold is what is given from it on.
    #[test]
    fn counts_are_those_of_the_decision() {
        let mut random = Random::new(2);
        let logits: Vec<f32> = (0..300).map(|_| (8.0 * random.unit() - 4.0) as f32).collect();
        let truth: Vec<Vec<u32>> = (0..300).map(|row| if row % 3 == 0 { vec![0] } else { vec![] }).collect();
        let counts = counts_by_step(&logits, &truth, 1);
        for (step, of_step) in counts[0].iter().enumerate().skip(1) {
            let threshold = step as f64 / STEPS as f64;
            let given = logits.iter().filter(|&&logit| is_given(logit, threshold)).count() as u64;
            let Counts { true_positive, false_positive, false_negative } = *of_step;
            assert_eq!((true_positive + false_positive, true_positive + false_negative), (given, 100), "{threshold}");
        }
    }

    /// Equal ones are those nearest to a half.
    #[test]
    fn where_nothing_differs_it_is_a_half() {
        let logits: Vec<f32> = (0..20).map(|row| logit(if row < 10 { 0.9 } else { 0.1 })).collect();
        let truth: Vec<Vec<u32>> = (0..20).map(|row| if row < 10 { vec![0] } else { vec![] }).collect();
        assert_eq!(choose(&logits, &truth, 1), [0.5]);
    }
}
