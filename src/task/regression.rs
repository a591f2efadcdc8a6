//! Regression: each example has one number. Squared error (or Huber's loss) on standardised numbers, RMSE, R² and
//! correlations.
//!
//! The network's output layer learns standardised numbers. [`Task::scaling`] tells of which mean and deviation, so that
//! the head gives plain numbers throughout, and both are multiplied into its weights when training is done.

use tch::Device;

use crate::config;
use crate::data::{ClassWeighting, Example, Labels, Scaling, Truth};
use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, evaluate_regression};
use crate::inference::Rows;
use crate::linear::logistic::{Step, THOROUGH};
use crate::linear::ridge::{self, Numbered};
use crate::task::contract::{ColumnOptions, FittedHead, LabelledFeatures, OutputColumns, Penalty, Task};
use crate::task::loss::{Loss, LossSettings};
use crate::task::score_columns::ScoreColumns;
use crate::task::squared_error::ScaledError;
use crate::task::targets::Targets;

/// The task.
pub struct Regression;

impl Task for Regression {
    fn name(&self) -> config::Task {
        config::Task::Regression
    }

    /// The configuration has looked at them before anything was loaded.
    fn check(&self, _: &config::RunConfig) -> Result<()> {
        Ok(())
    }

    fn problem_type(&self) -> &'static str {
        "regression"
    }

    /// One: what the numbers are called.
    fn names(&self, values: &Labels) -> Result<Labels> {
        Ok(values.clone())
    }

    fn parse(&self, examples: &[&Example], _: &Labels, names: &Labels) -> Result<Targets> {
        if names.len() != 1 {
            return Err(Error::request(format!("the model gives {} numbers a row", names.len()))
                .hint("only models that give one number are supported"));
        }
        let number = |example: &&Example| match example.truth {
            Truth::Number(number) => Ok(number.value()),
            _ => Err(Error::failure("an example has a label where it has a number")),
        };
        Ok(Targets::Numbers(examples.iter().map(number).collect::<Result<_>>()?))
    }

    fn head_width(&self, _: &Labels) -> usize {
        1
    }

    fn scaling(&self, train: &Targets) -> Option<Scaling> {
        Some(Scaling::of(train.numbers()))
    }

    fn loss(&self, settings: &LossSettings, targets: &Targets, _: &Labels, _: Device) -> Result<Loss> {
        refuse_losses_of_labels(settings)?;
        Ok(Loss::new(ScaledError::new(Scaling::of(targets.numbers()), settings.huber)))
    }

    /// For standardised numbers, as [`Task::scaling`] has them.
    fn fit_head(
        &self,
        train: &LabelledFeatures,
        penalty: Penalty,
        settings: &LossSettings,
        _: &Labels,
        watch: &mut dyn FnMut(Step) -> Result<()>,
    ) -> Result<FittedHead> {
        refuse_losses_of_labels(settings)?;
        let scaling = Scaling::of(train.targets.numbers());
        let standardised = |targets: &Targets| -> Vec<f64> {
            targets.numbers().iter().map(|number| (number - scaling.mean) / scaling.deviation).collect()
        };
        let (features, targets) = (train.features.to_tensor()?, standardised(train.targets));
        let own = Numbered { features: &features, targets: &targets };
        match penalty {
            Penalty::ChosenOn(valid) => {
                let (features, targets) = (valid.features.to_tensor()?, standardised(valid.targets));
                let valid = Numbered { features: &features, targets: &targets };
                let mut trials = 0;
                let (linear, chosen) = ridge::fit(&own, &valid, THOROUGH, &mut |step| {
                    trials += usize::from(matches!(step, Step::Solved(_)));
                    watch(step)
                })?;
                let rmse = (2.0 * chosen.valid_loss).sqrt() * scaling.deviation;
                let l2 = chosen.l2;
                let description =
                    format!("ridge regression, l2 {l2} chosen among {trials} by validation RMSE {rmse:.4}");
                Ok(FittedHead { linear, penalty: l2, description })
            }
            Penalty::Known(l2) => {
                let linear = ridge::fit_with_penalty(&own, l2, watch)?;
                Ok(FittedHead { linear, penalty: l2, description: format!("ridge regression, l2 {l2}") })
            }
        }
    }

    fn evaluate(&self, logits: &Rows, targets: &Targets, names: &Labels, _: Option<&[f64]>) -> Result<Evaluation> {
        evaluate_regression(&logits.values, targets.numbers(), names.names()).map(Evaluation::from)
    }

    fn thresholds(&self, _: &Rows, _: &Targets) -> Option<Vec<f64>> {
        None
    }

    fn columns(&self, _: &Labels, _: ColumnOptions) -> Box<dyn OutputColumns> {
        Box::new(ScoreColumns)
    }
}

/// What is asked of the loss and makes no sense of numbers.
fn refuse_losses_of_labels(settings: &LossSettings) -> Result<()> {
    let refused = |what: &str, key: &str| {
        Err(Error::request(format!("{what} are for labels, and regression has numbers"))
            .key(key)
            .hint("leave the option out"))
    };
    match settings {
        LossSettings { class_weights: ClassWeighting::Balanced | ClassWeighting::Each(_), .. } => {
            refused("class weights", "training.class_weights")
        }
        LossSettings { label_smoothing, .. } if *label_smoothing > 0.0 => {
            refused("smoothed targets", "training.label_smoothing")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Input, Number};

    fn names() -> Labels {
        Labels::in_order(vec!["score".to_owned()]).unwrap()
    }

    #[test]
    fn examples_keep_their_numbers_and_one_of_another_task_is_refused() {
        let example = |truth| Example { input: Input::Text("x".into()), truth, file: 0, row: 1 };
        let number = example(Truth::Number(Number::new(2.5).unwrap()));
        let targets = Regression.parse(&[&number], &names(), &names()).unwrap();
        assert_eq!(targets.numbers(), [2.5]);
        assert!(Regression.parse(&[&example(Truth::Class(0))], &names(), &names()).is_err());
        let two = Labels::in_order(vec!["a".to_owned(), "b".to_owned()]).unwrap();
        assert!(Regression.parse(&[&number], &two, &two).is_err());
    }

    /// A line through the features is found again, in standardised numbers.
    #[test]
    fn the_head_is_fitted_for_standardised_numbers() {
        let features: Vec<f32> = (0..30).map(|row| row as f32 / 10.0).collect();
        let numbers: Vec<f64> = (0..30).map(|row| 1000.0 + 50.0 * f64::from(row)).collect();
        let (features, targets) = (Rows { values: features, width: 1 }, Targets::Numbers(numbers.clone()));
        let own = LabelledFeatures { features: &features, targets: &targets };
        let valid = LabelledFeatures { features: &features, targets: &targets };
        let settings = LossSettings::default();
        let fitted = Regression.fit_head(&own, Penalty::ChosenOn(valid), &settings, &names(), &mut |_| Ok(())).unwrap();
        let Scaling { mean, deviation } = Regression.scaling(&targets).unwrap();
        let outputs = features.to_tensor().unwrap().linear(&fitted.linear.weight, Some(&fitted.linear.bias));
        let values: Vec<f32> = Vec::<f32>::try_from(outputs.reshape([-1i64])).unwrap();
        let values = values.iter().map(|value| value * deviation as f32 + mean as f32).collect();
        let scores = Regression.evaluate(&Rows { values, width: 1 }, &targets, &names(), None).unwrap();
        assert!(scores.regression().unwrap().r2.unwrap() > 0.999, "{scores:?}");
        let smoothed = LossSettings { label_smoothing: 0.1, ..LossSettings::default() };
        assert!(Regression.loss(&smoothed, &targets, &names(), Device::Cpu).is_err());
    }
}
