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
    /// Token ids below `vocabulary`, at most `positions` per text, `segments` kinds of segment.
    Text { vocabulary: i64, positions: i64, segments: i64 },
    /// RGB images, prepared like this.
    Image(Preprocessing),
}

/// The head that a classifier is to have.
pub enum HeadRequest<'a> {
    /// The checkpoint's own, for labelling and evaluating.
    FromCheckpoint,
    /// A new one for these labels. `pooling` unset means the family's own; `dropout`, when set, holds for the whole
    /// network.
    New { labels: &'a Labels, pooling: Option<Pooling>, dropout: Option<f64>, seed: u64 },
    /// The checkpoint's own, or a new one for these labels where it has none: for looking at a model.
    Any { placeholder: &'a Labels },
}

/// How a classifier is to be loaded.
pub struct LoadRequest<'a> {
    pub engine: Engine,
    pub device: Device,
    /// The type in which the backbone's linear layers keep their weights; all else is kept in fp32.
    pub weight_dtype: WeightDtype,
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
