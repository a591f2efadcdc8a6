//! Which epoch was best, when to stop early, and when a loss says that training has diverged.
//!
//! Works on numbers alone; keeping the best weights and ending the loop is the train loop's business. [`BestEpoch`] is
//! part of a snapshot, so that a resumed run continues as an uninterrupted one would.

use serde::{Deserialize, Serialize};

use crate::config::KeepBest;
use crate::error::{Error, Result};
use crate::evaluation::Evaluation;

/// The validation scores of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochScore {
    /// From 1.
    pub epoch: u32,
    /// The score that decides, higher is better; of the loss its negative.
    #[serde(alias = "macro_f1")]
    pub score: f64,
    /// Loss (cross-entropy) on the validation data; lower is better.
    pub loss: f64,
}

impl EpochScore {
    /// What is compared of epoch `epoch`'s evaluation.
    pub fn new(epoch: u32, evaluation: &Evaluation, by: &KeepBest) -> Self {
        let value = value(by, evaluation);
        Self { epoch, score: if *by == KeepBest::Loss { -value } else { value }, loss: evaluation.loss }
    }

    /// By the score; ties by loss. A tie of both is not better, so the earlier epoch stays.
    fn is_better_than(&self, other: &Self) -> bool {
        self.score > other.score || (self.score == other.score && self.loss < other.loss)
    }
}

/// The value of a score; not a number for a label that was not evaluated.
pub fn value(of: &KeepBest, evaluation: &Evaluation) -> f64 {
    match of {
        KeepBest::MacroF1 => evaluation.macro_f1,
        KeepBest::Accuracy => evaluation.accuracy,
        KeepBest::Loss => evaluation.loss,
        KeepBest::Mcc => evaluation.mcc.unwrap_or(f64::NAN),
        KeepBest::F1(label) => {
            let scores = evaluation.per_class.iter().find(|(name, _)| name == label);
            scores.map_or(f64::NAN, |(_, scores)| scores.f1)
        }
    }
}

/// The best value of a score in words: ``best F1 of `spam` ``.
pub fn best(of: &KeepBest) -> String {
    match of {
        KeepBest::MacroF1 => "best macro-F1".to_owned(),
        KeepBest::Accuracy => "best accuracy".to_owned(),
        KeepBest::Loss => "lowest loss".to_owned(),
        KeepBest::Mcc => "best Matthews correlation".to_owned(),
        KeepBest::F1(label) => format!("best F1 of `{label}`"),
    }
}

/// What an epoch's scores mean for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The epoch is the best so far: its weights are the ones to keep.
    pub improved: bool,
    /// Patience is exhausted: training ends.
    pub stop: bool,
}

/// Follows the epochs of a run and remembers the best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestEpoch {
    patience: Option<u32>,
    best: Option<EpochScore>,
    without_improvement: u32,
}

impl BestEpoch {
    /// `patience`: stop after so many epochs in a row without improvement (0 counts as 1); `None`: never stop early.
    pub fn new(patience: Option<u32>) -> Self {
        Self { patience, best: None, without_improvement: 0 }
    }

    /// Takes note of an epoch. Scores that are not finite never improve on anything.
    pub fn observe(&mut self, score: EpochScore) -> Verdict {
        let finite = score.score.is_finite() && score.loss.is_finite();
        let improved = finite && self.best.is_none_or(|best| score.is_better_than(&best));
        if improved {
            self.best = Some(score);
            self.without_improvement = 0;
        } else {
            self.without_improvement = self.without_improvement.saturating_add(1);
        }
        let stop = !improved && self.patience.is_some_and(|patience| self.without_improvement >= patience);
        Verdict { improved, stop }
    }

    /// None until an epoch has had finite scores.
    pub fn best(&self) -> Option<EpochScore> {
        self.best
    }

    /// Epochs in a row since the best one, or since the beginning where there is none.
    pub fn epochs_without_improvement(&self) -> u32 {
        self.without_improvement
    }
}

/// Stops a run as soon as its loss is no longer finite.
#[derive(Debug, Clone)]
pub struct LossWatch {
    learning_rate: f64,
    last_finite: Option<(u64, f64)>,
}

impl LossWatch {
    /// `learning_rate`: the largest rate asked for, named in the hint.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, last_finite: None }
    }

    /// Looks at the training loss of a step.
    ///
    /// # Errors
    ///
    /// When the loss is not finite: a failure that says at which step, what the loss was last, and what to change.
    pub fn check(&mut self, step: u64, loss: f64) -> Result<()> {
        if loss.is_finite() {
            self.last_finite = Some((step, loss));
            return Ok(());
        }
        let before = match self.last_finite {
            Some((step, loss)) => format!(" (it was {loss:.4} at step {step})"),
            None => String::new(),
        };
        let rate = self.learning_rate;
        Err(Error::failure(format!("training has diverged: the loss at step {step} is {loss}{before}")).hint(format!(
            "lower --lr (it is {rate:e}; try {:.0e}), or, should that not help, use --precision fp32",
            rate / 5.0
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(patience: Option<u32>, scores: &[(f64, f64)]) -> (Option<u32>, Option<u32>) {
        let mut watch = BestEpoch::new(patience);
        for (epoch, &(score, loss)) in (1..).zip(scores) {
            if watch.observe(EpochScore { epoch, score, loss }).stop {
                return (watch.best().map(|best| best.epoch), Some(epoch));
            }
        }
        (watch.best().map(|best| best.epoch), None)
    }

    #[test]
    fn the_best_has_the_highest_f1_then_the_lowest_loss_then_comes_first() {
        assert_eq!(run(None, &[(0.8, 0.5), (0.9, 0.6), (0.85, 0.1)]), (Some(2), None));
        assert_eq!(run(None, &[(0.9, 0.5), (0.9, 0.4), (0.9, 0.4)]), (Some(2), None));
    }

    #[test]
    fn the_score_that_decides_is_the_one_asked_for() {
        let labels = ["a", "b", "c"].map(str::to_owned);
        let of = |logits: &[f32]| crate::evaluation::evaluate(logits, &[0, 0, 1, 2], &labels).unwrap();
        // The second finds `c` at the price of `a`; the third is right as the first and surer of it.
        let first = of(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        let second = of(&[0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        let third = of(&[2.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 1.0, 0.0, 0.0]);
        let best = |by: &str| {
            let by = by.parse().unwrap();
            let mut watch = BestEpoch::new(None);
            for (epoch, evaluation) in (1..).zip([&first, &second, &third]) {
                watch.observe(EpochScore::new(epoch, evaluation, &by));
            }
            watch.best().unwrap().epoch
        };
        assert_eq!(["accuracy", "loss", "mcc", "f1:a", "f1:c"].map(best), [3, 3, 3, 3, 2]);
        let unknown = EpochScore::new(1, &first, &KeepBest::F1("x".into()));
        assert!(!BestEpoch::new(None).observe(unknown).improved);
    }

    #[test]
    fn patience_counts_epochs_in_a_row() {
        let scores = [(0.5, 1.0), (0.4, 1.0), (0.6, 1.0), (0.6, 1.1), (0.5, 0.9), (0.9, 0.1)];
        assert_eq!(run(Some(2), &scores), (Some(3), Some(5)));
        assert_eq!(run(Some(3), &scores), (Some(6), None));
        assert_eq!(run(Some(0), &scores), (Some(1), Some(2)));
        assert_eq!(run(None, &scores), (Some(6), None));
    }

    #[test]
    fn what_is_not_finite_is_never_the_best() {
        assert_eq!(run(None, &[(f64::NAN, 0.1), (0.1, 0.7), (0.9, f64::NAN), (0.05, 0.1)]), (Some(2), None));
        assert_eq!(run(Some(2), &[(f64::NAN, f64::NAN); 5]), (None, Some(2)));
    }

    #[test]
    fn a_resumed_run_goes_on_as_if_never_interrupted() {
        let mut watch = BestEpoch::new(Some(2));
        // One that serde_json reads back exactly only with its feature `float_roundtrip`: a tie must stay a tie.
        let loss = 1.0 / 11.0;
        watch.observe(EpochScore { epoch: 1, score: 0.5, loss });
        watch.observe(EpochScore { epoch: 2, score: 0.5, loss });
        let mut resumed: BestEpoch = serde_json::from_str(&serde_json::to_string(&watch).unwrap()).unwrap();
        assert_eq!(resumed, watch);
        assert_eq!(resumed.observe(EpochScore { epoch: 3, score: 0.5, loss }), Verdict { improved: false, stop: true });
    }

    #[test]
    fn a_loss_that_is_not_finite_stops_the_run_with_advice() {
        let mut watch = LossWatch::new(1e-3);
        watch.check(1, 0.7213).unwrap();
        let error = watch.check(2, f64::NAN).unwrap_err();
        assert_eq!(error.to_string(), "training has diverged: the loss at step 2 is NaN (it was 0.7213 at step 1)");
        assert_eq!(error.exit_status(), 1);
        assert!(error.hint_text().is_some_and(|hint| hint.contains("--lr") && hint.contains("2e-4")));
    }
}
