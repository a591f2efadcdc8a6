//! The loss of a step: cross-entropy, averaged over the step's examples however they were split into micro-batches.

use tch::{Reduction, Tensor};

use crate::batch::Batch;
use crate::error::Result;

/// The summed cross-entropy of a micro-batch divided by `examples`: with the number of examples in the whole step, the sum
/// over the step's micro-batches is the step's mean. `logits` `[N, classes]` in fp32; `labels` by example of the set. One number.
pub fn cross_entropy(logits: &Tensor, batch: &Batch, labels: &[u32], examples: f64) -> Result<Tensor> {
    let targets: Vec<i64> =
        batch.examples.iter().map(|&example| labels.get(example).map_or(-100, |&label| i64::from(label))).collect();
    let targets = Tensor::f_from_slice(&targets)?.f_to_device(logits.device())?;
    let sum = logits.f_cross_entropy_loss(&targets, None::<Tensor>, Reduction::Sum, -100, 0.0)?;
    Ok(sum.f_div_scalar(examples.max(1.0))?)
}
