//! MobileNetV3 (Howard et al. 2019) as timm has it: the plain ones, and those of TensorFlow's weights (`tf_…`), which
//! pad as there. Checkpoints of torchvision are brought into timm's names.
//!
//! The layer between pooling and classifier is the backbone's last stage: it was pretrained with the network, and all
//! that is said of stages (frozen, trained, cached) holds for it too.

use super::convolutional::{ConvFamily, Settings};
use super::inverted::{Blocks, Inverted, Kind, Options, Squeeze, TENSORFLOW_EPSILON, TENTH, norms, scaled};
use super::inverted_names::{self, TorchvisionNames};
use crate::error::{Error, Result};
use crate::image::Preprocessing;
use crate::model::checkpoint::Weights;
use crate::model::convolutional::{Activation, NetworkSpec};

/// See the [module](self).
pub struct MobileNetFamily;

use Kind::{Inverted as Block, Plain, Separable};

/// Groups of equal blocks, with the number of timm's stage that each belongs to.
type Stages = [(usize, Blocks)];

const LARGE: [(usize, Blocks); 10] = [
    (0, Blocks::new(Separable, 1, 3, 1, 1.0, 16).relu()),
    (1, Blocks::new(Block, 1, 3, 2, 4.0, 24).relu()),
    (1, Blocks::new(Block, 1, 3, 1, 3.0, 24).relu()),
    (2, Blocks::new(Block, 3, 5, 2, 3.0, 40).squeezing().relu()),
    (3, Blocks::new(Block, 1, 3, 2, 6.0, 80)),
    (3, Blocks::new(Block, 1, 3, 1, 2.5, 80)),
    (3, Blocks::new(Block, 2, 3, 1, 2.3, 80)),
    (4, Blocks::new(Block, 2, 3, 1, 6.0, 112).squeezing()),
    (5, Blocks::new(Block, 3, 5, 2, 6.0, 160).squeezing()),
    (6, Blocks::new(Plain, 1, 1, 1, 1.0, 960).without_skip()),
];
const SMALL: [(usize, Blocks); 8] = [
    (0, Blocks::new(Separable, 1, 3, 2, 1.0, 16).squeezing().relu()),
    (1, Blocks::new(Block, 1, 3, 2, 4.5, 24).relu()),
    (1, Blocks::new(Block, 1, 3, 1, 3.67, 24).relu()),
    (2, Blocks::new(Block, 1, 5, 2, 4.0, 40).squeezing()),
    (2, Blocks::new(Block, 2, 5, 1, 6.0, 40).squeezing()),
    (3, Blocks::new(Block, 2, 5, 1, 3.0, 48).squeezing()),
    (4, Blocks::new(Block, 3, 5, 2, 6.0, 96).squeezing()),
    (5, Blocks::new(Plain, 1, 1, 1, 1.0, 576).without_skip()),
];

/// A network of the family.
struct Named {
    name: &'static str,
    stages: &'static Stages,
    features: i64,
    /// What channels are multiplied by.
    width: f64,
    /// Without squeeze-and-excitation and hard swish, and with kernels of 3×3.
    minimal: bool,
    /// The tag of its trained weights on the hub: those that timm trained on ImageNet-1k, or TensorFlow's.
    trained: Option<&'static str>,
}

const fn large(name: &'static str, width: f64, trained: Option<&'static str>) -> Named {
    Named { name, stages: &LARGE, features: 1280, width, minimal: false, trained }
}

const fn small(name: &'static str, width: f64, trained: Option<&'static str>) -> Named {
    Named { name, stages: &SMALL, features: 1024, width, minimal: false, trained }
}

/// Those that have a name.
const NAMED: [Named; 11] = [
    large("mobilenetv3_large_075", 0.75, None),
    large("mobilenetv3_large_100", 1.0, Some("ra_in1k")),
    small("mobilenetv3_small_050", 0.5, Some("lamb_in1k")),
    small("mobilenetv3_small_075", 0.75, Some("lamb_in1k")),
    small("mobilenetv3_small_100", 1.0, Some("lamb_in1k")),
    large("tf_mobilenetv3_large_075", 0.75, Some("in1k")),
    large("tf_mobilenetv3_large_100", 1.0, Some("in1k")),
    Named { minimal: true, ..large("tf_mobilenetv3_large_minimal_100", 1.0, Some("in1k")) },
    small("tf_mobilenetv3_small_075", 0.75, Some("in1k")),
    small("tf_mobilenetv3_small_100", 1.0, Some("in1k")),
    Named { minimal: true, ..small("tf_mobilenetv3_small_minimal_100", 1.0, Some("in1k")) },
];

const STEM: i64 = 16;
const DROPOUT: f64 = 0.2;

impl Named {
    fn of(network: &str) -> Result<&'static Self> {
        let named = NAMED.iter().find(|named| named.name == network);
        named.ok_or_else(|| Error::failure(format!("`{network}` is not a MobileNetV3")))
    }

    /// The activation of its blocks, where theirs is not another.
    fn activation(&self) -> Activation {
        if self.minimal { Activation::Relu } else { Activation::HardSwish }
    }

    fn inverted(&self, options: Options) -> Inverted {
        let wide = |channels: i64| scaled(channels, self.width, TENTH);
        let mut stages: Vec<Vec<Blocks>> = Vec::new();
        for (stage, blocks) in self.stages {
            let mut blocks = Blocks { channels: wide(blocks.channels), ..*blocks };
            if self.minimal {
                blocks = Blocks { squeezes: false, kernel: blocks.kernel.min(3), activation: None, ..blocks };
            }
            match stages.get_mut(*stage) {
                Some(groups) => groups.push(blocks),
                None => stages.push(vec![blocks]),
            }
        }
        Inverted {
            // The narrowest keeps it whole.
            stem: if self.width < 0.75 { STEM } else { wide(STEM) },
            stages,
            squeeze: Squeeze::OfExpanded,
            features: self.features,
            pools_first: true,
            options,
        }
    }
}

impl ConvFamily for MobileNetFamily {
    fn name(&self) -> &'static str {
        "mobilenetv3"
    }

    fn networks(&self) -> Vec<String> {
        NAMED.iter().map(|named| named.name.to_owned()).collect()
    }

    fn spec(&self, network: &str, settings: &Settings, dropout: Option<f64>) -> Result<NetworkSpec> {
        let named = Named::of(network)?;
        let options = Options::of(network, named.activation(), settings)?;
        Ok(named.inverted(options).describe(dropout.unwrap_or(DROPOUT)))
    }

    fn marks(&self, weights: &Weights) -> bool {
        weights.has("conv_stem.weight") && weights.has("conv_head.bias")
            || weights.has("features.0.0.weight") && weights.has("features.1.block.0.0.weight")
    }

    /// torchvision's alone. The names of timm's tensors do not tell how the network pads.
    fn of_weights(&self, weights: &Weights) -> Option<(String, Settings)> {
        ["mobilenetv3_large_100", "mobilenetv3_small_100"].into_iter().find_map(|name| {
            let spec = self.spec(name, &Settings::new(), None).ok()?;
            // As torchvision builds them.
            let settings = norms(TENSORFLOW_EPSILON, 0.01);
            TorchvisionNames::MobileNet.fit(&spec, weights).then(|| (name.to_owned(), settings))
        })
    }

    fn translate(&self, spec: &NetworkSpec, weights: &mut Weights) -> Result<()> {
        inverted_names::translate(TorchvisionNames::MobileNet, spec, weights)
    }

    fn preprocessing(&self, network: &str) -> Preprocessing {
        let usual = Preprocessing::imagenet(224);
        match network.starts_with("tf_") {
            true => Preprocessing { mean: [0.5; 3], std: [0.5; 3], ..usual },
            false => usual,
        }
    }

    fn trained_tag(&self, network: &str) -> Option<&'static str> {
        Named::of(network).ok()?.trained
    }
}
