//! What is compared, and what a comparison says.

use serde::{Deserialize, Serialize};

/// A strategy or a baseline, and what it predicted.
#[derive(Debug, Clone)]
pub struct Contender<'a> {
    /// Different from every other contender's: pairs and the verdict refer to it.
    pub name: &'a str,
    /// Label indices, one list per seed, all over the same rows in the same order. A single list where others have
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
    /// Lower end of the 95 % interval of the mean, for other rows and, with two seeds or more, other seeds.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// How one contender does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// As [`Comparison::between`] takes it.
    pub name: String,
    /// Whether it does without the pretrained network.
    pub baseline: bool,
    /// Training time, mean over seeds.
    pub seconds: f64,
    /// Fraction of the rows that are predicted correctly.
    pub accuracy: Summary,
    /// Fraction: the plain mean of F1 over the labels that occur.
    pub macro_f1: Summary,
}

/// How far `a` is ahead of `b`, paired by row and seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Over rows and seeds; above 0, `a` is better. A fraction, as the score is.
    pub mean: f64,
    /// Lower end of the 95 % interval, at least -1.
    pub low: f64,
    /// Its upper end, at most 1.
    pub high: f64,
}

impl Difference {
    /// How far `b` is ahead of `a`.
    pub fn reversed(&self) -> Self {
        Self { mean: -self.mean, low: -self.high, high: -self.low }
    }
}

/// McNemar's exact test of one seed: whether the rows that only one of two contenders predicts correctly divide evenly.
/// It speaks of two trained networks on other rows, not of other seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mcnemar {
    /// Which of the seeds, counted from 0 in the order given.
    pub seed: usize,
    /// Rows that only `a` predicts correctly.
    pub only_a: u64,
    /// Rows that only `b` predicts correctly.
    pub only_b: u64,
    /// Two-sided probability of a division as uneven or more, were both equally good.
    pub p: f64,
}

/// Two contenders side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The one that comes first in the order of the contenders.
    pub a: String,
    /// The one that comes later.
    pub b: String,
    /// Of accuracies: it decides the verdict.
    pub accuracy: Difference,
    /// Of macro-F1.
    pub macro_f1: Difference,
    /// What would narrow the interval of the difference in accuracy most.
    pub more: More,
    /// One test per seed that both have.
    pub mcnemar: Vec<Mcnemar>,
}

/// What the accuracies allow to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Better than every other: wrong in about 5 % of cases at most where another is as good.
    Winner {
        /// As in the standings.
        name: String,
    },
    /// No statistically clear difference from the best, the most accurate first: the best is missing in at most 5 % of
    /// cases.
    Equal {
        /// The best and those that are not clearly worse.
        names: Vec<String>,
        /// The one of these with the least training time.
        cheapest: String,
    },
}

/// What would narrow an interval most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum More {
    /// More rows to compare on.
    Rows,
    /// More runs of each strategy.
    Seeds,
}

/// Several contenders on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Rows that they are compared on.
    pub rows: usize,
    /// Seeds of each contender with chance. With one, intervals cover the choice of rows only.
    pub seeds: usize,
    /// Labels of the data, whether or not they occur in the rows.
    pub classes: usize,
    /// In the order of the contenders.
    pub standings: Vec<Standing>,
    /// Each two contenders once, the earlier one as `a`.
    pub pairs: Vec<Pair>,
    /// Decided by accuracy.
    pub verdict: Verdict,
    /// Of the deciding interval, that between the first and the second; `Rows` where neither would help more.
    pub more: More,
}

impl Comparison {
    /// How far `a` is ahead of `b`, by accuracy and by macro-F1; `None` for a name that is not compared, or twice the
    /// same.
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
}
