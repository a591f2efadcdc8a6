//! timm's Vision Transformers in transformers' layout: the same network under other names, with its query, key and
//! value projections in one. Only plain ones: a class token, learnt positions, norms before each block and one at the
//! end.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::model::checkpoint::{Checkpoint, Weights};

/// timm's layer norms' epsilon; its `config.json` does not say it.
const EPSILON: f64 = 1e-6;
/// Columns of an attention head, of all the sizes in [`SIZES`].
const HEAD: i64 = 64;
/// Networks whose trained weights are on the hub.
pub const NAMED: [&str; 5] = [
    "vit_tiny_patch16_224",
    "vit_small_patch16_224",
    "vit_small_patch32_224",
    "vit_base_patch16_224",
    "vit_base_patch32_224",
];
/// What timm's names call a width.
const SIZES: [(&str, i64); 3] = [("tiny", 192), ("small", 384), ("base", 768)];

const SUPPORTED: &str = "supported are plain ones with a class token, as vit_small_patch16_224 and \
     deit_small_patch16_224 are; \
     train on one of those";

/// Parts of other members of the family, by what is in their tensors' names.
const FOREIGN: [(&str, &str); 9] = [
    ("reg_token", "register tokens"),
    ("dist_token", "a distillation token"),
    (".q_norm.", "norms of queries and keys"),
    (".ls1.", "layer scale"),
    ("norm_pre.", "a norm before the layers"),
    ("fc_norm.", "a norm after the pooling"),
    ("attn_pool.", "attention pooling"),
    (".attn.norm.", "a norm within attention"),
    (".mlp.norm.", "a norm within the feed-forward block"),
];

/// What of `model_args` is seen from the weights, or changes nothing in evaluation.
const HARMLESS: [&str; 12] = [
    "img_size",
    "patch_size",
    "num_classes",
    "embed_dim",
    "depth",
    "mlp_ratio",
    "qkv_bias",
    "drop_rate",
    "drop_path_rate",
    "patch_drop_rate",
    "dynamic_img_size",
    "weight_init",
];

/// The architecture that a timm `config.json` names, without the tag of its weights.
pub fn architecture(config: &Value) -> Option<&str> {
    config.get("architecture")?.as_str()?.split('.').next()
}

/// Whether this is the `config.json` of one of timm's ViTs, or of its relatives under the same prefixes.
pub fn recognises(config: &Value) -> bool {
    config.get("model_type").is_none()
        && architecture(config)
            .is_some_and(|name| ["vit_", "deit_", "deit3_"].iter().any(|part| name.starts_with(part)))
}

/// Sizes in a name such as `vit_small_patch16_224`: width, pixels of a patch's side and of an image's.
fn sizes_named(name: &str) -> Option<[i64; 3]> {
    let rest = name.strip_prefix("vit_").or_else(|| name.strip_prefix("deit_"))?;
    let (size, rest) = rest.split_once("_patch")?;
    let (patch, image) = rest.split_once('_')?;
    let width = SIZES.into_iter().find_map(|(word, width)| (word == size).then_some(width))?;
    let side = |text: &str| text.parse().ok().filter(|side| (1..=8192).contains(side));
    Some([width, side(patch)?, side(image)?])
}

/// The `config.json` of a ViT of timm's name whose weights are yet to be drawn.
///
/// # Errors
/// The name is none of a plain ViT.
pub fn fresh_config(name: &str) -> Result<Value> {
    let Some([width, patch, image]) = sizes_named(name).filter(|[_, patch, image]| patch <= image) else {
        return Err(Error::request(format!("`{name}` is not a Vision Transformer that can be made"))
            .hint("vit_tiny_patch16_224, vit_small_patch16_224 and vit_base_patch16_224 can"));
    };
    Ok(json!({
        "model_type": "vit",
        "hidden_size": width,
        "num_hidden_layers": 12,
        "num_attention_heads": width / HEAD,
        "intermediate_size": 4 * width,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "layer_norm_eps": EPSILON,
        "image_size": image,
        "patch_size": patch,
        "num_channels": 3,
        "qkv_bias": true,
    }))
}

/// Brings configuration and names of a timm checkpoint into transformers' layout.
///
/// # Errors
/// It is no plain ViT.
pub fn convert(checkpoint: &mut Checkpoint) -> Result<()> {
    refuse_foreign(checkpoint)?;
    let config = converted_config(checkpoint)?;
    checkpoint.weights.rename(names_of)?;
    checkpoint.config = config;
    Ok(())
}

fn refuse_foreign(checkpoint: &Checkpoint) -> Result<()> {
    let name = architecture(&checkpoint.config).unwrap_or_default();
    let refused = |key: &str, what: &str| {
        Err(Error::request(format!("`{name}` has {what}, which is not supported"))
            .file(&checkpoint.directory)
            .key(key)
            .hint(SUPPORTED))
    };
    let mut names: Vec<&str> = checkpoint.weights.names().collect();
    names.sort_unstable();
    for (part, what) in FOREIGN {
        if let Some(found) = names.iter().find(|name| name.contains(part)) {
            return refused(found, what);
        }
    }
    if !checkpoint.weights.has("cls_token") {
        return refused("cls_token", "no class token");
    }
    match checkpoint.config.get("global_pool").and_then(Value::as_str) {
        None | Some("token") => Ok(()),
        Some(other) => refused("global_pool", &format!("pooling `{other}`")),
    }
}

fn converted_config(checkpoint: &Checkpoint) -> Result<Value> {
    let Checkpoint { config, weights, .. } = checkpoint;
    let refused =
        |key: &str, message: String| Error::request(message).file(checkpoint.config_file()).key(key).hint(SUPPORTED);
    let no_arguments = Map::new();
    let arguments = config.get("model_args").and_then(Value::as_object).unwrap_or(&no_arguments);
    let mut activation = "gelu";
    let mut heads = None;
    let mut dropouts = [0.0; 2];
    for (key, value) in arguments {
        let unknown = || refused("model_args", format!("`{key}`: {value} is not supported"));
        let number = || value.as_f64().ok_or_else(unknown);
        match key.as_str() {
            "num_heads" => heads = Some(value.as_i64().ok_or_else(unknown)?),
            "act_layer" => {
                activation = match value.as_str() {
                    Some("gelu") => "gelu",
                    Some("gelu_tanh") => "gelu_new",
                    Some("relu") => "relu",
                    Some("silu" | "swish") => "silu",
                    _ => return Err(unknown()),
                }
            }
            "proj_drop_rate" => dropouts[0] = number()?,
            "attn_drop_rate" => dropouts[1] = number()?,
            // Beside that of the layers transformers has none for the positions.
            "pos_drop_rate" if number()? == 0.0 => {}
            "class_token" if value == &Value::Bool(true) => {}
            "global_pool" if value == "token" => {}
            "in_chans" if value == &Value::from(3) => {}
            known if HARMLESS.contains(&known) => {}
            _ => return Err(unknown()),
        }
    }

    let [width, _, tall, wide] = shape(weights, "patch_embed.proj.weight")?;
    let [_, positions, _] = shape(weights, "pos_embed")?;
    let [inner, _] = shape(weights, "blocks.0.mlp.fc1.weight")?;
    let layers = (0..).take_while(|index| weights.has(&format!("blocks.{index}.norm1.weight"))).count();
    let name = architecture(config).unwrap_or_default();
    // Other names have parts that are not to be seen from their weights: other heads, other norms.
    let heads = match (heads, sizes_named(name.trim_end_matches("_miil"))) {
        (Some(heads), Some(_)) => heads,
        (None, Some([named, ..])) if named == width => width / HEAD,
        _ => return Err(refused("architecture", format!("`{name}` is not supported"))),
    };
    let fits = |size: &[i64; 2]| (size[0] / tall.max(1)) * (size[1] / wide.max(1)) + 1 == positions;
    let side = (positions - 1).max(0).isqrt();
    let image = input_size(config).filter(fits).or_else(|| Some([side * tall, side * wide]).filter(fits));
    let image = image.ok_or_else(|| refused("pos_embed", format!("{positions} positions do not form a square")))?;

    let mut converted = json!({
        "model_type": "vit",
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "hidden_act": activation,
        "hidden_dropout_prob": dropouts[0],
        "attention_probs_dropout_prob": dropouts[1],
        "initializer_range": 0.02,
        "layer_norm_eps": EPSILON,
        "image_size": image,
        "patch_size": if tall == wide { json!(tall) } else { json!([tall, wide]) },
        "num_channels": 3,
        "qkv_bias": weights.has("blocks.0.attn.qkv.bias"),
    });
    if let (Some(labels), Value::Object(converted)) = (id2label(config), &mut converted) {
        converted.insert("id2label".to_owned(), labels);
    }
    Ok(converted)
}

/// The class names of a timm `config.json` as transformers has them.
pub fn id2label(config: &Value) -> Option<Value> {
    let names = config.get("label_names").or_else(|| config.get("pretrained_cfg")?.get("label_names"))?.as_array()?;
    Some(names.iter().enumerate().map(|(index, name)| (index.to_string(), name.clone())).collect())
}

fn shape<const DIMENSIONS: usize>(weights: &Weights, name: &str) -> Result<[i64; DIMENSIONS]> {
    let found = weights.shape(name).unwrap_or_default();
    let sizes: Vec<i64> = found.iter().map(|&size| size as i64).collect();
    sizes
        .try_into()
        .map_err(|_| Error::request(format!("a ViT has no weights of shape {found:?} here")).key(name).hint(SUPPORTED))
}

/// The names here of a timm tensor; of a fused projection those of its parts.
fn names_of(stored: &str) -> Vec<String> {
    let one = |name: &str| vec![format!("vit.{name}")];
    if let Some((layer, rest)) = stored.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')) {
        let within = |name: &str| format!("vit.encoder.layer.{layer}.{name}");
        let (module, kind) = rest.rsplit_once('.').unwrap_or((rest, ""));
        return match module {
            "attn.qkv" => {
                ["query", "key", "value"].map(|part| within(&format!("attention.attention.{part}.{kind}"))).to_vec()
            }
            "attn.proj" => vec![within(&format!("attention.output.dense.{kind}"))],
            "norm1" => vec![within(&format!("layernorm_before.{kind}"))],
            "norm2" => vec![within(&format!("layernorm_after.{kind}"))],
            "mlp.fc1" => vec![within(&format!("intermediate.dense.{kind}"))],
            "mlp.fc2" => vec![within(&format!("output.dense.{kind}"))],
            _ => vec![stored.to_owned()],
        };
    }
    match stored {
        "cls_token" => one("embeddings.cls_token"),
        "pos_embed" => one("embeddings.position_embeddings"),
        "patch_embed.proj.weight" => one("embeddings.patch_embeddings.projection.weight"),
        "patch_embed.proj.bias" => one("embeddings.patch_embeddings.projection.bias"),
        "norm.weight" => one("layernorm.weight"),
        "norm.bias" => one("layernorm.bias"),
        "head.weight" => vec!["classifier.weight".to_owned()],
        "head.bias" => vec!["classifier.bias".to_owned()],
        _ => vec![stored.to_owned()],
    }
}

/// Height and width of the images that a timm model of this `config.json` sees.
fn input_size(config: &Value) -> Option<[i64; 2]> {
    if let Some(size) = config.get("model_args").and_then(|arguments| arguments.get("img_size")) {
        let side = |index: usize| size.get(index).unwrap_or(size).as_i64();
        return Some([side(0)?, side(1)?]);
    }
    let size = config.get("pretrained_cfg")?.get("input_size")?;
    Some([size.get(1)?.as_i64()?, size.get(2)?.as_i64()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_sizes() {
        assert_eq!(sizes_named("vit_small_patch32_384"), Some([384, 32, 384]));
        assert_eq!(sizes_named("deit_tiny_patch16_224"), Some([192, 16, 224]));
        for other in ["vit_base_patch16_clip_224", "vit_small_patch16_18x2_224", "vit_base_patch16_rpn_224", "vit_base"]
        {
            assert_eq!(sizes_named(other), None, "{other}");
        }
        assert!(fresh_config("vit_small_patch16_0").is_err());
    }

    #[test]
    fn a_fused_projection_is_three() {
        let parts = names_of("blocks.7.attn.qkv.bias");
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[2], "vit.encoder.layer.7.attention.attention.value.bias");
    }
}
