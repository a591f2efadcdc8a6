//! Locks on places that are written: a second process that wants to write there is told of the first.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::directories::{remove_empty, uppermost_new};
use super::temporaries::is_temporary;
use crate::error::{Error, Result};

/// Keeps other processes of ours from writing to the same place, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    /// Its lock is let go of when it is closed.
    _file: File,
    path: PathBuf,
    /// The uppermost directory that was made for it.
    made: Option<PathBuf>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        if let (Some(made), Some(directory)) = (&self.made, self.path.parent()) {
            remove_empty(directory, made);
        }
    }
}

/// The name of the lock file in a directory of results.
const DIRECTORY_LOCK: &str = ".rehead.lock";

/// Locks a file that is about to be written: a hidden file beside it says so. `None` where nothing can be locked.
///
/// # Errors
/// Another process has locked it.
pub fn lock_file(path: &Path) -> Result<Option<Lock>> {
    let Some(name) = path.file_name() else { return Ok(None) };
    let lock = path.with_file_name(format!(".{}.rehead.lock", name.to_string_lossy()));
    try_lock(&lock, path, None, "--output")
}

/// Locks a directory of results, and makes it if it is not there. `None` where nothing can be locked; what is wrong
/// with the directory is then for others to say.
///
/// # Errors
/// Another process has locked it.
pub fn lock_directory(path: &Path) -> Result<Option<Lock>> {
    /// Others that have made the directory and been refused take it away again; not for ever.
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let made = uppermost_new(path);
        if fs::create_dir_all(path).is_err() {
            return Ok(None);
        }
        let lock = try_lock(&path.join(DIRECTORY_LOCK), path, made, "--out")?;
        if lock.is_some() || path.is_dir() {
            return Ok(lock);
        }
    }
    Ok(None)
}

fn try_lock(lock: &Path, place: &Path, made: Option<PathBuf>, option: &str) -> Result<Option<Lock>> {
    let refused = |file: &mut File| {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        let holder = match holder.trim() {
            "" => "another rehead".to_owned(),
            holder => format!("another rehead (process {holder})"),
        };
        Err(Error::request(format!("{holder} is writing here"))
            .file(place)
            .hint(format!("wait until it has ended, or give another place to {option}")))
    };
    let Some(mut file) = locked(lock, refused)? else { return Ok(None) };
    let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(Some(Lock { _file: file, path: lock.to_owned(), made }))
}

/// Waits until this process alone holds the lock file at `path`; dropping it lets go. `waiting` is called once when
/// another process holds it. `None` where the file system has no locks, or the file cannot be created.
pub fn lock(path: &Path, waiting: impl Fn()) -> Option<File> {
    let wait = |file: &mut File| {
        waiting();
        file.lock()
    };
    locked(path, wait).ok().flatten()
}

/// Opens and locks a lock file; `when_held` waits for another process that holds it, or says why not. `None` where the
/// file system has no locks, or the file cannot be created.
fn locked<E>(path: &Path, when_held: impl Fn(&mut File) -> Result<(), E>) -> Result<Option<File>, E> {
    loop {
        let Ok(mut file) = OpenOptions::new().create(true).read(true).append(true).open(path) else { return Ok(None) };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) => when_held(&mut file)?,
        }
        // Holders may delete a lock file when they let go of it; a lock on the deleted file keeps nobody out.
        #[cfg(unix)]
        if file.metadata().is_ok_and(|found| std::os::unix::fs::MetadataExt::nlink(&found) == 0) {
            continue;
        }
        return Ok(Some(file));
    }
}

/// Whether something is in a directory, other than our lock and what killed writers left.
///
/// # Errors
/// The plain error of the system.
pub fn is_occupied(directory: &Path) -> io::Result<bool> {
    let is_ours = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| {
            entry.file_name() == DIRECTORY_LOCK || is_temporary(&entry.file_name().to_string_lossy())
        })
    };
    Ok(!directory.read_dir()?.all(is_ours))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn is_empty(folder: &Path) -> bool {
        fs::read_dir(folder).unwrap().next().is_none()
    }

    #[test]
    fn a_place_is_locked_once_and_nothing_of_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("new/run");
        let held = lock_directory(&run).unwrap().unwrap();
        assert!(!is_occupied(&run).unwrap());
        let refused = lock_directory(&run).unwrap_err();
        assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
        drop(held);
        assert!(is_empty(folder.path()));
        let output = folder.path().join("out.csv");
        let held = lock_file(&output).unwrap().unwrap();
        assert_eq!(lock_file(&output).unwrap_err().exit_status(), 2);
        drop(held);
        assert!(is_empty(folder.path()));
    }

    /// One that is refused, or has ended, takes its empty directory away while another is about to lock it.
    #[test]
    fn a_directory_that_is_taken_away_meanwhile_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("new/run");
        let held = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..400 {
                        let Ok(lock) = lock_directory(&run) else { continue };
                        let lock = lock.expect("the directory could not be locked");
                        assert!(!held.swap(true, Ordering::SeqCst), "two hold one lock");
                        held.store(false, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert!(!run.join(DIRECTORY_LOCK).exists());
    }

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blob.lock");
        let held = lock(&path, || panic!("nobody holds it")).unwrap();
        let waited = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| lock(&path, || waited.store(true, Ordering::SeqCst)).is_some());
            while !waited.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            assert!(!second.is_finished());
            drop(held);
            assert!(second.join().unwrap());
        });
        assert!(lock(&folder.path().join("absent/blob.lock"), || ()).is_none());
    }
}
