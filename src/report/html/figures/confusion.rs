//! The confusion matrix; of many labels, a list of the pairs that are confused most.

use maud::{Markup, html};

use crate::console::units;
use crate::report::html::text::{label, percent, shown};
use crate::report::outcomes::Outcomes;

/// Matrices of more labels serve nobody on a page; their largest confusions are listed.
const LARGEST_MATRIX: usize = 30;
/// The names of columns lie when there are at most so many of at most so many characters, and stand otherwise.
const LYING_NAMES: (usize, usize) = (6, 14);
const MOST_CONFUSIONS: usize = 20;

/// The rows of one label that are predicted as another.
#[derive(Debug, PartialEq)]
pub struct Confusion {
    pub truth: usize,
    pub predicted: usize,
    pub rows: u64,
    /// Rows that have the true label.
    pub support: u64,
}

impl Confusion {
    /// The share of the rows that have the true label.
    pub fn share(&self) -> f64 {
        self.rows as f64 / self.support.max(1) as f64
    }
}

/// The pairs of labels that are confused, the most frequent first.
pub fn confusions(predictions: &Outcomes) -> Vec<Confusion> {
    let mut counts = std::collections::BTreeMap::<(u32, u32), u64>::new();
    let mut support = std::collections::BTreeMap::<u32, u64>::new();
    for (&truth, &predicted) in predictions.truth.iter().zip(&predictions.predicted) {
        *support.entry(truth).or_default() += 1;
        if truth != predicted {
            *counts.entry((truth, predicted)).or_default() += 1;
        }
    }
    let mut found: Vec<Confusion> = counts
        .into_iter()
        .map(|((truth, predicted), rows)| Confusion {
            truth: truth as usize,
            predicted: predicted as usize,
            rows,
            support: support.get(&truth).copied().unwrap_or(0),
        })
        .collect();
    found.sort_by_key(|confusion| std::cmp::Reverse(confusion.rows));
    found
}

/// The matrix as a heat map; of many labels the most frequent confusions as a table.
pub fn confusion(matrix: &[Vec<u64>], labels: &[String], predictions: &Outcomes) -> Markup {
    match matrix.len() {
        1..=LARGEST_MATRIX => self::matrix(matrix, labels),
        _ => most_frequent(labels, predictions),
    }
}

fn matrix(matrix: &[Vec<u64>], labels: &[String]) -> Markup {
    let name = |index: usize| shown(labels.get(index).map_or("?", String::as_str));
    let short = labels.iter().all(|label| label.chars().count() <= LYING_NAMES.1);
    let few = matrix.len() <= LYING_NAMES.0 && short;
    html! {
        div.scroll {
            table.matrix.few[few] {
                thead {
                    tr {
                        td style="background:none" {}
                        @for column in 0..matrix.len() {
                            th scope="col" title=(name(column)) {
                                @if few { (label(&name(column))) } @else { div.standing { bdi { (name(column)) } } }
                            }
                        }
                    }
                }
                tbody {
                    @for (truth, row) in matrix.iter().enumerate() {
                        @let support = row.iter().sum::<u64>();
                        tr {
                            th scope="row" title=(name(truth)) {
                                (label(&name(truth)))
                            }
                            @for (predicted, &rows) in row.iter().enumerate() {
                                (cell((truth, predicted), rows, support, &name))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell((truth, predicted): (usize, usize), rows: u64, support: u64, name: &dyn Fn(usize) -> String) -> Markup {
    let share = rows as f64 / support.max(1) as f64;
    // Confusions are few beside the correct predictions: the square root of their share keeps them visible.
    let (class, shade) = match (rows, truth == predicted) {
        (0, _) => ("none", None),
        (_, true) => ("right", Some(share)),
        (_, false) => ("wrong", Some(share.sqrt())),
    };
    let tip = format!(
        "{} of {} rows of “{}” predicted as “{}”: {}",
        rows,
        support,
        name(truth),
        name(predicted),
        percent(share)
    );
    html! {
        td class=(class) style=[shade.map(|shade| format!("--shade:{shade:.3}"))] title=(tip) {
            @if rows == 0 { "·" } @else { (units::count(rows)) }
        }
    }
}

fn most_frequent(labels: &[String], predictions: &Outcomes) -> Markup {
    let found = confusions(predictions);
    if found.is_empty() {
        return html! { p { "Every row is predicted correctly." } };
    }
    let name = |index: usize| label(labels.get(index).map_or("?", String::as_str));
    html! {
        table.full {
            caption {
                "The most frequent of the " (units::count(found.len() as u64)) " pairs of labels that are confused."
            }
            thead {
                tr {
                    th.word scope="col" { "true label" } th.word scope="col" { "predicted as" }
                    th scope="col" { "rows" } th scope="col" { "share of the true label" }
                }
            }
            tbody {
                @for confusion in found.iter().take(MOST_CONFUSIONS) {
                    tr {
                        td.word { (name(confusion.truth)) }
                        td.word { (name(confusion.predicted)) }
                        td { (units::count(confusion.rows)) }
                        td { (percent(confusion.share())) }
                    }
                }
            }
        }
    }
}

/// How to read the matrix or the list in its place.
pub fn confusion_note(labels: usize) -> Markup {
    html! {
        @if labels <= LARGEST_MATRIX {
            p { "Rows: the true label. Columns: the predicted one." }
            p {
                span.key style="background:var(--good)" {} "correct, " span.key style="background:var(--bad)" {}
                "wrong. The stronger the shade, the greater the share of the true label’s rows."
            }
        } @else {
            p { "Labels that are often confused may need clearer examples, or may really be one label." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions() -> Outcomes {
        Outcomes::new(&[0, 0, 0, 1, 1, 2], &[0, 1, 1, 1, 0, 2], &[0.9, 0.8, 0.6, 0.7, 0.55, 1.0])
    }

    #[test]
    fn confusions_are_listed_most_frequent_first() {
        let found = confusions(&predictions());
        assert_eq!(
            found,
            [
                Confusion { truth: 0, predicted: 1, rows: 2, support: 3 },
                Confusion { truth: 1, predicted: 0, rows: 1, support: 2 },
            ]
        );
    }

    #[test]
    fn few_labels_are_a_matrix_and_many_a_list() {
        let labels = ["a", "b", "<c>"].map(str::to_owned);
        let matrix = vec![vec![1, 2, 0], vec![1, 1, 0], vec![0, 0, 1]];
        let drawn = confusion(&matrix, &labels, &predictions()).into_string();
        assert!(
            drawn.contains("2 of 3 rows of “a” predicted as “b”: 66.7\u{202f}%") && drawn.contains("&lt;c&gt;"),
            "{drawn}"
        );
        // Thirty still are a matrix, with every name at its row and at its column.
        let names: Vec<String> = (0..30).map(|class| format!("class_{class}")).collect();
        let drawn = confusion(&vec![vec![1; 30]; 30], &names, &predictions()).into_string();
        assert!(drawn.matches("<th scope=\"col\" title=\"class_29\"><div class=\"standing\">").count() == 1, "{drawn}");
        let many: Vec<String> = (0..50).map(|class| format!("class {class}")).collect();
        let drawn = confusion(&vec![vec![0; 50]; 50], &many, &predictions()).into_string();
        assert!(drawn.contains("class 1") && !drawn.contains("class 40"), "{drawn}");
        // Beyond the largest matrix that is kept there is none at all.
        assert!(confusion(&[], &many, &predictions()).into_string().contains("predicted as"));
    }
}
