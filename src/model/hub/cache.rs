//! The standard hub cache on disk, in the layout that every tool shares:
//!
//! ```text
//! <cache>/.locks/models--org--name/<etag>.lock
//! <cache>/models--org--name/refs/main                       the commit a branch or tag stood at
//!                           blobs/<etag>                    the content, written once
//!                           snapshots/<commit>/config.json  a link to the blob
//! ```
//!
//! Writes are renames into place, so that whatever has its final name is complete. Nothing here opens a connection.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// The cache's folder for one model.
#[derive(Debug, Clone)]
pub struct ModelCache {
    folder: PathBuf,
    locks: PathBuf,
}

/// The hold on one blob while it is fetched; let go when dropped.
#[derive(Debug)]
pub struct BlobLock {
    /// `None` where the file system knows no locks.
    file: Option<File>,
}

impl BlobLock {
    /// Whether other processes are kept out; if not, what is being written needs a name of its own.
    pub fn is_held(&self) -> bool {
        self.file.is_some()
    }
}

impl ModelCache {
    /// The folder for the model `id` in the cache at `cache`; it need not exist yet.
    pub fn new(cache: &Path, id: &str) -> Self {
        let name = format!("models--{}", id.replace('/', "--"));
        Self {
            folder: cache.join(&name),
            locks: cache.join(".locks").join(name),
        }
    }

    /// The folder of the model in the cache.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The commit at which a branch or tag stood when it was last fetched; a commit is its own answer.
    pub fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let commit = fs::read_to_string(self.folder.join("refs").join(revision))
            .ok()?
            .trim()
            .to_owned();
        is_commit(&commit).then_some(commit)
    }

    /// The directory that holds the model's files at `commit`, whether it exists or not.
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// Where the content of this name is, once it is complete.
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Where a blob is collected. Under the lock the name is shared, so that the next attempt resumes it.
    pub fn incomplete_blob(&self, etag: &str, lock: &BlobLock) -> PathBuf {
        let name = if lock.is_held() {
            format!("{etag}.incomplete")
        } else {
            format!("{etag}.{}.incomplete", std::process::id())
        };
        self.folder.join("blobs").join(name)
    }

    /// Waits until no other process fetches this blob; `on_wait` is called once if there is a wait at all.
    pub fn lock(&self, etag: &str, on_wait: impl FnOnce()) -> Result<BlobLock> {
        make_directory(&self.folder.join("blobs"))?;
        // Without a lock two fetches do double work, no harm: each collects under its own name, then renames.
        let unlocked = BlobLock { file: None };
        if fs::create_dir_all(&self.locks).is_err() {
            return Ok(unlocked);
        }
        let path = self.locks.join(format!("{etag}.lock"));
        let mut on_wait = Some(on_wait);
        loop {
            let Ok(file) = OpenOptions::new().create(true).write(true).truncate(false).open(&path) else {
                return Ok(unlocked);
            };
            match file.try_lock() {
                Ok(()) if was_deleted(&file) => {}
                Ok(()) => return Ok(BlobLock { file: Some(file) }),
                Err(TryLockError::Error(_)) => return Ok(unlocked),
                Err(TryLockError::WouldBlock) => {
                    if let Some(on_wait) = on_wait.take() {
                        on_wait();
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    /// Gives a blob its name in the snapshot of `commit`, as a relative link, so that the cache can be moved.
    pub fn link(&self, commit: &str, file: &str, etag: &str) -> Result<()> {
        let pointer = self.snapshot(commit).join(file);
        if pointer.exists() {
            return Ok(());
        }
        if let Some(parent) = pointer.parent() {
            make_directory(parent)?;
        }
        let up = "../".repeat(2 + file.matches('/').count());
        let target = PathBuf::from(format!("{up}blobs/{etag}"));
        let linked = match symlink(&target, &pointer) {
            // A link to a blob that is gone.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && !pointer.exists() => {
                fs::remove_file(&pointer).and_then(|()| symlink(&target, &pointer))
            }
            linked => linked,
        };
        match linked {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            // No links here (Windows without the privilege, some file systems): the snapshot holds the file itself.
            Err(_) => fs::rename(self.blob(etag), &pointer).map_err(|error| unwritable(error, &pointer)),
        }
    }

    /// Notes that `revision` stands at `commit`. Called last: until then offline use finds the earlier, complete one.
    pub fn set_commit(&self, revision: &str, commit: &str) -> Result<()> {
        if is_commit(revision) || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        if let Some(parent) = path.parent() {
            make_directory(parent)?;
        }
        let draft = path.with_file_name(format!(".{}.{}.tmp", commit, std::process::id()));
        fs::write(&draft, commit)
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|error| {
                let _ = fs::remove_file(&draft);
                unwritable(error, &path)
            })
    }
}

/// A full git commit: 40 hexadecimal digits.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An error while writing to the cache, with what can be done about it.
pub fn unwritable(error: io::Error, path: &Path) -> Error {
    let full = matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    );
    let error = Error::io(error, path).context("the model cache cannot be written");
    if full {
        return error.hint("free space there, or set HF_HOME to a directory on another disk");
    }
    match error.kind() {
        Kind::Request => error.hint("set HF_HOME to a directory that you may write to"),
        _ => error,
    }
}

fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| unwritable(error, path))
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

/// Some tools delete a lock file when they let go of it; a lock on the deleted file keeps nobody out.
#[cfg(unix)]
fn was_deleted(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

#[cfg(not(unix))]
fn was_deleted(_: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_linked_blob_is_found_under_its_name_even_after_the_cache_has_moved() {
        let directory = tempfile::tempdir().unwrap();
        let cache = ModelCache::new(&directory.path().join("here"), "org/name");
        drop(cache.lock("etag", || panic!("nobody else holds the lock")).unwrap());
        fs::write(cache.blob("etag"), "content").unwrap();
        cache.link(COMMIT, "1_Pooling/config.json", "etag").unwrap();
        cache.set_commit("refs/pr/1", COMMIT).unwrap();
        fs::rename(directory.path().join("here"), directory.path().join("there")).unwrap();

        let moved = ModelCache::new(&directory.path().join("there"), "org/name");
        let commit = moved.commit("refs/pr/1").unwrap();
        assert_eq!(commit, COMMIT);
        assert_eq!(
            fs::read_to_string(moved.snapshot(&commit).join("1_Pooling/config.json")).unwrap(),
            "content"
        );
    }

    #[test]
    fn the_second_to_come_waits_for_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let cache = ModelCache::new(directory.path(), "name");
        let first = cache.lock("etag", || {}).unwrap();
        assert!(first.is_held());
        let (send, receive) = std::sync::mpsc::channel();
        let second = {
            let cache = cache.clone();
            std::thread::spawn(move || cache.lock("etag", move || send.send(()).unwrap()).unwrap().is_held())
        };
        receive.recv_timeout(Duration::from_secs(5)).unwrap();
        drop(first);
        assert!(second.join().unwrap());
    }

    #[test]
    fn a_ref_that_is_no_commit_counts_as_absent() {
        let directory = tempfile::tempdir().unwrap();
        let cache = ModelCache::new(directory.path(), "name");
        fs::create_dir_all(cache.folder().join("refs")).unwrap();
        fs::write(cache.folder().join("refs/main"), "../../elsewhere").unwrap();
        assert_eq!(cache.commit("main"), None);
        assert_eq!(cache.commit(COMMIT).as_deref(), Some(COMMIT));
    }
}
