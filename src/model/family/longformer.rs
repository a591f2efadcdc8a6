//! Longformer (Beltagy et al. 2020): RoBERTa's layers, in which a token sees those near it and the first one, and the
//! first sees all with projections of its own (`encoder/global.rs`). The cost of a text grows with its length and not
//! with the square of it.
//!
//! In transformers, a classifier makes the first token's attention global; a backbone by itself does so only if it is
//! told to.

use super::roberta::ROBERTA;
use super::text_encoder::{Settings, TextDefaults, TextEncoder, TextKeys};
use crate::error::Result;
use crate::model::encoder::{EncoderConfig, Names};

/// As in transformers' `LongformerConfig` and `LongformerForSequenceClassification`.
pub const LONGFORMER: TextEncoder = TextEncoder {
    name: "longformer",
    class: "Longformer",
    names: Names {
        global: Some([
            "encoder.layer.{}.attention.self.query_global",
            "encoder.layer.{}.attention.self.key_global",
            "encoder.layer.{}.attention.self.value_global",
        ]),
        ..Names::of_bert("longformer.")
    },
    keys: TextKeys { head_dropout: "hidden_dropout_prob", ..TextKeys::TRANSFORMERS },
    defaults: TextDefaults { vocabulary: 30522, ..ROBERTA.defaults },
    further: Some(read_windows),
    other_heads: &["classifier.", "lm_head.", "pooler.", "longformer.pooler.", "qa_outputs."],
    ..ROBERTA
};

/// The setting of the tokens that one sees: a number for all layers, or one for each.
const WINDOW: &str = "attention_window";

fn read_windows(settings: &Settings, config: &mut EncoderConfig) -> Result<()> {
    let windows: Vec<i64> = match settings.get(WINDOW, 512i64) {
        Ok(all) => vec![all; config.layers],
        Err(_) => settings.get(WINDOW, Vec::new())?,
    };
    if windows.len() != config.layers {
        let message = format!("{} windows for {} layers", windows.len(), config.layers);
        return Err(settings.refused(WINDOW, message));
    }
    if let Some(window) = windows.iter().find(|&&window| window < 2 || window % 2 != 0 || window > i64::from(i32::MAX))
    {
        return Err(settings.refused(WINDOW, format!("{window} is not an even number of tokens")));
    }
    config.windows = windows.into_iter().map(|window| window / 2).collect();
    Ok(())
}
