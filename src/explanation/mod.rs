//! Why a classifier gives an example a label: what each token of a text adds ([`integrated_gradients`]), and which
//! places of an image speak for it ([`activation_map`]).
//!
//! Both need no more than a backbone as a chain of stages: they take activations between two stages and ask how the
//! answer changes with them. Which examples are explained, and how that is shown, is decided elsewhere.

mod activation_map;
mod integrated_gradients;
mod quadrature;

use tch::Tensor;

pub use self::activation_map::{ActivationMap, activation_map};
pub use self::integrated_gradients::{Contributions, StandIns, integrated_gradients};
use crate::error::Result;

/// The log odds of class `class` among the `logits` `[N, classes]`: how much more probable it is than all others
/// together, as a logarithm, `[N]`. Unlike a logit it is not changed by what is added to all of them.
fn log_odds(logits: &Tensor, class: i64) -> Result<Tensor> {
    let classes = logits.size().last().copied().unwrap_or(0);
    let own = logits.f_select(1, class)?;
    if classes < 2 {
        return Ok(own);
    }
    let others = [logits.f_narrow(1, 0, class)?, logits.f_narrow(1, class + 1, classes - class - 1)?];
    Ok(own.f_sub(&Tensor::f_cat(&others, 1)?.f_logsumexp([1i64], false)?)?)
}
