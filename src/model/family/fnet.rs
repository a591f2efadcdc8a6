//! FNet (Lee-Thorp et al. 2022): BERT's layers with a Fourier transform in place of attention (`encoder/fourier.rs`),
//! and embeddings that are projected once more. The head is BERT's. transformers does not mask padding in it: in a
//! padded batch a text gets other results there than alone, which is how rehead computes each.

use super::bert::BERT;
use super::text_encoder::{Settings, TextDefaults, TextEncoder, TextKeys};
use crate::error::Result;
use crate::model::activation::Activation;
use crate::model::encoder::{EmbeddingProjection, EmbeddingsConfig, EncoderConfig, LayerKind, Names};
use crate::model::request::Engine;

/// As in transformers' `FNetConfig` and `FNetForSequenceClassification`.
pub const FNET: TextEncoder = TextEncoder {
    name: "fnet",
    class: "FNet",
    names: Names {
        embedding_projection: Some("embeddings.projection"),
        attention_norm: "encoder.layer.{}.fourier.output.LayerNorm",
        ..Names::of_bert("fnet.")
    },
    keys: TextKeys { head_dropout: "hidden_dropout_prob", ..TextKeys::TRANSFORMERS },
    defaults: TextDefaults {
        vocabulary: 32000,
        // There are none, and any width can be divided by it.
        heads: 1,
        activation: Activation::GeluNew,
        attention_dropout: 0.0,
        segments: 4,
        padding: 3,
        ..BERT.defaults
    },
    further: Some(read_further),
    other_heads: &["classifier.", "cls.", "pooler.", "fnet.pooler.", "qa_outputs."],
    engines: &[Engine::Packed],
    rust_bert: None,
    ..BERT
};

fn read_further(settings: &Settings, config: &mut EncoderConfig) -> Result<()> {
    const FIXED: &str = "use_tpu_fourier_optimizations";
    if settings.get(FIXED, false)? {
        return Err(settings.refused(FIXED, "transforms of one length for all texts are not supported".to_owned()));
    }
    config.layer_kind = LayerKind::Fourier;
    config.attention.heads = 1;
    if let EmbeddingsConfig::Text { projection, .. } = &mut config.embeddings {
        *projection = EmbeddingProjection::AfterNorm;
    }
    Ok(())
}
