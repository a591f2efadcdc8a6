//! ConvNeXt (Liu et al. 2022) and its second version (Woo et al. 2023), in transformers' layout. timm's networks are
//! brought into it: those with the plain stem of patches and the plain head.

use serde::Deserialize;
use serde_json::{Value, json};

use super::convolutional::{Settings, refused_setting, unsupported_setting};
use super::hierarchical::{
    HierarchicalFamily, Sides, activation_of, check_channels, is_harmless, only, settings_of, sizes_of,
};
use crate::error::{Error, Result};
use crate::model::activation::Activation;
use crate::model::hierarchical::{BlockSpec, HierarchySpec, Level, SpecKeys};

/// See the [module](self). The weights are Facebook's of ImageNet-22k, fine-tuned on ImageNet, as those of a ViT are;
/// of the small networks, which are timm's own, the best that there are for 224 pixels.
pub const CONVNEXT: HierarchicalFamily = HierarchicalFamily {
    name: "convnext",
    class: "ConvNext",
    networks: &[
        ("convnext_atto", Some("d2_in1k")),
        ("convnext_femto", Some("d1_in1k")),
        ("convnext_pico", Some("d1_in1k")),
        ("convnext_nano", Some("in12k_ft_in1k")),
        ("convnext_tiny", Some("fb_in22k_ft_in1k")),
        ("convnext_small", Some("fb_in22k_ft_in1k")),
        ("convnext_base", Some("fb_in22k_ft_in1k")),
        ("convnext_large", Some("fb_in22k_ft_in1k")),
        ("convnext_xlarge", Some("fb_in22k_ft_in1k")),
    ],
    of_timm: |network, settings| of_timm(network, settings, false),
    timm_names: |stored| timm_name(stored).into_iter().collect(),
    in_memory: &[],
    spec: |config| spec(config, false),
};

/// Version 2, whose weights may not be used commercially.
pub const CONVNEXT_V2: HierarchicalFamily = HierarchicalFamily {
    name: "convnextv2",
    class: "ConvNextV2",
    networks: &[
        ("convnextv2_atto", Some("fcmae_ft_in1k")),
        ("convnextv2_femto", Some("fcmae_ft_in1k")),
        ("convnextv2_pico", Some("fcmae_ft_in1k")),
        ("convnextv2_nano", Some("fcmae_ft_in22k_in1k")),
        ("convnextv2_tiny", Some("fcmae_ft_in22k_in1k")),
        ("convnextv2_small", None),
        ("convnextv2_base", Some("fcmae_ft_in22k_in1k")),
        ("convnextv2_large", Some("fcmae_ft_in22k_in1k")),
        ("convnextv2_huge", Some("fcmae_ft_in1k")),
    ],
    of_timm: |network, settings| of_timm(network, settings, true),
    timm_names: |stored| timm_name(stored).into_iter().collect(),
    in_memory: &[],
    spec: |config| spec(config, true),
};

/// What timm calls sizes: blocks of each level, and the width of the first, which doubles from level to level.
const SIZES: [(&str, [i64; 4], i64); 10] = [
    ("atto", [2, 2, 6, 2], 40),
    ("femto", [2, 2, 6, 2], 48),
    ("pico", [2, 2, 6, 2], 64),
    ("nano", [2, 2, 8, 2], 80),
    ("tiny", [3, 3, 9, 3], 96),
    ("small", [3, 3, 27, 3], 96),
    ("base", [3, 3, 27, 3], 128),
    ("large", [3, 3, 27, 3], 192),
    ("xlarge", [3, 3, 27, 3], 256),
    ("huge", [3, 3, 27, 3], 352),
];
/// The epsilon of timm's norms; its `config.json` does not say it.
const EPSILON: f64 = 1e-6;

fn of_timm(network: &str, settings: &Settings, second: bool) -> Result<Value> {
    let size = network.rsplit('_').next().unwrap_or_default();
    let (_, depths, width) = SIZES
        .into_iter()
        .find(|(name, ..)| *name == size)
        .ok_or_else(|| Error::failure(format!("`{network}` is not a ConvNeXt")))?;
    let (mut depths, mut widths) = (depths.to_vec(), [1, 2, 4, 8].map(|factor| factor * width).to_vec());
    let mut activation = "gelu";
    let (mut layer_scale, mut drop_path) = (1e-6, json!(0.0));
    // timm does not take what is null for a setting.
    for (key, value) in settings.iter().filter(|(_, value)| !value.is_null()) {
        match key.as_str() {
            "depths" => depths = sizes_of(key, value)?,
            "dims" => widths = sizes_of(key, value)?,
            "act_layer" => activation = activation_of(value)?,
            "patch_size" => only(key, value, &json!(4))?,
            "ls_init_value" if !second => {
                let initial = value.as_f64().filter(|initial| *initial > 0.0);
                layer_scale = initial.ok_or_else(|| refused_setting(key, value, "must be above 0"))?;
            }
            "drop_path_rate" if value.is_number() => drop_path = value.clone(),
            // The same products, with weights of another shape.
            "conv_mlp" if value.is_boolean() => {}
            "use_grn" => only(key, value, &json!(second))?,
            "kernel_sizes" => only(key, value, &json!(7))?,
            "output_stride" => only(key, value, &json!(32))?,
            "stem_type" => only(key, value, &json!("patch"))?,
            "conv_bias" => only(key, value, &json!(true))?,
            "head_norm_first" => only(key, value, &json!(false))?,
            "norm_eps" if value.as_f64() == Some(EPSILON) => {}
            "norm_layer" if matches!(value.as_str(), Some("layernorm" | "layernorm2d")) => {}
            key if is_harmless(key, value) => {}
            _ => return Err(unsupported_setting(key, value)),
        }
    }
    let mut config = json!({
        "model_type": if second { CONVNEXT_V2.name } else { CONVNEXT.name },
        "num_channels": 3,
        "patch_size": 4,
        "num_stages": depths.len(),
        "hidden_sizes": widths,
        "depths": depths,
        "hidden_act": activation,
        "initializer_range": 0.02,
        "layer_norm_eps": EPSILON,
        "drop_path_rate": drop_path,
        "image_size": 224,
    });
    if let Some(config) = config.as_object_mut().filter(|_| !second) {
        config.insert("layer_scale_init_value".to_owned(), layer_scale.into());
    }
    Ok(config)
}

fn timm_name(stored: &str) -> Option<String> {
    for (timm, name) in [
        ("stem.0.", "embeddings.patch_embeddings."),
        ("stem.1.", "embeddings.layernorm."),
        ("head.norm.", "layernorm."),
        ("head.fc.", "classifier."),
    ] {
        if let Some(field) = stored.strip_prefix(timm) {
            return Some(format!("{name}{field}"));
        }
    }
    let (level, rest) = stored.strip_prefix("stages.")?.split_once('.')?;
    if let Some(rest) = rest.strip_prefix("downsample.") {
        return Some(format!("encoder.stages.{level}.downsampling_layer.{rest}"));
    }
    let (block, part) = rest.strip_prefix("blocks.")?.split_once('.')?;
    let within = match part {
        "gamma" => "layer_scale_parameter".to_owned(),
        _ => {
            let parts = [
                ("conv_dw.", "dwconv."),
                ("norm.", "layernorm."),
                ("mlp.fc1.", "pwconv1."),
                ("mlp.grn.", "grn."),
                ("mlp.fc2.", "pwconv2."),
            ];
            parts.iter().find_map(|(timm, name)| Some(format!("{name}{}", part.strip_prefix(timm)?)))?
        }
    };
    Some(format!("encoder.stages.{level}.layers.{block}.{within}"))
}

/// The settings of `config.json` that matter here; defaults as in transformers' `ConvNextConfig` and
/// `ConvNextV2Config`.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    num_channels: i64,
    patch_size: Sides,
    num_stages: Option<usize>,
    hidden_sizes: Vec<i64>,
    depths: Vec<usize>,
    hidden_act: Activation,
    layer_norm_eps: f64,
    layer_scale_init_value: f64,
    drop_path_rate: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            num_channels: 3,
            patch_size: Sides::Square(4),
            num_stages: None,
            hidden_sizes: vec![96, 192, 384, 768],
            depths: vec![3, 3, 9, 3],
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-12,
            layer_scale_init_value: 1e-6,
            drop_path_rate: 0.0,
        }
    }
}

fn spec(config: &Value, second: bool) -> Result<HierarchySpec> {
    let config: Config = settings_of(config)?;
    check_channels(config.num_channels)?;
    let levels = config.hidden_sizes.len();
    if config.depths.len() != levels || config.num_stages.is_some_and(|stages| stages != levels) {
        let message = format!("must be as many as there are hidden_sizes, {levels}");
        let key = if config.depths.len() == levels { "num_stages" } else { "depths" };
        return Err(Error::request(message).key(key));
    }
    let sizes = config.hidden_sizes.into_iter().zip(config.depths);
    HierarchySpec {
        family: if second { CONVNEXT_V2.name } else { CONVNEXT.name },
        patch: config.patch_size.square("patch_size")?,
        levels: sizes.map(|(width, depth)| Level { width, depth }).collect(),
        blocks: BlockSpec::ConvNext {
            layer_scale: Some(config.layer_scale_init_value).filter(|initial| !second && *initial > 0.0),
            global_response_norm: second,
        },
        activation: config.hidden_act,
        final_epsilon: config.layer_norm_eps,
        drop_path: config.drop_path_rate,
    }
    .checked(&SpecKeys {
        patch: "patch_size",
        depths: "depths",
        widths: "hidden_sizes",
        epsilon: "layer_norm_eps",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_of_timm_have_names_of_transformers() {
        for (timm, name) in [
            ("stem.0.weight", "embeddings.patch_embeddings.weight"),
            ("stem.1.bias", "embeddings.layernorm.bias"),
            ("stages.1.downsample.0.weight", "encoder.stages.1.downsampling_layer.0.weight"),
            ("stages.2.blocks.26.conv_dw.bias", "encoder.stages.2.layers.26.dwconv.bias"),
            ("stages.0.blocks.1.gamma", "encoder.stages.0.layers.1.layer_scale_parameter"),
            ("stages.3.blocks.0.mlp.grn.weight", "encoder.stages.3.layers.0.grn.weight"),
            ("stages.3.blocks.0.mlp.fc2.weight", "encoder.stages.3.layers.0.pwconv2.weight"),
            ("head.norm.weight", "layernorm.weight"),
            ("head.fc.bias", "classifier.bias"),
        ] {
            assert_eq!(timm_name(timm).as_deref(), Some(name));
        }
        for other in ["head.pre_logits.fc.weight", "norm_pre.weight", "stages.0.blocks.0.shortcut.conv.weight"] {
            assert_eq!(timm_name(other), None, "{other}");
        }
    }

    /// As timm counts the parameters of a network with 1000 classes.
    #[test]
    fn every_name_has_sizes() {
        for family in [&CONVNEXT, &CONVNEXT_V2] {
            for (name, _) in family.networks {
                let config = (family.of_timm)(name, &Settings::new()).expect(name);
                let spec = (family.spec)(&config).expect(name);
                assert_eq!((spec.family, spec.levels.len()), (family.name, 4), "{name}");
            }
        }
    }
}
