//! XLNet (Yang et al. 2019): attention by content, distance and segment (`encoder/two_stream.rs`), no positions and no
//! limit of the length. The last token stands for the text. The head is a newly initialised layer with tanh before the
//! output. The second stream, permutations and memory of earlier texts belong to its pretraining and are not used.
//! Segments are those that the tokenizer gives; that of transformers 5 gives none unless its files ask for them
//! (`model_input_names`).

use super::bert::BERT;
use super::text_encoder::{PositionNumbering, Settings, TextDefaults, TextEncoder, TextHead, TextKeys};
use crate::error::Result;
use crate::model::activation::Activation;
use crate::model::encoder::{
    ConfigKeys, EmbeddingNames, EmbeddingsConfig, EncoderConfig, LayerKind, Names, TwoStreamOptions,
};
use crate::model::request::Engine;

/// As in transformers' `XLNetConfig` and `XLNetForSequenceClassification`.
pub const XLNET: TextEncoder = TextEncoder {
    name: "xlnet",
    class: "XLNet",
    names: Names {
        embeddings: EmbeddingNames::Text { word: "word_embedding.weight", position: "", segment: None, norm: None },
        unread: Some("mask_emb"),
        query: "layer.{}.rel_attn.q",
        ..Names::of_bert("transformer.")
    },
    keys: TextKeys {
        encoder: ConfigKeys {
            width: "d_model",
            layers: "n_layer",
            heads: "n_head",
            inner: "d_inner",
            hidden_dropout: "dropout",
            attention_dropout: "dropout",
            layer_norm_epsilon: Some("layer_norm_eps"),
        },
        activation: "ff_activation",
        head_dropout: "summary_last_dropout",
        aliases: &[
            ("n_token", "vocab_size"),
            ("hidden_size", "d_model"),
            ("num_attention_heads", "n_head"),
            ("num_hidden_layers", "n_layer"),
        ],
        ..TextKeys::TRANSFORMERS
    },
    defaults: TextDefaults {
        vocabulary: 32000,
        width: 1024,
        layers: 24,
        heads: 16,
        inner: 4096,
        activation: Activation::Gelu,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
        head_dropout: Some(0.1),
        // As many as anyone can wait for: there is no table.
        positions: 1 << 20,
        segments: 0,
        layer_norm_epsilon: 1e-12,
        padding: 5,
    },
    positions: PositionNumbering::FromZero,
    further: Some(read_further),
    head: TextHead {
        hidden: "sequence_summary.summary",
        in_backbone: false,
        activation: Activation::Tanh,
        dropout_before_hidden: true,
        output: "logits_proj",
        norm: None,
        bias_key: None,
        hidden_key: Some("summary_use_proj"),
    },
    other_heads: &[
        "classifier.",
        "logits_proj.",
        "sequence_summary.",
        "lm_loss.",
        "qa_outputs.",
        "start_logits.",
        "end_logits.",
        "answer_class.",
    ],
    engines: &[Engine::Packed],
    rust_bert: None,
    ..BERT
};

fn read_further(settings: &Settings, config: &mut EncoderConfig) -> Result<()> {
    for (key, supported) in [("attn_type", "bi"), ("summary_type", "last"), ("summary_activation", "tanh")] {
        let given: Option<String> = settings.get(key, Some(supported.to_owned()))?;
        if given.as_deref() != Some(supported) {
            let given = given.unwrap_or_else(|| "null".to_owned());
            return Err(settings.refused(key, format!("`{given}` is not supported; `{supported}` is")));
        }
    }
    for key in ["bi_data", "summary_proj_to_labels"] {
        if settings.get(key, false)? {
            return Err(settings.refused(key, "only `false` is supported".to_owned()));
        }
    }
    if settings.get("summary_first_dropout", 0.0)? > 0.0 {
        return Err(settings.refused("summary_first_dropout", "only 0 is supported".to_owned()));
    }
    let d = config.width / config.attention.heads.max(1);
    if settings.get::<Option<i64>>("d_head", None)?.is_some_and(|given| given != d) {
        return Err(settings.refused("d_head", format!("only {d} is supported, as the other sizes say")));
    }
    if config.width % 2 != 0 {
        return Err(settings.refused("d_model", format!("{}: only even numbers are possible", config.width)));
    }
    let farthest = Some(settings.get("clamp_len", -1)?).filter(|&farthest| farthest > 0);
    config.layer_kind = LayerKind::TwoStream(TwoStreamOptions { farthest });
    if let EmbeddingsConfig::Text { has_positions, segments, .. } = &mut config.embeddings {
        // Of the two texts and of the last token, which only differ from each other.
        (*has_positions, *segments) = (false, 3);
    }
    Ok(())
}
