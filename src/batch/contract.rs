//! What an example set is, and what a batch is: the same for texts and images. How either is made is the files'
//! [`texts`](super::texts) and [`images`](super::images).

use std::ops::Range;
use std::sync::Arc;

use tch::{Device, Tensor};

use crate::batch::packed::{PackedTokens, TokenArrays};
use crate::batch::pixels::PixelArray;
use crate::config::WindowPooling;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;

/// Which of the forms that an example can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As it is: what inference sees.
    Plain,
    /// As training sees it in this epoch; of sets that augment nothing, the same.
    Training {
        /// From 0; with another epoch augmentation draws again.
        epoch: u64,
    },
}

/// Examples prepared for a backbone: tokenised texts, or images.
pub trait ExampleSet: Send + Sync {
    /// How many examples there are.
    fn len(&self) -> usize;

    /// Whether the set has no example.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What example `index` costs a batch's budget: its tokens for text, 1 for an image.
    fn cost(&self, index: usize) -> usize;

    /// The unit of [`Self::cost`], in the plural: `tokens`, `images`.
    fn unit(&self) -> &'static str;

    /// For each example the first one that is identical to it (itself, for most): inference computes those alone.
    fn representatives(&self) -> Vec<usize> {
        (0..self.len()).collect()
    }

    /// A key that equal examples of any two sets share: for images, which are known only once their files are read.
    /// `None` for texts, which are compared before they come here.
    fn content(&self, _index: usize) -> Option<&str> {
        None
    }

    /// If it is a part of another set: that one, and the indices there of its examples, in their order.
    fn as_part(&self) -> Option<(&Arc<dyn ExampleSet>, &[usize])> {
        None
    }

    /// If its examples are texts that are read in windows: these, from which batches are made instead.
    fn windows(&self) -> Option<Windows> {
        None
    }

    /// Adds what the network sees of the examples to a hash.
    fn add_to(&self, hash: &mut Fingerprint);

    /// Puts the examples' contents together, in an order of the set's choosing ([`Loaded::examples`] tells it).
    fn load(&self, examples: &[usize], view: View) -> Result<Loaded>;

    /// Whether loading takes so long that it is worth doing ahead of the computation.
    fn is_slow_to_load(&self) -> bool {
        false
    }

    /// The examples as they are, in one batch on `device`.
    fn batch(&self, examples: &[usize], device: Device) -> Result<Batch> {
        self.load(examples, View::Plain)?.onto(device)
    }
}

/// What of the network is pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooled {
    /// Its answers.
    Logits,
    /// What its output layer reads: the layer was fitted on pooled features.
    Features,
}

/// The windows of texts.
#[derive(Clone)]
pub struct Windows {
    /// Each window an example, those of a text one after another.
    pub set: Arc<dyn ExampleSet>,
    /// `ends[i]` is where the windows of text `i` end in `set`. Each text has at least one.
    pub ends: Arc<[usize]>,
    /// How the rows of a text's windows become one.
    pub pooling: WindowPooling,
    /// Which rows these are.
    pub pooled: Pooled,
}

impl Windows {
    /// The windows of text `text`.
    pub fn of(&self, text: usize) -> Range<usize> {
        let end = |text: usize| self.ends.get(text).copied().unwrap_or(0);
        let start = if text == 0 { 0 } else { end(text - 1) };
        start..end(text).max(start)
    }

    /// The text of each window.
    pub fn texts(&self) -> Vec<usize> {
        (0..self.ends.len()).flat_map(|text| self.of(text).map(move |_| text)).collect()
    }

    /// What each window weighs in training so that every text counts alike: in inverse proportion to how many its text
    /// has, 1 on average.
    pub fn weights(&self) -> Vec<f64> {
        let mean = self.set.len() as f64 / self.ends.len().max(1) as f64;
        let ranges = (0..self.ends.len()).map(|text| self.of(text));
        ranges.flat_map(|range| range.clone().map(move |_| mean / range.len() as f64)).collect()
    }

    /// One row of the rows of a text's windows, `width` values each, in their order.
    pub fn pool(&self, rows: &[f32], width: usize) -> Vec<f32> {
        let windows = rows.chunks_exact(width.max(1));
        let count = windows.len().max(1) as f64;
        (0..width)
            .map(|at| {
                let values = windows.clone().map(|row| row[at]);
                match self.pooling {
                    WindowPooling::Mean => (values.map(f64::from).sum::<f64>() / count) as f32,
                    // What is no number stays none: nobody is to take it for an answer.
                    WindowPooling::Max => values.reduce(|a, b| if a >= b || a.is_nan() { a } else { b }).unwrap_or(0.0),
                }
            })
            .collect()
    }
}

/// The contents of a batch before they are on a device.
pub struct Loaded {
    /// The index in the example set of each row of the result.
    pub examples: Vec<usize>,
    /// In the order of `examples`.
    pub contents: Contents,
}

/// What a batch is made from, in host memory, one variant per modality.
pub enum Contents {
    /// Ids, segments and positions, in order of the texts' lengths.
    Tokens(TokenArrays),
    /// Bytes, which are normalised on their way to the device.
    Pixels(PixelArray),
}

impl Loaded {
    /// Makes the batch.
    pub fn onto(self, device: Device) -> Result<Batch> {
        let inputs = match self.contents {
            Contents::Tokens(tokens) => Inputs::Tokens(tokens.onto(device)?),
            Contents::Pixels(pixels) => Inputs::Pixels(pixels.onto(device)?),
        };
        Ok(Batch { examples: self.examples, inputs })
    }
}

/// A batch: which examples, and what the backbone reads.
pub struct Batch {
    /// The index in the example set of each row of the result.
    pub examples: Vec<usize>,
    /// In the order of `examples`.
    pub inputs: Inputs,
}

/// What a backbone reads, one variant per modality.
pub enum Inputs {
    /// Texts, packed without padding.
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

    /// Whether the batch has no row.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }
}
