//! The list of tasks there are.

use crate::config;
use crate::error::{Error, Result};
use crate::task::contract::Task;
use crate::task::multi_label::MultiLabel;
use crate::task::single_label::SingleLabel;

/// Every task. A new one is added here.
const TASKS: [&dyn Task; 2] = [&SingleLabel, &MultiLabel];

/// The task that the settings name; single-label where they name none.
///
/// # Errors
/// There is no such task in this version.
pub fn task(name: Option<config::Task>) -> Result<&'static dyn Task> {
    let name = name.unwrap_or(config::Task::SingleLabel);
    TASKS.into_iter().find(|task| task.name() == name).ok_or_else(|| {
        let hint = match name {
            config::Task::MultiLabel => "`multi-label` gives each example any number of the labels",
            config::Task::Regression => {
                "for now put the numbers into a few classes, such as low, medium and high (--label-map FILE renames), \
                 and train with --task single-label"
            }
            config::Task::SingleLabel => "`single-label` gives each example one of the labels",
        };
        Error::request(format!("`{name}` is not available in this version")).key("task").hint(hint)
    })
}

/// The task of a checkpoint, by what its `config.json` names.
///
/// # Errors
/// There is no such task in this version.
pub fn task_of(problem_type: &str) -> Result<&'static dyn Task> {
    TASKS.into_iter().find(|task| task.problem_type() == problem_type).ok_or_else(|| {
        let what = match problem_type {
            "regression" => "a regression model (it gives a number, not a label)".to_owned(),
            other => format!("a model for `{other}`"),
        };
        Error::request(format!("this is {what}; models that give labels are supported"))
            .key("problem_type")
            .hint("train a head of labels on its backbone with `rehead train`")
    })
}
