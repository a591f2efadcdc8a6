//! What a model's confidence thresholds promise, and whether rows that they were not chosen on keep it, in words.

use super::outcomes::Outcomes;
use crate::console::units::{self, counted};
use crate::evaluation::interval::wilson;
use crate::evaluation::thresholds::Thresholds;

/// Most labels without a threshold that are named.
const MOST_NAMED: usize = 3;

impl Thresholds {
    /// `from a confidence of 0.873 on (81 % of 300 validation rows) at least 95 % of the labels are correct, with 95 %
    /// certainty`, or why there is no such confidence.
    pub fn sentence(&self) -> String {
        // `99.5 %`, which is not to be rounded.
        let exact = |share: f64| format!("{} %", (share * 1e5).round() / 1e3);
        let (target, certainty) = (exact(self.target_accuracy), exact(self.certainty));
        let rows = counted(self.rows, &format!("{} row", self.chosen_on));
        if self.shown.is_empty() {
            let more = match self.rows_needed {
                Some(needed) => format!("about {} are needed if they are as accurate", units::count(needed)),
                None => "even the most confident ones are not that accurate".to_owned(),
            };
            return format!("no threshold was shown to reach an accuracy of {target} on {rows}: {more}");
        }
        let (labelled, _) = self.labelled();
        let share = units::percent(labelled as f64 / self.rows.max(1) as f64);
        let from = match self.shown.as_slice() {
            [one] if self.without.is_empty() => format!("from a confidence of {} on", one.confidence),
            several => format!("from {} of confidence on", counted(several.len() as u64, "threshold")),
        };
        let without = if self.without.is_empty() { String::new() } else { format!("; {}", self.given_to_none()) };
        format!(
            "{from} ({share} of {rows}) at least {target} of the labels are correct, with {certainty} \
             certainty{without}"
        )
    }

    /// `` `a`, `b` and 3 more labels are given to no row ``: those for which no threshold was shown.
    pub fn given_to_none(&self) -> String {
        let named: Vec<String> = self.without.iter().take(MOST_NAMED).map(|label| format!("`{label}`")).collect();
        let more = self.without.len() - named.len();
        match (self.without.len(), more) {
            (1, _) => format!("{} is given to no row", named.join(", ")),
            (_, 0) => format!("{} are given to no row", named.join(", ")),
            _ => format!("{} and {more} more labels are given to no row", named.join(", ")),
        }
    }
}

/// What the thresholds do with rows that they were not chosen on.
pub(super) struct Kept {
    /// Rows at or above the thresholds.
    pub labelled: u64,
    /// Of these, the correct ones.
    pub correct: u64,
    /// Rows there are.
    pub rows: u64,
}

impl Kept {
    pub fn by(thresholds: &Thresholds, labels: &[String], outcomes: &Outcomes) -> Self {
        let least = thresholds.by_label(labels);
        let is_labelled = |row: &usize| {
            let own = least.get(outcomes.predicted[*row] as usize);
            own.is_some_and(|&least| outcomes.confidence[*row] >= least)
        };
        let labelled: Vec<usize> = (0..outcomes.rows()).filter(is_labelled).collect();
        let correct = labelled.iter().filter(|&&row| outcomes.correct[row]).count() as u64;
        Self { labelled: labelled.len() as u64, correct, rows: outcomes.rows() as u64 }
    }

    pub fn coverage(&self) -> f64 {
        self.labelled as f64 / self.rows.max(1) as f64
    }

    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.labelled.max(1) as f64
    }

    /// Whether the rows kept the promised `target`: `as promised`, `less than promised`, …
    pub fn verdict(&self, target: f64) -> &'static str {
        match (self.labelled, self.accuracy() >= target, wilson(self.correct, self.labelled).high >= target) {
            (0, ..) => "no row to judge the promise by",
            (_, true, _) => "as promised",
            (_, false, true) => "less than promised, by no more than chance may explain",
            (_, false, false) => "less than promised: these rows differ from those that the threshold was chosen on",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::thresholds::Threshold;

    fn thresholds(shown: &[f64], without: &[&str]) -> Thresholds {
        let labels = ["a", "b"].map(str::to_owned);
        let of = |(index, &confidence): (usize, &f64)| Threshold {
            labels: if shown.len() == 1 { labels.to_vec() } else { vec![labels[index].clone()] },
            confidence,
            rows: 150,
            labelled: 120,
            correct: 118,
            accuracy_at_least: 0.951,
        };
        Thresholds {
            target_accuracy: 0.95,
            certainty: 0.95,
            per_label: shown.len() > 1,
            chosen_on: "validation".to_owned(),
            rows: 300,
            shown: shown.iter().enumerate().map(of).collect(),
            without: without.iter().map(|&label| label.to_owned()).collect(),
            rows_needed: Some(420),
        }
    }

    #[test]
    fn a_promise_is_told_with_its_rows() {
        let said = thresholds(&[0.873], &[]).sentence();
        assert!(said.starts_with("from a confidence of 0.873 on (40"), "{said}");
        assert!(said.ends_with("of the labels are correct, with 95 % certainty"), "{said}");
        assert!(thresholds(&[0.8, 0.9], &["c"]).sentence().ends_with("certainty; `c` is given to no row"));
        assert!(thresholds(&[], &["a", "b"]).sentence().contains("about 420 are needed"));
        assert_eq!(
            thresholds(&[], &["a", "b", "c", "d"]).given_to_none(),
            "`a`, `b`, `c` and 1 more labels are given to no row"
        );
    }

    #[test]
    fn rows_keep_it_or_not() {
        let outcomes = Outcomes::new(&[0, 0, 1, 1], &[0, 1, 1, 1], &[0.9, 0.95, 0.8, 0.85]);
        let labels = ["a", "b"].map(str::to_owned);
        let kept = Kept::by(&thresholds(&[0.85, 0.85], &[]), &labels, &outcomes);
        assert_eq!((kept.labelled, kept.correct, kept.coverage()), (3, 2, 0.75));
        assert!(kept.verdict(0.9).starts_with("less than promised, by"));
        assert_eq!(kept.verdict(0.6), "as promised");
        let kept = Kept::by(&thresholds(&[0.99], &[]), &labels, &outcomes);
        assert_eq!(kept.verdict(0.5), "no row to judge the promise by");
        assert!(Kept { labelled: 1000, correct: 800, rows: 1000 }.verdict(0.95).contains("differ"));
    }
}
