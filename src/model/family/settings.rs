//! The settings in a `config.json`, read one by one, with errors that name file and key.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result, listed};
use crate::model::encoder::{impossible_size, is_size};
use crate::model::pass::Pooling;

/// What to do about a setting that makes no sense.
pub const MATCHING: &str = "use the config.json that belongs to these weights";

/// The settings of a checkpoint, read one by one.
pub struct Settings<'a> {
    pub config: &'a Value,
    /// Where they stand, for messages.
    pub file: PathBuf,
}

impl Settings<'_> {
    /// The setting `key`, or `default` where it is not given.
    pub fn get<T: DeserializeOwned>(&self, key: &str, default: T) -> Result<T> {
        match self.config.get(key) {
            None => Ok(default),
            Some(value) => T::deserialize(value).map_err(|error| self.refused(key, error.to_string())),
        }
    }

    /// Whether the setting is there and not null.
    pub fn is_given(&self, key: &str) -> bool {
        self.config.get(key).is_some_and(|value| !value.is_null())
    }

    /// The same for a size that a tensor can have.
    pub fn size(&self, key: &str, default: i64) -> Result<i64> {
        let size = self.get(key, default)?;
        if is_size(size) { Ok(size) } else { Err(self.refused(key, impossible_size(size))) }
    }

    /// Words in a list, or in one text with `|` between them; none where there is nothing.
    pub fn list(&self, key: &str) -> Result<Vec<String>> {
        match self.config.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(words)) => {
                let words = words.to_lowercase();
                Ok(words.split('|').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect())
            }
            Some(_) => self.get(key, Vec::new()),
        }
    }

    /// The error about a setting.
    pub fn refused(&self, key: &str, message: String) -> Error {
        Error::request(message).file(&self.file).key(key).hint(MATCHING)
    }
}

/// A setting that says what the family's own head reads, and its words.
pub struct PoolingKey {
    pub key: &'static str,
    /// What older files call it.
    pub older: Option<&'static str>,
    pub first_token: &'static str,
    pub mean: &'static str,
    /// The word for a head whose first layer reads every token, before the mean, if the family has one. Where nothing
    /// is said, that is the head, else the one on the first token.
    pub each_token: Option<&'static str>,
}

/// What the checkpoint's own head reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OwnPooling {
    FirstToken,
    Mean,
    EachToken,
}

impl PoolingKey {
    /// What the settings say.
    ///
    /// # Errors
    /// A word that is not known.
    pub fn read(&self, settings: &Settings) -> Result<OwnPooling> {
        let older = self.older.filter(|_| !settings.is_given(self.key));
        let Some(word) = settings.get::<Option<String>>(older.unwrap_or(self.key), None)? else {
            return Ok(if self.each_token.is_some() { OwnPooling::EachToken } else { OwnPooling::FirstToken });
        };
        match word.as_str() {
            word if word == self.first_token => Ok(OwnPooling::FirstToken),
            word if word == self.mean => Ok(OwnPooling::Mean),
            word if self.each_token == Some(word) => Ok(OwnPooling::EachToken),
            _ => {
                let known = [Some(self.first_token), Some(self.mean), self.each_token];
                let message = format!("`{word}` is not supported; {} are", listed(known.into_iter().flatten()));
                Err(settings.refused(self.key, message))
            }
        }
    }

    /// Says in `config.json` what a head reads.
    pub fn write(&self, config: &mut Map<String, Value>, pooling: Pooling) {
        let word = if pooling == Pooling::Cls { self.first_token } else { self.mean };
        config.insert(self.key.to_owned(), word.into());
        if let Some(older) = self.older {
            config.remove(older);
        }
    }
}
