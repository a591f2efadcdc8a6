//! The first DeBERTa (He et al. 2021): disentangled attention as in v2 and v3 (`deberta_v2.rs`), with a row of the
//! table for each distance, always with projections of their own for the distances, and query, key and value of a token
//! from one layer that gives them head by head. The tokenizer is GPT-2's, with BERT's special tokens.

use super::deberta_v2::{DEBERTA_V2, read_further};
use super::text_encoder::{Settings, TextDefaults, TextEncoder};
use crate::error::Result;
use crate::model::encoder::{EncoderConfig, Names, RelativeNames};

/// As in transformers' `DebertaConfig` and `DebertaForSequenceClassification`.
pub const DEBERTA: TextEncoder = TextEncoder {
    name: "deberta",
    class: "Deberta",
    names: Names {
        relative: Some(RelativeNames {
            table: "encoder.rel_embeddings.weight",
            norm: "",
            key: "encoder.layer.{}.attention.self.pos_proj",
            query: "encoder.layer.{}.attention.self.pos_q_proj",
        }),
        qkv: Some(IN_PROJ),
        interleaved: Some(["encoder.layer.{}.attention.self.q_bias", "encoder.layer.{}.attention.self.v_bias"]),
        query: IN_PROJ,
        key: IN_PROJ,
        value: IN_PROJ,
        ..DEBERTA_V2.names
    },
    defaults: TextDefaults { vocabulary: 50265, width: 768, layers: 12, heads: 12, inner: 3072, ..DEBERTA_V2.defaults },
    further: Some(read_first),
    ..DEBERTA_V2
};

const IN_PROJ: &str = "encoder.layer.{}.attention.self.in_proj";

/// Reads the settings of DeBERTa, and refuses those that only the later versions have.
fn read_first(settings: &Settings, config: &mut EncoderConfig) -> Result<()> {
    let refused = |key: &str, what: &str| Err(settings.refused(key, format!("{what} not supported in this DeBERTa")));
    if settings.get("talking_head", false)? {
        return refused("talking_head", "talking heads are");
    }
    if settings.get("share_att_key", false)? {
        return refused("share_att_key", "shared projections are");
    }
    if settings.get("position_buckets", -1)? > 0 {
        return refused("position_buckets", "kinds of distance are");
    }
    if settings.get("conv_kernel_size", 0)? > 0 {
        return refused("conv_kernel_size", "a convolution is");
    }
    if settings.list("norm_rel_ebd")?.iter().any(|norm| norm != "none") {
        return refused("norm_rel_ebd", "a norm of the distances is");
    }
    read_further(settings, config)?;
    // transformers divides the scores by how many words are listed.
    if settings.list("pos_att_type")?.len() as i64 + 1 != products(config) {
        return refused("pos_att_type", "a product that is listed twice is");
    }
    config.attention.qkv_bias = false;
    if let Some(relative) = &mut config.attention.relative {
        relative.key_bias = false;
    }
    Ok(())
}

fn products(config: &EncoderConfig) -> i64 {
    config.attention.relative.map_or(1, |relative| relative.products())
}
