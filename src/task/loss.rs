//! The loss of a step, averaged over its examples however they were split into micro-batches. What is summed, a task
//! says.

use tch::{Kind, Tensor};

use crate::batch::Batch;
use crate::data::ClassWeighting;
use crate::error::Result;
use crate::task::targets::Targets;

/// What the settings say of a loss. A task takes what it knows.
#[derive(Debug, Clone, Default)]
pub struct LossSettings {
    /// The share of the target that is spread evenly over all classes (Szegedy et al. 2016), 0 to 1.
    pub label_smoothing: f64,
    /// γ of the focal loss (Lin et al. 2017); `None`: cross-entropy.
    pub focal_gamma: Option<f64>,
    /// Whether numbers are fitted by Huber's loss, not by the squared error.
    pub huber: bool,
    /// What each class weighs.
    pub class_weights: ClassWeighting,
}

/// What a task minimises.
pub trait Criterion {
    /// The summed loss of `examples` (indices into `targets`), one number. `logits` `[N, head width]` in fp32, in their
    /// order.
    fn sum(&self, logits: &Tensor, targets: &Targets, examples: &[usize]) -> Result<Tensor>;

    /// Between what its mean over `targets` can lie for a network with `width` outputs.
    fn bounds(&self, targets: &Targets, width: usize) -> Result<LossBounds>;
}

/// What the mean loss of a set of targets can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossBounds {
    /// That of the best answer that is the same for every example: of the labels' frequencies and nothing else.
    pub constant: f64,
    /// That of the right answer for every example; above 0 where labels are smoothed.
    pub lowest: f64,
}

impl LossBounds {
    /// How much of the way from the one to the other a network with this mean loss has gone: 0 or less where it has
    /// learned nothing, 1 at most.
    pub fn learned(&self, loss: f64) -> f64 {
        let way = self.constant - self.lowest;
        if way > 0.0 { (self.constant - loss) / way } else { 0.0 }
    }
}

/// The loss of a run, on its device.
pub struct Loss {
    criterion: Box<dyn Criterion>,
    /// What each example weighs, 1 on average; `None`: all the same.
    weights: Option<Vec<f64>>,
}

impl Loss {
    /// The loss of a run whose sums `criterion` gives.
    pub fn new(criterion: impl Criterion + 'static) -> Self {
        Self { criterion: Box::new(criterion), weights: None }
    }

    /// The same with a weight for each example, 1 on average.
    pub fn weighted(self, weights: Option<Vec<f64>>) -> Self {
        Self { weights, ..self }
    }

    /// Between what the mean over `targets` can lie for a network with `width` outputs.
    pub fn bounds(&self, targets: &Targets, width: usize) -> Result<LossBounds> {
        self.criterion.bounds(targets, width)
    }

    /// The summed loss of a micro-batch divided by `examples`: with the number of examples in the whole step, the sum
    /// over the step's micro-batches is the step's mean. `logits` `[N, head width]` in fp32; `targets` of the whole
    /// set. `lambda` is the share of each example itself; the rest is that of its partner, the one opposite it in the
    /// batch (mixup). One number.
    pub fn of(&self, logits: &Tensor, batch: &Batch, targets: &Targets, examples: f64, lambda: f64) -> Result<Tensor> {
        let own = self.sum(logits, targets, &batch.examples)?;
        let sum = if lambda < 1.0 {
            let partners: Vec<usize> = batch.examples.iter().rev().copied().collect();
            self.sum(logits, targets, &partners)?.f_lerp(&own, lambda)?
        } else {
            own
        };
        Ok(sum.f_div_scalar(examples.max(1.0))?)
    }

    /// The summed loss of `examples`, each by its weight: those of one weight together.
    fn sum(&self, logits: &Tensor, targets: &Targets, examples: &[usize]) -> Result<Tensor> {
        let Some(weights) = &self.weights else { return self.criterion.sum(logits, targets, examples) };
        let weight_of = |example: usize| weights.get(example).copied().unwrap_or(1.0);
        let mut distinct: Vec<f64> = examples.iter().map(|&example| weight_of(example)).collect();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        let mut sum = Tensor::f_zeros([], (Kind::Float, logits.device()))?;
        for weight in distinct {
            let alike = || (0..examples.len()).filter(|&row| weight_of(examples[row]) == weight);
            let rows: Vec<i64> = alike().map(|row| row as i64).collect();
            let rows = Tensor::f_from_slice(&rows)?.f_to_device(logits.device())?;
            let of_rows: Vec<usize> = alike().map(|row| examples[row]).collect();
            let part = self.criterion.sum(&logits.f_index_select(0, &rows)?, targets, &of_rows)?;
            sum = sum.f_add(&part.f_mul_scalar(weight)?)?;
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::batch::Inputs;
    use crate::task::single_label::CrossEntropy;

    #[test]
    fn lambda_divides_the_loss_between_an_image_and_its_partner() -> Result<()> {
        let loss = Loss::new(CrossEntropy::new(0.0, None, Device::Cpu)?);
        let logits = Tensor::from_slice(&[2f32, 0.0, 0.5, 1.0, -1.0, 0.0]).view([3, 2]);
        let pixels = Tensor::zeros([3, 3, 1, 1], (Kind::Float, Device::Cpu));
        let batch = Batch { examples: vec![4, 0, 2], inputs: Inputs::Pixels(pixels) };
        let value = |classes: &[u32], lambda: f64| -> Result<f64> {
            let targets = Targets::Classes(classes.to_vec());
            Ok(loss.of(&logits, &batch, &targets, 5.0, lambda)?.f_double_value(&[])?)
        };
        // The classes of examples 4, 0 and 2 are 1, 0 and 0; in reverse 0, 0 and 1.
        let (own, partners) = (value(&[0, 9, 0, 9, 1], 1.0)?, value(&[0, 9, 1, 9, 0], 1.0)?);
        let mixed = value(&[0, 9, 0, 9, 1], 0.3)?;
        assert!((own - partners).abs() > 0.1 && (mixed - (0.3 * own + 0.7 * partners)).abs() < 1e-6, "{mixed}");
        Ok(())
    }
}
