//! What a confidence threshold leaves out, and how accurate the rest is.

use maud::{Markup, html};

use super::view::SplitView;
use crate::evaluation::coverage::{Coverage, Point};
use crate::report::html::figures::{coverage_plot, coverage_table};
use crate::report::html::page::section;
use crate::report::html::text::percent;

pub(super) fn thresholds(scored: &SplitView, prefix: &str) -> Markup {
    let coverage = Coverage::of(&scored.predictions.confidence, &scored.predictions.correct);
    let content = html! {
        @if let Some(point) = worthwhile(&coverage, scored.predictions.accuracy()) {
            p {
                "With " code { "--min-confidence " (point.threshold) } ", " (percent(1.0 - point.coverage()))
                " of these rows get no label; of the others "
                (percent(point.accuracy().unwrap_or(0.0))) " are correct."
            }
        }
        div.figures {
            (coverage_plot("Accuracy of the rows that get a label", &coverage))
            (coverage_table(&coverage))
        }
    };
    let note = html! {
        p {
            code { "rehead label --min-confidence P" } " leaves rows with less confidence without a label, for people "
            "to decide."
        }
        p { "The band is the 95\u{202f}% interval." }
    };
    section(&format!("{prefix}thresholds"), "Choosing a confidence threshold", note, content)
}

/// A threshold that removes a good part of the errors and leaves a good part of the rows labelled.
fn worthwhile(coverage: &Coverage, accuracy: f64) -> Option<Point> {
    const GOALS: [f64; 6] = [0.8, 0.9, 0.95, 0.98, 0.99, 0.995];
    const FEWEST_ROWS: u64 = 50;
    let goal = GOALS.into_iter().find(|goal| 1.0 - goal < 0.7 * (1.0 - accuracy))?;
    let reached = coverage.reaching(goal)?;
    let point = coverage.at((reached.threshold * 1000.0).ceil() / 1000.0);
    (point.rows >= FEWEST_ROWS && point.coverage() >= 0.2).then_some(point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_recommended_where_it_pays() {
        let confidence: Vec<f64> = (0..200).map(|row| f64::from(row) / 200.0).collect();
        let correct: Vec<bool> = (0..200).map(|row| row > 100 || row % 2 == 0).collect();
        let coverage = Coverage::of(&confidence, &correct);
        let point = worthwhile(&coverage, 0.75).unwrap();
        assert!(point.accuracy().is_some_and(|accuracy| accuracy > 0.89) && point.coverage() > 0.5, "{point:?}");
        assert_eq!(worthwhile(&Coverage::of(&[0.9; 5], &[true; 5]), 0.75), None);
    }
}
