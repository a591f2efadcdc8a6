//! How an [`Classification`] is shown to people: one line of scores, then a table by label.

use std::fmt;

use crate::console::table::{Column, Table};
use crate::console::units;
use crate::evaluation::{ClassScores, Classification};

/// More labels than this are not all shown: the worst are.
pub const MOST_CLASSES_SHOWN: usize = 20;

const WIDEST_LABEL: usize = 40;

impl Classification {
    /// What should be known before the scores are trusted: that every row gets the same label, though several are
    /// right.
    pub fn warning(&self) -> Option<String> {
        let only = self.only_answer()?;
        let share = units::percent(self.accuracy);
        Some(format!(
            "every row gets `{only}`: the {share} that are correct are this label's rows, and the network separates \
             nothing"
        ))
    }

    /// `Accuracy on 210 test rows: 0.781 (95 % interval 0.72 to 0.83), macro-F1 0.774`. `split`: `test`, `validation`,
    /// or nothing.
    pub fn sentence(&self, split: &str) -> String {
        let interval = self.accuracy_interval();
        let noun = if split.is_empty() { "row".to_owned() } else { format!("{split} row") };
        format!(
            "Accuracy on {}: {:.3} (95 % interval {:.2} to {:.2}), macro-F1 {:.3}",
            units::counted(self.rows, &noun),
            self.accuracy,
            interval.low,
            interval.high,
            self.macro_f1
        )
    }

    /// `accuracy 0.887 (95 % 0.872 to 0.901), macro-F1 0.886, loss 0.312, calibration error 0.041, 1,821 rows`.
    pub fn summary(&self) -> String {
        format!(
            "accuracy {:.3} (95 % {}), macro-F1 {:.3}, loss {:.3}, calibration error {:.3}, {}",
            self.accuracy,
            self.accuracy_interval(),
            self.macro_f1,
            self.loss,
            self.ece,
            units::counted(self.rows, "row")
        )
    }
}

/// The scores that a line of headlines has no room for, each with its name: `Matthews correlation 0.562`. What the data
/// leave undefined says why. Empty for files of versions that did not have them.
pub fn further(evaluation: &Classification) -> Vec<String> {
    let Classification { mcc, roc_auc, average_precision, top3_accuracy, top5_accuracy, per_class, .. } = evaluation;
    let (area, precision) = match per_class.as_slice() {
        [_, (second, _)] => ("area under ROC", format!("average precision of `{second}`")),
        _ => ("macro area under ROC", "macro average precision".to_owned()),
    };
    let number = |name: &str, score: &Option<f64>| score.map(|score| format!("{name} {score:.3}"));
    let mut further: Vec<String> = [
        number("Matthews correlation", mcc),
        number(area, roc_auc),
        number(&precision, average_precision),
        number("top-3 accuracy", top3_accuracy),
        number("top-5 accuracy", top5_accuracy),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut absent = per_class.iter().filter(|(_, scores)| scores.support == 0).map(|(label, _)| label);
    if let (Some(first), true) = (absent.next(), mcc.is_some()) {
        let more = match absent.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        further.push(format!("area under ROC and average precision undefined (no rows of `{first}`{more})"));
    }
    further
}

/// The summary, the further scores and the table by label.
impl fmt::Display for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let further = further(self).join(", ");
        let separator = if further.is_empty() { "" } else { "\n" };
        write!(f, "{}{separator}{further}\n{}", self.summary(), table(self, false))
    }
}

/// Precision, recall and F1 by label, in label order; of many labels those with the lowest F1, worst first. With
/// `bars`, for a terminal, each F1 is drawn too.
pub fn table(evaluation: &Classification, bars: bool) -> String {
    let row = |(label, scores): &(String, ClassScores)| LabelRow {
        label: label.clone(),
        scores: scores.clone(),
        threshold: None,
    };
    label_table(evaluation.per_class.iter().map(row).collect(), bars)
}

/// A row of the table by label.
pub(super) struct LabelRow {
    pub label: String,
    pub scores: ClassScores,
    /// The least probability at which the label is given, where labels have one; then all rows of a table have.
    pub threshold: Option<f64>,
}

pub(super) fn label_table(mut shown: Vec<LabelRow>, bars: bool) -> String {
    let omitted = shown.len().saturating_sub(MOST_CLASSES_SHOWN);
    if omitted > 0 {
        // Labels without rows have an F1 of 0 because there is nothing to predict, and come last.
        let is_without = |row: &LabelRow| row.scores.support == 0;
        shown.sort_by(|a, b| is_without(a).cmp(&is_without(b)).then(a.scores.f1.total_cmp(&b.scores.f1)));
        shown.truncate(MOST_CLASSES_SHOWN);
    }
    let columns = [
        Column::left("label").at_most(WIDEST_LABEL),
        Column::right("precision"),
        Column::right("recall"),
        Column::right("F1"),
        Column::right("rows"),
    ];
    let threshold = shown.iter().any(|row| row.threshold.is_some()).then(|| Column::right("threshold"));
    let mut table = Table::new(columns.into_iter().chain(threshold).chain(bars.then(|| Column::left(""))));
    for LabelRow { label, scores, threshold } in shown {
        let ratios = [scores.precision, scores.recall, scores.f1].map(|ratio| format!("{ratio:.3}"));
        let [precision, recall, f1] = ratios;
        let threshold = threshold.map(|threshold| format!("{threshold:.3}"));
        let cells = [label, precision, recall, f1, units::count(scores.support)].into_iter().chain(threshold);
        table.row(cells.chain([units::bar(scores.f1, 20)]));
    }
    let mut text = table.to_string();
    if omitted > 0 {
        text += &format!("\n… and {omitted} labels with a higher F1 or without rows (all are in metrics.json)");
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::evaluation::evaluate;

    #[test]
    fn scores_stand_in_label_order() {
        let labels = ["yes", "no"].map(str::to_owned);
        let shown = evaluate(&[3.0, 1.0, 1.0, 0.5, 0.0, 2.0, 0.0, 2.0], &[0, 0, 1, 0], &labels).unwrap().to_string();
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[0].starts_with("accuracy 0.750 (95 % 0.301 to 0.954), macro-F1 0.733, loss "), "{shown}");
        assert_eq!(
            lines[1..],
            [
                "Matthews correlation 0.577, area under ROC 0.833, average precision of `no` 0.500",
                "label  precision  recall     F1  rows",
                "yes        1.000   0.667  0.800     3",
                "no         0.500   1.000  0.667     1",
            ]
        );
    }

    #[test]
    fn a_terminal_gets_bars_and_a_sentence() {
        let labels = ["yes", "no"].map(str::to_owned);
        let evaluation = evaluate(&[3.0, 1.0, 1.0, 0.5, 0.0, 2.0, 0.0, 2.0], &[0, 0, 1, 0], &labels).unwrap();
        assert_eq!(
            evaluation.sentence("test"),
            "Accuracy on 4 test rows: 0.750 (95 % interval 0.30 to 0.95), macro-F1 0.733"
        );
        let drawn = super::table(&evaluation, true);
        assert!(drawn.lines().nth(1).unwrap().ends_with("3  ████████████████"), "{drawn}");
    }

    #[test]
    fn of_many_labels_the_worst_are_shown() {
        let labels: Vec<String> = (0..30).map(|label| format!("label {label}")).collect();
        let mut logits = vec![0.0; 29 * 30];
        for row in 0..29 {
            logits[row * 30 + if row == 17 { 3 } else { row }] = 1.0;
        }
        let shown = evaluate(&logits, &(0..29).collect::<Vec<_>>(), &labels).unwrap().to_string();
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[1].ends_with("undefined (no rows of `label 29`)"), "{shown}");
        assert!(lines[3].starts_with("label 17 ") && lines[4].starts_with("label 3 "), "{shown}");
        assert_eq!(lines.len(), 1 + 1 + 1 + 20 + 1);
        assert!(lines[23].starts_with("… and 10 labels"));
        assert!(lines[2..].iter().all(|line| !line.contains("label 29")));
    }
}
