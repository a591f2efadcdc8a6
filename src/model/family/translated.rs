//! A family of text encoders whose checkpoints come in another layout too: with other names of settings and tensors, or
//! with several tensors in one. They are brought into the layout that the family's [`TextEncoder`] describes before it
//! reads them, and saved in that one.

use serde_json::{Value, json};

use super::interface::{Export, Family, Parts, SavedModel};
use super::text_encoder::TextEncoder;
use crate::data::Modality;
use crate::error::{Error, Result};
use crate::model::checkpoint::Checkpoint;
use crate::model::request::{Engine, LoadRequest};

/// See the [module](self).
pub struct Translated {
    /// The family in the layout that is read and written.
    pub text: TextEncoder,
    /// `model_type` in the other layout, where it is another.
    pub other_types: &'static [&'static str],
    /// Brings settings and tensors into that layout, or leaves them as they are where they have it.
    ///
    /// Errors: what is not computed, by its name in the other layout.
    pub translate: fn(&mut Checkpoint) -> Result<()>,
    /// The network in Python, which is written beside a saved model for versions of transformers that do not have it.
    pub python: Option<PythonNetwork>,
}

/// Two Python files, whose names end as the family is called: `configuration_gte.py`, `modeling_gte.py`.
pub struct PythonNetwork {
    pub configuration: &'static str,
    pub modeling: &'static str,
}

impl PythonNetwork {
    /// Adds the files to what is written, and has them loaded.
    fn add_to(&self, export: &mut Export, family: &TextEncoder) {
        let TextEncoder { name, class, .. } = family;
        if export.files.is_empty() {
            export.config["auto_map"] = json!({
                "AutoConfig": format!("configuration_{name}.{class}Config"),
                "AutoModelForSequenceClassification": format!("modeling_{name}.{class}ForSequenceClassification"),
            });
        }
        // The module of the mean-pooled model takes the network from here too.
        for (_, source) in &mut export.files {
            *source = source
                .replace(
                    &format!("from transformers import {class}Config"),
                    &format!("from .configuration_{name} import {class}Config"),
                )
                .replace(
                    &format!("from transformers import {class}Model"),
                    &format!("from .modeling_{name} import {class}Model"),
                );
        }
        export.files.push((format!("configuration_{name}.py"), self.configuration.to_owned()));
        export.files.push((format!("modeling_{name}.py"), self.modeling.to_owned()));
    }
}

impl Family for Translated {
    fn name(&self) -> &'static str {
        self.text.name()
    }

    fn modality(&self) -> Modality {
        self.text.modality()
    }

    fn recognises(&self, config: &Value) -> bool {
        let other = config.get("model_type").and_then(Value::as_str).filter(|name| self.other_types.contains(name));
        other.is_some() || self.text.recognises(config)
    }

    fn engines(&self) -> &'static [Engine] {
        self.text.engines()
    }

    fn load(&self, checkpoint: &mut Checkpoint, request: &LoadRequest) -> Result<Parts> {
        (self.translate)(checkpoint)?;
        self.text.load(checkpoint, request)
    }

    fn export(&self, model: &SavedModel) -> Export {
        let mut export = self.text.export(model);
        if let Some(python) = &self.python {
            python.add_to(&mut export, &self.text);
        }
        export
    }
}

/// Gives settings the names that the family's layout has for them: pairs of the other layout's name and its own.
///
/// # Errors
/// A setting is there under both, and they say different things.
pub fn rename_settings(checkpoint: &mut Checkpoint, names: &[(&str, &str)]) -> Result<()> {
    let file = checkpoint.config_file();
    let Value::Object(config) = &mut checkpoint.config else { return Ok(()) };
    for &(other, own) in names {
        let Some(value) = config.remove(other).filter(|value| !value.is_null()) else { continue };
        match config.get(own).filter(|value| !value.is_null()) {
            Some(given) if given.as_f64() != value.as_f64() => {
                let message = format!("{value}, but `{own}` is {given}");
                return Err(Error::request(message).file(file).key(other).hint("they mean the same: leave out one"));
            }
            Some(_) => {}
            None => {
                config.insert(own.to_owned(), value);
            }
        }
    }
    Ok(())
}
