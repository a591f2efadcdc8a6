//! Files that are either whole or not there: written under a temporary name in the same directory, synced, then
//! renamed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};

/// Replaces the content of `path`, or creates it, by `bytes`.
///
/// A reader, or a crash at any moment, finds the old content or the new, never a part. What is not a regular file
/// (`/dev/stdout`, a named pipe) is written to directly.
pub fn write_atomically(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    write_atomically_with(path, |writer| writer.write_all(bytes).map_err(|error| Error::io(error, path)))
}

/// As [`write_atomically`], for content that is produced piece by piece. When `fill` fails, `path` stays as it was.
pub fn write_atomically_with(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    let failed = |error: io::Error| explained(error, path);
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(Error::request("is a directory, not a file").file(path)),
        Ok(found) if !found.is_file() => {
            let mut writer = BufWriter::new(OpenOptions::new().write(true).open(path).map_err(failed)?);
            fill(&mut writer)?;
            return writer.flush().map_err(failed);
        }
        _ => {}
    }
    let temporary = Temporary(temporary_name(path)?);
    let file = OpenOptions::new().write(true).create_new(true).open(&temporary.0).map_err(failed)?;
    let mut writer = BufWriter::new(file);
    fill(&mut writer)?;
    let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    drop(file);
    std::fs::rename(&temporary.0, path).map_err(failed)?;
    std::mem::forget(temporary);
    sync_directory(path);
    Ok(())
}

/// A temporary file that goes away unless it was renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A short name beside `path` that no other writer uses.
fn temporary_name(path: &Path) -> Result<PathBuf> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    if path.file_name().is_none() {
        return Err(Error::request("is not the name of a file").file(path));
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    // The time keeps a process that has another's number (in containers) off that one's leftovers.
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    Ok(path.with_file_name(format!(".rehead-{}-{number}-{time:08x}.tmp", std::process::id())))
}

/// Removes what writers that were killed have left in `directory`; nobody else may be writing there.
pub fn remove_temporaries(directory: &Path) {
    remove_temporaries_of(directory, Duration::ZERO);
}

/// Removes what writers have left in `directory` and not touched for an hour: they were killed.
pub fn remove_old_temporaries(directory: &Path) {
    remove_temporaries_of(directory, Duration::from_secs(3600));
}

fn remove_temporaries_of(directory: &Path, least_age: Duration) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        let ours = name.starts_with(".rehead-") && name.ends_with(".tmp");
        if ours && (least_age.is_zero() || age().is_some_and(|age| age >= least_age)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn explained(error: io::Error, path: &Path) -> Error {
    let absent = error.kind() == io::ErrorKind::NotFound;
    let error = Error::io(error, path);
    if absent { error.hint("the directory must exist") } else { error }
}

/// Makes the renaming itself last through a power failure, where the system can (best effort: some file systems
/// refuse).
fn sync_directory(path: &Path) {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn content_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.json");
        write_atomically(&path, b"a long first version").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["metrics.json"]);
    }

    #[test]
    fn what_another_writer_may_still_be_writing_stays() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".rehead-1-0-0000.tmp", ".rehead-2-0-0000.tmp", "model.safetensors"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let old = File::options().write(true).open(folder.path().join(".rehead-1-0-0000.tmp")).unwrap();
        old.set_modified(std::time::SystemTime::now() - Duration::from_secs(4000)).unwrap();
        remove_old_temporaries(folder.path());
        let mut left = names(folder.path());
        left.sort();
        assert_eq!(left, [".rehead-2-0-0000.tmp", "model.safetensors"]);
        remove_temporaries(folder.path());
        assert_eq!(names(folder.path()), ["model.safetensors"]);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        write_atomically(&path, b"old").unwrap();
        let result = write_atomically_with(&path, |writer| {
            writer.write_all(b"half").map_err(|error| Error::io(error, &path))?;
            Err(Error::failure("the tensor is gone"))
        });
        assert_eq!(result.unwrap_err().to_string(), "the tensor is gone");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["model.safetensors"]);
    }

    #[test]
    fn errors_name_the_file_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent/metrics.json");
        let error = write_atomically(&absent, b"").unwrap_err();
        assert_eq!(error.to_string(), format!("{}: no such file or directory", absent.display()));
        assert_eq!(error.hint_text(), Some("the directory must exist"));
        assert_eq!(write_atomically(folder.path(), b"").unwrap_err().exit_status(), 2);
        assert!(write_atomically("..", b"").is_err());
        assert!(write_atomically("", b"").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_to_and_stays_a_device() {
        use std::os::unix::fs::FileTypeExt;
        write_atomically("/dev/null", b"gone").unwrap();
        assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }
}
