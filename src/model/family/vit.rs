//! The Vision Transformer (Dosovitskiy et al. 2021), in transformers' layout. timm's checkpoints are brought into it
//! first (`timm_vit/`), and whatever a ViT came from, it is saved for transformers.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::interface::{Export, Family, FreshNetwork, HeadLayers, HeadSpec, LayerName, Leftovers, Parts, SavedModel};
use super::timm_vit::{self, Layout};
use super::transformers::{mean_pooled_type, set_python_classes};
use super::vision_transformer::{Extent, VisionSettings, saved, settings};
use crate::data::Modality;
use crate::error::{Error, Result};
use crate::image::{Interpolation, Preprocessing, Resize};
use crate::model::activation::Activation;
use crate::model::builder::{INITIAL_STD, NetworkWeights};
use crate::model::checkpoint::Checkpoint;
use crate::model::encoder::{ConfigKeys, EmbeddingNames, Encoder, EncoderConfig, Names};
use crate::model::pass::Pooling;
use crate::model::request::{InputSpec, LoadRequest};

/// See the [module](self).
pub struct Vit;

/// `model_type` in `config.json`, also of a DeiT without distillation.
const NAME: &str = "vit";

const NAMES: Names = Names {
    prefix: "vit.",
    embeddings: EmbeddingNames::Patches {
        class: "embeddings.cls_token",
        position: "embeddings.position_embeddings",
        projection: "embeddings.patch_embeddings.projection",
        registers: None,
        mask: None,
        norm: None,
        flat: false,
    },
    embedding_projection: None,
    distance_bias: None,
    relative: None,
    unread: None,
    global: None,
    qkv: None,
    interleaved: None,
    query: "encoder.layer.{}.attention.attention.query",
    key: "encoder.layer.{}.attention.attention.key",
    value: "encoder.layer.{}.attention.attention.value",
    attention_output: "encoder.layer.{}.attention.output.dense",
    attention_norm: "encoder.layer.{}.layernorm_before",
    inner: "encoder.layer.{}.intermediate.dense",
    gate: None,
    output: "encoder.layer.{}.output.dense",
    output_norm: "encoder.layer.{}.layernorm_after",
    layer_scale: None,
    final_norm: Some("layernorm"),
};

/// What transformers 5 calls the layers in memory, and some of its checkpoints in the file, and what they are called
/// here.
const MODERN: [(&str, &str); 6] = [
    ("attention.q_proj", "attention.attention.query"),
    ("attention.k_proj", "attention.attention.key"),
    ("attention.v_proj", "attention.attention.value"),
    ("attention.o_proj", "attention.output.dense"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
];

/// The name here of a tensor in transformers' layout, whatever version wrote it, with or without the prefix.
fn name_of(stored: &str) -> String {
    let bare = stored.strip_prefix(NAMES.prefix).unwrap_or(stored);
    if bare.starts_with("classifier.") {
        return bare.to_owned();
    }
    let Some((layer, rest)) = bare.strip_prefix("layers.").and_then(|rest| rest.split_once('.')) else {
        return format!("{}{bare}", NAMES.prefix);
    };
    let renamed = MODERN.iter().find_map(|(modern, name)| Some(format!("{name}{}", rest.strip_prefix(modern)?)));
    format!("{}encoder.layer.{layer}.{}", NAMES.prefix, renamed.as_deref().unwrap_or(rest))
}

/// The settings of `config.json` that matter here; defaults as in transformers' `ViTConfig`.
#[derive(Deserialize)]
#[serde(default)]
struct VitConfig {
    hidden_size: i64,
    num_hidden_layers: i64,
    num_attention_heads: i64,
    intermediate_size: i64,
    hidden_act: Activation,
    hidden_dropout_prob: f64,
    attention_probs_dropout_prob: f64,
    layer_norm_eps: f64,
    image_size: Extent,
    patch_size: Extent,
    num_channels: i64,
    qkv_bias: bool,
}

impl Default for VitConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: Activation::Gelu,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            layer_norm_eps: 1e-12,
            image_size: Extent::Square(224),
            patch_size: Extent::Square(16),
            num_channels: 3,
            qkv_bias: true,
        }
    }
}

/// What a mean-pooled model carries so that Python loads it (`trust_remote_code=True`).
const PYTHON_MODULE: [(&str, &str); 2] = [
    ("configuration_rehead_vit.py", include_str!("python/configuration_rehead_vit.py")),
    ("modeling_rehead_vit.py", include_str!("python/modeling_rehead_vit.py")),
];

/// How the names of heads and parts of other tasks begin, which are not used.
const OTHER_PARTS: [&str; 7] = [
    "classifier.",
    "head.",
    "pooler.",
    "vit.pooler.",
    "decoder.",
    "embeddings.mask_token",
    "vit.embeddings.mask_token",
];

const MATCHING: &str = "use the config.json that belongs to these weights, of a Vision Transformer";

/// Reads `config`, the `config.json` of a ViT, which messages call `file`: the encoder, and height and width of the
/// images that its positions are for. `antialias` is as in [`EmbeddingsConfig::Patches`].
///
/// [`EmbeddingsConfig::Patches`]: crate::model::encoder::EmbeddingsConfig::Patches
///
/// # Errors
/// A mistyped or impossible setting.
fn read_config(config: &Value, file: &Path, antialias: bool) -> Result<(EncoderConfig, [i64; 2])> {
    let config: VitConfig = settings(config, file, MATCHING)?;
    let settings = VisionSettings {
        family: NAME,
        image: config.image_size,
        patch: config.patch_size,
        channels: config.num_channels,
        width: config.hidden_size,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        qkv_bias: config.qkv_bias,
        inner: config.intermediate_size,
        activation: config.hidden_act,
        gated: false,
        epsilon: config.layer_norm_eps,
        hidden_dropout: config.hidden_dropout_prob,
        attention_dropout: config.attention_probs_dropout_prob,
        antialias,
        registers: 0,
        class_position: true,
        projection_bias: true,
        pooled_norm: None,
    };
    settings.encoder(file, &ConfigKeys::TRANSFORMERS, MATCHING)
}

impl Vit {
    /// All but what the weights' source decides: no dropout before the head, as transformers has it.
    fn parts(encoder: Encoder, preprocessing: Preprocessing, config: Value, pooling: Pooling) -> Parts {
        let head = || HeadLayers {
            hidden: None,
            dropout: 0.0,
            output: LayerName::same("classifier"),
            initial_std: INITIAL_STD,
        };
        let unused = OTHER_PARTS.map(str::to_owned).into();
        Parts {
            backbone: Box::new(encoder),
            head: HeadSpec { pooling, first_token: Some(head()), mean: head(), joins: false },
            input: InputSpec::Image(preprocessing),
            config,
            leftovers: Leftovers { network: "a plain ViT".to_owned(), unused, ignored: &[] },
        }
    }
}

impl Family for Vit {
    fn name(&self) -> &'static str {
        NAME
    }

    fn modality(&self) -> Modality {
        Modality::Image
    }

    fn recognises(&self, config: &Value) -> bool {
        match config.get("model_type").and_then(Value::as_str) {
            Some(given) => given == NAME || given == mean_pooled_type(NAME),
            None => timm_vit::layout(config) == Some(Layout::Vit),
        }
    }

    fn architectures(&self) -> Vec<String> {
        timm_vit::named(Layout::Vit).map(|(name, _)| name.to_owned()).collect()
    }

    fn makes(&self, architecture: &str) -> bool {
        timm_vit::layout_named(architecture) == Some(Layout::Vit)
    }

    /// Google's weights of ImageNet-21k, fine-tuned on ImageNet.
    fn pretrained_id(&self, architecture: &str) -> Option<String> {
        timm_vit::pretrained_id(Layout::Vit, architecture)
    }

    fn load(&self, checkpoint: &mut Checkpoint, request: &LoadRequest) -> Result<Parts> {
        let preprocessing = Preprocessing::of_directory(&checkpoint.directory)?;
        let from_timm = timm_vit::layout(&checkpoint.config).is_some();
        if from_timm {
            timm_vit::convert(checkpoint, Layout::Vit)?;
        } else {
            checkpoint.weights.rename(|stored| vec![name_of(stored)])?;
            refuse_distilled(checkpoint)?;
        }
        let (mut config, image) = read_config(&checkpoint.config, &checkpoint.config_file(), from_timm)?;
        config.set_dropout(request.dropout());
        let weights = NetworkWeights::Checkpoint(&checkpoint.weights);
        let encoder = Encoder::load(config, &NAMES, weights, request.weight_dtype)?;
        let mean_pooled =
            checkpoint.config.get("model_type").is_some_and(|given| *given == mean_pooled_type(NAME).as_str());
        let pooling = if mean_pooled { Pooling::Mean } else { Pooling::Cls };
        let preprocessing = preprocessing.unwrap_or_else(|| usual_preprocessing(image));
        Ok(Self::parts(encoder, preprocessing, checkpoint.config.clone(), pooling))
    }

    /// By timm's name for its sizes (`vit_small_patch16_224`).
    fn fresh(&self, network: &FreshNetwork, request: &LoadRequest) -> Result<Parts> {
        let config = timm_vit::fresh_config(Layout::Vit, network.architecture)?;
        let (mut sizes, image) = read_config(&config, Path::new(network.architecture), true)?;
        sizes.set_dropout(request.dropout());
        let weights = NetworkWeights::Random { seed: network.seed, device: request.device };
        let encoder = Encoder::load(sizes, &NAMES, weights, request.weight_dtype)?;
        let preprocessing = network.preprocessing.unwrap_or_else(|| usual_preprocessing(image));
        Ok(Self::parts(encoder, preprocessing, config, Pooling::Cls))
    }

    /// The preprocessing too, and for a mean-pooled model the Python module that loads it.
    fn export(&self, model: &SavedModel) -> Export {
        let (mut map, mut files) = saved(model, None);
        match model.pooling {
            Pooling::Cls | Pooling::ClsAndMean => {
                map.insert("model_type".into(), NAME.into());
                map.insert("architectures".into(), json!(["ViTForImageClassification"]));
            }
            Pooling::Mean => {
                map.insert("model_type".into(), mean_pooled_type(NAME).into());
                set_python_classes(&mut map, "ViT", "ImageClassification", "_vit");
                files.extend(PYTHON_MODULE.map(|(name, source)| (name.to_owned(), source.to_owned())));
            }
        }
        Export { config: Value::Object(map), files }
    }
}

/// The family's own for images of this height and width, as transformers' `ViTImageProcessor` has it.
fn usual_preprocessing(size: [i64; 2]) -> Preprocessing {
    let [height, width] = size.map(|side| side.clamp(1, 1 << 20) as u32);
    Preprocessing {
        resize: Resize::Exact { height, width },
        crop: (height, width),
        interpolation: Interpolation::Bilinear,
        mean: [0.5; 3],
        std: [0.5; 3],
    }
}

fn refuse_distilled(checkpoint: &Checkpoint) -> Result<()> {
    let name = "vit.embeddings.distillation_token";
    if !checkpoint.weights.has(name) {
        return Ok(());
    }
    Err(Error::request("a DeiT with a distillation token is not supported; one without is")
        .file(&checkpoint.directory)
        .key(name)
        .hint("use its variant without `distilled` in the name"))
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn every_version_of_transformers_names_the_same_tensors() {
        for (stored, name) in [
            ("vit.encoder.layer.3.attention.output.dense.bias", "vit.encoder.layer.3.attention.output.dense.bias"),
            ("encoder.layer.3.layernorm_before.weight", "vit.encoder.layer.3.layernorm_before.weight"),
            ("vit.layers.11.attention.q_proj.weight", "vit.encoder.layer.11.attention.attention.query.weight"),
            ("layers.0.mlp.fc2.bias", "vit.encoder.layer.0.output.dense.bias"),
            ("layers.0.layernorm_after.bias", "vit.encoder.layer.0.layernorm_after.bias"),
            ("embeddings.cls_token", "vit.embeddings.cls_token"),
            ("vit.layernorm.weight", "vit.layernorm.weight"),
            ("classifier.weight", "classifier.weight"),
            ("pooler.dense.weight", "vit.pooler.dense.weight"),
        ] {
            assert_eq!(name_of(stored), name);
        }
    }
}
