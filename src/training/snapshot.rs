//! The state of a run on disk: everything that an interrupted run needs to go on bit for bit as if it had not been.
//!
//! A snapshot is a folder `checkpoints/step-N` with the trained weights, the optimizer's moments and `state.json`; the file
//! `checkpoints/latest` names the newest whole one and is replaced last. The best epoch's weights are kept beside it. What
//! a seed determines (order of examples, dropout) is not stored: it is computed again.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::optimizer::Adamw;
use super::stopping::BestEpoch;
use crate::error::{Error, Result};
use crate::model::checkpoint::{Weights, save_tensors};
use crate::model::parameters::Parameter;
use crate::report::write_atomically;

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs completed.
    pub epoch: usize,
    /// Batches completed in the current epoch.
    pub batch: usize,
    /// Optimizer steps taken.
    pub step: u64,
    /// Tokens trained on so far.
    pub tokens: u64,
    /// Seconds spent training, over all sessions of the run.
    pub seconds: f64,
    pub best: BestEpoch,
    /// The configuration's fingerprint: a snapshot is only good for the run that made it.
    pub fingerprint: String,
}

impl Progress {
    /// Whether early stopping has ended the run.
    pub fn stopped(&self, patience: Option<u32>) -> bool {
        self.step > 0
            && patience.is_some_and(|patience| {
                let without = self.best.epochs_without_improvement();
                without > 0 && without >= patience
            })
    }
}

/// The `checkpoints` folder of a run.
pub struct Snapshots {
    folder: PathBuf,
}

const LATEST: &str = "latest";
const BEST: &str = "best.safetensors";
const FINISHED: &str = "finished.json";

impl Snapshots {
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

    /// Saves the state; the one before stays until this one is whole.
    pub fn save(&self, progress: &Progress, trained: &[&Parameter], optimizer: &mut Adamw) -> Result<()> {
        let name = format!("step-{:08}", progress.step);
        let folder = self.folder.join(&name);
        fs::create_dir_all(&folder).map_err(|error| Error::io(error, &folder))?;
        save_tensors(&folder.join("weights.safetensors"), stored(trained)?)?;
        save_tensors(&folder.join("optimizer.safetensors"), optimizer.state()?)?;
        let state = serde_json::to_string_pretty(progress)
            .map_err(|error| Error::failure(format!("the state cannot be written: {error}")).file(&folder))?;
        write_atomically(folder.join("state.json"), state.as_bytes())?;
        write_atomically(self.folder.join(LATEST), name.as_bytes())?;
        self.remove_all_but(Some(&name))
    }

    /// Where the newest snapshot stands; `None` when there is none.
    pub fn latest(&self) -> Result<Option<(PathBuf, Progress)>> {
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
        let file = folder.join("state.json");
        let state = fs::read(&file).map_err(|error| self.damaged(Error::io(error, &file)))?;
        let progress = serde_json::from_slice(&state)
            .map_err(|error| self.damaged(Error::request(format!("not a snapshot's state: {error}")).file(&file)))?;
        Ok(Some((folder, progress)))
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

    /// Keeps these weights as the best so far.
    pub fn save_best(&self, trained: &[&Parameter]) -> Result<()> {
        save_tensors(&self.folder.join(BEST), stored(trained)?)
    }

    /// Copies the best weights back into the parameters.
    pub fn restore_best(&self, trained: &[&Parameter]) -> Result<()> {
        copy_into(&self.folder.join(BEST), trained).map_err(|error| self.damaged(error))
    }

    fn damaged(&self, error: Error) -> Error {
        let folder = self.folder.display();
        error.hint(format!("the snapshot is damaged; --resume begins anew once {folder} is deleted"))
    }

    /// A finished run needs neither moments nor a second copy of its weights: only the last state's account remains.
    pub fn finish(&self) -> Result<()> {
        let state = match self.latest()? {
            Some((folder, _)) => fs::read(folder.join("state.json")).map_err(|error| Error::io(error, &folder))?,
            None => b"{}\n".to_vec(),
        };
        write_atomically(self.folder.join(FINISHED), &state)?;
        for name in [LATEST, BEST] {
            remove_if_there(&self.folder.join(name))?;
        }
        self.remove_all_but(None)
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

fn copy_into(file: &Path, trained: &[&Parameter]) -> Result<()> {
    let weights = Weights::open_file(file, Device::Cpu)?;
    for parameter in trained {
        for (name, mut part) in parameter.stored_from(&parameter.tensor.f_detach()?)? {
            let saved = weights.take(&name, &part.size())?;
            tch::no_grad(|| part.f_copy_(&saved))?;
        }
    }
    Ok(())
}
