//! What convolutional networks compute with: convolutions and their norm, and the blocks of a stage. Which layers a
//! network has is said by `spec.rs`; where the weights come from, by `builder.rs`.

use std::cell::RefCell;
use std::rc::Rc;

use tch::{Kind, Tensor};

use super::spec::{Block, ConvSpec, Window};
use crate::error::{Error, Result};
use crate::model::layers::{cast, copied};
use crate::model::pass::{DropoutKeys, Pass};
use crate::native::{self, FoldedConvolution};

/// How much a batch counts in the running mean and variance, as in torch.
const MOMENTUM: f64 = 0.1;

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
            Self::Branches(branches) => branches.iter_mut().flatten().try_for_each(|block| block.set_frozen(frozen)),
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
                let shortcut = shortcut.as_ref().map(|conv| conv.forward(x, pass)).transpose()?;
                let folded = match shortcut.as_ref().unwrap_or(x).requires_grad() {
                    true => None,
                    false => last.folded(&y, pass)?,
                };
                let shortcut = match shortcut {
                    Some(shortcut) => shortcut,
                    // The fused sum takes its place.
                    None if folded.is_some() && !own => copied(x)?,
                    None => x.shallow_clone(),
                };
                match folded {
                    Some(folded) => folded.apply(&y, Some(&shortcut), true)?,
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

/// A convolution with its weights, all in fp32 (the masters).
///
/// In a frozen stage it evaluates as one convolution with its norm folded in. The folded copy is made at the first
/// evaluation in a kind and kept, because making it for every batch would cost small batches more than it saves. It
/// cannot go stale: a training pass drops it, it is not used while a gradient is wanted, and it remembers the versions
/// of the tensors that it was made from and is folded again when one has been changed in place.
pub struct Conv {
    spec: ConvSpec,
    /// `[outputs, inputs, height, width]`, channels last in memory.
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
        let ConvSpec { stride, padding, .. } = self.spec;
        FoldedConvolution::new(&weight, &bias, stride, padding, kind)
    }

    /// In training with the batch's own statistics, which the running ones take in; in evaluation with the running
    /// ones.
    pub fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let ConvSpec { stride, padding, relu, .. } = self.spec;
        let mut y = match self.folded(x, pass)? {
            Some(folded) => match self.product(x, &folded.weight, Some(&folded.bias))? {
                Some(product) => product,
                None => return folded.apply(x, None, relu),
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
