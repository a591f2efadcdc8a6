//! Multi-label classification: each example has any number of the labels. Binary cross-entropy, a threshold for each
//! label, F1 over all decisions.

use tch::Device;

use crate::config::{self, KeepBest, RunConfig};
use crate::data::{ClassWeighting, Example, Labels, Scaling, Truth};
use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, evaluate_multi_label, label_thresholds};
use crate::inference::Rows;
use crate::linear::logistic::{Step, label_targets};
use crate::task::binary::{BinaryCrossEntropy, balanced};
use crate::task::contract::{ColumnOptions, FittedHead, LabelledFeatures, OutputColumns, Penalty, Task};
use crate::task::label_set_columns::LabelSetColumns;
use crate::task::logistic_head::LogisticHead;
use crate::task::loss::{Loss, LossSettings};
use crate::task::targets::Targets;

/// The task.
pub struct MultiLabel;

impl Task for MultiLabel {
    fn name(&self) -> config::Task {
        config::Task::MultiLabel
    }

    fn check(&self, config: &RunConfig) -> Result<()> {
        let training = &config.training;
        let refused = |what: &str, key: &str, hint: &str| {
            let error = Error::request(format!("{what} is for tasks of one label per row"));
            Err(error.key(format!("training.{key}")).hint(hint.to_owned()))
        };
        if training.focal().is_some() {
            let hint = "leave --loss out; --class-weights balanced weighs rare labels";
            return refused("the focal loss", "loss", hint);
        }
        if training.label_smoothing > 0.0 {
            return refused("label smoothing", "label_smoothing", "leave --label-smoothing out");
        }
        if training.keep_best == KeepBest::Mcc {
            let hint = "keep the epoch with the highest micro_f1, macro_f1 or f1:LABEL, or the lowest loss";
            return refused("the Matthews correlation (mcc)", "keep_best", hint);
        }
        if training.target_accuracy.is_some() {
            let hint = "labels are given from thresholds of their own on: --label-thresholds";
            return refused("a confidence for a target accuracy", "target_accuracy", hint);
        }
        Ok(())
    }

    fn problem_type(&self) -> &'static str {
        "multi_label_classification"
    }

    fn names(&self, values: &Labels) -> Result<Labels> {
        if values.is_empty() {
            return Err(
                Error::request("no row has a label").hint("is this the right column? Name another with --label")
            );
        }
        Ok(values.clone())
    }

    fn parse(&self, examples: &[&Example], values: &Labels, names: &Labels) -> Result<Targets> {
        if values != names {
            return Err(Error::failure("the data's labels are not those of the head"));
        }
        let labels = |example: &&Example| match &example.truth {
            Truth::Several(labels) => Ok(labels.clone()),
            Truth::Class(_) | Truth::Number(_) => {
                Err(Error::failure("an example has one label where it may have several"))
            }
        };
        Ok(Targets::Sets(examples.iter().map(labels).collect::<Result<_>>()?))
    }

    fn head_width(&self, names: &Labels) -> usize {
        names.len()
    }

    fn scaling(&self, _: &Targets) -> Option<Scaling> {
        None
    }

    fn loss(&self, settings: &LossSettings, targets: &Targets, names: &Labels, device: Device) -> Result<Loss> {
        let weights = positive_weights(settings, targets, names);
        Ok(Loss::new(BinaryCrossEntropy::new(weights.as_deref(), device)?))
    }

    fn fit_head(
        &self,
        train: &LabelledFeatures,
        penalty: Penalty,
        settings: &LossSettings,
        names: &Labels,
        watch: &mut dyn FnMut(Step) -> Result<()>,
    ) -> Result<FittedHead> {
        // The weights of the training data are those of the validation loss too.
        let weights = positive_weights(settings, train.targets, names);
        let targets = |of: &LabelledFeatures| {
            let all: Vec<usize> = (0..of.targets.len()).collect();
            label_targets(&of.targets.multi_hot(&all, names.len()), names.len(), weights.as_deref())
        };
        let name = "a logistic regression for each label";
        LogisticHead { name, targets: &targets, losses: names.len() }.fit(train, penalty, watch)
    }

    fn evaluate(
        &self,
        logits: &Rows,
        targets: &Targets,
        names: &Labels,
        thresholds: Option<&[f64]>,
    ) -> Result<Evaluation> {
        let usual = vec![label_thresholds::USUAL; names.len()];
        let thresholds = thresholds.unwrap_or(&usual);
        evaluate_multi_label(&logits.values, targets.sets(), names.names(), thresholds).map(Evaluation::from)
    }

    fn thresholds(&self, logits: &Rows, targets: &Targets) -> Option<Vec<f64>> {
        Some(label_thresholds::choose(&logits.values, targets.sets(), logits.width))
    }

    fn columns(&self, names: &Labels, options: ColumnOptions) -> Box<dyn OutputColumns> {
        Box::new(LabelSetColumns::new(names, options))
    }
}

/// What a row that has a label counts against one that has not, by label; `None`: the same.
fn positive_weights(settings: &LossSettings, targets: &Targets, names: &Labels) -> Option<Vec<f64>> {
    match &settings.class_weights {
        ClassWeighting::None => None,
        ClassWeighting::Balanced => Some(balanced(targets, names.len())),
        ClassWeighting::Each(weights) => Some(weights.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Input, Place};

    fn names() -> Labels {
        Labels::in_order(["a", "b", "c"].map(str::to_owned).to_vec()).unwrap()
    }

    #[test]
    fn examples_keep_their_labels_and_one_of_another_task_is_refused() {
        let example = |truth| Example { input: Input::Text("x".into()), truth, file: 0, row: 1 };
        let (some, none) = (example(Truth::Several(vec![0, 2])), example(Truth::Several(vec![])));
        let targets = MultiLabel.parse(&[&some, &none], &names(), &names()).unwrap();
        assert_eq!(targets.sets(), [vec![0, 2], vec![]]);
        assert_eq!(some.place(), Place { file: 0, row: 1 });
        assert!(MultiLabel.parse(&[&example(Truth::Class(1))], &names(), &names()).is_err());
        assert!(MultiLabel.names(&Labels::in_order(vec![]).unwrap()).is_err());
    }

    /// Labels that a feature tells apart are found again, and a weight of rows that have a label raises its logits.
    #[test]
    fn the_head_is_fitted_for_each_label() {
        let values: Vec<f32> = (0..40).flat_map(|row| [f32::from(row % 2 == 0), f32::from(row % 5 == 0)]).collect();
        let features = Rows { values, width: 2 };
        let sets = (0..40u32).map(|row| (0..2).filter(|label| row % [2, 5][*label as usize] == 0).collect()).collect();
        let targets = Targets::Sets(sets);
        let names = Labels::in_order(["even", "fifth"].map(str::to_owned).to_vec()).unwrap();
        let fit = |class_weights| {
            let settings = LossSettings { class_weights, ..LossSettings::default() };
            let train = LabelledFeatures { features: &features, targets: &targets };
            let fitted = MultiLabel.fit_head(&train, Penalty::Known(0.01), &settings, &names, &mut |_| Ok(())).unwrap();
            let logits = features.to_tensor().unwrap().linear(&fitted.linear.weight, Some(&fitted.linear.bias));
            Rows { values: Vec::<f32>::try_from(logits.reshape([-1])).unwrap(), width: 2 }
        };
        let logits = fit(ClassWeighting::None);
        let scores = MultiLabel.evaluate(&logits, &targets, &names, None).unwrap();
        assert_eq!(scores.multi_label().unwrap().exact_match, 1.0);
        let thresholds = MultiLabel.thresholds(&logits, &targets).unwrap();
        assert_eq!(MultiLabel.evaluate(&logits, &targets, &names, Some(&thresholds)).unwrap().micro_f1(), 1.0);
        let sum = |logits: &Rows| logits.values.iter().sum::<f32>();
        assert!(sum(&fit(ClassWeighting::Each(vec![3.0, 3.0]))) > sum(&logits));
    }
}
