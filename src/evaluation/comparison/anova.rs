//! The analysis of variance of a crossed two-way table, rows × seeds, and the intervals that follow from it.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::entries::Entries;
use super::result::{Difference, More, Summary};
use crate::evaluation::interval::wilson_score;

/// One minus the confidence of every interval that is shown.
pub const ALPHA: f64 = 0.05;

/// How much more the seeds' means differ than the rows' residuals alone would have them differ: the quotient of the two
/// mean squares, pooled over all contenders of a comparison. 1: a seed changes single rows, not whole runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeedDispersion {
    pub quotient: f64,
    /// Its degrees of freedom: those of the contenders and of the prior.
    pub freedom: usize,
}

impl SeedDispersion {
    /// What is taken to be known before a run was seen, as if it came from so many degrees of freedom: seeds differ
    /// about twice as much as their rows' residuals explain. With it two seeds of a single strategy say something.
    pub const PRIOR: Self = Self { quotient: 4.0, freedom: 2 };

    /// Pooled over contenders, given seed by seed. One without chance says nothing.
    pub fn pooled<'a>(contenders: impl IntoIterator<Item = &'a [Entries<'a>]>, rows: usize) -> Self {
        let Self { quotient, mut freedom } = Self::PRIOR;
        let mut sum = quotient * freedom as f64;
        for seeds in contenders {
            let scores: Vec<f64> = seeds.iter().map(|entries| entries.score).collect();
            let found = CrossedVariance::new(rows, &scores, 0.0, Self::PRIOR, |row, seed| seeds.get(seed)?.get(row));
            if found.least_seed_variance > 0.0 {
                let own = seeds.len().saturating_sub(1);
                sum += own as f64 * found.seed_variance / found.least_seed_variance;
                freedom += own;
            }
        }
        Self { quotient: sum / freedom as f64, freedom }
    }
}

/// What the analysis of variance of a table of rows × seeds says of its mean.
#[derive(Debug, Clone, Copy)]
pub struct CrossedVariance {
    pub rows: usize,
    pub mean: f64,
    /// Sample standard deviation of the seeds' means.
    spread: Option<f64>,
    /// The part of the mean's variance that comes from the choice of rows.
    row_variance: f64,
    /// The part that comes from seeds if a seed changes single rows only: from the residual of rows × seeds, well
    /// known. It is taken to be at least this.
    least_seed_variance: f64,
    /// The part that comes from seeds, estimated from these seeds' means alone.
    seed_variance: f64,
    dispersion: SeedDispersion,
}

impl CrossedVariance {
    /// `entry` is that of a row and a seed, `means` are the seeds' means; `imagined` is added to the rows' sum of
    /// squares.
    fn new(
        rows: usize,
        means: &[f64],
        imagined: f64,
        dispersion: SeedDispersion,
        entry: impl Fn(usize, usize) -> Option<f64>,
    ) -> Self {
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
            mean,
            spread: None,
            row_variance: rows_square / (n * k),
            least_seed_variance: 0.0,
            seed_variance: 0.0,
            dispersion,
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
        let SeedDispersion { quotient, freedom } = self.dispersion;
        let seeds = [
            rows * self.least_seed_variance,
            quantile(freedom, alpha).powi(2) * quotient * self.least_seed_variance,
            // Runs that differ more than the pool has them differ are taken at their word.
            normal_quantile(alpha).powi(2) * self.seed_variance,
        ];
        (rows * self.row_variance, seeds.into_iter().fold(0.0, f64::max))
    }

    pub fn half_width(&self, alpha: f64) -> f64 {
        let (rows, seeds) = self.parts(alpha);
        (rows + seeds).sqrt()
    }

    pub fn difference(&self) -> Difference {
        let half = if self.rows > 1 { self.half_width(ALPHA) } else { f64::INFINITY };
        Difference { mean: self.mean, low: (self.mean - half).max(-1.0), high: (self.mean + half).min(1.0) }
    }

    /// What would narrow the interval more.
    pub fn more(&self) -> More {
        let (rows, seeds) = self.parts(ALPHA);
        if seeds > rows { More::Seeds } else { More::Rows }
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

/// The two-sided quantile of the normal distribution.
fn normal_quantile(alpha: f64) -> f64 {
    Normal::standard().inverse_cdf(1.0 - alpha / 2.0)
}

/// The score of one contender: Wilson's interval for as many rows as would make it as wide as rows and seeds do
/// together, so that it stays within 0 to 1, and is Wilson's own where there is no chance.
pub fn summary(seeds: &[Entries], rows: usize, dispersion: SeedDispersion) -> Summary {
    let scores: Vec<f64> = seeds.iter().map(|entries| entries.score).collect();
    let variance = CrossedVariance::new(rows, &scores, 0.0, dispersion, |row, seed| seeds.get(seed)?.get(row));
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
pub fn difference(a: &[Entries], b: &[Entries], rows: usize, dispersion: SeedDispersion) -> CrossedVariance {
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
    CrossedVariance::new(rows, &scores, imagined, dispersion, at)
}
