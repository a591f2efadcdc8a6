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
pub use self::integrated_gradients::{Contributions, Effort, StandIns, integrated_gradients};
use crate::error::Result;

/// What is asked of an answer. Unlike a logit, neither is changed by what is added to all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Why this class, and none of the others.
    Class(usize),
    /// Why this class, and not that one.
    Rather {
        /// The one that is asked for.
        this: usize,
        /// The one that it is compared with.
        than: usize,
    },
}

/// The log odds that a question is about, among the `logits` `[N, classes]`: how much more probable a class is than all
/// others together, or than another one, as a logarithm, `[N]`.
fn log_odds(logits: &Tensor, question: Question) -> Result<Tensor> {
    let class = match question {
        Question::Class(class) => class as i64,
        Question::Rather { this, than } => {
            return Ok(logits.f_select(1, this as i64)?.f_sub(&logits.f_select(1, than as i64)?)?);
        }
    };
    let classes = logits.size().last().copied().unwrap_or(0);
    let own = logits.f_select(1, class)?;
    if classes < 2 {
        return Ok(own);
    }
    let others = [logits.f_narrow(1, 0, class)?, logits.f_narrow(1, class + 1, classes - class - 1)?];
    Ok(own.f_sub(&Tensor::f_cat(&others, 1)?.f_logsumexp([1i64], false)?)?)
}
