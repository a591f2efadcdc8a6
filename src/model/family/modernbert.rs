//! ModernBERT (Warner et al. 2024), and what is saved as one (mmBERT, Ettin's encoders, gte-modernbert): norms before
//! each half of a layer, no biases, a gate in the feed-forward block, positions by rotation, and near tokens alone in
//! two of three layers. The head is that of masked-language models, on the first token or on the mean, as
//! `classifier_pooling` says; transformers loads both.

use std::collections::HashMap;

use serde_json::Value;

use super::rotary::check_halves;
use super::text_encoder::{PoolingKey, PositionNumbering, Settings, TextDefaults, TextEncoder, TextHead, TextKeys};
use crate::error::Result;
use crate::model::activation::Activation;
use crate::model::encoder::{
    ConfigKeys, EmbeddingNames, EmbeddingsConfig, EncoderConfig, FeedForwardOptions, LocalOptions, Names,
    NormPlacement, RotaryOptions,
};
use crate::model::request::Engine;

/// As in transformers' `ModernBertConfig` and `ModernBertForSequenceClassification`.
pub const MODERNBERT: TextEncoder = TextEncoder {
    name: "modernbert",
    class: "ModernBert",
    names: Names {
        prefix: "model.",
        embeddings: EmbeddingNames::Text {
            word: "embeddings.tok_embeddings.weight",
            position: "",
            segment: None,
            norm: Some("embeddings.norm"),
        },
        embedding_projection: None,
        distance_bias: None,
        relative: None,
        unread: None,
        global: None,
        qkv: Some("layers.{}.attn.Wqkv"),
        interleaved: None,
        query: "layers.{}.attn.Wqkv",
        key: "layers.{}.attn.Wqkv",
        value: "layers.{}.attn.Wqkv",
        attention_output: "layers.{}.attn.Wo",
        attention_norm: "layers.{}.attn_norm",
        inner: "layers.{}.mlp.Wi",
        gate: None,
        output: "layers.{}.mlp.Wo",
        output_norm: "layers.{}.mlp_norm",
        layer_scale: None,
        final_norm: Some("final_norm"),
    },
    keys: TextKeys {
        encoder: ConfigKeys {
            hidden_dropout: "embedding_dropout",
            attention_dropout: "attention_dropout",
            layer_norm_epsilon: Some("norm_eps"),
            ..ConfigKeys::TRANSFORMERS
        },
        activation: "hidden_activation",
        ..TextKeys::TRANSFORMERS
    },
    defaults: TextDefaults {
        vocabulary: 50_368,
        width: 768,
        layers: 22,
        heads: 12,
        inner: 1152,
        activation: Activation::Gelu,
        hidden_dropout: 0.0,
        attention_dropout: 0.0,
        head_dropout: Some(0.0),
        positions: 8192,
        segments: 1,
        layer_norm_epsilon: 1e-5,
        padding: 50_283,
    },
    positions: PositionNumbering::FromZero,
    further: Some(read_further),
    pooling_key: Some(PoolingKey {
        key: "classifier_pooling",
        older: None,
        first_token: "cls",
        mean: "mean",
        each_token: None,
    }),
    head: TextHead {
        hidden: "head.dense",
        in_backbone: false,
        activation: Activation::Gelu,
        dropout_before_hidden: false,
        output: "classifier",
        norm: Some("head.norm"),
        bias_key: Some("classifier_bias"),
        hidden_key: None,
    },
    other_heads: &["classifier.", "head.", "decoder.", "qa_outputs."],
    engines: &[Engine::Packed],
    rust_bert: None,
    shares_layers: false,
};

/// The bases of the angles where the settings do not say them.
const THETA: f64 = 160_000.0;
const LOCAL_THETA: f64 = 10_000.0;

/// Reads the settings that only this family has.
fn read_further(settings: &Settings, config: &mut EncoderConfig) -> Result<()> {
    for key in ["embedding_dropout", "attention_dropout", "mlp_dropout"] {
        if settings.get(key, 0.0)? != 0.0 {
            return Err(settings.refused(key, "only 0 is supported; `--dropout` sets one for training".to_owned()));
        }
    }
    let activation = settings.get("classifier_activation", Activation::Gelu)?;
    if activation != Activation::Gelu {
        return Err(settings.refused("classifier_activation", format!("{activation:?}: only gelu is supported")));
    }
    check_halves(settings, config)?;
    let attention_bias = settings.get("attention_bias", false)?;
    (config.attention.qkv_bias, config.attention.output_bias) = (attention_bias, attention_bias);
    let bias = settings.get("mlp_bias", false)?;
    config.feed_forward = FeedForwardOptions { gated: true, bias, output_bias: bias, ..config.feed_forward };
    (config.norms, config.norm_bias) = (NormPlacement::Before, settings.get("norm_bias", false)?);
    config.skips_first_norm = true;
    if let EmbeddingsConfig::Text { has_positions, .. } = &mut config.embeddings {
        *has_positions = false;
    }
    let window = settings.get("local_attention", 128)? / 2;
    if window < 0 {
        return Err(settings.refused("local_attention", "no attention at all".to_owned()));
    }
    let theta = |kind, key, usual| theta(settings, kind, key, usual);
    config.rotary = Some(RotaryOptions {
        theta: theta("full_attention", "global_rope_theta", THETA)?,
        divisor: 1.0,
        local: Some(LocalOptions { theta: theta("sliding_attention", "local_rope_theta", LOCAL_THETA)?, window }),
    });
    config.local = local_layers(settings, config.layers)?;
    Ok(())
}

/// The base of the angles in one kind of layer: in `rope_parameters`, or in a setting of its own.
fn theta(settings: &Settings, kind: &str, key: &str, usual: f64) -> Result<f64> {
    let usual = settings.get::<Option<f64>>(key, None)?.unwrap_or(usual);
    let all: Option<HashMap<String, Value>> = settings.get("rope_parameters", None)?;
    let mut theta = usual;
    if let Some(Value::Object(given)) = all.as_ref().and_then(|all| all.get(kind)) {
        if let Some(way) = given.get("rope_type").and_then(Value::as_str).filter(|way| *way != "default") {
            return Err(settings.refused("rope_parameters", format!("`{way}` is not supported; `default` is")));
        }
        theta = given.get("rope_theta").map_or(Some(usual), Value::as_f64).unwrap_or(f64::NAN);
    }
    if settings.get::<Option<Value>>("rope_scaling", None)?.is_some() {
        return Err(settings.refused("rope_scaling", "scaled positions are not supported".to_owned()));
    }
    if !(theta.is_finite() && theta > 0.0) {
        return Err(settings.refused("rope_parameters", "`rope_theta` is not a positive number".to_owned()));
    }
    Ok(theta)
}

/// Which layers see only near tokens: as they are listed, else all but the first of every three.
fn local_layers(settings: &Settings, layers: usize) -> Result<Vec<bool>> {
    let Some(kinds) = settings.get::<Option<Vec<String>>>("layer_types", None)? else {
        let every = settings.get("global_attn_every_n_layers", 3usize)?;
        if every == 0 {
            return Err(settings.refused("global_attn_every_n_layers", "0 is not a number of layers".to_owned()));
        }
        return Ok((0..layers).map(|index| index % every != 0).collect());
    };
    if kinds.len() != layers {
        return Err(settings.refused("layer_types", format!("{} kinds for {layers} layers", kinds.len())));
    }
    let is_local = |kind: &String| match kind.as_str() {
        "sliding_attention" => Ok(true),
        "full_attention" => Ok(false),
        other => Err(settings.refused("layer_types", format!("`{other}` is not supported"))),
    };
    kinds.iter().map(is_local).collect()
}
