//! What a baseline is: fitted on labelled inputs, it predicts a probability for every label.

use crate::data::Input;
use crate::error::{Error, Result};

/// Inputs with their true labels.
#[derive(Debug, Clone, Copy)]
pub struct LabelledInputs<'a> {
    /// The inputs that are fitted on or predicted.
    pub inputs: &'a [&'a Input],
    /// Label indices, one an input.
    pub labels: &'a [u32],
}

/// BaselinePredictions for a number of inputs, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselinePredictions {
    /// The likeliest label of each input, the first of equals.
    pub classes: Vec<u32>,
    /// Row-major `[inputs, classes]`; each row sums to 1.
    pub probabilities: Vec<f32>,
}

/// A fitted baseline. The same data give the same one: nothing is random.
pub trait Baseline: Send + Sync {
    /// Its name in tables: `majority`, `tf-idf`.
    fn name(&self) -> &'static str;

    /// Parameters that were fitted, counted one by one.
    fn parameters(&self) -> u64;

    /// # Errors
    /// When it cannot read such inputs.
    fn predict(&self, inputs: &[&Input]) -> Result<BaselinePredictions>;
}

/// Checks that labels and inputs belong together.
pub fn check(data: &LabelledInputs, classes: usize, what: &str) -> Result<()> {
    let (inputs, labels) = (data.inputs.len(), data.labels.len());
    if inputs != labels {
        return Err(Error::failure(format!("{inputs} {what} inputs have {labels} labels")));
    }
    if inputs == 0 {
        return Err(Error::request(format!("there are no {what} rows for a baseline")));
    }
    match data.labels.iter().position(|&label| label as usize >= classes) {
        Some(row) => Err(Error::failure(format!("{what} row {} has a label beyond the {classes} there are", row + 1))),
        None => Ok(()),
    }
}
