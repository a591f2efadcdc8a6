//! Multinomial logistic regression with an L2 penalty, trained to convergence: the head on frozen features.
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
    /// `[N, classes]`, fp64: what each class's log-probability counts, see [`soft_targets`].
    pub targets: &'a Tensor,
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
) -> Result<Tensor> {
    if labels.iter().any(|&label| label as usize >= classes) {
        return Err(Error::failure(format!("a label is beyond the {classes} classes there are")));
    }
    let labels: Vec<i64> = labels.iter().map(|&label| i64::from(label)).collect();
    let mut targets = Tensor::f_from_slice(&labels)?.f_one_hot(classes as i64)?.f_to_kind(Kind::Double)?;
    if label_smoothing > 0.0 {
        let evenly = label_smoothing / classes.max(1) as f64;
        targets = targets.f_mul_scalar(1.0 - label_smoothing)?.f_add_scalar(evenly)?;
    }
    match class_weights {
        Some(weights) => Ok(targets.f_mul(&Tensor::f_from_slice(weights)?)?),
        None => Ok(targets),
    }
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

/// Mean cross-entropy of a linear layer on fixed data, with its gradient. Points are `[width + 1, classes]`, row by
/// row, the last row the biases.
struct Problem {
    /// `[N, width + 1]`, the last column ones.
    x: Tensor,
    /// `[N, classes]`: what each class's log-probability counts; one-hot, unless labels are smoothed or classes
    /// weighted.
    targets: Tensor,
    /// `[N, 1]`: the sums of `targets`.
    weights: Tensor,
    width: i64,
}

impl Problem {
    fn new(x: Tensor, targets: &Tensor) -> Result<Self> {
        let ([rows, width], [targets_rows, _]) = (&x.size()[..], &targets.size()[..]) else {
            return Err(Error::failure("features and targets must be matrices"));
        };
        if rows != targets_rows {
            return Err(Error::failure("features and labels do not belong together"));
        }
        let (rows, width, targets) = (*rows, *width, targets.shallow_clone());
        let weights = targets.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?;
        let ones = Tensor::f_ones([rows, 1], (Kind::Double, Device::Cpu))?;
        Ok(Self { x: Tensor::f_cat(&[x, ones], 1)?, targets, weights, width })
    }

    /// Every class as likely as the others.
    fn start(&self) -> Vec<f64> {
        vec![0.0; (self.width + 1) as usize * self.classes() as usize]
    }

    fn classes(&self) -> i64 {
        self.targets.size().get(1).copied().unwrap_or_default()
    }

    fn rows(&self) -> f64 {
        self.targets.size().first().copied().unwrap_or_default().max(1) as f64
    }

    /// A point as `[width + 1, classes]`, fp64.
    fn table(&self, point: &[f64]) -> Result<Tensor> {
        Ok(Tensor::f_from_slice(point)?.f_view([self.width + 1, self.classes()])?)
    }

    /// The logarithms of the rows' probabilities, `[N, classes]`, fp64.
    fn log_probabilities(&self, point: &[f64]) -> Result<Tensor> {
        Ok(self.x.f_matmul(&self.table(point)?)?.f_log_softmax(-1, Kind::Double)?)
    }

    fn mean_loss(&self, point: &[f64]) -> Result<f64> {
        let loss = self.log_probabilities(point)?.f_mul(&self.targets)?.f_sum(Kind::Double)?;
        Ok(-loss.f_double_value(&[])? / self.rows())
    }

    /// Loss with the penalty, and its gradient. Biases are not penalised.
    fn evaluate(&self, point: &[f64], l2: f64, gradient: &mut [f64]) -> Result<f64> {
        let log_p = self.log_probabilities(point)?;
        let loss = -log_p.f_mul(&self.targets)?.f_sum(Kind::Double)?.f_double_value(&[])? / self.rows();
        let residual = log_p.f_exp()?.f_mul(&self.weights)?.f_sub(&self.targets)?.f_div_scalar(self.rows())?;
        let slopes = self.x.f_transpose(0, 1)?.f_matmul(&residual)?;
        slopes.f_contiguous()?.f_copy_data(gradient, gradient.len())?;
        let weights = (self.width * self.classes()) as usize;
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
