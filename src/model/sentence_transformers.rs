//! What sentence-transformers writes beside a model: how the features of a text come about after the network. Nothing
//! here is needed to load one.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::pass::Pooling;
use crate::error::{Error, Result, listed};
use crate::json;

/// The file that lists what is done with a text.
pub const MODULES: &str = "modules.json";
/// The one that says how long texts may be.
pub const LENGTH: &str = "sentence_bert_config.json";
/// The one that says what is put before them.
const PROMPTS: &str = "config_sentence_transformers.json";

/// What is done after the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// How token vectors are pooled.
    pub pooling: Pooling,
    /// Whether the result is scaled to length 1.
    pub normalise: bool,
}

/// The hint where something is not computed.
const WITHOUT: &str = "to get features without it, say how they are pooled: --pooling mean";

/// What the files in a model's directory say; nothing where they are not sentence-transformers'.
///
/// # Errors
/// They cannot be read, or ask for what is not computed.
pub fn features(directory: &Path) -> Result<Option<Features>> {
    let file = directory.join(MODULES);
    let Some(modules) = json::read(&file)? else { return Ok(None) };
    let mut pooling = None;
    let mut normalise = false;
    for module in modules.as_array().into_iter().flatten() {
        let text = |key: &str| module.get(key).and_then(Value::as_str).unwrap_or_default();
        // `sentence_transformers.models.Pooling`: the packages have moved, the names have not.
        match text("type").rsplit('.').next().unwrap_or_default() {
            "Transformer" => {}
            "Pooling" => pooling = Some(pooling_of(&inside(directory, text("path"))?.join("config.json"))?),
            "Normalize" => normalise = true,
            other => {
                let message = format!("the model has a module `{other}`, which is not supported");
                return Err(Error::request(message).file(file).hint(WITHOUT));
            }
        }
    }
    Ok(pooling.map(|pooling| Features { pooling, normalise }))
}

/// A folder of the model directory: nothing outside of it is read.
fn inside(directory: &Path, path: &str) -> Result<PathBuf> {
    let is_plain = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
    match Path::new(path).components().all(is_plain) {
        true => Ok(directory.join(path)),
        false => Err(Error::request(format!("{path:?} is not a folder of the model directory"))
            .file(directory.join(MODULES))
            .key("path")
            .hint(json::COMPLETE)),
    }
}

/// The one pooling that the file of a pooling module names, in its older form (a truth for each) or its newer one.
fn pooling_of(file: &Path) -> Result<Pooling> {
    let settings = json::read(file)?.ok_or_else(|| {
        Error::request("the file that says how tokens are pooled is missing").file(file).hint(json::COMPLETE)
    })?;
    let members = settings.as_object().into_iter().flatten();
    let truths = members.filter(|(key, value)| key.starts_with("pooling_mode_") && **value == Value::Bool(true));
    let older: Vec<&str> = truths.map(|(key, _)| key.as_str()).collect();
    let newer: Vec<&str> = match settings.get("pooling_mode") {
        Some(Value::String(mode)) => vec![mode.as_str()],
        Some(Value::Array(modes)) => modes.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    match older.iter().chain(&newer).copied().collect::<Vec<_>>().as_slice() {
        ["pooling_mode_mean_tokens" | "mean"] => Ok(Pooling::Mean),
        ["pooling_mode_cls_token" | "cls"] => Ok(Pooling::Cls),
        other => {
            let named = if other.is_empty() { "none".to_owned() } else { listed(other) };
            Err(Error::request(format!("pooling by {named} is not supported")).file(file).hint(WITHOUT))
        }
    }
}

/// Tokens of a text at most, where a file says so.
///
/// # Errors
/// The file cannot be read.
pub fn max_length(directory: &Path) -> Result<Option<usize>> {
    let settings = json::read(&directory.join(LENGTH))?;
    let length = settings.as_ref().and_then(|settings| settings.get("max_seq_length")?.as_u64());
    Ok(length.and_then(|length| usize::try_from(length).ok()).filter(|&length| length > 0))
}

/// What is put before each text by default.
///
/// # Errors
/// The file cannot be read.
pub fn prompt(directory: &Path) -> Result<Option<String>> {
    let Some(settings) = json::read(&directory.join(PROMPTS))? else { return Ok(None) };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let name = text(settings.get("default_prompt_name"));
    let prompt = name.and_then(|name| text(settings.get("prompts")?.get(name)));
    Ok(prompt.filter(|prompt| !prompt.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_folder_outside_the_model_is_read() {
        let directory = Path::new("model");
        for path in ["1_Pooling", "a/b", ".", ""] {
            assert_eq!(inside(directory, path).ok(), Some(directory.join(path)));
        }
        for path in ["../other", "a/../../b", "/etc"] {
            assert!(
                inside(directory, path).is_err_and(|error| error.to_string().contains("model/modules.json: `path`"))
            );
        }
    }
}
