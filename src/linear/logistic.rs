//! Logistic regression with an L2 penalty, trained to convergence: the head on frozen features. Multinomial where a row
//! has one class; where it may have several labels, one regression for each label, all with the same penalty.
//!
//! Features are standardised for the optimisation and the standardisation is folded into the weights afterwards, so
//! that the result is a plain linear layer. The penalty is chosen on validation data. [`lbfgs`] in fp64; a convex
//! problem, so the result depends on nothing but the data.

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::linear::lbfgs::{self, Limits};
use crate::linear::path;

/// A linear layer: weight `[classes, width]` and bias `[classes]`, fp32, on the CPU.
pub struct Linear {
    /// `[classes, width]`, for features as they are: the standardisation is folded in.
    pub weight: Tensor,
    /// `[classes]`.
    pub bias: Tensor,
}

/// One penalty that was tried.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Trial {
    /// The penalty's factor: `l2/2 · ‖W‖²` beside the mean cross-entropy, on standardised features.
    pub l2: f64,
    /// Mean cross-entropy on the validation data.
    pub valid_loss: f64,
    /// L-BFGS steps, from the solution of the penalty before.
    pub iterations: usize,
}

/// How far a fit is: what its watcher hears.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// The loss was computed once, for the penalty of this number among so many.
    Evaluated {
        /// From 1 on.
        penalty: usize,
        /// How many may be tried; the search ends early where more would be worse.
        penalties: usize,
    },
    /// The best head for one penalty was found.
    Solved(Trial),
}

/// Features `[N, width]` with what is to be predicted from them.
pub struct Labelled<'a> {
    /// One row per example, in any floating-point kind.
    pub features: &'a Tensor,
    /// As many rows, see [`soft_targets`] and [`label_targets`].
    pub targets: &'a Targets,
}

/// What each class's or label's log-probability counts, fp64.
pub struct Targets {
    /// `[N, classes]`: one-hot, unless labels are smoothed or classes weighted; of labels each for itself 0 or what a
    /// row that has the label counts.
    counts: Tensor,
    /// What the gradient subtracts `counts` from, times the probability: of classes `[N, 1]`, their sums; of labels
    /// `[N, labels]`, what a row counts that has the label or has not.
    weights: Tensor,
    link: Link,
}

/// From a linear layer's outputs to probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// One of the classes.
    Softmax,
    /// Each label for itself.
    Sigmoid,
}

impl Targets {
    fn rows(&self) -> i64 {
        self.counts.size().first().copied().unwrap_or_default()
    }

    fn classes(&self) -> i64 {
        self.counts.size().get(1).copied().unwrap_or_default()
    }
}

/// The targets of cross-entropy as PyTorch has them, `[N, classes]` in fp64: one-hot, unless labels are smoothed or
/// classes weighted.
///
/// # Errors
/// A label is not below `classes`.
pub fn soft_targets(
    labels: &[u32],
    classes: usize,
    label_smoothing: f64,
    class_weights: Option<&[f64]>,
) -> Result<Targets> {
    if labels.iter().any(|&label| label as usize >= classes) {
        return Err(Error::failure(format!("a label is beyond the {classes} classes there are")));
    }
    let labels: Vec<i64> = labels.iter().map(|&label| i64::from(label)).collect();
    let mut targets = Tensor::f_from_slice(&labels)?.f_one_hot(classes as i64)?.f_to_kind(Kind::Double)?;
    if label_smoothing > 0.0 {
        let evenly = label_smoothing / classes.max(1) as f64;
        targets = targets.f_mul_scalar(1.0 - label_smoothing)?.f_add_scalar(evenly)?;
    }
    if let Some(weights) = class_weights {
        targets = targets.f_mul(&Tensor::f_from_slice(weights)?)?;
    }
    let weights = targets.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?;
    Ok(Targets { counts: targets, weights, link: Link::Softmax })
}

/// The targets of binary cross-entropy, from `[N, labels]` zeros and ones, row-major. A row that has a label counts
/// `positive_weights` of it (PyTorch's `pos_weight`), without them 1; one that has not counts 1.
///
/// # Errors
/// `multi_hot` is not so many rows.
pub fn label_targets(multi_hot: &[f32], labels: usize, positive_weights: Option<&[f64]>) -> Result<Targets> {
    let has = Tensor::f_from_slice(multi_hot)?.f_view([-1, labels as i64])?.f_to_kind(Kind::Double)?;
    let lacks = has.f_neg()?.f_add_scalar(1.0)?;
    let counts = match positive_weights {
        Some(weights) => has.f_mul(&Tensor::f_from_slice(weights)?)?,
        None => has,
    };
    Ok(Targets { weights: counts.f_add(&lacks)?, counts, link: Link::Sigmoid })
}

/// Which penalties are tried, and how closely each is solved.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// From the strongest on: each solution is where the next begins.
    pub l2: &'static [f64],
    /// Converged when no component of the gradient is larger.
    pub tolerance: f64,
}

/// For a head that will be used.
pub const THOROUGH: Search =
    Search { l2: &[1.0, 0.3162, 0.1, 0.03162, 0.01, 0.003162, 0.001, 0.0003162, 0.0001], tolerance: 1e-5 };
/// For many heads of which only the scores are of interest.
pub const QUICK: Search = Search { l2: &[1.0, 0.1, 0.01, 0.001], tolerance: 1e-3 };

const MAX_ITERATIONS: usize = 300;
/// Steps that L-BFGS remembers.
const MEMORY: usize = 10;

/// Fits a head on `train` and chooses the penalty by the loss on `valid`. `watch` hears of every step, and ends the fit
/// with its error.
pub fn fit(
    train: &Labelled,
    valid: &Labelled,
    search: Search,
    watch: &mut dyn FnMut(Step) -> Result<()>,
) -> Result<(Linear, Trial)> {
    let standardised = Standardised::of(train)?;
    let valid_problem = Problem::new(standardised.coordinates(valid.features)?, valid.targets)?;
    let problem = &standardised.problem;
    let mut point = problem.start();
    let (mut penalty, penalties) = (0, search.l2.len());
    let best = path::choose(search.l2, |l2| {
        penalty += 1;
        let iterations = lbfgs::minimise(&mut point, limits(search.tolerance), |point, gradient| {
            watch(Step::Evaluated { penalty, penalties })?;
            problem.evaluate(point, l2, gradient)
        })?;
        let trial = Trial { l2, valid_loss: valid_problem.mean_loss(&point)?, iterations };
        watch(Step::Solved(trial))?;
        Ok((trial.valid_loss, (point.clone(), trial)))
    })?;
    let (point, trial) = best.ok_or_else(|| {
        Error::failure("logistic regression found no finite solution").hint("the backbone's features may not be finite")
    })?;
    Ok((standardised.linear(&point)?, trial))
}

/// Fits a head on `train` with the penalty `l2`, which was chosen before. `watch` as for [`fit`].
pub fn fit_with_penalty(
    train: &Labelled,
    l2: f64,
    tolerance: f64,
    watch: &mut dyn FnMut(Step) -> Result<()>,
) -> Result<Linear> {
    let standardised = Standardised::of(train)?;
    let mut point = standardised.problem.start();
    lbfgs::minimise(&mut point, limits(tolerance), |point, gradient| {
        watch(Step::Evaluated { penalty: 1, penalties: 1 })?;
        standardised.problem.evaluate(point, l2, gradient)
    })?;
    standardised.linear(&point)
}

fn limits(tolerance: f64) -> Limits {
    Limits { tolerance, iterations: MAX_ITERATIONS, memory: MEMORY }
}

/// The problem on standardised features, and the way back to features as they are.
struct Standardised {
    /// `[1, width]`, as is `std`.
    mean: Tensor,
    std: Tensor,
    basis: Basis,
    problem: Problem,
}

impl Standardised {
    fn of(train: &Labelled) -> Result<Self> {
        let x = train.features.f_to_kind(Kind::Double)?;
        let mean = x.f_mean_dim([0i64].as_slice(), true, Kind::Double)?;
        let std = x.f_std_dim([0i64].as_slice(), false, true)?.f_clamp_min(1e-6)?;
        let x = x.f_sub(&mean)?.f_div(&std)?;
        let basis = Basis::of(&x)?;
        let problem = Problem::new(basis.coordinates(&x)?, train.targets)?;
        Ok(Self { mean, std, basis, problem })
    }

    /// Other features as the problem's points see them.
    fn coordinates(&self, features: &Tensor) -> Result<Tensor> {
        self.basis.coordinates(&features.f_to_kind(Kind::Double)?.f_sub(&self.mean)?.f_div(&self.std)?)
    }

    /// A point as a layer for features as they are: w/σ, and b − Σ w μ/σ.
    fn linear(&self, point: &[f64]) -> Result<Linear> {
        let Self { mean, std, basis, problem } = self;
        let point = problem.table(point)?;
        let weight = basis.weights(&point.f_narrow(0, 0, problem.width)?)?.f_div(&std.f_transpose(0, 1)?)?;
        let bias = point.f_narrow(0, problem.width, 1)?.f_sub(&mean.f_matmul(&weight)?)?;
        Ok(Linear {
            weight: weight.f_transpose(0, 1)?.f_to_kind(Kind::Float)?.f_contiguous()?,
            bias: bias.f_view([-1])?.f_to_kind(Kind::Float)?,
        })
    }
}

/// The directions in which the training rows differ, orthonormal, `[D, N]`, where there are fewer rows N than features
/// D. A penalised solution has no part outside of them (the representer theorem), so the search may stay within: exact,
/// and cheaper.
struct Basis(Option<Tensor>);

impl Basis {
    fn of(x: &Tensor) -> Result<Self> {
        let fewer_rows = matches!(x.size()[..], [rows, width] if rows < width);
        if !fewer_rows {
            return Ok(Self(None));
        }
        let (directions, _) = Tensor::f_linalg_qr(&x.f_transpose(0, 1)?, "reduced")?;
        Ok(Self(Some(directions)))
    }

    fn coordinates(&self, x: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Some(directions) => Ok(x.f_matmul(directions)?),
            None => Ok(x.shallow_clone()),
        }
    }

    /// Of the features, `[D, classes]`, from those of the coordinates.
    fn weights(&self, weights: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Some(directions) => Ok(directions.f_matmul(weights)?),
            None => Ok(weights.shallow_clone()),
        }
    }
}

/// Mean cross-entropy of a linear layer on fixed data, with its gradient; of labels each for itself the sum of theirs,
/// so that the penalty is to each what it would be alone. Points are `[width + 1, classes]`, row by row, the last row
/// the biases.
struct Problem {
    /// `[N, width + 1]`, the last column ones.
    x: Tensor,
    targets: Targets,
    width: i64,
}

impl Problem {
    fn new(x: Tensor, targets: &Targets) -> Result<Self> {
        let [rows, width] = x.size()[..] else {
            return Err(Error::failure("features must be a matrix"));
        };
        if rows != targets.rows() {
            return Err(Error::failure("features and labels do not belong together"));
        }
        let (counts, weights) = (targets.counts.shallow_clone(), targets.weights.shallow_clone());
        let targets = Targets { counts, weights, link: targets.link };
        let ones = Tensor::f_ones([rows, 1], (Kind::Double, Device::Cpu))?;
        Ok(Self { x: Tensor::f_cat(&[x, ones], 1)?, targets, width })
    }

    /// Every class as likely as the others.
    fn start(&self) -> Vec<f64> {
        vec![0.0; (self.width + 1) as usize * self.targets.classes() as usize]
    }

    fn rows(&self) -> f64 {
        self.targets.rows().max(1) as f64
    }

    /// A point as `[width + 1, classes]`, fp64.
    fn table(&self, point: &[f64]) -> Result<Tensor> {
        Ok(Tensor::f_from_slice(point)?.f_view([self.width + 1, self.targets.classes()])?)
    }

    /// The layer's outputs, `[N, classes]`, fp64.
    fn outputs(&self, point: &[f64]) -> Result<Tensor> {
        Ok(self.x.f_matmul(&self.table(point)?)?)
    }

    /// The logarithms of the rows' probabilities, `[N, classes]`, fp64.
    fn log_probabilities(&self, outputs: &Tensor) -> Result<Tensor> {
        match self.targets.link {
            Link::Softmax => Ok(outputs.f_log_softmax(-1, Kind::Double)?),
            Link::Sigmoid => Ok(outputs.f_log_sigmoid()?),
        }
    }

    /// The mean over the rows.
    fn loss(&self, outputs: &Tensor, log_probabilities: &Tensor) -> Result<f64> {
        let Targets { counts, weights, link } = &self.targets;
        let mut sum = log_probabilities.f_mul(counts)?.f_sum(Kind::Double)?;
        if *link == Link::Sigmoid {
            // ln(1 - p) is ln p less the output.
            let lacking = log_probabilities.f_sub(outputs)?.f_mul(&weights.f_sub(counts)?)?;
            sum = sum.f_add(&lacking.f_sum(Kind::Double)?)?;
        }
        Ok(-sum.f_double_value(&[])? / self.rows())
    }

    fn mean_loss(&self, point: &[f64]) -> Result<f64> {
        let outputs = self.outputs(point)?;
        self.loss(&outputs, &self.log_probabilities(&outputs)?)
    }

    /// Loss with the penalty, and its gradient. Biases are not penalised.
    fn evaluate(&self, point: &[f64], l2: f64, gradient: &mut [f64]) -> Result<f64> {
        let outputs = self.outputs(point)?;
        let log_p = self.log_probabilities(&outputs)?;
        let loss = self.loss(&outputs, &log_p)?;
        let Targets { counts, weights, .. } = &self.targets;
        let residual = log_p.f_exp()?.f_mul(weights)?.f_sub(counts)?.f_div_scalar(self.rows())?;
        let slopes = self.x.f_transpose(0, 1)?.f_matmul(&residual)?;
        slopes.f_contiguous()?.f_copy_data(gradient, gradient.len())?;
        let weights = (self.width * self.targets.classes()) as usize;
        let mut squares = 0.0;
        for (gradient, weight) in gradient.iter_mut().zip(point).take(weights) {
            *gradient += l2 * weight;
            squares += weight * weight;
        }
        Ok(loss + 0.5 * l2 * squares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::from_torch;

    /// sklearn.linear_model.LogisticRegression(C=1/(l2·N)) minimises the same sum; checked here by the gradient at
    /// the solution being zero and by a loss that no nearby point undercuts.
    #[test]
    fn the_solution_is_a_minimum() -> Result<()> {
        check_minimum(0.0, None)?;
        check_minimum(0.1, Some(&[0.5, 1.0, 3.0]))
    }

    /// Each label for itself: the joint solution is the labels' own, and with weights one that counts them.
    #[test]
    fn labels_each_for_themselves_are_regressions_of_their_own() -> Result<()> {
        let x = from_torch(1, || Tensor::randn([60, 5], (Kind::Double, Device::Cpu)));
        let has = |row: i64, label: i64| x.double_value(&[row, label]) + 0.3 * x.double_value(&[row, 4]) > 0.4;
        let hot = |labels: std::ops::Range<i64>| -> Vec<f32> {
            (0..60)
                .flat_map(|row| labels.clone().map(move |label| (row, label)))
                .map(|(r, l)| f32::from(has(r, l)))
                .collect()
        };
        let solved = |targets: &Targets| -> Result<Tensor> {
            let problem = Problem::new(x.shallow_clone(), targets)?;
            let mut point = problem.start();
            let limits = Limits { tolerance: 1e-9, iterations: MAX_ITERATIONS, memory: MEMORY };
            lbfgs::minimise(&mut point, limits, |point, gradient| problem.evaluate(point, 0.01, gradient))?;
            problem.table(&point)
        };
        let weights = [1.0, 2.5];
        let together = solved(&label_targets(&hot(0..2), 2, Some(&weights))?)?;
        for label in 0..2 {
            let alone =
                solved(&label_targets(&hot(label..label + 1), 1, Some(&weights[label as usize..=label as usize]))?)?;
            let difference = (together.f_narrow(1, label, 1)? - &alone).f_abs()?.f_max()?.f_double_value(&[])?;
            assert!(difference < 1e-6, "{difference}");
        }
        // Two classes of a softmax differ by the one output of a sigmoid, whose penalty is twice theirs.
        let classes: Vec<u32> = (0..60).map(|row| u32::from(has(row, 0))).collect();
        let labels = Problem::new(x.shallow_clone(), &label_targets(&hot(0..1), 1, None)?)?;
        let softmax = Problem::new(x.shallow_clone(), &soft_targets(&classes, 2, 0.0, None)?)?;
        let (point, mut gradient) = ([0.5, -0.2, 0.1, 0.7, -0.4, 0.3], vec![0.0; 6]);
        let both: Vec<f64> = point.iter().flat_map(|value| [0.0, *value]).collect();
        let mut both_gradient = vec![0.0; 12];
        let loss = labels.evaluate(&point, 0.0, &mut gradient)?;
        assert!((loss - softmax.evaluate(&both, 0.0, &mut both_gradient)?).abs() < 1e-12);
        assert!(gradient.iter().zip(both_gradient.iter().skip(1).step_by(2)).all(|(a, b)| (a - b).abs() < 1e-12));
        Ok(())
    }

    fn check_minimum(label_smoothing: f64, class_weights: Option<&[f64]>) -> Result<()> {
        let x = from_torch(1, || Tensor::randn([60, 5], (Kind::Double, Device::Cpu)));
        let labels: Vec<u32> =
            (0..60).map(|row| (x.double_value(&[row, 0]) > 0.3) as u32 + (row % 7 == 0) as u32).collect();
        let problem = Problem::new(x, &soft_targets(&labels, 3, label_smoothing, class_weights)?)?;
        let mut solution = problem.start();
        let mut gradient = solution.clone();
        let limits = Limits { tolerance: THOROUGH.tolerance, iterations: MAX_ITERATIONS, memory: MEMORY };
        let iterations =
            lbfgs::minimise(&mut solution, limits, |point, gradient| problem.evaluate(point, 0.01, gradient))?;
        let value = problem.evaluate(&solution, 0.01, &mut gradient)?;
        assert!(
            iterations < MAX_ITERATIONS && gradient.iter().all(|derivative| derivative.abs() <= THOROUGH.tolerance)
        );
        for seed in 0..20 {
            let noise = from_torch(seed, || Tensor::randn([18], (Kind::Double, Device::Cpu)));
            let noise = Vec::<f64>::try_from(noise)?;
            let near: Vec<f64> = solution.iter().zip(noise).map(|(at, noise)| at + 0.01 * noise).collect();
            assert!(problem.evaluate(&near, 0.01, &mut gradient)? > value);
        }
        Ok(())
    }

    /// Within the directions of the training rows lies the same minimum as within all.
    #[test]
    fn fewer_rows_than_features_have_the_same_minimum() -> Result<()> {
        let x = from_torch(2, || Tensor::randn([20, 50], (Kind::Double, Device::Cpu)));
        let labels: Vec<u32> = (0..20).map(|row| row % 3).collect();
        let basis = Basis::of(&x)?;
        let targets = soft_targets(&labels, 3, 0.0, None)?;
        let inside = Problem::new(basis.coordinates(&x)?, &targets)?;
        let whole = Problem::new(x, &targets)?;
        let mut point = inside.start();
        let limits = Limits { tolerance: 1e-8, iterations: MAX_ITERATIONS, memory: MEMORY };
        lbfgs::minimise(&mut point, limits, |point, gradient| inside.evaluate(point, 0.1, gradient))?;
        let table = inside.table(&point)?;
        let weights = basis.weights(&table.f_narrow(0, 0, inside.width)?)?;
        let point = Vec::<f64>::try_from(Tensor::f_cat(&[weights, table.f_narrow(0, 20, 1)?], 0)?.f_view([-1])?)?;
        assert!((inside.width, point.len()) == (20, 51 * 3));
        let mut gradient = whole.start();
        whole.evaluate(&point, 0.1, &mut gradient)?;
        assert!(gradient.iter().all(|derivative| derivative.abs() < 1e-7), "{gradient:?}");
        Ok(())
    }

    #[test]
    fn folding_the_standardisation_in_changes_no_score() -> Result<()> {
        let values: Vec<f32> =
            (0..200).map(|i| ((i * 37 % 101) as f32) * if i % 2 == 0 { 100.0 } else { 0.01 }).collect();
        let features = Tensor::f_from_slice(&values)?.f_view([100, 2])?;
        let labels: Vec<u32> = (0..100).map(|row| (values[2 * row] > 5000.0) as u32).collect();
        let targets = soft_targets(&labels, 2, 0.0, None)?;
        let labelled = || Labelled { features: &features, targets: &targets };
        let mut trials = Vec::new();
        let (linear, best) = fit(&labelled(), &labelled(), THOROUGH, &mut |step| {
            if let Step::Solved(trial) = step {
                trials.push(trial);
            }
            Ok(())
        })?;
        let scores = features.f_linear(&linear.weight, Some(&linear.bias))?;
        let right = scores
            .argmax(1, false)
            .eq_tensor(&Tensor::from_slice(&labels.iter().map(|&l| l as i64).collect::<Vec<_>>()));
        assert!(right.to_kind(Kind::Float).mean(Kind::Float).double_value(&[]) > 0.97);
        assert!(trials.iter().all(|trial| trial.valid_loss >= best.valid_loss));
        // The watcher ends the fit at the next evaluation.
        let mut heard = 0;
        let stopped = fit(&labelled(), &labelled(), THOROUGH, &mut |_| {
            heard += 1;
            if heard == 3 { Err(Error::interrupted("stopped")) } else { Ok(()) }
        });
        assert!(stopped.is_err() && heard == 3);
        Ok(())
    }
}
