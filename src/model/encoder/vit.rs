//! The Vision Transformer (Dosovitskiy et al. 2021) as a packed encoder: how its `config.json` reads, and what its tensors are
//! called, in transformers' layout. timm's checkpoints are brought into it first (`model/vit/timm.rs`).
//! Also what rehead writes itself: a mean-pooled ViT, of type `rehead_vit`.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::patches::grid_of;
use super::{Activation, EmbeddingNames, EncoderConfig, Names, Reads};
use crate::error::{Error, Result};

/// `config.json`'s `model_type` of a ViT (also of a DeiT without distillation), and of the mean-pooled ViT that rehead writes.
pub const MODEL_TYPES: [&str; 2] = ["vit", "rehead_vit"];

pub const NAMES: Names = Names {
    prefix: "vit.",
    embeddings: EmbeddingNames::Patches {
        class: "embeddings.cls_token",
        position: "embeddings.position_embeddings",
        projection: "embeddings.patch_embeddings.projection",
    },
    query: "encoder.layer.{}.attention.attention.query",
    key: "encoder.layer.{}.attention.attention.key",
    value: "encoder.layer.{}.attention.attention.value",
    attention_output: "encoder.layer.{}.attention.output.dense",
    attention_norm: "encoder.layer.{}.layernorm_before",
    intermediate: "encoder.layer.{}.intermediate.dense",
    output: "encoder.layer.{}.output.dense",
    output_norm: "encoder.layer.{}.layernorm_after",
    final_norm: Some("layernorm"),
};

/// What transformers 5 calls the layers in memory, and some of its checkpoints in the file, and what they are called here.
const MODERN: [(&str, &str); 6] = [
    ("attention.q_proj", "attention.attention.query"),
    ("attention.k_proj", "attention.attention.key"),
    ("attention.v_proj", "attention.attention.value"),
    ("attention.o_proj", "attention.output.dense"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
];

/// The name here of a tensor in transformers' layout, whatever version wrote it, with or without the prefix.
pub fn name_of(stored: &str) -> String {
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

/// One number for both directions, or rows and columns.
#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
enum Extent {
    Square(i64),
    Rectangle([i64; 2]),
}

impl Extent {
    fn both(self) -> [i64; 2] {
        match self {
            Self::Square(side) => [side; 2],
            Self::Rectangle(both) => both,
        }
    }
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

const MATCHING: &str = "take the config.json that belongs to these weights, of a Vision Transformer";

/// Reads `config`, the `config.json` of a ViT, for messages called `file`: the encoder, and height and width of the images that its positions are for.
/// `antialias` is as in [`Reads::Patches`].
///
/// # Errors
/// A mistyped or impossible setting.
pub fn config(config: &Value, file: &Path, antialias: bool) -> Result<(EncoderConfig, [i64; 2])> {
    let config: VitConfig = serde_path_to_error::deserialize(config).map_err(|error| {
        Error::request(error.inner().to_string()).file(file).key(error.path().to_string()).hint(MATCHING)
    })?;
    let refuse = |key: &str, message: String| Err(Error::request(message).file(file).key(key).hint(MATCHING));
    let (image, patch) = (config.image_size.both(), config.patch_size.both());
    let sizes =
        [("image_size", image[0]), ("image_size", image[1]), ("patch_size", patch[0]), ("patch_size", patch[1])];
    if let Some((key, size)) = sizes.into_iter().find(|(_, size)| !(1..=1 << 20).contains(size)) {
        return refuse(key, format!("{size} is not a possible size"));
    }
    if config.num_channels != 3 {
        return refuse(
            "num_channels",
            format!("{} channels; images have three, red, green and blue", config.num_channels),
        );
    }
    let grid = grid_of(image, patch).map_err(|error| error.file(file).key("image_size"))?;
    let encoder = EncoderConfig {
        family: "vit".to_owned(),
        reads: Reads::Patches { patch, grid, antialias },
        width: config.hidden_size,
        layers: config.num_hidden_layers as usize,
        heads: config.num_attention_heads,
        intermediate: config.intermediate_size,
        activation: config.hidden_act,
        layer_norm_epsilon: config.layer_norm_eps,
        hidden_dropout: config.hidden_dropout_prob,
        attention_dropout: config.attention_probs_dropout_prob,
        projection_bias: config.qkv_bias,
        pre_norm: true,
    };
    Ok((encoder.checked(file, MATCHING)?, image))
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
