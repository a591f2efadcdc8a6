//! Stage 0 of text: token, position and segment vectors, added, normalised, dropped out.

use tch::{Device, Tensor};

use super::{Builder, EmbeddingNames, EncoderConfig, Fresh, Reads};
use crate::batch::PackedTokens;
use crate::error::{Error, Result};
use crate::model::backbone::{DropoutKeys, Pass};
use crate::model::parameters::{LayerNorm, cast};

pub struct TextEmbeddings {
    word: Tensor,
    position: Tensor,
    segment: Tensor,
    norm: LayerNorm,
    dropout: f64,
}

impl TextEmbeddings {
    pub(super) fn load(config: &EncoderConfig, builder: &mut Builder) -> Result<Self> {
        let (&Reads::Text { vocabulary, positions, segments }, EmbeddingNames::Text { word, position, segment, norm }) =
            (&config.reads, builder.names.embeddings)
        else {
            return Err(Error::failure("this encoder reads no text"));
        };
        Ok(Self {
            word: builder.take_table(word, &[vocabulary, config.width], 0)?,
            position: builder.take(position, &[positions, config.width], 0, Fresh::Normal)?,
            segment: builder.take(segment, &[segments, config.width], 0, Fresh::Normal)?,
            norm: builder.norm(norm, config.width, config.layer_norm_epsilon, 0)?,
            dropout: config.hidden_dropout,
        })
    }

    /// `[T, width]`.
    pub fn forward(&self, tokens: &PackedTokens, pass: Pass) -> Result<Tensor> {
        let look_up = |table: &Tensor, ids: &Tensor, sparse| Tensor::f_embedding(table, ids, -1, false, sparse);
        // The word table is large and a batch reads little of it: its gradient has the rows that were read, nothing else.
        let sparse = self.word.requires_grad() && self.word.device() == Device::Cpu;
        let x = look_up(&self.word, &tokens.ids, sparse)?
            .f_add(&look_up(&self.segment, &tokens.types, false)?)?
            .f_add(&look_up(&self.position, &tokens.positions, false)?)?;
        let x = self.norm.forward(&cast(&x, pass.compute)?)?;
        DropoutKeys::apply(pass.dropout, x, self.dropout)
    }
}
