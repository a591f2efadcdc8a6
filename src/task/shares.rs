//! Probabilities as they are written: with six digits, and adding up to exactly 1.

/// Millionths in 1.
const WHOLE: f64 = 1e6;

/// Rounds probabilities that add up to 1 to six digits so that they still do: all are rounded down, and what is then
/// missing goes to those with the largest remainders, the first of equals (the largest-remainder method). Their order
/// by size stays. What is not a list of probabilities is returned as it is.
pub fn six_digits(probabilities: &[f64]) -> Vec<f64> {
    if !probabilities.iter().all(|p| (0.0..=1.0).contains(p)) {
        return probabilities.to_vec();
    }
    let mut millionths: Vec<f64> = probabilities.iter().map(|p| (p * WHOLE).floor()).collect();
    let missing = WHOLE - millionths.iter().sum::<f64>();
    if missing > 0.0 && missing <= probabilities.len() as f64 {
        let remainder = |index: usize| probabilities[index] * WHOLE - millionths[index];
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)).then(a.cmp(&b)));
        for &index in order.iter().take(missing as usize) {
            millionths[index] += 1.0;
        }
    }
    millionths.into_iter().map(|millionths| millionths / WHOLE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::softmax;
    use crate::random::Random;

    #[test]
    fn what_is_written_adds_up_to_one_and_keeps_its_order() {
        assert_eq!(six_digits(&[1.0 / 3.0; 3]), [0.333334, 0.333333, 0.333333]);
        assert_eq!(six_digits(&[1.0, 0.0]), [1.0, 0.0]);
        assert!(six_digits(&[f64::NAN, 0.5])[0].is_nan());
        let mut random = Random::new(4);
        for _ in 0..2_000 {
            let logits: Vec<f32> = (0..1 + random.below(40)).map(|_| 12.0 * random.unit() as f32).collect();
            let exact = softmax(&logits);
            let written = six_digits(&exact);
            let millionths: u64 =
                written.iter().map(|p| format!("{p:.6}").replace('.', "").parse::<u64>().unwrap()).sum();
            assert_eq!(millionths, 1_000_000, "{written:?}");
            assert!(exact.iter().zip(&written).all(|(a, b)| (a - b).abs() < 1e-6));
            for (a, b) in (0..exact.len()).flat_map(|a| (0..exact.len()).map(move |b| (a, b))) {
                assert!(exact[a] <= exact[b] || written[a] >= written[b]);
            }
        }
    }
}
