//! The numbers of rows that have one in place of a label: how a cell is read, what is in a set of them, and how rows
//! with near numbers share a bin for a split.

use std::fmt;

use serde::Serialize;

use crate::error::{Error, Result};

/// A finite number, equal to another where it has the same value.
#[derive(Debug, Clone, Copy)]
pub struct Number(f64);

impl Number {
    /// `None` of what is infinite or no number.
    pub fn new(value: f64) -> Option<Self> {
        // There is one zero.
        value.is_finite().then_some(Self(value + 0.0))
    }

    /// What it is.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Number {}

impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// The number that a cell holds: with a decimal point, or a decimal comma where it can be nothing else.
///
/// # Errors
/// It is none, it is not finite, or its comma may be one of thousands.
pub fn number_in(cell: &str) -> Result<Number> {
    let refused = |message: String, hint: &str| Error::request(message).hint(hint.to_owned());
    let text = cell.trim();
    let is_written_so = text.chars().all(|char| matches!(char, '0'..='9' | '+' | '-' | '.' | ',' | 'e' | 'E'));
    let parsed = |text: &str| text.parse::<f64>().ok().filter(|_| is_written_so).and_then(Number::new);
    let no_number = || {
        refused(
            format!("`{}` is not a finite number", super::label_text::brief(text)),
            "--task regression needs a number in each row; name its column with --label COL",
        )
    };
    let Some((whole, decimals)) = text.split_once(',') else { return parsed(text).ok_or_else(no_number) };
    let digits = whole.trim_start_matches(['+', '-']);
    let groups_thousands = decimals.len() == 3 && (1..=3).contains(&digits.len()) && !digits.starts_with('0');
    match parsed(&format!("{whole}.{decimals}")) {
        Some(_) if groups_thousands && decimals.bytes().all(|byte| byte.is_ascii_digit()) => Err(refused(
            format!("`{text}` may be {whole}.{decimals} or {whole}{decimals}"),
            "write numbers with a decimal point and without marks between thousands",
        )),
        found => found.ok_or_else(no_number),
    }
}

/// What numbers are standardised by: (number - mean) / deviation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// Of the numbers.
    pub mean: f64,
    /// Their standard deviation, 1 where they are all the same.
    pub deviation: f64,
}

impl Scaling {
    /// That of these numbers.
    pub fn of(numbers: &[f64]) -> Self {
        let rows = numbers.len().max(1) as f64;
        let mean = numbers.iter().sum::<f64>() / rows;
        let deviation = (numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / rows).sqrt();
        Self { mean, deviation: if deviation > 0.0 && deviation.is_finite() { deviation } else { 1.0 } }
    }
}

/// What is in a set of numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NumberSummary {
    /// The smallest and the largest, as they are shown.
    pub range: (String, String),
    /// Their mean and their standard deviation.
    pub mean: String,
    /// See `mean`.
    pub deviation: String,
    /// How many of them are different.
    pub distinct: u64,
}

impl NumberSummary {
    pub(super) fn of(numbers: &[f64]) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let shown = |number: Option<&f64>| number.map_or_else(String::new, f64::to_string);
        let range = (shown(sorted.first()), shown(sorted.last()));
        sorted.dedup();
        let Scaling { mean, deviation } = Scaling::of(numbers);
        let deviation = if sorted.len() > 1 { deviation } else { 0.0 };
        Self { range, mean: brief(mean), deviation: brief(deviation), distinct: sorted.len() as u64 }
    }
}

/// Four digits.
fn brief(number: f64) -> String {
    let digits = 3 - (number.abs().max(1e-12).log10().floor() as i32);
    format!("{number:.*}", digits.clamp(0, 12) as usize)
}

impl fmt::Display for NumberSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { range: (least, most), mean, deviation, .. } = self;
        write!(f, "numbers from {least} to {most} (mean {mean}, standard deviation {deviation})")
    }
}

/// For each number the bin that it is in, of `bins` by size with about as many rows each. Equal numbers share a bin.
pub fn quantile_bins(numbers: &[f64], bins: usize) -> Vec<u32> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rows = numbers.len().max(1);
    numbers.iter().map(|number| (sorted.partition_point(|other| other < number) * bins.max(1) / rows) as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_where_there_is_no_doubt() {
        let of = |cell: &str| number_in(cell).map(Number::value).map_err(|error| error.to_string());
        for (cell, expected) in [
            ("3", 3.0),
            (" -2.50 ", -2.5),
            ("1e-3", 1e-3),
            ("+.5", 0.5),
            ("3,5", 3.5),
            ("0,125", 0.125),
            ("-1234,567", -1234.567),
            ("1,2345", 1.2345),
        ] {
            assert_eq!(of(cell), Ok(expected), "{cell}");
        }
        for wrong in ["", "four", "nan", "inf", "1e999", "1,2,3", "1.234,5", "0x10", "3 stars", "true", "1_000"] {
            assert!(of(wrong).unwrap_err().contains("is not a finite number"), "{wrong}");
        }
        for doubtful in ["1,234", "-12,000", "999,999"] {
            assert!(of(doubtful).unwrap_err().contains(" may be "), "{doubtful}");
        }
        assert_eq!(Number::new(0.0), Number::new(-0.0));
    }

    #[test]
    fn bins_have_about_as_many_rows_and_equal_numbers_share_one() {
        let numbers: Vec<f64> = (0..100).map(|row| f64::from(row * 37 % 100)).collect();
        let bins = quantile_bins(&numbers, 10);
        assert!((0..10).all(|bin| bins.iter().filter(|&&own| own == bin).count() == 10));
        assert!(numbers.iter().zip(&bins).all(|(number, bin)| *bin == (*number as u32) / 10));
        assert_eq!(quantile_bins(&[1.0, 1.0, 1.0, 5.0], 2), [0, 0, 0, 1]);
        assert_eq!((quantile_bins(&[], 3), quantile_bins(&[2.0], 0)), (vec![], vec![0]));
    }

    #[test]
    fn what_is_in_numbers_is_shown_briefly() {
        let shown = NumberSummary::of(&[1.0, 2.5, 4.0, 2.5]).to_string();
        assert_eq!(shown, "numbers from 1 to 4 (mean 2.500, standard deviation 1.061)");
        assert_eq!(Scaling::of(&[3.0, 3.0]), Scaling { mean: 3.0, deviation: 1.0 });
    }
}
