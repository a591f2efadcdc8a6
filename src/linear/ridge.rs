//! Ridge regression: the head of a regression on frozen features, solved in closed form in fp64.
//!
//! As logistic regression has it, features are standardised, the penalty `l2/2 · ‖w‖²` stands beside half the mean
//! squared error, the bias is free, and the factor is chosen on validation data along the same path. scikit-learn's
//! `Ridge(alpha=l2 * rows)` on standardised features is the same problem.

use tch::{Kind, Tensor};

use super::logistic::{Linear, Search, Step, Trial};
use super::path;
use crate::error::{Error, Result};

/// Features `[N, width]` with a number for each row, fp64.
pub struct Numbered<'a> {
    /// In any floating-point kind.
    pub features: &'a Tensor,
    /// `[N]`.
    pub targets: &'a [f64],
}

/// Fits on `train` and chooses the penalty by the squared error on `valid`. `watch` hears of every step, and ends the
/// fit with its error. The loss of a trial is half the mean squared error.
///
/// # Errors
/// Features and targets do not belong together, no solution is finite, or `watch` says so.
pub fn fit(
    train: &Numbered,
    valid: &Numbered,
    search: Search,
    watch: &mut dyn FnMut(Step) -> Result<()>,
) -> Result<(Linear, Trial)> {
    let problem = Problem::of(train)?;
    let (mut penalty, penalties) = (0, search.l2.len());
    let best = path::choose(search.l2, |l2| {
        penalty += 1;
        watch(Step::Evaluated { penalty, penalties })?;
        let linear = problem.solve(l2)?;
        let trial = Trial { l2, valid_loss: half_mean_square(&linear, valid)?, iterations: 1 };
        watch(Step::Solved(trial))?;
        Ok((trial.valid_loss, (linear, trial)))
    })?;
    best.ok_or_else(|| {
        Error::failure("ridge regression found no finite solution").hint("the backbone's features may not be finite")
    })
}

/// Fits on `train` with the penalty `l2`, which was chosen before. `watch` as for [`fit`].
///
/// # Errors
/// As for [`fit`].
pub fn fit_with_penalty(train: &Numbered, l2: f64, watch: &mut dyn FnMut(Step) -> Result<()>) -> Result<Linear> {
    watch(Step::Evaluated { penalty: 1, penalties: 1 })?;
    Problem::of(train)?.solve(l2)
}

/// The eigenvectors of the standardised features: with them every penalty is solved by a division.
struct Problem {
    /// `[width]`, as is `std`.
    mean: Tensor,
    std: Tensor,
    /// `[width, D]`, orthonormal.
    directions: Tensor,
    /// `[D]`: the mean squares of the coordinates along them.
    variances: Tensor,
    /// `[D]`: the means of coordinate times target.
    covariances: Tensor,
    target_mean: f64,
}

impl Problem {
    fn of(train: &Numbered) -> Result<Self> {
        let x = train.features.f_to_kind(Kind::Double)?;
        let [rows, _] = x.size()[..] else { return Err(Error::failure("features must be a matrix")) };
        if rows as usize != train.targets.len() || rows == 0 {
            return Err(Error::failure("features and numbers do not belong together"));
        }
        let mean = x.f_mean_dim([0i64].as_slice(), false, Kind::Double)?;
        let std = x.f_std_dim([0i64].as_slice(), false, false)?.f_clamp_min(1e-6)?;
        let x = x.f_sub(&mean)?.f_div(&std)?;
        let target_mean = train.targets.iter().sum::<f64>() / rows as f64;
        let y = Tensor::f_from_slice(train.targets)?.f_sub_scalar(target_mean)?;
        let (variances, directions) = principal(&x, rows)?;
        let covariances = x.f_matmul(&directions)?.f_transpose(0, 1)?.f_matmul(&y)?.f_div_scalar(rows as f64)?;
        Ok(Self { mean, std, directions, variances, covariances, target_mean })
    }

    /// The layer for features as they are: w/σ, and the mean of the targets − Σ w μ/σ.
    fn solve(&self, l2: f64) -> Result<Linear> {
        let along = self.covariances.f_div(&self.variances.f_add_scalar(l2)?)?;
        let weight = self.directions.f_matmul(&along)?.f_div(&self.std)?;
        let bias = self.mean.f_dot(&weight)?.f_neg()?.f_add_scalar(self.target_mean)?;
        Ok(Linear {
            weight: weight.f_unsqueeze(0)?.f_to_kind(Kind::Float)?.f_contiguous()?,
            bias: bias.f_view([1])?.f_to_kind(Kind::Float)?,
        })
    }
}

/// The mean squares of the rows of `x` along orthonormal directions, `[D]`, and these, `[width, D]`: by what is
/// smaller, the matrix of the features or the rows themselves.
fn principal(x: &Tensor, rows: i64) -> Result<(Tensor, Tensor)> {
    let width = x.size().get(1).copied().unwrap_or(0);
    if rows >= width {
        let (variances, directions) =
            x.f_transpose(0, 1)?.f_matmul(x)?.f_div_scalar(rows as f64)?.f_linalg_eigh("L")?;
        return Ok((variances.f_clamp_min(0.0)?, directions));
    }
    let (_, singular, directions) = x.f_svd(true, true)?;
    Ok((singular.f_square()?.f_div_scalar(rows as f64)?, directions))
}

fn half_mean_square(linear: &Linear, data: &Numbered) -> Result<f64> {
    let x = data.features.f_to_kind(Kind::Double)?;
    let weight = linear.weight.f_to_kind(Kind::Double)?.f_view([-1])?;
    let predicted = x.f_matmul(&weight)?.f_add(&linear.bias.f_to_kind(Kind::Double)?)?;
    let errors = predicted.f_sub(&Tensor::f_from_slice(data.targets)?)?;
    Ok(errors.f_square()?.f_mean(Kind::Double)?.f_double_value(&[])? / 2.0)
}

#[cfg(test)]
mod tests {
    use super::super::logistic::THOROUGH;
    use super::*;

    const FEATURES: [f32; 12] = [0.5, -1.0, 1.5, 2.0, -0.5, 0.25, 2.5, 1.0, -1.5, 0.75, 0.0, -2.0];
    const TARGETS: [f64; 6] = [1.0, 3.5, 0.25, 4.0, -1.0, 0.5];

    fn fitted(l2: f64) -> (Vec<f64>, f64) {
        let features = Tensor::from_slice(&FEATURES).view([6, 2]);
        let train = Numbered { features: &features, targets: &TARGETS };
        let linear = fit_with_penalty(&train, l2, &mut |_| Ok(())).unwrap();
        (Vec::<f64>::try_from(linear.weight.view([-1])).unwrap(), linear.bias.double_value(&[0]))
    }

    #[test]
    fn weights_and_bias_are_those_of_the_normal_equations() {
        // s = StandardScaler().fit(x); r = Ridge(alpha=l2 * 6).fit(s.transform(x), y)
        // r.coef_ / s.scale_, r.intercept_ - (r.coef_ * s.mean_ / s.scale_).sum()
        for (l2, weight, bias) in [
            (0.01, [1.2419089582202798, 0.26487035360489775], 0.8133928751407338),
            (0.3, [0.9625025185449498, 0.2742868480429176], 0.9282428092657846),
        ] {
            let (found, found_bias) = fitted(l2);
            assert!(found.iter().zip(weight).all(|(a, b)| (a - b).abs() < 1e-6), "{l2}: {found:?}");
            assert!((found_bias - bias).abs() < 1e-6, "{l2}: {found_bias}");
        }
    }

    /// More features than rows: the solution is the same as with the features that are the same left out.
    #[test]
    fn more_features_than_rows_are_no_trouble() {
        let wide = Tensor::from_slice(&FEATURES).view([6, 2]).repeat([1, 8]);
        let train = Numbered { features: &wide, targets: &TARGETS };
        let linear = fit_with_penalty(&train, 0.08, &mut |_| Ok(())).unwrap();
        let sums = linear.weight.view([8, 2]).sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
        let (expected, bias) = fitted(0.01);
        let found = Vec::<f64>::try_from(sums).unwrap();
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {expected:?}");
        assert!((linear.bias.double_value(&[0]) - bias).abs() < 1e-5);
    }

    #[test]
    fn the_penalty_is_chosen_on_validation_rows() {
        let features = Tensor::from_slice(&FEATURES).view([6, 2]);
        let train = Numbered { features: &features, targets: &TARGETS };
        let mut trials = Vec::new();
        let (_, chosen) = fit(&train, &train, THOROUGH, &mut |step| {
            if let Step::Solved(trial) = step {
                trials.push(trial);
            }
            Ok(())
        })
        .unwrap();
        // On its own rows the weakest penalty is the best.
        assert_eq!(Some(&chosen), trials.last());
        assert_eq!(trials.len(), THOROUGH.l2.len());
        let short = Numbered { features: &features, targets: &TARGETS[..5] };
        assert!(fit_with_penalty(&short, 0.1, &mut |_| Ok(())).is_err());
    }
}
