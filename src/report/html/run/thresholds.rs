//! What a confidence threshold leaves out, and how accurate the rest is.

use maud::{Markup, html};

use super::view::SplitView;
use crate::console::units::counted;
use crate::evaluation::thresholds::Thresholds;
use crate::report::html::figures::{coverage_plot, coverage_table};
use crate::report::html::page::section;
use crate::report::html::text::{percent, quoted};
use crate::report::promise::Kept;
use crate::report::threshold::worthwhile;

/// `chosen`: the thresholds that the run has for a target accuracy.
pub(super) fn thresholds(scored: &SplitView, prefix: &str, chosen: Option<&Thresholds>) -> Markup {
    let coverage = scored.predictions.coverage();
    let is_seen = scored.split.is_largely_seen();
    let recommended = worthwhile(&coverage, scored.predictions.accuracy()).filter(|_| !is_seen);
    let content = html! {
        @if let Some(chosen) = chosen { (promise(scored, chosen)) }
        @if is_seen {
            p {
                "The network was trained on so many of these rows that they recommend no threshold: on new ones fewer "
                "are correct."
            }
        } @else if let Some(point) = recommended {
            p {
                "With " code { "--min-confidence " (point.threshold) } ", " (percent(1.0 - point.coverage()))
                " of these rows get no label; of the others "
                (percent(point.accuracy().unwrap_or(0.0))) " are correct."
            }
        }
        div.figures {
            (coverage_plot("Accuracy of the rows that get a label", &coverage))
            (coverage_table(&coverage, recommended))
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

/// What the run's own thresholds promise, and what they do with these rows.
fn promise(scored: &SplitView, chosen: &Thresholds) -> Markup {
    let kept = Kept::by(chosen, &scored.labels, &scored.predictions);
    let is_chosen_on = chosen.chosen_on == scored.split.called();
    html! {
        p { "Target accuracy: " (quoted(&chosen.sentence())) "." }
        @if !chosen.shown.is_empty() {
            p {
                code { "rehead label --min-confidence auto" } " labels " (percent(kept.coverage())) " of these "
                (counted(kept.rows, "row")) "; of the labels " (percent(kept.accuracy())) " are correct"
                @if is_chosen_on { ". The thresholds were chosen on these rows." }
                @else { " (" (kept.verdict(chosen.target_accuracy)) ")." }
            }
        }
    }
}
