//! What a task is: everything in which one task differs from another.

use tch::Device;

use crate::config;
use crate::data::{Example, Labels, OutputValue, Scaling};
use crate::error::Result;
use crate::evaluation::{Evaluation, Typical};
use crate::inference::Rows;
use crate::linear::logistic::{Linear, Step};
use crate::task::loss::{Loss, LossSettings};
use crate::task::targets::Targets;

/// A kind of answer that a network is trained to give. What else still assumes one class per row, docs/architecture.md
/// lists.
pub trait Task: Sync {
    /// As `--task` and the settings name it.
    fn name(&self) -> config::Task;

    /// That the settings of a training make sense for the task.
    ///
    /// # Errors
    /// One of them is for other tasks.
    fn check(&self, config: &config::RunConfig) -> Result<()>;

    /// As transformers' `config.json` names it.
    fn problem_type(&self) -> &'static str;

    /// The names of the head's outputs, from the distinct values of the label column.
    ///
    /// # Errors
    /// The values are no labels of this task.
    fn names(&self, values: &Labels) -> Result<Labels>;

    /// The right answers of loaded examples, in their order. `values` are the label column's, which the examples'
    /// labels index; `names` are the outputs'.
    ///
    /// # Errors
    /// A value that is no label of this task, or names none of its outputs.
    fn parse(&self, examples: &[&Example], values: &Labels, names: &Labels) -> Result<Targets>;

    /// Numbers that the head gives for each example, where its labels have these names.
    fn head_width(&self, names: &Labels) -> usize;

    /// What the head's outputs are multiplied by, and what is added, while it is trained on the rows of `train`;
    /// `None`: it gives what it computes.
    fn scaling(&self, train: &Targets) -> Option<Scaling>;

    /// The loss of training on `targets`, on `device`.
    fn loss(&self, settings: &LossSettings, targets: &Targets, names: &Labels, device: Device) -> Result<Loss>;

    /// Fits a linear head on features to convergence, for outputs that are then scaled as [`scaling`](Task::scaling)
    /// says. `watch` hears of every step, and ends the fit with its error.
    ///
    /// # Errors
    /// Features and targets do not belong together, no solution is finite, or `watch` says so.
    fn fit_head(
        &self,
        train: &LabelledFeatures,
        penalty: Penalty,
        settings: &LossSettings,
        names: &Labels,
        watch: &mut dyn FnMut(Step) -> Result<()>,
    ) -> Result<FittedHead>;

    /// How good the logits of a dataset are.
    ///
    /// # Errors
    /// No rows, or logits that are not finite (the row is named).
    ///
    /// `thresholds`: the least probability at which each label is given, where the task has such; `None`: not chosen
    /// yet.
    fn evaluate(
        &self,
        logits: &Rows,
        targets: &Targets,
        names: &Labels,
        thresholds: Option<&[f64]>,
    ) -> Result<Evaluation>;

    /// The thresholds for [`evaluate`](Task::evaluate) that suit the logits of rows which were not trained on; `None`:
    /// the task has none.
    fn thresholds(&self, logits: &Rows, targets: &Targets) -> Option<Vec<f64>>;

    /// The columns that `label` adds to each row.
    fn columns(&self, names: &Labels, options: ColumnOptions) -> Box<dyn OutputColumns>;
}

/// Features of a dataset and what is to be predicted from them.
pub struct LabelledFeatures<'a> {
    /// `[N, feature width]`, the inputs of the head's output layer.
    pub features: &'a Rows,
    /// In the order of the rows of `features`.
    pub targets: &'a Targets,
}

/// How the penalty of a head is found.
pub enum Penalty<'a> {
    /// By the loss on validation data.
    ChosenOn(LabelledFeatures<'a>),
    /// It is known: its factor.
    Known(f64),
}

/// A head fitted on features.
pub struct FittedHead {
    /// Weight `[head width, feature width]` and bias `[head width]`, for features as they are.
    pub linear: Linear,
    /// The factor of its penalty.
    pub penalty: f64,
    /// How it was found, in a line for people.
    pub description: String,
}

/// What `label` is asked to write.
#[derive(Debug, Clone, Default)]
pub struct ColumnOptions {
    /// Whether every label's probability is written.
    pub probabilities: bool,
    /// How many of the most probable labels are written.
    pub top: usize,
    /// By label: a less confident answer is not written; 0 beyond the end.
    pub min_confidence: Vec<f64>,
    /// From when on a row is too unusual for an answer; `None`: never.
    pub unknown: Option<Unknown>,
    /// What is written in its place; `None`: nothing.
    pub unknown_label: Option<String>,
    /// By label the least probability at which it is given, of a task that has such.
    pub thresholds: Option<Vec<f64>>,
    /// What is written between several labels.
    pub label_separator: String,
}

/// How unusual a row may be to be given an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Unknown {
    /// What is usual.
    pub typical: Typical,
    /// The share of usual rows that are too unusual.
    pub share: f64,
}

/// What is written for an example.
pub struct Answer {
    /// The indices of the labels that it is given; none where the answer is less confident than asked for, or the
    /// example too unusual.
    pub labels: Vec<usize>,
    /// Whether the example is too unusual.
    pub is_unusual: bool,
    /// One for each of [`OutputColumns::names`].
    pub values: Vec<OutputValue>,
}

/// The columns that `label` adds, and what stands in them.
pub trait OutputColumns: Sync {
    /// Their headers.
    fn names(&self) -> Vec<String>;

    /// The answer for an example with these logits.
    fn answer(&self, logits: &[f32]) -> Answer;

    /// What stands in them for an input without an answer: one that is empty, or could not be read.
    fn empty(&self) -> Vec<OutputValue> {
        self.names().iter().map(|_| OutputValue::Empty).collect()
    }
}
