//! From prepared examples to the batches that a backbone reads.
//!
//! A [`Batch`] says which examples it holds and carries what their backbone needs as [`Inputs`]. An [`ExampleSet`] makes
//! batches on demand; the sampler decides which examples share one. Labels are not here: whoever needs them looks them up
//! by example.

pub mod packed;
pub mod sampler;

use tch::{Device, Tensor};

use crate::error::{Error, Result};
pub use packed::{PackedTokens, TokenizedSet};

/// Examples prepared for a backbone: tokenised texts, or images later.
pub trait ExampleSet: Sync {
    /// How many examples there are.
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What example `index` costs a batch's budget: its tokens for text.
    fn cost(&self, index: usize) -> usize;

    /// For each example the first one that is identical to it (itself, for most): inference computes those alone.
    fn representatives(&self) -> Vec<usize> {
        (0..self.len()).collect()
    }

    /// Puts the examples into one batch on `device`, in an order of the set's choosing ([`Batch::examples`] tells it).
    fn batch(&self, examples: &[usize], device: Device) -> Result<Batch>;
}

/// A batch: which examples, and what the backbone reads.
pub struct Batch {
    /// The index in the example set of each row of the result.
    pub examples: Vec<usize>,
    pub inputs: Inputs,
}

/// What a backbone reads, one variant a modality.
pub enum Inputs {
    Tokens(PackedTokens),
    /// Normalised images, `[N, 3, height, width]`, fp32, channels last in memory.
    Pixels(Tensor),
}

impl Inputs {
    /// # Errors
    /// The batch holds images.
    pub fn tokens(&self) -> Result<&PackedTokens> {
        match self {
            Self::Tokens(tokens) => Ok(tokens),
            Self::Pixels(_) => Err(Error::failure("this backbone reads text, the batch holds images")),
        }
    }

    /// # Errors
    /// The batch holds texts.
    pub fn pixels(&self) -> Result<&Tensor> {
        match self {
            Self::Pixels(pixels) => Ok(pixels),
            Self::Tokens(_) => Err(Error::failure("this backbone reads images, the batch holds text")),
        }
    }
}

impl Batch {
    /// How many examples the batch holds.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }
}
