//! How good the network is, how sure one can be of that, and what it cost.

use maud::{Markup, html};

use super::folds::folds;
use super::label_sets;
use super::view::{FEW_ROWS, RunReport, SplitView};
use crate::console::units::{self, counted};
use crate::evaluation::{Classification, Interval};
use crate::report::evaluation::further;
use crate::report::html::page::section;
use crate::report::html::plot::{Scale, Strip, Unit};
use crate::report::html::text::{capitalised, label, percent, percent_range, quoted, shown};
use crate::report::{RunMetrics, ScoredSets};

pub(super) fn result(report: &RunReport, main: Option<&SplitView>, others: &[&SplitView]) -> Markup {
    let note = html! {
        @if main.is_some() || !report.sets.is_empty() {
            p {
                "The 95\u{202f}% interval shows how much the score depends on which rows were drawn: the score on many "
                "more rows like these probably lies within it. Training again with another seed adds variation of its "
                "own."
            }
        }
    };
    let content = html! {
        @match (main, of_sets(report)) {
            (Some(main), _) => { (headline(Some(report.metrics), main)) },
            (None, Some((main, others))) => {
                (label_sets::headline(main, costs(report.metrics)))
                (label_sets::others(&others))
            },
            (None, None) => { p.lead { "Nothing was evaluated." } (costs(report.metrics)) },
        }
        @if !others.is_empty() { (splits(main.into_iter().chain(others.iter().copied()))) }
        @if let Some(scores) = &report.metrics.folds { (folds(scores)) }
        @if let Some(said) = report.metrics.refitted() { p { (shown(&capitalised(&said))) "." } }
    };
    section("result", "Result", note, content)
}

/// The split that judges, where rows may have several labels, and the others.
pub(super) fn of_sets<'a>(report: &'a RunReport) -> Option<(&'a ScoredSets<'a>, Vec<&'a ScoredSets<'a>>)> {
    let first = report.sets.iter().position(|scored| scored.name == "test").unwrap_or(0);
    let main = report.sets.get(first)?;
    Some((main, report.sets.iter().enumerate().filter(|(index, _)| *index != first).map(|(_, other)| other).collect()))
}

pub(super) fn headline(metrics: Option<&RunMetrics>, main: &SplitView) -> Markup {
    let evaluation = main.split.evaluation;
    let (interval, rows) = (evaluation.accuracy_interval(), evaluation.rows);
    let right = (evaluation.accuracy * rows as f64).round() as u64;
    let majority = evaluation.majority();
    html! {
        dl.tiles {
            div.wide {
                dt { (capitalised(main.split.called())) " accuracy" }
                dd.value { (percent(evaluation.accuracy)) }
                dd { "95\u{202f}% interval " (percent_range(interval)) }
                dd { (headline_strip(evaluation.accuracy, interval, majority.map(|(_, share)| share))) }
            }
            div {
                dt { "Macro-F1" }
                dd.value { (percent(evaluation.macro_f1)) }
                @if let Some(interval) = evaluation.macro_f1_interval { dd { (percent_range(interval)) } }
                dd { "mean over the labels" }
            }
            div {
                dt { "Calibration error" }
                dd.value { (percent(evaluation.ece)) }
                dd { "expected gap between confidence and accuracy" }
                @if let Some(before) = evaluation.ece_before {
                    dd { (percent(before)) " before temperature scaling" }
                }
            }
            div {
                dt { "Loss" }
                dd.value { (format!("{:.3}", evaluation.loss)) }
                dd { "cross-entropy, mean per row" }
            }
        }
        p.lead {
            "Of " (counted(rows, "row")) " of the " (main.split.called()) " data "
            @if right == rows { "all " } @else { (units::count(right)) " " }
            (if right == 1 { "was" } else { "were" }) " predicted correctly. "
            @if let Some((name, share)) = majority {
                "Always predicting " (label(name)) ", the most frequent label (the grey mark), would be correct for "
                (percent(share))
                @if interval.low > share { "." }
                @else { ": these rows do not show that the network does better than that." }
            }
        }
        @if let Some(seen) = main.split.seen { p { b { (shown(&capitalised(&seen.warning))) "." } } }
        (further_scores(evaluation))
        @if main.split.name == "valid" && metrics.is_none_or(|metrics| metrics.refit.is_none()) {
            p {
                "There were no test data. The validation data also served to choose the weights that were kept, "
                "so the score on them is slightly optimistic."
            }
        }
        @if rows < FEW_ROWS {
            p { "With so few rows every score on this page is rough: look at the intervals." }
        }
        @if let Some(metrics) = metrics { (costs(metrics)) }
    }
}

/// On one line, or a few on a narrow page.
fn further_scores(evaluation: &Classification) -> Markup {
    let further = further(evaluation);
    html! {
        @if !further.is_empty() {
            p.facts {
                @for (index, score) in further.iter().enumerate() {
                    @if index > 0 { " · " }
                    (quoted(&capitalised(score)))
                }
            }
        }
    }
}

/// The accuracy on the whole scale, with what the most frequent label alone would reach.
fn headline_strip(accuracy: f64, interval: Interval, majority: Option<f64>) -> Markup {
    let mut strip = Strip::new(Scale::new(0.0, 1.0, Unit::Percent)).interval("c0 wide", interval.low, interval.high);
    strip = strip.rule("c0 strong", accuracy);
    if let Some(share) = majority {
        strip = strip.rule("quiet", share);
    }
    let text =
        format!("On a scale from 0 to 100 per cent: {}, interval {}", percent(accuracy), percent_range(interval));
    strip.finish(&text)
}

pub(super) fn costs(metrics: &RunMetrics) -> Markup {
    html! {
        p.facts {
            span { "Trained in " (units::seconds(metrics.train_seconds)) }
            @if let Some(rate) = metrics.tokens_per_second { " · " span { (units::rate(rate, "tokens")) } }
            " · " span {
                (units::count(metrics.trainable_parameters)) " of " (units::count(metrics.total_parameters))
                " parameters trained"
            }
            " · " span { "peak memory of the process " (units::bytes(metrics.peak_memory_bytes)) }
        }
    }
}

fn splits<'a>(scored: impl Iterator<Item = &'a SplitView<'a>>) -> Markup {
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        th.word scope="col" { "data" } th scope="col" { "rows" } th scope="col" { "accuracy" }
                        th.word.hide-narrow scope="col" { "95\u{202f}% interval" } th scope="col" { "macro-F1" }
                        th scope="col" { "calibration error" } th scope="col" { "loss" }
                    }
                }
                tbody {
                    @for scored in scored {
                        @let evaluation = scored.split.evaluation;
                        tr {
                            td.word { (scored.split.called()) }
                            td { (units::count(evaluation.rows)) }
                            @let interval = percent_range(evaluation.accuracy_interval());
                            td { (percent(evaluation.accuracy)) span.interval.only-narrow { (interval) } }
                            td.word.hide-narrow { span.interval { (interval) } }
                            td { (percent(evaluation.macro_f1)) }
                            td { (percent(evaluation.ece)) }
                            td { (format!("{:.3}", evaluation.loss)) }
                        }
                    }
                }
            }
        }
    }
}
