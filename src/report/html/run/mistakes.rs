//! The wrong predictions of which the network was most confident.

use maud::{Markup, html};

use super::examples::{MOST_ROWS, rows};
use super::view::SplitView;
use crate::console::units::counted;
use crate::data::Modality;
use crate::report::html::page::section;
use crate::report::html::text::percent;

pub(super) fn mistakes(scored: &SplitView, prefix: &str) -> Markup {
    let predictions = &scored.predictions;
    let mut wrong: Vec<usize> = (0..predictions.rows()).filter(|&row| !predictions.correct[row]).collect();
    wrong.sort_by(|&a, &b| predictions.confidence[b].total_cmp(&predictions.confidence[a]));
    let content = html! {
        @if wrong.is_empty() {
            p { "No prediction is wrong." }
        } @else {
            p {
                (counted(wrong.len() as u64, "row"))
                @if wrong.len() == 1 { " is" } @else { " are" } " predicted wrongly"
                @if wrong.len() > MOST_ROWS { "; these are the " (MOST_ROWS) " with the highest confidence" } "."
                @if prefix.is_empty() { " All are in " code { "predictions/mistakes.csv" } "." }
            }
            (rows(scored, &wrong, |&row| {
                let (truth, predicted) = (predictions.truth[row], predictions.predicted[row]);
                html! {
                    p {
                        span { b { (percent(predictions.confidence[row])) } " " (scored.label(predicted)) }
                        span { "labelled " (scored.label(truth)) " (" (percent(scored.probability(row, truth))) ")" }
                        (scored.origin(row))
                    }
                    (scored.text(row, &format!("{prefix}mistake-{row}")))
                }
            }))
        }
    };
    let kind = if scored.split.modality == Modality::Image { "image" } else { "text" };
    let note = html! {
        p {
            "First the predicted label with its confidence, then the label in the data and the probability that the "
            "network gives it."
        }
        p {
            "Look for a pattern: a kind of " (kind) " that is missing from the training data, or labels that are not "
            "clear."
        }
    };
    section(&format!("{prefix}mistakes"), "The most confident mistakes", note, content)
}
