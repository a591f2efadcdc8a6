//! What training made of its labels, as it is kept in the run directory: `label_rules.json`, where labels were renamed,
//! merged or left out. `evaluate` reads it, so that a file of raw labels is judged as the validation data were.

use std::path::{Path, PathBuf};

use crate::data::LabelResolution;
use crate::error::{Error, Result};
use crate::files::{remove_if_there, write_atomically};
use crate::report::metrics::to_readable_json;

/// The file of a run.
fn file(run: &Path) -> PathBuf {
    run.join("label_rules.json")
}

/// What a run made of its labels; nothing where it has no such file.
///
/// # Errors
/// The file is damaged.
pub fn read(run: &Path) -> Result<LabelResolution> {
    let file = file(run);
    if !file.is_file() {
        return Ok(LabelResolution::default());
    }
    let bytes = std::fs::read(&file).map_err(|error| Error::io(error, &file))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::request(format!("these are not the rules for labels of a run: {error}"))
            .file(&file)
            .hint("train the run again, or delete the file to compare labels as they are")
    })
}

/// Keeps what a run made of its labels. A run that is `continued` must make the same of them.
///
/// # Errors
/// The file cannot be written, or the interrupted run resolved its labels otherwise.
pub fn write(run: &Path, resolution: &LabelResolution, continued: bool) -> Result<()> {
    if continued && read(run)? != *resolution {
        return Err(Error::request("the labels become other classes than when this run began")
            .file(file(run))
            .hint("put the data and the label map back as they were, or start again with another --out"));
    }
    if resolution.is_identity() {
        // A run that was killed before it began may have left some.
        return remove_if_there(&file(run));
    }
    write_atomically(file(run), format!("{}\n", to_readable_json(resolution)?).as_bytes())
}
