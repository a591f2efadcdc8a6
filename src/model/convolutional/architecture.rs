//! Which network a checkpoint holds: from timm's or transformers' configuration, or from its tensors' names and shapes.

use serde_json::{Map, Value, json};

use super::Description;
use super::inception;
use super::names::Naming;
use super::resnet::{self, Kind, ResNet};
use super::vgg::{self, Vgg};
use crate::error::{Error, Result, listed, nearest};
use crate::image::Preprocessing;
use crate::model::checkpoint::{Checkpoint, Weights};

/// A network, by the name that timm creates it under.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    pub name: String,
    /// What timm's `create_model` is to be told besides.
    pub model_args: Map<String, Value>,
    network: Network,
    /// The dropout that `model_args` states.
    dropout: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Network {
    ResNet(ResNet),
    Vgg(Vgg),
    Inception,
}

const MATCHING: &str = "take the config.json that belongs to these weights";

/// More than any published network has.
const MOST_BLOCKS: i64 = 1_000;
const MOST_CHANNELS: i64 = 65_536;
/// timm makes no more.
const MOST_LAYERS: usize = 4;

/// The names that [`Architecture::named`] knows.
pub fn names() -> Vec<String> {
    let vgg = vgg::NAMED.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("{name}_bn")]);
    resnet::NAMED.iter().map(|(name, ..)| (*name).to_owned()).chain(vgg).chain(["inception_v3".to_owned()]).collect()
}

/// The hub id of the trained network that a bare name stands for: torchvision's first weights. timm's own default was trained with label
/// smoothing or mixing, which make features that serve other classes less well (Kornblith et al., "Do Better ImageNet Models Transfer
/// Better?", 2019).
pub fn pretrained_id(name: &str) -> Option<String> {
    names().iter().any(|known| known == name).then(|| format!("timm/{name}.tv_in1k"))
}

/// Whether a checkpoint's configuration or tensors are a convolutional network's.
pub fn recognises(checkpoint: &Checkpoint) -> bool {
    let text = |key: &str| checkpoint.config.get(key).and_then(Value::as_str);
    match (text("architecture"), text("model_type")) {
        (Some(name), _) => ["resnet", "vgg", "inception"].iter().any(|family| name.starts_with(family)),
        (None, Some(family)) => family == "resnet",
        (None, None) => has_known_names(&checkpoint.weights),
    }
}

/// Whether tensors are called as in one of these families.
pub fn has_known_names(weights: &Weights) -> bool {
    ["layer1.0.conv1.weight", "features.0.weight", "Conv2d_1a_3x3.conv.weight"].iter().any(|name| weights.has(name))
}

impl Architecture {
    /// The network of a checkpoint.
    ///
    /// # Errors
    /// One that is not supported, or settings that make no sense.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self> {
        let config = &checkpoint.config;
        let found = match (config.get("architecture").and_then(Value::as_str), config.get("model_type")) {
            (Some(name), _) => {
                let none = Map::new();
                let model_args = match config.get("model_args") {
                    None | Some(Value::Null) => &none,
                    Some(Value::Object(map)) => map,
                    Some(_) => {
                        return Err(Error::request("must be an object")
                            .file(checkpoint.config_file())
                            .key("model_args")
                            .hint(MATCHING));
                    }
                };
                Self::named(name, model_args)
            }
            (None, Some(_)) => of_transformers(config),
            (None, None) => return of_weights(&checkpoint.weights).map_err(|error| error.file(&checkpoint.directory)),
        };
        found.map_err(|error| error.file(checkpoint.config_file()).fallback_hint(MATCHING))
    }

    /// The network that timm creates under `name` (a tag after a point is ignored) with `model_args`: `drop_rate`, and for a
    /// ResNet `layers` and `channels`.
    ///
    /// # Errors
    /// A network or a setting that is not supported.
    pub fn named(name: &str, model_args: &Map<String, Value>) -> Result<Self> {
        let name = name.split('.').next().unwrap_or(name);
        let (stem, norm) = name.strip_suffix("_bn").map_or((name, false), |stem| (stem, true));
        let mut network = if let Some((_, kind, layers)) = resnet::NAMED.iter().find(|(known, ..)| *known == name) {
            Network::ResNet(ResNet { kind: *kind, layers: layers.to_vec(), channels: resnet::CHANNELS.to_vec() })
        } else if let Some((_, groups)) = vgg::NAMED.iter().find(|(known, _)| *known == stem) {
            Network::Vgg(Vgg { groups: *groups, norm })
        } else if name == "inception_v3" {
            Network::Inception
        } else {
            let known = names();
            let hint = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`? Supported: {}", listed(&known)),
                None => format!("supported: {}", listed(&known)),
            };
            return Err(Error::request(format!("`{name}`: this network is not supported"))
                .key("architecture")
                .hint(hint));
        };
        let mut kept = Map::new();
        let mut dropout = None;
        for (key, value) in model_args {
            let refused = |what: &str| Error::request(format!("{value}: {what}")).key(format!("model_args.{key}"));
            match (key.as_str(), &mut network) {
                ("drop_rate", _) => {
                    let p = value.as_f64().filter(|p| (0.0..1.0).contains(p));
                    dropout = Some(p.ok_or_else(|| refused("is not a probability below 1"))?);
                }
                ("layers", Network::ResNet(resnet)) => {
                    resnet.layers = sizes(value, MOST_BLOCKS)
                        .ok_or_else(|| refused("must be a list of 1 to 4 numbers of blocks"))?;
                }
                ("channels", Network::ResNet(resnet)) => {
                    resnet.channels = sizes(value, MOST_CHANNELS)
                        .ok_or_else(|| refused("must be a list of 1 to 4 numbers of channels"))?;
                }
                // These change nothing.
                ("in_chans", _) if value.as_i64() == Some(3) => continue,
                ("global_pool", _) if value.as_str() == Some("avg") => continue,
                ("num_classes" | "aux_logits", _) => continue,
                _ => return Err(refused("this setting is not supported").hint("take a network without it")),
            }
            kept.insert(key.clone(), value.clone());
        }
        if let Network::ResNet(ResNet { layers, channels, .. }) = &network
            && layers.len() != channels.len()
        {
            let message = format!("{} layers, but the channels of {}", layers.len(), channels.len());
            return Err(Error::request(message).key("model_args").hint("give `layers` and `channels` of one length"));
        }
        Ok(Self { name: name.to_owned(), model_args: kept, network, dropout })
    }

    /// The ResNet of these sizes: under its name, or as another's with `model_args`.
    fn resnet(kind: Kind, layers: Vec<i64>, channels: Vec<i64>) -> Result<Self> {
        let named = resnet::NAMED.iter().find(|(_, known, blocks)| *known == kind && blocks[..] == layers[..]);
        let base = match kind {
            Kind::Basic => "resnet18",
            Kind::Bottleneck => "resnet50",
        };
        let mut model_args = Map::new();
        if named.is_none() {
            model_args.insert("layers".to_owned(), json!(layers));
        }
        if channels != resnet::CHANNELS {
            model_args.insert("channels".to_owned(), json!(channels));
        }
        Self::named(named.map_or(base, |(name, ..)| name), &model_args)
    }

    /// The layers. `dropout` wins over what the architecture says.
    pub fn describe(&self, dropout: Option<f64>) -> Description {
        let dropout = |usual: f64| dropout.or(self.dropout).unwrap_or(usual);
        match &self.network {
            Network::ResNet(resnet) => Description { dropout: dropout(0.0), ..resnet.describe() },
            Network::Vgg(vgg) => vgg.describe(dropout(vgg::DROPOUT)),
            Network::Inception => inception::describe(dropout(inception::DROPOUT)),
        }
    }

    pub fn family(&self) -> &'static str {
        match self.network {
            Network::ResNet(_) => "resnet",
            Network::Vgg(_) => "vgg",
            Network::Inception => "inception",
        }
    }

    /// How it sees images where nothing is said: as ImageNet's networks do, Inception from -1 to 1.
    pub fn preprocessing(&self) -> Preprocessing {
        match self.network {
            Network::Inception => Preprocessing { mean: [0.5; 3], std: [0.5; 3], ..Preprocessing::imagenet(299) },
            Network::ResNet(_) | Network::Vgg(_) => Preprocessing::imagenet(224),
        }
    }

    /// The deviation of a new head's weights, from `features`: as torchvision and timm start it. For a ResNet (and here for
    /// Inception, whose own 0.1 is for training from nothing) that of torch's `Linear`, for VGG 0.01.
    pub fn head_deviation(&self, features: i64) -> f64 {
        match self.network {
            Network::Vgg(_) => 0.01,
            _ => 1.0 / (3.0 * features.max(1) as f64).sqrt(),
        }
    }
}

/// A list of 1 to 4 sizes.
fn sizes(value: &Value, most: i64) -> Option<Vec<i64>> {
    let list = value.as_array().filter(|list| (1..=MOST_LAYERS).contains(&list.len()))?;
    list.iter().map(|size| size.as_i64().filter(|size| (1..=most).contains(size))).collect()
}

/// From the `config.json` of transformers' `ResNetForImageClassification`.
fn of_transformers(config: &Value) -> Result<Architecture> {
    let given = |key: &str| config.get(key).filter(|value| !value.is_null());
    let refused = |key: &str, what: String| {
        Err(Error::request(what)
            .key(key)
            .hint("supported is what timm has, too: ResNet-18 to ResNet-152 and their like"))
    };
    let plain = [
        ("num_channels", json!(3)),
        ("embedding_size", json!(resnet::STEM)),
        ("hidden_act", json!("relu")),
        ("downsample_in_first_stage", json!(false)),
        ("downsample_in_bottleneck", json!(false)),
    ];
    for (key, supported) in plain {
        if let Some(value) = given(key).filter(|value| **value != supported) {
            return refused(key, format!("{value} is not supported; {supported} is"));
        }
    }
    let kind = match given("layer_type").map_or(Some("bottleneck"), Value::as_str) {
        Some("basic") => Kind::Basic,
        Some("bottleneck") => Kind::Bottleneck,
        _ => return refused("layer_type", "must be `basic` or `bottleneck`".to_owned()),
    };
    let list = |key: &str, usual: [i64; 4], most: i64| match given(key) {
        None => Ok(usual.to_vec()),
        Some(value) => sizes(value, most).ok_or_else(|| Error::request("must be a list of 1 to 4 sizes").key(key)),
    };
    let depths = list("depths", [3, 4, 6, 3], MOST_BLOCKS)?;
    let widths = list("hidden_sizes", [256, 512, 1024, 2048], MOST_CHANNELS)?;
    if let Some(width) = widths.iter().find(|width| **width % kind.expansion() != 0) {
        return refused("hidden_sizes", format!("{width} cannot be divided by {}", kind.expansion()));
    }
    Architecture::resnet(kind, depths, widths.iter().map(|width| width / kind.expansion()).collect())
}

/// From the names and shapes of tensors alone.
fn of_weights(weights: &Weights) -> Result<Architecture> {
    let unknown = || {
        Error::request("the tensors' names are not those of a supported network")
            .hint(format!("supported: {}; or put the model's config.json beside the weights", listed(names())))
    };
    if matches!(Naming::of(weights), Naming::Transformers { .. }) {
        return Err(
            Error::request("there is no config.json beside the weights").hint("transformers' models need theirs")
        );
    }
    let count = |has: &dyn Fn(usize) -> bool| (0..MOST_BLOCKS as usize).take_while(|&index| has(index)).count();
    if weights.has("Conv2d_1a_3x3.conv.weight") {
        return Architecture::named("inception_v3", &Map::new());
    }
    if weights.has("features.0.weight") {
        let convolutions: i64 = weights
            .names()
            .filter(|name| name.starts_with("features.") && weights.shape(name).is_some_and(|shape| shape.len() == 4))
            .count() as i64;
        let (name, _) =
            vgg::NAMED.iter().find(|(_, groups)| groups.iter().sum::<i64>() == convolutions).ok_or_else(unknown)?;
        let norm = if weights.has("features.1.running_mean") { "_bn" } else { "" };
        return Architecture::named(&format!("{name}{norm}"), &Map::new());
    }
    let layers: Vec<i64> = (1..=MOST_LAYERS)
        .map(|layer| count(&|block| weights.has(&format!("layer{layer}.{block}.conv1.weight"))) as i64)
        .take_while(|&blocks| blocks > 0)
        .collect();
    let channels: Option<Vec<i64>> = (1..=layers.len())
        .map(|layer| weights.shape(&format!("layer{layer}.0.conv1.weight"))?.first().map(|&size| size as i64))
        .collect();
    let kind = if weights.has("layer1.0.conv3.weight") { Kind::Bottleneck } else { Kind::Basic };
    match channels {
        Some(channels) if !layers.is_empty() => Architecture::resnet(kind, layers, channels),
        _ => Err(unknown()),
    }
}
