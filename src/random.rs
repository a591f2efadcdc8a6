//! A small random number generator with one stated algorithm, so that a seed means the same split and the same order of
//! examples on every machine and in every version. For numbers that torch draws (dropout, weights) torch's own is used.

use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind, Tensor};

use crate::error::Result;

/// Draws from torch's own generator, which is reseeded with `seed`. The process has one: others wait meanwhile.
pub fn from_torch<T>(seed: u64, draw: impl FnOnce() -> T) -> T {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed(seed as i64);
    draw()
}

/// A distribution of weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distribution {
    /// Mean 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// From `-bound` to `bound`.
    Uniform {
        /// The largest magnitude.
        bound: f64,
    },
}

/// An fp32 tensor of this shape, drawn by `seed` with torch's generator of the CPU, so that a seed means the same
/// weights on every device.
pub fn drawn(shape: &[i64], distribution: Distribution, seed: u64) -> Result<Tensor> {
    let mut empty = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
    Ok(from_torch(seed, || match distribution {
        Distribution::Normal { std } => empty.f_normal_(0.0, std),
        Distribution::Uniform { bound } => empty.f_uniform_(-bound, bound),
    })?)
}

/// SplitMix64 (Steele, Lea and Flood 2014): 64 bits of state, a full period, fast, good enough for shuffling.
/// Not for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

/// 2^64 divided by the golden ratio, made odd: the step of the state.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The generator of several numbers in order, such as (seed, epoch): unrelated streams for any two different lists.
    pub fn of(numbers: &[u64]) -> Self {
        let mut state = numbers.len() as u64;
        for &number in numbers {
            state = mixed(state.wrapping_add(STEP) ^ mixed(number.wrapping_add(STEP)));
        }
        Self { state }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mixed(self.state)
    }

    /// A number in `0..bound`, each as likely as any other (Lemire's method, with rejection). 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let mut product = u128::from(self.next_u64()) * u128::from(bound);
        if (product as u64) < bound {
            // Of the 2^64 draws, the first 2^64 mod bound low halves would favour some results: draw again.
            let threshold = bound.wrapping_neg() % bound;
            while (product as u64) < threshold {
                product = u128::from(self.next_u64()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }

    /// A number in `[0, 1)` with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Puts `items` in random order, each order as likely as any other (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// SplitMix64's output function: every input bit sways every output bit.
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_sequence() {
        // The first outputs for seed 1234567, as given with the reference C code.
        let mut random = Random::new(1234567);
        let drawn: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(drawn, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }

    #[test]
    fn below_is_even_and_in_range() {
        let mut random = Random::new(1);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[random.below(6) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        assert_eq!(random.below(1), 0);
        assert_eq!(random.below(0), 0);
        assert!(random.below(u64::MAX) < u64::MAX);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random.unit())));
    }

    #[test]
    fn shuffle_keeps_the_items_and_depends_on_every_number() {
        let order = |numbers: &[u64]| {
            let mut items: Vec<u32> = (0..100).collect();
            Random::of(numbers).shuffle(&mut items);
            items
        };
        assert_eq!(order(&[1, 2]), order(&[1, 2]));
        assert_ne!(order(&[1, 2]), order(&[2, 1]));
        assert_ne!(order(&[1]), order(&[1, 0]));
        let mut sorted = order(&[7]);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<u32>>());
    }
}
