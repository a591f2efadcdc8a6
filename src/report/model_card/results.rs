//! The scores of a model card: of each split, and by label.

use std::fmt;

use super::escape::markdown;
use super::{MOST_LABELS, ModelCard, capital};
use crate::console::units;
use crate::evaluation::{Evaluation, Interval};

impl ModelCard<'_> {
    pub(super) fn write_results(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, _) = self.nouns();
        let scored: Vec<_> = self.metrics.scored().collect();
        writeln!(f, "## Results\n\nWith 95 % intervals for other {noun}s of the same kind.\n")?;
        let columns = match self.is_multi_label() {
            _ if self.is_regression() => "RMSE | R² | Pearson | Spearman",
            true => "micro F1 | macro F1 | exact match | loss",
            false => "accuracy | macro F1 | loss | calibration error",
        };
        writeln!(f, "| data | {noun}s | {columns} |\n|---|---|---|---|---|---|")?;
        for (split, scores) in &scored {
            let (rows, scores) = (units::count(scores.rows()), scores_of(scores));
            writeln!(f, "| {split} | {rows} | {scores} |")?;
        }
        if let Some(note) = self.metrics.refitted() {
            writeln!(f, "\n{}.", capital(&note))?;
        }
        if scored.iter().any(|(split, _)| *split == "validation") && self.metrics.best_epoch.is_some() {
            writeln!(f, "\nThe validation {noun}s chose the epoch, so their scores are a little too good.")?;
        }
        if let Some((split, scores)) = self.main_scores().filter(|_| !self.is_regression()) {
            writeln!(f, "\nBy label, on the {split} data:\n")?;
            writeln!(f, "| label | {noun}s | precision | recall | F1 |\n|---|---|---|---|---|")?;
            for (label, class) in scores.per_label().take(MOST_LABELS) {
                let [precision, recall, f1] = [class.precision, class.recall, class.f1].map(|share| 100.0 * share);
                let (label, rows) = (markdown(label), units::count(class.support));
                writeln!(f, "| {label} | {rows} | {precision:.1} % | {recall:.1} % | {f1:.1} % |")?;
            }
            if let Some(more @ 1..) = scores.per_label().count().checked_sub(MOST_LABELS) {
                writeln!(f, "\nAnd {more} more, in `metrics.json`.")?;
            }
        }
        writeln!(f)?;
        self.write_confidence(f)
    }

    /// From which probability on each label is given.
    pub(super) fn write_label_thresholds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(scores) = self.main_scores().and_then(|(_, scores)| scores.multi_label()) else { return Ok(()) };
        writeln!(
            f,
            "A label is given where its probability (the sigmoid of its logit, not calibrated) reaches its threshold, \
             which was chosen on the data that judged the training. The thresholds stand in `config.json` as \
             `label_thresholds`.\n"
        )?;
        writeln!(f, "| label | threshold |\n|---|---|")?;
        for (label, scores) in scores.per_label.iter().take(MOST_LABELS) {
            writeln!(f, "| {} | {:.3} |", markdown(label), scores.threshold)?;
        }
        writeln!(f)
    }
}

/// The cells of a split.
fn scores_of(scores: &Evaluation) -> String {
    let loss = scores.loss();
    match scores {
        Evaluation::SingleLabel(scores) => {
            let accuracy = share(scores.accuracy, scores.accuracy_interval);
            let f1 = share(scores.macro_f1, scores.macro_f1_interval);
            format!("{accuracy} | {f1} | {loss:.3} | {:.1} %", 100.0 * scores.ece)
        }
        Evaluation::MultiLabel(scores) => {
            let (micro, macro_f1) = (share(scores.micro_f1, scores.micro_f1_interval), share(scores.macro_f1, None));
            format!("{micro} | {macro_f1} | {} | {loss:.3}", share(scores.exact_match, None))
        }
        Evaluation::Regression(scores) => {
            let [rmse, _, r2, pearson, spearman] = scores.rows_of_scores().map(|[_, value, interval]| match interval {
                interval if interval.is_empty() => value,
                interval => format!("{value} ({interval})"),
            });
            format!("{rmse} | {r2} | {pearson} | {spearman}")
        }
    }
}

/// `91.2 % (88.1 to 93.5)`.
fn share(value: f64, interval: Option<Interval>) -> String {
    let interval = interval
        .map_or_else(String::new, |interval| format!(" ({:.1} to {:.1})", 100.0 * interval.low, 100.0 * interval.high));
    format!("{:.1} %{interval}", 100.0 * value)
}
