//! L-BFGS (Liu and Nocedal 1989), for the logistic regressions on features and on word counts: vectors of hundreds to
//! millions of numbers, the large ones on all cores. The result depends on nothing but the function: sums are taken in
//! the same order whatever the number of threads.

use std::collections::VecDeque;

use rayon::prelude::*;

use crate::error::Result;

/// Armijo's constant: a step must bring this share of the decrease that the derivative predicts.
const SUFFICIENT: f64 = 1e-4;
const MOST_HALVINGS: usize = 30;
/// Values per task of a thread.
const CHUNK: usize = 1 << 16;

/// When to stop, and how much history to keep.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Converged when no component of the gradient is larger.
    pub tolerance: f64,
    /// Steps at most, each with one evaluation or more.
    pub iterations: usize,
    /// How many steps are remembered.
    pub memory: usize,
}

/// A step, and how the gradient changed over it.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// 1 / (step · change)
    inverse: f64,
}

/// Moves `point` to a minimum of a smooth convex function, and returns the iterations taken. `evaluate` returns the
/// value at a point and writes the gradient there.
///
/// # Errors
/// Those of `evaluate`.
pub fn minimise(
    point: &mut Vec<f64>,
    limits: Limits,
    mut evaluate: impl FnMut(&[f64], &mut [f64]) -> Result<f64>,
) -> Result<usize> {
    let size = point.len();
    let mut memory: VecDeque<Pair> = VecDeque::new();
    let (mut gradient, mut next, mut next_gradient) = (vec![0.0; size], vec![0.0; size], vec![0.0; size]);
    let mut value = evaluate(point, &mut gradient)?;
    for iteration in 0..limits.iterations {
        if largest(&gradient) <= limits.tolerance {
            return Ok(iteration);
        }
        let direction = direction(&gradient, &memory);
        let derivative = dot(&gradient, &direction);
        let mut length = if memory.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt().max(1.0) } else { 1.0 };
        let mut accepted = false;
        for _ in 0..MOST_HALVINGS {
            combine(&mut next, point, &direction, |from, along| from + length * along);
            let next_value = evaluate(&next, &mut next_gradient)?;
            if next_value <= value + SUFFICIENT * length * derivative {
                value = next_value;
                accepted = true;
                break;
            }
            length *= 0.5;
        }
        if !accepted {
            // No descent is left within f64: this is the minimum.
            return Ok(iteration);
        }
        // The memory of the oldest pair is reused for the newest.
        let oldest = if memory.len() < limits.memory { None } else { memory.pop_front() };
        let mut pair = oldest.unwrap_or_else(|| Pair { step: vec![0.0; size], change: vec![0.0; size], inverse: 0.0 });
        combine(&mut pair.step, &next, point, |to, from| to - from);
        combine(&mut pair.change, &next_gradient, &gradient, |to, from| to - from);
        let curvature = dot(&pair.step, &pair.change);
        if curvature > 0.0 {
            pair.inverse = 1.0 / curvature;
            memory.push_back(pair);
        }
        std::mem::swap(point, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
    }
    Ok(limits.iterations)
}

/// The two-loop recursion.
fn direction(gradient: &[f64], memory: &VecDeque<Pair>) -> Vec<f64> {
    let mut q = gradient.to_vec();
    each(&mut q, |q| *q = -*q);
    let mut factors = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let factor = pair.inverse * dot(&pair.step, &q);
        add(&mut q, -factor, &pair.change);
        factors.push(factor);
    }
    if let Some(newest) = memory.back() {
        let scale = 1.0 / (newest.inverse * dot(&newest.change, &newest.change));
        each(&mut q, |q| *q *= scale);
    }
    for (pair, factor) in memory.iter().zip(factors.iter().rev()) {
        let correction = factor - pair.inverse * dot(&pair.change, &q);
        add(&mut q, correction, &pair.step);
    }
    q
}

// What fits into one chunk stays on this thread: waking another would take longer.

fn each(of: &mut [f64], change: impl Fn(&mut f64) + Sync) {
    let part = |part: &mut [f64]| part.iter_mut().for_each(&change);
    match of.len() {
        0..=CHUNK => part(of),
        _ => of.par_chunks_mut(CHUNK).for_each(part),
    }
}

/// `into = of(a, b)`, number by number.
fn combine(into: &mut [f64], a: &[f64], b: &[f64], of: impl Fn(f64, f64) -> f64 + Sync) {
    let part = |((into, a), b): ((&mut [f64], &[f64]), &[f64])| {
        for ((into, &a), &b) in into.iter_mut().zip(a).zip(b) {
            *into = of(a, b);
        }
    };
    match into.len() {
        0..=CHUNK => part(((into, a), b)),
        _ => into.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK)).zip(b.par_chunks(CHUNK)).for_each(part),
    }
}

/// `to += factor · of`
fn add(to: &mut [f64], factor: f64, of: &[f64]) {
    let part = |(to, of): (&mut [f64], &[f64])| {
        for (to, of) in to.iter_mut().zip(of) {
            *to += factor * of;
        }
    };
    match to.len() {
        0..=CHUNK => part((to, of)),
        _ => to.par_chunks_mut(CHUNK).zip(of.par_chunks(CHUNK)).for_each(part),
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let sum = |(a, b): (&[f64], &[f64])| {
        // Eight sums side by side, which the processor adds at once.
        let mut sums = [0.0; 8];
        let (a8, a_rest) = a.as_chunks::<8>();
        let (b8, b_rest) = b.as_chunks::<8>();
        for (a, b) in a8.iter().zip(b8) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum += a * b;
            }
        }
        sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
    };
    if a.len() <= CHUNK {
        return sum((a, b));
    }
    let parts: Vec<f64> = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)).map(sum).collect();
    parts.iter().sum()
}

fn largest(of: &[f64]) -> f64 {
    let most = |part: &[f64]| part.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    match of.len() {
        0..=CHUNK => most(of),
        _ => of.par_chunks(CHUNK).map(most).reduce(|| 0.0, f64::max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_minimum_of_an_ill_conditioned_bowl() -> Result<()> {
        // Σ c (x - 1)² / 2 with c from 1 to 100, over more than one chunk.
        let curvature = |at: usize| (1 + at % 100) as f64;
        let mut point = vec![0.0; CHUNK + 100];
        let limits = Limits { tolerance: 1e-6, iterations: 200, memory: 6 };
        let iterations = minimise(&mut point, limits, |point, gradient| {
            let mut value = 0.0;
            for (at, (x, derivative)) in point.iter().zip(gradient).enumerate() {
                *derivative = curvature(at) * (x - 1.0);
                value += 0.5 * *derivative * (x - 1.0);
            }
            Ok(value)
        })?;
        assert!(iterations < 200, "{iterations}");
        assert!(point.iter().all(|x| (x - 1.0).abs() < 1e-5));
        Ok(())
    }

    #[test]
    fn a_start_at_the_minimum_stays() -> Result<()> {
        let mut point = vec![1.0];
        let iterations = minimise(&mut point, Limits { tolerance: 1e-9, iterations: 5, memory: 6 }, |_, gradient| {
            gradient.fill(0.0);
            Ok(0.0)
        })?;
        assert_eq!((iterations, point), (0, vec![1.0]));
        Ok(())
    }
}
