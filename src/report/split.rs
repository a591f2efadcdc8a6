//! A split of the data with what a network says of it: what pages and next steps are made from.

use super::label_sets::LabelSets;
use super::origins::Origin;
use super::outcomes::Outcomes;
use super::verdict::split_name;
use super::why::Explained;
use crate::console::units::counted;
use crate::data::Modality;
use crate::evaluation::{Classification, MultiLabel};

/// Rows of a split that the network was trained on: scores on them are too good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// How many rows of the split.
    pub rows: u64,
    /// What a person is told about them.
    pub warning: String,
}

/// A row that is predicted wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mistake {
    /// Its index in the split.
    pub row: usize,
    /// The index of the label that it gets.
    pub predicted: u32,
    /// That of the one in the data.
    pub truth: u32,
}

/// A split with the predictions of the trained network.
pub struct ScoredSplit<'a> {
    /// `valid` or `test`.
    pub name: &'a str,
    /// The scores of these predictions.
    pub evaluation: &'a Classification,
    /// The index of each row's label.
    pub truth: &'a [u32],
    /// Row-major, in the order of `truth`.
    pub probabilities: &'a [f32],
    /// The rows' texts, or the paths of their images; empty where they have none.
    pub texts: &'a [String],
    /// What `texts` holds: texts, or paths of images.
    pub modality: Modality,
    /// Where each row comes from; empty where that is not known.
    pub origins: &'a [Origin],
    /// The rows that the network was trained on, where there are any.
    pub seen: Option<&'a Seen>,
    /// Why the network was wrong about some of the rows.
    pub explained: Option<&'a Explained>,
}

/// The same of a task whose rows may have several labels.
pub struct ScoredSets<'a> {
    /// `valid` or `test`.
    pub name: &'a str,
    /// The scores of these predictions.
    pub evaluation: &'a MultiLabel,
    /// Whether the labels' thresholds were chosen on these rows.
    pub chose_thresholds: bool,
    /// By row.
    pub predictions: &'a LabelSets,
    /// The rows' texts, or the paths of their images; empty where they have none.
    pub texts: &'a [String],
    /// What `texts` holds: texts, or paths of images.
    pub modality: Modality,
    /// Where each row comes from; empty where that is not known.
    pub origins: &'a [Origin],
    /// The rows that the network was trained on, where there are any.
    pub seen: Option<&'a Seen>,
}

impl ScoredSets<'_> {
    /// The name in running text: `validation` or `test`.
    pub fn called(&self) -> &str {
        split_name(self.name)
    }
}

impl ScoredSplit<'_> {
    /// The name in running text: `validation` or `test`.
    pub fn called(&self) -> &str {
        split_name(self.name)
    }

    /// `99 validation rows`.
    pub fn counted_rows(&self) -> String {
        counted(self.evaluation.rows, &format!("{} row", self.called()))
    }

    /// Whether so many of the rows were trained on that nothing should be chosen by what the network does with them.
    pub fn is_largely_seen(&self) -> bool {
        self.seen.is_some_and(|seen| 10 * seen.rows >= self.evaluation.rows)
    }

    /// By index.
    pub fn labels(&self) -> Vec<String> {
        self.evaluation.per_class.iter().map(|(label, _)| label.clone()).collect()
    }

    /// The rows that are predicted wrongly, those of the highest confidence first.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let outcomes = self.outcomes();
        let mut wrong: Vec<usize> = (0..outcomes.rows()).filter(|&row| !outcomes.correct[row]).collect();
        wrong.sort_by(|&a, &b| outcomes.confidence[b].total_cmp(&outcomes.confidence[a]));
        let mistake = |row: usize| Mistake { row, predicted: outcomes.predicted[row], truth: outcomes.truth[row] };
        wrong.into_iter().map(mistake).collect()
    }

    /// What follows from the predictions.
    pub(super) fn outcomes(&self) -> Outcomes {
        Outcomes::of(self.truth, self.probabilities, self.evaluation.per_class.len())
    }
}
