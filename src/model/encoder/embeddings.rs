//! Stage 0 of text: word and perhaps position and segment vectors, added, normalised, with dropout, and brought to the
//! layers' width where they are narrower.

use tch::{Device, Tensor};

use super::builder::EncoderBuilder;
use super::config::{EmbeddingProjection, EmbeddingsConfig, EncoderConfig};
use super::names::EmbeddingNames;
use super::neighbours::neighbour;
use crate::batch::PackedTokens;
use crate::error::{Error, Result};
use crate::model::builder::Initial;
use crate::model::layers::{LayerNorm, Linear, cast};
use crate::model::pass::{DropoutKeys, Pass};

/// See the [module](self).
pub struct TextEmbeddings {
    word: Tensor,
    untrained_row: i64,
    /// A row per position, those of real positions from `position_offset` on.
    position: Option<Tensor>,
    position_offset: i64,
    segment: Option<Tensor>,
    norm: Option<LayerNorm>,
    dropout: f64,
    projection: Option<Linear>,
    projects: EmbeddingProjection,
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
                untrained_row,
                projection: projects,
            },
            EmbeddingNames::Text { word, position, segment, norm },
        ) = (config.embeddings, builder.names.embeddings)
        else {
            return Err(Error::failure("this encoder reads no text"));
        };
        // The width of positions and segments, and of the norm.
        let (added, normalised) = match projects {
            EmbeddingProjection::OfWords { .. } => (config.width, config.width),
            EmbeddingProjection::BeforeNorm => (width, config.width),
            EmbeddingProjection::Last | EmbeddingProjection::AfterNorm => (width, width),
        };
        Ok(Self {
            word: builder.take_table(word, &[vocabulary, width], 0)?,
            untrained_row,
            position: match has_positions {
                true => Some(builder.take(position, &[position_offset + positions, added], 0, Initial::Normal)?),
                false => None,
            },
            position_offset,
            segment: match segment {
                Some(name) if segments > 0 => Some(builder.take(name, &[segments, added], 0, Initial::Normal)?),
                _ => None,
            },
            norm: match norm {
                Some(name) => Some(builder.norm(name, normalised, config.layer_norm_epsilon, 0)?),
                None => None,
            },
            dropout: config.hidden_dropout,
            projection: match builder.names.embedding_projection {
                Some(name) => match projects {
                    EmbeddingProjection::OfWords { neighbours: true } => Some((3 * width, true)),
                    EmbeddingProjection::AfterNorm => Some((width, true)),
                    _ if width == config.width => None,
                    EmbeddingProjection::BeforeNorm => Some((width, false)),
                    EmbeddingProjection::Last | EmbeddingProjection::OfWords { neighbours: false } => {
                        Some((width, true))
                    }
                }
                .map(|(inputs, bias)| builder.linear_with(bias, name, inputs, config.width, 0))
                .transpose()?,
                None => None,
            },
            projects,
        })
    }

    /// `[T, width]`.
    pub fn forward(&self, tokens: &PackedTokens, pass: Pass) -> Result<Tensor> {
        let look_up = |table: &Tensor, ids: &Tensor| Tensor::f_embedding(table, ids, -1, false, false);
        // The word table is large and a batch reads little of it: its gradient has the rows that were read, nothing
        // else.
        let sparse = self.word.requires_grad() && self.word.device() == Device::Cpu;
        let mut x = Tensor::f_embedding(&self.word, &tokens.ids, self.untrained_row, false, sparse)?;
        if let EmbeddingProjection::OfWords { neighbours } = self.projects {
            let words = cast(&x, pass.compute)?;
            let words = match neighbours {
                true => {
                    let beside = |offset| neighbour(&words, &tokens.positions, offset);
                    Tensor::f_cat(&[&beside(1)?, &words, &beside(-1)?], 1)?
                }
                false => words,
            };
            x = self.projected(words, pass)?;
        }
        if let Some(segment) = &self.segment {
            x = x.f_add(&look_up(segment, &tokens.types)?)?;
        }
        if let Some(position) = &self.position {
            x = x.f_add(&match self.position_offset {
                0 => look_up(position, &tokens.positions)?,
                offset => look_up(position, &tokens.positions.f_add_scalar(offset)?)?,
            })?;
        }
        let mut x = cast(&x, pass.compute)?;
        if self.projects == EmbeddingProjection::BeforeNorm {
            x = self.projected(x, pass)?;
        }
        if let Some(norm) = &self.norm {
            x = norm.forward(&x)?;
        }
        if self.projects == EmbeddingProjection::AfterNorm {
            x = self.projected(x, pass)?;
        }
        let x = DropoutKeys::apply(pass.dropout, x, self.dropout)?;
        match self.projects {
            EmbeddingProjection::Last => self.projected(x, pass),
            _ => Ok(x),
        }
    }

    fn projected(&self, x: Tensor, pass: Pass) -> Result<Tensor> {
        match &self.projection {
            Some(projection) => projection.forward(&x, pass),
            None => Ok(x),
        }
    }
}
