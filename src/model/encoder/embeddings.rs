//! Stage 0 of text: word and perhaps position and segment vectors, added, normalised, with dropout, and brought to the
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
    position: Option<Tensor>,
    position_offset: i64,
    segment: Option<Tensor>,
    norm: Option<LayerNorm>,
    dropout: f64,
    projection: Option<Linear>,
    projects_first: bool,
}

impl TextEmbeddings {
    /// Stage 0 of an encoder of texts.
    pub fn load(config: &EncoderConfig, builder: &mut EncoderBuilder) -> Result<Self> {
        let (
            EmbeddingsConfig::Text {
                vocabulary,
                positions,
                position_offset,
                segments,
                width,
                has_positions,
                projects_first,
            },
            EmbeddingNames::Text { word, position, segment, norm },
        ) = (config.embeddings, builder.names.embeddings)
        else {
            return Err(Error::failure("this encoder reads no text"));
        };
        Ok(Self {
            word: builder.take_table(word, &[vocabulary, width], 0)?,
            position: match has_positions {
                true => Some(builder.take(position, &[position_offset + positions, width], 0, Initial::Normal)?),
                false => None,
            },
            position_offset,
            segment: match segment {
                Some(name) if segments > 0 => Some(builder.take(name, &[segments, width], 0, Initial::Normal)?),
                _ => None,
            },
            norm: match norm {
                Some(name) => {
                    let width = if projects_first { config.width } else { width };
                    Some(builder.norm(name, width, config.layer_norm_epsilon, 0)?)
                }
                None => None,
            },
            dropout: config.hidden_dropout,
            projection: match builder.names.embedding_projection {
                Some(name) if width != config.width => Some(match projects_first {
                    true => builder.linear_without_bias(name, width, config.width, 0)?,
                    false => builder.linear(name, width, config.width, 0)?,
                }),
                _ => None,
            },
            projects_first,
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
        if let Some(position) = &self.position {
            x = x.f_add(&match self.position_offset {
                0 => look_up(position, &tokens.positions, false)?,
                offset => look_up(position, &tokens.positions.f_add_scalar(offset)?, false)?,
            })?;
        }
        let mut x = cast(&x, pass.compute)?;
        let [first, last] = match self.projects_first {
            true => [self.projection.as_ref(), None],
            false => [None, self.projection.as_ref()],
        };
        if let Some(projection) = first {
            x = projection.forward(&x, pass)?;
        }
        let x = match &self.norm {
            Some(norm) => norm.forward(&x)?,
            None => x,
        };
        let x = DropoutKeys::apply(pass.dropout, x, self.dropout)?;
        match last {
            Some(projection) => projection.forward(&x, pass),
            None => Ok(x),
        }
    }
}
