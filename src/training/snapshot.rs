//! The state of a run on disk: everything that an interrupted run needs to continue bit-identical to one that was
//! not interrupted.
//!
//! A snapshot is a folder `checkpoints/NNNNNN-step-S` with the trained weights, the optimizer's moments, the history so
//! far and, written last, `state.json`; the best epoch's weights stand beside it. All of them have checksums. The
//! newest that is whole is used, and a damaged one is named. What a seed determines (order of examples, dropout) is not
//! stored: it is computed again. Snapshots are written when a run is interrupted and every few minutes; what is left of
//! a training that has ended is told in [`ended`](super::ended).

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::console::Console;
use crate::error::{Error, Result};
use crate::files::checksum::{FileRecord, Sealed, damaged, read_sealed, write_sealed};
use crate::files::{create_directory, remove_all, remove_if_there, write_atomically};
use crate::model::checkpoint::Weights;
use crate::model::parameter::Parameter;
use crate::model::state_file;
use crate::training::optimizer::Adamw;
use crate::training::state::TrainState;

/// Version of the format of snapshots. One with another number is refused, never read.
const VERSION: u32 = 4;

/// `state.json`.
#[derive(Serialize, Deserialize)]
struct StateFile<S> {
    version: u32,
    state: S,
    /// The file of the best epoch's weights, beside the snapshot.
    best: Option<String>,
    history: FileRecord,
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

/// A whole snapshot.
pub struct Snapshot {
    /// Where the run stood.
    pub state: TrainState,
    /// Where it is.
    pub folder: PathBuf,
    best: Option<String>,
}

impl Snapshot {
    fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The `checkpoints` folder of a run.
pub struct Snapshots {
    pub(super) run: PathBuf,
    pub(super) folder: PathBuf,
    /// Those known to be whole, the oldest first: their names, and the best weights that they need.
    whole: Vec<(String, Option<String>)>,
}

const STATE: &str = "state.json";
const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const HISTORY: &str = "history.jsonl";
/// What earlier versions kept beside their snapshots.
const LATEST: &str = "latest";

impl Snapshots {
    /// Makes the folder in the run directory `run` where it is missing.
    pub fn new(run: &Path) -> Result<Self> {
        let snapshots = Self::of(run);
        create_directory(&snapshots.folder)?;
        Ok(snapshots)
    }

    /// The snapshots of a run, when it has the folder.
    pub fn new_if_there(run: &Path) -> Option<Self> {
        Some(Self::of(run)).filter(|snapshots| snapshots.folder.is_dir())
    }

    fn of(run: &Path) -> Self {
        Self { run: run.to_owned(), folder: run.join("checkpoints"), whole: Vec::new() }
    }

    /// Saves the state; those before stay until this one is whole, and of them as many as make `kept` with it. `best`
    /// are the best epoch's weights, when no earlier snapshot has saved them.
    pub fn save(
        &mut self,
        state: &TrainState,
        trained: &[&Parameter],
        optimizer: &mut Adamw,
        best: Option<&BestWeights>,
        kept: usize,
    ) -> Result<()> {
        let number = self.numbers()?.last().map_or(1, |(number, _)| number + 1);
        let best = match best {
            Some(BestWeights(tensors)) => {
                let name = format!("best-{number:06}.safetensors");
                let tensors = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
                state_file::save(&self.folder.join(&name), tensors)?;
                Some(name)
            }
            None if state.best.kept().is_none() => None,
            None => self.whole.last().and_then(|(_, best)| best.clone()),
        };
        let name = format!("{number:06}-step-{}", state.step);
        let folder = self.folder.join(&name);
        create_directory(&folder)?;
        state_file::save(&folder.join(WEIGHTS), stored(trained)?)?;
        state_file::save(&folder.join(OPTIMIZER), optimizer.state()?)?;
        let history = self.history()?;
        write_atomically(folder.join(HISTORY), &history)?;
        let history = FileRecord::of(&history);
        write_sealed(&folder.join(STATE), &StateFile { version: VERSION, state, best: best.clone(), history })?;
        self.whole.push((name, best));
        self.whole.drain(..self.whole.len().saturating_sub(kept.max(1)));
        self.remove_others()
    }

    /// What `history.jsonl` holds; every line is written through when it is logged.
    fn history(&self) -> Result<Vec<u8>> {
        let file = self.run.join(HISTORY);
        match fs::read(&file) {
            Ok(history) => Ok(history),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io(error, &file)),
        }
    }

    /// Whether there is a snapshot, be it damaged.
    pub fn has_any(&self) -> Result<bool> {
        Ok(self.folder.join(LATEST).is_file() || !self.complete()?.is_empty())
    }

    /// The newest whole snapshot; `None` when there is none at all. One that is damaged is said, and the one before it
    /// used.
    ///
    /// # Errors
    /// All are damaged, or of another version.
    pub fn latest(&mut self, console: &Console) -> Result<Option<Snapshot>> {
        if self.folder.join(LATEST).is_file() {
            return Err(of_another_version(&self.folder.join(LATEST)));
        }
        let mut found = Vec::new();
        for folder in self.complete()? {
            match self.read(&folder) {
                Ok(snapshot) => {
                    for error in found {
                        console.warn(format!("{error}; the snapshot before it is used"));
                    }
                    self.whole = vec![(snapshot.name(), snapshot.best.clone())];
                    return Ok(Some(snapshot));
                }
                Err(error) => found.push(error),
            }
        }
        found.into_iter().next().map_or(Ok(None), |error| Err(self.damaged(error)))
    }

    /// Folders of snapshots that were written to their end, the newest first.
    fn complete(&self) -> Result<Vec<PathBuf>> {
        let folders = self.numbers()?.into_iter().rev().map(|(_, name)| self.folder.join(name));
        Ok(folders.filter(|folder| folder.join(STATE).is_file()).collect())
    }

    /// The numbers and names of all snapshots, half-written ones too, in their order.
    fn numbers(&self) -> Result<Vec<(u64, String)>> {
        let number = |name: &str| name.split_once("-step-")?.0.parse().ok();
        let mut numbers: Vec<(u64, String)> =
            self.names()?.into_iter().filter_map(|name| Some((number(&name)?, name))).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.folder).map_err(|error| Error::io(error, &self.folder))?;
        Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    }

    /// Reads a snapshot's state, and holds every file of it to its checksum.
    fn read(&self, folder: &Path) -> Result<Snapshot> {
        let StateFile { state, best, history, .. } = read_state(&folder.join(STATE))?;
        for file in [WEIGHTS, OPTIMIZER] {
            state_file::open(&folder.join(file))?;
        }
        if let Some(best) = &best {
            state_file::open(&self.folder.join(best))?;
        }
        history.check(&folder.join(HISTORY))?;
        Ok(Snapshot { state, folder: folder.to_owned(), best })
    }

    /// Copies a snapshot's weights and moments into the classifier's parameters and the optimizer, and continues its
    /// history. Whether the run's own history was damaged.
    pub fn restore(&self, from: &Snapshot, trained: &[&Parameter], optimizer: &mut Adamw) -> Result<bool> {
        let mut restore = || {
            copy(&state_file::open(&from.folder.join(WEIGHTS))?, trained)?;
            optimizer.restore(&state_file::open(&from.folder.join(OPTIMIZER))?)
        };
        restore().map_err(|error| self.damaged(error))?;
        let file = from.folder.join(HISTORY);
        let saved = fs::read(&file).map_err(|error| self.damaged(Error::io(error, &file)))?;
        // What followed is written again, so nothing is lost where the snapshot's takes the place of the run's.
        let is_damaged = !self.history()?.starts_with(&saved);
        if is_damaged {
            write_atomically(self.run.join(HISTORY), &saved)?;
        }
        Ok(is_damaged)
    }

    /// Copies the best epoch's weights, as an earlier session saved them, into the parameters.
    pub fn restore_best(&self, trained: &[&Parameter]) -> Result<()> {
        let best = self.whole.last().and_then(|(_, best)| best.as_ref());
        let best = best.ok_or_else(|| Error::failure("no snapshot has the best weights").file(&self.folder))?;
        let restore = || copy(&state_file::open(&self.folder.join(best))?, trained);
        restore().map_err(|error| self.damaged(error))
    }

    pub(super) fn damaged(&self, error: Error) -> Error {
        let folder = self.folder.display();
        error.hint(format!("the snapshot is damaged; delete {folder}, and --resume starts over"))
    }

    /// Removes all snapshots.
    pub(super) fn remove(&mut self) -> Result<()> {
        self.whole.clear();
        self.remove_others()
    }

    /// Removes what no whole snapshot needs: older ones, damaged ones, and half-written ones.
    fn remove_others(&self) -> Result<()> {
        let is_kept = |name: &String| {
            let mut whole = self.whole.iter();
            whole.any(|(snapshot, best)| name == snapshot || best.as_ref() == Some(name))
        };
        for name in self.names()?.into_iter().filter(|name| !is_kept(name)) {
            let path = self.folder.join(&name);
            let removed = match name.contains("-step-") {
                // Without its state it is none, should this be interrupted.
                true => remove_if_there(&path.join(STATE)).and_then(|()| remove_all(&path)),
                false if name.starts_with("best-") => remove_if_there(&path),
                false => Ok(()),
            };
            removed?;
        }
        Ok(())
    }
}

fn read_state(file: &Path) -> Result<StateFile<TrainState>> {
    let not_a_state = |error| Error::request(format!("not a snapshot's state: {error}")).file(file);
    let text = match read_sealed(file)? {
        Some(Sealed::Intact(text)) => text,
        Some(Sealed::Without(bytes)) => {
            let value: Value = serde_json::from_slice(&bytes).map_err(not_a_state)?;
            // The first version had no number.
            let has_number = value.get("version").is_some_and(Value::is_number) || value.get("step").is_some();
            return Err(if has_number { of_another_version(file) } else { damaged(file) });
        }
        _ => return Err(damaged(file)),
    };
    let value: Value = serde_json::from_str(&text).map_err(not_a_state)?;
    match value.get("version").is_some_and(|version| *version == VERSION) {
        true => serde_json::from_value(value).map_err(not_a_state),
        false => Err(of_another_version(file)),
    }
}

fn of_another_version(file: &Path) -> Error {
    Error::request("the snapshot was written by another version of rehead")
        .file(file)
        .hint("resume with the version that began the run, or start again with another --out")
}

/// The error for a snapshot in `folder` that was made with other data or settings.
pub fn of_another_run(folder: &Path) -> Error {
    Error::request("the snapshot belongs to other data or settings")
        .file(folder)
        .hint("resume with the same files and flags, or start again with another --out")
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
    copy(&Weights::open_file(file, Device::Cpu)?, trained)
}

fn copy(weights: &Weights, trained: &[&Parameter]) -> Result<()> {
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
        let mut snapshots = Snapshots::new(run.path()).unwrap();
        let folder = run.path().join("checkpoints/000003-step-3");
        fs::create_dir(&folder).unwrap();
        let mut refused = |message: &str, about: &str| {
            let error = snapshots.latest(&Console::new(true)).err().unwrap();
            assert!(error.to_string().contains(message), "{about}: {error}");
            assert!(error.hint_text().is_some(), "{about}");
        };
        let first = r#"{"epoch":0,"batch":3,"step":3,"tokens":9,"seconds":1.0,"fingerprint":"f"}"#;
        for (state, message) in [
            (first, "another version of rehead"),
            (r#"{"version":3,"state":{"phase":1}}"#, "another version of rehead"),
            ("{}", "is damaged"),
            ("{", "not a snapshot's state"),
        ] {
            fs::write(folder.join("state.json"), state).unwrap();
            refused(message, state);
        }
        write_sealed(&folder.join("state.json"), &serde_json::json!({"version": 5})).unwrap();
        refused("another version of rehead", "a later one");
        write_sealed(&folder.join("state.json"), &serde_json::json!({"version": 4})).unwrap();
        refused("not a snapshot's state", "no state");
        fs::write(run.path().join("checkpoints/latest"), "step-00000003").unwrap();
        refused("another version of rehead", "an earlier one");
    }
}
