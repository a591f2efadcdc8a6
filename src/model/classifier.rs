//! The [`Classifier`]: a pretrained backbone, then a head. From a batch to logits, and to a directory that Python
//! loads. `load.rs` loads one.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::backbone::Backbone;
use super::checkpoint::save_tensors;
use super::family::{Export, Family, SavedModel};
use super::head::Head;
use super::lora;
use super::parameter::Parameter;
use super::pass::{Pass, Pooling};
use super::request::InputSpec;
use crate::batch::Batch;
use crate::data::Labels;
use crate::error::Result;
use crate::files::write_atomically;
use crate::image::Preprocessing;

/// A backbone and a head, with what belongs to them: pooling, labels, configuration.
pub struct Classifier {
    /// From a batch to feature vectors.
    pub backbone: Box<dyn Backbone>,
    /// From feature vectors to logits.
    pub head: Head,
    /// How the head reads token vectors; the mean where there are no tokens.
    pub pooling: Pooling,
    /// The classes, in the order of the logits.
    pub labels: Labels,
    /// What the head answers, as transformers' `config.json` names it.
    pub problem_type: String,
    /// By label the least probability at which it is given, where each may have a threshold.
    pub label_thresholds: Option<Vec<f64>>,
    /// What a batch must hold: token ids below a limit, or images of a size.
    pub input: InputSpec,
    /// Where all of its tensors are, and batches must be.
    pub device: Device,
    /// Where the weights came from.
    pub directory: PathBuf,
    /// The family that reads and writes such checkpoints.
    pub family: &'static dyn Family,
    /// The base of the `config.json` that is saved.
    pub config: Value,
    /// The parameters of the low-rank adapters, while there are any.
    pub adapters: Vec<Parameter>,
}

/// The key of `config.json`: an object from labels, in their order, to thresholds.
pub const LABEL_THRESHOLDS: &str = "label_thresholds";

impl Classifier {
    /// Has images prepared like this from now on.
    ///
    /// # Errors
    /// The backbone cannot take images of that size.
    pub fn set_preprocessing(&mut self, preprocessing: Preprocessing) -> Result<()> {
        let (height, width) = preprocessing.crop;
        self.backbone.set_image_size(height.into(), width.into())?;
        self.input = InputSpec::Image(preprocessing);
        Ok(())
    }

    /// Logits in fp32, `[N, classes]`, one row per example of the batch.
    pub fn logits(&self, batch: &Batch, pass: Pass) -> Result<Tensor> {
        self.logits_from(0, batch, None, pass)
    }

    /// The same from the activations after `from` stages.
    pub fn logits_from(&self, from: usize, batch: &Batch, activations: Option<Tensor>, pass: Pass) -> Result<Tensor> {
        self.head.output(&self.penultimate_from(from, batch, activations, pass)?, pass)
    }

    /// What the head's output layer gets to see, `[N, width]`, from the activations after `from` stages.
    pub fn penultimate_from(
        &self,
        from: usize,
        batch: &Batch,
        activations: Option<Tensor>,
        pass: Pass,
    ) -> Result<Tensor> {
        let Self { backbone, head, pooling, .. } = self;
        if head.each_token {
            let tokens = backbone.run(from..backbone.stages().len(), batch, activations, pass)?;
            return backbone.pool(&head.penultimate(&tokens, pass)?, batch, *pooling);
        }
        head.penultimate(&backbone.features(from, batch, activations, *pooling, pass)?, pass)
    }

    /// Values of the vector that the head reads.
    pub fn feature_width(&self) -> i64 {
        self.pooling.width(self.backbone.feature_width())
    }

    /// All weights, those of the backbone first; no statistics and no adapters.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.backbone.weights().chain(self.head.parameters())
    }

    /// All that a strategy may train: the weights, and the adapters while there are any.
    pub fn trainable(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters().chain(&self.adapters)
    }

    /// Gives the linear layers of the backbone low-rank adapters, drawn by `seed`: what is computed stays the same
    /// until they are trained.
    ///
    /// # Errors
    /// A backbone that has no linear layers to adapt.
    pub fn adapt(&mut self, rank: i64, seed: u64) -> Result<()> {
        self.adapters = lora::adapt(&mut *self.backbone, rank, seed)?;
        Ok(())
    }

    /// Adds what the adapters have learned to the weights and takes the adapters away.
    pub fn merge_adapters(&mut self) -> Result<()> {
        if !self.adapters.is_empty() {
            lora::merge(&mut *self.backbone)?;
            self.adapters.clear();
        }
        Ok(())
    }

    /// Says that nothing of the backbone is trained from now on.
    ///
    /// # Errors
    /// As [`Backbone::freeze`].
    pub fn freeze(&mut self) -> Result<()> {
        let stages = self.backbone.stages().len();
        self.backbone.freeze(stages)
    }

    /// Number of parameters in all.
    pub fn total_parameters(&self) -> u64 {
        self.parameters().map(Parameter::elements).sum()
    }

    /// Every tensor under the name that Python gives it: parameters, then statistics.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state = Vec::new();
        for parameter in self.parameters().chain(self.backbone.statistics()).chain(self.backbone.kept()) {
            state.extend(parameter.stored()?);
        }
        Ok(state)
    }

    /// Writes `config.json`, `model.safetensors` and what else the family's Python library needs into `directory`.
    /// Weights are written as fp32, counts as the integers that they are.
    pub fn save(&self, directory: &Path) -> Result<()> {
        let written = |tensor: Tensor| match tensor.kind() {
            Kind::Int64 => Ok(tensor),
            _ => tensor.f_to_kind(Kind::Float),
        };
        let state = self.state()?.into_iter().map(|(name, tensor)| Ok((name, written(tensor)?)));
        save_tensors(&directory.join("model.safetensors"), state.collect::<Result<Vec<_>>>()?)?;
        let Self { config, labels, problem_type, pooling, input, .. } = self;
        let description = self.backbone.description();
        let model = SavedModel { config, labels, problem_type, pooling: *pooling, input, description };
        let Export { mut config, files } = self.family.export(&model);
        self.add_thresholds(&mut config);
        for (name, content) in files {
            write_atomically(directory.join(name), content.as_bytes())?;
        }
        write_atomically(directory.join("config.json"), format!("{config:#}\n").as_bytes())
    }

    /// The thresholds of the labels, which no library has a key for; those that the base of the configuration has are
    /// another head's.
    fn add_thresholds(&self, config: &mut Value) {
        let Value::Object(config) = config else { return };
        config.shift_remove(LABEL_THRESHOLDS);
        if let Some(thresholds) = &self.label_thresholds {
            let named = self.labels.names().iter().cloned().zip(thresholds.iter().map(|&threshold| threshold.into()));
            config.insert(LABEL_THRESHOLDS.to_owned(), Value::Object(named.collect()));
            // A file of timm's does not say it otherwise.
            config.insert("problem_type".to_owned(), self.problem_type.as_str().into());
        }
    }
}
