//! The loss of a step: cross-entropy, averaged over the step's examples however they were split into micro-batches.

use tch::{Device, Reduction, Tensor};

use crate::batch::Batch;
use crate::error::Result;
use crate::native;

/// What is measured: PyTorch's cross-entropy with these options.
#[derive(Debug, Clone, Default)]
pub struct LossSettings {
    /// The share of the target that is spread evenly over all classes (Szegedy et al. 2016), 0 to 1.
    pub label_smoothing: f64,
    /// A weight for each class; without, all weigh 1.
    pub class_weights: Option<Vec<f64>>,
}

/// The loss of a run, on its device.
pub struct Loss {
    label_smoothing: f64,
    class_weights: Option<Tensor>,
}

impl Loss {
    pub fn new(settings: &LossSettings, device: Device) -> Result<Self> {
        let weights = settings.class_weights.as_ref().map(|weights| -> Result<Tensor> {
            let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
            Ok(Tensor::f_from_slice(&weights)?.f_to_device(device)?)
        });
        Ok(Self { label_smoothing: settings.label_smoothing, class_weights: weights.transpose()? })
    }

    /// The summed loss of a micro-batch divided by `examples`: with the number of examples in the whole step, the sum over the
    /// step's micro-batches is the step's mean. `logits` `[N, classes]` in fp32; `labels` by example of the set. `share`: of an example itself, the rest is the one
    /// opposite it in the batch ([`super::mix`]). One number.
    pub fn of(&self, logits: &Tensor, batch: &Batch, labels: &[u32], examples: f64, share: f64) -> Result<Tensor> {
        let label_of = |&example: &usize| labels.get(example).map_or(-100, |&label| i64::from(label));
        let own = self.sum(logits, batch.examples.iter().map(label_of).collect())?;
        let sum = if share < 1.0 {
            let opposite = self.sum(logits, batch.examples.iter().rev().map(label_of).collect())?;
            opposite.f_lerp(&own, share)?
        } else {
            own
        };
        Ok(sum.f_div_scalar(examples.max(1.0))?)
    }

    fn sum(&self, logits: &Tensor, targets: Vec<i64>) -> Result<Tensor> {
        let targets = match logits.device() {
            Device::Cuda(gpu) => native::to_gpu(&targets, gpu)?,
            _ => Tensor::f_from_slice(&targets)?,
        };
        let weights = self.class_weights.as_ref();
        Ok(logits.f_cross_entropy_loss(&targets, weights, Reduction::Sum, -100, self.label_smoothing)?)
    }
}

/// A weight for each class, so that all classes weigh alike in sum and the mean over `labels` is 1 (scikit-learn's
/// `balanced`). A class without examples weighs 1.
pub fn balanced_weights(labels: &[u32], classes: usize) -> Vec<f64> {
    let mut counts = vec![0u64; classes];
    for &label in labels {
        if let Some(count) = counts.get_mut(label as usize) {
            *count += 1;
        }
    }
    let seen = counts.iter().filter(|&&count| count > 0).count().max(1) as f64;
    let weight = |&count: &u64| if count == 0 { 1.0 } else { labels.len() as f64 / (seen * count as f64) };
    counts.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_weights_are_scikit_learns() {
        // sklearn.utils.class_weight.compute_class_weight("balanced", classes=np.arange(3), y=[0, 0, 0, 1, 2, 2])
        let weights = balanced_weights(&[0, 0, 0, 1, 2, 2], 3);
        assert!(weights.iter().zip([2.0 / 3.0, 2.0, 1.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{weights:?}");
        assert_eq!(balanced_weights(&[1, 1], 3), [1.0, 1.0, 1.0]);
    }
}
