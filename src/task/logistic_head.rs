//! A head fitted by logistic regression, whatever its targets: multinomial, or one for each label.

use crate::error::Result;
use crate::linear::logistic::{self, Labelled, Step, Targets};
use crate::task::contract::{FittedHead, LabelledFeatures, Penalty};

/// What is fitted.
pub struct LogisticHead<'a> {
    /// As people read it: `logistic regression`.
    pub name: &'a str,
    /// What the outputs are to be, of training and of validation data.
    pub targets: &'a dyn Fn(&LabelledFeatures) -> Result<Targets>,
    /// The loss that is minimised is the sum of so many, of which people read the mean.
    pub losses: usize,
}

impl LogisticHead<'_> {
    /// Fits it to convergence; see [`Task::fit_head`](super::contract::Task::fit_head).
    pub fn fit(
        &self,
        train: &LabelledFeatures,
        penalty: Penalty,
        watch: &mut dyn FnMut(Step) -> Result<()>,
    ) -> Result<FittedHead> {
        let (features, targets) = (train.features.to_tensor()?, (self.targets)(train)?);
        let train = Labelled { features: &features, targets: &targets };
        match penalty {
            Penalty::Known(l2) => {
                let linear = logistic::fit_with_penalty(&train, l2, logistic::THOROUGH.tolerance, watch)?;
                Ok(FittedHead { linear, penalty: l2, description: format!("{}, l2 {l2}", self.name) })
            }
            Penalty::ChosenOn(valid) => {
                let (features, targets) = (valid.features.to_tensor()?, (self.targets)(&valid)?);
                let valid = Labelled { features: &features, targets: &targets };
                let mut trials = 0;
                let (linear, chosen) = logistic::fit(&train, &valid, logistic::THOROUGH, &mut |step| {
                    trials += usize::from(matches!(step, Step::Solved(_)));
                    watch(step)
                })?;
                let loss = chosen.valid_loss / self.losses.max(1) as f64;
                let description =
                    format!("{}, l2 {} chosen among {trials} by validation loss {loss:.4}", self.name, chosen.l2);
                Ok(FittedHead { linear, penalty: chosen.l2, description })
            }
        }
    }
}
