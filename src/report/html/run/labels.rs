//! Precision, recall and F1 by label.

use maud::{Markup, html};

use super::view::SplitView;
use crate::console::units;
use crate::evaluation::{ClassScores, wilson};
use crate::report::html::figures::precision_recall;
use crate::report::html::page::section;
use crate::report::html::plot::{Scale, Strip, Unit};
use crate::report::html::text::{label, percent, percent_bare, percent_range};

/// Labels shown at once; the others are to be opened.
const LABELS_SHOWN: usize = 12;
/// Labels with fewer rows are rare: they stand by themselves.
const FEWEST_ROWS: u64 = 5;

pub(super) fn labels(scored: &SplitView, prefix: &str) -> Markup {
    let mut classes: Vec<&(String, ClassScores)> = scored.split.evaluation.per_class.iter().collect();
    // Labels without rows have an F1 of 0 because there is nothing to predict, and come last.
    classes.sort_by(|(_, a), (_, b)| (a.support == 0).cmp(&(b.support == 0)).then(a.f1.total_cmp(&b.f1)));
    let rare = |class: &&(String, ClassScores)| class.1.support < FEWEST_ROWS;
    let folds = classes.iter().any(|class| !rare(class)) && classes.iter().filter(|class| rare(class)).count() > 1;
    let (few, classes): (Vec<_>, Vec<_>) = classes.into_iter().partition(|class| folds && rare(class));
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
        @if !few.is_empty() {
            details {
                summary { (few.len()) " rare labels, with fewer than " (FEWEST_ROWS) " rows here" }
                p.soft { "So few rows say little about a label: one more or less would change its scores a lot." }
                (class_table(&few))
            }
        }
        @if let [_, _] = scored.labels.as_slice() {
            div.figures.one {
                (precision_recall(scored.split.truth, scored.split.probabilities, &scored.labels))
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
    use crate::report::ScoredSplit;

    /// The section for rows of these labels, predicted with these probabilities.
    fn drawn(classes: usize, truth: &[u32], probabilities: &[f32]) -> String {
        let labels: Vec<String> = (0..classes).map(|label| format!("l{label}")).collect();
        let evaluation = evaluate(probabilities, truth, &labels).unwrap();
        let (texts, modality, origins) = (&[], Modality::Text, &[]);
        let split = ScoredSplit {
            name: "test",
            evaluation: &evaluation,
            truth,
            probabilities,
            texts,
            modality,
            origins,
            seen: None,
            explained: None,
        };
        self::labels(&SplitView::of(&split), "").into_string()
    }

    #[test]
    fn of_many_labels_the_worst_stand_first() {
        let truth: Vec<u32> = (0..150).map(|row| row % 30).collect();
        let probabilities: Vec<f32> = (0..4500)
            .map(|at| (at / 30 % 30, at % 30))
            .map(|(row, class)| f32::from(u8::from(row == class || (row == 9 && class < 9))))
            .collect();
        let drawn = drawn(30, &truth, &probabilities);
        let (shown, more) = drawn.split_once("<summary>The other 18 labels").unwrap();
        assert!(!drawn.contains("rare labels"));
        assert!(shown.contains(">l9<") && shown.contains(">l0<") && more.contains(">l29<"), "{drawn}");
    }

    #[test]
    fn rare_labels_stand_by_themselves_and_two_labels_have_a_curve() {
        let truth = [0, 0, 0, 0, 0, 1, 2];
        let certain = |classes: usize| -> Vec<f32> {
            truth.iter().flat_map(|&label| (0..classes).map(move |class| f32::from(u8::from(class == label)))).collect()
        };
        let three = drawn(3, &truth.map(|label| label as u32), &certain(3));
        let (shown, rare) = three.split_once("<summary>2 rare labels, with fewer than 5 rows here").unwrap();
        assert!(shown.contains(">l0<") && !shown.contains(">l1<") && rare.contains(">l1<") && rare.contains(">l2<"));
        assert!(!three.contains("Precision against recall"));
        let two = drawn(2, &[0, 0, 1], &[0.9, 0.1, 0.4, 0.6, 0.2, 0.8]);
        assert!(two.contains("Precision against recall") && two.contains("average precision 100.0"), "{two}");
    }
}
