//! Scores a network on a dataset: logits of every example, and how good they are.

use crate::console::Console;
use crate::error::Result;
use crate::evaluation::Evaluation;
use crate::inference::{Inference, Rows};
use crate::task::contract::Task;
use crate::task::targets::Dataset;

/// A dataset's logits, one row per example, and how good they are.
pub struct Evaluated {
    /// `[N, head width]`, in the dataset's order.
    pub logits: Rows,
    /// What the task makes of the logits.
    pub evaluation: Evaluation,
}

/// Runs the network of `inference` over `dataset` and scores its logits. `name` is what the progress bar says.
///
/// # Errors
/// Interrupted, logits that are not finite, or what libtorch reports.
pub fn score(
    task: &dyn Task,
    inference: &Inference,
    dataset: &Dataset,
    name: &str,
    console: &Console,
) -> Result<Evaluated> {
    let (examples, classifier) = (&dataset.examples, inference.classifier);
    let bar = console.progress(name, Some(examples.len() as u64), "examples").rate_in(examples.unit());
    let logits =
        inference.logits(&**examples, &mut |examples, tokens| bar.advance_with(examples as u64, tokens as u64))?;
    drop(bar);
    let evaluation =
        task.evaluate(&logits, &dataset.targets, &classifier.labels, classifier.label_thresholds.as_deref())?;
    Ok(Evaluated { logits, evaluation })
}
