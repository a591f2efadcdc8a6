//! A timm network's settings, from its `config.json` and the shapes of its tensors, as transformers' `config.json` has
//! them.

use serde_json::{Map, Value, json};

use super::named::{HEAD, Layout, SUPPORTED, architecture, layout_named, sizes_named};
use crate::error::{Error, Result};
use crate::model::checkpoint::{Checkpoint, Weights};

/// timm's layer norms' epsilon, which its `config.json` does not say; CLIP's is [`CLIP_EPSILON`].
const EPSILON: f64 = 1e-6;
const CLIP_EPSILON: f64 = 1e-5;

/// What of `model_args` is seen from the weights, or changes nothing in evaluation.
const HARMLESS: [&str; 15] = [
    "img_size",
    "patch_size",
    "num_classes",
    "embed_dim",
    "depth",
    "mlp_ratio",
    "qkv_bias",
    "init_values",
    "reg_tokens",
    "no_embed_class",
    "drop_rate",
    "drop_path_rate",
    "patch_drop_rate",
    "dynamic_img_size",
    "weight_init",
];

/// What there is to know of a network.
pub struct Found {
    pub width: i64,
    pub layers: i64,
    pub heads: i64,
    pub inner: i64,
    /// Whether the feed-forward block is gated (SwiGLU).
    pub gated: bool,
    pub activation: &'static str,
    /// Of the layers, of the attention weights.
    pub dropouts: [f64; 2],
    pub image: [i64; 2],
    pub patch: [i64; 2],
    pub qkv_bias: bool,
    pub registers: i64,
    pub epsilon: f64,
}

impl Found {
    /// Reads them from a checkpoint of timm's.
    ///
    /// # Errors
    /// Something that is not supported.
    pub fn of(checkpoint: &Checkpoint, layout: Layout) -> Result<Self> {
        let Checkpoint { config, weights, .. } = checkpoint;
        let refused = |key: &str, message: String| {
            Error::request(message).file(checkpoint.config_file()).key(key).hint(SUPPORTED)
        };
        let name = architecture(config).unwrap_or_default();
        let quick = layout == Layout::Clip && name.contains("quickgelu");
        let arguments = Arguments::of(config, if quick { "quick_gelu" } else { "gelu" })
            .map_err(|message| refused("model_args", message))?;

        let [width, _, tall, wide] = shape(weights, "patch_embed.proj.weight")?;
        let [_, positions, _] = shape(weights, "pos_embed")?;
        let [rows, _] = shape(weights, "blocks.0.mlp.fc1.weight")?;
        let [_, inner] = shape(weights, "blocks.0.mlp.fc2.weight")?;
        let layers = (0..).take_while(|index| weights.has(&format!("blocks.{index}.norm1.weight"))).count() as i64;
        // Other names have parts that are not to be seen from their weights: other heads, other norms.
        let heads = match (arguments.heads, sizes_named(name.trim_end_matches("_miil"))) {
            (Some(heads), Some(_)) => heads,
            (None, Some(sizes)) if sizes.width == width => width / HEAD,
            _ => return Err(refused("architecture", format!("`{name}` is not supported"))),
        };
        let registers = if weights.has("reg_token") { shape::<3>(weights, "reg_token")?[1] } else { 0 };
        let grid = |size: &[i64; 2]| (size[0] / tall.max(1)) * (size[1] / wide.max(1));
        // With or without one for the class token.
        let fits = |size: &[i64; 2]| [positions, positions - 1].contains(&grid(size));
        let squares =
            [positions - 1, positions].map(|count| count.max(0).isqrt()).map(|side| [side * tall, side * wide]);
        let image = input_size(config).filter(fits).or_else(|| squares.into_iter().find(fits));
        let image = image.ok_or_else(|| refused("pos_embed", format!("{positions} positions do not form a square")))?;
        if layout == Layout::Vit && grid(&image) == positions {
            return Err(refused("pos_embed", "no position of the class token, which is not supported".to_owned()));
        }
        Ok(Self {
            width,
            layers,
            heads,
            inner,
            gated: rows == 2 * inner,
            activation: arguments.activation,
            dropouts: arguments.dropouts,
            image,
            patch: [tall, wide],
            qkv_bias: weights.has("blocks.0.attn.qkv.bias"),
            registers,
            epsilon: if layout == Layout::Clip { CLIP_EPSILON } else { EPSILON },
        })
    }

    /// The `config.json` of transformers' layout.
    pub fn config(&self, layout: Layout) -> Value {
        let side = |[tall, wide]: [i64; 2]| if tall == wide { json!(tall) } else { json!([tall, wide]) };
        let mut config = json!({
            "hidden_size": self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "hidden_act": self.activation,
            "initializer_range": 0.02,
            "layer_norm_eps": self.epsilon,
            "image_size": side(self.image),
            "patch_size": side(self.patch),
            "num_channels": 3,
        });
        let ratio =
            if self.gated { gated_ratio(self.width, self.inner) } else { self.inner as f64 / self.width as f64 };
        let scaled = json!({
            "mlp_ratio": if ratio.fract() == 0.0 { json!(ratio as i64) } else { json!(ratio) },
            "use_swiglu_ffn": self.gated,
            "layerscale_value": 1e-5,
            "drop_path_rate": 0.0,
        });
        let further = match layout {
            Layout::Vit => json!({ "model_type": "vit", "intermediate_size": self.inner }),
            Layout::Dinov2 => json!({ "model_type": "dinov2", "use_mask_token": false }),
            Layout::Dinov2WithRegisters => {
                json!({ "model_type": "dinov2_with_registers", "num_register_tokens": self.registers })
            }
            Layout::Clip => {
                json!({ "model_type": "clip_vision_model", "intermediate_size": self.inner,
                        "attention_dropout": self.dropouts[1] })
            }
        };
        let bert_like = json!({
            "hidden_dropout_prob": self.dropouts[0],
            "attention_probs_dropout_prob": self.dropouts[1],
            "qkv_bias": self.qkv_bias,
        });
        let parts = match layout {
            Layout::Vit => vec![further, bert_like],
            Layout::Dinov2 | Layout::Dinov2WithRegisters => vec![further, bert_like, scaled],
            Layout::Clip => vec![further],
        };
        if let Value::Object(config) = &mut config {
            let parts = parts.iter().filter_map(Value::as_object).flatten();
            config.extend(parts.map(|(key, value)| (key.clone(), value.clone())));
        }
        config
    }
}

/// transformers' `mlp_ratio` of a gated block (`use_swiglu_ffn`): it takes two thirds of that, in eights.
fn gated_ratio(width: i64, inner: i64) -> f64 {
    (1..=64).find(|ratio| swiglu_width(width * ratio) == inner).unwrap_or(0) as f64
}

/// Values between the layers of a gated block where a plain one would have `plain`, as transformers has it.
pub fn swiglu_width(plain: i64) -> i64 {
    ((plain as f64 * 2.0 / 3.0) as i64 + 7) / 8 * 8
}

/// What `model_args` of a `config.json` say beyond what is seen from the weights.
struct Arguments {
    heads: Option<i64>,
    activation: &'static str,
    dropouts: [f64; 2],
}

impl Arguments {
    /// An argument that is not supported is the error's message.
    fn of(config: &Value, activation: &'static str) -> std::result::Result<Self, String> {
        let mut found = Self { heads: None, activation, dropouts: [0.0; 2] };
        let no_arguments = Map::new();
        let arguments = config.get("model_args").and_then(Value::as_object).unwrap_or(&no_arguments);
        for (key, value) in arguments {
            let unknown = || format!("`{key}`: {value} is not supported");
            let number = || value.as_f64().ok_or_else(unknown);
            match key.as_str() {
                "num_heads" => found.heads = Some(value.as_i64().ok_or_else(unknown)?),
                "act_layer" => {
                    found.activation = match value.as_str() {
                        Some("gelu") => "gelu",
                        Some("gelu_tanh") => "gelu_new",
                        Some("quick_gelu") => "quick_gelu",
                        Some("relu") => "relu",
                        Some("silu" | "swish") => "silu",
                        _ => return Err(unknown()),
                    }
                }
                "proj_drop_rate" => found.dropouts[0] = number()?,
                "attn_drop_rate" => found.dropouts[1] = number()?,
                // Beside that of the layers transformers has none for the positions.
                "pos_drop_rate" if number()? == 0.0 => {}
                "class_token" if value == &Value::Bool(true) => {}
                "global_pool" if value == "token" => {}
                "in_chans" if value == &Value::from(3) => {}
                known if HARMLESS.contains(&known) => {}
                _ => return Err(unknown()),
            }
        }
        Ok(found)
    }
}

fn shape<const DIMENSIONS: usize>(weights: &Weights, name: &str) -> Result<[i64; DIMENSIONS]> {
    let found = weights.shape(name).unwrap_or_default();
    let sizes: Vec<i64> = found.iter().map(|&size| size as i64).collect();
    sizes
        .try_into()
        .map_err(|_| Error::request(format!("a ViT has no weights of shape {found:?} here")).key(name).hint(SUPPORTED))
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

/// The `config.json` of a network of timm's name whose weights are yet to be drawn, in this layout.
///
/// # Errors
/// The name is none of such a network.
pub fn fresh_config(layout: Layout, name: &str) -> Result<Value> {
    let known = sizes_named(name).filter(|sizes| sizes.patch <= sizes.image && layout_named(name) == Some(layout));
    let Some(sizes) = known.filter(|_| !name.contains("_giant_")) else {
        return Err(Error::request(format!("`{name}` is not a Vision Transformer that can be made"))
            .hint("vit_tiny_patch16_224, vit_small_patch16_224 and vit_small_patch14_dinov2 can"));
    };
    Ok(Found {
        width: sizes.width,
        layers: sizes.layers,
        heads: sizes.width / HEAD,
        inner: 4 * sizes.width,
        gated: false,
        activation: "gelu",
        dropouts: [0.0; 2],
        image: [sizes.image; 2],
        patch: [sizes.patch; 2],
        qkv_bias: true,
        registers: sizes.registers,
        epsilon: EPSILON,
    }
    .config(layout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gated_block_has_transformers_ratio() {
        assert_eq!((gated_ratio(1536, 4096), gated_ratio(64, 176)), (4.0, 4.0));
    }

    #[test]
    fn one_that_is_not_known_is_not_made() {
        assert!(fresh_config(Layout::Vit, "vit_small_patch16_0").is_err());
        assert!(fresh_config(Layout::Vit, "vit_small_patch14_dinov2").is_err());
    }
}
