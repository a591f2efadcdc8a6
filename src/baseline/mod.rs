//! Classifiers without a pretrained network, which `compare` evaluates beside every strategy.
//!
//! [`Majority`] looks at no input at all; [`Tfidf`] counts words and fits a logistic regression. A strategy that does not
//! clearly beat them gains nothing from the network.

mod logistic;
mod majority;
mod ngrams;
mod sparse;
mod tfidf;

use crate::data::Input;
use crate::error::{Error, Result};

pub use majority::Majority;
pub use tfidf::{Tfidf, Trial};

/// Inputs with their true labels.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    pub inputs: &'a [&'a Input],
    /// Label indices, one an input.
    pub labels: &'a [u32],
}

/// Predictions for a number of inputs, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// The likeliest label of each input, the first of equals.
    pub classes: Vec<u32>,
    /// Row-major `[inputs, classes]`; each row sums to 1.
    pub probabilities: Vec<f32>,
}

/// A fitted baseline. The same data give the same one: no chance is involved.
pub trait Baseline: Send + Sync {
    /// As in tables: `majority`, `tf-idf`.
    fn name(&self) -> &'static str;

    /// Numbers that were fitted.
    fn parameters(&self) -> u64;

    /// # Errors
    /// When it cannot read such inputs.
    fn predict(&self, inputs: &[&Input]) -> Result<Predictions>;
}

/// That labels and inputs belong together.
fn check(data: &Labelled, classes: usize, what: &str) -> Result<()> {
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
