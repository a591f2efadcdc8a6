//! The temporary names of files that are being written, and what writers that were killed have left under them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};

/// A temporary file that is removed unless it was renamed.
pub struct Temporary(pub PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A short name beside `path` that no other writer uses.
pub fn temporary_name(path: &Path) -> Result<PathBuf> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    if path.file_name().is_none() {
        return Err(Error::request("is not the name of a file").file(path));
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    // In containers process numbers repeat; the time keeps this process from another's leftovers.
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    Ok(path.with_file_name(format!(".rehead-{}-{number}-{time:08x}.tmp", std::process::id())))
}

/// Removes the temporary files that killed writers left in `directory`; nobody else may be writing there.
pub fn remove_temporaries(directory: &Path) {
    remove_temporaries_of(directory, Duration::ZERO);
}

/// The same in a directory of results and in those below it.
pub fn remove_temporaries_below(directory: &Path) {
    /// A comparison's runs have folds, which have snapshots.
    const DEPTH: usize = 7;
    let entries = walkdir::WalkDir::new(directory).max_depth(DEPTH).into_iter().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_dir()) {
        remove_temporaries(entry.path());
    }
}

/// Removes what killed writers left beside `path`, when this process writes there for the first time.
pub fn remove_old_temporaries_once(path: &Path) {
    static SEEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_new = SEEN.lock().is_ok_and(|mut seen| seen.insert(directory.to_owned()));
    if is_new {
        remove_old_temporaries(directory);
    }
}

/// Removes the temporary files in `directory` that nobody has written to for an hour: their writers were killed.
pub fn remove_old_temporaries(directory: &Path) {
    remove_temporaries_of(directory, Duration::from_secs(3600));
}

fn remove_temporaries_of(directory: &Path, least_age: Duration) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if is_temporary(&name) && (least_age.is_zero() || age().is_some_and(|age| age >= least_age)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a file has the name of one that is being written, or was.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(".rehead-") && name.ends_with(".tmp")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_another_writer_may_still_be_writing_stays() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".rehead-1-0-0000.tmp", ".rehead-2-0-0000.tmp", "model.safetensors"] {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        let old = fs::File::options().write(true).open(folder.path().join(".rehead-1-0-0000.tmp")).unwrap();
        old.set_modified(std::time::SystemTime::now() - Duration::from_secs(4000)).unwrap();
        remove_old_temporaries(folder.path());
        assert_eq!(names(folder.path()), [".rehead-2-0-0000.tmp", "model.safetensors"]);
        remove_temporaries(folder.path());
        assert_eq!(names(folder.path()), ["model.safetensors"]);
    }

    #[test]
    fn what_is_left_below_goes_with_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("predictions");
        fs::create_dir(&below).unwrap();
        for name in [".rehead-1-0-0000.tmp", "valid.csv"] {
            fs::write(below.join(name), b"").unwrap();
        }
        remove_temporaries_below(folder.path());
        assert_eq!(names(&below), ["valid.csv"]);
    }
}
