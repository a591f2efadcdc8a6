//! A [`Classifier`]: a pretrained backbone, then a head. From a model directory to one, from a batch to logits, and back to
//! a directory that Python loads.

pub mod backbone;
pub mod checkpoint;
pub mod convolutional;
pub mod encoder;
pub mod family;
pub mod head;
pub mod lora;
pub mod parameters;
pub mod rust_bert;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tch::{Device, Kind, Tensor};

pub use self::backbone::{Backbone, DropoutKeys, Pass, Pooling};
use self::checkpoint::{Checkpoint, LoadReport, save_tensors};
use self::family::{bert, vit};
use self::head::Head;
pub use self::parameters::Linears;
use self::parameters::Parameter;
use crate::batch::Batch;
use crate::data::{Labels, Modality};
use crate::error::{Error, Result, listed};
use crate::files::write_atomically;
use crate::image::Preprocessing;

/// Whose code computes the backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The packed encoder of this project.
    Packed,
    /// rust-bert's layers, the reference.
    RustBert,
}

/// What a backbone expects to read.
#[derive(Debug, Clone, PartialEq)]
pub enum InputSpec {
    /// Token ids below `vocabulary`, at most `positions` a text, `segments` kinds of segment.
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
}

/// How a classifier is to be loaded.
pub struct LoadRequest<'a> {
    pub engine: Engine,
    pub device: Device,
    /// How the backbone's linear layers are kept; all else is kept in fp32.
    pub linears: Linears,
    pub head: HeadRequest<'a>,
    /// Only the first so many stages; `None`: all.
    pub stages: Option<usize>,
}

impl<'a> LoadRequest<'a> {
    /// In the packed engine, on the CPU, in fp32, whole.
    pub fn plain(head: HeadRequest<'a>) -> Self {
        Self { engine: Engine::Packed, device: Device::Cpu, linears: Linears::In(Kind::Float), head, stages: None }
    }
}

/// A backbone and a head, with what belongs to them: pooling, labels, configuration.
pub struct Classifier {
    pub backbone: Box<dyn Backbone>,
    pub head: Head,
    pub pooling: Pooling,
    pub labels: Labels,
    pub input: InputSpec,
    pub device: Device,
    /// Where the weights came from.
    pub directory: PathBuf,
    pub format: Format,
    /// The checkpoint's `config.json`, the base of the one that is saved.
    pub config: Value,
}

/// What the model in `directory` reads.
///
/// # Errors
/// There is no model.
pub fn modality(directory: &Path) -> Result<Modality> {
    // Weights by themselves are torchvision's: its models come without a configuration.
    if directory.is_file() {
        return Ok(Modality::Image);
    }
    let config = match checkpoint::read_config(directory) {
        Err(_) if checkpoint::weight_files(directory).is_ok() => return Ok(Modality::Image),
        config => config?,
    };
    let given = |key: &str| config.get(key).and_then(Value::as_str);
    let image = vit::recognises(&config) || given("architecture").is_some() || given("model_type") == Some("resnet");
    Ok(if image { Modality::Image } else { Modality::Text })
}

/// The hub id of the trained network that an architecture's bare name stands for.
pub fn pretrained_id(architecture: &str) -> Option<String> {
    convolutional::pretrained_id(architecture).or_else(|| vit::pretrained_id(architecture))
}

impl Classifier {
    /// Loads the model in `directory` (or the convolutional network in a safetensors file) and gives it the requested head.
    pub fn load(directory: &Path, request: &LoadRequest) -> Result<(Self, LoadReport)> {
        if let Some(checkpoint) = convolutional::open_bare(directory, request.device)? {
            return convolutional::load(checkpoint, request);
        }
        let checkpoint = Checkpoint::open(directory, request.device)?;
        if vit::recognises(&checkpoint.config) {
            return vit::load(checkpoint, request);
        }
        if convolutional::recognises(&checkpoint) {
            return convolutional::load(checkpoint, request);
        }
        let family = checkpoint.config.get("model_type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if encoder::bert::MODEL_TYPES.contains(&family.as_str()) {
            return bert::load(checkpoint, &family, request);
        }
        let what = if family.is_empty() { "no `model_type`".to_owned() } else { format!("`{family}`") };
        Err(Error::request(format!("{what}: this kind of model is not supported"))
            .file(checkpoint.config_file())
            .key("model_type")
            .hint(format!(
                "supported: {}",
                listed(["bert", "vit", "resnet and the networks of timm's that are like them"])
            )))
    }

    /// A network of random numbers drawn by `seed`, with the requested new head. `model` is the name of an architecture
    /// (`resnet18`, `vit_tiny_patch16_224`), or a directory whose `config.json` describes one as timm does.
    ///
    /// # Errors
    /// There is no such architecture.
    pub fn fresh(model: &str, seed: u64, request: &LoadRequest) -> Result<Self> {
        let stated = if Path::new(model).is_dir() { checkpoint::read_config(Path::new(model))? } else { Value::Null };
        let name = stated.get("architecture").and_then(Value::as_str).unwrap_or(model);
        if name.starts_with("vit") {
            return vit::fresh(name, seed, request);
        }
        let arguments = stated.get("model_args").and_then(Value::as_object).cloned().unwrap_or_default();
        convolutional::fresh(name, &arguments, Preprocessing::of_directory(Path::new(model))?, seed, request)
    }

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

    /// Logits in fp32, `[N, classes]`, one row an example of the batch.
    pub fn logits(&self, batch: &Batch, pass: Pass) -> Result<Tensor> {
        self.logits_from(0, batch, None, pass)
    }

    /// The same from the activations at the end of a prefix of `from` stages.
    pub fn logits_from(&self, from: usize, batch: &Batch, activations: Option<Tensor>, pass: Pass) -> Result<Tensor> {
        let features = self.backbone.features(from, batch, activations, self.pooling, pass)?;
        self.head.forward(&features, pass)
    }

    /// All parameters, backbone first.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.backbone.parameters().iter().chain(self.head.parameters())
    }

    /// All that a strategy may train: the parameters, and the adapters while there are any.
    pub fn trainable(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters().chain(self.backbone.adapters())
    }

    /// Number of parameters in all.
    pub fn total_parameters(&self) -> u64 {
        self.parameters().map(Parameter::elements).sum()
    }

    /// Every tensor under the name that Python gives it: parameters, then statistics.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state = Vec::new();
        for parameter in self.parameters().chain(self.backbone.statistics()) {
            state.extend(parameter.stored()?);
        }
        Ok(state)
    }

    /// Writes `config.json`, `model.safetensors` and what else the family's Python library needs into `directory`. Weights are
    /// written as fp32, counts as the integers that they are.
    pub fn save(&self, directory: &Path) -> Result<()> {
        let written = |tensor: Tensor| match tensor.kind() {
            Kind::Int64 => Ok(tensor),
            _ => tensor.f_to_kind(Kind::Float),
        };
        let state = self.state()?.into_iter().map(|(name, tensor)| Ok((name, written(tensor)?)));
        save_tensors(&directory.join("model.safetensors"), state.collect::<Result<Vec<_>>>()?)?;
        let Saved { config, files } = match self.format {
            Format::Bert => bert::saved(self),
            Format::Timm => convolutional::saved(self),
            Format::Vit => vit::saved(self),
        };
        for (name, content) in files {
            write_atomically(directory.join(name), content.as_bytes())?;
        }
        write_atomically(directory.join("config.json"), format!("{config:#}\n").as_bytes())
    }
}

/// Whose layout a model directory has, and so which library loads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// transformers, a BERT.
    Bert,
    /// timm, a convolutional network.
    Timm,
    /// transformers, a Vision Transformer.
    Vit,
}

/// What is saved beside the weights.
pub struct Saved {
    /// `config.json`.
    pub config: Value,
    /// Other files: name, content.
    pub files: Vec<(&'static str, Cow<'static, str>)>,
}

/// The `config.json` of the checkpoint with the classifier's labels in transformers' words, for single-label classification in fp32.
fn labelled_config(classifier: &Classifier) -> Map<String, Value> {
    let mut map = classifier.config.as_object().cloned().unwrap_or_default();
    for key in ["auto_map", "torch_dtype", "quantization_config", "_name_or_path", "num_labels"] {
        map.remove(key);
    }
    let words = || (0..classifier.labels.len()).map(|index| (index, classifier.labels.name(index as u32).to_owned()));
    map.insert("dtype".into(), "float32".into());
    map.insert("id2label".into(), words().map(|(index, word)| (index.to_string(), Value::from(word))).collect());
    map.insert("label2id".into(), words().map(|(index, word)| (word, Value::from(index))).collect());
    map.insert("problem_type".into(), "single_label_classification".into());
    map
}

/// The class names of a checkpoint: `id2label`, or `LABEL_0` and so on as transformers calls them.
/// `weight` names the weight of its head's linear layer.
fn checkpoint_labels(checkpoint: &Checkpoint, weight: &str) -> Result<Labels> {
    let file = checkpoint.config_file();
    let Some(&[classes, _]) = checkpoint.weights.shape(weight) else {
        return Err(Error::request("this model has no classification head")
            .file(&checkpoint.directory)
            .key(weight)
            .hint("give it one first: rehead train --model … --train … --out RUN, then use --model RUN"));
    };
    let problem = checkpoint.config.get("problem_type").and_then(Value::as_str);
    if classes < 2 || matches!(problem, Some("regression" | "multi_label_classification")) {
        let problem = problem.unwrap_or("regression");
        return Err(Error::request(format!("`{problem}` models are not supported yet; single-label classifiers are"))
            .file(file)
            .key("problem_type")
            .hint("train a single-label head on its backbone with `rehead train`"));
    }
    let refused = |key: &str, message: String| {
        Error::request(message)
            .file(&file)
            .key(key)
            .hint("config.json must count and name every class of the head once")
    };
    let given = |key: &str| checkpoint.config.get(key).filter(|value| !value.is_null());
    if let Some(count) = given("num_labels").filter(|count| count.as_u64() != Some(classes as u64)) {
        return Err(refused("num_labels", format!("{count} where the head has {classes} classes")));
    }
    let names = match given("id2label") {
        Some(Value::Object(names)) if !names.is_empty() => names,
        None | Some(Value::Object(_)) => {
            return Labels::in_order((0..classes).map(|index| format!("LABEL_{index}")).collect());
        }
        Some(_) => return Err(refused("id2label", "must be an object from numbers to names".to_owned())),
    };
    if names.len() > classes {
        return Err(refused("id2label", format!("names {} labels; the head has {classes} classes", names.len())));
    }
    let word =
        |index: usize| names.get(&index.to_string()).and_then(Value::as_str).filter(|word| !word.trim().is_empty());
    let words = (0..classes).map(|index| {
        word(index).map(str::to_owned).ok_or_else(|| {
            refused("id2label", format!("names no label for class {index}; the head has {classes} classes"))
        })
    });
    Labels::in_order(words.collect::<Result<Vec<_>>>()?)
        .map_err(|error| error.file(&file).key("id2label").hint("it must name every class once"))
}
