//! Which settings make no sense, or are not there yet, where rows have numbers and no labels.

use super::class_weights::ClassWeights;
use super::keep_best::KeepBest;
use super::run::RunConfig;
use super::values::{LossFunction, Strategy};
use crate::error::{Error, Result};

impl RunConfig {
    /// That the settings of a regression can be followed by all of `strategies`.
    ///
    /// # Errors
    /// Naming the first that cannot.
    pub(super) fn check_regression(&self, strategies: &[Strategy]) -> Result<()> {
        let (data, training) = (&self.data, &self.training);
        let of_labels = [
            ("data.label_map", data.label_map.is_some(), "renames labels"),
            ("data.merge_labels", data.merge_labels, "makes labels one that look alike"),
            ("data.min_rows_per_label", data.min_rows_per_label.is_some(), "counts the rows of labels"),
            ("data.label_separator", data.label_separator.is_some(), "takes labels apart"),
            ("training.class_weights", training.class_weights != ClassWeights::None, "weighs labels"),
            ("training.label_smoothing", training.label_smoothing > 0.0, "spreads a label over the others"),
            ("training.focal_gamma", training.focal_gamma.is_some(), "belongs to the focal loss of labels"),
            ("training.target_accuracy", training.target_accuracy.is_some(), "is a share of right labels"),
            ("training.thresholds_per_label", training.thresholds_per_label, "is for labels"),
        ];
        if let Some((key, _, what)) = of_labels.into_iter().find(|(_, given, _)| *given) {
            return Err(Error::request(format!("it {what}, and rows of a regression have numbers"))
                .key(key)
                .hint("leave it out, or train with --task single-label"));
        }
        if data.folds.is_some() {
            return Err(Error::request("folds are dealt by labels, and rows of a regression have numbers")
                .key("data.folds")
                .hint("leave --folds out: validation rows are held out, or given with --valid"));
        }
        match training.loss {
            Some(loss @ (LossFunction::CrossEntropy | LossFunction::Focal)) => {
                return Err(Error::request(format!("`{loss}` is the loss of labels, and regression has numbers"))
                    .key("training.loss")
                    .hint("regression takes --loss mse or --loss huber"));
            }
            Some(LossFunction::Huber) if strategies.contains(&Strategy::Frozen) => {
                return Err(Error::request(
                    "`frozen` fits its head by ridge regression, whose loss is the squared error",
                )
                .key("training.loss")
                .hint("leave --loss out, or train more: --strategy last:1"));
            }
            _ => {}
        }
        match &training.keep_best {
            KeepBest::Latest | KeepBest::Loss | KeepBest::Spearman => Ok(()),
            score => Err(Error::request(format!("`{score}` is a score of labels, and regression has numbers"))
                .key("training.keep_best")
                .hint("regression takes latest (by R²), loss (the squared error) or spearman")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::example;
    use crate::config::{LabelThresholds, Task};

    #[test]
    fn what_is_for_labels_is_refused() {
        let plain = || {
            let mut config = example();
            (config.data.task, config.data.label_separator, config.data.folds) = (Some(Task::Regression), None, None);
            (config.data.label_map, config.data.merge_labels, config.data.min_rows_per_label) = (None, false, None);
            config.training.loss = None;
            config.training.keep_best = KeepBest::Latest;
            config.training.class_weights = ClassWeights::None;
            config.training.label_thresholds = LabelThresholds::F1;
            (config.training.label_smoothing, config.training.focal_gamma) = (0.0, None);
            (config.training.target_accuracy, config.training.thresholds_per_label) = (None, false);
            config
        };
        let check = |config: RunConfig, strategy| config.check_loss(&[strategy]).map_err(|error| error.to_string());
        assert_eq!(check(plain(), Strategy::Frozen), Ok(()));
        let refused = |change: &dyn Fn(&mut RunConfig), key: &str| {
            let mut config = plain();
            change(&mut config);
            let error = check(config, Strategy::Frozen).unwrap_err();
            assert!(error.contains(key), "{error}");
        };
        refused(&|config| config.training.loss = Some(LossFunction::CrossEntropy), "training.loss");
        refused(&|config| config.training.loss = Some(LossFunction::Huber), "ridge regression");
        refused(&|config| config.training.keep_best = KeepBest::MacroF1, "keep_best");
        refused(&|config| config.training.class_weights = ClassWeights::Balanced, "class_weights");
        refused(&|config| config.training.target_accuracy = Some(0.9), "target_accuracy");
        refused(&|config| config.data.merge_labels = true, "merge_labels");
        refused(&|config| config.data.folds = Some(3), "folds");
        let mut huber = plain();
        huber.training.loss = Some(LossFunction::Huber);
        assert_eq!(check(huber, Strategy::Full), Ok(()));
    }
}
