//! LogME: the logarithm of the evidence that a linear model on the features has for the labels, a row, averaged over
//! the classes, with the natural logarithm. Higher is better; comparable between features of the same rows only.
//!
//! You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning" (2021), with the fixed-point
//! iteration of their "Ranking and Tuning Pre-trained Models" (2022). Directions in which the features do not vary
//! (more columns than rows) leave the evidence as it is, as in the first paper; the authors' fixed-point program counts
//! them half.

use tch::Tensor;

use super::features::FeatureMatrix;
use crate::error::Result;
use crate::inference::{Rows, to_vec};

const MAX_ITERATIONS: usize = 100;
/// Converged when the ratio of the two precisions changes by less than this share.
const TOLERANCE: f64 = 1e-3;
/// Keeps the precisions finite when the fit is perfect.
const EPSILON: f64 = 1e-5;
/// Eigenvalues below this share of the largest are rounding.
const RANK: f64 = 1e-12;

/// LogME of features `[N, D]` with the label of each row, in nats.
///
/// # Errors
/// Those of [`FeatureMatrix::new`], or what libtorch reports.
pub fn logme(features: &Rows, labels: &[u32]) -> Result<f64> {
    let FeatureMatrix { x, y, counts } = FeatureMatrix::new(features, labels)?;
    let (eigenvalues, squares) = spectrum(&x, &y)?;
    let classes = counts.len();
    let mut sum = 0.0;
    for (class, &count) in counts.iter().enumerate() {
        let along: Vec<f64> = squares.iter().skip(class).step_by(classes).copied().collect();
        sum += evidence(&eigenvalues, &along, labels.len() as f64, count as f64);
    }
    Ok(sum / classes as f64)
}

/// The squared singular values of `x`, and for each (row) and class (column) the squared length of the class's target
/// along that left singular vector.
fn spectrum(x: &Tensor, y: &Tensor) -> Result<(Vec<f64>, Vec<f64>)> {
    let wide = x.size()[0] <= x.size()[1];
    let x_t = x.f_transpose(0, 1)?;
    let gram = if wide { x.f_matmul(&x_t)? } else { x_t.f_matmul(x)? };
    let (eigenvalues, vectors) = gram.f_linalg_eigh("L")?;
    let least = eigenvalues.f_max()?.f_double_value(&[])? * RANK;
    let kept = eigenvalues.f_gt(least)?.f_nonzero()?.f_view([-1])?;
    let (eigenvalues, vectors) = (eigenvalues.f_index_select(0, &kept)?, vectors.f_index_select(1, &kept)?);
    let along = if wide {
        vectors.f_transpose(0, 1)?.f_matmul(y)?.f_square()?
    } else {
        let along = vectors.f_transpose(0, 1)?.f_matmul(&x_t.f_matmul(y)?)?;
        along.f_square()?.f_div(&eigenvalues.f_view([-1, 1])?)?
    };
    Ok((to_vec(&eigenvalues)?, to_vec(&along)?))
}

/// The maximal evidence a row for a target of squared length `length`, over the precisions of weights (α) and noise
/// (β).
fn evidence(eigenvalues: &[f64], along: &[f64], rows: f64, length: f64) -> f64 {
    let outside = (length - along.iter().sum::<f64>()).max(0.0);
    let (mut alpha, mut beta) = (1.0f64, 1.0f64);
    let (mut weights, mut residual) = (0.0, 0.0);
    for _ in 0..MAX_ITERATIONS {
        let ratio = alpha / beta;
        let (mut effective, mut inside) = (0.0, 0.0);
        weights = 0.0;
        for (value, square) in eigenvalues.iter().zip(along) {
            effective += value / (value + ratio);
            weights += value * square / (value + ratio).powi(2);
            inside += square * (ratio / (value + ratio)).powi(2);
        }
        residual = inside + outside;
        alpha = effective / (weights + EPSILON);
        beta = (rows - effective) / (residual + EPSILON);
        if (alpha / beta - ratio).abs() <= TOLERANCE * ratio {
            break;
        }
    }
    let volume: f64 = eigenvalues.iter().map(|value| (alpha / (alpha + beta * value)).ln()).sum();
    let normaliser = rows * (beta.ln() - std::f64::consts::TAU.ln());
    (volume + normaliser - beta * residual - alpha * weights) / (2.0 * rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::features::samples::sample;

    #[test]
    fn equals_the_authors_program() -> Result<()> {
        // LogME._fit_icml of github.com/thuml/LogME with 100 iterations in place of 11 and the tolerance 1e-3; for the
        // first its _fit_fixed_point gives the same to 1e-12.
        for ((rows, width, classes), expected) in
            [((60, 8, 3), -0.41042638069823695), ((12, 20, 2), -0.6244355365925447)]
        {
            let (features, labels) = sample(rows, width, classes);
            let score = logme(&features, &labels)?;
            assert!((score - expected).abs() < 1e-7, "{score} {expected}");
        }
        Ok(())
    }
}
