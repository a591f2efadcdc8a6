//! From a model directory, a file of weights or the name of an architecture to a [`Classifier`]: which family it is of,
//! its labels, its head or a new one, and an account of every tensor. What differs between families is behind
//! [`Family`].

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tch::{Device, Kind, Tensor};

use super::architectures::other_head;
use super::checkpoint::{Checkpoint, Leftover, LoadReport, Weights, read_config, weight_files};
use super::classifier::Classifier;
use super::family::{
    FAMILIES, Family, FreshNetwork, HeadLayers, HeadNorm, HeadSpec, HiddenLayer, Leftovers, Parts, unknown_network,
};
use super::head::{Head, Hidden, NamedLinear, NamedNorm, random_linear, stored_linear, stored_norm};
use super::labels::{SINGLE_LABEL, stored_labels, stored_problem_type, stored_thresholds};
use super::layers::{LayerNorm, Linear, NormKind};
use super::parameter::ParameterLocation;
use super::pass::Pooling;
use super::request::{Engine, HeadRequest, InputSpec, LoadRequest};
use crate::data::{Labels, Modality};
use crate::error::{Error, Result, listed};
use crate::image::Preprocessing;

/// What the model in `directory` reads (or the network in a file of weights).
///
/// # Errors
/// There is no model, or one of no supported family.
pub fn modality(directory: &Path) -> Result<Modality> {
    Ok(family_of(directory)?.modality())
}

/// The engines that can compute the model in `directory`, the one that is taken by itself first.
///
/// # Errors
/// There is no model, or one of no supported family.
pub fn engines(directory: &Path) -> Result<&'static [Engine]> {
    Ok(family_of(directory)?.engines())
}

fn family_of(directory: &Path) -> Result<&'static dyn Family> {
    if directory.is_dir() && directory.join("config.json").exists() {
        let config = read_config(directory)?;
        if let Some(family) = by_config(&config) {
            return Ok(family);
        }
    }
    let (family, _) = open(directory, Device::Cpu)?;
    Ok(family)
}

/// That the network of a `config.json` is of a supported family, as far as the file names it.
///
/// # Errors
/// It is not, or the file cannot be read.
pub fn check_family(config_file: &Path) -> Result<()> {
    let config = read_config(config_file.parent().unwrap_or(Path::new(".")))?;
    refuse_unsupported(&config, config_file)
}

/// What a `config.json` says of its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedNetwork {
    /// As the file calls it.
    pub name: Option<String>,
    /// The supported family that it is of, and what its networks read.
    pub family: Option<(&'static str, Modality)>,
}

/// The network that a `config.json` names, whether it is supported or not.
///
/// # Errors
/// The file cannot be read.
pub fn named_network(config_file: &Path) -> Result<NamedNetwork> {
    let config = read_config(config_file.parent().unwrap_or(Path::new(".")))?;
    let name = network_name(&config).map(|(_, name)| name.to_owned());
    let family = name.as_ref().and_then(|_| by_config(&config));
    Ok(NamedNetwork { name, family: family.map(|family| (family.name(), family.modality())) })
}

fn refuse_unsupported(config: &Value, file: &Path) -> Result<()> {
    match network_name(config) {
        Some((key, name)) if by_config(config).is_none() => Err(unsupported(key, name).file(file)),
        _ => Ok(()),
    }
}

/// The hub id of the trained network that an architecture's bare name stands for.
pub fn pretrained_id(architecture: &str) -> Option<String> {
    FAMILIES.iter().find_map(|family| family.pretrained_id(architecture))
}

/// That there are trained weights of an architecture, if this is an architecture's bare name.
///
/// # Errors
/// timm has none; the hint names what can be used in its place.
pub fn check_trained(name: &str) -> Result<()> {
    let known = FAMILIES.iter().any(|family| family.architectures().iter().any(|known| known == name));
    if !known || pretrained_id(name).is_some() {
        return Ok(());
    }
    let tensorflow = format!("tf_{name}");
    let other = pretrained_id(&tensorflow).map_or(String::new(), |_| format!("use `{tensorflow}`, or "));
    Err(Error::request(format!("there are no trained weights of `{name}` in timm"))
        .hint(format!("{other}give a directory that has some, or start from random ones with --init random")))
}

/// Opens a checkpoint and finds its family. A file of weights, or a directory without `config.json`, is torchvision's
/// or timm's, and the tensors' names tell which.
fn open(path: &Path, device: Device) -> Result<(&'static dyn Family, Checkpoint)> {
    let weights_alone = path.is_file() || (!path.join("config.json").exists() && weight_files(path).is_ok());
    let config = if weights_alone { Value::Object(Map::new()) } else { read_config(path)? };
    // Before the weights, which may be of a format that such networks have and this program does not read.
    refuse_unsupported(&config, &path.join("config.json"))?;
    let weights = if path.is_file() { Weights::open_file(path, device)? } else { Weights::open(path, device)? };
    let checkpoint = Checkpoint { directory: path.to_owned(), config, weights };
    let by_weights = || FAMILIES.iter().copied().find(|family| family.recognises_weights(&checkpoint.weights));
    let found = match network_name(&checkpoint.config) {
        Some(_) => by_config(&checkpoint.config),
        None => by_weights(),
    };
    match found {
        Some(family) => Ok((family, checkpoint)),
        None => Err(unrecognised(&checkpoint, weights_alone)),
    }
}

fn by_config(config: &Value) -> Option<&'static dyn Family> {
    FAMILIES.iter().copied().find(|family| family.recognises(config))
}

/// What a `config.json` calls its network, and under which key.
fn network_name(config: &Value) -> Option<(&'static str, &str)> {
    ["architecture", "model_type"].into_iter().find_map(|key| Some((key, config.get(key)?.as_str()?)))
}

/// The families by what they read, every one by name.
fn supported() -> String {
    let families = |modality: Modality| {
        let of = FAMILIES.iter().filter(|family| family.modality() == modality);
        listed(of.map(|family| family.name()))
    };
    format!("supported for texts: {}; for images: {}", families(Modality::Text), families(Modality::Image))
}

/// The error for a network of another family. `key` is where its name stands.
fn unsupported(key: &str, name: &str) -> Error {
    Error::request(format!("`{name}`: networks of this family are not supported")).key(key).hint(supported())
}

/// The error for weights that neither a name nor the tensors tell the family of.
fn unrecognised(checkpoint: &Checkpoint, weights_alone: bool) -> Error {
    if weights_alone {
        return Error::request("the tensors' names are not those of a supported network")
            .file(&checkpoint.directory)
            .hint(format!("put the model's config.json beside the weights; {}", supported()));
    }
    Error::request("the file does not say what network this is, and the tensors' names are not those of a known one")
        .file(checkpoint.config_file())
        .key("model_type")
        .hint(supported())
}

fn refuse_engine(family: &dyn Family, engine: Engine) -> Result<()> {
    if family.engines().contains(&engine) {
        return Ok(());
    }
    let name = family.name();
    Err(match engine {
        Engine::RustBert => {
            Error::request(format!("rust-bert does not support a `{name}`")).hint("leave out --engine rust-bert")
        }
        Engine::Packed => Error::request(format!("only rust-bert supports a `{name}`")).hint("use --engine rust-bert"),
    })
}

impl Classifier {
    /// Loads the model in `directory` (or the network in a file of weights) and gives it the requested head.
    ///
    /// # Errors
    /// No model, one that is not supported, or one whose configuration, weights and labels do not belong together.
    pub fn load(directory: &Path, request: &LoadRequest) -> Result<(Self, LoadReport)> {
        let (family, mut checkpoint) = open(directory, request.device)?;
        refuse_engine(family, request.engine)?;
        let other = other_head(&checkpoint.config);
        if let (HeadRequest::FromCheckpoint, Some(other)) = (&request.head, other) {
            return Err(other.refused().file(checkpoint.config_file()));
        }
        let other_head = other.map(|other| other.to_string());
        let parts = family.load(&mut checkpoint, request)?;
        let mut report = LoadReport::default();
        let width = parts.backbone.feature_width();
        let new = match request.head {
            HeadRequest::FromCheckpoint => None,
            HeadRequest::Any { .. } if other_head.is_none() && has_head(&parts.head, &checkpoint) => None,
            HeadRequest::Any { placeholder } => {
                Some(NewHead { labels: placeholder, pooling: None, dropout: None, seed: 0 })
            }
            HeadRequest::New { labels, pooling, dropout, seed } => Some(NewHead { labels, pooling, dropout, seed }),
        };
        let (labels, pooling, head) = match new {
            None => head_of_checkpoint(&parts.head, &checkpoint, width, &mut report.warnings)?,
            Some(new) => new.build(&parts, Some(&checkpoint.weights), request.device, &mut report.missing)?,
        };
        report.account(&checkpoint, &parts.leftovers.network, |name| leftover_of(&parts.leftovers, name))?;
        report.other_head = other_head.filter(|_| !report.unused.is_empty());
        // A new head has tensors that the checkpoint lacks.
        let problem_type = match report.missing.is_empty() {
            true => stored_problem_type(&checkpoint, labels.len()),
            false => SINGLE_LABEL.to_owned(),
        };
        let thresholds = match report.missing.is_empty() {
            true => stored_thresholds(&checkpoint, &labels)?,
            false => None,
        };
        let mut classifier = assemble(family, parts, labels, pooling, head, request.device, checkpoint.directory)?;
        (classifier.problem_type, classifier.label_thresholds) = (problem_type, thresholds);
        Ok((classifier, report))
    }

    /// A network of random weights drawn by `seed`, with the requested new head. `model` is the name of an architecture
    /// (`resnet18`, `vit_tiny_patch16_224`), or a directory whose `config.json` describes one as timm does.
    ///
    /// # Errors
    /// There is no such architecture.
    pub fn fresh(model: &str, seed: u64, request: &LoadRequest) -> Result<Self> {
        let HeadRequest::New { labels, pooling, dropout, seed: head_seed } = request.head else {
            return Err(Error::request("a network with random weights has no labels yet").hint("train it first"));
        };
        let directory = Path::new(model);
        let stated = if directory.is_dir() { read_config(directory)? } else { Value::Null };
        let architecture = stated.get("architecture").and_then(Value::as_str).unwrap_or(model);
        let arguments = stated.get("model_args").and_then(Value::as_object).cloned().unwrap_or_default();
        let preprocessing = Preprocessing::of_directory(directory)?;
        let family = by_architecture(architecture)?;
        refuse_engine(family, request.engine)?;
        let network = FreshNetwork { architecture, arguments: &arguments, preprocessing, seed };
        let parts = family.fresh(&network, request)?;
        let new = NewHead { labels, pooling, dropout, seed: head_seed };
        let (labels, pooling, head) = new.build(&parts, None, request.device, &mut Vec::new())?;
        assemble(family, parts, labels, pooling, head, request.device, PathBuf::new())
    }
}

/// The family that can begin `architecture` from random weights.
fn by_architecture(architecture: &str) -> Result<&'static dyn Family> {
    let makes = |family: &&dyn Family| !family.architectures().is_empty() && family.makes(architecture);
    if let Some(family) = FAMILIES.iter().copied().find(makes) {
        return Ok(family);
    }
    let known: Vec<String> = FAMILIES.iter().flat_map(|family| family.architectures()).collect();
    Err(unknown_network(architecture, &known))
}

fn assemble(
    family: &'static dyn Family,
    parts: Parts,
    labels: Labels,
    pooling: Pooling,
    head: Head,
    device: Device,
    directory: PathBuf,
) -> Result<Classifier> {
    let Parts { backbone, input, config, .. } = parts;
    let problem_type = SINGLE_LABEL.to_owned();
    let adapters = Vec::new();
    let mut classifier = Classifier {
        backbone,
        head,
        pooling,
        labels,
        problem_type,
        label_thresholds: None,
        input,
        device,
        directory,
        family,
        config,
        adapters,
    };
    if let InputSpec::Image(preprocessing) = classifier.input {
        classifier.set_preprocessing(preprocessing)?;
    }
    Ok(classifier)
}

/// Features that are always means are pooled so whatever is asked for.
///
/// # Errors
/// The first token and the mean together, where the family has no head for both.
fn wanted_pooling(spec: &HeadSpec, wanted: Option<Pooling>) -> Result<Pooling> {
    match (&spec.first_token, wanted) {
        (Some(_), Some(Pooling::ClsAndMean)) if !spec.joins => {
            Err(Error::request("this network's features are the first token or the mean, not both")
                .key("model.pooling")
                .hint("use --pooling cls or --pooling mean"))
        }
        (Some(_), wanted) => Ok(wanted.unwrap_or(spec.pooling)),
        (None, _) => Ok(spec.pooling),
    }
}

fn layers_of(spec: &HeadSpec, pooling: Pooling) -> &HeadLayers {
    match (pooling, &spec.first_token) {
        (Pooling::Cls, Some(layers)) => layers,
        _ => &spec.mean,
    }
}

/// The labels, pooling and head of a checkpoint.
fn head_of_checkpoint(
    spec: &HeadSpec,
    checkpoint: &Checkpoint,
    width: i64,
    warnings: &mut Vec<String>,
) -> Result<(Labels, Pooling, Head)> {
    let layers = layers_of(spec, spec.pooling);
    let width = spec.pooling.width(width);
    let weights = &checkpoint.weights;
    let stored = &layers.output.stored;
    let labels = stored_labels(checkpoint, &format!("{stored}.weight"), warnings)?;
    let output = stored_linear(weights, stored, labels.len() as i64, width, true)?;
    let hidden = match &layers.hidden {
        None => None,
        Some(spec @ HiddenLayer { layer, pretrained, .. }) => {
            if !weights.has(&format!("{}.weight", layer.stored)) {
                return Err(Error::request("the checkpoint lacks a layer that its classifier needs")
                    .file(&checkpoint.directory)
                    .key(format!("{}.weight", layer.name))
                    .hint("use the whole checkpoint, or train a new head with --pooling mean"));
            }
            let location = if *pretrained { ParameterLocation::PretrainedHead } else { ParameterLocation::Head };
            Some((stored_hidden(weights, spec, width)?, location))
        }
    };
    let mut head = head(layers, hidden, output, layers.dropout, None);
    head.each_token = layers.hidden.as_ref().is_some_and(|hidden| hidden.each_token);
    Ok((labels, spec.pooling, head))
}

/// The hidden layer of a checkpoint, with its norm.
fn stored_hidden(weights: &Weights, spec: &HiddenLayer, width: i64) -> Result<(Linear, Option<LayerNorm>)> {
    let linear = stored_linear(weights, &spec.layer.stored, width, width, spec.bias)?;
    let norm =
        |HeadNorm { layer, bias, epsilon }: &HeadNorm| stored_norm(weights, &layer.stored, width, *epsilon, *bias);
    Ok((linear, spec.norm.as_ref().map(norm).transpose()?))
}

/// A norm that changes nothing but mean and variance. The names of its tensors go into `missing`.
fn new_norm(spec: &HeadNorm, width: i64, device: Device, missing: &mut Vec<String>) -> Result<LayerNorm> {
    let name = &spec.layer.name;
    missing.push(format!("{name}.weight"));
    missing.extend(spec.bias.then(|| format!("{name}.bias")));
    let options = (Kind::Float, device);
    let (weight, bias) = (Tensor::f_ones([width], options)?, Tensor::f_zeros([width], options)?);
    Ok(LayerNorm { weight, bias, epsilon: spec.epsilon, kind: NormKind::Layer })
}

/// Whether the checkpoint has the output layer of the family's head.
fn has_head(spec: &HeadSpec, checkpoint: &Checkpoint) -> bool {
    checkpoint.weights.has(&format!("{}.weight", layers_of(spec, spec.pooling).output.stored))
}

/// A head that is to be newly initialised.
struct NewHead<'a> {
    labels: &'a Labels,
    /// In place of the family's own, where there is a choice.
    pooling: Option<Pooling>,
    /// In place of the family's own.
    dropout: Option<f64>,
    seed: u64,
}

impl NewHead<'_> {
    /// Draws the layers. Only a hidden layer that was pretrained with the backbone is kept, where the checkpoint has
    /// it. The names of all other tensors go into `missing`.
    fn build(
        self,
        parts: &Parts,
        weights: Option<&Weights>,
        device: Device,
        missing: &mut Vec<String>,
    ) -> Result<(Labels, Pooling, Head)> {
        let Self { labels, pooling, dropout, seed } = self;
        let pooling = wanted_pooling(&parts.head, pooling)?;
        let width = pooling.width(parts.backbone.feature_width());
        let layers = layers_of(&parts.head, pooling);
        let random = |name: &str, outputs: i64, seed: u64, has_bias: bool, missing: &mut Vec<String>| {
            missing.push(format!("{name}.weight"));
            missing.extend(has_bias.then(|| format!("{name}.bias")));
            random_linear(width, outputs, layers.initial_std, seed, device)
        };
        let output = random(&layers.output.name, labels.len() as i64, seed, true, missing)?;
        let hidden = match &layers.hidden {
            None => None,
            Some(spec @ HiddenLayer { layer, pretrained, .. }) => {
                let stored = weights.filter(|weights| *pretrained && weights.has(&format!("{}.weight", layer.stored)));
                Some(match stored {
                    Some(weights) => (stored_hidden(weights, spec, width)?, ParameterLocation::PretrainedHead),
                    None => {
                        let linear = random(&layer.name, width, seed.wrapping_add(1), spec.bias, missing)?;
                        let norm = spec.norm.as_ref().map(|norm| new_norm(norm, width, device, missing)).transpose()?;
                        ((linear, norm), ParameterLocation::Head)
                    }
                })
            }
        };
        let head = head(layers, hidden, output, dropout.unwrap_or(layers.dropout), dropout);
        Ok((labels.clone(), pooling, head))
    }
}

/// The head of these layers. `before_hidden` takes the place of the dropout before the hidden layer, where there is
/// one.
fn head(
    layers: &HeadLayers,
    hidden: Option<((Linear, Option<LayerNorm>), ParameterLocation)>,
    output: Linear,
    dropout: f64,
    before_hidden: Option<f64>,
) -> Head {
    let output = NamedLinear {
        linear: output,
        name: layers.output.name.clone(),
        has_bias: true,
        location: ParameterLocation::Head,
    };
    let hidden = hidden.zip(layers.hidden.as_ref()).map(|(((linear, norm), location), spec)| Hidden {
        linear: NamedLinear { linear, name: spec.layer.name.clone(), has_bias: spec.bias, location },
        norm: norm.zip(spec.norm.as_ref()).map(|(norm, spec)| NamedNorm {
            norm,
            name: spec.layer.name.clone(),
            has_bias: spec.bias,
            location,
        }),
        activation: spec.activation,
        dropout: before_hidden.filter(|_| spec.dropout > 0.0).unwrap_or(spec.dropout),
    });
    Head::new(hidden, dropout, output)
}

/// What a tensor is that neither backbone nor head has taken.
fn leftover_of(leftovers: &Leftovers, name: &str) -> Leftover {
    if leftovers.unused.iter().any(|part| name.starts_with(part)) {
        Leftover::Unused
    } else if leftovers.ignored.iter().any(|part| name.ends_with(part)) {
        Leftover::Ignored
    } else {
        Leftover::Unexpected
    }
}
