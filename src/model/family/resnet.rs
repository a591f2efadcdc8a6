//! ResNet (He et al. 2016) as torchvision and timm have it: in bottlenecks the 3×3 convolution strides ("v1.5").

use serde_json::{Map, Value, json};

use super::convolutional::{ConvFamily, Settings, refused_setting, unsupported_setting};
use crate::error::{Error, Result};
use crate::model::checkpoint::Weights;
use crate::model::convolutional::{Block, ConvSpec, NetworkSpec, StageSpec, Window};

/// See the [module](self).
pub struct ResNetFamily;

/// More than any published network has.
const MOST_BLOCKS: i64 = 1_000;
const MOST_CHANNELS: i64 = 65_536;
/// timm makes no more.
const MOST_LAYERS: usize = 4;

/// What a residual block is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockKind {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3 and 1×1; the last has four times the channels.
    Bottleneck,
}

impl BlockKind {
    fn expansion(self) -> i64 {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// Sizes of a ResNet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ResNet {
    kind: BlockKind,
    /// Blocks of each layer, from `layer1` on.
    layers: Vec<i64>,
    /// Channels of each layer, before the expansion.
    channels: Vec<i64>,
}

/// The channels of those that have a name.
const CHANNELS: [i64; 4] = [64, 128, 256, 512];

/// Channels after the stem.
const STEM: i64 = 64;

/// Those that have a name.
const NAMED: [(&str, BlockKind, [i64; 4]); 5] = [
    ("resnet18", BlockKind::Basic, [2, 2, 2, 2]),
    ("resnet34", BlockKind::Basic, [3, 4, 6, 3]),
    ("resnet50", BlockKind::Bottleneck, [3, 4, 6, 3]),
    ("resnet101", BlockKind::Bottleneck, [3, 4, 23, 3]),
    ("resnet152", BlockKind::Bottleneck, [3, 8, 36, 3]),
];

impl ResNet {
    /// Stage 0 is the stem, every later one a residual block.
    fn describe(&self, dropout: f64) -> NetworkSpec {
        let stem = ConvSpec::new("conv1", "bn1", 3, STEM, 7).stride(2);
        let pool = Block::MaxPool(Window { size: 3, stride: 2, padding: 1 });
        let mut stages = vec![StageSpec { name: "stem".to_owned(), blocks: vec![Block::Conv(stem), pool] }];
        let mut before = STEM;
        for (layer, (&blocks, &channels)) in self.layers.iter().zip(&self.channels).enumerate() {
            for block in 0..blocks {
                let name = format!("layer{}.{block}", layer + 1);
                let stride = if layer > 0 && block == 0 { 2 } else { 1 };
                stages.push(StageSpec { blocks: vec![self.block(&name, before, channels, stride)], name });
                before = channels * self.kind.expansion();
            }
        }
        NetworkSpec { stages, head: "fc", first: "conv1", dropout }
    }

    fn block(&self, name: &str, before: i64, channels: i64, stride: i64) -> Block<ConvSpec> {
        let after = channels * self.kind.expansion();
        let conv = |number: usize, inputs: i64, outputs: i64, kernel: i64| {
            ConvSpec::new(format!("{name}.conv{number}"), format!("{name}.bn{number}"), inputs, outputs, kernel)
        };
        let body = match self.kind {
            BlockKind::Basic => {
                vec![conv(1, before, channels, 3).stride(stride), conv(2, channels, channels, 3).linear()]
            }
            BlockKind::Bottleneck => vec![
                conv(1, before, channels, 1),
                conv(2, channels, channels, 3).stride(stride),
                conv(3, channels, after, 1).linear(),
            ],
        };
        let shortcut = (stride != 1 || before != after).then(|| {
            let (name, norm) = (format!("{name}.downsample.0"), format!("{name}.downsample.1"));
            ConvSpec::new(name, norm, before, after, 1).stride(stride).linear()
        });
        Block::Residual { body, shortcut }
    }
}

impl ConvFamily for ResNetFamily {
    fn name(&self) -> &'static str {
        "resnet"
    }

    fn networks(&self) -> Vec<String> {
        NAMED.map(|(name, ..)| name.to_owned()).into()
    }

    fn spec(&self, network: &str, settings: &Settings, dropout: Option<f64>) -> Result<NetworkSpec> {
        let Some((_, kind, layers)) = NAMED.iter().find(|(name, ..)| *name == network) else {
            return Err(Error::failure(format!("`{network}` is not a ResNet")));
        };
        let mut resnet = ResNet { kind: *kind, layers: layers.to_vec(), channels: CHANNELS.to_vec() };
        for (key, value) in settings {
            match key.as_str() {
                "layers" => {
                    resnet.layers = sizes(value, MOST_BLOCKS)
                        .ok_or_else(|| refused_setting(key, value, "must be a list of 1 to 4 numbers of blocks"))?;
                }
                "channels" => {
                    resnet.channels = sizes(value, MOST_CHANNELS)
                        .ok_or_else(|| refused_setting(key, value, "must be a list of 1 to 4 numbers of channels"))?;
                }
                _ => return Err(unsupported_setting(key, value)),
            }
        }
        let (layers, channels) = (resnet.layers.len(), resnet.channels.len());
        if layers != channels {
            return Err(Error::request(format!("{layers} layers, but the channels of {channels}"))
                .key("model_args")
                .hint("give `layers` and `channels` of one length"));
        }
        Ok(resnet.describe(dropout.unwrap_or(0.0)))
    }

    fn marks(&self, weights: &Weights) -> bool {
        weights.has("layer1.0.conv1.weight")
    }

    fn of_weights(&self, weights: &Weights) -> Option<(String, Settings)> {
        let blocks = |layer: usize| {
            let has = |block: &i64| weights.has(&format!("layer{layer}.{block}.conv1.weight"));
            (0..MOST_BLOCKS).take_while(has).count() as i64
        };
        let layers: Vec<i64> = (1..=MOST_LAYERS).map(blocks).take_while(|&blocks| blocks > 0).collect();
        let channels = (1..=layers.len())
            .map(|layer| weights.shape(&format!("layer{layer}.0.conv1.weight"))?.first().map(|&size| size as i64));
        let channels: Vec<i64> = channels.collect::<Option<_>>()?;
        let bottleneck = weights.has("layer1.0.conv3.weight");
        let kind = if bottleneck { BlockKind::Bottleneck } else { BlockKind::Basic };
        (!layers.is_empty()).then(|| by_timm(kind, layers, channels))
    }

    fn of_transformers(&self, config: &Value) -> Result<(String, Settings)> {
        of_transformers(config)
    }
}

/// What timm calls the ResNet of these sizes: its own name, or another's with settings.
fn by_timm(kind: BlockKind, layers: Vec<i64>, channels: Vec<i64>) -> (String, Settings) {
    let named = NAMED.iter().find(|(_, known, blocks)| *known == kind && blocks[..] == layers[..]);
    let base = match kind {
        BlockKind::Basic => "resnet18",
        BlockKind::Bottleneck => "resnet50",
    };
    let mut settings = Map::new();
    if named.is_none() {
        settings.insert("layers".to_owned(), json!(layers));
    }
    if channels != CHANNELS {
        settings.insert("channels".to_owned(), json!(channels));
    }
    (named.map_or(base, |(name, ..)| name).to_owned(), settings)
}

/// A list of 1 to 4 sizes.
fn sizes(value: &Value, most: i64) -> Option<Vec<i64>> {
    let list = value.as_array().filter(|list| (1..=MOST_LAYERS).contains(&list.len()))?;
    list.iter().map(|size| size.as_i64().filter(|size| (1..=most).contains(size))).collect()
}

/// From the `config.json` of transformers' `ResNetForImageClassification`.
fn of_transformers(config: &Value) -> Result<(String, Settings)> {
    let given = |key: &str| config.get(key).filter(|value| !value.is_null());
    let refused = |key: &str, what: String| {
        Err(Error::request(what)
            .key(key)
            .hint("ResNet-18 to ResNet-152 are supported, and the variants of them that timm has"))
    };
    let plain = [
        ("num_channels", json!(3)),
        ("embedding_size", json!(STEM)),
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
        Some("basic") => BlockKind::Basic,
        Some("bottleneck") => BlockKind::Bottleneck,
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
    Ok(by_timm(kind, depths, widths.iter().map(|width| width / kind.expansion()).collect()))
}
