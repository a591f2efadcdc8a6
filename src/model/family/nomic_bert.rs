//! nomic_bert (Nussbaum et al. 2024: nomic-embed-text): BERT's layers with positions by rotation, a gate in the
//! feed-forward block, and no biases but those of the norms. The hub's checkpoints have the layout of the Python code
//! beside them, with GPT-2's names of settings and query, key and value as one; they are saved in transformers'.

use serde_json::{Map, Value, json};

use super::rotary::set_rotary;
use super::text_encoder::{PositionNumbering, Settings, TextDefaults, TextEncoder, TextHead, TextKeys};
use super::translated::{Translated, rename_settings};
use crate::error::{Error, Result};
use crate::model::activation::Activation;
use crate::model::checkpoint::Checkpoint;
use crate::model::encoder::{EncoderConfig, FeedForwardOptions, Names};
use crate::model::request::Engine;

/// As in transformers' `NomicBertConfig` and `NomicBertForSequenceClassification`.
pub const NOMIC_BERT: Translated = Translated {
    text: TextEncoder {
        name: "nomic_bert",
        class: "NomicBert",
        names: Names::of_gated_bert("nomic_bert."),
        keys: TextKeys::TRANSFORMERS,
        defaults: TextDefaults {
            vocabulary: 30_528,
            width: 768,
            layers: 12,
            heads: 12,
            inner: 3072,
            activation: Activation::Silu,
            hidden_dropout: 0.0,
            attention_dropout: 0.0,
            head_dropout: None,
            positions: POSITIONS,
            segments: 2,
            layer_norm_epsilon: 1e-12,
            padding: 0,
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
        other_heads: &["classifier.", "cls.", "pooler.", "nomic_bert.pooler."],
        engines: &[Engine::Packed],
        rust_bert: None,
        shares_layers: false,
    },
    other_types: &[],
    translate,
    python: None,
};

/// The base of the angles where the settings do not say it.
const THETA: f64 = 1000.0;
/// The positions where they do not, those that the models were trained with.
const POSITIONS: i64 = 2048;

/// Reads the settings that only this family has.
fn read_further(settings: &Settings, config: &mut EncoderConfig) -> Result<()> {
    (config.attention.qkv_bias, config.attention.output_bias) = (false, false);
    config.feed_forward = FeedForwardOptions { gated: true, bias: false, output_bias: false, ..config.feed_forward };
    set_rotary(settings, config, THETA)
}

/// What the Python code beside the hub's checkpoints calls transformers' settings.
const SETTINGS: &[(&str, &str)] = &[
    ("n_embd", "hidden_size"),
    ("n_layer", "num_hidden_layers"),
    ("n_head", "num_attention_heads"),
    ("n_inner", "intermediate_size"),
    ("layer_norm_epsilon", "layer_norm_eps"),
    ("resid_pdrop", "hidden_dropout_prob"),
    ("attn_pdrop", "attention_probs_dropout_prob"),
];

fn translate(checkpoint: &mut Checkpoint) -> Result<()> {
    if checkpoint.config.get("n_embd").is_some() {
        let file = checkpoint.config_file();
        if let Value::Object(config) = &mut checkpoint.config {
            translate_settings(config).map_err(|error| error.file(file))?;
        }
        rename_settings(checkpoint, SETTINGS)?;
    }
    checkpoint.weights.rename(names_of)
}

/// Refuses what that code computes and transformers' class does not, and says in its words what is left.
fn translate_settings(config: &mut Map<String, Value>) -> Result<()> {
    let refused = |key: &str, message: String| {
        let hint = "nomic-embed-text-v1 and v1.5 are supported, and what has their layers";
        Err(Error::request(message).key(key).hint(hint))
    };
    for key in ["moe_every_n_layers", "num_experts"] {
        if config.get(key).and_then(Value::as_i64).unwrap_or(0) > 0 {
            return refused(key, "mixtures of experts are not supported".to_owned());
        }
    }
    let heads = config.get("n_head").cloned().unwrap_or(json!(12));
    // With what each is where the file leaves it out, and what alone is computed.
    for (key, usual, computed) in [
        ("img_size", Value::Null, Value::Null),
        ("prenorm", json!(false), json!(false)),
        ("parallel_block", json!(false), json!(false)),
        ("use_rms_norm", json!(false), json!(false)),
        ("causal", json!(false), json!(false)),
        ("norm_mlp", json!(false), json!(false)),
        ("qkv_proj_bias", json!(true), json!(false)),
        ("mlp_fc1_bias", json!(true), json!(false)),
        ("mlp_fc2_bias", json!(true), json!(false)),
        ("rotary_emb_fraction", json!(0.0), json!(1.0)),
        ("rotary_emb_interleaved", json!(false), json!(false)),
        ("rotary_emb_scale_base", Value::Null, Value::Null),
        ("num_heads_kv", heads.clone(), heads),
    ] {
        let given = config.remove(key).filter(|given| !given.is_null()).unwrap_or(usual);
        let same = given == computed || (given.is_number() && given.as_f64() == computed.as_f64());
        if !same {
            return refused(key, format!("{given} is not supported, only {computed}"));
        }
    }
    let activation = match config.remove("activation_function").as_ref().and_then(Value::as_str) {
        Some("swiglu") => "silu",
        Some("geglu") => "gelu",
        other => {
            let message = format!("`{}` is not supported; swiglu and geglu are", other.unwrap_or("gelu_new"));
            return refused("activation_function", message);
        }
    };
    config.insert("hidden_act".to_owned(), activation.into());
    let number = |key: &str, usual: i64| config.get(key).and_then(Value::as_i64).unwrap_or(usual);
    // Both are rounded up, as that code does.
    let up = |number: i64, multiple: i64| number.saturating_add(multiple - 1) / multiple * multiple;
    let vocabulary = up(number("vocab_size", 50_257), number("pad_vocab_size_multiple", 1).max(1));
    let inner = up(number("n_inner", number("n_embd", 768).saturating_mul(8) / 3), 256);
    // Longer texts have other angles, those of `rotary_scaling_factor`.
    let positions = number("n_positions", 1024).min(number("max_trained_positions", POSITIONS));
    let theta = config.get("rotary_emb_base").cloned().unwrap_or(json!(THETA));
    config.insert("vocab_size".to_owned(), vocabulary.into());
    config.insert("n_inner".to_owned(), inner.into());
    config.entry("max_position_embeddings").or_insert(positions.into());
    if !config.contains_key("rope_parameters") {
        config.insert("rope_parameters".to_owned(), json!({ "rope_type": "default", "rope_theta": theta }));
    }
    for key in ["n_positions", "max_trained_positions", "rotary_emb_base", "rotary_scaling_factor", "embd_pdrop"] {
        config.remove(key);
    }
    Ok(())
}

/// The names here of a tensor of that code; of a fused projection those of its parts.
fn names_of(stored: &str) -> Vec<String> {
    // transformers writes that code's names too, below its own prefix.
    let (prefix, bare) = match stored.strip_prefix("bert.").or_else(|| stored.strip_prefix("nomic_bert.")) {
        Some(bare) => ("nomic_bert.", bare),
        None => ("", stored),
    };
    let one = |name: String| vec![format!("{prefix}{name}")];
    if let Some(kind) = bare.strip_prefix("emb_ln.") {
        return one(format!("embeddings.LayerNorm.{kind}"));
    }
    let Some((layer, rest)) = bare.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.')) else {
        return one(bare.to_owned());
    };
    let within = |name: &str| format!("layers.{layer}.{name}");
    let (module, kind) = rest.rsplit_once('.').unwrap_or((rest, ""));
    one(within(&match module {
        "attn.Wqkv" => {
            let part = |part| format!("{prefix}{}", within(&format!("self_attn.{part}_proj.{kind}")));
            return ["q", "k", "v"].map(part).into();
        }
        "attn.out_proj" => format!("self_attn.o_proj.{kind}"),
        "mlp.fc11" => format!("mlp.up_proj.{kind}"),
        "mlp.fc12" => format!("mlp.gate_proj.{kind}"),
        "mlp.fc2" => format!("mlp.down_proj.{kind}"),
        "norm1" => format!("post_attention_layernorm.{kind}"),
        "norm2" => format!("post_mlp_layernorm.{kind}"),
        _ => rest.to_owned(),
    }))
}
