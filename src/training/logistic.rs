//! Multinomial logistic regression with an L2 penalty, trained to convergence: the head on frozen features.
//!
//! Features are standardised for the optimisation and the standardisation is folded into the weights afterwards, so that
//! the result is a plain linear layer. The penalty's strength is chosen on validation data. L-BFGS (Liu & Nocedal 1989) in
//! fp64; a convex problem, so the result depends on nothing but the data.

use std::collections::VecDeque;

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::inference::Rows;
use crate::training::loss::LossSettings;

/// A linear layer: weight `[classes, width]` and bias `[classes]`, fp32, on the CPU.
pub struct Linear {
    pub weight: Tensor,
    pub bias: Tensor,
}

/// One strength that was tried.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Trial {
    /// The penalty's factor: `strength/2 · ‖W‖²` beside the mean cross-entropy, on standardised features.
    pub strength: f64,
    /// Mean cross-entropy on the validation data.
    pub valid_loss: f64,
    pub iterations: usize,
}

/// Labelled features, `[N, width]`.
pub struct Labelled<'a> {
    pub features: &'a Rows,
    pub labels: &'a [u32],
}

/// How carefully a head is sought.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// From the strongest on: each solution is where the next begins.
    pub strengths: &'static [f64],
    /// Converged when no component of the gradient is larger.
    pub tolerance: f64,
}

/// For a head that will be used.
pub const THOROUGH: Search =
    Search { strengths: &[1.0, 0.3162, 0.1, 0.03162, 0.01, 0.003162, 0.001, 0.0003162, 0.0001], tolerance: 1e-5 };
/// For many heads of which only the scores are of interest.
pub const QUICK: Search = Search { strengths: &[1.0, 0.1, 0.01, 0.001], tolerance: 1e-3 };

/// Two strengths in a row that are worse than the best so far end the search: the path is smooth.
const WORSE_IN_A_ROW: usize = 2;
const MAX_ITERATIONS: usize = 300;
/// Fits a head of `classes` classes on `train` and chooses the strength by the loss on `valid`. `watch` is told of every
/// strength that was tried.
pub fn fit(
    train: &Labelled,
    valid: &Labelled,
    classes: usize,
    loss: &LossSettings,
    search: Search,
    watch: &mut dyn FnMut(Trial) -> Result<()>,
) -> Result<(Linear, Trial)> {
    let x = train.features.to_tensor()?.f_to_kind(Kind::Double)?;
    let mean = x.f_mean_dim([0i64].as_slice(), true, Kind::Double)?;
    let deviation = x.f_std_dim([0i64].as_slice(), false, true)?.f_clamp_min(1e-6)?;
    let standardise = |x: &Tensor| -> Result<Tensor> { Ok(x.f_sub(&mean)?.f_div(&deviation)?) };
    let problem = Problem::new(standardise(&x)?, train.labels, classes, loss)?;
    let valid_x = standardise(&valid.features.to_tensor()?.f_to_kind(Kind::Double)?)?;
    let valid_problem = Problem::new(valid_x, valid.labels, classes, loss)?;

    let mut point = Tensor::f_zeros([problem.width + 1, classes as i64], (Kind::Double, Device::Cpu))?;
    let mut best: Option<(Tensor, Trial)> = None;
    let mut worse = 0;
    for &strength in search.strengths {
        let (solution, iterations) = minimise(&problem, point, strength, search.tolerance)?;
        point = solution;
        let trial = Trial { strength, valid_loss: valid_problem.mean_loss(&point)?, iterations };
        watch(trial)?;
        if best.as_ref().is_none_or(|(_, best)| trial.valid_loss < best.valid_loss) {
            best = Some((point.copy(), trial));
            worse = 0;
        } else {
            worse += 1;
            if worse == WORSE_IN_A_ROW {
                break;
            }
        }
    }
    let (point, trial) = best.ok_or_else(|| {
        Error::failure("logistic regression found no finite solution").hint("the backbone's features may not be finite")
    })?;

    // Fold the standardisation in: w/σ, and b − Σ w μ/σ.
    let weight = point.f_narrow(0, 0, problem.width)?.f_div(&deviation.f_transpose(0, 1)?)?;
    let bias = point.f_narrow(0, problem.width, 1)?.f_sub(&mean.f_matmul(&weight)?)?;
    let linear = Linear {
        weight: weight.f_transpose(0, 1)?.f_to_kind(Kind::Float)?.f_contiguous()?,
        bias: bias.f_view([-1])?.f_to_kind(Kind::Float)?,
    };
    Ok((linear, trial))
}

/// Mean cross-entropy of a linear layer on fixed data, with its gradient. Points are `[width + 1, classes]`, the last row
/// the biases.
struct Problem {
    /// `[N, width + 1]`, the last column ones.
    x: Tensor,
    /// `[N, classes]`: what each class's log-probability counts; one-hot, unless labels are smoothed or classes weighted.
    targets: Tensor,
    /// `[N, 1]`: the sums of `targets`.
    weights: Tensor,
    width: i64,
}

impl Problem {
    fn new(x: Tensor, labels: &[u32], classes: usize, loss: &LossSettings) -> Result<Self> {
        let [rows, width] = x.size()[..] else { return Err(Error::failure("features must be a table")) };
        if rows as usize != labels.len() || labels.iter().any(|&label| label as usize >= classes) {
            return Err(Error::failure("features and labels do not belong together"));
        }
        let labels: Vec<i64> = labels.iter().map(|&label| i64::from(label)).collect();
        let mut targets = Tensor::f_from_slice(&labels)?.f_one_hot(classes as i64)?.f_to_kind(Kind::Double)?;
        if loss.label_smoothing > 0.0 {
            let evenly = loss.label_smoothing / classes.max(1) as f64;
            targets = targets.f_mul_scalar(1.0 - loss.label_smoothing)?.f_add_scalar(evenly)?;
        }
        if let Some(weights) = &loss.class_weights {
            targets = targets.f_mul(&Tensor::f_from_slice(weights)?)?;
        }
        let weights = targets.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?;
        let ones = Tensor::f_ones([rows, 1], (Kind::Double, Device::Cpu))?;
        Ok(Self { x: Tensor::f_cat(&[x, ones], 1)?, targets, weights, width })
    }

    fn mean_loss(&self, point: &Tensor) -> Result<f64> {
        let log_p = self.x.f_matmul(point)?.f_log_softmax(-1, Kind::Double)?;
        let loss = log_p.f_mul(&self.targets)?.f_sum(Kind::Double)?;
        Ok(-loss.f_double_value(&[])? / self.targets.size()[0].max(1) as f64)
    }

    /// Loss with the penalty, and its gradient. Biases are not penalised.
    fn evaluate(&self, point: &Tensor, strength: f64) -> Result<(f64, Tensor)> {
        let rows = self.targets.size()[0].max(1) as f64;
        let log_p = self.x.f_matmul(point)?.f_log_softmax(-1, Kind::Double)?;
        let loss = -log_p.f_mul(&self.targets)?.f_sum(Kind::Double)?.f_double_value(&[])? / rows;
        let residual = log_p.f_exp()?.f_mul(&self.weights)?.f_sub(&self.targets)?.f_div_scalar(rows)?;
        let mut gradient = self.x.f_transpose(0, 1)?.f_matmul(&residual)?;
        let weights = point.f_narrow(0, 0, self.width)?;
        let _ = gradient.f_narrow(0, 0, self.width)?.f_add_(&weights.f_mul_scalar(strength)?)?;
        let penalty = 0.5 * strength * weights.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?;
        gradient = gradient.f_contiguous()?;
        Ok((loss + penalty, gradient))
    }
}

fn dot(a: &Tensor, b: &Tensor) -> Result<f64> {
    Ok(a.f_mul(b)?.f_sum(Kind::Double)?.f_double_value(&[])?)
}

/// L-BFGS with ten pairs of memory and a backtracking line search (Armijo).
fn minimise(problem: &Problem, mut point: Tensor, strength: f64, tolerance: f64) -> Result<(Tensor, usize)> {
    let mut memory: VecDeque<(Tensor, Tensor, f64)> = VecDeque::new();
    let (mut value, mut gradient) = problem.evaluate(&point, strength)?;
    for iteration in 0..MAX_ITERATIONS {
        if gradient.f_abs()?.f_max()?.f_double_value(&[])? < tolerance {
            return Ok((point, iteration));
        }
        let direction = direction(&gradient, &memory)?;
        let slope = dot(&gradient, &direction)?;
        let mut length = if memory.is_empty() { 1.0 / dot(&gradient, &gradient)?.sqrt().max(1.0) } else { 1.0 };
        let mut accepted = None;
        for _ in 0..30 {
            let candidate = point.f_add(&direction.f_mul_scalar(length)?)?;
            let (candidate_value, candidate_gradient) = problem.evaluate(&candidate, strength)?;
            if candidate_value <= value + 1e-4 * length * slope {
                accepted = Some((candidate, candidate_value, candidate_gradient));
                break;
            }
            length *= 0.5;
        }
        // No descent left within fp64: this is the minimum.
        let Some((next, next_value, next_gradient)) = accepted else { return Ok((point, iteration)) };
        let (step, change) = (next.f_sub(&point)?, next_gradient.f_sub(&gradient)?);
        let curvature = dot(&step, &change)?;
        if curvature > 1e-12 {
            if memory.len() == 10 {
                memory.pop_front();
            }
            memory.push_back((step, change, 1.0 / curvature));
        }
        (point, value, gradient) = (next, next_value, next_gradient);
    }
    Ok((point, MAX_ITERATIONS))
}

/// The two-loop recursion.
fn direction(gradient: &Tensor, memory: &VecDeque<(Tensor, Tensor, f64)>) -> Result<Tensor> {
    let mut q = gradient.f_neg()?;
    let mut factors = Vec::with_capacity(memory.len());
    for (step, change, inverse) in memory.iter().rev() {
        let factor = inverse * dot(step, &q)?;
        q = q.f_sub(&change.f_mul_scalar(factor)?)?;
        factors.push(factor);
    }
    if let Some((_, change, inverse)) = memory.back() {
        q = q.f_div_scalar(inverse * dot(change, change)?)?;
    }
    for ((step, change, inverse), factor) in memory.iter().zip(factors.iter().rev()) {
        let correction = factor - inverse * dot(change, &q)?;
        q = q.f_add(&step.f_mul_scalar(correction)?)?;
    }
    Ok(q)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// sklearn.linear_model.LogisticRegression(C=1/(strength·N)) minimises the same sum; checked here by the gradient at
    /// the solution being zero and by a loss that no nearby point undercuts.
    #[test]
    fn the_solution_is_a_minimum() -> Result<()> {
        for loss in
            [LossSettings::default(), LossSettings { label_smoothing: 0.1, class_weights: Some(vec![0.5, 1.0, 3.0]) }]
        {
            check_minimum(&loss)?;
        }
        Ok(())
    }

    fn check_minimum(loss: &LossSettings) -> Result<()> {
        tch::manual_seed(1);
        let x = Tensor::randn([60, 5], (Kind::Double, Device::Cpu));
        let labels: Vec<u32> =
            (0..60).map(|row| (x.double_value(&[row, 0]) > 0.3) as u32 + (row % 7 == 0) as u32).collect();
        let problem = Problem::new(x, &labels, 3, loss)?;
        let start = Tensor::f_zeros([6, 3], (Kind::Double, Device::Cpu))?;
        let (solution, iterations) = minimise(&problem, start, 0.01, THOROUGH.tolerance)?;
        let (value, gradient) = problem.evaluate(&solution, 0.01)?;
        assert!(iterations < MAX_ITERATIONS && gradient.abs().max().double_value(&[]) < THOROUGH.tolerance);
        for _ in 0..20 {
            let near = &solution + Tensor::randn([6, 3], (Kind::Double, Device::Cpu)) * 0.01;
            assert!(problem.evaluate(&near, 0.01)?.0 > value);
        }
        Ok(())
    }

    #[test]
    fn folding_the_standardisation_in_changes_no_score() -> Result<()> {
        let values: Vec<f32> =
            (0..200).map(|i| ((i * 37 % 101) as f32) * if i % 2 == 0 { 100.0 } else { 0.01 }).collect();
        let features = Rows { values, width: 2 };
        let labels: Vec<u32> = (0..100).map(|row| (features.row(row)[0] > 5000.0) as u32).collect();
        let labelled = || Labelled { features: &features, labels: &labels };
        let mut trials = Vec::new();
        let (linear, best) = fit(&labelled(), &labelled(), 2, &LossSettings::default(), THOROUGH, &mut |trial| {
            trials.push(trial);
            Ok(())
        })?;
        let scores = features.to_tensor()?.f_linear(&linear.weight, Some(&linear.bias))?;
        let right = scores
            .argmax(1, false)
            .eq_tensor(&Tensor::from_slice(&labels.iter().map(|&l| l as i64).collect::<Vec<_>>()));
        assert!(right.to_kind(Kind::Float).mean(Kind::Float).double_value(&[]) > 0.97);
        assert!(trials.iter().all(|trial| trial.valid_loss >= best.valid_loss));
        Ok(())
    }
}
