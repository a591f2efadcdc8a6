//! The layout of activations between two stages: what a tensor's dimensions mean there. Pooling, and the rows that a
//! cache of activations keeps, follow from it for every backbone alike. What computes the activations is the backbone's
//! affair.

use tch::{Device, Kind, Tensor};

use super::pass::Pooling;
use crate::batch::packed::filled_tokens;
use crate::batch::{Batch, PackedTokens};
use crate::error::{Error, Result};

/// How activations are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[T, width]`: the tokens of a packed batch of texts.
    Tokens {
        /// Values of a token's vector.
        width: i64,
        /// Whether the last token stands for the whole text, and not the first.
        last: bool,
    },
    /// `[T, width]`: the tokens of image after image. The first of each stands for the whole image; perhaps registers
    /// follow, then the tokens of its patches.
    ImageTokens {
        /// Tokens per image, the first ones included.
        tokens: i64,
        /// How many come before those of the patches.
        first_patch: i64,
        /// Values of a token's vector.
        width: i64,
    },
    /// `[N, channels, height, width]`, channels last in memory.
    Map {
        /// Values of each place.
        channels: i64,
        /// Places from the top down.
        height: i64,
        /// Places from left to right.
        width: i64,
    },
}

impl Layout {
    /// Values of one row of [`to_rows`](Self::to_rows).
    pub fn row_width(self) -> i64 {
        match self {
            Self::Tokens { width, .. } => width,
            Self::ImageTokens { tokens, width, .. } => tokens * width,
            Self::Map { channels, height, width } => channels * height * width,
        }
    }

    /// The activations as rows: as many rows per example as it costs (a text one per token, an image one), in the
    /// batch's order. Rows after those of the last example are filling.
    pub fn to_rows(self, activations: Tensor) -> Result<Tensor> {
        let rows = activations.size().first().copied().unwrap_or(0);
        match self {
            Self::Tokens { .. } => Ok(activations),
            Self::ImageTokens { tokens, .. } => {
                let images = rows / tokens.max(1);
                Ok(activations.f_narrow(0, 0, images * tokens)?.f_reshape([images, self.row_width()])?)
            }
            Self::Map { .. } => Ok(activations.f_permute([0i64, 2, 3, 1])?.f_reshape([rows, -1])?),
        }
    }

    /// The activations that [`to_rows`](Self::to_rows) made rows of.
    pub fn from_rows(self, rows: Tensor) -> Result<Tensor> {
        match self {
            Self::Tokens { .. } => Ok(rows),
            Self::ImageTokens { width, .. } => filled(rows.f_reshape([-1, width])?),
            Self::Map { channels, height, width } => {
                let (count, values) = rows.size2()?;
                if values != self.row_width() {
                    let message = format!("rows of {values} values where maps have {channels}×{height}×{width}");
                    return Err(Error::failure(message));
                }
                Ok(rows.f_view([count, height, width, channels])?.f_permute([0i64, 3, 1, 2])?)
            }
        }
    }

    /// One vector per example, `[N, width]` (of a map `[N, channels]`, the mean over all places in fp32 whatever the
    /// pooling).
    pub fn pool(self, activations: &Tensor, batch: &Batch, pooling: Pooling) -> Result<Tensor> {
        match self {
            Self::Tokens { last: true, .. } if pooling == Pooling::Cls => {
                let tokens = batch.inputs.tokens()?;
                let ends = tokens.offsets.f_narrow(0, 1, tokens.sequences())?.f_to_kind(Kind::Int64)?;
                Ok(activations.f_index_select(0, &ends.f_sub_scalar(1)?)?)
            }
            Self::Tokens { .. } => pool_tokens(activations, batch.inputs.tokens()?, pooling, 0),
            Self::ImageTokens { tokens, first_patch, .. } => {
                pool_tokens(activations, &image_tokens(batch, tokens)?, pooling, first_patch)
            }
            Self::Map { .. } => Ok(activations.f_mean_dim([2i64, 3].as_slice(), false, Kind::Float)?),
        }
    }
}

/// The packing of a batch of images that become `tokens` tokens each.
pub fn image_tokens(batch: &Batch, tokens: i64) -> Result<PackedTokens> {
    let pixels = batch.inputs.pixels()?;
    let images = pixels.size().first().copied().unwrap_or(0);
    PackedTokens::of_equal_length(images, tokens, pixels.device())
}

/// `[T, width]` to `[N, width]`: each sequence's first token, or the mean over its tokens (in fp32) except the first
/// `left_out`; or both, `[N, 2·width]`.
fn pool_tokens(activations: &Tensor, tokens: &PackedTokens, pooling: Pooling, left_out: i64) -> Result<Tensor> {
    match pooling {
        Pooling::Cls => Ok(activations.f_index_select(0, &tokens.first.f_narrow(0, 0, tokens.sequences())?)?),
        Pooling::ClsAndMean => {
            let both = [Pooling::Cls, Pooling::Mean].map(|one| pool_tokens(activations, tokens, one, left_out));
            let [first, mean] = both;
            Ok(Tensor::f_cat(&[first?, mean?], 1)?)
        }
        Pooling::Mean => {
            let width = activations.size().last().copied().unwrap_or(0);
            let means = tokens
                .groups
                .iter()
                .zip(tokens.split(activations)?)
                .map(|(group, rows)| {
                    let rectangle = rows.f_view([group.count, group.length, width])?;
                    let rectangle = rectangle.f_narrow(1, left_out, group.length - left_out)?;
                    Ok(rectangle.f_mean_dim([1i64].as_slice(), false, Kind::Float)?)
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(Tensor::f_cat(&means, 0)?.f_to_kind(activations.kind())?)
        }
    }
}

/// `rows`, filled up with zeros to as many as `like` has.
pub fn filled_as(rows: Tensor, like: &Tensor) -> Result<Tensor> {
    let count = |tensor: &Tensor| tensor.size().first().copied().unwrap_or(0);
    match count(like) - count(&rows) {
        0 => Ok(rows),
        filling => Ok(rows.f_constant_pad_nd([0, 0, 0, filling])?),
    }
}

/// `rows`, filled up with zeros on the CPU to as many as a batch of that many tokens has.
pub fn filled(rows: Tensor) -> Result<Tensor> {
    let used = rows.size().first().copied().unwrap_or(0);
    let filling = match rows.device() {
        Device::Cpu => filled_tokens(used.max(0) as usize) as i64 - used,
        _ => 0,
    };
    if filling == 0 { Ok(rows) } else { Ok(rows.f_constant_pad_nd([0, 0, 0, filling])?) }
}
