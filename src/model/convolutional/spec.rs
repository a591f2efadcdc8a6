//! A convolutional network without weights: its stages, their blocks, and what follows for channels and extents.
//! Families (`family/resnet.rs`, `vgg.rs`, `inception.rs`) describe themselves in these terms; `layers.rs` computes
//! them.

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

/// A convolution, with a batch norm or a bias, and perhaps a ReLU.
#[derive(Debug, Clone)]
pub struct ConvSpec {
    /// `layer1.0.conv1` gives `layer1.0.conv1.weight`.
    pub name: String,
    /// The batch norm's name and epsilon. Without one the convolution has a bias.
    pub norm: Option<(String, f64)>,
    /// Beside a norm, too (VGG's convolutions).
    pub bias: bool,
    pub inputs: i64,
    pub outputs: i64,
    pub kernel: Extent,
    pub stride: i64,
    pub padding: Extent,
    pub relu: bool,
}

impl ConvSpec {
    /// A square kernel, stride 1, padding that keeps the extent, a norm, no bias, then ReLU.
    pub fn new(name: impl Into<String>, norm: impl Into<String>, inputs: i64, outputs: i64, kernel: i64) -> Self {
        Self {
            name: name.into(),
            norm: Some((norm.into(), 1e-5)),
            bias: false,
            inputs,
            outputs,
            kernel: [kernel; 2],
            stride: 1,
            padding: [kernel / 2; 2],
            relu: true,
        }
    }

    pub fn stride(self, stride: i64) -> Self {
        Self { stride, ..self }
    }

    /// Without the ReLU.
    pub fn linear(self) -> Self {
        Self { relu: false, ..self }
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
            Self::Branches(branches) => Block::Branches(
                branches
                    .iter()
                    .map(|blocks| blocks.iter().map(|block| block.build(make)).collect())
                    .collect::<Result<_>>()?,
            ),
            Self::AtLeast(extent) => Block::AtLeast(*extent),
            Self::Dropout(p) => Block::Dropout(*p),
        })
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
            Self::MaxPool(_) | Self::AveragePool(_) | Self::AtLeast(_) | Self::Dropout(_) => before,
        }
    }

    /// The extent after the block, from that before it; none when that is too small for it.
    pub fn extent(&self, before: Extent) -> Option<Extent> {
        let through = |extent: Option<Extent>, conv: &ConvSpec| moved(extent?, conv.kernel, conv.stride, conv.padding);
        match self {
            Self::Conv(conv) => through(Some(before), conv),
            Self::MaxPool(window) | Self::AveragePool(window) => {
                moved(before, [window.size; 2], window.stride, [window.padding; 2])
            }
            Self::Residual { body, .. } => body.iter().fold(Some(before), through),
            Self::Branches(branches) => {
                let of = |blocks: &Vec<Self>| blocks.iter().try_fold(before, |extent, block| block.extent(extent));
                branches.iter().map(of).collect::<Option<Vec<_>>>()?.first().copied()
            }
            Self::AtLeast(extent) => Some(before.map(|size| size.max(*extent))),
            Self::Dropout(_) => Some(before),
        }
    }
}

/// How many places a kernel finds.
fn moved(extent: Extent, kernel: Extent, stride: i64, padding: Extent) -> Option<Extent> {
    let places = |side: usize| {
        let room = extent.get(side)? + 2 * padding.get(side)? - kernel.get(side)?;
        (room >= 0).then(|| room / stride.max(1) + 1)
    };
    Some([places(0)?, places(1)?])
}
