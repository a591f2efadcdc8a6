//! The analysis of variance of a crossed two-way table, rows × seeds, and the intervals that follow from it.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::entries::Entries;
use super::result::{Difference, Summary};
use crate::evaluation::interval::wilson_score;

/// One minus the confidence of every interval that is shown.
pub const ALPHA: f64 = 0.05;

/// What the analysis of variance of a table of rows × seeds says of its mean.
#[derive(Debug, Clone, Copy)]
pub struct CrossedVariance {
    pub rows: usize,
    pub seeds: usize,
    pub mean: f64,
    /// Sample standard deviation of the seeds' means.
    spread: Option<f64>,
    /// The part of the mean's variance that comes from the choice of rows.
    row_variance: f64,
    /// The part that comes from seeds, estimated from the residual of rows × seeds; it is taken to be at least
    /// this.
    least_seed_variance: f64,
    /// The part that comes from seeds, estimated from the seeds' means.
    seed_variance: f64,
}

impl CrossedVariance {
    /// `entry` is that of a row and a seed, `means` are the seeds' means; `imagined` is added to the rows' sum of
    /// squares.
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
        let mut variance = Self {
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
            variance.spread = Some((seed_squares / (k - 1.0)).sqrt());
            variance.row_variance = (rows_square - residual).max(0.0) / (n * k);
            variance.least_seed_variance = residual / (n * k);
            variance.seed_variance = seed_squares / (k - 1.0) / k;
        }
        variance
    }

    /// Squares of the parts of the half-width of the interval of confidence 1 - `alpha`: rows' and seeds'.
    pub fn parts(&self, alpha: f64) -> (f64, f64) {
        let rows = quantile(self.rows.saturating_sub(1), alpha).powi(2);
        let seeds = self.seed_variance * quantile(self.seeds.saturating_sub(1), alpha).powi(2);
        (rows * self.row_variance, seeds.max(rows * self.least_seed_variance))
    }

    pub fn half_width(&self, alpha: f64) -> f64 {
        let (rows, seeds) = self.parts(alpha);
        (rows + seeds).sqrt()
    }

    pub fn difference(&self) -> Difference {
        let half = if self.rows > 1 { self.half_width(ALPHA) } else { f64::INFINITY };
        Difference { mean: self.mean, low: (self.mean - half).max(-1.0), high: (self.mean + half).min(1.0) }
    }

    pub fn reversed(self) -> Self {
        Self { mean: -self.mean, ..self }
    }
}

/// The two-sided quantile of Student's distribution; 0 without degrees of freedom, where its variance is unknown and
/// left out.
pub fn quantile(freedom: usize, alpha: f64) -> f64 {
    if freedom == 0 {
        return 0.0;
    }
    StudentsT::new(0.0, 1.0, freedom as f64).map_or(f64::INFINITY, |t| t.inverse_cdf(1.0 - alpha / 2.0))
}

/// The score of one contender: Wilson's interval for as many rows as would make it as wide as rows and seeds do
/// together, so that it stays within 0 to 1, and is Wilson's own where there is no chance.
pub fn summary(seeds: &[Entries], rows: usize) -> Summary {
    let scores: Vec<f64> = seeds.iter().map(|entries| entries.score).collect();
    let variance = CrossedVariance::new(rows, &scores, 0.0, |row, seed| seeds.get(seed)?.get(row));
    let n = rows as f64;
    // The square of the half-width if the score were a proportion of independent rows.
    let plain =
        quantile(rows.saturating_sub(1), ALPHA).powi(2) * variance.mean * (1.0 - variance.mean) / (n - 1.0).max(1.0);
    let widening = variance.half_width(ALPHA).powi(2) / plain;
    let interval = wilson_score(variance.mean, if widening > 0.0 && widening.is_finite() { n / widening } else { n });
    Summary { mean: variance.mean, spread: variance.spread, low: interval.low, high: interval.high }
}

/// The variance of a - b. Two rows are imagined on which one of the two is correct and the other is not, one in each
/// direction (Bonett and Price 2012): where contenders differ on a handful of rows, the variance seen there is too
/// small.
pub fn difference(a: &[Entries], b: &[Entries], rows: usize) -> CrossedVariance {
    let at = |row: usize, seed: usize| Some(a.get(seed)?.get(row)? - b.get(seed)?.get(row)?);
    let (mut squares, mut apart) = (0.0, 0u64);
    for (seed, (a, b)) in a.iter().zip(b).enumerate() {
        for row in (0..rows).filter(|&row| a.is_correct(row) != b.is_correct(row)) {
            apart += 1;
            squares += at(row, seed).unwrap_or_default().powi(2);
        }
    }
    let imagined = 2.0 * squares / apart.max(1) as f64;
    let scores: Vec<f64> = a.iter().zip(b).map(|(a, b)| a.score - b.score).collect();
    CrossedVariance::new(rows, &scores, imagined, at)
}
