//! BERT (Devlin et al. 2019), and the encoders that are saved as one: MiniLM, BGE, E5 and their like.

use super::text_encoder::{PositionNumbering, TextDefaults, TextEncoder, TextHead, TextKeys};
use crate::model::activation::Activation;
use crate::model::encoder::Names;
use crate::model::request::Engine;
use crate::model::rust_bert::load_bert;

/// As in transformers' `BertConfig` and `BertForSequenceClassification`.
pub const BERT: TextEncoder = TextEncoder {
    name: "bert",
    class: "Bert",
    names: Names::of_bert("bert."),
    keys: TextKeys::TRANSFORMERS,
    defaults: TextDefaults {
        vocabulary: 30522,
        width: 768,
        layers: 12,
        heads: 12,
        inner: 3072,
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
        hidden: "pooler.dense",
        in_backbone: true,
        activation: Activation::Tanh,
        dropout_before_hidden: false,
        output: "classifier",
        norm: None,
        bias_key: None,
        hidden_key: None,
    },
    other_heads: &["classifier.", "cls.", "pooler.", "bert.pooler.", "qa_outputs.", "dropout."],
    engines: &[Engine::Packed, Engine::RustBert],
    rust_bert: Some(load_bert),
    shares_layers: false,
};
