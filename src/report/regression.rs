//! How the scores of regression are shown to people.

use crate::console::table::{Column, Table};
use crate::console::units;
use crate::evaluation::interval::Interval;
use crate::evaluation::regression::Regression;

/// Four digits and no more than are needed: `0.4127`, `31.42`, `18250`.
pub fn number(value: f64) -> String {
    let digits = 3 - value.abs().max(1e-12).log10().floor() as i32;
    format!("{value:.*}", digits.clamp(0, 9) as usize)
}

fn three(value: Option<f64>) -> String {
    value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.3}"))
}

/// `0.39 to 0.44`, in as many digits as the score.
fn range(interval: Option<Interval>, shown: fn(f64) -> String) -> String {
    interval.map_or_else(String::new, |Interval { low, high }| format!("{} to {}", shown(low), shown(high)))
}

impl Regression {
    /// That every row gets about the same number, though theirs differ.
    pub fn warning(&self) -> Option<String> {
        let is_no_better = self.truth_deviation > 0.0 && self.r2.is_some_and(|r2| r2 <= 0.0);
        is_no_better.then(|| {
            format!(
                "an RMSE of {} is no better than always answering the mean of these rows ({}): the network has not \
                 learned to tell them",
                number(self.rmse),
                number(self.truth_deviation)
            )
        })
    }

    /// `RMSE on 398 test rows: 0.4127 (95 % interval 0.39 to 0.44), R² 0.712, Spearman 0.843`.
    pub fn sentence(&self, split: &str) -> String {
        let noun = if split.is_empty() { "row".to_owned() } else { format!("{split} row") };
        let interval = match self.rmse_interval {
            Some(_) => format!(" (95 % interval {})", range(self.rmse_interval, number)),
            None => String::new(),
        };
        format!(
            "RMSE on {}: {}{interval}, R² {}, Spearman {}",
            units::counted(self.rows, &noun),
            number(self.rmse),
            three(self.r2),
            three(self.spearman)
        )
    }

    /// `RMSE 0.4127, MAE 0.3055, R² 0.712, Pearson 0.851, Spearman 0.843, 398 rows`.
    pub fn summary(&self) -> String {
        format!(
            "RMSE {}, MAE {}, R² {}, Pearson {}, Spearman {}, {}",
            number(self.rmse),
            number(self.mae),
            three(self.r2),
            three(self.pearson),
            three(self.spearman),
            units::counted(self.rows, "row")
        )
    }

    /// What the RMSE is to be compared with.
    pub fn further(&self) -> Vec<String> {
        let (mean, deviation) = (number(self.truth_mean), number(self.truth_deviation));
        vec![format!("always answering the mean of these rows, {mean}, has an RMSE of {deviation}")]
    }

    /// Each score with its value and its interval.
    pub fn rows_of_scores(&self) -> [[String; 3]; 5] {
        let three_of = |value: f64| format!("{value:.3}");
        let row = |name: &str, value, interval| [name.to_owned(), value, interval];
        [
            row("RMSE", number(self.rmse), range(self.rmse_interval, number)),
            row("MAE", number(self.mae), range(self.mae_interval, number)),
            row("R²", three(self.r2), range(self.r2_interval, three_of)),
            row("Pearson correlation", three(self.pearson), range(self.pearson_interval, three_of)),
            row("Spearman correlation", three(self.spearman), range(self.spearman_interval, three_of)),
        ]
    }

    /// The same as a table.
    pub fn table(&self) -> String {
        let mut table = Table::new([Column::left("score"), Column::right("value"), Column::right("95 % interval")]);
        for row in self.rows_of_scores() {
            table.row(row);
        }
        table.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::evaluate_regression;

    #[test]
    fn scores_are_shown_with_their_intervals() {
        let (predicted, truth) = ([1.0f32, 2.5, 2.0, 4.5, 5.0], [1.5, 2.0, 3.0, 4.0, 5.5]);
        let scores = evaluate_regression(&predicted, &truth, &["stars".to_owned()]).unwrap();
        let sentence = scores.sentence("test");
        assert!(sentence.starts_with("RMSE on 5 test rows: 0.6325 (95 % interval "), "{sentence}");
        assert!(sentence.contains("R² 0.806, Spearman 0.900"), "{sentence}");
        assert_eq!(scores.table().lines().count(), 6);
        assert!(scores.further()[0].contains("of these rows, 3.200, has an RMSE of 1.435"), "{:?}", scores.further());
        assert_eq!(scores.warning(), None);
        let same = evaluate_regression(&[3.0; 5], &truth, &["stars".to_owned()]).unwrap();
        assert!(same.warning().is_some());
        assert!(same.sentence("").contains("Spearman undefined"));
        assert_eq!([0.41271, 31.4159, 18_250.4, 0.0].map(number), ["0.4127", "31.42", "18250", "0.000000000"]);
    }
}
