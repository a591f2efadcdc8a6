//! The seam between gradients and the optimizer, where several devices would meet.

use crate::error::Result;
use crate::model::parameter::Parameter;

/// Adds up the gradients of all devices that share a step, between the backward passes and the optimizer's step.
///
/// A step's loss is divided by the number of examples of the whole step, whichever device computes them, so the
/// gradient of the step is the plain sum over devices and needs no mean. Clipping comes after: every device then sees
/// the same norm and takes the same step.
pub trait Reduce {
    /// Replaces the gradient of each parameter by its sum over the devices. The gradient of a [table](Parameter::table)
    /// is sparse, and devices differ in its rows; a parameter that no loss has reached has none.
    fn sum_gradients(&self, parameters: &[&Parameter]) -> Result<()>;
}

/// One device: its gradients are the step's.
pub struct SingleDevice;

impl Reduce for SingleDevice {
    fn sum_gradients(&self, _parameters: &[&Parameter]) -> Result<()> {
        Ok(())
    }
}
