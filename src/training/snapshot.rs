//! The state of a run on disk: everything that an interrupted run needs to continue bit-identical to one that was
//! not interrupted.
//!
//! A snapshot is a folder `checkpoints/step-N` with the trained weights, the optimizer's moments and `state.json`; the
//! file `checkpoints/latest` names the newest whole one and is replaced last. The best epoch's weights stand beside it.
//! What a seed determines (order of examples, dropout) is not stored: it is computed again. Snapshots are written when
//! a run is interrupted and every few minutes; once the trained model is saved, `trained.json` stands in their place.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::files::{self, write_atomically};
use crate::model::checkpoint::{Weights, save_tensors};
use crate::model::parameter::Parameter;
use crate::training::optimizer::Adamw;
use crate::training::state::TrainState;

/// Version of the format of snapshots. One with another number is refused, never read.
const VERSION: u32 = 3;

/// `state.json`.
#[derive(Serialize, Deserialize)]
struct StateFile<S> {
    version: u32,
    state: S,
}

/// A copy of the best epoch's weights.
pub struct BestWeights(Vec<(String, Tensor)>);

impl BestWeights {
    /// The weights as they are now, copied on their device, under the names that checkpoints give them.
    pub fn copy_of(trained: &[&Parameter]) -> Result<Self> {
        let stored = stored(trained)?;
        Ok(Self(tch::no_grad(|| stored.into_iter().map(|(name, tensor)| (name, tensor.copy())).collect())))
    }

    /// Copies them back into the parameters.
    pub fn restore(&self, trained: &[&Parameter]) -> Result<()> {
        for ((_, mut part), (_, best)) in stored(trained)?.into_iter().zip(&self.0) {
            tch::no_grad(|| part.f_copy_(best))?;
        }
        Ok(())
    }
}

/// The `checkpoints` folder of a run.
pub struct Snapshots {
    folder: PathBuf,
}

const LATEST: &str = "latest";
const BEST: &str = "best.safetensors";
const TRAINED: &str = "trained.json";
const CHOSEN: &str = "chosen.json";
const FINISHED: &str = "finished.json";

impl Snapshots {
    /// Makes the folder in the run directory `run` where it is missing.
    pub fn new(run: &Path) -> Result<Self> {
        let folder = run.join("checkpoints");
        fs::create_dir_all(&folder).map_err(|error| Error::io(error, &folder))?;
        Ok(Self { folder })
    }

    /// The snapshots of a run, when it has the folder.
    pub fn new_if_there(run: &Path) -> Option<Self> {
        let folder = run.join("checkpoints");
        folder.is_dir().then_some(Self { folder })
    }

    /// Saves the state; the one before stays until this one is whole. `best` are the best epoch's weights, when no
    /// earlier snapshot has saved them.
    pub fn save(
        &self,
        state: &TrainState,
        trained: &[&Parameter],
        optimizer: &mut Adamw,
        best: Option<&BestWeights>,
    ) -> Result<()> {
        if let Some(BestWeights(tensors)) = best {
            save_tensors(
                &self.folder.join(BEST),
                tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())),
            )?;
        }
        // A run that was begun again must not write over what `latest` names while that is all there is.
        let again = if state.restart.is_some() { "-again" } else { "" };
        let name = format!("step-{:08}{again}", state.step);
        let folder = self.folder.join(&name);
        fs::create_dir_all(&folder).map_err(|error| Error::io(error, &folder))?;
        save_tensors(&folder.join("weights.safetensors"), stored(trained)?)?;
        save_tensors(&folder.join("optimizer.safetensors"), optimizer.state()?)?;
        let text = serde_json::to_string_pretty(&StateFile { version: VERSION, state })
            .map_err(|error| Error::failure(format!("the state cannot be written: {error}")).file(&folder))?;
        write_atomically(folder.join("state.json"), text.as_bytes())?;
        write_atomically(self.folder.join(LATEST), name.as_bytes())?;
        self.remove_all_but(Some(&name))
    }

    /// Where the newest snapshot stands; `None` when there is none.
    pub fn latest(&self) -> Result<Option<(PathBuf, TrainState)>> {
        let pointer = self.folder.join(LATEST);
        let name = match fs::read(&pointer) {
            Ok(name) => String::from_utf8_lossy(&name).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.damaged(Error::io(error, &pointer))),
        };
        let Some(name) = Some(name.trim()).filter(|name| name.starts_with("step-") && !name.contains('/')) else {
            return Err(self.damaged(Error::request("names no snapshot").file(&pointer)));
        };
        let folder = self.folder.join(name);
        let state = self.read_state(&folder.join("state.json"))?;
        Ok(Some((folder, state)))
    }

    fn read_state(&self, file: &Path) -> Result<TrainState> {
        let text = fs::read(file).map_err(|error| self.damaged(Error::io(error, file)))?;
        let not_a_state = |error| self.damaged(Error::request(format!("not a snapshot's state: {error}")).file(file));
        let value: Value = serde_json::from_slice(&text).map_err(not_a_state)?;
        // The first version had no number.
        if value.get("version").map_or(value.get("step").is_some(), |version| *version != VERSION) {
            return Err(Error::request("the snapshot was written by another version of rehead")
                .file(file)
                .hint("resume with the version that began the run, or start again with another --out"));
        }
        let StateFile { state, .. } = serde_json::from_value(value).map_err(not_a_state)?;
        Ok(state)
    }

    /// Copies a snapshot's weights and moments into the classifier's parameters and the optimizer.
    pub fn restore(&self, folder: &Path, trained: &[&Parameter], optimizer: &mut Adamw) -> Result<()> {
        let mut restore = || {
            copy_into(&folder.join("weights.safetensors"), trained)?;
            let moments = Weights::open_file(&folder.join("optimizer.safetensors"), Device::Cpu)?;
            optimizer.restore(&moments)
        };
        restore().map_err(|error| self.damaged(error))
    }

    /// Copies the best epoch's weights, as an earlier session saved them, into the parameters.
    pub fn restore_best(&self, trained: &[&Parameter]) -> Result<()> {
        copy_into(&self.folder.join(BEST), trained).map_err(|error| self.damaged(error))
    }

    fn damaged(&self, error: Error) -> Error {
        let folder = self.folder.display();
        error.hint(format!("the snapshot is damaged; delete {folder}, and --resume starts over"))
    }

    /// The trained model is saved in the run directory; `record` says how training went. The snapshots are removed.
    pub fn trained(&self, record: &impl Serialize) -> Result<()> {
        self.conclude(TRAINED, record)
    }

    /// What [`trained`](Self::trained) noted, when the run has come so far.
    pub fn training_record<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.record(TRAINED)
    }

    /// A training whose weights are not the run's result has ended; `record` says how it went. Its snapshots are
    /// removed.
    pub fn chosen(&self, record: &impl Serialize) -> Result<()> {
        self.conclude(CHOSEN, record)
    }

    /// What [`chosen`](Self::chosen) noted, when it has come so far.
    pub fn choosing_record<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.record(CHOSEN)
    }

    /// Whether it has come so far.
    pub fn has_chosen(&self) -> bool {
        self.folder.join(CHOSEN).is_file()
    }

    fn conclude(&self, file: &str, record: &impl Serialize) -> Result<()> {
        let file = self.folder.join(file);
        let record = serde_json::to_string_pretty(record).map_err(|error| {
            Error::failure(format!("the record of the training cannot be written: {error}")).file(&file)
        })?;
        write_atomically(&file, record.as_bytes())?;
        for name in [LATEST, BEST] {
            remove_if_there(&self.folder.join(name))?;
        }
        self.remove_all_but(None)
    }

    fn record<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>> {
        let file = self.folder.join(file);
        match fs::read(&file) {
            Ok(record) => serde_json::from_slice(&record).map(Some).map_err(|error| {
                self.damaged(Error::request(format!("not the record of a finished training: {error}")).file(&file))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(error, &file)),
        }
    }

    /// The run is complete: its report is written.
    pub fn finish(&self) -> Result<()> {
        remove_if_there(&self.folder.join(CHOSEN))?;
        let (trained, finished) = (self.folder.join(TRAINED), self.folder.join(FINISHED));
        files::rename(&trained, &finished).map_err(|error| Error::io(error, &trained))
    }

    /// Whether the run has been finished.
    pub fn finished(&self) -> bool {
        self.folder.join(FINISHED).is_file()
    }

    fn remove_all_but(&self, kept: Option<&str>) -> Result<()> {
        let entries = fs::read_dir(&self.folder).map_err(|error| Error::io(error, &self.folder))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("step-") && Some(name.as_ref()) != kept {
                fs::remove_dir_all(entry.path()).map_err(|error| Error::io(error, entry.path()))?;
            }
        }
        Ok(())
    }
}

/// The error for a snapshot in `folder` that was made with other data or settings.
pub fn of_another_run(folder: &Path) -> Error {
    Error::request("the snapshot belongs to other data or settings")
        .file(folder)
        .hint("resume with the same files and flags, or start again with another --out")
}

fn remove_if_there(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(error, file)),
        _ => Ok(()),
    }
}

fn stored(trained: &[&Parameter]) -> Result<Vec<(String, Tensor)>> {
    let mut tensors = Vec::new();
    for parameter in trained {
        tensors.extend(parameter.stored()?);
    }
    Ok(tensors)
}

/// Copies the weights in `file` into the parameters.
pub fn copy_into(file: &Path, trained: &[&Parameter]) -> Result<()> {
    let weights = Weights::open_file(file, Device::Cpu)?;
    for parameter in trained {
        for (name, mut part) in parameter.stored_from(&parameter.tensor.f_detach()?)? {
            // Batch norms count their batches in integers.
            let saved = match part.kind() {
                Kind::Int64 => Tensor::f_scalar_tensor(weights.take_integer(&name)?, (Kind::Int64, Device::Cpu))?,
                _ => weights.take(&name, &part.size())?,
            };
            tch::no_grad(|| part.f_copy_(&saved))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_of_another_version_is_refused_as_such() {
        let run = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::new(run.path()).unwrap();
        let folder = run.path().join("checkpoints/step-00000003");
        fs::create_dir(&folder).unwrap();
        fs::write(run.path().join("checkpoints/latest"), "step-00000003").unwrap();
        let first = r#"{"epoch":0,"batch":3,"step":3,"tokens":9,"seconds":1.0,"fingerprint":"f"}"#;
        for (state, message) in [
            (first, "another version of rehead"),
            (r#"{"version":4,"state":{"phase":1}}"#, "another version of rehead"),
            (r#"{"version":3,"state":{}}"#, "not a snapshot's state"),
            ("{}", "not a snapshot's state"),
            ("{", "not a snapshot's state"),
        ] {
            fs::write(folder.join("state.json"), state).unwrap();
            let error = snapshots.latest().unwrap_err();
            assert!(error.to_string().contains(message), "{state}: {error}");
            assert!(error.hint_text().is_some(), "{state}");
        }
    }
}
