//! Always the most frequent label of the training data.

use super::contract::{Baseline, BaselinePredictions, LabelledInputs, check};
use crate::data::Input;
use crate::error::Result;
use crate::evaluation::argmax;

/// The labels' shares of the training data, which are its probabilities for every input.
#[derive(Debug, Clone, PartialEq)]
pub struct Majority {
    shares: Vec<f32>,
    /// The first of equals.
    most: u32,
}

impl Majority {
    /// # Errors
    /// When there are no rows or a label is out of range.
    pub fn fit(train: &LabelledInputs, classes: usize) -> Result<Self> {
        check(train, classes, "training")?;
        let mut counts = vec![0u64; classes];
        for &label in train.labels {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1;
            }
        }
        let shares: Vec<f32> = counts.iter().map(|&count| (count as f64 / train.labels.len() as f64) as f32).collect();
        let most = argmax(&shares) as u32;
        Ok(Self { shares, most })
    }
}

impl Baseline for Majority {
    fn name(&self) -> &'static str {
        "majority"
    }

    fn parameters(&self) -> u64 {
        self.shares.len() as u64
    }

    fn predict(&self, inputs: &[&Input]) -> Result<BaselinePredictions> {
        Ok(BaselinePredictions {
            classes: vec![self.most; inputs.len()],
            probabilities: self.shares.repeat(inputs.len()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_label_is_predicted_whatever_the_input() {
        let text = Input::Text("a".to_owned());
        let image = Input::Image("a.jpg".into());
        let train = LabelledInputs { inputs: &[&text; 5], labels: &[0, 2, 1, 2, 1] };
        let majority = Majority::fit(&train, 4).unwrap();
        let found = majority.predict(&[&text, &image]).unwrap();
        assert_eq!(found.classes, [1, 1]);
        assert_eq!(found.probabilities, [0.2, 0.4, 0.4, 0.0, 0.2, 0.4, 0.4, 0.0]);
    }

    #[test]
    fn labels_that_do_not_fit_are_an_error() {
        let text = Input::Text("a".to_owned());
        assert!(Majority::fit(&LabelledInputs { inputs: &[], labels: &[] }, 2).is_err());
        assert!(Majority::fit(&LabelledInputs { inputs: &[&text], labels: &[2] }, 2).is_err());
        assert!(Majority::fit(&LabelledInputs { inputs: &[&text], labels: &[0, 1] }, 2).is_err());
    }
}
