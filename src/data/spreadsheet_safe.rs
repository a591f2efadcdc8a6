//! Fields of text tables that spreadsheet programs take as formulas, `=cmd|'/C calc'!A0` say, and how they are written
//! so that a person who opens the table sees them as they are: with a straight quote in front, which the programs do
//! not show (OWASP, "CSV Injection").

use std::borrow::Cow;

/// What a formula begins with: in some programs a character of full width, or what they pass over first.
const BEGINNINGS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

fn is_formula(field: &str) -> bool {
    field.starts_with(BEGINNINGS) && !is_number(field)
}

/// `-0.5`: what a program takes for a number it may have.
fn is_number(field: &str) -> bool {
    field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'))
        && field.parse::<f64>().is_ok()
}

/// A field that no program computes.
pub fn safe(field: Cow<'_, str>) -> Cow<'_, str> {
    if is_formula(&field) { format!("'{field}").into() } else { field }
}

/// What was made [`safe`].
pub fn as_it_was(field: Cow<'_, str>) -> Cow<'_, str> {
    match field.strip_prefix('\'') {
        Some(before) if is_formula(before) => before.to_owned().into(),
        _ => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_quoted_and_numbers_are_not() {
        for formula in ["=1+1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "-", "=", "-inf", "-1-1"] {
            let quoted = safe(formula.into());
            assert_eq!(quoted, format!("'{formula}"));
            assert_eq!(as_it_was(quoted), formula);
        }
        for other in ["", "good", "-0.5", "+3", "-1e-5", "0", "a=1", " =1", "'=1", "'tis", "12"] {
            assert_eq!(safe(other.into()), other);
        }
        assert_eq!(as_it_was("'tis".into()), "'tis");
    }
}
