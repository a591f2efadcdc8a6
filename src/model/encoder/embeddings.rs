//! Stage 0 of text: word, position and perhaps segment vectors, added, normalised, with dropout, and brought to the
//! layers' width where they are narrower.

use tch::{Device, Tensor};

use super::builder::{EncoderBuilder, Initial};
use super::config::{EmbeddingsConfig, EncoderConfig};
use super::names::EmbeddingNames;
use crate::batch::PackedTokens;
use crate::error::{Error, Result};
use crate::model::layers::{LayerNorm, Linear, cast};
use crate::model::pass::{DropoutKeys, Pass};

/// See the [module](self).
pub struct TextEmbeddings {
    word: Tensor,
    /// A row per position, those of real positions from `position_offset` on.
    position: Tensor,
    position_offset: i64,
    segment: Option<Tensor>,
    norm: LayerNorm,
    dropout: f64,
    projection: Option<Linear>,
}

impl TextEmbeddings {
    /// Stage 0 of an encoder of texts.
    pub fn load(config: &EncoderConfig, builder: &mut EncoderBuilder) -> Result<Self> {
        let (
            EmbeddingsConfig::Text { vocabulary, positions, position_offset, segments, width },
            EmbeddingNames::Text { word, position, segment, norm },
        ) = (config.embeddings, builder.names.embeddings)
        else {
            return Err(Error::failure("this encoder reads no text"));
        };
        Ok(Self {
            word: builder.take_table(word, &[vocabulary, width], 0)?,
            position: builder.take(position, &[position_offset + positions, width], 0, Initial::Normal)?,
            position_offset,
            segment: match segment {
                Some(name) => Some(builder.take(name, &[segments, width], 0, Initial::Normal)?),
                None => None,
            },
            norm: builder.norm(norm, width, config.layer_norm_epsilon, 0)?,
            dropout: config.hidden_dropout,
            projection: match builder.names.embedding_projection {
                Some(name) if width != config.width => Some(builder.linear(name, width, config.width, 0)?),
                _ => None,
            },
        })
    }

    /// `[T, width]`.
    pub fn forward(&self, tokens: &PackedTokens, pass: Pass) -> Result<Tensor> {
        let look_up = |table: &Tensor, ids: &Tensor, sparse| Tensor::f_embedding(table, ids, -1, false, sparse);
        // The word table is large and a batch reads little of it: its gradient has the rows that were read, nothing
        // else.
        let sparse = self.word.requires_grad() && self.word.device() == Device::Cpu;
        let mut x = look_up(&self.word, &tokens.ids, sparse)?;
        if let Some(segment) = &self.segment {
            x = x.f_add(&look_up(segment, &tokens.types, false)?)?;
        }
        let position = match self.position_offset {
            0 => look_up(&self.position, &tokens.positions, false)?,
            offset => look_up(&self.position, &tokens.positions.f_add_scalar(offset)?, false)?,
        };
        let x = x.f_add(&position)?;
        let x = self.norm.forward(&cast(&x, pass.compute)?)?;
        let x = DropoutKeys::apply(pass.dropout, x, self.dropout)?;
        match &self.projection {
            Some(projection) => projection.forward(&x, pass),
            None => Ok(x),
        }
    }
}
