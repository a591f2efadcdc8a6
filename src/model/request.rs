//! What a classifier is asked for when it is loaded, and what a network reads.

use tch::{Device, Kind};

use super::layers::WeightDtype;
use super::pass::Pooling;
use crate::data::Labels;
use crate::image::Preprocessing;

/// Whose code computes the backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The layers of this project.
    Packed,
    /// rust-bert's layers, the reference.
    RustBert,
}

/// What a backbone expects to read.
#[derive(Debug, Clone, PartialEq)]
pub enum InputSpec {
    /// Token ids.
    Text {
        /// Every id is below this.
        vocabulary: i64,
        /// Tokens of a text at most, special tokens included.
        positions: i64,
        /// Kinds of segment: 2 where the texts of a pair have different ones.
        segments: i64,
    },
    /// RGB images, prepared like this.
    Image(Preprocessing),
}

/// The head that a classifier is to have.
pub enum HeadRequest<'a> {
    /// The checkpoint's own, for labelling and evaluating.
    FromCheckpoint,
    /// A new one.
    New {
        /// The classes it is to tell apart.
        labels: &'a Labels,
        /// `None`: the family's own.
        pooling: Option<Pooling>,
        /// Of the whole network, not of the head alone; `None`: as the checkpoint says.
        dropout: Option<f64>,
        /// Draws the weights of the head.
        seed: u64,
    },
    /// The checkpoint's own, or a new one where it has none: for looking at a model.
    Any {
        /// The classes of the new one.
        placeholder: &'a Labels,
    },
}

/// How a classifier is to be loaded.
pub struct LoadRequest<'a> {
    /// Whose layers compute a text backbone.
    pub engine: Engine,
    /// Where all tensors are put.
    pub device: Device,
    /// The type in which the backbone's linear layers keep their weights; all else is kept in fp32.
    pub weight_dtype: WeightDtype,
    /// The checkpoint's own head, or a new one.
    pub head: HeadRequest<'a>,
    /// Only the first so many stages; `None`: all.
    pub stages: Option<usize>,
}

impl<'a> LoadRequest<'a> {
    /// In the packed engine, on the CPU, in fp32, whole.
    pub fn plain(head: HeadRequest<'a>) -> Self {
        let weight_dtype = WeightDtype::Float(Kind::Float);
        Self { engine: Engine::Packed, device: Device::Cpu, weight_dtype, head, stages: None }
    }

    /// The dropout that is asked for in place of the checkpoint's.
    pub fn dropout(&self) -> Option<f64> {
        match self.head {
            HeadRequest::New { dropout, .. } => dropout,
            HeadRequest::FromCheckpoint | HeadRequest::Any { .. } => None,
        }
    }
}
