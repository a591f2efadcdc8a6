//! ALBERT (Lan et al. 2020): narrow embeddings, brought to the layers' width, and layers that all have the same
//! weights. rust-bert computes it; see `rust_bert/albert.rs` for what follows from that.

use super::text_encoder::{PositionNumbering, TextDefaults, TextEncoder, TextHead, TextKeys};
use crate::model::activation::Activation;
use crate::model::encoder::Names;
use crate::model::request::Engine;
use crate::model::rust_bert::load_albert;

/// As in transformers' `AlbertConfig` and `AlbertForSequenceClassification`.
pub const ALBERT: TextEncoder = TextEncoder {
    name: "albert",
    class: "Albert",
    names: Names::of_bert("albert."),
    keys: TextKeys { head_dropout: "classifier_dropout_prob", ..TextKeys::TRANSFORMERS },
    defaults: TextDefaults {
        vocabulary: 30000,
        width: 4096,
        layers: 12,
        heads: 64,
        inner: 16384,
        activation: Activation::GeluNew,
        hidden_dropout: 0.0,
        attention_dropout: 0.0,
        head_dropout: Some(0.1),
        positions: 512,
        segments: 2,
        layer_norm_epsilon: 1e-12,
        padding: 0,
    },
    positions: PositionNumbering::FromZero,
    further: None,
    pooling_key: None,
    head: TextHead {
        hidden: "pooler",
        in_backbone: true,
        activation: Activation::Tanh,
        dropout_before_hidden: false,
        output: "classifier",
        norm: None,
        bias_key: None,
        hidden_key: None,
    },
    other_heads: &["classifier.", "predictions.", "sop_classifier.", "pooler.", "albert.pooler.", "qa_outputs."],
    engines: &[Engine::RustBert],
    rust_bert: Some(load_albert),
    shares_layers: true,
};
