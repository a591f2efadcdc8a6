//! What a network is to answer for each example, and examples together with it.

use std::sync::Arc;

use crate::batch::{ExampleSet, Subset};
use crate::error::Result;
use crate::fingerprint::Fingerprint;

/// The right answer for each example of a set, in the examples' order.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// One class per example: the index of its label.
    Classes(Vec<u32>),
    /// Any number of labels per example: their indices, increasing.
    Sets(Vec<Vec<u32>>),
    /// A number per example.
    Numbers(Vec<f64>),
}

impl Targets {
    /// The number of examples: each has an answer.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Sets(sets) => sets.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// Whether there is no example to answer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of each example, for callers that handle single-label data alone: the task itself and the predictions
    /// of a report. Empty where examples have several labels.
    pub fn classes(&self) -> &[u32] {
        match self {
            Self::Classes(classes) => classes,
            Self::Sets(_) | Self::Numbers(_) => &[],
        }
    }

    /// The labels of each example, for callers that handle multi-label data alone. Empty where examples have a class.
    pub fn sets(&self) -> &[Vec<u32>] {
        match self {
            Self::Classes(_) | Self::Numbers(_) => &[],
            Self::Sets(sets) => sets,
        }
    }

    /// The number of each example, for callers that handle regression data alone. Empty where examples have labels.
    pub fn numbers(&self) -> &[f64] {
        match self {
            Self::Classes(_) | Self::Sets(_) => &[],
            Self::Numbers(numbers) => numbers,
        }
    }

    /// The labels of each example, of whatever task: equal answers are equal lists.
    pub fn answers(&self) -> Box<dyn Iterator<Item = &[u32]> + '_> {
        match self {
            Self::Classes(classes) => Box::new(classes.iter().map(std::slice::from_ref)),
            Self::Sets(sets) => Box::new(sets.iter().map(Vec::as_slice)),
            Self::Numbers(numbers) => Box::new(numbers.iter().map(|_| [].as_slice())),
        }
    }

    /// The sets of the examples at `indices` as zeros and ones, row-major `[indices.len(), labels]`; an index that is
    /// no example's has no labels.
    pub fn multi_hot(&self, indices: &[usize], labels: usize) -> Vec<f32> {
        let mut values = vec![0.0; indices.len() * labels];
        for (row, &index) in values.chunks_exact_mut(labels.max(1)).zip(indices) {
            for &label in self.sets().get(index).into_iter().flatten() {
                if let Some(value) = row.get_mut(label as usize) {
                    *value = 1.0;
                }
            }
        }
        values
    }

    /// Those of the examples at `indices`, in this order; an index that is no example's is passed over.
    pub fn part(&self, indices: &[usize]) -> Self {
        match self {
            Self::Classes(classes) => {
                Self::Classes(indices.iter().filter_map(|&index| classes.get(index).copied()).collect())
            }
            Self::Sets(sets) => Self::Sets(indices.iter().filter_map(|&index| sets.get(index).cloned()).collect()),
            Self::Numbers(numbers) => {
                Self::Numbers(indices.iter().filter_map(|&index| numbers.get(index).copied()).collect())
            }
        }
    }

    /// Adds the answers to what a fingerprint stands for.
    pub fn add_to(&self, hash: &mut Fingerprint) {
        match self {
            Self::Classes(classes) => {
                for class in classes {
                    hash.bytes(class.to_le_bytes());
                }
            }
            Self::Sets(sets) => {
                for set in sets {
                    hash.bytes((set.len() as u32).to_le_bytes());
                    set.iter().for_each(|label| hash.bytes(label.to_le_bytes()));
                }
            }
            Self::Numbers(numbers) => numbers.iter().for_each(|number| hash.bytes(number.to_le_bytes())),
        }
    }
}

/// Examples as a network reads them, and what it is to answer for each.
#[derive(Clone)]
pub struct Dataset {
    /// Shared with the thread that loads batches ahead.
    pub examples: Arc<dyn ExampleSet>,
    /// In the order of `examples`.
    pub targets: Targets,
}

impl Dataset {
    /// The examples at `indices`, in this order, as a dataset that shares them.
    ///
    /// # Errors
    /// There is no such example.
    pub fn part(&self, indices: Vec<usize>) -> Result<Self> {
        let targets = self.targets.part(&indices);
        Ok(Self { examples: Arc::new(Subset::new(Arc::clone(&self.examples), indices)?), targets })
    }

    /// What is trained on: where texts are read in windows these, each with its text's answer, and what each weighs.
    pub fn by_window(&self) -> (Self, Option<Vec<f64>>) {
        match self.examples.windows() {
            None => (self.clone(), None),
            Some(windows) => {
                let targets = self.targets.part(&windows.texts());
                let weights = windows.weights();
                (Self { examples: windows.set, targets }, Some(weights))
            }
        }
    }
}
