//! Single-label classification: each example has one of the labels. Cross-entropy or focal loss, the most probable
//! label, accuracy and F1.

use tch::{Device, Kind, Reduction, Tensor};

use crate::config;
use crate::data::{ClassWeighting, Example, Labels, Scaling, Truth};
use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, evaluate};
use crate::inference::{Rows, to_vec};
use crate::linear::logistic::{Step, soft_targets};
use crate::native;
use crate::task::contract::{ColumnOptions, FittedHead, LabelledFeatures, OutputColumns, Penalty, Task};
use crate::task::label_columns::LabelColumns;
use crate::task::logistic_head::LogisticHead;
use crate::task::loss::{Criterion, Loss, LossBounds, LossSettings};
use crate::task::targets::Targets;

/// The task.
pub struct SingleLabel;

impl Task for SingleLabel {
    fn name(&self) -> config::Task {
        config::Task::SingleLabel
    }

    fn check(&self, config: &config::RunConfig) -> Result<()> {
        match &config.data.label_separator {
            Some(_) => Err(Error::request("a row has one label, and nothing separates it from others")
                .key("data.label_separator")
                .hint("leave it out, or train with --task multi-label")),
            None => Ok(()),
        }
    }

    fn problem_type(&self) -> &'static str {
        "single_label_classification"
    }

    fn names(&self, values: &Labels) -> Result<Labels> {
        if values.len() < 2 {
            return Err(Error::request(format!("every row has the label `{}`", values.name(0)))
                .hint("at least two classes are needed; is this the right column? Name another with --label COL"));
        }
        Ok(values.clone())
    }

    /// A value is the name of a class: where data and head agree on the names, their indices are the same.
    fn parse(&self, examples: &[&Example], values: &Labels, names: &Labels) -> Result<Targets> {
        if values != names {
            return Err(Error::failure("the data's labels are not those of the head"));
        }
        let class = |example: &&Example| match example.truth {
            Truth::Class(class) => Ok(class),
            Truth::Several(_) | Truth::Number(_) => Err(Error::failure("an example has no label where it has one")),
        };
        Ok(Targets::Classes(examples.iter().map(class).collect::<Result<_>>()?))
    }

    fn head_width(&self, names: &Labels) -> usize {
        names.len()
    }

    fn scaling(&self, _: &Targets) -> Option<Scaling> {
        None
    }

    fn loss(&self, settings: &LossSettings, targets: &Targets, names: &Labels, device: Device) -> Result<Loss> {
        let weights = class_weights(settings, targets, names);
        match settings.focal_gamma {
            Some(gamma) => Ok(Loss::new(Focal::new(gamma, weights.as_deref(), device)?)),
            None => Ok(Loss::new(CrossEntropy::new(settings.label_smoothing, weights.as_deref(), device)?)),
        }
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
        let weights = class_weights(settings, train.targets, names);
        let targets = |of: &LabelledFeatures| {
            soft_targets(of.targets.classes(), names.len(), settings.label_smoothing, weights.as_deref())
        };
        LogisticHead { name: "logistic regression", targets: &targets, losses: 1 }.fit(train, penalty, watch)
    }

    fn evaluate(&self, logits: &Rows, targets: &Targets, names: &Labels, _: Option<&[f64]>) -> Result<Evaluation> {
        evaluate(&logits.values, targets.classes(), names.names()).map(Evaluation::from)
    }

    fn thresholds(&self, _: &Rows, _: &Targets) -> Option<Vec<f64>> {
        None
    }

    fn columns(&self, names: &Labels, options: ColumnOptions) -> Box<dyn OutputColumns> {
        Box::new(LabelColumns::new(names, options))
    }
}

/// PyTorch's cross-entropy.
pub struct CrossEntropy {
    label_smoothing: f64,
    class_weights: Option<Tensor>,
}

impl CrossEntropy {
    /// `class_weights`: one per class; without, all weigh 1.
    pub fn new(label_smoothing: f64, class_weights: Option<&[f64]>, device: Device) -> Result<Self> {
        Ok(Self { label_smoothing, class_weights: on_device(class_weights, device)? })
    }
}

/// Weights of classes, where there are any, as a loss reads them.
fn on_device(class_weights: Option<&[f64]>, device: Device) -> Result<Option<Tensor>> {
    let weights = class_weights.map(|weights| -> Result<Tensor> {
        let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
        Ok(Tensor::f_from_slice(&weights)?.f_to_device(device)?)
    });
    weights.transpose()
}

/// The class of an example that PyTorch's cross-entropy ignores (its `ignore_index`).
const IGNORED: i64 = -100;

impl Criterion for CrossEntropy {
    fn sum(&self, logits: &Tensor, targets: &Targets, examples: &[usize]) -> Result<Tensor> {
        let classes = classes_of(targets, examples, logits.device())?;
        let weights = self.class_weights.as_ref();
        Ok(logits.f_cross_entropy_loss(&classes, weights, Reduction::Sum, IGNORED, self.label_smoothing)?)
    }

    fn bounds(&self, targets: &Targets, width: usize) -> Result<LossBounds> {
        let shares = shares(targets, width);
        let weights = on_cpu(self.class_weights.as_ref(), width)?;
        let smoothed = self.label_smoothing / width.max(1) as f64;
        // What each label's logarithm counts in the loss of an example of class `of`.
        let counts = |of: usize| {
            weights.iter().enumerate().map(move |(class, weight)| {
                weight * (smoothed + if class == of { 1.0 - self.label_smoothing } else { 0.0 })
            })
        };
        let mean = |class: usize| weights[class] * (smoothed + (1.0 - self.label_smoothing) * shares[class]);
        let lowest = shares.iter().enumerate().filter(|(_, share)| **share > 0.0);
        Ok(LossBounds {
            constant: least_cross_entropy((0..width).map(mean)),
            lowest: lowest.map(|(class, share)| share * least_cross_entropy(counts(class))).sum(),
        })
    }
}

/// The class of each example, as a tensor on `device`.
fn classes_of(targets: &Targets, examples: &[usize], device: Device) -> Result<Tensor> {
    let classes = targets.classes();
    let class = |&example: &usize| classes.get(example).map_or(IGNORED, |&class| i64::from(class));
    let classes: Vec<i64> = examples.iter().map(class).collect();
    match device {
        Device::Cuda(gpu) => native::to_gpu(&classes, gpu),
        _ => Ok(Tensor::f_from_slice(&classes)?),
    }
}

/// The focal loss (Lin et al. 2017): cross-entropy times (1 - p)^γ, where p is the true label's probability, so that
/// rows predicted well count less. γ = 0 is cross-entropy.
pub struct Focal {
    gamma: f64,
    class_weights: Option<Tensor>,
}

impl Focal {
    /// `class_weights`: one per class; without, all weigh 1.
    pub fn new(gamma: f64, class_weights: Option<&[f64]>, device: Device) -> Result<Self> {
        Ok(Self { gamma, class_weights: on_device(class_weights, device)? })
    }
}

/// 1 - p is not taken as less: for γ below 1 its slope would be infinite where p rounds to 1.
const LEAST_MISSING: f64 = 1e-30;

impl Criterion for Focal {
    fn sum(&self, logits: &Tensor, targets: &Targets, examples: &[usize]) -> Result<Tensor> {
        let classes = classes_of(targets, examples, logits.device())?;
        let log_probability =
            logits.f_log_softmax(-1, Kind::Float)?.f_gather(1, &classes.f_unsqueeze(1)?, false)?.f_squeeze_dim(1)?;
        let missing = log_probability.f_expm1()?.f_neg()?.f_clamp_min(LEAST_MISSING)?;
        let mut losses = missing.f_pow_tensor_scalar(self.gamma)?.f_mul(&log_probability)?.f_neg()?;
        if let Some(weights) = &self.class_weights {
            losses = losses.f_mul(&weights.f_index_select(0, &classes)?)?;
        }
        Ok(losses.f_sum(Kind::Float)?)
    }

    fn bounds(&self, targets: &Targets, width: usize) -> Result<LossBounds> {
        let weights = on_cpu(self.class_weights.as_ref(), width)?;
        let weighted: Vec<f64> =
            shares(targets, width).iter().zip(&weights).map(|(share, weight)| share * weight).collect();
        let loss = |probability: f64| -(1.0 - probability).powf(self.gamma) * probability.ln();
        // The best answer has no closed form: it lies between even probabilities and the frequencies.
        let tempered = |tenths: u32| {
            let powers =
                weighted.iter().filter(|&&share| share > 0.0).map(|share| share.powf(f64::from(tenths) / 10.0));
            let powers: Vec<f64> = powers.collect();
            let sum: f64 = powers.iter().sum();
            let shares = weighted.iter().filter(|&&share| share > 0.0);
            shares.zip(&powers).map(|(share, power)| share * loss(power / sum)).sum::<f64>()
        };
        Ok(LossBounds { constant: (0..=10).map(tempered).fold(f64::INFINITY, f64::min), lowest: 0.0 })
    }
}

/// The share of each class among the targets.
fn shares(targets: &Targets, width: usize) -> Vec<f64> {
    let mut shares = vec![0.0; width];
    let each = 1.0 / targets.len().max(1) as f64;
    for &class in targets.classes() {
        if let Some(share) = shares.get_mut(class as usize) {
            *share += each;
        }
    }
    shares
}

/// The weight of each class; without weights all are 1.
fn on_cpu(class_weights: Option<&Tensor>, width: usize) -> Result<Vec<f64>> {
    class_weights.map_or_else(|| Ok(vec![1.0; width]), to_vec)
}

/// The least of -Σ count · ln p over all probabilities p: at p in proportion to the counts.
fn least_cross_entropy(counts: impl Iterator<Item = f64> + Clone) -> f64 {
    let sum: f64 = counts.clone().sum();
    counts.filter(|&count| count > 0.0).map(|count| -count * (count / sum).ln()).sum()
}

/// A weight for each class, whose mean over the training rows is 1: the mean loss over them is then PyTorch's weighted
/// mean (`CrossEntropyLoss(weight=…, reduction="mean")`), and learning rates and penalties mean what they mean without
/// weights.
fn class_weights(settings: &LossSettings, targets: &Targets, names: &Labels) -> Option<Vec<f64>> {
    match &settings.class_weights {
        ClassWeighting::None => None,
        ClassWeighting::Balanced => Some(balanced_weights(targets.classes(), names.len())),
        ClassWeighting::Each(weights) => Some(with_mean_one(weights, targets.classes())),
    }
}

fn with_mean_one(weights: &[f64], labels: &[u32]) -> Vec<f64> {
    // Shares of the largest, so that no sum is infinite.
    let largest = weights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let sum: f64 = labels.iter().filter_map(|&label| weights.get(label as usize)).map(|weight| weight / largest).sum();
    let mean = if sum > 0.0 { sum / labels.len() as f64 } else { 1.0 };
    weights.iter().map(|weight| weight / largest / mean).collect()
}

/// A weight for each class, so that all classes weigh alike in sum and the mean over `labels` is 1 (scikit-learn's
/// `balanced`). A class without examples weighs 1.
fn balanced_weights(labels: &[u32], classes: usize) -> Vec<f64> {
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
    use crate::evaluation::softmax;

    #[test]
    fn balanced_weights_are_scikit_learns() {
        // sklearn.utils.class_weight.compute_class_weight("balanced", classes=np.arange(3), y=[0, 0, 0, 1, 2, 2])
        let weights = balanced_weights(&[0, 0, 0, 1, 2, 2], 3);
        assert!(weights.iter().zip([2.0 / 3.0, 2.0, 1.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{weights:?}");
        assert_eq!(balanced_weights(&[1, 1], 3), [1.0, 1.0, 1.0]);
    }

    /// Over the training rows: a step's loss is a part of it.
    #[test]
    fn given_weights_make_the_loss_pytorchs_weighted_mean() -> Result<()> {
        let (given, classes) = ([2.0, 0.5, 3.0], [0u32, 1, 1, 2, 1, 0]);
        let names = Labels::in_order(vec!["a".into(), "b".into(), "c".into()])?;
        let settings = LossSettings { class_weights: ClassWeighting::Each(given.to_vec()), ..LossSettings::default() };
        let targets = Targets::Classes(classes.to_vec());
        let weights = class_weights(&settings, &targets, &names).unwrap();
        assert!((weights.iter().sum::<f64>() / given.iter().sum::<f64>() - weights[0] / given[0]).abs() < 1e-12);
        let logits = Tensor::f_from_slice(&[0.3f32, -1.0, 2.0, 0.1, 0.4, -0.7])?
            .f_unsqueeze(1)?
            .f_mul(&Tensor::f_from_slice(&[1.0f32, -0.5, 0.2])?)?;
        let loss = CrossEntropy::new(0.0, Some(&weights), Device::Cpu)?;
        let ours = loss.sum(&logits, &targets, &[0, 1, 2, 3, 4, 5])?.f_double_value(&[])? / 6.0;
        let expected = logits.f_cross_entropy_loss(
            &Tensor::f_from_slice(&classes.map(i64::from))?,
            Some(&Tensor::f_from_slice(&given.map(|weight| weight as f32))?),
            Reduction::Mean,
            IGNORED,
            0.0,
        )?;
        let expected = expected.f_double_value(&[])?;
        assert!((ours - expected).abs() < 1e-6, "{ours} is not {expected}");
        Ok(())
    }

    /// Both ends are where gradient descent on the loss itself ends: over one row of logits for all examples, and over
    /// one for each.
    #[test]
    fn bounds_are_the_least_losses_there_are() -> Result<()> {
        let classes = [0u32, 0, 0, 0, 0, 1, 1, 2];
        let targets = Targets::Classes(classes.to_vec());
        let examples: Vec<usize> = (0..classes.len()).collect();
        let weights = [0.5, 1.5, 2.0];
        let descend = |criterion: &dyn Criterion, rows: i64| -> Result<f64> {
            let logits = Tensor::f_zeros([rows, 3], (Kind::Float, Device::Cpu))?.f_set_requires_grad(true)?;
            let mean = || -> Result<Tensor> {
                Ok(criterion.sum(&logits.f_expand([8, 3], false)?, &targets, &examples)?.f_div_scalar(8.0)?)
            };
            for _ in 0..2000 {
                let gradient = Tensor::f_run_backward(&[mean()?], &[&logits], false, false)?.remove(0);
                let _ = tch::no_grad(|| logits.shallow_clone().f_sub_(&gradient.f_mul_scalar(0.5 * rows as f64)?))?;
            }
            Ok(mean()?.f_double_value(&[])?)
        };
        let criteria: [(Box<dyn Criterion>, f64); 4] = [
            (Box::new(CrossEntropy::new(0.0, None, Device::Cpu)?), 1e-4),
            (Box::new(CrossEntropy::new(0.1, None, Device::Cpu)?), 1e-4),
            (Box::new(CrossEntropy::new(0.1, Some(&weights), Device::Cpu)?), 1e-4),
            // Between the tenths of its temperature.
            (Box::new(Focal::new(2.0, Some(&weights), Device::Cpu)?), 2e-2),
        ];
        for (criterion, tolerance) in &criteria {
            let LossBounds { constant, lowest } = criterion.bounds(&targets, 3)?;
            let (same, each) = (descend(&**criterion, 1)?, descend(&**criterion, 8)?);
            assert!((constant - same).abs() < *tolerance, "{constant} is not {same}");
            assert!(lowest <= each + 1e-6 && each - lowest < 1e-2, "{lowest} is not {each}");
        }
        Ok(())
    }

    #[test]
    fn only_the_ratio_of_weights_counts() {
        let of = |weights: &[f64]| with_mean_one(weights, &[0, 0, 1]);
        assert_eq!(of(&[2.0, 1.0]), of(&[1.0, 0.5]));
        for weights in [[1e308, 1e308], [1e-308, 1e-308], [3.0, 3.0]] {
            assert!(of(&weights).iter().all(|weight| (weight - 1.0).abs() < 1e-12), "{weights:?}");
        }
    }

    /// Logits that require a gradient, of rows predicted well and badly, and their classes.
    fn rows() -> (Tensor, Targets) {
        let logits = Tensor::from_slice(&[2f32, -1.0, 0.5, -3.0, 0.1, 0.2, 9.0, -9.0, 0.0, 0.0, 0.0, 0.0]).view([4, 3]);
        (logits.set_requires_grad(true), Targets::Classes(vec![0, 0, 0, 2]))
    }

    #[test]
    fn focal_loss_without_focus_is_cross_entropy() -> Result<()> {
        for weights in [None, Some([0.5, 1.0, 3.0])] {
            let weights = weights.as_ref().map(<[f64; 3]>::as_slice);
            let value = |loss: &dyn Criterion| -> Result<(f64, Vec<f32>)> {
                let (logits, targets) = rows();
                let sum = loss.sum(&logits, &targets, &[3, 0, 1, 2])?;
                sum.f_backward()?;
                Ok((sum.f_double_value(&[])?, Vec::try_from(logits.grad().reshape([-1i64]))?))
            };
            let (focal, of_focal) = value(&Focal::new(0.0, weights, Device::Cpu)?)?;
            let (plain, of_plain) = value(&CrossEntropy::new(0.0, weights, Device::Cpu)?)?;
            assert!((focal - plain).abs() < 1e-6, "{focal} is not {plain}");
            assert!(of_focal.iter().zip(&of_plain).all(|(a, b)| (a - b).abs() < 1e-6), "{of_focal:?} {of_plain:?}");
        }
        Ok(())
    }

    #[test]
    fn focal_loss_and_its_gradient_follow_the_formula() -> Result<()> {
        let weights = [0.5, 1.0, 3.0];
        for gamma in [0.5, 1.0, 2.0, 5.0] {
            let (logits, targets) = rows();
            let sum = Focal::new(gamma, Some(&weights), Device::Cpu)?.sum(&logits, &targets, &[0, 1, 2, 3])?;
            sum.f_backward()?;
            let found = Vec::<f32>::try_from(logits.grad().reshape([-1i64]))?;
            let values = Vec::<f32>::try_from(logits.detach().reshape([-1i64]))?;
            let mut expected = 0.0;
            for (row, &class) in targets.classes().iter().enumerate() {
                let (class, p) = (class as usize, softmax(&values[row * 3..row * 3 + 3]));
                // 1 - p without loss of digits.
                let others: f64 = (0..3).filter(|&other| other != class).map(|other| p[other]).sum();
                let log_p = (-others).ln_1p();
                expected -= weights[class] * others.powf(gamma) * log_p;
                // d/dz_j = w (1[j = class] - p_j) (γ p (1 - p)^(γ-1) ln p - (1 - p)^γ)
                let slope = gamma * p[class] * others.powf(gamma - 1.0) * log_p - others.powf(gamma);
                for other in 0..3 {
                    let own = f64::from(u8::from(other == class));
                    let gradient = weights[class] * (own - p[other]) * slope;
                    let found = f64::from(found[row * 3 + other]);
                    assert!((found - gradient).abs() < 1e-5, "γ {gamma}, row {row}: {found} is not {gradient}");
                }
            }
            let found = sum.f_double_value(&[])?;
            assert!((found - expected).abs() < 1e-5, "γ {gamma}: {found} is not {expected}");
        }
        Ok(())
    }

    /// Where p rounds to 1 there is nothing to gain, and nothing infinite.
    #[test]
    fn focal_loss_is_finite_where_a_row_is_certain() -> Result<()> {
        for gamma in [0.1, 0.5, 2.0] {
            let logits = Tensor::from_slice(&[200f32, -200.0]).view([1, 2]).set_requires_grad(true);
            let loss = Focal::new(gamma, None, Device::Cpu)?;
            for class in [0, 1] {
                loss.sum(&logits, &Targets::Classes(vec![class]), &[0])?.f_backward()?;
                assert!(logits.grad().isfinite().all().double_value(&[]) == 1.0, "γ {gamma}, class {class}");
            }
        }
        Ok(())
    }

    #[test]
    fn one_class_is_refused() {
        let names = |values: &[&str]| SingleLabel.names(&Labels::from_names(values.to_vec()).unwrap());
        assert_eq!(names(&["a", "b"]).unwrap().len(), 2);
        assert_eq!(names(&["x"]).unwrap_err().to_string(), "every row has the label `x`");
    }
}
