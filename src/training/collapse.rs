//! Training that has collapsed: what counts as that, and how a run is begun again after it.
//!
//! A run has collapsed when its loss is no number any more, or when it has learned nothing and the network tells its
//! inputs apart no longer: too large a rate has pushed it where all inputs look the same, and from there no gradient
//! leads back (Mosbach, Andriushchenko & Klakow 2021). Such a run is begun again once, with lower rates. Putting the
//! weights back is the caller's business, and the train loop's when to ask.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::task::{Evaluated, LossBounds};
use crate::training::optimizer::AdamwSettings;

/// What the rates are divided by when a run is begun again. On 300 questions of six kinds MiniLM collapses at 2e-3 and
/// reaches 0.750 at 1e-3, 0.798 at 6e-4 and 0.870 at 3e-4: a third of 3e-3 is too near the edge (docs/log.md).
pub const RATE_DIVISOR: f64 = 5.0;

/// The largest spread of logits over the validation rows (standard deviation, in the label where it is largest) that
/// counts as the same answer for all. MiniLM has 8e-3 and more before any training, 1e-1 and more when it has learned
/// something, and 0 to 1.3e-3 once it has collapsed (docs/log.md).
const SAME_ANSWER: f64 = 3e-3;

/// The part of what can be learned (from the loss of the labels' frequencies down to the lowest there is) below which
/// nothing was.
const NOTHING_LEARNED: f64 = 0.02;

/// The peak rate times the steps, up to which no network has collapsed: AdamW moves a weight by about its rate in a
/// step, so this little leaves all weights where they were.
pub const LEAST_MOVED: f64 = 1e-4;

/// How training has collapsed.
#[derive(Debug, Clone, PartialEq)]
pub enum Collapse {
    /// The training loss is not finite.
    NotFinite {
        /// The step at which that was seen.
        step: u64,
        /// Not a number, or infinite.
        loss: f64,
        /// The last step whose loss was looked at and finite, with this loss.
        before: Option<(u64, f64)>,
    },
    /// Every row gets the same answer, and the training loss is that of the labels' frequencies.
    SameAnswer {
        /// Epochs trained.
        epoch: u32,
        /// The mean training loss of the last of them.
        loss: f64,
        /// That of the labels' frequencies.
        constant: f64,
    },
}

impl Collapse {
    /// What has happened, in words.
    pub fn reason(&self) -> String {
        match self {
            Self::NotFinite { step, loss, before } => {
                let before = before.map_or(String::new(), |(step, loss)| format!(" (it was {loss:.4} at step {step})"));
                format!("the loss at step {step} is {loss}{before}")
            }
            Self::SameAnswer { epoch, loss, constant } => format!(
                "after epoch {epoch} the network gives every row the same answer, and the training loss, {loss:.3}, is \
                 no lower than the label frequencies alone give, {constant:.3}"
            ),
        }
    }

    /// The error that ends a run whose loss is not finite at the rate `learning_rate`.
    pub fn error(&self, learning_rate: f64) -> Error {
        let lower = learning_rate / RATE_DIVISOR;
        Error::failure(format!("training has diverged: {}", self.reason())).hint(format!(
            "lower --lr (it is {learning_rate:e}; try {lower:.0e}), or, should that not help, use --precision fp32"
        ))
    }

    /// How the run is begun again that has collapsed after `step` steps at the rate `learning_rate`.
    pub fn restart(&self, step: u64, learning_rate: f64) -> Restart {
        let lr = lowered(learning_rate);
        Restart { because: self.reason(), after_step: step, lr_before: learning_rate, lr }
    }
}

/// A run that was begun again after its training had collapsed: once, from the same weights, with lower rates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restart {
    /// What had happened.
    pub because: String,
    /// Steps that were taken before.
    pub after_step: u64,
    /// The peak learning rate then.
    pub lr_before: f64,
    /// The peak learning rate now.
    pub lr: f64,
}

impl Restart {
    /// The rates of `settings`, lowered.
    pub fn lower(settings: AdamwSettings) -> AdamwSettings {
        AdamwSettings {
            learning_rate: lowered(settings.learning_rate),
            head_learning_rate: lowered(settings.head_learning_rate),
            ..settings
        }
    }

    /// In a sentence, for a person.
    pub fn sentence(&self) -> String {
        let Self { because, lr_before, lr, .. } = self;
        let (before, now) = (shown(*lr_before), shown(*lr));
        format!("training collapsed at --lr {before} ({because}); it was begun again with --lr {now}")
    }
}

/// A lower rate, with the three digits that are shown, so that a run begun with it is the same.
fn lowered(rate: f64) -> f64 {
    let lower = rate / RATE_DIVISOR;
    format!("{lower:.2e}").parse().unwrap_or(lower)
}

/// A rate as it is typed.
pub fn shown(rate: f64) -> String {
    if (1e-3..=1.0).contains(&rate) { rate.to_string() } else { format!("{rate:e}") }
}

/// Follows the losses of a run.
#[derive(Debug, Clone, Default)]
pub struct LossWatch {
    last_finite: Option<(u64, f64)>,
}

impl LossWatch {
    /// Looks at a training loss, seen at a step: `Some` where it is not finite.
    pub fn check(&mut self, step: u64, loss: f64) -> Option<Collapse> {
        if loss.is_finite() {
            self.last_finite = Some((step, loss));
            return None;
        }
        Some(Collapse::NotFinite { step, loss, before: self.last_finite })
    }
}

/// Whether an epoch with this mean training loss has learned nothing, and leaves a network that gives every validation
/// row the same answer although their labels differ. A network that finds one label alone in very unequal data is not
/// meant: its logits differ from row to row, and its loss falls below that of the frequencies.
pub fn has_same_answers(scored: &Evaluated, training_loss: f64, bounds: LossBounds) -> bool {
    scored.evaluation.labels_differ() && bounds.learned(training_loss) < NOTHING_LEARNED && spread(scored) < SAME_ANSWER
}

/// The standard deviation of the logits over the rows, in the label where it is largest. What all labels of a row share
/// is taken off first where rows have one label: it changes no answer then.
fn spread(scored: &Evaluated) -> f64 {
    let is_relative = scored.evaluation.single_label().is_some();
    let (rows, width) = (scored.logits.len(), scored.logits.width);
    let mut sums = vec![(0.0, 0.0); width];
    let mut first = Vec::new();
    for row in 0..rows {
        let logits = scored.logits.row(row);
        let mean = logits.iter().map(|&logit| f64::from(logit)).sum::<f64>() / width as f64;
        let mean = if is_relative { mean } else { 0.0 };
        let centred = logits.iter().map(|&logit| f64::from(logit) - mean);
        if row == 0 {
            first = centred.clone().collect();
        }
        // Relative to the first row: what is subtracted in the end is small.
        for ((sum, squares), (value, first)) in sums.iter_mut().zip(centred.zip(&first)) {
            *sum += value - first;
            *squares += (value - first) * (value - first);
        }
    }
    let rows = (rows as f64).max(1.0);
    let deviation = |(sum, squares): &(f64, f64)| (squares / rows - (sum / rows) * (sum / rows)).max(0.0).sqrt();
    // Numbers are spread in their own unit.
    let unit = scored.evaluation.regression().map_or(1.0, |scores| scores.truth_deviation);
    sums.iter().map(deviation).fold(0.0, f64::max) / unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::evaluate;
    use crate::inference::Rows;

    fn scored(logits: &[f32], truth: &[u32]) -> Evaluated {
        let labels = ["a", "b"].map(str::to_owned);
        let evaluation = evaluate(logits, truth, &labels).unwrap();
        Evaluated { logits: Rows { values: logits.to_vec(), width: 2 }, evaluation: evaluation.into() }
    }

    /// Two labels, half of the rows each.
    const EVEN: LossBounds = LossBounds { constant: std::f64::consts::LN_2, lowest: 0.0 };

    #[test]
    fn the_same_answer_for_all_with_nothing_learned_is_a_collapse() {
        // What all labels share may differ from row to row.
        let same = scored(&[0.3, 0.1, 5.3, 5.1, -2.7, -2.9], &[0, 1, 1]);
        assert!(spread(&same) < 1e-6, "{}", spread(&same));
        assert!(has_same_answers(&same, 0.70, EVEN) && has_same_answers(&same, 0.685, EVEN));
        // Something was learned, if not of these rows.
        assert!(!has_same_answers(&same, 0.60, EVEN));
        // One label in all rows: the same answer is the right one.
        assert!(!has_same_answers(&scored(&[0.3, 0.1, 0.3, 0.1], &[0, 0]), 0.70, EVEN));
        // One label for all, but not the same answer: an untrained network, or very unequal data.
        let differing = scored(&[0.30, 0.1, 0.28, 0.1, 0.33, 0.1], &[0, 1, 1]);
        assert!(differing.evaluation.single_label().unwrap().only_answer().is_some());
        assert!((spread(&differing) - 0.0103).abs() < 1e-3, "{}", spread(&differing));
        assert!(!has_same_answers(&differing, 0.70, EVEN));
    }

    #[test]
    fn a_loss_that_is_not_finite_is_a_collapse_and_at_last_an_error_with_advice() {
        let mut watch = LossWatch::default();
        assert_eq!(watch.check(1, 0.7213), None);
        let collapse = watch.check(2, f64::NAN).unwrap();
        let restart = collapse.restart(2, 1e-3);
        assert_eq!(
            restart.sentence(),
            "training collapsed at --lr 0.001 (the loss at step 2 is NaN (it was 0.7213 at step 1)); it was begun \
             again with --lr 2e-4"
        );
        let error = collapse.error(1e-3);
        assert_eq!(error.to_string(), "training has diverged: the loss at step 2 is NaN (it was 0.7213 at step 1)");
        assert_eq!(error.exit_status(), 1);
        assert!(error.hint_text().is_some_and(|hint| hint.contains("--lr") && hint.contains("2e-4")));
    }
}
