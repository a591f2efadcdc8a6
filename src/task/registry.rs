//! The list of tasks there are.

use crate::config;
use crate::error::{Error, Result};
use crate::task::contract::Task;
use crate::task::multi_label::MultiLabel;
use crate::task::regression::Regression;
use crate::task::single_label::SingleLabel;

/// Every task. A new one is added here.
const TASKS: [&dyn Task; 3] = [&SingleLabel, &MultiLabel, &Regression];

/// The task that the settings name; single-label where they name none.
///
/// # Errors
/// There is no such task in this version.
pub fn task(name: Option<config::Task>) -> Result<&'static dyn Task> {
    let name = name.unwrap_or(config::Task::SingleLabel);
    TASKS
        .into_iter()
        .find(|task| task.name() == name)
        .ok_or_else(|| Error::request(format!("`{name}` is not available in this version")).key("task"))
}

/// The task of a checkpoint, by what its `config.json` names.
///
/// # Errors
/// There is no such task in this version.
pub fn task_of(problem_type: &str) -> Result<&'static dyn Task> {
    TASKS.into_iter().find(|task| task.problem_type() == problem_type).ok_or_else(|| {
        Error::request(format!(
            "this is a model for `{problem_type}`; models that give labels or a number are supported"
        ))
        .key("problem_type")
        .hint("train a head on its backbone with `rehead train`")
    })
}
