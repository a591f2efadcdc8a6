//! Rotary positions as `config.json` describes them, in families whose layers all have the same (ModernBERT reads its
//! own, which has two kinds). What they compute is told in `encoder/rotary.rs`.

use serde_json::Value;

use super::text_encoder::Settings;
use crate::error::Result;
use crate::model::encoder::{EmbeddingsConfig, EncoderConfig, RotaryOptions};

/// That the columns of a head have two halves of the same width.
///
/// # Errors
/// They have not.
pub fn check_halves(settings: &Settings, config: &EncoderConfig) -> Result<()> {
    match config.width / config.attention.heads.max(1) {
        odd if odd % 2 != 0 => {
            let message = format!("heads of {odd} columns have no halves to turn");
            Err(settings.refused("num_attention_heads", message))
        }
        _ => Ok(()),
    }
}

/// Gives the encoder rotary positions and no others: transformers' `rope_parameters`, with or without a divisor of the
/// angles (`linear`), or `rope_theta` alone; `usual` is the base where neither says it.
///
/// # Errors
/// Another way of scaling, impossible numbers, heads of another width than the layers leave them.
pub fn set_rotary(settings: &Settings, config: &mut EncoderConfig, usual: f64) -> Result<()> {
    check_halves(settings, config)?;
    let head_width = config.width / config.attention.heads.max(1);
    if settings.get::<Option<i64>>("head_dim", None)?.is_some_and(|given| given != head_width) {
        let message = format!("only heads of {head_width} columns are supported, as many as fit side by side");
        return Err(settings.refused("head_dim", message));
    }
    let usual = settings.get::<Option<f64>>("rope_theta", None)?.unwrap_or(usual);
    let key = if settings.is_given("rope_scaling") { "rope_scaling" } else { "rope_parameters" };
    let given: Option<Value> = settings.get(key, None)?;
    let within = |name: &str| given.as_ref().and_then(|given| given.get(name)).filter(|value| !value.is_null());
    let number = |name: &str, usual: f64| {
        let found = within(name).map_or(Some(usual), Value::as_f64).filter(|x| x.is_finite() && *x > 0.0);
        found.ok_or_else(|| settings.refused(key, format!("`{name}` is not a positive number")))
    };
    let partial = settings.get::<Option<f64>>("partial_rotary_factor", None)?.unwrap_or(1.0);
    if number("partial_rotary_factor", partial)? != 1.0 {
        return Err(settings.refused("partial_rotary_factor", "only 1 is supported: all columns turn".to_owned()));
    }
    let divisor = match within("rope_type").or_else(|| within("type")).map(|kind| kind.as_str().unwrap_or_default()) {
        None | Some("default") => 1.0,
        Some("linear") => number("factor", f64::NAN)?,
        Some(other) => {
            let message = format!("`{other}` is not supported; `default` and `linear` are");
            return Err(settings.refused(key, message));
        }
    };
    config.rotary = Some(RotaryOptions { theta: number("rope_theta", usual)?, divisor, local: None });
    if let EmbeddingsConfig::Text { has_positions, .. } = &mut config.embeddings {
        *has_positions = false;
    }
    Ok(())
}
