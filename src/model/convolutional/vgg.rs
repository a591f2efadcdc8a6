//! VGG (Simonyan and Zisserman 2015). Its two hidden fully connected layers are convolutions that fill a map of 7×7, as in timm
//! and in the paper's dense evaluation: smaller maps are brought to 7×7 (as torchvision does), over larger ones they move, and
//! the pooling averages.

use super::layers::{Block, ConvSpec, Window};
use super::{Description, StageSpec};

/// Which VGG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vgg {
    /// Convolutions in each of the five groups that end in a pool.
    pub groups: [i64; 5],
    /// Whether batch norms follow the convolutions.
    pub norm: bool,
}

/// Those that have a name (with `_bn` after it when they have norms), by their weight layers.
pub const NAMED: [(&str, [i64; 5]); 4] =
    [("vgg11", [1, 1, 2, 2, 2]), ("vgg13", [2, 2, 2, 2, 2]), ("vgg16", [2, 2, 3, 3, 3]), ("vgg19", [2, 2, 4, 4, 4])];

const CHANNELS: [i64; 5] = [64, 128, 256, 512, 512];
/// Width of the fully connected layers.
const HIDDEN: i64 = 4096;
/// Extent of the map that the first of them fills.
const MAP: i64 = 7;
pub const DROPOUT: f64 = 0.5;

impl Vgg {
    /// A stage for each convolution (a group's last one with the pool), then one for each hidden fully connected layer.
    /// `dropout` is drawn after both of these.
    pub fn describe(&self, dropout: f64) -> Description {
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
            ConvSpec { norm: None, bias: true, padding: [0; 2], ..ConvSpec::new(name, "", inputs, HIDDEN, kernel) }
        };
        let blocks = vec![Block::AtLeast(MAP), Block::Conv(full(1, before, MAP)), Block::Dropout(dropout)];
        stages.push(StageSpec { name: "pre_logits.fc1".to_owned(), blocks });
        let blocks = vec![Block::Conv(full(2, HIDDEN, 1))];
        stages.push(StageSpec { name: "pre_logits.fc2".to_owned(), blocks });
        Description { stages, head: "head.fc", first: "features.0", dropout }
    }
}
