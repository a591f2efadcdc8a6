//! Weighted word counts with logistic regression: a few seconds on any machine, and hard to beat on small or plain data.

use serde::{Deserialize, Serialize};

use super::logistic::{Linear, Problem};
use super::ngrams::Vocabulary;
use super::{Baseline, Labelled, Predictions, check};
use crate::data::Input;
use crate::error::{Error, Result};
use crate::evaluation::argmax;

/// The strengths that are tried, from the strongest penalty on: each solution is where the next begins.
const C: [f64; 7] = [0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0];
/// Two in a row that are worse than the best so far end the search: the path is smooth.
const WORSE_IN_A_ROW: usize = 2;
/// From so many rows on, n-grams of a single text are left out.
const MANY_ROWS: usize = 2000;
/// Weights at most, by the choice of n-grams: a bound on time and memory (about 20 vectors of this size).
const MOST_WEIGHTS: usize = 6_000_000;

/// One strength that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// scikit-learn's `C`: the weight of the summed cross-entropy against half the squared weights.
    pub c: f64,
    /// Mean cross-entropy on the validation data, in nats. Lower is better.
    pub valid_loss: f64,
    pub iterations: usize,
}

/// A fitted model.
pub struct Tfidf {
    vocabulary: Vocabulary,
    linear: Linear,
    /// The label of each of the model's classes: those that occur in the training data.
    labels: Vec<u32>,
    /// All labels there are.
    classes: usize,
    chosen: Trial,
}

impl Tfidf {
    /// Fits on `train` and chooses the strength by the loss on `valid`. `watch` is told of every strength that was tried.
    ///
    /// # Errors
    ///
    /// When there are no rows, labels are out of range, an input is no text, or `watch` says so.
    pub fn fit(
        train: &Labelled,
        valid: &Labelled,
        classes: usize,
        watch: &mut dyn FnMut(Trial) -> Result<()>,
    ) -> Result<Self> {
        check(train, classes, "training")?;
        check(valid, classes, "validation")?;
        let mut labels = train.labels.to_vec();
        labels.sort_unstable();
        labels.dedup();
        if let [only] = labels.as_slice() {
            return Err(Error::request(format!("every training row has the same label (number {only})"))
                .hint("at least two classes are needed"));
        }
        let class_of = |label: &u32| labels.binary_search(label).ok().map(|class| class as u32);
        let train_classes: Vec<u32> = train.labels.iter().filter_map(class_of).collect();
        let valid_classes: Vec<Option<u32>> = valid.labels.iter().map(class_of).collect();

        let least = if train.inputs.len() < MANY_ROWS { 1 } else { 2 };
        let vocabulary = Vocabulary::new(train.inputs, least, MOST_WEIGHTS / labels.len())?;
        let rows = vocabulary.rows(train.inputs)?;
        let valid_rows = vocabulary.rows(valid.inputs)?;

        let problem = Problem::new(&rows, &train_classes, labels.len());
        let mut linear = Linear::zero(rows.width(), labels.len());
        let mut best: Option<(Linear, Trial)> = None;
        let mut worse = 0;
        for c in C {
            let iterations = problem.solve(&mut linear, c);
            let trial = Trial { c, valid_loss: linear.mean_loss(&valid_rows, &valid_classes), iterations };
            watch(trial)?;
            if best.as_ref().is_none_or(|(_, best)| trial.valid_loss < best.valid_loss) {
                best = Some((linear.clone(), trial));
                worse = 0;
            } else {
                worse += 1;
                if worse == WORSE_IN_A_ROW {
                    break;
                }
            }
        }
        let (linear, chosen) = best.ok_or_else(|| Error::failure("tf-idf: no strength was tried"))?;
        Ok(Self { vocabulary, linear, labels, classes, chosen })
    }

    /// The strength that was chosen.
    pub fn chosen(&self) -> Trial {
        self.chosen
    }
}

impl Baseline for Tfidf {
    fn name(&self) -> &'static str {
        "tf-idf"
    }

    fn parameters(&self) -> u64 {
        self.linear.numbers() as u64
    }

    fn predict(&self, inputs: &[&Input]) -> Result<Predictions> {
        let rows = self.vocabulary.rows(inputs)?;
        let mut predictions = Predictions { classes: Vec::new(), probabilities: Vec::new() };
        for row in 0..rows.rows() {
            let mut probabilities = vec![0.0; self.classes];
            for (&label, probability) in self.labels.iter().zip(self.linear.probabilities(rows.row(row))) {
                if let Some(place) = probabilities.get_mut(label as usize) {
                    *place = probability as f32;
                }
            }
            predictions.classes.push(argmax(&probabilities) as u32);
            predictions.probabilities.extend(probabilities);
        }
        Ok(predictions)
    }
}
