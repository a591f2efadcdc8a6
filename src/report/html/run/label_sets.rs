//! The sections of a run whose rows may have several labels: how good it is, each label with its threshold, and the
//! rows whose labels it finds the least probable.

use maud::{Markup, html};

use super::examples::{MOST_ROWS, rows};
use super::view::{FEW_ROWS, content, origin};
use crate::console::units::{self, counted};
use crate::data::Modality;
use crate::evaluation::multi_label::LabelScores;
use crate::report::ScoredSets;
use crate::report::html::page::section;
use crate::report::html::plot::{Scale, Strip, Unit};
use crate::report::html::text::{capitalised, label, percent, percent_bare, percent_range, shown};

/// Labels shown at once; the others are to be opened.
const LABELS_SHOWN: usize = 12;

/// The scores of a split. `costs`: what the training took, where it is known.
pub(super) fn headline(scored: &ScoredSets, costs: Markup) -> Markup {
    let evaluation = scored.evaluation;
    html! {
        dl.tiles {
            div.wide {
                dt { (capitalised(scored.called())) " micro-F1" }
                dd.value { (percent(evaluation.micro_f1)) }
                @if let Some(interval) = evaluation.micro_f1_interval {
                    dd { "95\u{202f}% interval " (percent_range(interval)) }
                    dd {
                        (Strip::new(Scale::new(0.0, 1.0, Unit::Percent))
                            .interval("c0 wide", interval.low, interval.high)
                            .rule("c0 strong", evaluation.micro_f1)
                            .finish(&format!("micro-F1 {}", percent(evaluation.micro_f1))))
                    }
                }
            }
            div {
                dt { "Macro-F1" }
                dd.value { (percent(evaluation.macro_f1)) }
                dd { "mean over the labels" }
            }
            div {
                dt { "Exact match" }
                dd.value { (percent(evaluation.exact_match)) }
                dd { "rows that are given exactly their labels" }
            }
            @if let Some(precision) = evaluation.mean_average_precision {
                div {
                    dt { "Mean average precision" }
                    dd.value { (percent(precision)) }
                    dd { "at all thresholds" }
                }
            }
        }
        p.lead {
            (counted(evaluation.rows, "row")) " of the " (scored.called()) " data have "
            (format!("{:.2}", evaluation.labels_per_row)) " labels on average and are given "
            (format!("{:.2}", evaluation.given_per_row)) ". Of the labels given, " (percent(evaluation.micro_precision))
            " are right; of those that the rows have, " (percent(evaluation.micro_recall)) " are given. Mean over the "
            "rows of each one's F1: " (percent(evaluation.sample_f1)) "; loss (binary cross-entropy, mean per row and "
            "label): " (format!("{:.3}", evaluation.loss)) "."
        }
        @if let Some(seen) = scored.seen { p { b { (shown(&capitalised(&seen.warning))) "." } } }
        @if scored.chose_thresholds {
            p {
                "The labels' thresholds were chosen on these rows, and so were the weights that were kept: the scores "
                "at these thresholds are optimistic."
            }
        }
        @if evaluation.rows < FEW_ROWS {
            p { "With so few rows every score on this page is rough: look at the interval." }
        }
        (costs)
    }
}

/// The scores of the other splits, a line each.
pub(super) fn others(others: &[&ScoredSets]) -> Markup {
    html! {
        @for scored in others {
            p { (capitalised(scored.called())) " data: " (scored.evaluation.summary()) "." }
        }
    }
}

/// Every label with its scores and threshold.
pub(super) fn labels(scored: &ScoredSets, prefix: &str) -> Markup {
    let mut all: Vec<&(String, LabelScores)> = scored.evaluation.per_label.iter().collect();
    // Labels without rows have an F1 of 0 because there is nothing to predict, and come last.
    let is_without = |scores: &LabelScores| scores.scores.support == 0;
    all.sort_by(|(_, a), (_, b)| is_without(a).cmp(&is_without(b)).then(a.scores.f1.total_cmp(&b.scores.f1)));
    let (shown, more) = all.split_at(if all.len() > LABELS_SHOWN + 3 { LABELS_SHOWN } else { all.len() });
    let note = html! {
        p {
            "By F1, the worst first. A row is given a label whose probability reaches the label's threshold. "
            "Precision: the share of the rows given the label that have it. Recall: the share of the rows with the "
            "label that are given it. Average precision says how well the label is told at all thresholds."
        }
    };
    let content = html! {
        (table(shown))
        @if !more.is_empty() {
            details {
                summary { "The other " (more.len()) " labels" }
                (table(more))
            }
        }
    };
    section(&format!("{prefix}labels"), "By label", note, content)
}

fn table(labels: &[&(String, LabelScores)]) -> Markup {
    html! {
        table.full {
            thead {
                tr {
                    th.word scope="col" { "label" } th scope="col" { "rows" } th scope="col" { "threshold" }
                    th.hide-narrow scope="col" { "precision" } th.hide-narrow scope="col" { "recall" }
                    th scope="col" { "F1" } th.hide-narrow scope="col" { "average precision" }
                }
            }
            tbody {
                @for (name, of) in labels {
                    tr {
                        td.word { (label(name)) }
                        td { (units::count(of.scores.support)) }
                        td { (format!("{:.3}", of.threshold)) }
                        td.hide-narrow { (percent_bare(of.scores.precision)) }
                        td.hide-narrow { (percent_bare(of.scores.recall)) }
                        td { (percent_bare(of.scores.f1)) }
                        td.hide-narrow { (of.average_precision.map_or(String::new(), percent_bare)) }
                    }
                }
            }
        }
    }
}

/// The rows that are given other labels than they have, the least probable ones first.
pub(super) fn mistakes(scored: &ScoredSets, prefix: &str) -> Markup {
    let wrong = scored.predictions.mistakes();
    let content = html! {
        @if wrong.is_empty() {
            p { "Every row is given exactly its labels." }
        } @else {
            p {
                (counted(wrong.len() as u64, "row"))
                @if wrong.len() == 1 { " is" } @else { " are" } " given other labels than "
                @if wrong.len() == 1 { "it has" } @else { "they have" }
                @if wrong.len() > MOST_ROWS { "; these are the " (MOST_ROWS) " with the least probable labels" } "."
                @if prefix.is_empty() { " All are in " code { "predictions/mistakes.csv" } "." }
            }
            (rows(scored.modality, &wrong, |&row| mistake(scored, row, prefix)))
        }
    };
    let kind = if scored.modality == Modality::Image { "image" } else { "text" };
    let note = html! {
        p {
            "Labels that a row has and is not given are marked as missed, those that it is given and does not have as "
            "too many, each with its probability."
        }
        p { "Look for a pattern: a kind of " (kind) " that is missing from the training data, or labels that overlap." }
    };
    section(&format!("{prefix}mistakes"), "The least expected labels", note, content)
}

fn mistake(scored: &ScoredSets, row: usize, prefix: &str) -> Markup {
    let of = |sets: &[Vec<u32>]| sets.get(row).cloned().unwrap_or_default();
    let (truth, given) = (of(&scored.predictions.truth), of(&scored.predictions.given));
    let name = |index: &u32| label(scored.evaluation.labels.get(*index as usize).map_or("?", String::as_str));
    let probability = |index: &u32| {
        let probabilities = scored.predictions.row(row).unwrap_or_default();
        percent(f64::from(probabilities.get(*index as usize).copied().unwrap_or(f32::NAN)))
    };
    let with = |labels: Vec<&u32>| {
        html! { @for label in labels { " " (name(label)) " (" (probability(label)) ")" } }
    };
    let missed: Vec<&u32> = truth.iter().filter(|label| !given.contains(label)).collect();
    let too_many: Vec<&u32> = given.iter().filter(|label| !truth.contains(label)).collect();
    let right: Vec<&u32> = given.iter().filter(|label| truth.contains(label)).collect();
    html! {
        p {
            @if !missed.is_empty() { span { b { "missed" } (with(missed)) } }
            @if !too_many.is_empty() { span { b { "too many" } (with(too_many)) } }
            @if !right.is_empty() { span { "right" (with(right)) } }
            (origin(scored.origins, row))
        }
        (content(scored.texts.get(row), scored.modality, row, &format!("{prefix}mistake-{row}")))
    }
}
