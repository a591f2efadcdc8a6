//! How the scores of multi-label classification are shown to people, and those of any task by the task's own words.

use std::fmt;

use super::evaluation::{LabelRow, further, label_table, table};
use crate::console::units;
use crate::evaluation::{Evaluation, MultiLabel};

impl Evaluation {
    /// What should be known before the scores are trusted.
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::SingleLabel(scores) => scores.warning(),
            Self::MultiLabel(scores) => scores.warning(),
            Self::Regression(scores) => scores.warning(),
        }
    }

    /// The main scores in a sentence. `split`: `test`, `validation`, or nothing.
    pub fn sentence(&self, split: &str) -> String {
        match self {
            Self::SingleLabel(scores) => scores.sentence(split),
            Self::MultiLabel(scores) => scores.sentence(split),
            Self::Regression(scores) => scores.sentence(split),
        }
    }

    /// The main scores in a line.
    pub fn summary(&self) -> String {
        match self {
            Self::SingleLabel(scores) => scores.summary(),
            Self::MultiLabel(scores) => scores.summary(),
            Self::Regression(scores) => scores.summary(),
        }
    }

    /// The scores that a line of headlines has no room for, each with its name.
    pub fn further(&self) -> Vec<String> {
        match self {
            Self::SingleLabel(scores) => further(scores),
            Self::MultiLabel(scores) => scores.further(),
            Self::Regression(scores) => scores.further(),
        }
    }

    /// Scores by label. With `bars`, for a terminal, each F1 is drawn too.
    pub fn table(&self, bars: bool) -> String {
        match self {
            Self::SingleLabel(scores) => table(scores, bars),
            Self::MultiLabel(scores) => scores.table(bars),
            Self::Regression(scores) => scores.table(),
        }
    }
}

/// The summary, the further scores and the table by label.
impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SingleLabel(scores) => scores.fmt(f),
            Self::MultiLabel(scores) => {
                write!(f, "{}\n{}\n{}", scores.summary(), scores.further().join(", "), scores.table(false))
            }
            Self::Regression(scores) => {
                write!(f, "{}\n{}\n{}", scores.summary(), scores.further().join(", "), scores.table())
            }
        }
    }
}

impl MultiLabel {
    /// That no label is ever given, though rows have some.
    pub fn warning(&self) -> Option<String> {
        let nothing = self.given_per_row == 0.0 && self.labels_per_row > 0.0;
        nothing.then(|| "no row is given any label: the network has not learned to tell them".to_owned())
    }

    /// `Micro-F1 on 398 test rows: 0.781 (95 % interval 0.76 to 0.80), macro-F1 0.714, exact match 0.512`.
    pub fn sentence(&self, split: &str) -> String {
        let noun = if split.is_empty() { "row".to_owned() } else { format!("{split} row") };
        let interval = self
            .micro_f1_interval
            .map_or(String::new(), |interval| format!(" (95 % interval {:.2} to {:.2})", interval.low, interval.high));
        format!(
            "Micro-F1 on {}: {:.3}{interval}, macro-F1 {:.3}, exact match {:.3}",
            units::counted(self.rows, &noun),
            self.micro_f1,
            self.macro_f1,
            self.exact_match
        )
    }

    /// `micro-F1 0.781, macro-F1 0.714, exact match 0.512, loss 0.052, 398 rows`.
    pub fn summary(&self) -> String {
        let rows = units::counted(self.rows, "row");
        format!(
            "micro-F1 {:.3}, macro-F1 {:.3}, exact match {:.3}, loss {:.3}, {rows}",
            self.micro_f1, self.macro_f1, self.exact_match, self.loss
        )
    }

    fn further(&self) -> Vec<String> {
        let mut further = vec![
            format!("micro-precision {:.3}", self.micro_precision),
            format!("micro-recall {:.3}", self.micro_recall),
            format!("sample F1 {:.3}", self.sample_f1),
        ];
        further.extend(self.mean_average_precision.map(|map| format!("mean average precision {map:.3}")));
        further.push(format!("{:.2} labels per row, {:.2} given", self.labels_per_row, self.given_per_row));
        further
    }

    fn table(&self, bars: bool) -> String {
        let row = |(label, scores): &(String, _)| {
            let scores: &crate::evaluation::multi_label::LabelScores = scores;
            LabelRow { label: label.clone(), scores: scores.scores.clone(), threshold: Some(scores.threshold) }
        };
        label_table(self.per_label.iter().map(row).collect(), bars)
    }
}

#[cfg(test)]
mod tests {
    use crate::evaluation::{Evaluation, evaluate_multi_label};

    #[test]
    fn scores_and_thresholds_stand_in_label_order() {
        let labels = ["pin", "card"].map(str::to_owned);
        let truth = [vec![0], vec![0, 1], vec![], vec![1]];
        let logits = [2.0, -1.0, 0.5, -0.1, -3.0, -2.0, 1.0, 0.7];
        let scores = evaluate_multi_label(&logits, &truth, &labels, &[0.5, 0.6]).unwrap();
        let shown = Evaluation::from(scores.clone()).to_string();
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(
            lines[1..],
            [
                "micro-precision 0.750, micro-recall 0.750, sample F1 0.833, mean average precision 0.917, 1.00 labels \
                 per row, 1.00 given",
                "label  precision  recall     F1  rows  threshold",
                "pin        0.667   1.000  0.800     2      0.500",
                "card       1.000   0.500  0.667     2      0.600",
            ]
        );
        assert!(lines[0].starts_with("micro-F1 0.750, macro-F1 0.733, exact match 0.500, loss "), "{shown}");
        assert!(scores.sentence("test").starts_with("Micro-F1 on 4 test rows: 0.750 (95 % interval "), "{shown}");
        assert_eq!(scores.warning(), None);
        let none = evaluate_multi_label(&[-9.0; 8], &truth, &labels, &[0.5; 2]).unwrap();
        assert!(none.warning().is_some());
    }
}
