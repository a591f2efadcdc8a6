//! Reads the JSON files that come with a model: `config.json`, the tokenizer's settings, an index of weights. What they
//! mean is for the readers of each to know.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};

/// The hint for a model's file that is not what it should be.
pub const COMPLETE: &str = "was the model copied or downloaded completely?";

/// A JSON file's value; `None` when there is no such file.
pub fn read(path: &Path) -> Result<Option<Value>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::request(format!("not valid JSON: {error}"))
                .file(path)
                .line(error.line() as u64)
                .fallback_hint(COMPLETE)
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(error, path)),
    }
}
