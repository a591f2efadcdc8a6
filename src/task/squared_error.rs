//! The losses of regression, on numbers that are standardised by those of the training rows.

use tch::{Reduction, Tensor};

use crate::data::Scaling;
use crate::error::Result;
use crate::task::loss::{Criterion, LossBounds};
use crate::task::targets::Targets;

/// PyTorch's `MSELoss` or `HuberLoss` (δ = 1), both in standard deviations of the training rows' numbers.
pub struct ScaledError {
    scaling: Scaling,
    huber: bool,
}

impl ScaledError {
    /// `huber`: errors of more than one standard deviation count by their size, not by its square.
    pub fn new(scaling: Scaling, huber: bool) -> Self {
        Self { scaling, huber }
    }

    fn loss(&self, error: f64) -> f64 {
        match error.abs() {
            size if !self.huber => size * size,
            size if size < 1.0 => size * size / 2.0,
            size => size - 0.5,
        }
    }
}

impl Criterion for ScaledError {
    fn sum(&self, logits: &Tensor, targets: &Targets, examples: &[usize]) -> Result<Tensor> {
        let Scaling { mean, deviation } = self.scaling;
        let numbers = targets.numbers();
        let of = |&index: &usize| numbers.get(index).map_or(f32::NAN, |number| ((number - mean) / deviation) as f32);
        let wanted: Vec<f32> = examples.iter().map(of).collect();
        let wanted = Tensor::f_from_slice(&wanted)?.f_to_device(logits.device())?;
        // The head gives plain numbers.
        let found = logits.f_view([-1])?.f_sub_scalar(mean)?.f_div_scalar(deviation)?;
        match self.huber {
            true => Ok(found.f_huber_loss(&wanted, Reduction::Sum, 1.0)?),
            false => Ok(found.f_mse_loss(&wanted, Reduction::Sum)?),
        }
    }

    fn bounds(&self, targets: &Targets, _: usize) -> Result<LossBounds> {
        let Scaling { mean, deviation } = self.scaling;
        let numbers: Vec<f64> = targets.numbers().iter().map(|number| (number - mean) / deviation).collect();
        let of = |answer: f64| {
            numbers.iter().map(|number| self.loss(number - answer)).sum::<f64>() / numbers.len().max(1) as f64
        };
        // A convex function of one answer for all: thirds of the way in which its least value lies.
        let (mut low, mut high) =
            numbers.iter().fold((0.0f64, 0.0f64), |(low, high), &number| (low.min(number), high.max(number)));
        for _ in 0..60 {
            let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
            if of(left) <= of(right) { high = right } else { low = left }
        }
        Ok(LossBounds { constant: of((low + high) / 2.0), lowest: 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: [f64; 5] = [1.0, 3.0, 2.0, 9.0, 2.5];

    /// torch.nn.MSELoss and HuberLoss of (z - mean) / std and (y - mean) / std, with z.grad after backward.
    #[test]
    fn loss_and_gradient_are_pytorchs() -> Result<()> {
        let scaling = Scaling { mean: 3.5, deviation: 2.0 };
        let targets = Targets::Numbers(TARGETS.to_vec());
        for huber in [false, true] {
            let logits = Tensor::from_slice(&[2f32, 2.5, 9.0, 4.0, 2.5]).view([5, 1]).set_requires_grad(true);
            let sum = ScaledError::new(scaling, huber).sum(&logits, &targets, &[0, 1, 2, 3, 4])?;
            sum.f_backward()?;
            // Errors of 0.5, -0.25, 3.5, -2.5 and 0 standard deviations.
            let (expected, gradient) = match huber {
                false => (0.25 + 0.0625 + 12.25 + 6.25, [0.5f32, -0.25, 3.5, -2.5, 0.0]),
                true => (0.125 + 0.03125 + 3.0 + 2.0, [0.25, -0.125, 0.5, -0.5, 0.0]),
            };
            assert!((sum.f_double_value(&[])? - expected).abs() < 1e-5, "{sum:?}");
            let found = Vec::<f32>::try_from(logits.grad().reshape([-1i64]))?;
            assert!(found.iter().zip(gradient).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        }
        Ok(())
    }

    #[test]
    fn the_constant_is_the_least_loss_of_one_answer_for_all() -> Result<()> {
        let targets = Targets::Numbers(TARGETS.to_vec());
        let scaling = Scaling::of(&TARGETS);
        let squared = ScaledError::new(scaling, false).bounds(&targets, 1)?;
        assert!((squared.constant - 1.0).abs() < 1e-9 && squared.lowest == 0.0, "{squared:?}");
        let huber = ScaledError::new(scaling, true);
        let bounds = huber.bounds(&targets, 1)?;
        for answer in [2.0, 2.4, 2.5, 2.6, 3.0, 3.5] {
            let logits = Tensor::from_slice(&[answer as f32; 5]).view([5, 1]);
            let mean = huber.sum(&logits, &targets, &[0, 1, 2, 3, 4])?.f_double_value(&[])? / 5.0;
            assert!(mean >= bounds.constant - 1e-6, "{answer}: {mean} is below {bounds:?}");
        }
        Ok(())
    }
}
