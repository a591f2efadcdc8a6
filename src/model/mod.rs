//! A [`Classifier`]: a pretrained backbone, then a head. From a model directory to one, from a batch to logits, and back to
//! a directory that Python loads.

pub mod backbone;
pub mod checkpoint;
pub mod encoder;
pub mod head;
pub mod hub;
pub mod lora;
pub mod parameters;
pub mod rust_bert;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

pub use self::backbone::{Backbone, DropoutKeys, Pass, Pooling};
use self::checkpoint::{Checkpoint, LoadReport, save_tensors};
use self::encoder::{Activation, Encoder, bert};
use self::head::{Head, NamedLinear, fresh_linear};
pub use self::parameters::Linears;
use self::parameters::{Linear, Parameter, Place};
use crate::batch::Batch;
use crate::data::Labels;
use crate::error::{Error, Result, listed};

/// Whose code computes the backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The packed encoder of this project.
    Packed,
    /// rust-bert's layers, the reference.
    RustBert,
}

/// What a backbone expects to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputSpec {
    /// Token ids below `vocabulary`, at most `positions` a text, `segments` kinds of segment.
    Text { vocabulary: i64, positions: i64, segments: i64 },
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
    /// The checkpoint's `config.json`, the base of the one that is saved.
    config: Value,
}

impl Classifier {
    /// Loads the model in `directory` and gives it the requested head.
    pub fn load(directory: &Path, request: &LoadRequest) -> Result<(Self, LoadReport)> {
        let checkpoint = Checkpoint::open(directory, request.device)?;
        let family = checkpoint.config.get("model_type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !bert::MODEL_TYPES.contains(&family.as_str()) {
            let what = if family.is_empty() { "no `model_type`".to_owned() } else { format!("`{family}`") };
            return Err(Error::request(format!("{what}: this kind of model is not supported"))
                .file(checkpoint.config_file())
                .key("model_type")
                .hint(format!("supported: {}", listed(["bert"]))));
        }
        load_bert(checkpoint, &family, request)
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

    /// Every tensor under the name that Python's transformers gives it.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state = Vec::new();
        for parameter in self.parameters() {
            state.extend(parameter.stored()?);
        }
        Ok(state)
    }

    /// Writes `config.json` and `model.safetensors` into `directory`, and for a mean-pooled model the Python module that
    /// loads it. Weights are written as fp32.
    pub fn save(&self, directory: &Path) -> Result<()> {
        let state = self.state()?.into_iter().map(|(name, tensor)| Ok((name, tensor.f_to_kind(Kind::Float)?)));
        save_tensors(&directory.join("model.safetensors"), state.collect::<Result<Vec<_>>>()?)?;
        if self.pooling == Pooling::Mean {
            for (name, source) in PYTHON_MODULE {
                crate::report::write_atomically(directory.join(name), source.as_bytes())?;
            }
        }
        let config = format!("{:#}\n", self.saved_config());
        crate::report::write_atomically(directory.join("config.json"), config.as_bytes())
    }

    fn saved_config(&self) -> Value {
        let mut config = self.config.clone();
        let Value::Object(map) = &mut config else { return config };
        for key in ["auto_map", "torch_dtype", "quantization_config", "_name_or_path"] {
            map.remove(key);
        }
        map.insert("dtype".into(), "float32".into());
        let words = || (0..self.labels.len()).map(|index| (index, self.labels.word(index as u32).to_owned()));
        map.insert("id2label".into(), words().map(|(index, word)| (index.to_string(), Value::from(word))).collect());
        map.insert("label2id".into(), words().map(|(index, word)| (word, Value::from(index))).collect());
        map.remove("num_labels");
        map.insert("problem_type".into(), "single_label_classification".into());
        match self.pooling {
            Pooling::Cls => {
                map.insert("model_type".into(), "bert".into());
                map.insert("architectures".into(), json!(["BertForSequenceClassification"]));
            }
            // A type of its own, so that no library loads these weights silently into a head that pools otherwise.
            Pooling::Mean => {
                map.insert("model_type".into(), "rehead_bert".into());
                map.insert("architectures".into(), json!(["ReheadBertForSequenceClassification"]));
                map.insert(
                    "auto_map".into(),
                    json!({
                        "AutoConfig": "configuration_rehead.ReheadBertConfig",
                        "AutoModelForSequenceClassification": "modeling_rehead.ReheadBertForSequenceClassification",
                    }),
                );
            }
        }
        config
    }
}

/// What a mean-pooled run carries so that Python loads it (`trust_remote_code=True`).
const PYTHON_MODULE: [(&str, &str); 2] = [
    ("configuration_rehead.py", include_str!("python/configuration_rehead.py")),
    ("modeling_rehead.py", include_str!("python/modeling_rehead.py")),
];

/// What heads of other tasks are called in the library's BERT checkpoints: they are set aside.
const OTHER_HEADS: [&str; 6] = ["classifier.", "cls.", "pooler.", "bert.pooler.", "qa_outputs.", "dropout."];

fn load_bert(checkpoint: Checkpoint, model_type: &str, request: &LoadRequest) -> Result<(Classifier, LoadReport)> {
    let mut config = bert::config(&checkpoint)?;
    if let HeadRequest::New { dropout: Some(p), .. } = request.head {
        (config.hidden_dropout, config.attention_dropout) = (p, p);
    }
    let weights = &checkpoint.weights;
    let encoder = Encoder::load(config.clone(), &bert::NAMES, weights, request.linears)?;
    let prefix = encoder::stored_prefix(&bert::NAMES, weights);
    let own_pooling = if model_type == "rehead_bert" { Pooling::Mean } else { Pooling::Cls };

    let mut report = LoadReport::default();
    let mut dropout = bert::classifier_dropout(&checkpoint, config.hidden_dropout)?;
    let width = config.width;
    let (labels, pooling, output);
    match &request.head {
        HeadRequest::FromCheckpoint => {
            labels = checkpoint_labels(&checkpoint)?;
            pooling = own_pooling;
            let classes = labels.len() as i64;
            output = NamedLinear {
                linear: Linear::new(
                    weights.take("classifier.weight", &[classes, width])?,
                    weights.take("classifier.bias", &[classes])?,
                ),
                name: "classifier".to_owned(),
                place: Place::Head,
            };
        }
        HeadRequest::New { labels: wanted, pooling: wanted_pooling, dropout: wanted_dropout, seed } => {
            labels = (*wanted).clone();
            pooling = wanted_pooling.unwrap_or(own_pooling);
            dropout = wanted_dropout.unwrap_or(dropout);
            let classes = labels.len() as i64;
            report.missing.extend(["classifier.weight".to_owned(), "classifier.bias".to_owned()]);
            output = NamedLinear {
                linear: fresh_linear(width, classes, 0.02, *seed, request.device)?,
                name: "classifier".to_owned(),
                place: Place::Head,
            };
        }
    }

    let pooler = match pooling {
        Pooling::Mean => None,
        Pooling::Cls => {
            let stored = format!("{prefix}pooler.dense");
            let (linear, place) = if weights.has(&format!("{stored}.weight")) {
                let linear = Linear::new(
                    weights.take(&format!("{stored}.weight"), &[width, width])?,
                    weights.take(&format!("{stored}.bias"), &[width])?,
                );
                (linear, Place::PretrainedHead)
            } else if let HeadRequest::New { seed, .. } = &request.head {
                report.missing.extend(["bert.pooler.dense.weight".to_owned(), "bert.pooler.dense.bias".to_owned()]);
                let seed = seed.wrapping_add(1);
                (fresh_linear(width, width, 0.02, seed, request.device)?, Place::Head)
            } else {
                return Err(Error::request("the checkpoint lacks the pooler that its classifier reads")
                    .file(&checkpoint.directory)
                    .key("bert.pooler.dense.weight")
                    .hint("take the whole checkpoint, or train a head anew with --pooling mean"));
            };
            let name = "bert.pooler.dense".to_owned();
            Some((NamedLinear { linear, name, place }, Activation::Tanh))
        }
    };

    let mut unexpected = Vec::new();
    for name in weights.untaken() {
        let of_head = OTHER_HEADS.iter().any(|part| name.starts_with(part));
        let buffer = name.ends_with("embeddings.position_ids") || name.ends_with("embeddings.token_type_ids");
        match (of_head, buffer) {
            (true, _) => report.set_aside.push(name),
            (_, true) => {}
            _ => unexpected.push(name),
        }
    }
    if !unexpected.is_empty() {
        let names = listed(unexpected.iter().map(String::as_str));
        return Err(Error::request(format!("the checkpoint has tensors that config.json has no place for: {names}"))
            .file(&checkpoint.directory)
            .key(&unexpected[0])
            .hint("config.json and the weights must be of the same model (is num_hidden_layers right?)"));
    }

    let input =
        InputSpec::Text { vocabulary: config.vocabulary, positions: config.positions, segments: config.segments };
    let backbone: Box<dyn Backbone> = match request.engine {
        Engine::Packed => Box::new(encoder),
        Engine::RustBert => Box::new(rust_bert::RustBert::from_encoder(&config, &encoder, request.device)?),
    };
    let classifier = Classifier {
        backbone,
        head: Head::new(pooler, dropout, output),
        pooling,
        labels,
        input,
        device: request.device,
        directory: checkpoint.directory,
        config: checkpoint.config,
    };
    Ok((classifier, report))
}

/// The class names of a checkpoint: `id2label`, or `LABEL_0` and so on as transformers calls them.
fn checkpoint_labels(checkpoint: &Checkpoint) -> Result<Labels> {
    let file = checkpoint.config_file();
    let Some(&[classes, _]) = checkpoint.weights.shape("classifier.weight") else {
        return Err(Error::request("this model has no classification head")
            .file(&checkpoint.directory)
            .key("classifier.weight")
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
