//! What convolutional networks are made of: convolutions with their norm, pools, residual blocks, branches. First as a
//! description, without numbers ([`ConvSpec`]), then as what computes ([`Conv`]).
//!
//! Which layers a network has is the affair of `resnet.rs`, `vgg.rs` and `inception.rs`; where the numbers come from, of `source.rs`.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::model::backbone::{DropoutKeys, Pass};
use crate::model::parameters::{cast, copied};
use crate::native::{self, FixedConvolution};

/// How much a batch counts in the running mean and variance, as in torch.
const MOMENTUM: f64 = 0.1;

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

    /// The channels behind the block, from those before it.
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

    /// The extent behind the block, from that before it; none when that is too small for it.
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

impl Block<Conv> {
    /// Does something to every convolution.
    pub fn each_conv(&mut self, change: &mut dyn FnMut(&mut Conv) -> Result<()>) -> Result<()> {
        match self {
            Self::Conv(conv) => change(conv),
            Self::Residual { body, shortcut } => body.iter_mut().chain(shortcut).try_for_each(change),
            Self::Branches(branches) => branches.iter_mut().flatten().try_for_each(|block| block.each_conv(change)),
            Self::MaxPool(_) | Self::AveragePool(_) | Self::AtLeast(_) | Self::Dropout(_) => Ok(()),
        }
    }

    /// `[N, C, H, W]` to `[N, C', H', W']`, channels last in memory. In evaluation the result may take the place of an x that is
    /// nobody else's (`own`).
    fn forward(&self, x: &Tensor, own: bool, pass: Pass) -> Result<Tensor> {
        Ok(match self {
            Self::Conv(conv) => conv.forward(x, pass)?,
            Self::MaxPool(Window { size, stride, padding }) => native::max_pool(x, *size, *stride, *padding)?,
            Self::AveragePool(Window { size, stride, padding }) => {
                x.f_avg_pool2d([*size; 2], [*stride; 2], [*padding; 2], false, true, None::<i64>)?
            }
            Self::Residual { body, shortcut } => {
                let (last, first) = body.split_last().ok_or_else(|| Error::failure("a residual block has no body"))?;
                let fixed = last.fixed(pass);
                let shortcut = match shortcut {
                    Some(conv) => conv.forward(x, pass)?,
                    // The fused sum takes its place.
                    None if fixed.is_some() && !own => copied(x)?,
                    None => x.shallow_clone(),
                };
                let mut y = x.shallow_clone();
                for conv in first {
                    y = conv.forward(&y, pass)?;
                }
                match fixed {
                    Some(fixed) => fixed.apply(&y, Some(&shortcut), true)?,
                    None => last.forward(&y, pass)?.f_add_(&shortcut)?.f_relu_()?,
                }
            }
            Self::Branches(branches) => {
                let results =
                    branches.iter().map(|blocks| forward_all(blocks, x, false, pass)).collect::<Result<Vec<_>>>()?;
                Tensor::f_cat(&results, 1)?
            }
            Self::AtLeast(extent) => {
                let (_, _, height, width) = x.size4()?;
                if height >= *extent && width >= *extent {
                    x.shallow_clone()
                } else {
                    x.f_adaptive_avg_pool2d([height.max(*extent), width.max(*extent)])?
                }
            }
            Self::Dropout(p) => DropoutKeys::apply(pass.dropout, x.shallow_clone(), *p)?,
        })
    }
}

/// One block after the other. `own`: x is nobody else's, and may be overwritten.
pub fn forward_all(blocks: &[Block<Conv>], x: &Tensor, own: bool, pass: Pass) -> Result<Tensor> {
    let mut x = x.shallow_clone();
    for (index, block) in blocks.iter().enumerate() {
        x = block.forward(&x, own || index > 0, pass)?;
    }
    Ok(x)
}

/// A convolution with its numbers, all in fp32 (the masters).
pub struct Conv {
    pub spec: ConvSpec,
    /// `[outputs, inputs, height, width]`, channels last in memory.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Option<Tensor>,
    pub norm: Option<BatchNorm>,
    /// The convolution with the norm in it, in the kind of inference: of what is not trained. Made for every batch it would cost
    /// small batches more than it saves.
    pub folded: Option<FixedConvolution>,
}

/// Batch normalisation over all but the channels (Ioffe and Szegedy 2015), fp32 `[channels]` each.
pub struct BatchNorm {
    pub weight: Tensor,
    pub bias: Tensor,
    pub mean: Tensor,
    pub variance: Tensor,
    pub epsilon: f64,
}

impl Conv {
    /// Keeps a convolution in `kind` that does what this one and its norm do in evaluation (a norm is a factor and a summand for
    /// each channel), for as long as the numbers do not change.
    pub fn fold(&mut self, kind: Kind) -> Result<()> {
        let zero = || Tensor::f_zeros([self.spec.outputs], (Kind::Float, self.weight.device()));
        let bias = self.bias.as_ref().map_or_else(zero, |bias| Ok(bias.shallow_clone()))?;
        let (weight, bias) = match &self.norm {
            Some(norm) => {
                let factor = norm.variance.f_add_scalar(norm.epsilon)?.f_rsqrt()?.f_mul(&norm.weight)?;
                let bias = bias.f_sub(&norm.mean)?.f_mul(&factor)?.f_add(&norm.bias)?;
                (self.weight.f_mul(&factor.f_view([-1, 1, 1, 1])?)?, bias)
            }
            None => (self.weight.shallow_clone(), bias),
        };
        let ConvSpec { stride, padding, .. } = self.spec;
        self.folded = Some(FixedConvolution::new(&weight, &bias, stride, padding, kind)?);
        Ok(())
    }

    /// In training with the batch's own statistics, which the running ones take in; in evaluation with the running ones.
    pub fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let ConvSpec { stride, padding, relu, .. } = self.spec;
        let mut y = match self.fixed(pass) {
            Some(fixed) => match self.product(x, &fixed.weight, Some(&fixed.bias))? {
                Some(product) => product,
                None => return fixed.apply(x, None, relu),
            },
            None => {
                let weight = cast(&self.weight, pass.compute)?;
                let bias = self.bias.as_ref().map(|bias| cast(bias, pass.compute)).transpose()?;
                let y = match self.product(x, &weight, bias.as_ref())? {
                    Some(product) => product,
                    None => x.f_conv2d(&weight, bias.as_ref(), [stride; 2], padding, [1i64; 2], 1)?,
                };
                match &self.norm {
                    Some(norm) => norm.forward(&y, pass.dropout.is_some())?,
                    None => y,
                }
            }
        };
        Ok(if relu { y.f_relu_()? } else { y })
    }

    /// The convolution with the norm in it, where a pass may take it.
    fn fixed(&self, pass: Pass) -> Option<&FixedConvolution> {
        self.folded.as_ref().filter(|fixed| pass.dropout.is_none() && fixed.weight.kind() == pass.compute)
    }

    /// Where the kernel has one place: a matrix product, as a fully connected layer is.
    fn product(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Option<Tensor>> {
        let ConvSpec { kernel, padding, outputs, .. } = &self.spec;
        let (images, _, height, width) = x.size4()?;
        if *kernel != [height, width] || *padding != [0, 0] {
            return Ok(None);
        }
        let rows = by_pixel(x)?.f_reshape([images, -1])?;
        let product = rows.f_linear(&by_pixel(weight)?.f_reshape([*outputs, -1])?, bias)?;
        Ok(Some(product.f_view([images, *outputs, 1, 1])?))
    }
}

impl BatchNorm {
    fn forward(&self, x: &Tensor, training: bool) -> Result<Tensor> {
        // One value has no spread: it would become zero, and the running variance not a number.
        let own = training && x.numel() as i64 > self.mean.numel() as i64;
        let (weight, bias) = (Some(&self.weight), Some(&self.bias));
        let (mean, variance) = (Some(&self.mean), Some(&self.variance));
        Ok(x.f_batch_norm(weight, bias, mean, variance, own, MOMENTUM, self.epsilon, true)?)
    }
}

/// `[N, C, H, W]` as `[N, H, W, C]`: the order in memory of what is channels last.
pub fn by_pixel(x: &Tensor) -> Result<Tensor> {
    Ok(x.f_permute([0i64, 2, 3, 1])?)
}

/// `[N, H, W, C]` as `[N, C, H, W]`.
pub fn by_channel(x: &Tensor) -> Result<Tensor> {
    Ok(x.f_permute([0i64, 3, 1, 2])?)
}

/// A `[N, C, H, W]` in channels-last memory.
pub fn channels_last(x: &Tensor) -> Result<Tensor> {
    by_channel(&by_pixel(x)?.f_contiguous()?)
}
