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
}

impl Targets {
    /// The number of examples: each has an answer.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
        }
    }

    /// Whether there is no example to answer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of each example, for callers that handle single-label data alone: the task itself and the predictions
    /// of a report.
    pub fn classes(&self) -> &[u32] {
        match self {
            Self::Classes(classes) => classes,
        }
    }

    /// Those of the examples at `indices`, in this order; an index that is no example's is passed over.
    pub fn part(&self, indices: &[usize]) -> Self {
        match self {
            Self::Classes(classes) => {
                Self::Classes(indices.iter().filter_map(|&index| classes.get(index).copied()).collect())
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
}
