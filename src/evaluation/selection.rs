//! The confidence from which on labels reach a target accuracy, with a bound that holds in 95 of 100 cases although the
//! threshold is chosen on the rows that it is judged by.
//!
//! Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks" (2017), and Angelopoulos et al., "Learn
//! then Test" (2021): a set of rows reaches the target where the Clopper-Pearson bound of its accuracy does. The sets
//! are fixed beforehand, the most confident 5 %, 10 %, …, all rows, and tested one after another until one fails, so
//! that testing many costs nothing. One wrong row among the most confident would end that early; where there are rows
//! enough, the series therefore begins twice, at its top and at half of the rows, each with half of the error that is
//! allowed. A series that gets as far as the other's beginning hands it its half (Wiens, "A fixed sequence Bonferroni
//! procedure" (2003)). The bound supposes that more confident rows are right at least as often as less confident ones,
//! and new rows of the same kind as these.

use super::coverage::{Coverage, Point};

/// How often a promise may be broken.
pub const ERROR: f64 = 0.05;

/// The series of tested sets: parts of the rows.
const PARTS: u64 = 20;

/// Written confidences are rounded to 1e-6, and a row's probabilities so that they add up: a threshold stays clear of
/// the row that it was taken from.
const ROUNDING: f64 = 2e-6;

/// Digits after the point of a threshold.
const DIGITS: f64 = 1e6;

/// A threshold that was shown to reach a target accuracy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// The rows at or above the threshold, on those that it was chosen by.
    pub point: Point,
    /// Their accuracy on other rows is at least this.
    pub at_least: f64,
}

/// Why no threshold was shown to reach the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Missed {
    /// The rows there were.
    pub rows: u64,
    /// About how many would be needed, were they as accurate; `None` where no part of the rows was accurate enough.
    pub needed: Option<u64>,
}

/// The lowest threshold that is shown to reach the `target` accuracy, from rows predicted with `confidence`, of which
/// those marked in `correct` were right. The rows must not have been trained on.
///
/// # Errors
/// None is; how many rows it would take.
pub fn select(confidence: &[f64], correct: &[bool], target: f64) -> Result<Shown, Missed> {
    let coverage = Coverage::of(confidence, correct);
    let rows = confidence.len().min(correct.len()) as u64;
    match last_of_series(&coverage, rows, target) {
        Some((point, allowed)) => {
            Ok(Shown { point, at_least: lower_bound(point.correct, point.labelled, allowed).max(target) })
        }
        None => Err(Missed { rows, needed: needed(&coverage, rows, target) }),
    }
}

/// The largest set that was shown to reach the target, and the error that it was allowed.
fn last_of_series(coverage: &Coverage, rows: u64, target: f64) -> Option<(Point, f64)> {
    let begins_twice = rows >= 4 * fewest(target, ERROR);
    let share = if begins_twice { ERROR / 2.0 } else { ERROR };
    let (mut allowed, mut found) = (share, None);
    for part in 1..=PARTS {
        if begins_twice && part == PARTS / 2 {
            allowed += share;
        }
        let Some(point) = part_of(coverage, rows, part) else { continue };
        // Too few rows to show anything, whatever they are: not one of the series.
        if allowed == 0.0 || point.labelled < fewest(target, allowed) {
            continue;
        }
        if at_most(point.labelled - point.correct, point.labelled, 1.0 - target) <= allowed {
            found = Some((point, allowed));
        } else {
            allowed = 0.0;
        }
    }
    found
}

/// The rows of the first `part` of [`PARTS`], and others of the same confidence.
fn part_of(coverage: &Coverage, rows: u64, part: u64) -> Option<Point> {
    let least = (rows * part).div_ceil(PARTS);
    let place = coverage.points().partition_point(|point| point.labelled < least);
    let threshold = coverage.points().get(place)?.threshold;
    Some(coverage.at((((threshold - ROUNDING) * DIGITS).floor() / DIGITS).max(0.0)))
}

/// About how many rows it takes, where they are as accurate as these.
fn needed(coverage: &Coverage, rows: u64, target: f64) -> Option<u64> {
    let parts = (1..=PARTS).filter_map(|part| part_of(coverage, rows, part));
    let of_part = |point: Point| {
        let errors = (point.labelled - point.correct) as f64 / point.labelled as f64;
        let enough = |count: &u64| at_most((*count as f64 * errors).ceil() as u64, *count, 1.0 - target) <= ERROR;
        if errors >= 1.0 - target {
            return None;
        }
        // Doubled, then halved back. Far more rows are as good as none.
        let mut high = (0..12).map(|doubled| fewest(target, ERROR) << doubled).find(enough)?;
        let mut low = high / 2;
        while high - low > 1 + high / 100 {
            let middle = (low + high) / 2;
            if enough(&middle) { high = middle } else { low = middle }
        }
        Some((high as f64 / point.coverage()).ceil() as u64)
    };
    parts.filter_map(of_part).min().map(|needed| needed.max(rows + 1))
}

/// The fewest rows, all right, that show the `target` accuracy: 59 for 0.95.
pub fn fewest(target: f64, allowed: f64) -> u64 {
    (allowed.ln() / target.ln()).ceil().max(1.0) as u64
}

/// The Clopper-Pearson lower bound of a proportion of which `correct` of `rows` were seen: it is above the true one in
/// at most the fraction `allowed` of all cases.
pub fn lower_bound(correct: u64, rows: u64, allowed: f64) -> f64 {
    let errors = rows.saturating_sub(correct);
    if correct == 0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if at_most(errors, rows, 1.0 - middle) <= allowed { low = middle } else { high = middle }
    }
    low
}

/// The probability of at most `errors` among `rows` where each is one with probability `p`.
fn at_most(errors: u64, rows: u64, p: f64) -> f64 {
    if errors >= rows || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    // Terms on the logarithmic scale, added from the largest of them on.
    let odds = p.ln() - (-p).ln_1p();
    let mut logarithm = rows as f64 * (-p).ln_1p();
    let (mut largest, mut sum) = (logarithm, 1.0);
    for error in 1..=errors {
        logarithm += ((rows - error + 1) as f64 / error as f64).ln() + odds;
        if logarithm > largest {
            sum = sum * (largest - logarithm).exp() + 1.0;
            largest = logarithm;
        } else {
            sum += (logarithm - largest).exp();
        }
    }
    (largest + sum.ln()).exp().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_bound_is_scipys() {
        // scipy.stats.binomtest(k, n, alternative="greater").proportion_ci(1 - error, "exact").low
        for (correct, rows, allowed, expected) in [
            (59, 59, 0.05, 0.950_492_390),
            (95, 100, 0.05, 0.897_746_622),
            (480, 500, 0.025, 0.938_897_391),
            (1, 10, 0.05, 0.005_116_197),
            (0, 10, 0.05, 0.0),
            (97_500, 100_000, 0.05, 0.974_172_657),
        ] {
            let found = lower_bound(correct, rows, allowed);
            assert!((found - expected).abs() < 1e-9, "{correct} of {rows}: {found}");
        }
        assert_eq!((fewest(0.95, 0.05), fewest(0.9, 0.05), fewest(0.99, 0.05)), (59, 29, 299));
    }

    #[test]
    fn fifty_nine_rows_that_are_all_right_are_needed() {
        let confidence = |rows: u32| (0..rows).map(|row| 0.9 + f64::from(row) / 1e4).collect::<Vec<_>>();
        let shown = select(&confidence(59), &[true; 59], 0.95).unwrap();
        assert_eq!((shown.point.labelled, shown.point.coverage()), (59, 1.0));
        assert!(shown.at_least >= 0.95 && shown.point.threshold <= 0.9 && shown.point.threshold > 0.899_99);
        assert_eq!(select(&confidence(58), &[true; 58], 0.95), Err(Missed { rows: 58, needed: Some(59) }));
        // Nine of ten are right, whatever the confidence: no number of rows shows more.
        let correct: Vec<bool> = (0..400).map(|row| row % 10 != 0).collect();
        assert_eq!(select(&confidence(400), &correct, 0.95).unwrap_err().needed, None);
        let missed = select(&confidence(400), &correct, 0.89).unwrap_err();
        assert!(missed.needed.is_some_and(|needed| needed > 1000), "{missed:?}");
        assert!(select(&[], &[], 0.9).is_err());
    }

    #[test]
    fn a_row_at_the_threshold_is_above_it_as_it_is_written() {
        let confidence: Vec<f64> = (0..100).map(|row| 0.5 + 0.004_999_37 * f64::from(row)).collect();
        let correct: Vec<bool> = (0..100).map(|row| row >= 30).collect();
        let shown = select(&confidence, &correct, 0.95).unwrap();
        let last = confidence.iter().copied().filter(|&c| c >= shown.point.threshold).fold(1.0, f64::min);
        let written: f64 = format!("{:.6}", last - 1e-6).parse().unwrap();
        assert!(written >= shown.point.threshold && last - shown.point.threshold < 1e-5);
        let printed: f64 = shown.point.threshold.to_string().parse().unwrap();
        assert_eq!(printed, shown.point.threshold);
    }

    #[test]
    fn equal_confidences_stand_together() {
        let correct: Vec<bool> = (0..200).map(|row| row < 195).collect();
        assert!(select(&[0.7; 200], &correct, 0.99).is_err());
        assert_eq!(select(&[0.7; 200], &correct, 0.9).unwrap().point.labelled, 200);
    }

    const DRAWS: u64 = 600;

    /// In how many of the draws the true accuracy above the threshold is below the target, and in how many there is
    /// one. `accuracy` is that of rows with a confidence.
    fn simulated(rows: usize, target: f64, accuracy: impl Fn(f64) -> f64) -> (f64, f64) {
        let mut random = Random::new(rows as u64);
        // Confidences are those of most networks: many high ones.
        let confident = |uniform: f64| 1.0 - 0.5 * uniform * uniform;
        // The accuracy of the most confident rows, by their share.
        const STEPS: usize = 2000;
        let mut sum = 0.0;
        let above: Vec<f64> = (0..STEPS)
            .map(|step| {
                sum += accuracy(confident((step as f64 + 0.5) / STEPS as f64));
                sum / (step + 1) as f64
            })
            .collect();
        let (mut broken, mut found) = (0, 0);
        for _ in 0..DRAWS {
            let confidence: Vec<f64> = (0..rows).map(|_| confident(random.unit())).collect();
            let correct: Vec<bool> = confidence.iter().map(|&c| random.unit() < accuracy(c)).collect();
            if let Some((point, _)) = last_of_series(&Coverage::of(&confidence, &correct), rows as u64, target) {
                let share = ((1.0 - point.threshold) / 0.5).sqrt().min(1.0);
                found += 1;
                broken += u64::from(above[((share * STEPS as f64) as usize).min(STEPS - 1)] < target);
            }
        }
        (broken as f64 / DRAWS as f64, found as f64 / DRAWS as f64)
    }

    #[test]
    fn the_promise_is_broken_in_at_most_one_of_twenty_cases() {
        // Three standard errors of the simulation.
        let most = ERROR + 3.0 * (ERROR * (1.0 - ERROR) / DRAWS as f64).sqrt();
        type Curve = fn(f64) -> f64;
        let curves: [(&str, Curve); 5] = [
            ("calibrated", |c| c),
            ("overconfident", |c| 1.0 - 1.6 * (1.0 - c)),
            ("underconfident", |c| 1.0 - 0.3 * (1.0 - c)),
            ("steps", |c| if c > 0.9 { 0.97 } else { 0.6 }),
            ("flat, just below the target", |_| 0.949),
        ];
        for (name, curve) in curves {
            for rows in [100, 400] {
                let (broken, found) = simulated(rows, 0.95, curve);
                assert!(broken <= most, "{name}, {rows} rows: {broken}");
                let is_easy = rows == 400 && ["calibrated", "underconfident"].contains(&name);
                assert!(!is_easy || found > 0.3, "{name}, {rows} rows: shown in {found}");
            }
        }
    }
}
