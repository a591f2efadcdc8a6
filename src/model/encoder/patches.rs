//! Stage 0 of images (Dosovitskiy et al. 2021): patches projected to vectors, a class token before them, and a position
//! each. Register tokens (Darcet et al. 2024), which have no position, stand between the two.

use tch::{Device, Tensor};

use super::builder::EncoderBuilder;
use super::config::{EmbeddingsConfig, EncoderConfig};
use super::names::EmbeddingNames;
use crate::batch::PackedTokens;
use crate::batch::packed::filled_tokens;
use crate::error::{Error, Result};
use crate::model::builder::Initial;
use crate::model::layers::{LayerNorm, cast};
use crate::model::layout::filled;
use crate::model::parameter::Parameter;
use crate::model::pass::{DropoutKeys, Pass};

/// See the [module](self).
pub struct PatchEmbeddings {
    /// `[width, 3, patch rows, patch columns]`, a convolution's.
    projection: Tensor,
    bias: Option<Tensor>,
    /// `[1, 1, width]`, or `[width]` where it is stored so.
    class: Tensor,
    /// `[1, registers, width]`.
    registers: Option<Tensor>,
    /// `[1, 1 + patches, width]`, the class token's first, or without the leading one.
    position: Tensor,
    norm: Option<LayerNorm>,
    width: i64,
    patch: [i64; 2],
    grid: [i64; 2],
    antialias: bool,
    dropout: f64,
}

impl PatchEmbeddings {
    /// Stage 0 of an encoder of images.
    pub fn load(config: &EncoderConfig, builder: &mut EncoderBuilder) -> Result<Self> {
        let (
            EmbeddingsConfig::Patches { patch, grid, antialias, registers, class_position, bias: has_bias },
            EmbeddingNames::Patches { class, position, projection, registers: register_name, mask, norm, flat },
        ) = (config.embeddings, builder.names.embeddings)
        else {
            return Err(Error::failure("this encoder reads no images"));
        };
        let width = config.width;
        let (weight, bias) = (format!("{projection}.weight"), format!("{projection}.bias"));
        let patches = grid[0] * grid[1];
        let leading = if flat { 2 } else { 0 };
        if let Some(mask) = mask {
            builder.keep(mask, &[1, width], 0)?;
        }
        Ok(Self {
            class: builder.take(class, &[1, 1, width][leading..], 0, Initial::Normal)?,
            registers: match register_name {
                Some(name) if registers > 0 => Some(builder.take(name, &[1, registers, width], 0, Initial::Normal)?),
                _ => None,
            },
            position: match class_position {
                true => builder.take(position, &[1, 1 + patches, width][leading / 2..], 0, Initial::Normal)?,
                false => builder.take_after_zeros(position, [patches, width], 0)?,
            },
            projection: builder.take(&weight, &[width, 3, patch[0], patch[1]], 0, Initial::Normal)?,
            bias: match has_bias {
                true => Some(builder.take(&bias, &[width], 0, Initial::Filled(0.0))?),
                false => None,
            },
            norm: norm.map(|name| builder.norm(name, width, config.layer_norm_epsilon, 0)).transpose()?,
            width,
            patch,
            grid,
            antialias,
            dropout: config.hidden_dropout,
        })
    }

    /// Patches of an image: rows, columns.
    pub fn grid(&self) -> [i64; 2] {
        self.grid
    }

    /// Tokens of an image: the class token, registers and the patches.
    pub fn tokens(&self) -> i64 {
        self.first_patch() + self.grid[0] * self.grid[1]
    }

    /// Tokens before those of the patches.
    pub fn first_patch(&self) -> i64 {
        1 + self.registers.as_ref().and_then(|registers| registers.size().get(1).copied()).unwrap_or(0)
    }

    /// Interpolates the positions, bicubically, when images of this size have another grid of patches. They stay a
    /// leaf, and the parameter of this name among `parameters` is them.
    ///
    /// # Errors
    /// The image is smaller than a patch.
    pub fn set_image_size(&mut self, height: i64, width: i64, parameters: &mut [Parameter]) -> Result<()> {
        let grid = grid_of([height, width], self.patch)?;
        if grid == self.grid {
            return Ok(());
        }
        let table = tch::no_grad(|| self.resampled(grid))?;
        for parameter in
            parameters.iter_mut().filter(|parameter| parameter.tensor.data_ptr() == self.position.data_ptr())
        {
            parameter.tensor = table.shallow_clone();
        }
        (self.position, self.grid) = (table, grid);
        Ok(())
    }

    fn resampled(&self, grid: [i64; 2]) -> Result<Tensor> {
        let width = self.width;
        let [rows, columns] = self.grid;
        let position = self.position.f_view([1, -1, width])?;
        let class = position.f_narrow(1, 0, 1)?;
        let table = position.f_narrow(1, 1, rows * columns)?.f_view([1, rows, columns, width])?;
        let table = table.f_permute([0i64, 3, 1, 2])?;
        let table = match self.antialias {
            true => table.f_internal_upsample_bicubic2d_aa(grid, false, None, None)?,
            false => table.f_upsample_bicubic2d(grid, false, None, None)?,
        };
        let table = table.f_permute([0i64, 2, 3, 1])?.f_reshape([1, grid[0] * grid[1], width])?;
        let table = Tensor::f_cat(&[class, table], 1)?;
        // As it is stored: with the leading one or without.
        if self.position.dim() == 2 { Ok(table.f_squeeze_dim(0)?) } else { Ok(table) }
    }

    /// `[N, 3, height, width]` to `[T, width]`: the tokens of the images one after another, then filling.
    pub fn forward(&self, pixels: &Tensor, packing: &PackedTokens, pass: Pass) -> Result<Tensor> {
        let width = self.width;
        let (images, patches) = (packing.sequences(), self.grid[0] * self.grid[1]);
        let weight = self.projection.f_permute([0i64, 2, 3, 1])?.f_reshape([width, -1])?;
        let bias = self.bias.as_ref().map(|bias| cast(bias, pass.compute)).transpose()?;
        let x = self.unfolded(pixels, pass)?.f_linear(&cast(&weight, pass.compute)?, bias.as_ref())?;
        let x = x.f_narrow(0, 0, images * patches)?.f_view([images, patches, width])?;

        let position = cast(&self.position, pass.compute)?.f_view([1, 1 + patches, width])?;
        let class = cast(&self.class, pass.compute)?.f_view([1, 1, width])?.f_add(&position.f_narrow(1, 0, 1)?)?;
        let mut tokens = vec![class.f_expand([images, 1, width], false)?];
        if let Some(registers) = &self.registers {
            tokens.push(cast(registers, pass.compute)?.f_expand([images, -1, width], false)?);
        }
        tokens.push(x.f_add(&position.f_narrow(1, 1, patches)?)?);
        let x = Tensor::f_cat(&tokens, 1)?;
        let x = filled(x.f_view([images * self.tokens(), width])?)?;
        let x = match &self.norm {
            Some(norm) => norm.forward(&x)?,
            None => x,
        };
        DropoutKeys::apply(pass.dropout, x, self.dropout)
    }

    /// A row per patch, its pixels row by row, a pixel's channels side by side (as they lie in memory when channels
    /// come last), then filling; in the pass's kind.
    fn unfolded(&self, pixels: &Tensor, pass: Pass) -> Result<Tensor> {
        let ([rows, columns], [tall, wide]) = (self.grid, self.patch);
        let size = pixels.size();
        let found = match size[..] {
            [_, 3, height, width] => grid_of([height, width], self.patch).ok(),
            _ => None,
        };
        if found != Some(self.grid) {
            let expected = [rows * tall, columns * wide];
            return Err(Error::failure(format!("pixels of shape {size:?} where images of {expected:?} are read")));
        }
        let (images, used) = (size.first().copied().unwrap_or(0), rows * columns);
        let pixels = pixels.f_narrow(2, 0, rows * tall)?.f_narrow(3, 0, columns * wide)?;
        let pixels = pixels.f_permute([0i64, 2, 3, 1])?;
        let filled = match pixels.device() {
            Device::Cpu => filled_tokens((images * used) as usize) as i64,
            _ => images * used,
        };
        let unfolded = Tensor::f_empty([filled, tall * wide * 3], (pass.compute, pixels.device()))?;
        let mut into = unfolded.f_narrow(0, 0, images * used)?.f_view([images, rows, columns, tall, wide, 3])?;
        into.f_copy_(
            &pixels.f_unflatten(1, [rows, tall])?.f_unflatten(3, [columns, wide])?.f_permute([0i64, 1, 3, 2, 4, 5])?,
        )?;
        let _ = unfolded.f_narrow(0, images * used, filled - images * used)?.f_zero_()?;
        Ok(unfolded)
    }
}

/// Whole patches of an image: rows, columns. What is over at the right and below is left out, as a convolution does.
pub fn grid_of([height, width]: [i64; 2], patch: [i64; 2]) -> Result<[i64; 2]> {
    let grid = [height / patch[0].max(1), width / patch[1].max(1)];
    if grid.contains(&0) {
        let [tall, wide] = patch;
        return Err(Error::request(format!(
            "images of {height}×{width} pixels are smaller than the network's patches of {tall}×{wide}"
        ))
        .hint("use a larger image size"));
    }
    Ok(grid)
}
