//! A family of text encoders whose checkpoints come in another layout too: with other names of settings and tensors, or
//! with several tensors in one. They are brought into the layout that the family's [`TextEncoder`] describes before it
//! reads them, and saved in that one.

use serde_json::Value;

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
        self.text.export(model)
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
