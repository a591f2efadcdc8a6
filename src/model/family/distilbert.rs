//! DistilBERT (Sanh et al. 2019): BERT's layers without segments and without a pooler. The head is a newly initialised
//! layer with ReLU before the output. The epsilon of its norms is fixed, and sinusoidal positions are stored as a table
//! like others.

use super::text_encoder::{PositionNumbering, TextDefaults, TextEncoder, TextHead, TextKeys};
use crate::model::activation::Activation;
use crate::model::encoder::{ConfigKeys, EmbeddingNames, Names};
use crate::model::request::Engine;

/// As in transformers' `DistilBertConfig` and `DistilBertForSequenceClassification`.
pub const DISTILBERT: TextEncoder = TextEncoder {
    name: "distilbert",
    class: "DistilBert",
    names: Names {
        prefix: "distilbert.",
        embeddings: EmbeddingNames::Text {
            word: "embeddings.word_embeddings.weight",
            position: "embeddings.position_embeddings.weight",
            segment: None,
            norm: Some("embeddings.LayerNorm"),
        },
        embedding_projection: None,
        distance_bias: None,
        relative: None,
        unread: None,
        global: None,
        qkv: None,
        interleaved: None,
        query: "transformer.layer.{}.attention.q_lin",
        key: "transformer.layer.{}.attention.k_lin",
        value: "transformer.layer.{}.attention.v_lin",
        attention_output: "transformer.layer.{}.attention.out_lin",
        attention_norm: "transformer.layer.{}.sa_layer_norm",
        inner: "transformer.layer.{}.ffn.lin1",
        gate: None,
        output: "transformer.layer.{}.ffn.lin2",
        output_norm: "transformer.layer.{}.output_layer_norm",
        layer_scale: None,
        final_norm: None,
    },
    keys: TextKeys {
        encoder: ConfigKeys {
            width: "dim",
            layers: "n_layers",
            heads: "n_heads",
            inner: "hidden_dim",
            hidden_dropout: "dropout",
            attention_dropout: "attention_dropout",
            layer_norm_epsilon: None,
        },
        activation: "activation",
        head_dropout: "seq_classif_dropout",
        aliases: &[("hidden_size", "dim"), ("num_attention_heads", "n_heads"), ("num_hidden_layers", "n_layers")],
        ..TextKeys::TRANSFORMERS
    },
    defaults: TextDefaults {
        vocabulary: 30522,
        width: 768,
        layers: 6,
        heads: 12,
        inner: 3072,
        activation: Activation::Gelu,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
        head_dropout: Some(0.2),
        positions: 512,
        segments: 1,
        layer_norm_epsilon: 1e-12,
        padding: 0,
    },
    positions: PositionNumbering::FromZero,
    further: None,
    pooling_key: None,
    head: TextHead {
        hidden: "pre_classifier",
        in_backbone: false,
        activation: Activation::Relu,
        dropout_before_hidden: false,
        output: "classifier",
        norm: None,
        bias_key: None,
        hidden_key: None,
    },
    other_heads: &["classifier.", "pre_classifier.", "vocab_", "qa_outputs."],
    engines: &[Engine::Packed],
    rust_bert: None,
    shares_layers: false,
};
