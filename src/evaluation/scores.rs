//! The scores of a split, whatever the task: what the train loop, `metrics.json` and the console ask of them without
//! knowing which task it is. How they are shown to people is `report`'s business.

use serde::{Deserialize, Serialize};

use super::classification::Classification;
use super::f1::ClassScores;
use super::multi_label::MultiLabel;
use super::regression::Regression;

/// How good the predictions of a split are. In JSON the fields of the task's own scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Evaluation {
    /// Each row has one of the labels.
    SingleLabel(Classification),
    /// Each row has any number of the labels.
    MultiLabel(MultiLabel),
    /// Each row has a number.
    Regression(Regression),
}

impl Evaluation {
    /// Those of a single-label task.
    pub fn single_label(&self) -> Option<&Classification> {
        match self {
            Self::SingleLabel(scores) => Some(scores),
            Self::MultiLabel(_) | Self::Regression(_) => None,
        }
    }

    /// Those of a multi-label task.
    pub fn multi_label(&self) -> Option<&MultiLabel> {
        match self {
            Self::MultiLabel(scores) => Some(scores),
            Self::SingleLabel(_) | Self::Regression(_) => None,
        }
    }

    /// Those of a regression task.
    pub fn regression(&self) -> Option<&Regression> {
        match self {
            Self::Regression(scores) => Some(scores),
            Self::SingleLabel(_) | Self::MultiLabel(_) => None,
        }
    }

    /// Examples evaluated.
    pub fn rows(&self) -> u64 {
        match self {
            Self::SingleLabel(scores) => scores.rows,
            Self::MultiLabel(scores) => scores.rows,
            Self::Regression(scores) => scores.rows,
        }
    }

    /// The mean loss of the rows, without weights. Lower is better.
    pub fn loss(&self) -> f64 {
        match self {
            Self::SingleLabel(scores) => scores.loss,
            Self::MultiLabel(scores) => scores.loss,
            Self::Regression(scores) => scores.loss,
        }
    }

    /// The fraction of rows whose answer is wholly correct; of several labels the whole set. Not a number, as the F1
    /// scores are, where rows have no labels.
    pub fn accuracy(&self) -> f64 {
        match self {
            Self::SingleLabel(scores) => scores.accuracy,
            Self::MultiLabel(scores) => scores.exact_match,
            Self::Regression(_) => f64::NAN,
        }
    }

    /// The plain mean of F1 over the labels that occur.
    pub fn macro_f1(&self) -> f64 {
        match self {
            Self::SingleLabel(scores) => scores.macro_f1,
            Self::MultiLabel(scores) => scores.macro_f1,
            Self::Regression(_) => f64::NAN,
        }
    }

    /// The F1 of all decisions together, which for one label per row is the accuracy.
    pub fn micro_f1(&self) -> f64 {
        match self {
            Self::SingleLabel(scores) => scores.accuracy,
            Self::MultiLabel(scores) => scores.micro_f1,
            Self::Regression(_) => f64::NAN,
        }
    }

    /// The score by which epochs are chosen unless another is asked for, with its name.
    pub fn usual(&self) -> (&'static str, f64) {
        match self {
            Self::SingleLabel(scores) => ("macro-F1", scores.macro_f1),
            Self::MultiLabel(scores) => ("micro-F1", scores.micro_f1),
            // Of rows with one number the squared error is all there is.
            Self::Regression(scores) => ("R²", scores.r2.unwrap_or(-scores.loss)),
        }
    }

    /// Precision, recall, F1 and support of each label, in label order.
    pub fn per_label(&self) -> Box<dyn Iterator<Item = (&str, &ClassScores)> + '_> {
        match self {
            Self::SingleLabel(scores) => {
                Box::new(scores.per_class.iter().map(|(name, scores)| (name.as_str(), scores)))
            }
            Self::MultiLabel(scores) => {
                Box::new(scores.per_label.iter().map(|(name, scores)| (name.as_str(), &scores.scores)))
            }
            Self::Regression(_) => Box::new(std::iter::empty()),
        }
    }

    /// Whether some rows have other labels than others.
    pub fn labels_differ(&self) -> bool {
        match self {
            Self::SingleLabel(scores) => scores.per_class.iter().filter(|(_, scores)| scores.support > 0).count() > 1,
            Self::Regression(scores) => scores.truth_deviation > 0.0,
            Self::MultiLabel(_) => self.per_label().any(|(_, of)| of.support > 0 && of.support < self.rows()),
        }
    }
}

impl From<Classification> for Evaluation {
    fn from(scores: Classification) -> Self {
        Self::SingleLabel(scores)
    }
}

impl From<Regression> for Evaluation {
    fn from(scores: Regression) -> Self {
        Self::Regression(scores)
    }
}

impl From<MultiLabel> for Evaluation {
    fn from(scores: MultiLabel) -> Self {
        Self::MultiLabel(scores)
    }
}
