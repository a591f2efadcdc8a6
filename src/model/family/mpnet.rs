//! MPNet (Song et al. 2020), and the sentence encoders that are saved as one (all-mpnet-base-v2 and its like): BERT's
//! layers without segments, with a bias of the attention scores by the distance of two tokens that all layers share.
//! The head is RoBERTa's. transformers numbers positions from 2 and reads 32 kinds of distance, whatever the settings
//! say of the padding and of the table.

use super::text_encoder::{PositionNumbering, Settings, TextDefaults, TextEncoder, TextHead, TextKeys};
use crate::error::Result;
use crate::model::activation::Activation;
use crate::model::encoder::{BUCKETS, EmbeddingNames, EncoderConfig, Names};
use crate::model::request::Engine;

/// As in transformers' `MPNetConfig` and `MPNetForSequenceClassification`.
pub const MPNET: TextEncoder = TextEncoder {
    name: "mpnet",
    class: "MPNet",
    names: Names {
        embeddings: EmbeddingNames::Text {
            word: "embeddings.word_embeddings.weight",
            position: "embeddings.position_embeddings.weight",
            segment: None,
            norm: Some("embeddings.LayerNorm"),
        },
        distance_bias: Some("encoder.relative_attention_bias.weight"),
        query: "encoder.layer.{}.attention.attn.q",
        key: "encoder.layer.{}.attention.attn.k",
        value: "encoder.layer.{}.attention.attn.v",
        attention_output: "encoder.layer.{}.attention.attn.o",
        attention_norm: "encoder.layer.{}.attention.LayerNorm",
        ..Names::of_bert("mpnet.")
    },
    keys: TextKeys { head_dropout: "hidden_dropout_prob", ..TextKeys::TRANSFORMERS },
    defaults: TextDefaults {
        vocabulary: 30527,
        width: 768,
        layers: 12,
        heads: 12,
        inner: 3072,
        activation: Activation::Gelu,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
        head_dropout: None,
        positions: 512,
        segments: 1,
        layer_norm_epsilon: 1e-12,
        padding: 1,
    },
    positions: PositionNumbering::After(1),
    further: Some(check_distances),
    pooling_key: None,
    head: TextHead {
        hidden: "classifier.dense",
        in_backbone: false,
        activation: Activation::Tanh,
        dropout_before_hidden: true,
        output: "classifier.out_proj",
        norm: None,
        bias_key: None,
        hidden_key: None,
    },
    other_heads: &["classifier.", "lm_head.", "pooler.", "mpnet.pooler.", "qa_outputs."],
    engines: &[Engine::Packed],
    rust_bert: None,
    shares_layers: false,
};

/// How many kinds of distance the bias has.
const DISTANCES: &str = "relative_attention_num_buckets";

/// Refuses another number of kinds of distance than transformers reads.
fn check_distances(settings: &Settings, _config: &mut EncoderConfig) -> Result<()> {
    match settings.get(DISTANCES, BUCKETS)? {
        BUCKETS => Ok(()),
        other => Err(settings.refused(DISTANCES, format!("{other} kinds of distance; {BUCKETS} are supported"))),
    }
}
