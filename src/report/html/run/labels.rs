//! Precision, recall and F1 by label.

use maud::{Markup, html};

use super::view::SplitView;
use crate::console::units;
use crate::evaluation::{ClassScores, wilson};
use crate::report::html::page::section;
use crate::report::html::plot::{Scale, Strip, Unit};
use crate::report::html::text::{label, percent, percent_bare, percent_range};

/// Labels shown at once; the others are to be opened.
const LABELS_SHOWN: usize = 12;

pub(super) fn labels(scored: &SplitView, prefix: &str) -> Markup {
    let mut classes: Vec<&(String, ClassScores)> = scored.split.evaluation.per_class.iter().collect();
    // Labels without rows have an F1 of 0 because there is nothing to predict, and come last.
    classes.sort_by(|(_, a), (_, b)| (a.support == 0).cmp(&(b.support == 0)).then(a.f1.total_cmp(&b.f1)));
    let (shown, more) = classes.split_at(if classes.len() > LABELS_SHOWN + 3 { LABELS_SHOWN } else { classes.len() });
    let note = html! {
        p {
            "By F1, the worst first. Precision: the share of the rows predicted as this label that have it. Recall: "
            "the share of the rows with this label that are predicted as such."
        }
        p { "In the plot: recall as a dot with its 95\u{202f}% interval, precision as a ring." }
    };
    let content = html! {
        (class_table(shown))
        @if !more.is_empty() {
            details {
                summary { "The other " (more.len()) " labels" }
                (class_table(more))
            }
        }
    };
    section(&format!("{prefix}labels"), "By label", note, content)
}

fn class_table(classes: &[&(String, ClassScores)]) -> Markup {
    html! {
        table.full {
            thead {
                tr {
                    th.word scope="col" { "label" } th scope="col" { "rows" } th.hide-narrow scope="col" { "precision" }
                    th.hide-narrow scope="col" { "recall" } th scope="col" { "F1" }
                    th.draw scope="col" { span { "0" } span { "50" } span { "100 %" } }
                }
            }
            tbody {
                @for (name, scores) in classes {
                    tr {
                        td.word { (label(name)) }
                        td { (units::count(scores.support)) }
                        td.hide-narrow { (percent_bare(scores.precision)) }
                        td.hide-narrow { (percent_bare(scores.recall)) }
                        td { (percent_bare(scores.f1)) }
                        td.draw { (class_strip(scores)) }
                    }
                }
            }
        }
    }
}

fn class_strip(scores: &ClassScores) -> Markup {
    let recalled = (scores.recall * scores.support as f64).round() as u64;
    let interval = wilson(recalled, scores.support);
    let strip = Strip::new(Scale::new(0.0, 1.0, Unit::Percent));
    let text = format!(
        "precision {}, recall {}, interval {}",
        percent(scores.precision),
        percent(scores.recall),
        percent_range(interval)
    );
    match scores.support {
        0 => strip.finish("no rows"),
        _ => strip
            .interval("c0", interval.low, interval.high)
            .dot("c0 hollow", scores.precision)
            .dot("c0", scores.recall)
            .finish(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Modality;
    use crate::evaluation::evaluate;
    use crate::report::html::run::ScoredSplit;

    #[test]
    fn of_many_labels_the_worst_stand_first() {
        let labels: Vec<String> = (0..30).map(|label| format!("l{label}")).collect();
        let truth: Vec<u32> = (0..30).collect();
        let probabilities: Vec<f32> =
            (0..900).map(|at| f32::from(u8::from(at / 30 == at % 30 || (at / 30 == 9 && at % 30 < 9)))).collect();
        let evaluation = evaluate(&probabilities, &truth, &labels).unwrap();
        let split = ScoredSplit {
            name: "test",
            evaluation: &evaluation,
            truth: &truth,
            probabilities: &probabilities,
            texts: &[],
            modality: Modality::Text,
            origins: &[],
        };
        let drawn = self::labels(&SplitView::of(&split), "").into_string();
        let (shown, more) = drawn.split_once("<summary>The other 18 labels").unwrap();
        assert!(shown.contains(">l9<") && shown.contains(">l0<") && more.contains(">l29<"), "{drawn}");
    }
}
