//! Binary cross-entropy over the labels of a row, for tasks in which a row may have several.

use tch::{Device, Reduction, Tensor};

use crate::error::Result;
use crate::inference::to_vec;
use crate::task::loss::{Criterion, LossBounds};
use crate::task::targets::Targets;

/// PyTorch's `BCEWithLogitsLoss`, the mean over the labels of each row, as transformers has it for
/// `multi_label_classification`.
pub struct BinaryCrossEntropy {
    /// `[labels]`: what a row that has the label counts against one that has not.
    positive_weights: Option<Tensor>,
}

impl BinaryCrossEntropy {
    /// `positive_weights`: one per label (`pos_weight`); without, all are 1.
    pub fn new(positive_weights: Option<&[f64]>, device: Device) -> Result<Self> {
        let weights = positive_weights.map(|weights| -> Result<Tensor> {
            let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
            Ok(Tensor::f_from_slice(&weights)?.f_to_device(device)?)
        });
        Ok(Self { positive_weights: weights.transpose()? })
    }
}

impl Criterion for BinaryCrossEntropy {
    fn sum(&self, logits: &Tensor, targets: &Targets, examples: &[usize]) -> Result<Tensor> {
        let (rows, labels) = logits.size2()?;
        let values = targets.multi_hot(examples, labels as usize);
        let values = Tensor::f_from_slice(&values)?.f_view([rows, labels])?.f_to_device(logits.device())?;
        let (none, weights) = (None::<&Tensor>, self.positive_weights.as_ref());
        let sum = logits.f_binary_cross_entropy_with_logits(&values, none, weights, Reduction::Sum)?;
        Ok(sum.f_div_scalar(labels.max(1) as f64)?)
    }

    fn bounds(&self, targets: &Targets, width: usize) -> Result<LossBounds> {
        let weights = self.positive_weights.as_ref().map_or_else(|| Ok(vec![1.0; width]), to_vec::<f64>)?;
        let mut counts = vec![0.0; width];
        for &label in targets.sets().iter().flatten() {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1.0;
            }
        }
        let rows = targets.len().max(1) as f64;
        let entropy = |(count, weight): (f64, f64)| {
            let (has, lacks) = (weight * count / rows, 1.0 - count / rows);
            let part = |share: f64| if share > 0.0 { -share * (share / (has + lacks)).ln() } else { 0.0 };
            part(has) + part(lacks)
        };
        let constant = counts.into_iter().zip(weights).map(entropy).sum::<f64>() / width.max(1) as f64;
        Ok(LossBounds { constant, lowest: 0.0 })
    }
}

/// Weights with which the rows that have a label count in sum as much as those that have not: negatives by positives of
/// each label. A label that all rows have, or none, weighs 1.
pub fn balanced(targets: &Targets, width: usize) -> Vec<f64> {
    let mut counts = vec![0usize; width];
    for &label in targets.sets().iter().flatten() {
        if let Some(count) = counts.get_mut(label as usize) {
            *count += 1;
        }
    }
    let rows = targets.len();
    let weight = |count: usize| if count == 0 || count >= rows { 1.0 } else { (rows - count) as f64 / count as f64 };
    counts.into_iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// torch.nn.BCEWithLogitsLoss(pos_weight=w)(z, y), and z.grad after backward.
    #[test]
    fn loss_and_gradient_are_pytorchs() -> Result<()> {
        let targets = Targets::Sets(vec![vec![0, 2], vec![], vec![1, 2]]);
        let values = [2f32, -1.0, 0.5, -3.0, 0.1, 0.2, 0.0, 4.0, -0.7];
        #[rustfmt::skip]
        let expected: [(Option<[f64; 3]>, f64, [f32; 9]); 2] = [
            (None, 0.47998583, [
                -0.01324477, 0.02988238, -0.04194896,
                0.00526954, 0.05833102, 0.06109266,
                0.05555556, -0.00199847, -0.07424308,
            ]),
            (Some([0.5, 2.0, 3.0]), 0.82545382, [
                -0.00662239, 0.02988238, -0.125_846_9,
                0.00526954, 0.05833102, 0.06109266,
                0.05555556, -0.00399694, -0.22272927,
            ]),
        ];
        for (weights, loss, gradient) in expected {
            let logits = Tensor::from_slice(&values).view([3, 3]).set_requires_grad(true);
            let weights = weights.as_ref().map(<[f64; 3]>::as_slice);
            let sum = BinaryCrossEntropy::new(weights, Device::Cpu)?.sum(&logits, &targets, &[0, 1, 2])?;
            let mean = sum.f_div_scalar(3.0)?;
            mean.f_backward()?;
            let found = Vec::<f32>::try_from(logits.grad().reshape([-1i64]))?;
            assert!((mean.f_double_value(&[])? - loss).abs() < 1e-6, "{mean:?}");
            assert!(found.iter().zip(gradient).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        }
        Ok(())
    }

    /// The least loss of one row of logits for all examples is where each probability is the label's share.
    #[test]
    fn the_constant_is_the_least_loss_of_one_answer_for_all() -> Result<()> {
        let targets = Targets::Sets(vec![vec![0], vec![0, 1], vec![], vec![0]]);
        for weights in [None, Some([2.0, 0.5, 3.0])] {
            let weights = weights.as_ref().map(<[f64; 3]>::as_slice);
            let loss = BinaryCrossEntropy::new(weights, Device::Cpu)?;
            let of = |w: usize| weights.map_or(1.0, |weights| weights[w]);
            let logit = |has: f64, lacks: f64| (has / lacks).ln() as f32;
            let logits = [logit(3.0 * of(0), 1.0), logit(of(1), 3.0), -60.0].repeat(4);
            let logits = Tensor::from_slice(&logits).view([4, 3]);
            let found = loss.sum(&logits, &targets, &[0, 1, 2, 3])?.f_double_value(&[])? / 4.0;
            let bounds = loss.bounds(&targets, 3)?;
            assert!((bounds.constant - found).abs() < 1e-6 && bounds.lowest == 0.0, "{bounds:?} {found}");
        }
        Ok(())
    }

    #[test]
    fn balanced_weights_are_negatives_by_positives() {
        let targets = Targets::Sets(vec![vec![0, 2], vec![0, 1, 2], vec![2], vec![0, 2]]);
        assert_eq!(balanced(&targets, 4), [1.0 / 3.0, 3.0, 1.0, 1.0]);
    }
}
