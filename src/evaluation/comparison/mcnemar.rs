//! McNemar's exact test of two runs on the same rows.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::entries::Entries;
use super::result::Mcnemar;

pub fn mcnemar(seed: usize, a: &Entries, b: &Entries) -> Mcnemar {
    let rows_correct = |a: &Entries, b: &Entries| {
        (0..a.truth.len()).filter(|&row| a.is_correct(row) && !b.is_correct(row)).count() as u64
    };
    let (only_a, only_b) = (rows_correct(a, b), rows_correct(b, a));
    Mcnemar { seed, only_a, only_b, p: even_division(only_a, only_b) }
}

/// The exact two-sided p-value of so uneven a division of coin tosses.
pub fn even_division(a: u64, b: u64) -> f64 {
    Binomial::new(0.5, a + b).map_or(1.0, |tosses| (2.0 * tosses.cdf(a.min(b))).min(1.0))
}
