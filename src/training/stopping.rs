//! Which epoch was best, and when to stop early.
//!
//! Works on numbers alone; keeping the best weights and ending the loop is the train loop's business. [`BestEpoch`] is
//! part of a snapshot, so that a resumed run continues as an uninterrupted one would.

use serde::{Deserialize, Serialize};

use crate::config::KeepBest;
use crate::console::units::counted;
use crate::evaluation::Evaluation;
use crate::task::LossBounds;

/// The validation scores of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochScore {
    /// From 1.
    pub epoch: u32,
    /// The score that decides, higher is better; of the loss its negative.
    pub score: f64,
    /// Loss (cross-entropy) on the validation data; lower is better.
    pub loss: f64,
    /// How much lower a later epoch's score may be and still be as good; 0 where the best epoch is asked for.
    pub noise: f64,
}

impl EpochScore {
    /// What is compared of epoch `epoch`'s evaluation.
    pub fn new(epoch: u32, evaluation: &Evaluation, by: &KeepBest) -> Self {
        let value = value(by, evaluation);
        Self {
            epoch,
            score: if *by == KeepBest::Loss { -value } else { value },
            loss: evaluation.loss(),
            noise: if *by == KeepBest::Latest { noise(evaluation) } else { 0.0 },
        }
    }

    /// By the score; ties by loss. A tie of both is not better, so the earlier epoch stays.
    fn is_better_than(&self, other: &Self) -> bool {
        self.score > other.score || (self.score == other.score && self.loss < other.loss)
    }
}

/// One standard error of the accuracy on these rows (of several labels: of micro-F1, as if each row were one decision;
/// of numbers: of R², by the jackknife),
/// and half a row, since scores move in steps of one. A right and a wrong row are added, so that a score on few rows
/// never counts as certain.
fn noise(evaluation: &Evaluation) -> f64 {
    if let Some(scores) = evaluation.regression() {
        // Without an interval nothing is known of it, and the best epoch is kept.
        let interval = scores.r2.zip(scores.r2_interval);
        return interval.map_or(0.0, |(r2, interval)| (r2 - interval.low) / 1.96);
    }
    let rows = evaluation.rows() as f64;
    let share = (evaluation.micro_f1() * rows + 1.0) / (rows + 2.0);
    (share * (1.0 - share) / rows).sqrt() + 0.5 / rows
}

/// The value of a score; not a number for a label that was not evaluated.
pub fn value(of: &KeepBest, evaluation: &Evaluation) -> f64 {
    match of {
        KeepBest::Latest => evaluation.usual().1,
        KeepBest::MacroF1 => evaluation.macro_f1(),
        KeepBest::MicroF1 => evaluation.micro_f1(),
        KeepBest::Accuracy => evaluation.accuracy(),
        KeepBest::Loss => evaluation.loss(),
        KeepBest::Mcc => evaluation.single_label().and_then(|scores| scores.mcc).unwrap_or(f64::NAN),
        KeepBest::Spearman => evaluation.regression().and_then(|scores| scores.spearman).unwrap_or(f64::NAN),
        KeepBest::F1(label) => {
            let scores = evaluation.per_label().find(|(name, _)| name == label);
            scores.map_or(f64::NAN, |(_, scores)| scores.f1)
        }
    }
}

/// The best value of a score in words: ``best F1 of `spam` ``. `usual`: the score that decides unless another is asked
/// for.
pub fn best(of: &KeepBest, usual: &str) -> String {
    match of {
        KeepBest::Latest => format!("latest within the noise of the best {usual}"),
        KeepBest::MacroF1 => "best macro-F1".to_owned(),
        KeepBest::MicroF1 => "best micro-F1".to_owned(),
        KeepBest::Accuracy => "best accuracy".to_owned(),
        KeepBest::Loss => "lowest loss".to_owned(),
        KeepBest::Mcc => "best Matthews correlation".to_owned(),
        KeepBest::Spearman => "best Spearman correlation".to_owned(),
        KeepBest::F1(label) => format!("best F1 of `{label}`"),
    }
}

/// Why training ended where it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// After the epochs that were planned.
    AllEpochs,
    /// No epoch was better than the best for as many as patience has.
    NoImprovement,
    /// The training rows were learned: nothing was left to learn from them.
    Fitted,
    /// It had collapsed again, after it was begun again with lower rates.
    Collapsed,
}

/// The end of training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Why it ended.
    pub reason: EndReason,
    /// The epochs that were planned.
    pub planned_epochs: u32,
    /// The mean training loss of the last epoch that was trained.
    pub training_loss: f64,
}

impl Ended {
    /// In a sentence, of a run of so many `epochs` whose best was `best`.
    pub fn sentence(&self, epochs: u32, best: Option<u32>) -> String {
        let Self { reason, planned_epochs, training_loss } = self;
        let stopped = format!("training stopped after epoch {epochs} of {planned_epochs}");
        match reason {
            EndReason::AllEpochs => format!(
                "training took all {} that were planned; the training loss of the last is {training_loss:.3}",
                counted((*planned_epochs).into(), "epoch")
            ),
            EndReason::NoImprovement => {
                let since = best.map_or(String::new(), |best| format!(" since epoch {best}"));
                format!("{stopped}: no improvement on the validation data{since}")
            }
            EndReason::Fitted => format!(
                "{stopped}: the training rows are learned (training loss {training_loss:.3}), and nothing is left to \
                 learn from them"
            ),
            EndReason::Collapsed => format!("{stopped}: it had collapsed again"),
        }
    }
}

/// The part of what can be learned from which on the training rows are learned.
const FITTED: f64 = 0.98;

/// Whether nothing is left to learn for a network with this mean training loss.
pub fn is_fitted(training_loss: f64, bounds: LossBounds) -> bool {
    bounds.learned(training_loss) >= FITTED
}

/// Whether `epoch` (from 1) of so many belongs to the last third, in which a rate that falls to 0 is low.
///
/// A run that ends when its rows are learned, but before its rates are low, loses half a point of accuracy on average
/// and up to six: its weights are still thrown about. In the last third, and with two such epochs in a row, 111 runs on
/// 100 to 1,000 rows lost 0.03 points on average. Patience on the validation scores loses more: 1.8 points with two
/// epochs, 0.4 with a third of them (docs/log.md).
pub fn is_late(epoch: usize, planned: usize) -> bool {
    3 * epoch >= 2 * planned
}

/// What an epoch's scores mean for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The epoch is the best so far, or as good as the best: its weights are the ones to keep.
    pub keep: bool,
    /// Patience is exhausted: training ends.
    pub stop: bool,
}

/// Follows the epochs of a run and remembers which to keep: the best, or a later one that is as good within the noise.
///
/// On a few dozen validation rows epochs differ by chance, and the best of them is often one that was half trained
/// (docs/accuracy.md). With a learning rate that falls to zero the last epoch is the one to expect most of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestEpoch {
    patience: Option<u32>,
    best: Option<EpochScore>,
    kept: Option<EpochScore>,
    without_improvement: u32,
}

impl BestEpoch {
    /// `patience`: stop after so many epochs in a row without improvement (0 counts as 1); `None`: never stop early.
    pub fn new(patience: Option<u32>) -> Self {
        Self { patience, best: None, kept: None, without_improvement: 0 }
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
        let as_good = finite && self.best.is_some_and(|best| score.score >= best.score - best.noise);
        let keep = improved || (as_good && score.noise > 0.0);
        if keep {
            self.kept = Some(score);
        }
        let stop = !improved && self.patience.is_some_and(|patience| self.without_improvement >= patience);
        Verdict { keep, stop }
    }

    /// The epoch to keep. None until one has had finite scores.
    pub fn kept(&self) -> Option<EpochScore> {
        self.kept
    }

    /// Epochs in a row since the best one, or since the beginning where there is none.
    pub fn epochs_without_improvement(&self) -> u32 {
        self.without_improvement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(patience: Option<u32>, scores: &[(f64, f64)]) -> (Option<u32>, Option<u32>) {
        let mut watch = BestEpoch::new(patience);
        for (epoch, &(score, loss)) in (1..).zip(scores) {
            if watch.observe(EpochScore { epoch, score, loss, noise: 0.0 }).stop {
                return (watch.kept().map(|best| best.epoch), Some(epoch));
            }
        }
        (watch.kept().map(|best| best.epoch), None)
    }

    #[test]
    fn the_best_has_the_highest_f1_then_the_lowest_loss_then_comes_first() {
        assert_eq!(run(None, &[(0.8, 0.5), (0.9, 0.6), (0.85, 0.1)]), (Some(2), None));
        assert_eq!(run(None, &[(0.9, 0.5), (0.9, 0.4), (0.9, 0.4)]), (Some(2), None));
    }

    #[test]
    fn the_score_that_decides_is_the_one_asked_for() {
        let labels = ["a", "b", "c"].map(str::to_owned);
        let of = |logits: &[f32]| -> Evaluation {
            crate::evaluation::evaluate(logits, &[0, 0, 1, 2], &labels).unwrap().into()
        };
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
            watch.kept().unwrap().epoch
        };
        assert_eq!(["accuracy", "loss", "mcc", "f1:a", "f1:c"].map(best), [3, 3, 3, 3, 2]);
        let unknown = EpochScore::new(1, &first, &KeepBest::F1("x".into()));
        assert!(!BestEpoch::new(None).observe(unknown).keep);
    }

    #[test]
    fn a_later_epoch_is_kept_while_it_is_as_good_as_the_best_within_its_noise() {
        let kept = |scores: &[f64], noise: f64| {
            let mut watch = BestEpoch::new(None);
            for (epoch, &score) in (1..).zip(scores) {
                watch.observe(EpochScore { epoch, score, loss: 1.0, noise });
            }
            watch.kept().map(|kept| kept.epoch)
        };
        assert_eq!(kept(&[0.5, 0.80, 0.78, 0.76, 0.79], 0.05), Some(5));
        // What counts is the distance to the best, not to the one kept before.
        assert_eq!(kept(&[0.5, 0.80, 0.78, 0.76, 0.74], 0.05), Some(4));
        assert_eq!(kept(&[0.80, 0.2, f64::NAN], 0.05), Some(1));
        assert_eq!(kept(&[0.5, 0.80, 0.80, 0.79], 0.0), Some(2));

        let labels = ["a", "b"].map(str::to_owned);
        let logits: Vec<f32> = [1.0, 0.0].repeat(20);
        let all_right: Evaluation = crate::evaluation::evaluate(&logits, &[0; 20], &labels).unwrap().into();
        let noise = |by: &str| EpochScore::new(1, &all_right, &by.parse().unwrap()).noise;
        // (20 + 1) / (20 + 2) right: sqrt(0.9545 * 0.0455 / 20) + 0.5 / 20.
        assert!((noise("latest") - 0.071_57).abs() < 1e-4, "{}", noise("latest"));
        assert_eq!(noise("macro_f1"), 0.0);
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
        watch.observe(EpochScore { epoch: 1, score: 0.5, loss, noise: 0.0 });
        watch.observe(EpochScore { epoch: 2, score: 0.5, loss, noise: 0.0 });
        let mut resumed: BestEpoch = serde_json::from_str(&serde_json::to_string(&watch).unwrap()).unwrap();
        assert_eq!(resumed, watch);
        assert_eq!(
            resumed.observe(EpochScore { epoch: 3, score: 0.5, loss, noise: 0.0 }),
            Verdict { keep: false, stop: true }
        );
    }
}
