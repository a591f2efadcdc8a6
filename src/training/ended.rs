//! What a training that has ended leaves in `checkpoints` in place of its snapshots: a record of how it went, with
//! checksums of the files that later calls read. A call that continues finds out by it where to begin, and never
//! from a damaged file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::checksum::{FileRecord, Sealed, damaged, read_sealed, write_sealed};
use crate::files::remove_if_there;
use crate::training::snapshot::Snapshots;

const TRAINED: &str = "trained.json";
const CHOSEN: &str = "chosen.json";
const FINISHED: &str = "finished.json";

/// The record of a training.
#[derive(Serialize, Deserialize)]
struct Ended<R> {
    record: R,
    /// By their paths in the run directory.
    files: BTreeMap<PathBuf, FileRecord>,
}

impl Snapshots {
    /// The trained model is saved in the run directory; `record` says how training went, and `files` are what later
    /// calls rely on. The snapshots are removed.
    pub fn trained(&mut self, record: &impl Serialize, files: &[PathBuf]) -> Result<()> {
        self.conclude(TRAINED, record, files)
    }

    /// What [`trained`](Self::trained) noted, when the run has come so far.
    ///
    /// # Errors
    /// The record, or one of the files, is damaged.
    pub fn training_record<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.record(TRAINED)
    }

    /// A training whose weights are not the run's result has ended; `record` says how it went, and `files` are what
    /// it leaves. Its snapshots are removed.
    pub fn chosen(&mut self, record: &impl Serialize, files: &[PathBuf]) -> Result<()> {
        self.conclude(CHOSEN, record, files)
    }

    /// What [`chosen`](Self::chosen) noted, when it has come so far.
    ///
    /// # Errors
    /// The record, or one of the files, is damaged.
    pub fn choosing_record<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.record(CHOSEN)
    }

    /// Whether it has come so far.
    pub fn has_chosen(&self) -> bool {
        self.folder.join(CHOSEN).is_file()
    }

    fn conclude(&mut self, name: &str, record: &impl Serialize, files: &[PathBuf]) -> Result<()> {
        let files = self.records_of(files)?;
        write_sealed(&self.folder.join(name), &Ended { record, files })?;
        self.remove()
    }

    fn records_of(&self, files: &[PathBuf]) -> Result<BTreeMap<PathBuf, FileRecord>> {
        files.iter().map(|file| Ok((file.clone(), FileRecord::of_file(&self.run.join(file))?))).collect()
    }

    fn record<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let file = self.folder.join(name);
        let Some(text) = self.sealed(&file)? else { return Ok(None) };
        let Ended { record, files } = serde_json::from_str::<Ended<T>>(&text).map_err(|error| {
            self.damaged(Error::request(format!("not the record of a finished training: {error}")).file(&file))
        })?;
        let folder = self.folder.display();
        let hint = format!("put it back as it was; or delete {folder}, and --resume starts over");
        self.check_files(&files, |_| true).map_err(|error| error.hint(hint))?;
        Ok(Some(record))
    }

    fn sealed(&self, file: &Path) -> Result<Option<String>> {
        match read_sealed(file)? {
            Some(Sealed::Intact(text)) => Ok(Some(text)),
            Some(_) => Err(self.damaged(damaged(file))),
            None => Ok(None),
        }
    }

    fn check_files(&self, files: &BTreeMap<PathBuf, FileRecord>, of: impl Fn(&Path) -> bool) -> Result<()> {
        let mut of_these = files.iter().filter(|(file, _)| of(file));
        of_these.try_for_each(|(file, record)| record.check(&self.run.join(file)))
    }

    /// The run is complete: its report is written, and `files` with it.
    pub fn finish(&mut self, files: &[PathBuf]) -> Result<()> {
        remove_if_there(&self.folder.join(CHOSEN))?;
        let trained = self.folder.join(TRAINED);
        let text = self.sealed(&trained)?.ok_or_else(|| Error::failure("is gone").file(&trained))?;
        let mut ended: Ended<serde_json::Value> = serde_json::from_str(&text)
            .map_err(|error| Error::failure(format!("not the record of a training: {error}")).file(&trained))?;
        ended.files.extend(self.records_of(files)?);
        write_sealed(&self.folder.join(FINISHED), &ended)?;
        remove_if_there(&trained)?;
        self.remove()
    }

    /// Whether the run has been finished.
    pub fn finished(&self) -> bool {
        self.folder.join(FINISHED).is_file()
    }

    /// That of a finished run's files, in its directory, those which `of` names are as they were written. Nothing is
    /// known of what an earlier version has finished.
    ///
    /// # Errors
    /// One is damaged.
    pub fn check_finished(&self, of: impl Fn(&Path) -> bool) -> Result<()> {
        let file = self.folder.join(FINISHED);
        match read_sealed(&file)? {
            Some(Sealed::Intact(text)) => {
                let ended = serde_json::from_str::<Ended<serde::de::IgnoredAny>>(&text);
                let ended = ended.map_err(|error| Error::request(error.to_string()).file(&file))?;
                self.check_files(&ended.files, of)
            }
            Some(Sealed::Damaged) => Err(damaged(&file)),
            _ => Ok(()),
        }
        .map_err(|error| error.hint("delete the run's folder, and train it again"))
    }
}

/// The files right in a folder whose names end so, without what is hidden; none where there is no such folder.
pub fn files_in(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.path().is_file());
    let mut names: Vec<PathBuf> = entries.map(|entry| PathBuf::from(entry.file_name())).collect();
    names.retain(|name| {
        let name = name.to_string_lossy();
        !name.starts_with('.') && endings.iter().any(|ending| name.ends_with(ending))
    });
    names.sort_unstable();
    names
}
