//! EuroBERT (Boizard et al. 2025): the layers of a language model without its mask. Norms by the root mean square
//! before each half of a layer, a gate in the feed-forward block, positions by rotation, several queries to a key in
//! the larger ones, no biases. Its head reads the first token, the mean, or every token before the mean, as
//! `classifier_pooling` says; a new one reads the first token or the mean. transformers loads all of them.

use super::rotary::set_rotary;
use super::text_encoder::{PoolingKey, PositionNumbering, Settings, TextDefaults, TextEncoder, TextHead, TextKeys};
use crate::error::Result;
use crate::model::activation::Activation;
use crate::model::encoder::{
    ConfigKeys, EmbeddingNames, EmbeddingsConfig, EncoderConfig, FeedForwardOptions, Names, NormPlacement,
};
use crate::model::layers::NormKind;
use crate::model::request::Engine;

/// As in transformers' `EuroBertConfig` and `EuroBertForSequenceClassification`.
pub const EUROBERT: TextEncoder = TextEncoder {
    name: "eurobert",
    class: "EuroBert",
    names: Names {
        embeddings: EmbeddingNames::Text { word: "embed_tokens.weight", position: "", segment: None, norm: None },
        query: "layers.{}.self_attn.q_proj",
        key: "layers.{}.self_attn.k_proj",
        value: "layers.{}.self_attn.v_proj",
        attention_output: "layers.{}.self_attn.o_proj",
        attention_norm: "layers.{}.input_layernorm",
        inner: "layers.{}.mlp.gate_proj",
        gate: Some("layers.{}.mlp.up_proj"),
        output: "layers.{}.mlp.down_proj",
        output_norm: "layers.{}.post_attention_layernorm",
        final_norm: Some("norm"),
        ..Names::of_bert("model.")
    },
    keys: TextKeys {
        encoder: ConfigKeys {
            attention_dropout: "attention_dropout",
            layer_norm_epsilon: Some("rms_norm_eps"),
            ..ConfigKeys::TRANSFORMERS
        },
        ..TextKeys::TRANSFORMERS
    },
    defaults: TextDefaults {
        vocabulary: 128_256,
        width: 768,
        layers: 12,
        heads: 12,
        inner: 3072,
        activation: Activation::Silu,
        hidden_dropout: 0.0,
        attention_dropout: 0.0,
        head_dropout: Some(0.0),
        positions: 8192,
        segments: 1,
        layer_norm_epsilon: 1e-5,
        padding: 128_001,
    },
    positions: PositionNumbering::FromZero,
    further: Some(read_further),
    pooling_key: Some(PoolingKey {
        key: "classifier_pooling",
        older: Some("clf_pooling"),
        first_token: "bos",
        mean: "mean",
        each_token: Some("late"),
    }),
    head: TextHead {
        hidden: "dense",
        in_backbone: false,
        activation: Activation::Gelu,
        dropout_before_hidden: false,
        output: "classifier",
        norm: None,
        bias_key: None,
        hidden_key: None,
    },
    other_heads: &["classifier.", "dense.", "lm_head.", "out_proj."],
    engines: &[Engine::Packed],
    rust_bert: None,
    shares_layers: false,
};

/// The base of the angles where the settings do not say it.
const THETA: f64 = 10_000.0;

/// Reads the settings that only this family has.
fn read_further(settings: &Settings, config: &mut EncoderConfig) -> Result<()> {
    // Its padding is the token that ends every text, and PyTorch does not train the padding's row.
    if let EmbeddingsConfig::Text { vocabulary, untrained_row, .. } = &mut config.embeddings {
        let padding = settings.get::<Option<i64>>("pad_token_id", Some(EUROBERT.defaults.padding))?;
        *untrained_row = padding.filter(|row| (0..*vocabulary).contains(row)).unwrap_or(-1);
    }
    let heads = config.attention.heads;
    config.attention.key_value_heads = settings.get::<Option<i64>>("num_key_value_heads", None)?.unwrap_or(heads);
    let attention_bias = settings.get("attention_bias", false)?;
    (config.attention.qkv_bias, config.attention.output_bias) = (attention_bias, attention_bias);
    let bias = settings.get("mlp_bias", false)?;
    config.feed_forward = FeedForwardOptions { gated: true, bias, output_bias: bias, ..config.feed_forward };
    (config.norms, config.norm_kind, config.norm_bias) = (NormPlacement::Before, NormKind::Rms, false);
    set_rotary(settings, config, THETA)
}
