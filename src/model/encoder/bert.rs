//! BERT (Devlin et al. 2019) as a packed encoder: how its `config.json` reads and what its tensors are called.
//! Also what rehead writes itself: a mean-pooled BERT, of type `rehead_bert`.

use serde::Deserialize;
use serde_json::Value;

use super::{Activation, EmbeddingNames, EncoderConfig, Names, Reads};
use crate::error::{Error, Result};
use crate::model::checkpoint::Checkpoint;

/// `config.json`'s `model_type` of a BERT, and of the mean-pooled BERT that rehead writes.
pub const MODEL_TYPES: [&str; 2] = ["bert", "rehead_bert"];

pub const NAMES: Names = Names {
    prefix: "bert.",
    embeddings: EmbeddingNames::Text {
        word: "embeddings.word_embeddings.weight",
        position: "embeddings.position_embeddings.weight",
        segment: "embeddings.token_type_embeddings.weight",
        norm: "embeddings.LayerNorm",
    },
    query: "encoder.layer.{}.attention.self.query",
    key: "encoder.layer.{}.attention.self.key",
    value: "encoder.layer.{}.attention.self.value",
    attention_output: "encoder.layer.{}.attention.output.dense",
    attention_norm: "encoder.layer.{}.attention.output.LayerNorm",
    intermediate: "encoder.layer.{}.intermediate.dense",
    output: "encoder.layer.{}.output.dense",
    output_norm: "encoder.layer.{}.output.LayerNorm",
    final_norm: None,
};

/// The settings of `config.json` that matter here; defaults as in transformers' `BertConfig`.
#[derive(Deserialize)]
#[serde(default)]
struct BertConfig {
    vocab_size: i64,
    hidden_size: i64,
    num_hidden_layers: i64,
    num_attention_heads: i64,
    intermediate_size: i64,
    hidden_act: Activation,
    hidden_dropout_prob: f64,
    attention_probs_dropout_prob: f64,
    max_position_embeddings: i64,
    type_vocab_size: i64,
    layer_norm_eps: f64,
    position_embedding_type: Option<String>,
    is_decoder: bool,
    add_cross_attention: bool,
}

impl Default for BertConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: Activation::Gelu,
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            position_embedding_type: None,
            is_decoder: false,
            add_cross_attention: false,
        }
    }
}

const MATCHING: &str = "take the config.json that belongs to these weights, of a BERT encoder";

/// Reads a BERT's `config.json`.
///
/// # Errors
/// A mistyped or impossible setting, or one that this encoder does not compute (decoders, relative positions).
pub fn config(checkpoint: &Checkpoint) -> Result<EncoderConfig> {
    let file = checkpoint.config_file();
    let config: BertConfig = serde_path_to_error::deserialize(&checkpoint.config).map_err(|error| {
        Error::request(error.inner().to_string()).file(&file).key(error.path().to_string()).hint(MATCHING)
    })?;
    let refuse = |key: &str, message: String| Err(Error::request(message).file(&file).key(key).hint(MATCHING));
    let sizes = [
        ("vocab_size", config.vocab_size),
        ("max_position_embeddings", config.max_position_embeddings),
        ("type_vocab_size", config.type_vocab_size),
    ];
    if let Some((key, size)) = sizes.into_iter().find(|(_, size)| !(1..=i64::from(i32::MAX)).contains(size)) {
        return refuse(key, format!("{size} is not a possible size"));
    }
    if let Some(kind) = config.position_embedding_type.filter(|kind| kind != "absolute") {
        return refuse("position_embedding_type", format!("`{kind}` positions are not supported; `absolute` ones are"));
    }
    if config.is_decoder || config.add_cross_attention {
        return refuse("is_decoder", "decoders are not supported; this must be an encoder".to_owned());
    }
    let encoder = EncoderConfig {
        family: "bert".to_owned(),
        reads: Reads::Text {
            vocabulary: config.vocab_size,
            positions: config.max_position_embeddings,
            segments: config.type_vocab_size,
        },
        width: config.hidden_size,
        layers: config.num_hidden_layers as usize,
        heads: config.num_attention_heads,
        intermediate: config.intermediate_size,
        activation: config.hidden_act,
        layer_norm_epsilon: config.layer_norm_eps,
        hidden_dropout: config.hidden_dropout_prob,
        attention_dropout: config.attention_probs_dropout_prob,
        projection_bias: true,
        pre_norm: false,
    };
    encoder.checked(&file, MATCHING)
}

/// The dropout before the classifier: `classifier_dropout`, or the hidden dropout when that is null.
pub fn classifier_dropout(checkpoint: &Checkpoint, hidden_dropout: f64) -> Result<f64> {
    const KEY: &str = "classifier_dropout";
    match checkpoint.config.get(KEY) {
        None | Some(Value::Null) => Ok(hidden_dropout),
        Some(value) => value.as_f64().filter(|p| (0.0..1.0).contains(p)).ok_or_else(|| {
            let message = format!("{value} is not a probability below 1");
            Error::request(message).file(checkpoint.config_file()).key(KEY).hint(MATCHING)
        }),
    }
}
