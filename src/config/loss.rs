//! Which settings of the loss do not go together.

use super::run::{RunConfig, TrainingConfig};
use super::values::{LossFunction, Strategy, Task};
use crate::error::{Error, Result};

/// γ of the focal loss where nothing is said (Lin et al. 2017).
const USUAL_GAMMA: f64 = 2.0;

impl TrainingConfig {
    /// γ of the focal loss; `None` for cross-entropy.
    pub fn focal(&self) -> Option<f64> {
        (self.loss == Some(LossFunction::Focal)).then(|| self.focal_gamma.unwrap_or(USUAL_GAMMA))
    }
}

impl RunConfig {
    /// That the loss can be minimised by all of `strategies`, with the other settings that are given.
    ///
    /// # Errors
    /// Settings that exclude each other.
    pub fn check_loss(&self, strategies: &[Strategy]) -> Result<()> {
        let training = &self.training;
        if self.data.task == Some(Task::Regression) {
            return self.check_regression(strategies);
        }
        if let Some(loss @ (LossFunction::Mse | LossFunction::Huber)) = training.loss {
            return Err(Error::request(format!("`{loss}` is the loss of numbers, which --task regression trains on"))
                .key("training.loss")
                .hint("add --task regression, or leave --loss out"));
        }
        if training.focal().is_none() {
            return match training.focal_gamma {
                Some(_) => Err(Error::request("cross-entropy has no focal gamma")
                    .key("training.focal_gamma")
                    .hint("add --loss focal, or leave --focal-gamma out")),
                None => Ok(()),
            };
        }
        if strategies.contains(&Strategy::Frozen) {
            return Err(Error::request(
                "`frozen` fits its head by logistic regression, whose loss is cross-entropy: it has no focal loss",
            )
            .key("training.loss")
            .hint("leave --loss out and weigh the classes with --class-weights, or train more: --strategy last:1"));
        }
        if training.label_smoothing > 0.0 {
            return Err(Error::request("the focal loss has no label smoothing")
                .key("training.label_smoothing")
                .hint("leave out --label-smoothing, or train with --loss cross_entropy"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::example;

    #[test]
    fn what_does_not_go_together_is_refused() {
        let with = |loss, focal_gamma, label_smoothing, strategies: &[Strategy]| {
            let mut config = example();
            config.data.task = None;
            config.training = TrainingConfig { loss: Some(loss), focal_gamma, label_smoothing, ..config.training };
            config.check_loss(strategies).map(|()| config.training.focal()).map_err(|error| error.to_string())
        };
        use LossFunction::{CrossEntropy, Focal};
        let all = [Strategy::Frozen, Strategy::Full];
        assert_eq!(with(CrossEntropy, None, 0.1, &all), Ok(None));
        assert_eq!(with(Focal, None, 0.0, &all[1..]), Ok(Some(2.0)));
        assert_eq!(with(Focal, Some(0.0), 0.0, &all[1..]), Ok(Some(0.0)));
        assert!(with(Focal, None, 0.0, &all).unwrap_err().contains("logistic regression"));
        assert!(with(Focal, None, 0.1, &all[1..]).unwrap_err().contains("label smoothing"));
        assert!(with(LossFunction::Huber, None, 0.0, &all).unwrap_err().contains("--task regression"));
        assert!(with(CrossEntropy, Some(1.0), 0.0, &all).unwrap_err().contains("no focal gamma"));
    }
}
