//! Networks of inverted residual blocks, as timm's builder makes them: a stem, stages of blocks, a convolution at the
//! end. Which blocks a network has is said by `efficientnet.rs` and `mobilenet.rs`; what torchvision and transformers
//! call its tensors is in `inverted_names.rs`.

use serde_json::Value;

use super::convolutional::{Settings, refused_setting, unsupported_setting};
use crate::error::Result;
use crate::model::convolutional::{Activation, Block, ConvSpec, NetworkSpec, NormSpec, Padding, StageSpec};

/// TensorFlow's epsilon, which networks with its weights have.
pub const TENSORFLOW_EPSILON: f64 = 1e-3;

/// What a block is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One convolution (timm's `cn`).
    Plain,
    /// A convolution to more channels, and one of 1×1 back (`er`; "fused").
    Fused,
    /// A depthwise convolution and one of 1×1 (`ds`).
    Separable,
    /// 1×1 to more channels, depthwise, 1×1 back (`ir`; Sandler et al. 2018).
    Inverted,
}

/// Equal blocks one after another; only the first strides.
#[derive(Debug, Clone, Copy)]
pub struct Blocks {
    pub kind: Kind,
    pub repeats: i64,
    pub kernel: i64,
    pub stride: i64,
    /// How many times as many channels there are inside.
    pub expansion: f64,
    pub channels: i64,
    /// Whether squeeze-and-excitation stands before the last convolution.
    pub squeezes: bool,
    /// Whether x is added to what keeps its shape.
    pub skips: bool,
    /// In place of the network's.
    pub activation: Option<Activation>,
}

impl Blocks {
    /// With a skip, without squeeze-and-excitation, with the network's activation.
    pub const fn new(kind: Kind, repeats: i64, kernel: i64, stride: i64, expansion: f64, channels: i64) -> Self {
        Self { kind, repeats, kernel, stride, expansion, channels, squeezes: false, skips: true, activation: None }
    }

    /// With squeeze-and-excitation.
    pub const fn squeezing(self) -> Self {
        Self { squeezes: true, ..self }
    }

    /// With ReLU.
    pub const fn relu(self) -> Self {
        Self { activation: Some(Activation::Relu), ..self }
    }

    /// Without a skip.
    pub const fn without_skip(self) -> Self {
        Self { skips: false, ..self }
    }
}

/// How many channels the middle of squeeze-and-excitation has, and what it computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Squeeze {
    /// A quarter of the channels before the block; the block's activation and a sigmoid (EfficientNet).
    OfInputs,
    /// A quarter of those inside, in eights; ReLU and a hard sigmoid (MobileNetV3).
    OfExpanded,
}

/// A network before its layers are written down.
pub struct Inverted {
    /// Channels of the stem.
    pub stem: i64,
    /// timm's stages (`blocks.0`, …), their repeats and channels scaled.
    pub stages: Vec<Vec<Blocks>>,
    pub squeeze: Squeeze,
    /// Channels of the last convolution, which are the features.
    pub features: i64,
    /// Whether the last convolution reads the mean over all places, and has a bias in place of a norm (MobileNetV3).
    pub pools_first: bool,
    pub options: Options,
}

/// What timm's `model_args` can change of a network.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether convolutions that stride are padded as TensorFlow pads.
    same: bool,
    epsilon: f64,
    momentum: f64,
    activation: Activation,
    /// The share of the last block's results that stochastic depth leaves out in training; of the others
    /// proportionally less.
    drop_path: f64,
}

impl Options {
    /// Those of `settings`. A network of TensorFlow's weights (`tf_…`) is padded as there, and has its epsilon.
    ///
    /// # Errors
    /// A setting that is not supported or makes no sense.
    pub fn of(network: &str, activation: Activation, settings: &Settings) -> Result<Self> {
        let tensorflow = network.starts_with("tf_");
        let NormSpec { epsilon, momentum, .. } = NormSpec::new("");
        let epsilon = if tensorflow { TENSORFLOW_EPSILON } else { epsilon };
        let mut options = Self { same: tensorflow, epsilon, momentum, activation, drop_path: 0.0 };
        for (key, value) in settings {
            let within = |from: f64, to: f64| {
                let why = format!("is not a number from {from} to {to}");
                let number = value.as_f64().filter(|number| (from..=to).contains(number));
                number.ok_or_else(|| refused_setting(key, value, &why))
            };
            match key.as_str() {
                "pad_type" => {
                    options.same = match value.as_str() {
                        Some("") => false,
                        Some("same") => true,
                        _ => return Err(refused_setting(key, value, "must be `same` or empty")),
                    }
                }
                "bn_eps" => options.epsilon = within(0.0, 1.0)?,
                "bn_momentum" => options.momentum = within(0.0, 1.0)?,
                "drop_path_rate" => options.drop_path = within(0.0, 0.99)?,
                "act_layer" => {
                    let known = value.as_str().and_then(activation_named);
                    options.activation =
                        known.ok_or_else(|| refused_setting(key, value, "must be `relu`, `silu` or `hard_swish`"))?;
                }
                _ => return Err(unsupported_setting(key, value)),
            }
        }
        Ok(options)
    }
}

fn activation_named(name: &str) -> Option<Activation> {
    match name {
        "relu" => Some(Activation::Relu),
        "silu" | "swish" => Some(Activation::Silu),
        "hard_swish" => Some(Activation::HardSwish),
        _ => None,
    }
}

/// `channels` times `multiplier` in eights, rounded to the nearest, and up where that takes away more than `1 - limit`.
pub fn scaled(channels: i64, multiplier: f64, limit: f64) -> i64 {
    let exact = channels as f64 * multiplier;
    let rounded = (((exact + 4.0) as i64) / 8 * 8).max(8);
    if (rounded as f64) < limit * exact { rounded + 8 } else { rounded }
}

/// The usual limit of [`scaled`].
pub const TENTH: f64 = 0.9;

impl Inverted {
    /// A stage for the stem, one for each block, one for the last convolution.
    pub fn describe(&self, dropout: f64) -> NetworkSpec {
        let stem = self.conv("conv_stem", "bn1", 3, self.stem, 3).stride(2);
        let stem = vec![Block::Conv(self.padded(stem))];
        let mut stages = vec![StageSpec { name: "stem".to_owned(), blocks: stem }];
        let all = self.stages.iter().flatten().map(|blocks| blocks.repeats).sum::<i64>().max(1);
        let mut before = self.stem;
        for (index, groups) in self.stages.iter().enumerate() {
            let repeated = groups.iter().flat_map(|blocks| (0..blocks.repeats).map(move |_| blocks));
            for (number, blocks) in repeated.enumerate() {
                let name = format!("blocks.{index}.{number}");
                let stride = if number == 0 { blocks.stride } else { 1 };
                let drop = self.options.drop_path * (stages.len() as i64 - 1) as f64 / all as f64;
                let blocks = self.block(&name, &Blocks { stride, ..*blocks }, before, drop);
                before = blocks.iter().fold(before, |channels, block| block.channels(channels));
                stages.push(StageSpec { name, blocks });
            }
        }
        let last = self.conv("conv_head", "bn2", before, self.features, 1);
        let blocks = match self.pools_first {
            true => vec![Block::GlobalAverage, Block::Conv(ConvSpec { norm: None, bias: true, ..last })],
            false => vec![Block::Conv(last)],
        };
        stages.push(StageSpec { name: "conv_head".to_owned(), blocks });
        NetworkSpec { stages, head: "classifier", first: "conv_stem", dropout }
    }

    /// One block, `name`, on `before` channels; with stochastic depth if it skips.
    fn block(&self, name: &str, blocks: &Blocks, before: i64, drop: f64) -> Vec<Block<ConvSpec>> {
        let Blocks { kind, kernel, stride, channels, .. } = *blocks;
        let activation = blocks.activation.unwrap_or(self.options.activation);
        let inner = match kind {
            Kind::Plain | Kind::Separable => before,
            Kind::Fused | Kind::Inverted => scaled(before, blocks.expansion, TENTH),
        };
        let conv = |name_of: &str, number: usize, inputs: i64, outputs: i64, kernel: i64| {
            let conv = self.conv(&format!("{name}.{name_of}"), &format!("{name}.bn{number}"), inputs, outputs, kernel);
            ConvSpec { activation: Some(activation), ..conv }
        };
        let striding = |conv: ConvSpec| Block::Conv(self.padded(conv.stride(stride)));
        let depthwise =
            |number: usize| striding(ConvSpec { groups: inner, ..conv("conv_dw", number, inner, inner, kernel) });
        let squeeze = || blocks.squeezes.then(|| self.squeeze(name, before, inner, activation));
        let mut body = Vec::new();
        match kind {
            Kind::Plain => body.push(striding(conv("conv", 1, before, channels, kernel))),
            Kind::Fused => {
                body.push(striding(conv("conv_exp", 1, before, inner, kernel)));
                body.extend(squeeze());
                body.push(Block::Conv(conv("conv_pwl", 2, inner, channels, 1).linear()));
            }
            Kind::Separable => {
                body.push(depthwise(1));
                body.extend(squeeze());
                body.push(Block::Conv(conv("conv_pw", 2, inner, channels, 1).linear()));
            }
            Kind::Inverted => {
                body.push(Block::Conv(conv("conv_pw", 1, before, inner, 1)));
                body.push(depthwise(2));
                body.extend(squeeze());
                body.push(Block::Conv(conv("conv_pwl", 3, inner, channels, 1).linear()));
            }
        }
        match blocks.skips && stride == 1 && before == channels {
            true => vec![Block::Skip { body, drop }],
            false => body,
        }
    }

    fn squeeze(&self, name: &str, before: i64, inner: i64, activation: Activation) -> Block<ConvSpec> {
        let (channels, activation, gate) = match self.squeeze {
            Squeeze::OfInputs => ((before as f64 * 0.25).round_ties_even() as i64, activation, Activation::Sigmoid),
            Squeeze::OfExpanded => (scaled(inner, 0.25, TENTH), Activation::Relu, Activation::HardSigmoid),
        };
        let conv = |part: &str, inputs: i64, outputs: i64, activation: Activation| {
            let conv = ConvSpec::new(format!("{name}.se.conv_{part}"), "", inputs, outputs, 1);
            ConvSpec { norm: None, bias: true, activation: Some(activation), ..conv }
        };
        let (reduce, expand) = (conv("reduce", inner, channels, activation), conv("expand", channels, inner, gate));
        Block::SqueezeExcite { reduce, expand }
    }

    fn conv(&self, name: &str, norm: &str, inputs: i64, outputs: i64, kernel: i64) -> ConvSpec {
        let Options { epsilon, momentum, activation, .. } = self.options;
        let norm = Some(NormSpec { epsilon, momentum, ..NormSpec::new(norm) });
        ConvSpec { norm, activation: Some(activation), ..ConvSpec::new(name, "", inputs, outputs, kernel) }
    }

    /// With the padding of the network: that of stride 1 is the same everywhere.
    fn padded(&self, conv: ConvSpec) -> ConvSpec {
        match self.options.same && conv.stride > 1 {
            true => ConvSpec { padding: Padding::Same, ..conv },
            false => conv,
        }
    }
}

/// The setting that gives norms another epsilon and momentum, as torchvision's have.
pub fn norms(epsilon: f64, momentum: f64) -> Settings {
    [("bn_eps", epsilon), ("bn_momentum", momentum)]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect()
}
