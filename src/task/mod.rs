//! What is asked of a network: the right answers of the training data, the loss, the scores, the output columns.
//!
//! A task per file: [`single_label`], [`multi_label`], [`regression`]. What tasks have in common stands in [`contract`]
//! ([`Task`]), [`targets`] ([`Targets`] and [`Dataset`]), [`loss`] (the mean over a step), [`binary`] and
//! [`squared_error`] (the losses where rows have several labels, or numbers) and [`mod@score`]; [`registry`] lists the
//! tasks there are. Outside, targets are only handed on; the predictions of a report alone ask for their classes.
//! Nothing here trains: the loop and the strategies are later rooms.

pub mod binary;
pub mod contract;
mod label_columns;
mod label_set_columns;
mod logistic_head;
pub mod loss;
pub mod multi_label;
pub mod registry;
pub mod regression;
pub mod score;
mod score_columns;
mod shares;
pub mod single_label;
pub mod squared_error;
pub mod targets;

pub use self::contract::{Answer, ColumnOptions, FittedHead, LabelledFeatures, OutputColumns, Penalty, Task, Unknown};
pub use self::loss::{Loss, LossBounds, LossSettings};
pub use self::registry::{task, task_of};
pub use self::score::{Evaluated, score};
pub use self::targets::{Dataset, Targets};
