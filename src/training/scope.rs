//! Which of a classifier's parameters are trained, and when. A strategy decides it; training only reads it.

use crate::model::parameter::Parameter;
use crate::training::schedule::Unfreezing;

/// What a strategy trains of a classifier. The head always is.
pub struct Scope<'a> {
    /// Everything that gradients change, the head's parameters included.
    pub parameters: Vec<&'a Parameter>,
    /// Running statistics of the stages that are trained; those of frozen stages stay as they are.
    pub statistics: Vec<&'a Parameter>,
    /// Which stages are frozen at each step.
    pub unfreezing: Unfreezing,
}
