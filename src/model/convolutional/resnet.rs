//! ResNet (He et al. 2016) as torchvision and timm have it: in bottlenecks the 3×3 convolution strides ("v1.5").

use super::layers::{Block, ConvSpec, Window};
use super::{Description, StageSpec};

/// What a residual block is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3 and 1×1; the last has four times the channels.
    Bottleneck,
}

impl Kind {
    pub fn expansion(self) -> i64 {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// Sizes of a ResNet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResNet {
    pub kind: Kind,
    /// Blocks of each layer, from `layer1` on.
    pub layers: Vec<i64>,
    /// Channels of each layer, before the expansion.
    pub channels: Vec<i64>,
}

/// The channels of those that have a name.
pub const CHANNELS: [i64; 4] = [64, 128, 256, 512];

/// Channels behind the stem.
pub const STEM: i64 = 64;

/// Those that have a name.
pub const NAMED: [(&str, Kind, [i64; 4]); 5] = [
    ("resnet18", Kind::Basic, [2, 2, 2, 2]),
    ("resnet34", Kind::Basic, [3, 4, 6, 3]),
    ("resnet50", Kind::Bottleneck, [3, 4, 6, 3]),
    ("resnet101", Kind::Bottleneck, [3, 4, 23, 3]),
    ("resnet152", Kind::Bottleneck, [3, 8, 36, 3]),
];

impl ResNet {
    /// Stage 0 is the stem, every later one a residual block.
    pub fn describe(&self) -> Description {
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
        Description { stages, head: "fc", first: "conv1", dropout: 0.0 }
    }

    fn block(&self, name: &str, before: i64, channels: i64, stride: i64) -> Block<ConvSpec> {
        let after = channels * self.kind.expansion();
        let conv = |number: usize, inputs: i64, outputs: i64, kernel: i64| {
            ConvSpec::new(format!("{name}.conv{number}"), format!("{name}.bn{number}"), inputs, outputs, kernel)
        };
        let body = match self.kind {
            Kind::Basic => {
                vec![conv(1, before, channels, 3).stride(stride), conv(2, channels, channels, 3).linear()]
            }
            Kind::Bottleneck => vec![
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
