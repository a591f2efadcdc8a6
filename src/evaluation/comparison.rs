//! Which of several strategies is best, and what the test rows and seeds at hand cannot tell. Accuracy, macro-F1 and their
//! differences are fractions from 0 to 1, higher is better; every interval is a 95 % one.
//!
//! A strategy's score varies for two reasons: other test rows would have been easier or harder, and another seed would have
//! trained another network. Predictions on the same rows with every seed form a crossed two-way table (rows × seeds), whose
//! analysis of variance tells the two apart. For macro-F1, which is no mean over rows, a row's entry is its jackknife
//! pseudo-value (Dorfman, Berbaum and Metz 1992, who compare diagnostic systems over cases and readers in this way); for
//! accuracy that is 1 where the prediction is right and 0 where it is wrong. Strategies are compared on the differences of
//! their entries, paired by row and seed.
//!
//! The interval is wide enough however few the seeds. Its half-width is the root of t²·V, summed over both reasons, where V is
//! a reason's variance and t the quantile for its own degrees of freedom (Banerjee 1960: covers at least what it promises,
//! whatever the true variances). Two or three seeds say little about the next one, and t makes them pay for it: 12.7 and 4.3
//! in place of 1.96. The bootstrap over rows and seeds ignores this and finds differences where there are none (figures in
//! the tests). A contender without chance, the same with every seed, adds no seed variance and pays nothing.
//!
//! Naming as winner whoever is ahead of every other by its own 95 % interval is wrong in at most 5 % of cases, however many
//! contenders are equally good: the first must beat the second, not some other by luck (Gutmann and Maymin 1987).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, StudentsT};

use super::f1::{self, Counts};
use super::interval::wilson_score;
use crate::error::{Error, Result};

/// One minus the confidence of every interval that is shown.
const ALPHA: f64 = 0.05;

/// A strategy or a baseline, and what it predicted.
#[derive(Debug, Clone)]
pub struct Contender<'a> {
    pub name: &'a str,
    /// Label indices, one list a seed, all over the same test rows in the same order. A single list where others have
    /// several stands for every seed: a method without chance.
    pub predictions: Vec<&'a [u32]>,
    /// What it costs: training time in seconds, the mean over seeds.
    pub seconds: f64,
    /// Whether it does without the pretrained network.
    pub baseline: bool,
}

/// A score over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Over seeds.
    pub mean: f64,
    /// Sample standard deviation over seeds; `None` with one seed.
    pub spread: Option<f64>,
    /// The interval of the mean for other test rows and, with two seeds or more, other seeds.
    pub low: f64,
    pub high: f64,
}

/// How one contender does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub name: String,
    pub baseline: bool,
    /// Training time, mean over seeds.
    pub seconds: f64,
    pub accuracy: Summary,
    pub macro_f1: Summary,
}

/// How far `a` is ahead of `b`, paired by row and seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

impl Difference {
    /// Whether the interval leaves out zero.
    pub fn is_clear(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    /// How far `b` is ahead of `a`.
    pub fn reversed(&self) -> Self {
        Self { mean: -self.mean, low: -self.high, high: -self.low }
    }
}

/// McNemar's exact test of one seed: whether the rows that only one of two contenders got right divide evenly. It speaks of
/// two trained networks on other test rows, not of other seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mcnemar {
    /// Which of the seeds, counted from 0 in the order given.
    pub seed: usize,
    /// Rows that only `a` got right.
    pub only_a: u64,
    /// Rows that only `b` got right.
    pub only_b: u64,
    /// Two-sided probability of a division as uneven or more, were both equally good.
    pub p: f64,
}

/// Two contenders side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    pub a: String,
    pub b: String,
    pub accuracy: Difference,
    pub macro_f1: Difference,
    pub mcnemar: Vec<Mcnemar>,
}

/// What the test accuracies allow to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Better than every other: wrong in at most 5 % of cases where another is as good.
    Winner { name: String },
    /// Those that cannot be told from the best, the most accurate first: the best is missing in at most 5 % of cases.
    Equal {
        names: Vec<String>,
        /// The one of these with the least training time.
        cheapest: String,
    },
}

/// What would narrow the deciding interval, that between the first and the second, most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum More {
    Rows,
    Seeds,
}

/// Several contenders on the same test rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Test rows.
    pub rows: usize,
    /// Seeds of each contender with chance. With one, intervals cover the test rows only.
    pub seeds: usize,
    pub classes: usize,
    /// In the order of the contenders.
    pub standings: Vec<Standing>,
    /// Each two contenders once, the earlier one as `a`.
    pub pairs: Vec<Pair>,
    pub verdict: Verdict,
    pub more: More,
}

/// Compares `contenders` by their predictions for rows whose true labels are `truth`, indices below `classes`.
///
/// # Errors
///
/// When there is nothing to compare, two have one name, lists differ in length or number, or a label is out of range.
pub fn compare(truth: &[u32], classes: usize, contenders: &[Contender]) -> Result<Comparison> {
    let seeds = check(truth, classes, contenders)?;
    let rows = truth.len();
    let scored: Vec<Scored> =
        contenders.iter().map(|contender| Scored::new(contender, truth, classes, seeds)).collect();

    let standings = scored
        .iter()
        .map(|scored| Standing {
            name: scored.contender.name.to_owned(),
            baseline: scored.contender.baseline,
            seconds: scored.contender.seconds,
            accuracy: summary(&scored.accuracy, rows),
            macro_f1: summary(&scored.macro_f1, rows),
        })
        .collect();

    let mut pairs = Vec::new();
    let mut tables = Vec::new();
    for (index, a) in scored.iter().enumerate() {
        for b in scored.iter().skip(index + 1) {
            let accuracy = difference(&a.accuracy, &b.accuracy, rows);
            pairs.push(Pair {
                a: a.contender.name.to_owned(),
                b: b.contender.name.to_owned(),
                accuracy: accuracy.difference(),
                macro_f1: difference(&a.macro_f1, &b.macro_f1, rows).difference(),
                mcnemar: a
                    .accuracy
                    .iter()
                    .zip(&b.accuracy)
                    .enumerate()
                    .map(|(seed, (a, b))| mcnemar(seed, a, b))
                    .collect(),
            });
            tables.push(accuracy);
        }
    }
    let mut comparison = Comparison {
        rows,
        seeds,
        classes,
        standings,
        pairs,
        verdict: Verdict::Equal { names: Vec::new(), cheapest: String::new() },
        more: More::Rows,
    };
    comparison.judge(&tables);
    Ok(comparison)
}

/// The number of seeds.
fn check(truth: &[u32], classes: usize, contenders: &[Contender]) -> Result<usize> {
    if truth.is_empty() {
        return Err(Error::request("there are no test rows to compare on"));
    }
    let seeds = contenders.iter().map(|contender| contender.predictions.len()).max().unwrap_or(0);
    let out_of_range = |list: &[u32]| list.iter().position(|&label| label as usize >= classes);
    if let Some(row) = out_of_range(truth) {
        return Err(Error::failure(format!("test row {} has a label beyond the {classes} there are", row + 1)));
    }
    let mut names = HashSet::new();
    for Contender { name, predictions, .. } in contenders {
        if !names.insert(*name) {
            return Err(Error::request(format!("`{name}` is compared twice")).hint("name each strategy once"));
        }
        if predictions.len() != seeds && predictions.len() != 1 {
            let found = predictions.len();
            return Err(Error::failure(format!("`{name}` has predictions of {found} seeds, others of {seeds}")));
        }
        for list in predictions {
            if list.len() != truth.len() {
                let (found, rows) = (list.len(), truth.len());
                return Err(Error::failure(format!("`{name}` has {found} predictions for {rows} test rows")));
            }
            if let Some(row) = out_of_range(list) {
                let row = row + 1;
                return Err(Error::failure(format!(
                    "`{name}` predicts for test row {row} a label beyond the {classes}"
                )));
            }
        }
    }
    match seeds {
        0 => Err(Error::request("there are no predictions to compare")),
        seeds => Ok(seeds),
    }
}

/// A contender with its entries by seed.
struct Scored<'a> {
    contender: &'a Contender<'a>,
    accuracy: Vec<Entries<'a>>,
    macro_f1: Vec<Entries<'a>>,
}

impl<'a> Scored<'a> {
    fn new(contender: &'a Contender<'a>, truth: &'a [u32], classes: usize, seeds: usize) -> Self {
        let lists = contender.predictions.iter().cycle().take(seeds);
        Self {
            contender,
            accuracy: lists.clone().map(|list| Entries::of_accuracy(list, truth)).collect(),
            macro_f1: lists.map(|list| Entries::of_macro_f1(list, truth, classes)).collect(),
        }
    }
}

/// A score of one list of predictions, and the entry in the analysis of variance that each row makes. The mean of the entries
/// is the score.
struct Entries<'a> {
    truth: &'a [u32],
    predicted: &'a [u32],
    score: f64,
    kind: Kind,
}

enum Kind {
    Accuracy,
    MacroF1(Jackknife),
}

impl<'a> Entries<'a> {
    fn of_accuracy(predicted: &'a [u32], truth: &'a [u32]) -> Self {
        Self { truth, predicted, score: super::accuracy(predicted, truth), kind: Kind::Accuracy }
    }

    fn of_macro_f1(predicted: &'a [u32], truth: &'a [u32], classes: usize) -> Self {
        let counts = f1::counts(predicted, truth, classes);
        let score = f1::macro_f1(&counts);
        let mut jackknife = Jackknife::new(&counts, truth.len());
        let sum: f64 = truth.iter().zip(predicted).map(|(&truth, &predicted)| jackknife.entry(truth, predicted)).sum();
        jackknife.shift = score - sum / jackknife.rows;
        Self { truth, predicted, score, kind: Kind::MacroF1(jackknife) }
    }

    /// `None` beyond the last row.
    fn get(&self, row: usize) -> Option<f64> {
        let (truth, predicted) = (*self.truth.get(row)?, *self.predicted.get(row)?);
        Some(match &self.kind {
            Kind::Accuracy => f64::from(u8::from(truth == predicted)),
            Kind::MacroF1(jackknife) => jackknife.entry(truth, predicted),
        })
    }

    fn is_right(&self, row: usize) -> bool {
        self.truth.get(row) == self.predicted.get(row)
    }
}

/// Macro-F1 without one row, for any row.
struct Jackknife {
    rows: f64,
    /// Sum of F1 over the classes that occur, and their number.
    sum: f64,
    occurring: f64,
    /// By class, what a row that leaves takes away from `sum` and `occurring`: one rightly given the class, one wrongly given
    /// it, one that has it and was given another.
    right: Vec<(f64, f64)>,
    false_positive: Vec<(f64, f64)>,
    false_negative: Vec<(f64, f64)>,
    /// Makes the mean of the pseudo-values the score (they also correct its bias, which is not wanted).
    shift: f64,
}

impl Jackknife {
    fn new(counts: &[Counts], rows: usize) -> Self {
        let share = |counts: &Counts| (counts.scores().f1, f64::from(u8::from(counts.occurs())));
        let without = |leave: fn(&mut Counts)| -> Vec<(f64, f64)> {
            let taken = |counts: &Counts| {
                let mut rest = *counts;
                leave(&mut rest);
                let ((f1, occurs), (rest_f1, rest_occurs)) = (share(counts), share(&rest));
                (f1 - rest_f1, occurs - rest_occurs)
            };
            counts.iter().map(taken).collect()
        };
        Self {
            rows: rows as f64,
            sum: counts.iter().map(|counts| share(counts).0).sum(),
            occurring: counts.iter().map(|counts| share(counts).1).sum(),
            right: without(|rest| rest.true_positive = rest.true_positive.saturating_sub(1)),
            false_positive: without(|rest| rest.false_positive = rest.false_positive.saturating_sub(1)),
            false_negative: without(|rest| rest.false_negative = rest.false_negative.saturating_sub(1)),
            shift: 0.0,
        }
    }

    /// The pseudo-value of a row by its two labels.
    fn entry(&self, truth: u32, predicted: u32) -> f64 {
        let of = |list: &[(f64, f64)], class: u32| list.get(class as usize).copied().unwrap_or_default();
        let (f1, occurring) = if truth == predicted {
            of(&self.right, truth)
        } else {
            let (a, b) = (of(&self.false_positive, predicted), of(&self.false_negative, truth));
            (a.0 + b.0, a.1 + b.1)
        };
        let left = self.occurring - occurring;
        let rest = if left > 0.0 { (self.sum - f1) / left } else { 0.0 };
        self.rows * (self.sum / self.occurring.max(1.0)) - (self.rows - 1.0) * rest + self.shift
    }
}

/// What the analysis of variance of a table of rows × seeds says of its mean.
#[derive(Debug, Clone, Copy)]
struct Table {
    rows: usize,
    seeds: usize,
    mean: f64,
    /// Sample standard deviation of the seeds' means.
    spread: Option<f64>,
    /// Of the mean's variance, what other rows account for.
    row_variance: f64,
    /// What seeds account for by chance within rows, which is the least that the next can be.
    least_seed_variance: f64,
    /// The variance of the mean over seeds, as the seeds' means have it.
    seed_variance: f64,
}

impl Table {
    /// `entry` is that of a row and a seed, `means` are the seeds' means; `imagined` is added to the rows' sum of squares.
    fn new(rows: usize, means: &[f64], imagined: f64, entry: impl Fn(usize, usize) -> Option<f64>) -> Self {
        let seeds = means.len();
        let (n, k) = (rows as f64, seeds as f64);
        let mean = means.iter().sum::<f64>() / k;
        let mut cells = vec![0.0; seeds];
        let (mut within, mut between) = (0.0, imagined);
        for row in 0..rows {
            for (seed, cell) in cells.iter_mut().enumerate() {
                *cell = entry(row, seed).unwrap_or_default();
            }
            let row_mean = cells.iter().sum::<f64>() / k;
            between += (row_mean - mean).powi(2);
            within += cells.iter().map(|cell| (cell - row_mean).powi(2)).sum::<f64>();
        }
        let seed_squares: f64 = means.iter().map(|seed| (seed - mean).powi(2)).sum();
        let row_freedom = (n - 1.0).max(1.0);
        let rows_square = k * between / row_freedom;
        let mut table = Self {
            rows,
            seeds,
            mean,
            spread: None,
            row_variance: rows_square / (n * k),
            least_seed_variance: 0.0,
            seed_variance: 0.0,
        };
        if seeds > 1 {
            let residual = (within - n * seed_squares).max(0.0) / (row_freedom * (k - 1.0));
            table.spread = Some((seed_squares / (k - 1.0)).sqrt());
            table.row_variance = (rows_square - residual).max(0.0) / (n * k);
            table.least_seed_variance = residual / (n * k);
            table.seed_variance = seed_squares / (k - 1.0) / k;
        }
        table
    }

    /// Squares of the parts of the half-width of the interval of confidence 1 - `alpha`: rows' and seeds'.
    fn parts(&self, alpha: f64) -> (f64, f64) {
        let rows = quantile(self.rows.saturating_sub(1), alpha).powi(2);
        let seeds = self.seed_variance * quantile(self.seeds.saturating_sub(1), alpha).powi(2);
        (rows * self.row_variance, seeds.max(rows * self.least_seed_variance))
    }

    fn half_width(&self, alpha: f64) -> f64 {
        let (rows, seeds) = self.parts(alpha);
        (rows + seeds).sqrt()
    }

    fn difference(&self) -> Difference {
        let half = if self.rows > 1 { self.half_width(ALPHA) } else { f64::INFINITY };
        Difference { mean: self.mean, low: (self.mean - half).max(-1.0), high: (self.mean + half).min(1.0) }
    }

    fn reversed(self) -> Self {
        Self { mean: -self.mean, ..self }
    }
}

/// The two-sided quantile of Student's distribution; 0 without degrees of freedom, where its variance is unknown and left out.
fn quantile(freedom: usize, alpha: f64) -> f64 {
    if freedom == 0 {
        return 0.0;
    }
    StudentsT::new(0.0, 1.0, freedom as f64).map_or(f64::INFINITY, |t| t.inverse_cdf(1.0 - alpha / 2.0))
}

/// The score of one contender: Wilson's interval for as many rows as would make it as wide as rows and seeds do together,
/// so that it stays within 0 to 1, and is Wilson's own where there is no chance.
fn summary(seeds: &[Entries], rows: usize) -> Summary {
    let scores: Vec<f64> = seeds.iter().map(|entries| entries.score).collect();
    let table = Table::new(rows, &scores, 0.0, |row, seed| seeds.get(seed)?.get(row));
    let n = rows as f64;
    // The square of the half-width if the score were a proportion of independent rows.
    let plain = quantile(rows.saturating_sub(1), ALPHA).powi(2) * table.mean * (1.0 - table.mean) / (n - 1.0).max(1.0);
    let widening = table.half_width(ALPHA).powi(2) / plain;
    let interval = wilson_score(table.mean, if widening > 0.0 && widening.is_finite() { n / widening } else { n });
    Summary { mean: table.mean, spread: table.spread, low: interval.low, high: interval.high }
}

/// The table of a - b. Two rows are imagined on which one of the two is right and the other wrong, one in each direction
/// (Bonett and Price 2012): where contenders differ on a handful of rows, the variance seen there is too small.
fn difference(a: &[Entries], b: &[Entries], rows: usize) -> Table {
    let at = |row: usize, seed: usize| Some(a.get(seed)?.get(row)? - b.get(seed)?.get(row)?);
    let (mut squares, mut apart) = (0.0, 0u64);
    for (seed, (a, b)) in a.iter().zip(b).enumerate() {
        for row in (0..rows).filter(|&row| a.is_right(row) != b.is_right(row)) {
            apart += 1;
            squares += at(row, seed).unwrap_or_default().powi(2);
        }
    }
    let imagined = 2.0 * squares / apart.max(1) as f64;
    let scores: Vec<f64> = a.iter().zip(b).map(|(a, b)| a.score - b.score).collect();
    Table::new(rows, &scores, imagined, at)
}

fn mcnemar(seed: usize, a: &Entries, b: &Entries) -> Mcnemar {
    let rows_right =
        |a: &Entries, b: &Entries| (0..a.truth.len()).filter(|&row| a.is_right(row) && !b.is_right(row)).count() as u64;
    let (only_a, only_b) = (rows_right(a, b), rows_right(b, a));
    Mcnemar { seed, only_a, only_b, p: even_division(only_a, only_b) }
}

/// The exact two-sided p-value of so uneven a division of coin tosses.
fn even_division(a: u64, b: u64) -> f64 {
    Binomial::new(0.5, a + b).map_or(1.0, |tosses| (2.0 * tosses.cdf(a.min(b))).min(1.0))
}

impl Comparison {
    /// How far `a` is ahead of `b`, by accuracy and by macro-F1; `None` for a name that is not compared, or twice the same.
    pub fn between(&self, a: &str, b: &str) -> Option<(Difference, Difference)> {
        self.pairs.iter().find_map(|pair| match (pair.a.as_str(), pair.b.as_str()) {
            names if names == (a, b) => Some((pair.accuracy, pair.macro_f1)),
            names if names == (b, a) => Some((pair.accuracy.reversed(), pair.macro_f1.reversed())),
            _ => None,
        })
    }

    /// Standings from the most accurate to the least; of equals the cheaper first.
    pub fn ranked(&self) -> Vec<&Standing> {
        let mut ranked: Vec<&Standing> = self.standings.iter().collect();
        ranked
            .sort_by(|a, b| b.accuracy.mean.total_cmp(&a.accuracy.mean).then_with(|| a.seconds.total_cmp(&b.seconds)));
        ranked
    }

    /// Sets `verdict` and `more`; `tables` are those of `pairs`, by accuracy.
    fn judge(&mut self, tables: &[Table]) {
        let ranked = self.ranked();
        let Some((first, others)) = ranked.split_first() else { return };
        let ahead = |other: &Standing| {
            self.pairs.iter().zip(tables).find_map(|(pair, table)| match (&pair.a, &pair.b) {
                (a, b) if *a == first.name && *b == other.name => Some(*table),
                (a, b) if *a == other.name && *b == first.name => Some(table.reversed()),
                _ => None,
            })
        };
        let behind_at = |other: &Standing, alpha: f64| {
            ahead(other).is_some_and(|table| table.rows > 1 && table.mean > table.half_width(alpha))
        };
        // That the best is not wrongly left out is an error that each of the others may make: it is divided among them.
        let alpha = ALPHA.min(2.0 * ALPHA / others.len().max(1) as f64);
        let more = match others.first().and_then(|second| ahead(second)).map(|table| table.parts(ALPHA)) {
            Some((rows, seeds)) if seeds > rows => More::Seeds,
            _ => More::Rows,
        };
        let verdict = if !others.is_empty() && others.iter().all(|other| behind_at(other, ALPHA)) {
            Verdict::Winner { name: first.name.clone() }
        } else {
            let equal: Vec<&&Standing> =
                std::iter::once(first).chain(others.iter().filter(|other| !behind_at(other, alpha))).collect();
            let cheapest = equal.iter().min_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap_or(&first);
            Verdict::Equal {
                names: equal.iter().map(|standing| standing.name.clone()).collect(),
                cheapest: cheapest.name.clone(),
            }
        };
        (self.verdict, self.more) = (verdict, more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Draws runs of strategies: rows differ in difficulty, classes in size, and a seed shifts a whole run.
    struct Simulation {
        rows: usize,
        seeds: usize,
        /// By contender: mean, spread over rows and spread over seeds of the log-odds of being right.
        contenders: Vec<(f64, f64, f64)>,
    }

    const CLASSES: usize = 4;
    /// Of 100 rows those of the first class, the first two, …
    const CUMULATIVE: [u64; CLASSES] = [60, 85, 95, 100];
    const ROW_SPREAD: f64 = 1.5;

    fn normal(random: &mut Random) -> f64 {
        (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos()
    }

    impl Simulation {
        fn draw(&self, random: &mut Random) -> (Vec<u32>, Vec<Vec<Vec<u32>>>) {
            let class = |draw: u64| CUMULATIVE.iter().take_while(|&&end| draw >= end).count() as u32;
            let truth: Vec<u32> = (0..self.rows).map(|_| class(random.below(100))).collect();
            let difficulty: Vec<f64> = truth.iter().map(|_| ROW_SPREAD * normal(random)).collect();
            let predictions = self
                .contenders
                .iter()
                .map(|&(mean, own, by_seed)| {
                    let own: Vec<f64> = truth.iter().map(|_| own * normal(random)).collect();
                    (0..self.seeds)
                        .map(|_| {
                            let run = mean + by_seed * normal(random);
                            let row = |((&truth, difficulty), own): ((&u32, &f64), &f64)| {
                                let right = 1.0 / (1.0 + (-(run + difficulty + own)).exp());
                                // A wrong answer is one of the others.
                                let other = (truth + 1 + random.below(CLASSES as u64 - 1) as u32) % CLASSES as u32;
                                if random.unit() < right { truth } else { other }
                            };
                            truth.iter().zip(&difficulty).zip(&own).map(row).collect()
                        })
                        .collect()
                })
                .collect();
            (truth, predictions)
        }

        fn compare(&self, random: &mut Random) -> Comparison {
            let (truth, predictions) = self.draw(random);
            let names: Vec<String> = (0..predictions.len()).map(|index| index.to_string()).collect();
            let contenders: Vec<Contender> =
                names.iter().zip(&predictions).map(|(name, lists)| contender(name, lists)).collect();
            compare(&truth, CLASSES, &contenders).unwrap()
        }
    }

    fn contender<'a>(name: &'a str, lists: &'a [Vec<u32>]) -> Contender<'a> {
        let predictions = lists.iter().map(Vec::as_slice).collect();
        Contender { name, predictions, seconds: 1.0, baseline: false }
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    const TRUTH: [u32; 10] = [0, 0, 0, 1, 1, 2, 2, 0, 1, 0];
    const A: [[u32; 10]; 3] =
        [[0, 0, 0, 1, 1, 2, 2, 0, 0, 1], [0, 0, 0, 1, 1, 2, 0, 0, 1, 0], [0, 0, 1, 1, 1, 2, 2, 0, 0, 0]];
    const B: [[u32; 10]; 3] =
        [[0, 1, 0, 1, 1, 0, 2, 2, 0, 1], [0, 1, 0, 0, 1, 2, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0, 2, 0, 0, 0]];

    fn lists(of: &[[u32; 10]]) -> Vec<Vec<u32>> {
        of.iter().map(|list| list.to_vec()).collect()
    }

    #[test]
    fn intervals_equal_an_analysis_of_variance_in_numpy() {
        // f1 = lambda y, p: f1_score(y, p, average="macro", zero_division=0)
        // def pseudo(p):
        //     v = np.array([n * f1(y, p) - (n - 1) * f1(np.delete(y, r), np.delete(p, r)) for r in range(n)])
        //     return v - v.mean() + f1(y, p)
        // def interval(d, extra):  # d: rows x seeds
        //     n, k = d.shape; r, s, g = d.mean(1), d.mean(0), d.mean()
        //     ms_r = k * (((r - g)**2).sum() + extra) / (n - 1); ms_s = n * ((s - g)**2).sum() / (k - 1)
        //     ms_e = ((d - r[:, None] - s + g)**2).sum() / ((n - 1) * (k - 1))
        //     t_n, t_k = stats.t.ppf(0.975, n - 1)**2, stats.t.ppf(0.975, k - 1)**2
        //     h = np.sqrt(t_n * max(ms_r - ms_e, 0) / (n * k) + max(t_n * ms_e, t_k * ms_s) / (n * k)); return g - h, g + h
        // ra, rb = (a == y).T, (b == y).T
        // for d in (ra.astype(float) - rb, np.array([pseudo(p) - pseudo(q) for p, q in zip(a, b)]).T):
        //     print(d.mean(), *interval(d, 2 * (d[ra != rb]**2).mean()))
        let (a, b) = (lists(&A), lists(&B));
        let comparison = compare(&TRUTH, 3, &[contender("a", &a), contender("b", &b)]).unwrap();
        let Pair { accuracy, macro_f1, .. } = &comparison.pairs[0];
        for (difference, expected) in [
            (accuracy, [0.3, -0.1122459566175033, 0.7122459566175032]),
            (macro_f1, [0.3016033349366683, -0.20747996429848897, 0.8106866341718255]),
        ] {
            close(difference.mean, expected[0]);
            close(difference.low, expected[1]);
            close(difference.high, expected[2]);
        }
        close(comparison.standings[0].accuracy.spread.unwrap(), 0.05773502691896258); // np.std([.8, .9, .8], ddof=1)
        let (accuracy, macro_f1) = comparison.between("b", "a").unwrap();
        assert!(accuracy == comparison.pairs[0].accuracy.reversed() && macro_f1.mean < 0.0);
    }

    #[test]
    fn mcnemar_equals_scipy() {
        // scipy.stats.binomtest(a, a + b, 0.5).pvalue, which is statsmodels' mcnemar(table, exact=True).pvalue
        let expected = [
            (0, 5, 0.0625),
            (6, 0, 0.03125),
            (3, 7, 0.34375),
            (5, 5, 1.0),
            (40, 65, 0.018740915408258018),
            (1300, 1200, 0.047681865221043444),
            (0, 0, 1.0),
        ];
        for (a, b, p) in expected {
            close(even_division(a, b), p);
        }
        let found = mcnemar(2, &Entries::of_accuracy(&A[0], &TRUTH), &Entries::of_accuracy(&B[0], &TRUTH));
        assert_eq!((found.seed, found.only_a, found.only_b, found.p), (2, 3, 0, even_division(3, 0)));
    }

    #[test]
    fn quantiles_equal_scipy() {
        // scipy.stats.t.ppf(1 - alpha / 2, freedom)
        for (freedom, alpha, expected) in [
            (1, 0.05, 12.706204736174694),
            (2, 0.05, 4.302652729749462),
            (2, 0.02, 6.9645567342832715),
            (1820, 0.05, 1.9612682827958658),
        ] {
            close(quantile(freedom, alpha), expected);
        }
        assert_eq!(quantile(0, 0.05), 0.0);
    }

    /// How often something holds of so many comparisons.
    fn rate(simulation: &Simulation, times: u64, holds: impl Fn(&Comparison) -> bool) -> f64 {
        let held = (0..times).filter(|&draw| holds(&simulation.compare(&mut Random::of(&[4, draw])))).count();
        held as f64 / times as f64
    }

    fn names_a_winner(comparison: &Comparison) -> bool {
        matches!(comparison.verdict, Verdict::Winner { .. })
    }

    /// One strategy under two names, or four. Of 20,000 draws with 1,000 rows and a spread over seeds of 0.3, a winner was
    /// named of two in 4.4, 4.9 and 5.0 % (2, 3 and 5 seeds) and of four in 0.0, 0.1 and 0.3 %. The percentile bootstrap over
    /// rows and seeds would name one of two in 30, 18 and 12 %.
    #[test]
    fn a_strategy_seldom_wins_against_itself() {
        for seeds in [2, 3, 5] {
            for (copies, times) in [(2, 1000), (4, 400)] {
                let simulation = Simulation { rows: 300, seeds, contenders: vec![(1.5, 0.0, 0.2); copies] };
                let winners = rate(&simulation, times, names_a_winner);
                assert!(winners <= 0.05, "{winners} with {seeds} seeds of {copies} copies");
            }
        }
    }

    /// The same of strategies that are equally good but do not fail on the same rows, some of them without chance.
    #[test]
    fn equals_of_unequal_chance_seldom_win() {
        // The variances over rows and seeds have the same sum, so all have a mean accuracy of 0.733.
        let contenders = vec![(1.5, 0.8, 0.0), (1.5, 0.8, 0.0), (1.5, 0.7, 0.39), (1.5, 0.7, 0.39)];
        for of in [&contenders[..2], &contenders[1..3], &contenders] {
            let simulation = Simulation { rows: 300, seeds: 3, contenders: of.to_vec() };
            let winners = rate(&simulation, 400, names_a_winner);
            assert!(winners <= 0.05, "{winners} of {of:?}");
        }
    }

    #[test]
    fn intervals_hold_what_they_promise() {
        // Mean of 1 / (1 + exp(-(m + s z))) over normal z, s² = 1.5² + 0.7² + the square of the spread over seeds.
        let (better, worse) = (0.7741, 0.7341);
        for seeds in [2, 3, 5] {
            let simulation = Simulation { rows: 300, seeds, contenders: vec![(1.8, 0.7, 0.2), (1.5, 0.7, 0.3)] };
            let covered = rate(&simulation, 400, |comparison| {
                let Difference { low, high, .. } = comparison.pairs[0].accuracy;
                (low..=high).contains(&(better - worse))
            });
            assert!(covered >= 0.94, "{covered} with {seeds} seeds");
            let covered = rate(&simulation, 400, |comparison| {
                let Summary { low, high, .. } = comparison.standings[1].accuracy;
                (low..=high).contains(&worse)
            });
            assert!(covered >= 0.94, "{covered} with {seeds} seeds");
            // Equally good, so that the true difference is known for macro-F1 too.
            let simulation = Simulation { rows: 300, seeds, contenders: vec![(1.5, 0.7, 0.3); 2] };
            let covered = rate(&simulation, 400, |comparison| !comparison.pairs[0].macro_f1.is_clear());
            assert!(covered >= 0.94, "{covered} with {seeds} seeds");
        }
    }

    #[test]
    fn a_true_difference_is_found() {
        let wins = |comparison: &Comparison| comparison.verdict == Verdict::Winner { name: "1".to_owned() };
        // Mean accuracies of 0.73, 0.82 and 0.67.
        let contenders = vec![(1.5, 0.7, 0.1), (2.2, 0.7, 0.1), (1.0, 0.7, 0.0)];
        for (seeds, least) in [(3, 0.7), (5, 0.95)] {
            let found = rate(&Simulation { rows: 500, seeds, contenders: contenders.clone() }, 200, wins);
            assert!(found >= least, "{found} with {seeds} seeds");
        }
    }

    #[test]
    fn contenders_without_chance_pay_nothing_for_few_seeds() {
        let (truth, drawn) = Simulation { rows: 400, seeds: 1, contenders: vec![(1.5, 0.7, 0.0), (1.9, 0.7, 0.0)] }
            .draw(&mut Random::new(5));
        let repeated: Vec<Vec<Vec<u32>>> = drawn.iter().map(|lists| vec![lists[0].clone(); 3]).collect();
        let compared =
            |of: &[Vec<Vec<u32>>]| compare(&truth, CLASSES, &[contender("a", &of[0]), contender("b", &of[1])]).unwrap();
        let (once, thrice) = (compared(&drawn), compared(&repeated));
        close(once.pairs[0].accuracy.low, thrice.pairs[0].accuracy.low);
        close(once.pairs[0].macro_f1.high, thrice.pairs[0].macro_f1.high);
        assert_eq!(thrice.standings[0].accuracy.spread, Some(0.0));
        let correct = (once.standings[0].accuracy.mean * 400.0).round() as u64;
        close(thrice.standings[0].accuracy.low, super::super::wilson(correct, 400).low);
        // One list stands for every seed.
        let mixed = compare(&truth, CLASSES, &[contender("a", &drawn[0]), contender("b", &repeated[1])]).unwrap();
        assert_eq!((mixed.seeds, &mixed.pairs), (3, &thrice.pairs));
    }

    #[test]
    fn a_handful_of_rows_is_judged_as_the_exact_test_does() {
        let truth = vec![0; 100];
        for (apart, wins) in [(0, false), (4, false), (5, false), (6, true)] {
            let worse: Vec<u32> = (0..100).map(|row| u32::from(row < apart)).collect();
            let (a, b) = ([truth.clone()], [worse]);
            let comparison = compare(&truth, 2, &[contender("b", &b), contender("a", &a)]).unwrap();
            assert_eq!(names_a_winner(&comparison), wins, "{apart}: {comparison:?}");
            assert_eq!(comparison.pairs[0].mcnemar[0].p < 0.05, wins);
        }
    }

    #[test]
    fn of_equals_the_cheapest_is_told_and_those_behind_are_not_among_them() {
        let simulation = Simulation { rows: 400, seeds: 3, contenders: vec![(2.0, 0.3, 0.1), (2.0, 0.3, 0.1)] };
        let (truth, drawn) = simulation.draw(&mut Random::new(11));
        let majority = [vec![0; 400]];
        let contenders = [
            Contender { baseline: true, seconds: 0.1, ..contender("majority", &majority) },
            Contender { seconds: 9.0, ..contender("full", &drawn[0]) },
            Contender { seconds: 3.0, ..contender("last:2", &drawn[1]) },
        ];
        let comparison = compare(&truth, CLASSES, &contenders).unwrap();
        let Verdict::Equal { names, cheapest } = &comparison.verdict else { panic!("{comparison:?}") };
        assert_eq!((names.len(), cheapest.as_str()), (2, "last:2"));
        assert!(!names.contains(&"majority".to_owned()));
        assert_eq!(names[0], comparison.ranked()[0].name);

        let json = serde_json::to_string(&comparison).unwrap();
        assert_eq!(serde_json::from_str::<Comparison>(&json).unwrap(), comparison);
        assert!(json.contains(r#""verdict":{"equal":{"names":["#), "{json}");
    }

    #[test]
    fn one_contender_or_one_row_decides_nothing() {
        let (a, b) = (lists(&A), lists(&B));
        let alone = compare(&TRUTH, 3, &[contender("a", &a)]).unwrap();
        assert_eq!(alone.verdict, Verdict::Equal { names: vec!["a".to_owned()], cheapest: "a".to_owned() });
        let (a, b) = ([vec![a[0][0]]], [vec![b[0][1]]]);
        let one = compare(&TRUTH[..1], 3, &[contender("a", &a), contender("b", &b)]).unwrap();
        assert!(!names_a_winner(&one) && one.pairs[0].accuracy.low == -1.0);
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        let (a, b) = (lists(&A), lists(&B));
        let refused = |truth: &[u32], classes: usize, contenders: &[Contender], why: &str| {
            let error = compare(truth, classes, contenders).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        refused(&[], 3, &[contender("a", &a)], "no test rows");
        refused(&TRUTH, 3, &[], "no predictions");
        refused(&TRUTH, 2, &[contender("a", &a)], "test row 6 has a label");
        refused(&TRUTH, 3, &[contender("a", &a), contender("a", &b)], "compared twice");
        refused(&TRUTH, 3, &[contender("a", &a), contender("b", &b[..2])], "predictions of 2 seeds, others of 3");
        refused(&TRUTH[..9], 3, &[contender("a", &a)], "10 predictions for 9");
        let wrong = [vec![7; 10]];
        refused(&TRUTH, 3, &[contender("a", &wrong)], "predicts for test row 1 a label beyond");
    }
}
