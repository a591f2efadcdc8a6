//! What is trained, and how: each strategy is a way to go from a pretrained classifier to a trained one.

pub mod frozen;

use crate::config::Strategy;
use crate::error::{Error, Result};
use crate::model::Classifier;
use crate::model::parameters::{Parameter, Place};

/// The parameters that a strategy trains.
///
/// # Errors
/// A strategy that is not there yet.
pub fn trained_parameters<'a>(strategy: Strategy, classifier: &'a Classifier) -> Result<Vec<&'a Parameter>> {
    check(strategy)?;
    Ok(classifier
        .parameters()
        .filter(|parameter| match strategy {
            Strategy::Frozen => parameter.place == Place::Head,
            _ => true,
        })
        .collect())
}

/// Whether a strategy can be trained by this version.
pub fn check(strategy: Strategy) -> Result<()> {
    match strategy {
        Strategy::Full | Strategy::Frozen => Ok(()),
        other => Err(Error::request(format!("`{other}` is not available in this version"))
            .key("strategy")
            .hint("`full` trains everything, `frozen` the head alone")),
    }
}
