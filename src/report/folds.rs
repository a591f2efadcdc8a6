//! What cross-validation found: the scores of all rows, each predicted by the model that had not seen it, and how they
//! differ between folds and epochs.

use serde::{Deserialize, Serialize};

use crate::evaluation::Evaluation;

/// `folds` of `metrics.json`: the scores of an evaluation, over all rows, and these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldScores {
    /// Of all rows together.
    #[serde(flatten)]
    pub all: Evaluation,
    /// How many folds there are.
    pub count: usize,
    /// The mean accuracy of the folds, and its standard deviation (n - 1) over them.
    pub accuracy_mean: f64,
    /// See there.
    pub accuracy_spread: f64,
    /// The same of macro-F1.
    pub macro_f1_mean: f64,
    /// See there.
    pub macro_f1_spread: f64,
    /// Each fold by itself, in order.
    pub by_fold: Vec<FoldScore>,
    /// All rows together after each epoch, by which the epoch was chosen; left out where there were none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_epoch: Vec<EpochScores>,
}

/// The scores of a fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldScore {
    /// From 1.
    pub fold: usize,
    /// Rows held out.
    pub rows: u64,
    /// See [`Evaluation`].
    pub accuracy: f64,
    /// See there.
    pub macro_f1: f64,
    /// See there.
    pub loss: f64,
    /// The epoch that this fold alone would have chosen; null where there were none.
    pub best_epoch: Option<u32>,
}

/// The scores of all rows after an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochScores {
    /// From 1.
    pub epoch: u32,
    /// See [`Evaluation`].
    pub accuracy: f64,
    /// See there.
    pub macro_f1: f64,
    /// Before temperature scaling.
    pub loss: f64,
}

impl FoldScores {
    /// From the scores of all rows and of each fold.
    pub fn new(all: Evaluation, by_fold: Vec<FoldScore>, by_epoch: Vec<EpochScores>) -> Self {
        let (accuracy_mean, accuracy_spread) = mean_and_spread(by_fold.iter().map(|fold| fold.accuracy));
        let (macro_f1_mean, macro_f1_spread) = mean_and_spread(by_fold.iter().map(|fold| fold.macro_f1));
        let count = by_fold.len();
        Self { all, count, accuracy_mean, accuracy_spread, macro_f1_mean, macro_f1_spread, by_fold, by_epoch }
    }

    /// `accuracy by fold 0.750 to 0.850 (mean 0.800, standard deviation 0.035)`.
    pub fn spread(&self) -> String {
        let accuracies = || self.by_fold.iter().map(|fold| fold.accuracy);
        let (least, most) = (accuracies().fold(f64::INFINITY, f64::min), accuracies().fold(0.0, f64::max));
        format!(
            "accuracy by fold {least:.3} to {most:.3} (mean {:.3}, standard deviation {:.3})",
            self.accuracy_mean, self.accuracy_spread
        )
    }
}

fn mean_and_spread(scores: impl ExactSizeIterator<Item = f64> + Clone) -> (f64, f64) {
    let count = scores.len() as f64;
    let mean = scores.clone().sum::<f64>() / count.max(1.0);
    let squares: f64 = scores.map(|score| (score - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::evaluate;

    #[test]
    fn mean_spread_and_json() {
        let labels = ["no", "yes"].map(str::to_owned);
        let all = evaluate(&[2.0, 1.0, 0.5, 1.0, 0.0, 3.0], &[0, 1, 0], &labels).unwrap().into();
        let fold = |fold, accuracy| FoldScore { fold, rows: 1, accuracy, macro_f1: 0.5, loss: 0.1, best_epoch: None };
        let scores = FoldScores::new(all, vec![fold(1, 0.7), fold(2, 0.8), fold(3, 0.9)], Vec::new());
        // statistics.mean, statistics.stdev
        assert!((scores.accuracy_mean - 0.8).abs() < 1e-12 && (scores.accuracy_spread - 0.1).abs() < 1e-12);
        assert_eq!(scores.spread(), "accuracy by fold 0.700 to 0.900 (mean 0.800, standard deviation 0.100)");
        let json = serde_json::to_value(&scores).unwrap();
        assert_eq!((&json["rows"], &json["by_fold"][2]["fold"]), (&3.into(), &3.into()));
        let text = serde_json::to_string(&scores).unwrap();
        assert_eq!(serde_json::from_str::<FoldScores>(&text).unwrap(), scores);
    }
}
