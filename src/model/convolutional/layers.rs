//! What convolutional networks compute with: convolutions and their norm, and the blocks of a stage. Which layers a
//! network has is said by `spec.rs`; where the weights come from, by `builder.rs`.

use std::cell::RefCell;
use std::rc::Rc;

use tch::{Kind, Tensor};

use super::spec::{Activation, Block, ConvSpec, Padding, Window};
use crate::error::{Error, Result};
use crate::model::layers::{cast, copied};
use crate::model::pass::{DropoutKeys, Pass};
use crate::native::{self, FoldedConvolution};

impl Block<Conv> {
    /// Says to every convolution whether its stage is frozen.
    ///
    /// # Errors
    /// As [`Conv::set_frozen`].
    pub fn set_frozen(&mut self, frozen: bool) -> Result<()> {
        match self {
            Self::Conv(conv) => conv.set_frozen(frozen),
            Self::Residual { body, shortcut } => {
                body.iter_mut().chain(shortcut).try_for_each(|conv| conv.set_frozen(frozen))
            }
            Self::Skip { body, .. } => body.iter_mut().try_for_each(|block| block.set_frozen(frozen)),
            Self::SqueezeExcite { reduce, expand } => {
                [reduce, expand].into_iter().try_for_each(|conv| conv.set_frozen(frozen))
            }
            Self::Branches(branches) => branches.iter_mut().flatten().try_for_each(|block| block.set_frozen(frozen)),
            Self::GlobalAverage => Ok(()),
            Self::MaxPool(_) | Self::AveragePool(_) | Self::AtLeast(_) | Self::Dropout(_) => Ok(()),
        }
    }

    /// `[N, C, H, W]` to `[N, C', H', W']`, channels last in memory. In evaluation the result may take the place of an
    /// x that is nobody else's (`own`).
    fn forward(&self, x: &Tensor, own: bool, pass: Pass) -> Result<Tensor> {
        Ok(match self {
            Self::Conv(conv) => conv.forward(x, pass)?,
            Self::MaxPool(Window { size, stride, padding }) => native::max_pool(x, *size, *stride, *padding)?,
            Self::AveragePool(Window { size, stride, padding }) => {
                x.f_avg_pool2d([*size; 2], [*stride; 2], [*padding; 2], false, true, None::<i64>)?
            }
            Self::Residual { body, shortcut } => {
                let (last, first) = body.split_last().ok_or_else(|| Error::failure("a residual block has no body"))?;
                let mut y = x.shallow_clone();
                for conv in first {
                    y = conv.forward(&y, pass)?;
                }
                match shortcut {
                    Some(conv) => sum(last, &y, &conv.forward(x, pass)?, true, Some(Activation::Relu), pass)?,
                    None => sum(last, &y, x, own, Some(Activation::Relu), pass)?,
                }
            }
            Self::Skip { body, drop } => skip(body, *drop, x, own, pass)?,
            Self::SqueezeExcite { reduce, expand } => {
                let gate = expand.forward(&reduce.forward(&mean_of_places(x)?, pass)?, pass)?;
                if own && !x.requires_grad() && !gate.requires_grad() {
                    x.shallow_clone().f_mul_(&gate)?
                } else {
                    x.f_mul(&gate)?
                }
            }
            Self::GlobalAverage => mean_of_places(x)?,
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

/// `activation(last(y) + shortcut)`, with a last convolution that has no activation of its own. In evaluation the sum
/// may take the place of a shortcut that is nobody else's (`own`).
fn sum(
    last: &Conv,
    y: &Tensor,
    shortcut: &Tensor,
    own: bool,
    activation: Option<Activation>,
    pass: Pass,
) -> Result<Tensor> {
    let folded = match shortcut.requires_grad() {
        true => None,
        false => last.folded(y, pass)?,
    };
    match folded {
        Some(folded) => {
            // The fused sum takes its place.
            let shortcut = if own { shortcut.shallow_clone() } else { copied(shortcut)? };
            folded.apply(y, Some(&shortcut), activation == Some(Activation::Relu))
        }
        None => activated(last.forward(y, pass)?.f_add_(shortcut)?, activation),
    }
}

/// `body(x) + x`; in training the body's part is left out for an image with probability `drop`.
fn skip(body: &[Block<Conv>], drop: f64, x: &Tensor, own: bool, pass: Pass) -> Result<Tensor> {
    match body.split_last() {
        Some((Block::Conv(last), first))
            if last.spec.activation.is_none() && (pass.dropout.is_none() || drop == 0.0) =>
        {
            sum(last, &forward_all(first, x, false, pass)?, x, own, None, pass)
        }
        _ => {
            let mut y = DropoutKeys::drop_path(pass.dropout, forward_all(body, x, false, pass)?, drop)?;
            Ok(if y.requires_grad() { y.f_add(x)? } else { y.f_add_(x)? })
        }
    }
}

/// `[N, C, H, W]` to `[N, C, 1, 1]`.
fn mean_of_places(x: &Tensor) -> Result<Tensor> {
    Ok(x.f_mean_dim([2i64, 3].as_slice(), true, x.kind())?)
}

/// In the same memory where gradients allow it.
fn activated(mut y: Tensor, activation: Option<Activation>) -> Result<Tensor> {
    Ok(match activation {
        None => y,
        Some(Activation::Relu) => y.f_relu_()?,
        Some(Activation::Sigmoid) => y.f_sigmoid_()?,
        Some(Activation::Silu) if y.requires_grad() => y.f_silu()?,
        Some(Activation::Silu) => y.f_silu_()?,
        Some(Activation::HardSwish) if y.requires_grad() => y.f_hardswish()?,
        Some(Activation::HardSwish) => y.f_hardswish_()?,
        Some(Activation::HardSigmoid) if y.requires_grad() => y.f_hardsigmoid()?,
        Some(Activation::HardSigmoid) => y.f_hardsigmoid_()?,
    })
}

/// A convolution with its weights, all in fp32 (the masters).
///
/// In a frozen stage it evaluates as one convolution with its norm folded in. The folded copy is made at the first
/// evaluation in a kind and kept, because making it for every batch would cost small batches more than it saves. It
/// cannot go stale: a training pass drops it, it is not used while a gradient is wanted, and it remembers the versions
/// of the tensors that it was made from and is folded again when one has been changed in place.
pub struct Conv {
    spec: ConvSpec,
    /// `[outputs, inputs of a group, height, width]`, channels last in memory.
    weight: Tensor,
    /// `[outputs]`.
    bias: Option<Tensor>,
    norm: Option<BatchNorm>,
    frozen: bool,
    folded_copy: RefCell<Option<FoldedCopy>>,
}

/// A convolution with its norm in it, and what it was made for and from.
struct FoldedCopy {
    convolution: Rc<FoldedConvolution>,
    kind: Kind,
    /// How often each of the tensors that it was made from had been changed in place.
    versions: Vec<i64>,
}

/// Batch normalisation over all but the channels (Ioffe and Szegedy 2015), fp32 `[channels]` each.
pub struct BatchNorm {
    pub weight: Tensor,
    pub bias: Tensor,
    pub mean: Tensor,
    pub variance: Tensor,
    pub epsilon: f64,
    /// How much a batch counts in the running mean and variance.
    pub momentum: f64,
}

impl Conv {
    /// A convolution that may be trained.
    pub fn new(spec: ConvSpec, weight: Tensor, bias: Option<Tensor>, norm: Option<BatchNorm>) -> Self {
        Self { spec, weight, bias, norm, frozen: false, folded_copy: RefCell::new(None) }
    }

    /// Says whether the convolution is in a frozen stage, where no gradients are wanted.
    ///
    /// # Errors
    /// A tensor cannot be told that it needs no gradient.
    pub fn set_frozen(&mut self, frozen: bool) -> Result<()> {
        self.folded_copy = RefCell::new(None);
        self.frozen = frozen;
        if frozen {
            for tensor in self.tensors() {
                let _ = tensor.f_set_requires_grad(false)?;
            }
        }
        Ok(())
    }

    /// All that evaluation depends on.
    fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let norm = self.norm.iter().flat_map(|norm| [&norm.weight, &norm.bias, &norm.mean, &norm.variance]);
        std::iter::once(&self.weight).chain(&self.bias).chain(norm)
    }

    /// The convolution with its norm folded in, where a pass over `x` may use it: it passes no gradients on.
    fn folded(&self, x: &Tensor, pass: Pass) -> Result<Option<Rc<FoldedConvolution>>> {
        if !self.frozen {
            return Ok(None);
        }
        let mut folded = self.folded_copy.borrow_mut();
        if pass.dropout.is_some() || self.tensors().any(Tensor::requires_grad) {
            *folded = None;
            return Ok(None);
        }
        if x.requires_grad() {
            return Ok(None);
        }
        let versions = self.tensors().map(|tensor| Ok(tensor.f_internal_version()?)).collect::<Result<Vec<_>>>()?;
        if let Some(kept) = folded.as_ref().filter(|kept| kept.kind == pass.compute && kept.versions == versions) {
            return Ok(Some(Rc::clone(&kept.convolution)));
        }
        let convolution = Rc::new(tch::no_grad(|| self.fold_batch_norm(pass.compute))?);
        *folded = Some(FoldedCopy { convolution: Rc::clone(&convolution), kind: pass.compute, versions });
        Ok(Some(convolution))
    }

    /// A convolution in `kind` that does what this one and its norm do in evaluation: a norm is a factor and a summand
    /// for each channel.
    fn fold_batch_norm(&self, kind: Kind) -> Result<FoldedConvolution> {
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
        FoldedConvolution::new(&weight, &bias, self.spec.stride, self.padding(), kind)
    }

    /// In training with the batch's own statistics, which the running ones take in; in evaluation with the running
    /// ones.
    pub fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let ConvSpec { groups, activation, .. } = self.spec;
        let x = &self.padded(x)?;
        let y = match self.folded(x, pass)? {
            Some(folded) => match self.product(x, &folded.weight, Some(&folded.bias))? {
                Some(product) => product,
                None if groups != 1 => self.convolved(x, &folded.weight, Some(&folded.bias))?,
                None if activation == Some(Activation::Relu) => return folded.apply(x, None, true),
                None => folded.apply(x, None, false)?,
            },
            None => {
                let weight = cast(&self.weight, pass.compute)?;
                let bias = self.bias.as_ref().map(|bias| cast(bias, pass.compute)).transpose()?;
                let y = match self.product(x, &weight, bias.as_ref())? {
                    Some(product) => product,
                    None => self.convolved(x, &weight, bias.as_ref())?,
                };
                match &self.norm {
                    Some(norm) => norm.forward(&y, pass.dropout.is_some())?,
                    None => y,
                }
            }
        };
        activated(y, activation)
    }

    /// x with the zeros around it that depend on its extent.
    fn padded(&self, x: &Tensor) -> Result<Tensor> {
        let ConvSpec { kernel, stride, padding, .. } = self.spec;
        if let Padding::Fixed(_) = padding {
            return Ok(x.shallow_clone());
        }
        let (_, _, height, width) = x.size4()?;
        let [top, bottom, left, right] = padding.around([height, width], kernel, stride);
        Ok(x.f_constant_pad_nd([left, right, top, bottom])?)
    }

    /// Zeros that the convolution itself adds.
    fn padding(&self) -> [i64; 2] {
        match self.spec.padding {
            Padding::Fixed(padding) => padding,
            Padding::Same => [0; 2],
        }
    }

    fn convolved(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let ConvSpec { stride, groups, .. } = self.spec;
        Ok(x.f_conv2d(weight, bias, [stride; 2], self.padding(), [1i64; 2], groups)?)
    }

    /// Where the kernel has one place: a matrix product, as a fully connected layer is.
    fn product(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Option<Tensor>> {
        let ConvSpec { kernel, outputs, groups, .. } = &self.spec;
        let (images, _, height, width) = x.size4()?;
        if *kernel != [height, width] || self.padding() != [0, 0] || *groups != 1 {
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
        Ok(x.f_batch_norm(weight, bias, mean, variance, own, self.momentum, self.epsilon, true)?)
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
