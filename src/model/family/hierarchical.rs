//! What ConvNeXt and Swin share: checkpoints of transformers and timm, timm's names, and files that transformers
//! loads. Each family only says which networks it has and what its settings and tensors mean ([`HierarchicalFamily`]).

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::convolutional::{Settings, refused_setting, unknown_network, unsupported_setting};
use super::interface::{Export, Family, FreshNetwork, HeadLayers, HeadSpec, LayerName, Leftovers, Parts, SavedModel};
use super::timm_vit;
use super::transformers::labelled_config;
use crate::data::Modality;
use crate::error::{Error, Result};
use crate::image::{Interpolation, Preprocessing};
use crate::model::builder::{INITIAL_STD, NetworkWeights};
use crate::model::checkpoint::Checkpoint;
use crate::model::hierarchical::{HierarchicalNet, HierarchySpec};
use crate::model::pass::Pooling;
use crate::model::request::{InputSpec, LoadRequest};

/// A family of hierarchical networks. What a checkpoint of timm's says is brought into transformers' layout first, and
/// whatever a network came from, it is saved for transformers.
pub struct HierarchicalFamily {
    /// Its `model_type`. All its networks' names in timm begin with it, and the names of tensors in transformers.
    pub name: &'static str,
    /// How transformers' classes of it begin.
    pub class: &'static str,
    /// Its networks, by timm's names, each with the tag of the weights that it stands for; `None` where nobody has
    /// trained any.
    pub networks: &'static [(&'static str, Option<&'static str>)],
    /// The `config.json` in transformers' layout of a network in [`networks`](Self::networks) with these settings of
    /// timm's `model_args`.
    pub of_timm: fn(network: &str, settings: &Settings) -> Result<Value>,
    /// transformers' names of a tensor of timm's, without the family's before them: one for most, those of its equal
    /// parts for a fused projection, none if it has none.
    pub timm_names: fn(stored: &str) -> Vec<String>,
    /// What transformers calls parts of a network in memory, and what it calls them in files.
    pub in_memory: &'static [(&'static str, &'static str)],
    /// The network that a `config.json` in transformers' layout describes.
    pub spec: fn(config: &Value) -> Result<HierarchySpec>,
}

const MATCHING: &str = "use the config.json that belongs to these weights";

/// One number for both directions, or rows and columns.
#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
pub enum Sides {
    /// The same.
    Square(i64),
    /// Rows, columns.
    Rectangle([i64; 2]),
}

impl Sides {
    /// The side of a square.
    ///
    /// # Errors
    /// It is none; `key` is the setting.
    pub fn square(self, key: &str) -> Result<i64> {
        match self {
            Self::Square(side) => Ok(side),
            Self::Rectangle([rows, columns]) if rows == columns => Ok(rows),
            Self::Rectangle([rows, columns]) => {
                Err(Error::request(format!("{rows}×{columns} is not supported; a square is")).key(key))
            }
        }
    }
}

/// The settings `C` of a `config.json`.
///
/// # Errors
/// One of another type, with its key.
pub fn settings_of<C: DeserializeOwned>(config: &Value) -> Result<C> {
    serde_path_to_error::deserialize(config)
        .map_err(|error| Error::request(error.inner().to_string()).key(error.path().to_string()))
}

/// That images have three channels.
///
/// # Errors
/// They have not.
pub fn check_channels(channels: i64) -> Result<()> {
    if channels == 3 {
        return Ok(());
    }
    Err(Error::request(format!("{channels} channels; images have three, red, green and blue")).key("num_channels"))
}

/// Whether a setting of `model_args` says nothing that matters to any of these families: it is seen from the weights,
/// is one of training, or stands at its default.
pub fn is_harmless(key: &str, value: &Value) -> bool {
    match key {
        "num_classes" | "drop_rate" | "img_size" | "head_init_scale" | "weight_init" => true,
        "in_chans" => value.as_i64() == Some(3),
        "global_pool" => value.as_str() == Some("avg"),
        _ => false,
    }
}

/// transformers' name of an activation that `act_layer` names.
///
/// # Errors
/// One that is not supported.
pub fn activation_of(value: &Value) -> Result<&'static str> {
    match value.as_str() {
        Some("gelu") => Ok("gelu"),
        Some("gelu_tanh") => Ok("gelu_new"),
        Some("relu") => Ok("relu"),
        Some("silu" | "swish") => Ok("silu"),
        _ => Err(refused_setting("act_layer", value, "this activation is not supported")),
    }
}

/// A list of positive whole numbers.
///
/// # Errors
/// It is something else.
pub fn sizes_of(key: &str, value: &Value) -> Result<Vec<i64>> {
    let numbers = value.as_array().map(|list| list.iter().map(Value::as_i64).collect::<Option<Vec<_>>>());
    let numbers = numbers.flatten().filter(|list| list.iter().all(|size| (1..=1 << 20).contains(size)));
    numbers.ok_or_else(|| refused_setting(key, value, "must be a list of whole numbers above 0"))
}

/// A setting that only has this value here.
///
/// # Errors
/// It has another.
pub fn only(key: &str, value: &Value, supported: &Value) -> Result<()> {
    if value == supported {
        return Ok(());
    }
    Err(refused_setting(key, value, "is not supported").hint(format!("supported is {supported}")))
}

impl HierarchicalFamily {
    fn known(&self) -> Vec<String> {
        self.networks.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    /// The `config.json` in transformers' layout of timm's network `name` (a tag after a point is ignored).
    fn config_of_timm(&self, name: &str, settings: &Settings) -> Result<Value> {
        let name = name.split('.').next().unwrap_or(name);
        if !self.networks.iter().any(|(known, _)| *known == name) {
            return Err(unknown_network(name, &self.known()));
        }
        (self.of_timm)(name, settings)
    }

    /// Brings configuration and names of a timm checkpoint into transformers' layout.
    fn convert(&self, checkpoint: &mut Checkpoint, name: &str) -> Result<()> {
        let given = &checkpoint.config;
        let settings = match given.get("model_args") {
            None | Some(Value::Null) => Settings::new(),
            Some(Value::Object(settings)) => settings.clone(),
            Some(_) => return Err(Error::request("must be an object").key("model_args")),
        };
        if let Some(pooling) = given.get("global_pool").filter(|pooling| !matches!(pooling.as_str(), Some("avg"))) {
            return Err(unsupported_setting("global_pool", pooling));
        }
        let mut config = self.config_of_timm(name, &settings)?;
        if let Value::Object(config) = &mut config {
            config.extend(timm_vit::id2label(given).map(|labels| ("id2label".to_owned(), labels)));
        }
        checkpoint.weights.rename(|stored| {
            let names = (self.timm_names)(stored);
            let full = |name: String| match name.starts_with("classifier.") {
                true => name,
                false => format!("{}.{name}", self.name),
            };
            if names.is_empty() { vec![stored.to_owned()] } else { names.into_iter().map(full).collect() }
        })?;
        checkpoint.config = config;
        Ok(())
    }

    /// The name that transformers' files have, with the family's before it, which a backbone alone is stored without.
    fn stored_name(&self, given: &str) -> String {
        let within = ["embeddings.", "encoder.", "layernorm."].iter().any(|part| given.starts_with(part));
        let name = if within { format!("{}.{given}", self.name) } else { given.to_owned() };
        self.in_memory.iter().fold(name, |name, (memory, file)| name.replace(memory, file))
    }

    /// All but what the weights' source decides.
    fn parts(&self, network: HierarchicalNet, preprocessing: Option<Preprocessing>, config: Value) -> Parts {
        let side = config.get("image_size").and_then(Value::as_u64).and_then(|side| u32::try_from(side).ok());
        let imagenet = Preprocessing::imagenet(side.unwrap_or(224).clamp(1, 1 << 14));
        let usual = || Preprocessing { interpolation: Interpolation::Bicubic, ..imagenet };
        let output = LayerName::same("classifier");
        Parts {
            backbone: Box::new(network),
            head: HeadSpec {
                pooling: Pooling::Mean,
                first_token: None,
                joins: false,
                mean: HeadLayers { hidden: None, dropout: 0.0, output, initial_std: INITIAL_STD },
            },
            input: InputSpec::Image(preprocessing.unwrap_or_else(usual)),
            config,
            leftovers: Leftovers {
                network: format!("this `{}`", self.name),
                unused: vec![
                    "classifier.".to_owned(),
                    "decoder.".to_owned(),
                    format!("{}.embeddings.mask_token", self.name),
                ],
                ignored: &[".relative_position_index", ".attn_mask"],
            },
        }
    }
}

impl Family for HierarchicalFamily {
    fn name(&self) -> &'static str {
        self.name
    }

    fn modality(&self) -> Modality {
        Modality::Image
    }

    fn recognises(&self, config: &Value) -> bool {
        match timm_vit::architecture(config) {
            Some(name) => self.makes(name),
            None => config.get("model_type").is_some_and(|given| given == self.name),
        }
    }

    fn architectures(&self) -> Vec<String> {
        self.known()
    }

    /// A family's second version has another word before the line.
    fn makes(&self, architecture: &str) -> bool {
        architecture.strip_prefix(self.name).is_some_and(|rest| rest.starts_with('_'))
    }

    fn pretrained_id(&self, architecture: &str) -> Option<String> {
        let (name, tag) = self.networks.iter().find(|(name, _)| *name == architecture)?;
        tag.map(|tag| format!("timm/{name}.{tag}"))
    }

    fn load(&self, checkpoint: &mut Checkpoint, request: &LoadRequest) -> Result<Parts> {
        let file = checkpoint.config_file();
        let at = |error: Error| error.file(&file).fallback_hint(MATCHING);
        let preprocessing = Preprocessing::of_directory(&checkpoint.directory)?;
        match timm_vit::architecture(&checkpoint.config).map(str::to_owned) {
            Some(name) => self.convert(checkpoint, &name).map_err(at)?,
            None => checkpoint.weights.rename(|stored| vec![self.stored_name(stored)])?,
        }
        let mut spec = (self.spec)(&checkpoint.config).map_err(at)?;
        spec.set_dropout(request.dropout());
        let weights = NetworkWeights::Checkpoint(&checkpoint.weights);
        let network = HierarchicalNet::build(spec, weights, request.weight_dtype)?;
        Ok(self.parts(network, preprocessing, checkpoint.config.clone()))
    }

    /// By timm's name.
    fn fresh(&self, network: &FreshNetwork, request: &LoadRequest) -> Result<Parts> {
        let config = self.config_of_timm(network.architecture, network.arguments)?;
        let mut spec = (self.spec)(&config).map_err(|error| error.file(Path::new(network.architecture)))?;
        spec.set_dropout(request.dropout());
        let weights = NetworkWeights::Random { seed: network.seed, device: request.device };
        let built = HierarchicalNet::build(spec, weights, request.weight_dtype)?;
        Ok(self.parts(built, network.preprocessing, config))
    }

    /// transformers' `config.json` and the preprocessing.
    fn export(&self, model: &SavedModel) -> Export {
        let mut map = labelled_config(model);
        map.insert("model_type".into(), self.name.into());
        map.insert("architectures".into(), json!([format!("{}ForImageClassification", self.class)]));
        let mut files = Vec::new();
        if let InputSpec::Image(preprocessing) = model.input {
            let (height, width) = preprocessing.crop;
            map.insert("image_size".into(), if height == width { json!(height) } else { json!([height, width]) });
            files.push(("preprocessor_config.json".to_owned(), format!("{:#}\n", preprocessing.to_transformers())));
        }
        Export { config: Value::Object(map), files }
    }
}
