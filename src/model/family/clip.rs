//! CLIP's vision tower (Radford et al. 2021), in transformers' layout; the text tower of a whole CLIP is not used.
//! timm's checkpoints are brought into this layout first (`timm_vit/`).
//!
//! transformers' classifier reads the mean over the patches, before the norm that follows the last layer. That norm was
//! trained on the class token, and so was what a CLIP knows of a whole image: a new head on a CLIP without a classifier
//! reads the normalised class token.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::interface::{Export, Family, HeadLayers, HeadSpec, LayerName, Leftovers, Parts, SavedModel};
use super::timm_vit::{self, Layout};
use super::transformers::{mean_pooled_type, set_python_classes};
use super::vision_transformer::{Extent, VisionSettings, cropped, saved, settings, stored_pooling};
use crate::data::Modality;
use crate::error::{Error, Result};
use crate::image::Preprocessing;
use crate::model::activation::Activation;
use crate::model::builder::{INITIAL_STD, NetworkWeights};
use crate::model::checkpoint::Checkpoint;
use crate::model::encoder::{ConfigKeys, EmbeddingNames, Encoder, EncoderConfig, Names};
use crate::model::pass::Pooling;
use crate::model::request::{InputSpec, LoadRequest};

/// See the [module](self).
pub struct Clip;

/// `model_type` of a whole CLIP, and of a classifier.
const NAME: &str = "clip";
/// `model_type` of a vision tower alone.
const VISION: &str = "clip_vision_model";
/// Where the `config.json` of a whole CLIP has the settings of its vision tower.
const PART: &str = "vision_config";

const NAMES: Names = Names {
    embeddings: EmbeddingNames::Patches {
        class: "embeddings.class_embedding",
        position: "embeddings.position_embedding.weight",
        projection: "embeddings.patch_embedding",
        registers: None,
        mask: None,
        norm: Some("pre_layrnorm"),
        flat: true,
    },
    query: "encoder.layers.{}.self_attn.q_proj",
    key: "encoder.layers.{}.self_attn.k_proj",
    value: "encoder.layers.{}.self_attn.v_proj",
    attention_output: "encoder.layers.{}.self_attn.out_proj",
    attention_norm: "encoder.layers.{}.layer_norm1",
    inner: "encoder.layers.{}.mlp.fc1",
    output: "encoder.layers.{}.mlp.fc2",
    output_norm: "encoder.layers.{}.layer_norm2",
    final_norm: Some("post_layernorm"),
    ..Names::of_bert("vision_model.")
};

/// The settings of the vision tower that matter here; defaults as in transformers' `CLIPVisionConfig`.
#[derive(Deserialize)]
#[serde(default)]
struct ClipConfig {
    hidden_size: i64,
    intermediate_size: i64,
    num_hidden_layers: i64,
    num_attention_heads: i64,
    num_channels: i64,
    image_size: Extent,
    patch_size: Extent,
    hidden_act: Activation,
    layer_norm_eps: f64,
    attention_dropout: f64,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: Extent::Square(224),
            patch_size: Extent::Square(32),
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            attention_dropout: 0.0,
        }
    }
}

const MATCHING: &str = "use the config.json that belongs to these weights, of a CLIP";

/// Mean and standard deviation of CLIP's images, by channel.
const IMAGES: [[f32; 3]; 2] = [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1]];

/// What a model carries whose head reads the class token, so that Python loads it (`trust_remote_code=True`).
const PYTHON_MODULE: [(&str, &str); 2] = [
    ("configuration_rehead_clip.py", include_str!("python/configuration_rehead_clip.py")),
    ("modeling_rehead_clip.py", include_str!("python/modeling_rehead_clip.py")),
];

/// How the names of parts begin that classification does not use.
const OTHER_PARTS: [&str; 7] = [
    "classifier.",
    "head.",
    "text_model.",
    "text_projection.",
    "visual_projection.",
    "logit_scale",
    "vision_model.head.",
];

/// Reads the settings of a vision tower, which the object `config` of `file` has. `antialias` is as in
/// [`EmbeddingsConfig::Patches`].
///
/// [`EmbeddingsConfig::Patches`]: crate::model::encoder::EmbeddingsConfig::Patches
///
/// # Errors
/// A mistyped or impossible setting.
fn read_config(config: &Value, file: &Path, antialias: bool) -> Result<(EncoderConfig, [i64; 2])> {
    let config: ClipConfig = settings(config, file, MATCHING)?;
    let vision = VisionSettings {
        family: NAME,
        image: config.image_size,
        patch: config.patch_size,
        channels: config.num_channels,
        width: config.hidden_size,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        qkv_bias: true,
        inner: config.intermediate_size,
        activation: config.hidden_act,
        gated: false,
        epsilon: config.layer_norm_eps,
        hidden_dropout: 0.0,
        attention_dropout: config.attention_dropout,
        antialias,
        registers: 0,
        class_position: true,
        projection_bias: false,
        pooled_norm: Some(Pooling::Cls),
    };
    let keys = ConfigKeys { attention_dropout: "attention_dropout", ..ConfigKeys::TRANSFORMERS };
    vision.encoder(file, &keys, MATCHING)
}

/// The `config.json` of a whole CLIP around that of a vision tower; itself where it is whole.
fn whole(config: &Value) -> Result<Value> {
    if config.get("model_type").is_some_and(|given| given == VISION) {
        let mut map = Map::from_iter([("model_type".to_owned(), json!(NAME))]);
        map.extend(config.get("id2label").map(|names| ("id2label".to_owned(), names.clone())));
        map.insert(PART.to_owned(), config.clone());
        return Ok(Value::Object(map));
    }
    match config.get(PART) {
        Some(part) if part.is_object() => Ok(config.clone()),
        _ => Err(Error::request("must be an object with the settings of the vision tower").key(PART).hint(MATCHING)),
    }
}

impl Family for Clip {
    fn name(&self) -> &'static str {
        NAME
    }

    fn modality(&self) -> Modality {
        Modality::Image
    }

    fn recognises(&self, config: &Value) -> bool {
        match config.get("model_type").and_then(Value::as_str) {
            Some(given) => given == NAME || given == VISION || given == mean_pooled_type(NAME),
            None => timm_vit::layout(config) == Some(Layout::Clip),
        }
    }

    /// OpenAI's weights.
    fn pretrained_id(&self, architecture: &str) -> Option<String> {
        timm_vit::pretrained_id(Layout::Clip, architecture)
    }

    fn load(&self, checkpoint: &mut Checkpoint, request: &LoadRequest) -> Result<Parts> {
        let preprocessing = Preprocessing::of_directory(&checkpoint.directory)?;
        let from_timm = timm_vit::layout(&checkpoint.config).is_some();
        if from_timm {
            timm_vit::convert(checkpoint, Layout::Clip)?;
        }
        let file = checkpoint.config_file();
        checkpoint.config = whole(&checkpoint.config).map_err(|error| error.file(&file))?;
        let tower = checkpoint.config.get(PART).unwrap_or(&Value::Null);
        let (mut config, image) = read_config(tower, &file, from_timm)?;
        config.set_dropout(request.dropout());
        let weights = NetworkWeights::Checkpoint(&checkpoint.weights);
        let encoder = Encoder::load(config, &NAMES, weights, request.weight_dtype)?;
        let has_classifier = checkpoint.weights.has("classifier.weight");
        let usual = if has_classifier && !from_timm { Pooling::Mean } else { Pooling::Cls };
        let pooling = stored_pooling(&checkpoint.config, &file, NAME, usual)?;
        let head = || HeadLayers {
            hidden: None,
            dropout: 0.0,
            output: LayerName::same("classifier"),
            initial_std: INITIAL_STD,
        };
        Ok(Parts {
            backbone: Box::new(encoder),
            head: HeadSpec { pooling, first_token: Some(head()), mean: head(), joins: false },
            input: InputSpec::Image(preprocessing.unwrap_or_else(|| cropped(image, image[0].min(image[1]), IMAGES))),
            config: checkpoint.config.clone(),
            leftovers: Leftovers {
                network: "a CLIP of these settings".to_owned(),
                unused: OTHER_PARTS.map(str::to_owned).into(),
                ignored: &["position_ids"],
            },
        })
    }

    /// The preprocessing too, and for a model that reads the class token the Python module that loads it.
    fn export(&self, model: &SavedModel) -> Export {
        let (mut map, mut files) = saved(model, Some(PART));
        map.remove("rehead_pooling");
        if model.pooling == Pooling::Mean {
            map.insert("model_type".into(), NAME.into());
            map.insert("architectures".into(), json!(["CLIPForImageClassification"]));
        } else {
            map.insert("model_type".into(), mean_pooled_type(NAME).into());
            map.insert("rehead_pooling".into(), json!(model.pooling));
            set_python_classes(&mut map, "CLIP", "ImageClassification", "_clip");
            files.extend(PYTHON_MODULE.map(|(name, source)| (name.to_owned(), source.to_owned())));
        }
        Export { config: Value::Object(map), files }
    }
}
