//! Where the hidden layer of a text network's head begins: BERT's pooler, RoBERTa's dense layer.
//!
//! A new layer with the usual small weights hands on a small and mixed-up image of the features, and training has to
//! undo that first. So has the pooler of a checkpoint that was trained without it, as sentence encoders are: weight
//! decay has left almost nothing of it. The identity keeps the features, and few steps go further (docs/accuracy.md).
//! Before a ReLU or GELU it would not: they drop what is negative, so such a layer begins as the family's does.

use crate::config::{Choices, PoolerInit, RunConfig};
use crate::error::Result;
use crate::model::Classifier;
use crate::model::activation::Activation;

/// By how much the features are multiplied before the hyperbolic tangent. Those of a layer norm are around 0.6.
const SCALE: f64 = 2.0;

/// A layer that makes its input smaller than this share, as the root of the mean square, does nothing worth keeping.
/// Of all-MiniLM-L6-v2's pooler, which was not used in training, it is 0.18; of new weights it is 0.39 to 0.64.
const LEAST_GAIN: f64 = 0.35;

/// Sets the hidden layer of a head to the identity where the settings say so, or where it is new or close to zero.
pub fn begin(config: &RunConfig, classifier: &mut Classifier, choices: &mut Choices) -> Result<()> {
    let Some(hidden) = classifier.head.hidden_layer()? else { return Ok(()) };
    let reason = match (config.model.pooler_init, hidden.is_new) {
        (PoolerInit::Checkpoint, _) => return Ok(()),
        (PoolerInit::Identity, _) => None,
        (PoolerInit::Auto, _) if hidden.activation != Activation::Tanh => return Ok(()),
        (PoolerInit::Auto, true) => {
            Some("the checkpoint has none, and small random weights learn more slowly".to_owned())
        }
        (PoolerInit::Auto, false) if hidden.gain < LEAST_GAIN => {
            Some(format!("the checkpoint's was not trained: it is close to zero (gain {:.2})", hidden.gain))
        }
        (PoolerInit::Auto, false) => return Ok(()),
    };
    classifier.head.begin_hidden_as_identity(SCALE)?;
    if let Some(reason) = reason {
        choices.record("pooler_init", PoolerInit::Identity, reason);
    }
    Ok(())
}
