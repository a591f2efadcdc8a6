//! Multinomial logistic regression on sparse rows, as scikit-learn's `LogisticRegression(C)`: minimises
//! `C · Σ cross-entropy + ½ ‖weights‖²`, biases not penalised. Two classes share one set of weights, as there.

use rayon::prelude::*;

use super::sparse::SparseRows;
use crate::error::Result;
use crate::linear::lbfgs::{self, Limits};

/// Rows, or columns, that a thread takes at a time.
const CHUNK: usize = 64;
/// On the mean cross-entropy. scikit-learn stops at 1e-4.
const LIMITS: Limits = Limits { tolerance: 1e-6, iterations: 300, memory: 6 };

/// Training data in the two orders that value and gradient need.
pub struct Problem<'a> {
    rows: &'a SparseRows,
    columns: SparseRows,
    /// Class of each row, below `classes`.
    labels: &'a [u32],
    classes: usize,
}

/// A linear layer on sparse rows.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseLinear {
    /// `[width + 1, outputs]`, the last row the biases.
    weights: Vec<f64>,
    classes: usize,
}

/// One score per class; with two classes one score, that of the second (the first has 0).
fn outputs(classes: usize) -> usize {
    if classes == 2 { 1 } else { classes }
}

impl SparseLinear {
    /// All zero: every class is equally likely.
    pub fn zero(width: usize, classes: usize) -> Self {
        Self { weights: vec![0.0; (width + 1) * outputs(classes)], classes }
    }

    /// Weights and biases, counted one by one.
    pub fn parameters(&self) -> usize {
        self.weights.len()
    }

    /// Probabilities of a row's classes.
    pub fn probabilities(&self, row: impl Iterator<Item = (usize, f64)>) -> Vec<f64> {
        let mut scores = vec![0.0; outputs(self.classes)];
        add_scores(&self.weights, row, &mut scores);
        if self.classes == 2 {
            scores.insert(0, 0.0);
        }
        softmax(&mut scores);
        scores
    }

    /// Mean cross-entropy of rows; classes that `None` stands for are left out.
    pub fn mean_loss(&self, rows: &SparseRows, labels: &[Option<u32>]) -> f64 {
        let losses: Vec<f64> = labels
            .par_iter()
            .enumerate()
            .filter_map(|(index, label)| {
                let probabilities = self.probabilities(rows.row(index));
                // Beyond f64's smallest probability, which also rounding may reach.
                Some(-probabilities.get((*label)? as usize)?.max(f64::MIN_POSITIVE).ln())
            })
            .collect();
        losses.iter().sum::<f64>() / losses.len().max(1) as f64
    }
}

/// Adds a row's products with the weights, and the biases.
fn add_scores(weights: &[f64], row: impl Iterator<Item = (usize, f64)>, scores: &mut [f64]) {
    let outputs = scores.len();
    let at = |column: usize| weights.get(column * outputs..(column + 1) * outputs).unwrap_or_default();
    let biases = at(weights.len() / outputs.max(1) - 1);
    for (score, bias) in scores.iter_mut().zip(biases) {
        *score += bias;
    }
    for (column, value) in row {
        for (score, weight) in scores.iter_mut().zip(at(column)) {
            *score += value * weight;
        }
    }
}

/// Scores to probabilities, in place; returns log Σ exp(score).
fn softmax(scores: &mut [f64]) -> f64 {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
    largest + sum.ln()
}

impl<'a> Problem<'a> {
    pub fn new(rows: &'a SparseRows, labels: &'a [u32], classes: usize) -> Self {
        Self { rows, columns: rows.transposed(), labels, classes }
    }

    /// Improves `linear` until it is best for `c`; returns the iterations taken. `watch` is asked before each
    /// evaluation, and ends the search with its error.
    pub fn solve(&self, linear: &mut SparseLinear, c: f64, watch: &mut dyn FnMut() -> Result<()>) -> Result<usize> {
        let mut residuals = vec![0.0; self.rows.rows() * outputs(self.classes)];
        lbfgs::minimise(&mut linear.weights, LIMITS, |point, gradient| {
            watch()?;
            Ok(self.evaluate(point, c, &mut residuals, gradient))
        })
    }

    /// The mean cross-entropy with the penalty, `‖weights‖² / (2 C rows)`, and its gradient.
    fn evaluate(&self, point: &[f64], c: f64, residuals: &mut [f64], gradient: &mut [f64]) -> f64 {
        let outputs = outputs(self.classes);
        let rows = self.rows.rows() as f64;
        let losses: Vec<f64> = residuals
            .par_chunks_mut(CHUNK * outputs)
            .zip(self.labels.par_chunks(CHUNK))
            .enumerate()
            .map(|(chunk, (residuals, labels))| {
                let of_row = |(index, (residual, &label)): (usize, (&mut [f64], &u32))| {
                    residual.fill(0.0);
                    add_scores(point, self.rows.row(chunk * CHUNK + index), residual);
                    to_residual(residual, label)
                };
                residuals.chunks_exact_mut(outputs).zip(labels).enumerate().map(of_row).sum()
            })
            .collect();
        let l2 = 1.0 / (c * rows);
        let weights = self.rows.width() * outputs;
        let (gradients, bias_gradient) = gradient.split_at_mut(weights);
        let penalties: Vec<f64> = gradients
            .par_chunks_mut(CHUNK * outputs)
            .zip(point.par_chunks(CHUNK * outputs))
            .enumerate()
            .map(|(chunk, (gradients, weights))| {
                for (index, gradients) in gradients.chunks_exact_mut(outputs).enumerate() {
                    gradients.fill(0.0);
                    for (row, value) in self.columns.row(chunk * CHUNK + index) {
                        let residual = residuals.get(row * outputs..(row + 1) * outputs).unwrap_or_default();
                        for (gradient, residual) in gradients.iter_mut().zip(residual) {
                            *gradient += value * residual;
                        }
                    }
                }
                let mut squares = 0.0;
                for (gradient, weight) in gradients.iter_mut().zip(weights) {
                    *gradient = *gradient / rows + l2 * weight;
                    squares += weight * weight;
                }
                squares
            })
            .collect();
        bias_gradient.fill(0.0);
        for residual in residuals.chunks_exact(outputs) {
            for (gradient, residual) in bias_gradient.iter_mut().zip(residual) {
                *gradient += residual / rows;
            }
        }
        losses.iter().sum::<f64>() / rows + 0.5 * l2 * penalties.iter().sum::<f64>()
    }
}

/// Scores to the gradient of the cross-entropy by them, probability minus truth; returns the cross-entropy.
fn to_residual(scores: &mut [f64], label: u32) -> f64 {
    if let [score] = scores {
        let truth = f64::from(label);
        // log(1 + exp(z)) - truth z, without overflow
        let loss = score.max(0.0) + (-score.abs()).exp().ln_1p() - truth * *score;
        *score = 1.0 / (1.0 + (-*score).exp()) - truth;
        return loss;
    }
    let own = scores.get(label as usize).copied().unwrap_or_default();
    let loss = softmax(scores) - own;
    if let Some(score) = scores.get_mut(label as usize) {
        *score -= 1.0;
    }
    loss
}
