//! Directories that are made on the way to something, and removed again while nothing is in them; and what may be gone
//! already when it is removed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The uppermost of the directories that are missing on the way to `directory`, itself included.
pub fn uppermost_new(directory: &Path) -> Option<PathBuf> {
    directory
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .last()
        .map(Path::to_owned)
}

/// Removes `directory` and those around it up to `uppermost`, while they are empty: what another process has put there
/// stays.
pub fn remove_empty(directory: &Path, uppermost: &Path) {
    let mut directory = directory.to_owned();
    while fs::remove_dir(&directory).is_ok() && directory != uppermost && directory.pop() {}
}

/// Removes `directory` with all that is in it, where it is there.
pub fn remove_all(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(error, directory)),
        _ => Ok(()),
    }
}

/// Removes a file, where it is there.
pub fn remove_if_there(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(error, file)),
        _ => Ok(()),
    }
}
