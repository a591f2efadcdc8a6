//! ELECTRA (Clark et al. 2020): BERT's layers, with embeddings that may be narrower and are then brought to the layers'
//! width, and no pooler. The head is a newly initialised layer with GELU before the output, with dropout before each of
//! the two. Discriminators and generators are of the same shape; what they were trained with is not used.

use super::text_encoder::{PositionNumbering, TextDefaults, TextEncoder, TextHead, TextKeys};
use crate::model::activation::Activation;
use crate::model::encoder::Names;
use crate::model::request::Engine;

/// As in transformers' `ElectraConfig` and `ElectraForSequenceClassification`.
pub const ELECTRA: TextEncoder = TextEncoder {
    name: "electra",
    class: "Electra",
    names: Names { embedding_projection: Some("embeddings_project"), ..Names::of_bert("electra.") },
    keys: TextKeys { embedding_width: Some(("embedding_size", 128)), ..TextKeys::TRANSFORMERS },
    defaults: TextDefaults {
        vocabulary: 30522,
        width: 256,
        layers: 12,
        heads: 4,
        inner: 1024,
        activation: Activation::Gelu,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
        head_dropout: None,
        positions: 512,
        segments: 2,
        layer_norm_epsilon: 1e-12,
        padding: 0,
    },
    positions: PositionNumbering::FromZero,
    further: None,
    pooling_key: None,
    head: TextHead {
        hidden: "classifier.dense",
        in_backbone: false,
        activation: Activation::Gelu,
        dropout_before_hidden: true,
        output: "classifier.out_proj",
        norm: None,
        bias_key: None,
        hidden_key: None,
    },
    other_heads: &["classifier.", "discriminator_predictions.", "generator_", "sequence_summary.", "qa_outputs."],
    engines: &[Engine::Packed],
    rust_bert: None,
    shares_layers: false,
};
