//! What a family of networks tells the rest of the program about itself. All else that loading and saving need (labels,
//! heads, tensors that are missing or left over) is written once, around it, in `load.rs` and `classifier.rs`.

use serde_json::{Map, Value};

use crate::data::{Labels, Modality};
use crate::error::{Error, Result};
use crate::image::Preprocessing;
use crate::model::activation::Activation;
use crate::model::backbone::{Backbone, Description};
use crate::model::checkpoint::{Checkpoint, Weights};
use crate::model::pass::Pooling;
use crate::model::request::{Engine, InputSpec, LoadRequest};

/// A family of networks: how its checkpoints are recognised, loaded and written. A new family is one file in this
/// folder that implements this trait, or describes itself to something that does
/// ([`TextEncoder`](super::text_encoder::TextEncoder), [`ConvFamily`](super::convolutional::ConvFamily)), and one entry
/// in [`FAMILIES`](super::FAMILIES).
pub trait Family: Sync {
    /// The family's name, as its `config.json` has it (`bert`, `vit`, `resnet`).
    fn name(&self) -> &'static str;

    /// What its networks read.
    fn modality(&self) -> Modality;

    /// Whether this is the `config.json` of one of its checkpoints. No two families may say so of the same one.
    fn recognises(&self, config: &Value) -> bool;

    /// Whether a checkpoint without `config.json`, or with one that names no network, is the family's by its tensors'
    /// names.
    fn recognises_weights(&self, _weights: &Weights) -> bool {
        false
    }

    /// Bare names of networks that the family can begin from random weights (`resnet18`).
    fn architectures(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether a bare name is one of the family's, supported or not: all begin with its [`name`](Self::name).
    fn makes(&self, architecture: &str) -> bool {
        architecture.starts_with(self.name())
    }

    /// The hub id of the trained network that a bare name stands for.
    fn pretrained_id(&self, _architecture: &str) -> Option<String> {
        None
    }

    /// The engines that can compute its networks.
    fn engines(&self) -> &'static [Engine] {
        &[Engine::Packed]
    }

    /// Takes the backbone out of a checkpoint of the family and describes the rest: the head that belongs to it, what
    /// it reads, the tensors that nobody will ask for. It may bring configuration and names of the checkpoint into
    /// another layout first; what it leaves there is where labels and head are then read from.
    ///
    /// # Errors
    /// Settings that make no sense or are not supported, with file and key; tensors that are missing or of another
    /// shape.
    fn load(&self, checkpoint: &mut Checkpoint, request: &LoadRequest) -> Result<Parts>;

    /// The same with random weights.
    ///
    /// # Errors
    /// There is no such network, or the family does not begin from random weights.
    fn fresh(&self, network: &FreshNetwork, _request: &LoadRequest) -> Result<Parts> {
        Err(Error::request(format!("`{}`: a `{}` cannot start from random weights", network.architecture, self.name()))
            .hint("start from a trained network: leave out --init random"))
    }

    /// What a saved classifier needs beside its weights so that the family's Python library loads it.
    fn export(&self, model: &SavedModel) -> Export;
}

/// What a family makes of a checkpoint.
pub struct Parts {
    /// With the weights of the checkpoint, or with random ones.
    pub backbone: Box<dyn Backbone>,
    /// The heads that fit its features.
    pub head: HeadSpec,
    /// What it expects of a batch.
    pub input: InputSpec,
    /// The base of the `config.json` that [`export`](Family::export) writes.
    pub config: Value,
    /// Which of the remaining tensors are expected.
    pub leftovers: Leftovers,
}

/// What becomes of the checkpoint's tensors that neither backbone nor head has taken. All others are errors: such
/// weights are of another network than the configuration.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// What the message about an unexpected tensor calls the network that does not have it (`config.json`, `a plain
    /// ViT`).
    pub network: String,
    /// How the names of unused tensors begin, which are reported: old heads, and parts that classification does not
    /// use.
    pub unused: Vec<String>,
    /// How names end that are of no interest: buffers.
    pub ignored: &'static [&'static str],
}

/// The heads that a family's features go into.
#[derive(Debug)]
pub struct HeadSpec {
    /// How the checkpoint's own head pools, and a new one where nothing else is asked for.
    pub pooling: Pooling,
    /// The head on the first token's vector; `None` where there are no tokens, and features are always means.
    pub first_token: Option<HeadLayers>,
    /// The head on the mean, and on both where there is such a head.
    pub mean: HeadLayers,
    /// Whether a head may read the first token and the mean, one after the other.
    pub joins: bool,
}

/// A head: perhaps a hidden layer, dropout, and the linear layer that gives the logits.
#[derive(Debug)]
pub struct HeadLayers {
    /// `None` where the output layer reads the features themselves.
    pub hidden: Option<HiddenLayer>,
    /// Dropout before the output.
    pub dropout: f64,
    /// The layer `[classes, width]` that gives the logits.
    pub output: LayerName,
    /// The standard deviation that a new layer's weights are drawn with.
    pub initial_std: f64,
}

/// The layer between the features and the output of a head; as wide as the features.
#[derive(Debug)]
pub struct HiddenLayer {
    /// Its weight is `[width, width]`.
    pub layer: LayerName,
    /// Applied to what the layer gives.
    pub activation: Activation,
    /// Dropout before it.
    pub dropout: f64,
    /// Whether it has a bias.
    pub bias: bool,
    /// A norm after the activation.
    pub norm: Option<HeadNorm>,
    /// Whether the checkpoint's own reads every token, and the mean comes after it (EuroBERT); a new one never does.
    pub each_token: bool,
    /// Whether it was pretrained with the backbone (BERT's pooler): then a new head keeps it where the checkpoint has
    /// it.
    pub pretrained: bool,
}

/// A layer norm in a head.
#[derive(Debug)]
pub struct HeadNorm {
    /// Its weight is `[width]`.
    pub layer: LayerName,
    /// Whether it has a bias.
    pub bias: bool,
    /// Added to the variance.
    pub epsilon: f64,
}

/// A layer's name, without `.weight` and `.bias`: in files that are written, and in the checkpoint that is read.
#[derive(Debug)]
pub struct LayerName {
    /// In files that are written, as the family's Python library has it.
    pub name: String,
    /// In the checkpoint that is read, which may carry a prefix of its own.
    pub stored: String,
}

impl LayerName {
    /// The same name in both.
    pub fn same(name: &str) -> Self {
        Self { name: name.to_owned(), stored: name.to_owned() }
    }
}

/// A network that is to begin from random weights.
pub struct FreshNetwork<'a> {
    /// Its bare name, as timm has it.
    pub architecture: &'a str,
    /// Further arguments of timm's `create_model` (`model_args`).
    pub arguments: &'a Map<String, Value>,
    /// How images are to be prepared, where that is known.
    pub preprocessing: Option<Preprocessing>,
    /// Draws the backbone's weights; the head has a seed of its own.
    pub seed: u64,
}

/// A classifier that is being saved.
pub struct SavedModel<'a> {
    /// The base of `config.json`, from [`Parts::config`].
    pub config: &'a Value,
    /// The classes, in the order of the logits.
    pub labels: &'a Labels,
    /// As transformers has it: `single_label_classification`.
    pub problem_type: &'a str,
    /// How the head reads token vectors.
    pub pooling: Pooling,
    /// What the network reads: for images, how they are to be prepared.
    pub input: &'a InputSpec,
    /// The backbone's sizes and stages.
    pub description: &'a Description,
}

/// What is written beside the weights.
pub struct Export {
    /// `config.json`.
    pub config: Value,
    /// Other files: name, content.
    pub files: Vec<(String, String)>,
}
