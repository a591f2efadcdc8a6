//! RoBERTa (Liu et al. 2019), and what has its shape under names of its own: XLM-RoBERTa (Conneau et al. 2020) and
//! CamemBERT (Martin et al. 2020). The layers are BERT's. Positions are numbered from the padding token's index plus
//! one, there is one kind of segment, and the head is a newly initialised layer with tanh before the output, with
//! dropout before each of the two.
//!
//! Some checkpoints are of this family with BERT's tokenizer (`klue/roberta-base`); the tokenizer's files say so.

use super::text_encoder::{PositionNumbering, TextDefaults, TextEncoder, TextHead, TextKeys};
use crate::model::activation::Activation;
use crate::model::encoder::Names;
use crate::model::request::Engine;

/// As in transformers' `RobertaConfig` and `RobertaForSequenceClassification`.
pub const ROBERTA: TextEncoder = shaped_like_roberta("roberta", "Roberta", 50265);
/// `XLMRobertaConfig`, `XLMRobertaForSequenceClassification`.
pub const XLM_ROBERTA: TextEncoder = shaped_like_roberta("xlm-roberta", "XLMRoberta", 30522);
/// `CamembertConfig`, `CamembertForSequenceClassification`.
pub const CAMEMBERT: TextEncoder = shaped_like_roberta("camembert", "Camembert", 30522);

const fn shaped_like_roberta(name: &'static str, class: &'static str, vocabulary: i64) -> TextEncoder {
    TextEncoder {
        name,
        class,
        names: Names::of_bert("roberta."),
        keys: TextKeys::TRANSFORMERS,
        defaults: TextDefaults {
            vocabulary,
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
            padding: 1,
        },
        positions: PositionNumbering::AfterPadding,
        further: None,
        pooling_key: None,
        head: TextHead {
            hidden: "classifier.dense",
            in_backbone: false,
            activation: Activation::Tanh,
            dropout_before_hidden: true,
            output: "classifier.out_proj",
            norm: None,
            bias_key: None,
            hidden_key: None,
        },
        other_heads: &["classifier.", "lm_head.", "pooler.", "roberta.pooler.", "qa_outputs."],
        engines: &[Engine::Packed],
        rust_bert: None,
        shares_layers: false,
    }
}
