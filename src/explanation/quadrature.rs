//! Gauss and Legendre's rule: where to look at a function between 0 and 1, and how much each look counts, so that the
//! weighted sum is its integral, exactly for polynomials up to twice the number of looks.

/// Places between 0 and 1, in order, and their weights, which sum to 1.
pub fn gauss_legendre(count: usize) -> Vec<(f64, f64)> {
    /// Newton's method has converged long before.
    const ROUNDS: usize = 64;
    let n = count as f64;
    (0..count)
        .map(|index| {
            // Close to the root; of Abramowitz and Stegun, 22.16.6.
            let mut x = -(std::f64::consts::PI * (index as f64 + 0.75) / (n + 0.5)).cos();
            let mut slope = 1.0;
            for _ in 0..ROUNDS {
                let (value, derivative) = legendre(count, x);
                slope = derivative;
                let step = value / derivative;
                x -= step;
                if step.abs() < 1e-15 {
                    break;
                }
            }
            let weight = 1.0 / ((1.0 - x * x) * slope * slope);
            ((x + 1.0) / 2.0, weight)
        })
        .collect()
}

/// The Legendre polynomial of this degree at `x`, and its derivative.
fn legendre(degree: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=degree {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
    }
    (value, degree as f64 * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_integrated_exactly() {
        for count in [1, 2, 5, 32, 128] {
            let rule = gauss_legendre(count);
            let integral = |power: i32| rule.iter().map(|(x, weight)| weight * x.powi(power)).sum::<f64>();
            for power in 0..(2 * count).min(40) as i32 {
                let exact = 1.0 / f64::from(power + 1);
                assert!((integral(power) - exact).abs() < 1e-12, "{count} {power}: {}", integral(power));
            }
            assert!(rule.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
