//! EfficientNet (Tan and Le 2019) and EfficientNetV2 (2021) as timm has them: the plain ones, and those of TensorFlow's
//! weights (`tf_…`), which pad as there. Checkpoints of torchvision and transformers are brought into timm's names.

use serde_json::{Value, json};

use super::convolutional::{ConvFamily, Settings};
use super::inverted::{Blocks, Inverted, Kind, Options, Squeeze, TENSORFLOW_EPSILON, TENTH, norms, scaled};
use super::inverted_names::{self, TorchvisionNames};
use crate::error::{Error, Result};
use crate::image::{Interpolation, Preprocessing, Resize};
use crate::model::checkpoint::Weights;
use crate::model::convolutional::{Activation, NetworkSpec};

/// See the [module](self).
pub struct EfficientNetFamily;

/// A network of the family.
struct Named {
    name: &'static str,
    /// Whether timm has it without, and with, TensorFlow's padding (`tf_`).
    forms: [bool; 2],
    stages: &'static [Blocks],
    stem: i64,
    features: i64,
    /// What channels and repeats are multiplied by.
    width: f64,
    depth: f64,
    /// Whether channels are always rounded to the nearest eight.
    nearest: bool,
    /// Pixels of an image's side, what part of it is cropped, and dropout, as the papers have them.
    side: u32,
    crop: f64,
    dropout: f64,
}

use Kind::{Fused, Inverted as Block, Plain, Separable};

const V1: [Blocks; 7] = [
    Blocks::new(Separable, 1, 3, 1, 1.0, 16).squeezing(),
    Blocks::new(Block, 2, 3, 2, 6.0, 24).squeezing(),
    Blocks::new(Block, 2, 5, 2, 6.0, 40).squeezing(),
    Blocks::new(Block, 3, 3, 2, 6.0, 80).squeezing(),
    Blocks::new(Block, 3, 5, 1, 6.0, 112).squeezing(),
    Blocks::new(Block, 4, 5, 2, 6.0, 192).squeezing(),
    Blocks::new(Block, 1, 3, 1, 6.0, 320).squeezing(),
];
const V2_BASE: [Blocks; 6] = [
    Blocks::new(Plain, 1, 3, 1, 1.0, 16),
    Blocks::new(Fused, 2, 3, 2, 4.0, 32),
    Blocks::new(Fused, 2, 3, 2, 4.0, 48),
    Blocks::new(Block, 3, 3, 2, 4.0, 96).squeezing(),
    Blocks::new(Block, 5, 3, 1, 6.0, 112).squeezing(),
    Blocks::new(Block, 8, 3, 2, 6.0, 192).squeezing(),
];
const V2_S: [Blocks; 6] = [
    Blocks::new(Plain, 2, 3, 1, 1.0, 24),
    Blocks::new(Fused, 4, 3, 2, 4.0, 48),
    Blocks::new(Fused, 4, 3, 2, 4.0, 64),
    Blocks::new(Block, 6, 3, 2, 4.0, 128).squeezing(),
    Blocks::new(Block, 9, 3, 1, 6.0, 160).squeezing(),
    Blocks::new(Block, 15, 3, 2, 6.0, 256).squeezing(),
];
/// timm's own, from before the official one was published.
const V2_RW_S: [Blocks; 6] = [
    Blocks::new(Fused, 2, 3, 1, 1.0, 24),
    V2_S[1],
    V2_S[2],
    V2_S[3],
    V2_S[4],
    Blocks::new(Block, 15, 3, 2, 6.0, 272).squeezing(),
];
const V2_M: [Blocks; 7] = [
    Blocks::new(Plain, 3, 3, 1, 1.0, 24),
    Blocks::new(Fused, 5, 3, 2, 4.0, 48),
    Blocks::new(Fused, 5, 3, 2, 4.0, 80),
    Blocks::new(Block, 7, 3, 2, 4.0, 160).squeezing(),
    Blocks::new(Block, 14, 3, 1, 6.0, 176).squeezing(),
    Blocks::new(Block, 18, 3, 2, 6.0, 304).squeezing(),
    Blocks::new(Block, 5, 3, 1, 6.0, 512).squeezing(),
];
const V2_L: [Blocks; 7] = [
    Blocks::new(Plain, 4, 3, 1, 1.0, 32),
    Blocks::new(Fused, 7, 3, 2, 4.0, 64),
    Blocks::new(Fused, 7, 3, 2, 4.0, 96),
    Blocks::new(Block, 10, 3, 2, 4.0, 192).squeezing(),
    Blocks::new(Block, 19, 3, 1, 6.0, 224).squeezing(),
    Blocks::new(Block, 25, 3, 2, 6.0, 384).squeezing(),
    Blocks::new(Block, 7, 3, 1, 6.0, 640).squeezing(),
];

const BOTH: [bool; 2] = [true, true];
const PLAIN: [bool; 2] = [true, false];
const TENSORFLOW: [bool; 2] = [false, true];

const fn v1(name: &'static str, scale: [f64; 2], side: u32, crop: f64, dropout: f64) -> Named {
    let [width, depth] = scale;
    let (stem, features, nearest) = (32, 1280, false);
    Named { name, forms: BOTH, stages: &V1, stem, features, width, depth, nearest, side, crop, dropout }
}

const fn v2(name: &'static str, stages: &'static [Blocks], stem: i64, side: u32, dropout: f64) -> Named {
    let (features, width, depth, nearest, crop) = (1280, 1.0, 1.0, false, 1.0);
    Named { name, forms: BOTH, stages, stem, features, width, depth, nearest, side, crop, dropout }
}

const fn v2_base(name: &'static str, scale: [f64; 2], side: u32, crop: f64, dropout: f64) -> Named {
    let v1 = v1(name, scale, side, crop, dropout);
    Named { forms: TENSORFLOW, stages: &V2_BASE, nearest: true, ..v1 }
}

/// Those that have a name.
const NAMED: [Named; 18] = [
    v1("efficientnet_b0", [1.0, 1.0], 224, 0.875, 0.2),
    v1("efficientnet_b1", [1.0, 1.1], 240, 0.882, 0.2),
    v1("efficientnet_b2", [1.1, 1.2], 260, 0.89, 0.3),
    v1("efficientnet_b3", [1.2, 1.4], 300, 0.904, 0.3),
    v1("efficientnet_b4", [1.4, 1.8], 380, 0.922, 0.4),
    v1("efficientnet_b5", [1.6, 2.2], 456, 0.934, 0.4),
    v1("efficientnet_b6", [1.8, 2.6], 528, 0.942, 0.5),
    v1("efficientnet_b7", [2.0, 3.1], 600, 0.949, 0.5),
    v1("efficientnet_b8", [2.2, 3.6], 672, 0.954, 0.5),
    v2("efficientnetv2_s", &V2_S, 24, 384, 0.2),
    v2("efficientnetv2_m", &V2_M, 24, 480, 0.3),
    v2("efficientnetv2_l", &V2_L, 32, 480, 0.4),
    Named { forms: PLAIN, width: 0.8, depth: 0.9, ..v2("efficientnetv2_rw_t", &V2_S, 24, 288, 0.2) },
    Named { forms: PLAIN, features: 1792, ..v2("efficientnetv2_rw_s", &V2_RW_S, 24, 384, 0.2) },
    v2_base("efficientnetv2_b0", [1.0, 1.0], 224, 0.875, 0.2),
    v2_base("efficientnetv2_b1", [1.0, 1.1], 240, 0.882, 0.2),
    v2_base("efficientnetv2_b2", [1.1, 1.2], 260, 0.89, 0.3),
    v2_base("efficientnetv2_b3", [1.2, 1.4], 300, 0.904, 0.3),
];

/// Tags of trained weights on the hub. Plain ones as trained on ImageNet-1k by timm, or with what came before it;
/// TensorFlow's with the most pretraining (Noisy Student on 300 million images, ImageNet-21k), which serves other
/// classes best. timm has no weights for the others.
const TRAINED: [(&str, &str); 24] = [
    ("efficientnet_b0", "ra_in1k"),
    ("efficientnet_b1", "ft_in1k"),
    ("efficientnet_b2", "ra_in1k"),
    ("efficientnet_b3", "ra2_in1k"),
    ("efficientnet_b4", "ra2_in1k"),
    ("efficientnet_b5", "sw_in12k_ft_in1k"),
    ("efficientnetv2_rw_t", "ra2_in1k"),
    ("efficientnetv2_rw_s", "ra2_in1k"),
    ("tf_efficientnet_b0", "ns_jft_in1k"),
    ("tf_efficientnet_b1", "ns_jft_in1k"),
    ("tf_efficientnet_b2", "ns_jft_in1k"),
    ("tf_efficientnet_b3", "ns_jft_in1k"),
    ("tf_efficientnet_b4", "ns_jft_in1k"),
    ("tf_efficientnet_b5", "ns_jft_in1k"),
    ("tf_efficientnet_b6", "ns_jft_in1k"),
    ("tf_efficientnet_b7", "ns_jft_in1k"),
    ("tf_efficientnet_b8", "ra_in1k"),
    ("tf_efficientnetv2_s", "in21k_ft_in1k"),
    ("tf_efficientnetv2_m", "in21k_ft_in1k"),
    ("tf_efficientnetv2_l", "in21k_ft_in1k"),
    ("tf_efficientnetv2_b0", "in1k"),
    ("tf_efficientnetv2_b1", "in1k"),
    ("tf_efficientnetv2_b2", "in1k"),
    ("tf_efficientnetv2_b3", "in21k_ft_in1k"),
];

impl Named {
    /// The network of timm's name, whatever its padding.
    fn of(network: &str) -> Result<&'static Self> {
        let plain = network.strip_prefix("tf_").unwrap_or(network);
        let named = NAMED.iter().find(|named| named.name == plain);
        named.ok_or_else(|| Error::failure(format!("`{network}` is not an EfficientNet")))
    }

    fn inverted(&self, options: Options) -> Inverted {
        let limit = if self.nearest { 0.0 } else { TENTH };
        let wide = |channels: i64| scaled(channels, self.width, limit);
        let stage = |blocks: &Blocks| {
            let repeats = (blocks.repeats as f64 * self.depth).ceil() as i64;
            vec![Blocks { repeats, channels: wide(blocks.channels), ..*blocks }]
        };
        Inverted {
            stem: wide(self.stem),
            stages: self.stages.iter().map(stage).collect(),
            squeeze: Squeeze::OfInputs,
            features: wide(self.features),
            pools_first: false,
            options,
        }
    }
}

impl ConvFamily for EfficientNetFamily {
    fn name(&self) -> &'static str {
        "efficientnet"
    }

    fn networks(&self) -> Vec<String> {
        let of = |tensorflow: usize, prefix: &'static str| {
            NAMED
                .iter()
                .filter(move |named| named.forms[tensorflow])
                .map(move |named| format!("{prefix}{}", named.name))
        };
        of(0, "").chain(of(1, "tf_")).collect()
    }

    fn spec(&self, network: &str, settings: &Settings, dropout: Option<f64>) -> Result<NetworkSpec> {
        let named = Named::of(network)?;
        let options = Options::of(network, Activation::Silu, settings)?;
        Ok(named.inverted(options).describe(dropout.unwrap_or(named.dropout)))
    }

    fn marks(&self, weights: &Weights) -> bool {
        weights.has("conv_stem.weight") && weights.has("bn2.running_mean")
            || weights.has("features.0.0.weight") && weights.has("features.1.0.block.0.0.weight")
    }

    /// torchvision's alone. The names of timm's tensors do not tell how the network pads.
    fn of_weights(&self, weights: &Weights) -> Option<(String, Settings)> {
        NAMED.iter().filter(|named| named.forms[0]).find_map(|named| {
            let spec = self.spec(named.name, &Settings::new(), None).ok()?;
            // As torchvision builds them.
            let other = ["b5", "b6", "b7", "v2_s", "v2_m", "v2_l"].iter().any(|end| named.name.ends_with(end));
            let settings = if other { norms(TENSORFLOW_EPSILON, 0.01) } else { Settings::new() };
            TorchvisionNames::EfficientNet.fit(&spec, weights).then(|| (named.name.to_owned(), settings))
        })
    }

    fn of_transformers(&self, config: &Value) -> Result<(String, Settings)> {
        of_transformers(config)
    }

    fn translate(&self, spec: &NetworkSpec, weights: &mut Weights) -> Result<()> {
        inverted_names::translate(TorchvisionNames::EfficientNet, spec, weights)
    }

    fn preprocessing(&self, network: &str) -> Preprocessing {
        let Ok(Named { side, crop, .. }) = Named::of(network) else { return Preprocessing::imagenet(224) };
        let resize = Resize::Shortest((f64::from(*side) / crop).floor() as u32);
        let usual = Preprocessing { resize, interpolation: Interpolation::Bicubic, ..Preprocessing::imagenet(*side) };
        let halves = ["tf_efficientnetv2_s", "tf_efficientnetv2_m", "tf_efficientnetv2_l", "tf_efficientnetv2_b3"];
        match halves.contains(&network) {
            true => Preprocessing { mean: [0.5; 3], std: [0.5; 3], ..usual },
            false => usual,
        }
    }

    fn trained_tag(&self, network: &str) -> Option<&'static str> {
        TRAINED.iter().find(|(name, _)| *name == network).map(|(_, tag)| *tag)
    }
}

/// From the `config.json` of transformers' `EfficientNetForImageClassification`: a network of TensorFlow's weights.
///
/// transformers pads each block as `depthwise_padding` says, which is TensorFlow's padding of images of `image_size`;
/// here images of other sizes are padded as TensorFlow would pad them. `drop_connect_rate` is the paper's stochastic
/// depth, as in timm (transformers drops single values). transformers gives Keras's usual `batch_norm_momentum` of 0.99
/// to torch, where it is the share of the new batch: the running statistics would be those of the last batch. In its
/// place stands torch's 0.1.
fn of_transformers(config: &Value) -> Result<(String, Settings)> {
    let given = |key: &str| config.get(key).filter(|value| !value.is_null());
    let refused = |key: &str, what: String| {
        let hint = "EfficientNet-B0 to B8 are supported; timm's tf_efficientnet_b0 and others are the same networks";
        Error::request(what).key(key).hint(hint)
    };
    let plain = [
        ("num_channels", json!(3)),
        ("depth_divisor", json!(8)),
        ("kernel_sizes", json!([3, 3, 5, 3, 5, 5, 3])),
        ("in_channels", json!([32, 16, 24, 40, 80, 112, 192])),
        ("out_channels", json!([16, 24, 40, 80, 112, 192, 320])),
        ("strides", json!([1, 2, 2, 2, 1, 2, 1])),
        ("num_block_repeats", json!([1, 2, 2, 3, 3, 4, 1])),
        ("expand_ratios", json!([1, 6, 6, 6, 6, 6, 6])),
        ("squeeze_expansion_ratio", json!(0.25)),
        ("pooling_type", json!("mean")),
    ];
    for (key, supported) in plain {
        if let Some(value) = given(key).filter(|value| **value != supported) {
            return Err(refused(key, format!("{value} is not supported; {supported} is")));
        }
    }
    let number = |key: &str, usual: f64| match given(key) {
        None => Ok(usual),
        Some(value) => value.as_f64().ok_or_else(|| refused(key, format!("{value} is not a number"))),
    };
    let (width, depth) = (number("width_coefficient", 2.0)?, number("depth_coefficient", 3.1)?);
    let named =
        NAMED.iter().find(|named| named.stages.len() == V1.len() && (named.width, named.depth) == (width, depth));
    let named = named.filter(|named| named.name.starts_with("efficientnet_"));
    let named = named.ok_or_else(|| {
        refused("width_coefficient", format!("{width}, with a depth_coefficient of {depth}, is not supported"))
    })?;
    let features = scaled(named.features, width, TENTH);
    if number("hidden_dim", 2560.0)? != features as f64 {
        return Err(refused("hidden_dim", format!("`{}` has {features}", named.name)));
    }
    let activation = given("hidden_act").map_or(Some("swish"), Value::as_str);
    if !matches!(activation, Some("swish" | "silu")) {
        return Err(refused("hidden_act", "only `swish` is supported".to_owned()));
    }
    check_padding(config, named).map_err(|(key, what)| refused(key, what))?;
    let mut settings = Settings::new();
    let mut set = |key: &str, value: f64, usual: f64| {
        if value != usual {
            settings.insert(key.to_owned(), value.into());
        }
    };
    set("bn_eps", number("batch_norm_eps", TENSORFLOW_EPSILON)?, TENSORFLOW_EPSILON);
    set("bn_momentum", number("batch_norm_momentum", 0.99)?, 0.99);
    set("drop_path_rate", number("drop_connect_rate", 0.2)?, 0.0);
    set("drop_rate", number("dropout_rate", 0.5)?, named.dropout);
    Ok((format!("tf_{}", named.name), settings))
}

/// That what the blocks of transformers' network are padded with is TensorFlow's padding of images of its size.
fn check_padding(config: &Value, named: &Named) -> std::result::Result<(), (&'static str, String)> {
    let side = match config.get("image_size") {
        None | Some(Value::Null) => Some(600),
        Some(size) => size.as_i64().or_else(|| {
            let sides = size.as_array()?.iter().map(Value::as_i64).collect::<Option<Vec<_>>>()?;
            sides.iter().all(|side| Some(side) == sides.first()).then(|| sides.first().copied())?
        }),
    };
    let Some(mut side) = side.filter(|side| side % 2 == 0 && *side > 0) else {
        return Err(("image_size", "must be one even number of pixels".to_owned()));
    };
    let listed = config.get("depthwise_padding").and_then(Value::as_array);
    let mut block = 0i64;
    side /= 2;
    for blocks in named.stages {
        if blocks.stride == 2 {
            let odd = side % 2 == 1;
            if listed.is_some_and(|list| list.contains(&json!(block))) != odd {
                let what = format!("block {block} is not padded as TensorFlow pads images of this `image_size`");
                return Err(("depthwise_padding", what));
            }
            side = (side + 1) / 2;
        }
        block += (blocks.repeats as f64 * named.depth).ceil() as i64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(width: f64, depth: f64, hidden: i64, side: i64, padded: &[i64]) -> Value {
        json!({
            "model_type": "efficientnet", "width_coefficient": width, "depth_coefficient": depth, "hidden_dim": hidden,
            "image_size": side, "depthwise_padding": padded, "dropout_rate": 0.2, "drop_connect_rate": 0.0,
        })
    }

    /// Google's on the hub, for transformers.
    #[test]
    fn transformers_networks_are_those_of_tensorflows_weights() {
        for (index, config) in [
            published(1.0, 1.0, 1280, 224, &[]),
            published(1.0, 1.1, 1280, 240, &[16]),
            published(1.1, 1.2, 1408, 260, &[5, 8, 16]),
            published(1.2, 1.4, 1536, 300, &[5, 18]),
            published(1.4, 1.8, 1792, 380, &[6]),
            published(1.6, 2.2, 2048, 456, &[13, 27]),
            published(1.8, 2.6, 2304, 528, &[31]),
            published(2.0, 3.1, 2560, 600, &[18]),
        ]
        .into_iter()
        .enumerate()
        {
            let (name, settings) = of_transformers(&config).expect("supported");
            assert_eq!(name, format!("tf_efficientnet_b{index}"));
            assert!(EfficientNetFamily.networks().contains(&name));
            let stated = if index > 1 { json!({ "drop_rate": 0.2 }) } else { json!({}) };
            assert_eq!(Value::Object(settings), stated);
        }
        let (name, settings) = of_transformers(&json!({ "depthwise_padding": [18] })).expect("the usual");
        let defaults = json!({ "drop_path_rate": 0.2 });
        assert_eq!((name.as_str(), Value::Object(settings)), ("tf_efficientnet_b7", defaults));
    }

    #[test]
    fn what_is_not_computed_is_named() {
        for (key, value) in [
            ("width_coefficient", json!(1.5)),
            ("hidden_dim", json!(1281)),
            ("image_size", json!(225)),
            ("image_size", json!([224, 240])),
            ("depthwise_padding", json!([11])),
            ("hidden_act", json!("relu")),
            ("pooling_type", json!("max")),
            ("strides", json!([1, 2, 2, 2, 1, 2, 2])),
            ("batch_norm_eps", json!("x")),
        ] {
            let mut config = published(1.0, 1.0, 1280, 224, &[]);
            config[key] = value;
            let error = of_transformers(&config).expect_err("refused");
            assert!(error.to_string().contains(&format!("`{key}`")) && error.hint_text().is_some(), "{error}");
        }
    }

    #[test]
    fn images_are_seen_as_in_the_papers() {
        let b3 = EfficientNetFamily.preprocessing("efficientnet_b3");
        assert_eq!((b3.resize, b3.crop, b3.interpolation), (Resize::Shortest(331), (300, 300), Interpolation::Bicubic));
        let v2 = EfficientNetFamily.preprocessing("tf_efficientnetv2_s");
        assert_eq!((v2.resize, v2.crop, v2.mean), (Resize::Shortest(384), (384, 384), [0.5; 3]));
    }
}
