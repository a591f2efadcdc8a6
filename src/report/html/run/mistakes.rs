//! The wrong predictions of which the network was most confident.

use maud::{Markup, html};

use super::examples::{MOST_ROWS, rows};
use super::view::SplitView;
use crate::console::units::counted;
use crate::data::Modality;
use crate::report::html::explanation::why;
use crate::report::html::page::section;
use crate::report::html::text::{percent, quoted};
use crate::report::split::Mistake;
use crate::report::why::Why;

pub(super) fn mistakes(scored: &SplitView, prefix: &str) -> Markup {
    let predictions = &scored.predictions;
    let wrong = scored.split.mistakes();
    let why_of = |row: usize| scored.split.explained.and_then(|explained| explained.by_row.get(&row));
    let explained = wrong.iter().take(MOST_ROWS).filter(|mistake| why_of(mistake.row).is_some()).count();
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
            (rows(scored.split.modality, &wrong, |&Mistake { row, truth, predicted }| {
                html! {
                    p {
                        span { b { (percent(predictions.confidence[row])) } " " (scored.label(predicted)) }
                        span { "labelled " (scored.label(truth)) " (" (percent(scored.probability(row, truth))) ")" }
                        (scored.origin(row))
                    }
                    @let found = why_of(row);
                    // A text is shown by its words, an image beside its places.
                    @if !matches!(found, Some(Why::Texts(_))) {
                        (scored.text(row, &format!("{prefix}mistake-{row}")))
                    }
                    @if let Some(found) = found { (why(found)) }
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
        @if explained > 0 { (legend(scored.split.modality, explained)) }
        @if let Some(remark) = scored.split.explained.and_then(|explained| explained.remark.as_ref()) {
            p { "What spoke for these answers is not shown: " (quoted(remark)) }
        }
    };
    section(&format!("{prefix}mistakes"), "The most confident mistakes", note, content)
}

/// What the colours mean, of so many of the mistakes.
fn legend(modality: Modality, explained: usize) -> Markup {
    html! {
        p {
            @if modality == Modality::Image {
                "For " (explained) " of them the places that spoke for the predicted label and against the one in the "
                "data are yellow."
            } @else {
                "In " (explained) " of them words are shaded: "
                span.why { mark.for style="--shade:.8" { "these" } } " spoke for the predicted label and against the "
                "one in the data, " span.why { mark.against style="--shade:.8" { "these" } } " the other way round. "
                "Rest the pointer on a word to see what it adds to the log odds."
            }
            " More with " code { "--explain-mistakes N" } "."
        }
    }
}
