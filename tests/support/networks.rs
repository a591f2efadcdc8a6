//! For comparisons of small random networks for images with what Python's packages compute of them.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

#[path = "python.rs"]
mod python;

use std::path::{Path, PathBuf};

use rehead::batch::{Batch, Inputs};
use rehead::data::Labels;
use rehead::error::Result;
use rehead::model::checkpoint::{LoadReport, Weights};
use rehead::model::{Classifier, HeadRequest, LoadRequest, Pass};
use tch::{Device, Kind, Tensor};

pub use python::python;

pub const CPU: Device = Device::Cpu;
pub const PLAIN: Pass = Pass { compute: Kind::Float, dropout: None };

/// The checkpoints that a script makes, each with what was computed of it; none where Python's packages are missing.
pub fn made_by(script: &str, name: &str) -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    python("timm", script, [&directory])?;
    Some(directory)
}

pub fn labels() -> Labels {
    Labels::from_names(["ant", "bee", "cat"]).expect("labels")
}

pub fn load(directory: &Path, head: HeadRequest) -> Result<(Classifier, LoadReport)> {
    Classifier::load(directory, &LoadRequest::plain(head))
}

/// The network with its own head.
pub fn own(directory: &Path) -> Classifier {
    load(directory, HeadRequest::FromCheckpoint).expect("loads").0
}

/// What Python has computed.
pub fn expected(directory: &Path) -> Weights {
    Weights::open_file(&directory.join("expected.safetensors"), CPU).expect("expected")
}

pub fn tensor(weights: &Weights, name: &str) -> Tensor {
    let shape = weights.shape(name).unwrap_or_else(|| panic!("no {name}"));
    weights.take(name, &shape.iter().map(|&size| size as i64).collect::<Vec<_>>()).expect("expected")
}

/// A batch of images, channels last in memory.
pub fn batch(pixels: &Tensor) -> Batch {
    let pixels = pixels.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
    Batch { examples: (0..pixels.size()[0] as usize).collect(), inputs: Inputs::Pixels(pixels) }
}

pub fn largest(tensor: &Tensor) -> f64 {
    tensor.abs().max().double_value(&[])
}

/// The largest difference, relative to the largest value of `reference`.
pub fn difference(found: &Tensor, reference: &Tensor) -> f64 {
    assert_eq!(found.size(), reference.size());
    largest(&(found.to_kind(Kind::Float) - reference)) / largest(reference).max(1e-12)
}

pub fn logits(classifier: &Classifier, batch: &Batch) -> Tensor {
    tch::no_grad(|| classifier.logits(batch, PLAIN)).expect("logits")
}
