//! Classifiers without a pretrained network, which `compare` evaluates beside every strategy.
//!
//! [`Majority`] looks at no input at all; [`Tfidf`] counts words and fits a logistic regression. A strategy that does
//! not clearly beat them gains nothing from the network.

mod contract;
mod logistic;
mod majority;
mod ngrams;
mod sparse;
mod tfidf;

pub use contract::{Baseline, BaselinePredictions, LabelledInputs};
pub use majority::Majority;
pub use tfidf::Tfidf;
