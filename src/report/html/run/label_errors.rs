//! Rows whose label in the data may be wrong.

use maud::{Markup, html};

use super::examples::rows;
use super::view::SplitView;
use crate::console::units::{self, counted};
use crate::evaluation::label_errors::{Suspect, suspected};
use crate::report::html::page::section;
use crate::report::html::text::{capitalised, percent};

pub(super) fn possible_label_errors(scored: &[SplitView]) -> Markup {
    let found: Vec<(&SplitView, Vec<Suspect>)> = scored
        .iter()
        .map(|scored| (scored, suspected(scored.split.probabilities, scored.split.truth, scored.labels.len())))
        .collect();
    let content = html! {
        @for (scored, errors) in &found {
            h3 {
                (capitalised(scored.split.called())) " data: " (units::count(errors.len() as u64)) " of "
                (counted(scored.predictions.rows() as u64, "row"))
            }
            @if errors.is_empty() {
                p { "No label looks doubtful." }
            } @else {
                (rows(scored.split.modality, errors, |row| {
                    let probability = |label| percent(scored.probability(row.row, label));
                    html! {
                        p {
                            span { "labelled " (scored.label(row.given)) " (" (probability(row.given)) ")" }
                            span {
                                "perhaps " (scored.label(row.likeliest)) " (" (probability(row.likeliest)) ")?"
                            }
                            (scored.origin(row.row))
                        }
                        (scored.text(row.row, &format!("{}-label-error-{}", scored.split.name, row.row)))
                    }
                }))
            }
        }
    };
    let by_folds = scored.iter().any(|scored| scored.split.name == "folds");
    let seen: u64 = scored.iter().filter_map(|scored| scored.split.seen).map(|seen| seen.rows).sum();
    let note = html! {
        p {
            @if by_folds { "Every row was predicted by a network that was not trained on it, and that prefers" }
            @else if seen == 0 { "The network was not trained on these rows, and it prefers" }
            @else { "The network prefers" }
            " another label to theirs: it gives theirs less than chance would, and another at least the probability "
            "that rows with that label get on average (confident learning; Northcutt and others, 2021)."
        }
        @if seen > 0 {
            p {
                "It was trained on " (counted(seen, "row")) " of these data: wrong labels that it has learned there "
                "are not found."
            }
        }
        p {
            "Check these rows; not all are errors, since a hard or unusual row looks the same. Errors that the "
            "training data share are not found."
        }
    };
    section("label-errors", "Possible label errors", note, content)
}
