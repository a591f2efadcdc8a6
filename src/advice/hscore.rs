//! H-score: how much of the features' variance, direction by direction, lies between the classes. From 0 to the number
//! of classes less one. Higher is better.
//!
//! Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning" (2019), with the
//! covariance shrunk as Ledoit and Wolf (2004) do, which Ibrahim et al., "Newer is not Always Better" (2022) found far
//! steadier: without, it says C − 1 of any features as wide as there are rows.

use tch::{Kind, Tensor};

use super::features::FeatureMatrix;
use crate::error::{Error, Result};
use crate::inference::Rows;

/// The H-score of features `[N, D]` with the label of each row.
///
/// # Errors
/// Those of [`FeatureMatrix::new`], or what libtorch reports.
pub fn hscore(features: &Rows, labels: &[u32]) -> Result<f64> {
    let FeatureMatrix { x, y, counts } = FeatureMatrix::new(features, labels)?;
    let rows = labels.len() as f64;
    let x = x.f_sub(&x.f_mean_dim([0i64].as_slice(), true, Kind::Double)?)?;
    let (covariance, shrinkage) = shrunk_covariance(&x)?;
    // The sum over the classes of n/(N − 1) · μᵀ Σ⁻¹ μ: with S the classes' sums of rows, a column of S is n μ.
    let sums = x.f_transpose(0, 1)?.f_matmul(&y)?;
    let counts: Vec<f64> = counts.iter().map(|&count| count.max(1) as f64).collect();
    let means = sums.f_div(&Tensor::f_from_slice(&counts)?)?;
    let (factor, failed) = covariance.f_linalg_cholesky_ex(false, false)?;
    if failed.f_int64_value(&[])? != 0 {
        return Err(Error::request("the features hardly differ from row to row: too few different inputs to measure")
            .hint("advice needs more labelled rows with different texts or images"));
    }
    let between = sums.f_mul(&means.f_cholesky_solve(&factor, false)?)?.f_sum(Kind::Double)?.f_double_value(&[])?;
    Ok((1.0 - shrinkage) * between / (rows - 1.0))
}

/// So that the covariance has an inverse.
const LEAST_SHRINKAGE: f64 = 1e-9;

/// Ledoit and Wolf's estimate from centred rows: `(1 − s) S + s · mean(diag S) · I`, and `s`.
fn shrunk_covariance(x: &Tensor) -> Result<(Tensor, f64)> {
    let [rows, width] = [x.size()[0] as f64, x.size()[1] as f64];
    let sum = |tensor: Tensor| -> Result<f64> { Ok(tensor.f_sum(Kind::Double)?.f_double_value(&[])?) };
    let covariance = x.f_transpose(0, 1)?.f_matmul(x)?.f_div_scalar(rows)?;
    let scale = sum(covariance.f_diagonal(0, 0, 1)?)? / width;
    let lengths = x.f_square()?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?;
    let squares = sum(covariance.f_square()?)?;
    let noise = (sum(lengths.f_square()?)? / rows - squares) / (rows * width);
    let distance = squares / width - scale * scale;
    let shrinkage = if distance > 0.0 { (noise / distance).clamp(0.0, 1.0) } else { 1.0 };
    // Features that do not vary at all: any positive diagonal will do. Some without noise (a few texts, repeated) ask
    // for no shrinkage, and a covariance without an inverse is left.
    let ridge = if scale > 0.0 { shrinkage.max(LEAST_SHRINKAGE) * scale } else { 1.0 };
    let shrunk = covariance.f_mul_scalar(1.0 - shrinkage)?;
    let _ = shrunk.f_diagonal(0, 0, 1)?.f_add_scalar_(ridge)?;
    Ok((shrunk, shrinkage))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::features::samples::sample;

    #[test]
    fn equals_numpy_with_scikit_learns_shrinkage() -> Result<()> {
        // f = x.astype(np.float64) - x.mean(0); g[y == c] = f[y == c].mean(0)
        // lw = sklearn.covariance.LedoitWolf().fit(f)
        // (1 - lw.shrinkage_) * np.trace(np.linalg.pinv(lw.covariance_) @ np.cov(g, rowvar=False))
        for ((rows, width, classes), expected) in [((60, 8, 3), 0.7657587822471295), ((12, 20, 2), 0.5456556834580633)]
        {
            let (features, labels) = sample(rows, width, classes);
            let score = hscore(&features, &labels)?;
            assert!((score - expected).abs() < 1e-6, "{score} {expected}");
        }
        Ok(())
    }
}
