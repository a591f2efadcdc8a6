//! GTE's encoders of 2024 (Zhang et al. 2024: gte-multilingual-base, gte-base-en-v1.5, snowflake-arctic-embed-m-v2.0):
//! BERT's layers and head with positions by rotation and a gate in the feed-forward block. The hub's checkpoints have
//! the layout of the Python code beside them (`model_type` `new`), with query, key and value as one, and the gate below
//! the first layer. They are saved as transformers' `GteForSequenceClassification`, with a Python module of the same
//! for versions that do not have it.

use serde_json::{Map, Value, json};

use super::rotary::set_rotary;
use super::text_encoder::{PositionNumbering, Settings, TextDefaults, TextEncoder, TextHead, TextKeys};
use super::translated::{PythonNetwork, Translated};
use crate::error::{Error, Result};
use crate::model::activation::Activation;
use crate::model::checkpoint::Checkpoint;
use crate::model::encoder::{EncoderConfig, FeedForwardOptions, Names};
use crate::model::request::Engine;

/// As in transformers' `GteConfig` and `GteForSequenceClassification`.
pub const GTE: Translated = Translated {
    text: TextEncoder {
        name: "gte",
        class: "Gte",
        names: Names::of_gated_bert("gte."),
        keys: TextKeys::TRANSFORMERS,
        defaults: TextDefaults {
            vocabulary: 250_048,
            width: 768,
            layers: 12,
            heads: 12,
            inner: 3072,
            activation: Activation::Gelu,
            hidden_dropout: 0.1,
            attention_dropout: 0.0,
            head_dropout: None,
            positions: 8192,
            // It may do without; `translate` says that there is one where the file is silent.
            segments: 0,
            layer_norm_epsilon: 1e-12,
            padding: 1,
        },
        positions: PositionNumbering::FromZero,
        further: Some(read_further),
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
        other_heads: &["classifier.", "lm_head.", "pooler.", "gte.pooler.", "new.pooler.", "qa_outputs."],
        engines: &[Engine::Packed],
        rust_bert: None,
        shares_layers: false,
    },
    other_types: &["new"],
    translate,
    python: Some(PythonNetwork {
        configuration: include_str!("python/configuration_gte.py"),
        modeling: include_str!("python/modeling_gte.py"),
    }),
};

/// The base of the angles where transformers' settings do not say it.
const THETA: f64 = 160_000.0;

/// Reads the settings that only this family has.
fn read_further(settings: &Settings, config: &mut EncoderConfig) -> Result<()> {
    config.feed_forward = FeedForwardOptions { gated: true, bias: false, drops_inner: true, ..config.feed_forward };
    set_rotary(settings, config, THETA)
}

fn translate(checkpoint: &mut Checkpoint) -> Result<()> {
    let file = checkpoint.config_file();
    if let Value::Object(config) = &mut checkpoint.config {
        let of_the_hub = config.get("model_type").is_some_and(|name| name == "new")
            || ["pack_qkv", "layer_norm_type"].iter().any(|key| config.contains_key(*key));
        if of_the_hub {
            translate_settings(config).map_err(|error| error.file(file))?;
        }
        config.entry("type_vocab_size").or_insert(json!(1));
    }
    checkpoint.weights.rename(names_of)
}

/// Refuses what the Python code beside the hub's checkpoints computes and transformers' class does not, and says in its
/// words what is left.
fn translate_settings(config: &mut Map<String, Value>) -> Result<()> {
    let refused = |key: &str, message: String| {
        let hint = "gte-multilingual-base and gte-base-en-v1.5 are supported, and what has their layers";
        Err(Error::request(message).key(key).hint(hint))
    };
    // With what is computed, which each is where the file leaves it out.
    for (key, computed) in [
        ("position_embedding_type", json!("rope")),
        ("layer_norm_type", json!("layer_norm")),
        ("logn_attention_scale", json!(false)),
    ] {
        let given = config.remove(key).unwrap_or(computed.clone());
        if given != computed {
            return refused(key, format!("{given} is not supported, only {computed}"));
        }
    }
    // Its defaults, where they are others than transformers'.
    for (key, usual) in [("vocab_size", json!(30_528)), ("max_position_embeddings", json!(2048))] {
        config.entry(key).or_insert(usual);
    }
    let theta = config.remove("rope_theta").unwrap_or(json!(10_000.0));
    let scaling = config.remove("rope_scaling").unwrap_or_default();
    if !config.contains_key("rope_parameters") {
        let mut rope = json!({ "rope_type": "default", "rope_theta": theta });
        if let Value::Object(scaling) = scaling {
            let number = |key: &str, usual: f64| config.get(key).and_then(Value::as_f64).unwrap_or(usual);
            let columns = number("hidden_size", 768.0) / number("num_attention_heads", 12.0);
            let factor = scaling.get("factor").and_then(Value::as_f64).filter(|factor| *factor >= 1.0);
            let kind = scaling.get("type").or(scaling.get("rope_type")).and_then(Value::as_str);
            let is_mixed = scaling.get("mixed_b").is_some_and(|b| !b.is_null());
            // The other way of NTK-aware scaling is a larger base and angles divided by what that leaves too fast.
            rope = match (kind, factor, theta.as_f64()) {
                (Some("ntk"), Some(factor), Some(theta)) if !is_mixed => {
                    json!({
                        "rope_type": "linear",
                        "rope_theta": theta * factor,
                        "factor": factor.powf(2.0 / columns),
                    })
                }
                _ => {
                    let message = "only `ntk` with a factor of at least 1 and without `mixed_b` is supported";
                    return refused("rope_scaling", message.to_owned());
                }
            };
        }
        config.insert("rope_parameters".to_owned(), rope);
    }
    // How that code computes the same.
    for key in ["pack_qkv", "unpad_inputs", "use_memory_efficient_attention", "logn_attention_clip1"] {
        config.remove(key);
    }
    Ok(())
}

/// The names here of a tensor of that code; of a fused layer those of its parts.
fn names_of(stored: &str) -> Vec<String> {
    let (prefix, bare) = match stored.strip_prefix("new.").or_else(|| stored.strip_prefix("gte.")) {
        Some(bare) => ("gte.", bare),
        None => ("", stored),
    };
    let Some((layer, rest)) = bare.strip_prefix("encoder.layer.").and_then(|rest| rest.split_once('.')) else {
        return vec![format!("{prefix}{bare}")];
    };
    let (module, kind) = rest.rsplit_once('.').unwrap_or((rest, ""));
    let parts: &[&str] = match module {
        "attention.qkv_proj" => &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        "attention.q_proj" => &["self_attn.q_proj"],
        "attention.k_proj" => &["self_attn.k_proj"],
        "attention.v_proj" => &["self_attn.v_proj"],
        "attention.o_proj" => &["self_attn.o_proj"],
        "mlp.up_gate_proj" => &["mlp.up_proj", "mlp.gate_proj"],
        "attn_ln" => &["post_attention_layernorm"],
        "mlp_ln" => &["post_mlp_layernorm"],
        module => &[module],
    };
    parts.iter().map(|part| format!("{prefix}layers.{layer}.{part}.{kind}")).collect()
}
