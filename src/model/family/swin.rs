//! Swin (Liu et al. 2021), the first version, in transformers' layout. timm's networks are brought into it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::convolutional::{Settings, refused_setting, unsupported_setting};
use super::hierarchical::{HierarchicalFamily, Sides, check_channels, is_harmless, only, settings_of, sizes_of};
use crate::error::{Error, Result};
use crate::model::activation::Activation;
use crate::model::hierarchical::{BlockSpec, HierarchySpec, Level, SpecKeys, SwinSpec};

/// See the [module](self). The weights are Microsoft's of ImageNet-22k, fine-tuned on ImageNet, as those of a ViT are;
/// of the smallest network, which timm finds better from ImageNet alone, those.
pub const SWIN: HierarchicalFamily = HierarchicalFamily {
    name: "swin",
    class: "Swin",
    networks: &[
        ("swin_tiny_patch4_window7_224", Some("ms_in1k")),
        ("swin_small_patch4_window7_224", Some("ms_in22k_ft_in1k")),
        ("swin_base_patch4_window7_224", Some("ms_in22k_ft_in1k")),
        ("swin_base_patch4_window12_384", Some("ms_in22k_ft_in1k")),
        ("swin_large_patch4_window7_224", Some("ms_in22k_ft_in1k")),
        ("swin_large_patch4_window12_384", Some("ms_in22k_ft_in1k")),
    ],
    of_timm,
    timm_names,
    in_memory: &[
        ("attention.q_proj", "attention.self.query"),
        ("attention.k_proj", "attention.self.key"),
        ("attention.v_proj", "attention.self.value"),
        ("attention.o_proj", "attention.output.dense"),
        ("attention.relative_position_bias.relative", "attention.self.relative"),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
    ],
    spec,
};

/// What timm calls sizes: blocks of each level, the width of the first, which doubles from level to level as its heads
/// do, and these.
const SIZES: [(&str, [i64; 4], i64, i64); 4] = [
    ("tiny", [2, 2, 6, 2], 96, 3),
    ("small", [2, 2, 18, 2], 96, 3),
    ("base", [2, 2, 18, 2], 128, 4),
    ("large", [2, 2, 18, 2], 192, 6),
];
/// The epsilon of timm's norms; its `config.json` does not say it.
const EPSILON: f64 = 1e-5;
/// The largest side of a window: what is kept for each pair of its places grows with the fourth power.
const WIDEST_WINDOW: i64 = 48;
/// Stochastic depth where nothing is said, as in timm and transformers.
const DROP_PATH: f64 = 0.1;

fn of_timm(network: &str, settings: &Settings) -> Result<Value> {
    let words: Vec<&str> = network.split('_').collect();
    let size = SIZES.into_iter().find(|(name, ..)| words.get(1) == Some(name));
    let number = |index: usize, before: &str| words.get(index)?.strip_prefix(before)?.parse::<i64>().ok();
    let (Some((_, depths, width, heads)), Some(window), Some(image)) = (size, number(3, "window"), number(4, ""))
    else {
        return Err(Error::failure(format!("`{network}` is not a Swin")));
    };
    let mut map = json!({
        "model_type": SWIN.name,
        "num_channels": 3,
        "image_size": image,
        "patch_size": 4,
        "embed_dim": width,
        "depths": depths,
        "num_heads": [heads, 2 * heads, 4 * heads, 8 * heads],
        "window_size": window,
        "mlp_ratio": 4.0,
        "qkv_bias": true,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "drop_path_rate": DROP_PATH,
        "use_absolute_embeddings": false,
        "initializer_range": 0.02,
        "layer_norm_eps": EPSILON,
    });
    // timm does not take what is null for a setting.
    for (key, value) in settings.iter().filter(|(_, value)| !value.is_null()) {
        match key.as_str() {
            "depths" => map["depths"] = json!(sizes_of(key, value)?),
            "num_heads" => map["num_heads"] = json!(sizes_of(key, value)?),
            "embed_dim" | "patch_size" | "window_size" if value.is_i64() => map[key] = value.clone(),
            "img_size" => map["image_size"] = value.clone(),
            "mlp_ratio" if value.is_number() => map[key] = json!(value.as_f64()),
            "qkv_bias" if value.is_boolean() => map[key] = value.clone(),
            "attn_drop_rate" if value.is_number() => map["attention_probs_dropout_prob"] = json!(value.as_f64()),
            "drop_path_rate" if value.is_number() => map[key] = value.clone(),
            "proj_drop_rate" if value.as_f64() == Some(0.0) => {}
            "always_partition" => only(key, value, &json!(false))?,
            "strict_img_size" => only(key, value, &json!(true))?,
            key if is_harmless(key, value) => {}
            _ => return Err(unsupported_setting(key, value)),
        }
    }
    check_windows(&map)?;
    Ok(map)
}

/// That windows divide every map: timm fills maps up after it has shifted them, transformers before, and timm makes
/// windows smaller where a map is.
fn check_windows(config: &Value) -> Result<()> {
    let settings: Config = settings_of(config)?;
    let image = settings.image_size.square("model_args.img_size")?;
    let (patch, window) = (settings.patch_size.square("patch_size")?.max(1), settings.window_size.max(1));
    let sides = (0..settings.depths.len() as u32).map(|level| (1i64 << level.min(32)) * patch * window);
    if sides.into_iter().all(|side| image % side == 0) {
        return Ok(());
    }
    let why = format!("maps of such images are not divided into whole windows of {window} places, as they must be");
    Err(refused_setting("img_size", &json!(image), &why))
}

fn timm_names(stored: &str) -> Vec<String> {
    for (timm, name) in [
        ("patch_embed.proj.", "embeddings.patch_embeddings.projection."),
        ("patch_embed.norm.", "embeddings.norm."),
        ("norm.", "layernorm."),
        ("head.fc.", "classifier."),
    ] {
        if let Some(field) = stored.strip_prefix(timm) {
            return vec![format!("{name}{field}")];
        }
    }
    let Some((level, rest)) = stored.strip_prefix("layers.").and_then(|rest| rest.split_once('.')) else {
        return Vec::new();
    };
    if let Some(rest) = rest.strip_prefix("downsample.") {
        // In transformers it is at the end of the level before.
        let before = level.parse::<usize>().ok().and_then(|level| level.checked_sub(1));
        return before.map(|before| format!("encoder.layers.{before}.downsample.{rest}")).into_iter().collect();
    }
    let Some((block, part)) = rest.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')) else {
        return Vec::new();
    };
    let within = |name: &str| format!("encoder.layers.{level}.blocks.{block}.{name}");
    if let Some(field) = part.strip_prefix("attn.qkv.") {
        return ["query", "key", "value"].map(|part| within(&format!("attention.self.{part}.{field}"))).to_vec();
    }
    let parts = [
        ("norm1.", "layernorm_before."),
        ("norm2.", "layernorm_after."),
        ("attn.proj.", "attention.output.dense."),
        ("attn.relative", "attention.self.relative"),
        ("mlp.fc1.", "intermediate.dense."),
        ("mlp.fc2.", "output.dense."),
    ];
    let named = |(timm, name): &(&str, &str)| Some(within(&format!("{name}{}", part.strip_prefix(timm)?)));
    parts.iter().find_map(named).into_iter().collect()
}

/// The settings of `config.json` that matter here; defaults as in transformers' `SwinConfig`.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    image_size: Sides,
    num_channels: i64,
    patch_size: Sides,
    embed_dim: i64,
    depths: Vec<usize>,
    num_heads: Vec<i64>,
    window_size: i64,
    mlp_ratio: f64,
    qkv_bias: bool,
    hidden_act: Activation,
    hidden_dropout_prob: f64,
    attention_probs_dropout_prob: f64,
    use_absolute_embeddings: bool,
    layer_norm_eps: f64,
    drop_path_rate: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            image_size: Sides::Square(224),
            num_channels: 3,
            patch_size: Sides::Square(4),
            embed_dim: 96,
            depths: vec![2, 2, 6, 2],
            num_heads: vec![3, 6, 12, 24],
            window_size: 7,
            mlp_ratio: 4.0,
            qkv_bias: true,
            hidden_act: Activation::Gelu,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            use_absolute_embeddings: false,
            layer_norm_eps: EPSILON,
            drop_path_rate: DROP_PATH,
        }
    }
}

fn spec(config: &Value) -> Result<HierarchySpec> {
    let config: Config = settings_of(config)?;
    let refuse = |key: &str, message: String| Err(Error::request(message).key(key));
    check_channels(config.num_channels)?;
    if config.use_absolute_embeddings {
        return refuse("use_absolute_embeddings", "positions of patches are not supported".to_owned());
    }
    if !(1..=WIDEST_WINDOW).contains(&config.window_size) {
        return refuse("window_size", format!("{} is not a size from 1 to {WIDEST_WINDOW}", config.window_size));
    }
    if !(config.mlp_ratio > 0.0 && config.mlp_ratio <= 64.0) {
        return refuse("mlp_ratio", format!("{} is not a number above 0 and up to 64", config.mlp_ratio));
    }
    for (key, p) in [
        ("hidden_dropout_prob", config.hidden_dropout_prob),
        ("attention_probs_dropout_prob", config.attention_probs_dropout_prob),
    ] {
        if !(0.0..1.0).contains(&p) {
            return refuse(key, format!("{p} is not a probability below 1"));
        }
    }
    let widths = (0..config.depths.len().min(16)).map(|level| config.embed_dim.saturating_mul(1 << level));
    let levels: Vec<Level> = widths.zip(&config.depths).map(|(width, &depth)| Level { width, depth }).collect();
    if config.num_heads.len() != config.depths.len() || levels.len() != config.depths.len() {
        return refuse("num_heads", format!("must be as many as there are depths, {}, and 16 at most", levels.len()));
    }
    let undivided = |(level, heads): (&Level, &i64)| *heads < 1 || level.width % heads != 0;
    if levels.iter().zip(&config.num_heads).any(undivided) {
        return refuse("num_heads", format!("{} and its doubles cannot be divided among them", config.embed_dim));
    }
    HierarchySpec {
        family: SWIN.name,
        patch: config.patch_size.square("patch_size")?,
        levels,
        blocks: BlockSpec::Swin(SwinSpec {
            heads: config.num_heads,
            window: config.window_size,
            expansion: config.mlp_ratio,
            qkv_bias: config.qkv_bias,
            epsilon: config.layer_norm_eps,
            hidden_dropout: config.hidden_dropout_prob,
            attention_dropout: config.attention_probs_dropout_prob,
        }),
        activation: config.hidden_act,
        final_epsilon: config.layer_norm_eps,
        drop_path: config.drop_path_rate,
    }
    .checked(&SpecKeys { patch: "patch_size", depths: "depths", widths: "embed_dim", epsilon: "layer_norm_eps" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_of_timm_have_names_of_transformers() {
        for (timm, name) in [
            ("patch_embed.proj.weight", "embeddings.patch_embeddings.projection.weight"),
            ("layers.1.downsample.reduction.weight", "encoder.layers.0.downsample.reduction.weight"),
            ("layers.2.blocks.5.norm1.bias", "encoder.layers.2.blocks.5.layernorm_before.bias"),
            (
                "layers.0.blocks.0.attn.relative_position_bias_table",
                "encoder.layers.0.blocks.0.attention.self.relative_position_bias_table",
            ),
            ("norm.weight", "layernorm.weight"),
            ("head.fc.bias", "classifier.bias"),
        ] {
            assert_eq!(timm_names(timm), [name]);
        }
        let three = timm_names("layers.0.blocks.1.attn.qkv.bias");
        assert_eq!(three.len(), 3);
        assert_eq!(three[2], "encoder.layers.0.blocks.1.attention.self.value.bias");
        assert!(timm_names("layers.0.downsample.norm.weight").is_empty());
    }

    #[test]
    fn every_name_has_sizes() {
        for (name, _) in SWIN.networks {
            let config = of_timm(name, &Settings::new()).expect(name);
            let spec = spec(&config).expect(name);
            let side = if name.ends_with("384") { 384 } else { 224 };
            let last = spec.extents([side; 2]).and_then(|mut extents| extents.pop());
            assert_eq!(last, Some([side / 32; 2]), "{name}");
            assert!(spec.extents([side - 32; 2]).is_none(), "{name}: its last map is smaller than a window");
        }
    }
}
