//! VGG (Simonyan and Zisserman 2015). Its two hidden fully connected layers are convolutions that fill a map of 7×7, as
//! in timm and in the paper's dense evaluation: smaller maps are brought to 7×7 (as torchvision does), over larger ones
//! they move, and the pooling averages.

use super::convolutional::{ConvFamily, Settings, unsupported_setting};
use crate::error::{Error, Result};
use crate::model::checkpoint::Weights;
use crate::model::convolutional::{Block, ConvSpec, NetworkSpec, Padding, StageSpec, Window};

/// See the [module](self).
pub struct VggFamily;

/// Which VGG.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Vgg {
    /// Convolutions in each of the five groups that end in a pool.
    groups: [i64; 5],
    /// Whether batch norms follow the convolutions.
    norm: bool,
}

/// Those that have a name (with `_bn` after it when they have norms), by their weight layers.
const NAMED: [(&str, [i64; 5]); 4] =
    [("vgg11", [1, 1, 2, 2, 2]), ("vgg13", [2, 2, 2, 2, 2]), ("vgg16", [2, 2, 3, 3, 3]), ("vgg19", [2, 2, 4, 4, 4])];

const CHANNELS: [i64; 5] = [64, 128, 256, 512, 512];
/// Width of the fully connected layers.
const HIDDEN: i64 = 4096;
/// Extent of the map that the first of them fills.
const MAP: i64 = 7;
const DROPOUT: f64 = 0.5;

impl Vgg {
    /// A stage for each convolution (a group's last one with the pool), then one for each hidden fully connected layer.
    /// `dropout` is drawn after both of these.
    fn describe(&self, dropout: f64) -> NetworkSpec {
        let mut stages = Vec::new();
        let (mut before, mut index) = (3, 0);
        for (convolutions, channels) in self.groups.into_iter().zip(CHANNELS) {
            for number in 1..=convolutions {
                let name = format!("features.{index}");
                let mut conv = ConvSpec::new(name.clone(), format!("features.{}", index + 1), before, channels, 3);
                conv.bias = true;
                if !self.norm {
                    conv.norm = None;
                }
                let mut blocks = vec![Block::Conv(conv)];
                // Counted in the list of layers: the convolution, its norm, its ReLU, the pool.
                index += if self.norm { 3 } else { 2 };
                if number == convolutions {
                    blocks.push(Block::MaxPool(Window { size: 2, stride: 2, padding: 0 }));
                    index += 1;
                }
                stages.push(StageSpec { name, blocks });
                before = channels;
            }
        }
        let full = |number: usize, inputs: i64, kernel: i64| {
            let name = format!("pre_logits.fc{number}");
            let padding = Padding::Fixed([0; 2]);
            ConvSpec { norm: None, bias: true, padding, ..ConvSpec::new(name, "", inputs, HIDDEN, kernel) }
        };
        let blocks = vec![Block::AtLeast(MAP), Block::Conv(full(1, before, MAP)), Block::Dropout(dropout)];
        stages.push(StageSpec { name: "pre_logits.fc1".to_owned(), blocks });
        let blocks = vec![Block::Conv(full(2, HIDDEN, 1))];
        stages.push(StageSpec { name: "pre_logits.fc2".to_owned(), blocks });
        NetworkSpec { stages, head: "head.fc", first: "features.0", dropout }
    }
}

impl ConvFamily for VggFamily {
    fn name(&self) -> &'static str {
        "vgg"
    }

    fn networks(&self) -> Vec<String> {
        NAMED.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("{name}_bn")]).collect()
    }

    fn spec(&self, network: &str, settings: &Settings, dropout: Option<f64>) -> Result<NetworkSpec> {
        let (stem, norm) = network.strip_suffix("_bn").map_or((network, false), |stem| (stem, true));
        let Some((_, groups)) = NAMED.iter().find(|(name, _)| *name == stem) else {
            return Err(Error::failure(format!("`{network}` is not a VGG")));
        };
        match settings.iter().next() {
            Some((key, value)) => Err(unsupported_setting(key, value)),
            None => Ok(Vgg { groups: *groups, norm }.describe(dropout.unwrap_or(DROPOUT))),
        }
    }

    fn marks(&self, weights: &Weights) -> bool {
        weights.has("features.0.weight")
    }

    fn of_weights(&self, weights: &Weights) -> Option<(String, Settings)> {
        let is_convolution =
            |name: &&str| name.starts_with("features.") && weights.shape(name).is_some_and(|shape| shape.len() == 4);
        let convolutions = weights.names().filter(is_convolution).count() as i64;
        let (name, _) = NAMED.iter().find(|(_, groups)| groups.iter().sum::<i64>() == convolutions)?;
        let norm = if weights.has("features.1.running_mean") { "_bn" } else { "" };
        Some((format!("{name}{norm}"), Settings::new()))
    }

    fn head_std(&self, _features: i64) -> f64 {
        0.01
    }
}
