//! A convolutional network without weights: its stages, their blocks, and what follows for channels and extents.
//! Families (`family/resnet.rs`, `vgg.rs`, `inception.rs`, `inverted.rs`) describe themselves in these terms;
//! `layers.rs` computes them.

use crate::error::Result;

/// A network's stages, and what it calls its ends.
#[derive(Debug, Clone)]
pub struct NetworkSpec {
    pub stages: Vec<StageSpec>,
    /// The name of the linear layer after the last stage.
    pub head: &'static str,
    /// The name of the first convolution.
    pub first: &'static str,
    /// Dropout before the head.
    pub dropout: f64,
}

/// One stage: blocks one after another.
#[derive(Debug, Clone)]
pub struct StageSpec {
    pub name: String,
    pub blocks: Vec<Block<ConvSpec>>,
}

impl NetworkSpec {
    /// Channels after each number of stages, from 0 on.
    pub fn channels(&self) -> Vec<i64> {
        let mut channels = vec![3];
        for stage in &self.stages {
            let before = channels.last().copied().unwrap_or(3);
            channels.push(stage.blocks.iter().fold(before, |channels, block| block.channels(channels)));
        }
        channels
    }

    /// Extents after each number of stages, from 0 on; none when the images are too small.
    pub fn extents(&self, image: Extent) -> Option<Vec<Extent>> {
        let mut extents = vec![image];
        for stage in &self.stages {
            let before = *extents.last()?;
            extents.push(stage.blocks.iter().try_fold(before, |extent, block| block.extent(extent))?);
        }
        Some(extents)
    }

    /// Height and width of the smallest images that it can take.
    pub fn smallest(&self) -> i64 {
        (1..1024).find(|&side| self.extents([side; 2]).is_some()).unwrap_or(1024)
    }
}

/// Height and width of an image or of activations, in pixels.
pub type Extent = [i64; 2];

/// A convolution, with a batch norm or a bias, and perhaps an activation.
#[derive(Debug, Clone)]
pub struct ConvSpec {
    /// `layer1.0.conv1` gives `layer1.0.conv1.weight`.
    pub name: String,
    /// Without one the convolution has a bias.
    pub norm: Option<NormSpec>,
    /// Beside a norm, too (VGG's convolutions).
    pub bias: bool,
    pub inputs: i64,
    pub outputs: i64,
    /// Equal parts of the channels that are convolved each by themselves; depthwise there are as many as channels.
    pub groups: i64,
    pub kernel: Extent,
    pub stride: i64,
    pub padding: Padding,
    pub activation: Option<Activation>,
}

/// A batch norm.
#[derive(Debug, Clone)]
pub struct NormSpec {
    /// `bn1` gives `bn1.weight`.
    pub name: String,
    /// Added to the variance.
    pub epsilon: f64,
    /// How much a batch counts in the running mean and variance.
    pub momentum: f64,
}

impl NormSpec {
    /// With torch's epsilon and momentum.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), epsilon: 1e-5, momentum: 0.1 }
    }
}

/// Zeros around what is convolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// So many above and below, and left and right.
    Fixed(Extent),
    /// TensorFlow's "SAME": as many as give `extent / stride` places, rounded up; an odd one below and at the right.
    Same,
}

impl Padding {
    /// Zeros above, below, left and right of activations of `extent`.
    pub fn around(self, extent: Extent, kernel: Extent, stride: i64) -> [i64; 4] {
        let same = |extent: i64, kernel: i64| {
            let stride = stride.max(1);
            let all = (((extent + stride - 1) / stride - 1) * stride + kernel - extent).max(0);
            [all / 2, all - all / 2]
        };
        match self {
            Self::Fixed([down, across]) => [down, down, across, across],
            Self::Same => {
                let [[top, bottom], [left, right]] = [same(extent[0], kernel[0]), same(extent[1], kernel[1])];
                [top, bottom, left, right]
            }
        }
    }
}

/// What is done to every value after a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    Relu,
    /// `x · sigmoid(x)`.
    Silu,
    /// `x · hardsigmoid(x)`.
    HardSwish,
    Sigmoid,
    /// `min(max(x + 3, 0), 6) / 6`.
    HardSigmoid,
}

impl ConvSpec {
    /// A square kernel, stride 1, padding that keeps the extent, a norm, no bias, then ReLU.
    pub fn new(name: impl Into<String>, norm: impl Into<String>, inputs: i64, outputs: i64, kernel: i64) -> Self {
        Self {
            name: name.into(),
            norm: Some(NormSpec::new(norm)),
            bias: false,
            inputs,
            outputs,
            groups: 1,
            kernel: [kernel; 2],
            stride: 1,
            padding: Padding::Fixed([kernel / 2; 2]),
            activation: Some(Activation::Relu),
        }
    }

    pub fn stride(self, stride: i64) -> Self {
        Self { stride, ..self }
    }

    /// Without an activation.
    pub fn linear(self) -> Self {
        Self { activation: None, ..self }
    }

    /// The shape of its weight.
    pub fn shape(&self) -> [i64; 4] {
        let [height, width] = self.kernel;
        [self.outputs, self.inputs / self.groups.max(1), height, width]
    }

    /// How many places its kernel finds; none when there are too few values for it.
    fn extent(&self, before: Extent) -> Option<Extent> {
        moved(before, self.kernel, self.stride, self.padding.around(before, self.kernel, self.stride))
    }
}

/// A window that moves over the activations; the same for every channel.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub size: i64,
    pub stride: i64,
    pub padding: i64,
}

/// A part of a stage, of convolutions `C`.
#[derive(Debug, Clone)]
pub enum Block<C> {
    Conv(C),
    MaxPool(Window),
    /// The padding counts as zeros.
    AveragePool(Window),
    /// `relu(body(x) + shortcut(x))`; without a shortcut x itself is added.
    Residual {
        body: Vec<C>,
        shortcut: Option<C>,
    },
    /// `body(x) + x`, without anything after it.
    Skip {
        body: Vec<Block<C>>,
        /// With this probability an image's `body(x)` is left out in training, and otherwise enlarged accordingly
        /// (stochastic depth, Huang et al. 2016; timm's `drop_path_rate`).
        drop: f64,
    },
    /// `x · expand(reduce(mean of x))`, with a mean for each image and channel (Hu et al. 2018).
    SqueezeExcite {
        reduce: C,
        expand: C,
    },
    /// The mean over all places, as activations of one place.
    GlobalAverage,
    /// Each on the same activations, the results side by side in the channels.
    Branches(Vec<Vec<Block<C>>>),
    /// Brings what is smaller than this, in either direction, to this by adaptive average pooling.
    AtLeast(i64),
    Dropout(f64),
}

impl Block<ConvSpec> {
    /// The same block with what `make` makes of its convolutions, in order.
    pub fn build<C>(&self, make: &mut dyn FnMut(&ConvSpec) -> Result<C>) -> Result<Block<C>> {
        Ok(match self {
            Self::Conv(conv) => Block::Conv(make(conv)?),
            Self::MaxPool(window) => Block::MaxPool(*window),
            Self::AveragePool(window) => Block::AveragePool(*window),
            Self::Residual { body, shortcut } => Block::Residual {
                body: body.iter().map(&mut *make).collect::<Result<_>>()?,
                shortcut: shortcut.as_ref().map(make).transpose()?,
            },
            Self::Skip { body, drop } => Block::Skip { body: Self::build_all(body, make)?, drop: *drop },
            Self::SqueezeExcite { reduce, expand } => {
                Block::SqueezeExcite { reduce: make(reduce)?, expand: make(expand)? }
            }
            Self::GlobalAverage => Block::GlobalAverage,
            Self::Branches(branches) => {
                Block::Branches(branches.iter().map(|blocks| Self::build_all(blocks, make)).collect::<Result<_>>()?)
            }
            Self::AtLeast(extent) => Block::AtLeast(*extent),
            Self::Dropout(p) => Block::Dropout(*p),
        })
    }

    /// The same of blocks one after another.
    pub fn build_all<C>(blocks: &[Self], make: &mut dyn FnMut(&ConvSpec) -> Result<C>) -> Result<Vec<Block<C>>> {
        blocks.iter().map(|block| block.build(make)).collect()
    }

    /// The channels after the block, from those before it.
    pub fn channels(&self, before: i64) -> i64 {
        match self {
            Self::Conv(conv) => conv.outputs,
            Self::Residual { body, .. } => body.last().map_or(before, |conv| conv.outputs),
            Self::Branches(branches) => branches
                .iter()
                .map(|blocks| blocks.iter().fold(before, |channels, block| block.channels(channels)))
                .sum(),
            Self::Skip { .. } | Self::SqueezeExcite { .. } | Self::GlobalAverage => before,
            Self::MaxPool(_) | Self::AveragePool(_) | Self::AtLeast(_) | Self::Dropout(_) => before,
        }
    }

    /// The extent after the block, from that before it; none when that is too small for it.
    pub fn extent(&self, before: Extent) -> Option<Extent> {
        match self {
            Self::Conv(conv) => conv.extent(before),
            Self::MaxPool(window) | Self::AveragePool(window) => {
                moved(before, [window.size; 2], window.stride, [window.padding; 4])
            }
            Self::Residual { body, .. } => body.iter().try_fold(before, |extent, conv| conv.extent(extent)),
            Self::GlobalAverage => Some([1, 1]),
            Self::Branches(branches) => {
                let of = |blocks: &Vec<Self>| blocks.iter().try_fold(before, |extent, block| block.extent(extent));
                branches.iter().map(of).collect::<Option<Vec<_>>>()?.first().copied()
            }
            Self::AtLeast(extent) => Some(before.map(|size| size.max(*extent))),
            Self::Skip { .. } | Self::SqueezeExcite { .. } | Self::Dropout(_) => Some(before),
        }
    }
}

/// How many places a kernel finds, with zeros above, below, left and right.
fn moved(extent: Extent, kernel: Extent, stride: i64, padding: [i64; 4]) -> Option<Extent> {
    let [top, bottom, left, right] = padding;
    let places = |extent: i64, padding: i64, kernel: i64| {
        let room = extent + padding - kernel;
        (room >= 0).then(|| room / stride.max(1) + 1)
    };
    Some([places(extent[0], top + bottom, kernel[0])?, places(extent[1], left + right, kernel[1])?])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As timm's `pad_same`.
    #[test]
    fn same_padding_gives_the_extent_over_the_stride_rounded_up() {
        let around = |extent: i64, kernel: i64| Padding::Same.around([extent, 8], [kernel, 3], 2);
        assert_eq!(around(224, 3), [0, 1, 0, 1]);
        assert_eq!(around(224, 5), [1, 2, 0, 1]);
        assert_eq!(around(15, 5), [2, 2, 0, 1]);
        assert_eq!(around(15, 3), [1, 1, 0, 1]);
        assert_eq!(around(1, 5), [2, 2, 0, 1]);
        let conv = ConvSpec { padding: Padding::Same, ..ConvSpec::new("", "", 1, 1, 5).stride(2) };
        for extent in 1..20 {
            assert_eq!(conv.extent([extent, 40]), Some([(extent + 1) / 2, 20]));
        }
    }
}
