//! The one place through which anything lasting is written: whole files, files that grow, new names, locks between
//! processes, and the removal of what a killed writer left behind.
//!
//! A whole file is written under a temporary name in the same directory, synced, then renamed. What the bytes mean is
//! not known here.

pub mod checksum;
mod directories;
mod locks;
pub mod patterns;
pub mod placing;
mod temporaries;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

pub use directories::{remove_all, remove_if_there};
use directories::{remove_empty, uppermost_new};
pub use locks::{Lock, is_occupied, lock, lock_directory, lock_file};
use temporaries::{Temporary, remove_old_temporaries_once, temporary_name};
pub use temporaries::{remove_old_temporaries, remove_temporaries, remove_temporaries_below};

use crate::error::{Error, Result, nearest};

/// Replaces the content of `path`, or creates it, by `bytes`.
///
/// A reader, or a crash at any moment, finds the old content or the new, never a part. A symbolic link is followed, and
/// the mode of an existing file stays. What is not a regular file (`/dev/stdout`, a named pipe) is written to directly.
pub fn write_atomically(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    write_atomically_with(path, |writer| writer.write_all(bytes).map_err(|error| Error::io(error, path)))
}

/// As [`write_atomically`], for content that is produced piece by piece. When `fill` fails, `path` stays as it was.
pub fn write_atomically_with(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
) -> Result<()> {
    let path = &followed(path.as_ref());
    let failed = |error: io::Error| explained(error, path);
    let existing = fs::metadata(path);
    match &existing {
        Ok(found) if found.is_dir() => return Err(Error::request("is a directory, not a file").file(path)),
        Ok(found) if !found.is_file() => {
            let mut writer = BufWriter::new(OpenOptions::new().write(true).open(path).map_err(failed)?);
            fill(&mut writer)?;
            return writer.flush().map_err(failed);
        }
        _ => {}
    }
    remove_old_temporaries_once(path);
    let temporary = Temporary(temporary_name(path)?);
    let file = OpenOptions::new().write(true).create_new(true).open(&temporary.0).map_err(failed)?;
    if let Ok(existing) = existing {
        // A file system without modes refuses; the content matters more.
        let _ = file.set_permissions(existing.permissions());
    }
    let mut writer = BufWriter::new(file);
    fill(&mut writer)?;
    let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    drop(file);
    fs::rename(&temporary.0, path).map_err(failed)?;
    std::mem::forget(temporary);
    sync_directory(path);
    Ok(())
}

/// Creates a file that will grow, or empties it. What is written to it is only whole once the caller says so, by
/// [`rename`] or in its own format.
pub fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(|error| explained(error, path))
}

/// Makes a directory, and those around it, where they are missing; its name lasts through a power failure.
pub fn create_directory(path: &Path) -> Result<()> {
    let is_new = !path.is_dir();
    fs::create_dir_all(path).map_err(|error| Error::io(error, path))?;
    if is_new {
        sync_directory(path);
    }
    Ok(())
}

/// Opens a file that grows, to write after what it holds.
pub fn append(path: &Path) -> Result<File> {
    OpenOptions::new().append(true).open(path).map_err(|error| Error::io(error, path))
}

/// Opens a file that grows, to write after its first `length` bytes. What follows them is cut off.
pub fn continue_at(path: &Path, length: u64) -> Result<File> {
    let opened = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.seek(SeekFrom::End(0))?;
        Ok(file)
    };
    opened().map_err(|error| Error::io(error, path))
}

/// Where a path leads: the file that symbolic links stand for, whether it exists or not.
pub fn followed(path: &Path) -> PathBuf {
    /// As many as Linux follows.
    const MAX_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        // What stands for an open file by its number is no path.
        if path.starts_with("/proc") || path.starts_with("/dev") {
            break;
        }
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path
}

/// Lets a file that grows be read by those alone who may read the one that it will replace.
pub fn restrict_like(growing: &Path, existing: &Path) {
    #[cfg(unix)]
    if let Ok(existing) = fs::metadata(existing) {
        use std::os::unix::fs::PermissionsExt;
        /// We write to it, whatever the mode says.
        const OWN: u32 = 0o600;
        let _ = fs::set_permissions(growing, fs::Permissions::from_mode(existing.permissions().mode() | OWN));
    }
}

/// Gives a file that has grown whole its name, replacing what had the name before and keeping its mode. The content is
/// on the disk first, so that a power failure cannot leave a torn file under the new name.
///
/// # Errors
/// The plain error of the system, for the caller to say what could not be written.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    File::open(from)?.sync_all()?;
    if let Ok(existing) = fs::metadata(to) {
        let _ = fs::set_permissions(from, existing.permissions());
    }
    fs::rename(from, to)?;
    sync_directory(to);
    Ok(())
}

/// What follows the last dot of a file's name, in lower case; nothing where there is none.
pub fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Whether two paths lead to the same file or directory. One that does not exist is the same as none.
pub fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// That writing `output` does not overwrite `input`.
///
/// # Errors
/// The two are one file.
pub fn check_distinct(input: &Path, output: &Path) -> Result<()> {
    if input != output && !is_same(input, output) {
        return Ok(());
    }
    Err(Error::request(format!("the output is the input file {}, which would be lost", input.display()))
        .file(output)
        .hint("name another file with --output"))
}

/// That results can go into the directory `path`, which the flag `option` names: it is a directory or nothing yet. With
/// `when_occupied`, the hint of the error, it must also be empty.
pub fn check_output_directory(path: &Path, option: &str, when_occupied: Option<&str>) -> Result<()> {
    let another = format!("give another directory to {option}");
    match (is_occupied(path), when_occupied) {
        (Ok(true), Some(hint)) => Err(Error::request("the output directory is not empty").file(path).hint(hint)),
        (Ok(_), _) => Ok(()),
        (Err(error), _) => match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            io::ErrorKind::NotADirectory => {
                Err(Error::request(format!("{option} needs a directory, and this is a file")).file(path).hint(another))
            }
            _ => Err(Error::io(error, path).hint(another)),
        },
    }
}

/// The directory whose name is like that of `path`, which is not there, beside where it would be.
pub fn similar(path: &Path) -> Option<PathBuf> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = fs::read_dir(parent.unwrap_or(Path::new("."))).ok()?.flatten();
    let names: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| path.file_name().is_some_and(|wanted| wanted != name.as_str()))
        .collect();
    let name = nearest(path.file_name()?.to_str()?, names.iter().map(String::as_str))?;
    Some(parent.map_or_else(|| PathBuf::from(name), |parent| parent.join(name)))
}

/// Finds out whether files can be written into `directory`, or into what would become it, by writing one. Leaves
/// nothing behind.
pub fn try_writing_into(directory: &Path) -> io::Result<()> {
    let created = uppermost_new(directory);
    // Removed with other leftovers, should this be killed.
    let probe = temporary_name(&directory.join("probe")).map_err(io::Error::other)?;
    let written = fs::create_dir_all(directory).and_then(|()| fs::write(&probe, b""));
    let _ = fs::remove_file(&probe);
    if let Some(created) = created {
        remove_empty(directory, &created);
    }
    written
}

/// How many bytes can still be written below `path`, which need not exist yet. `None` where the system does not say.
pub fn free_space(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists())?;
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::CString::new(existing.as_os_str().as_bytes()).ok()?;
        let mut system = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
        // SAFETY: the name ends in a zero byte, and `system` has room for the answer.
        if unsafe { libc::statvfs(name.as_ptr(), system.as_mut_ptr()) } != 0 {
            return None;
        }
        // SAFETY: zeroed above, and filled by the call, which succeeded.
        let system = unsafe { system.assume_init() };
        #[allow(clippy::useless_conversion, reason = "their widths differ between systems")]
        u64::from(system.f_bavail).checked_mul(u64::from(system.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = existing;
        None
    }
}

fn explained(error: io::Error, path: &Path) -> Error {
    let absent = error.kind() == io::ErrorKind::NotFound;
    let error = Error::io(error, path);
    if absent { error.hint("the directory must exist: mkdir -p") } else { error }
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
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn content_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.json");
        write_atomically(&path, b"a long first version").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["metrics.json"]);
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
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["model.safetensors"]);
    }

    #[test]
    fn errors_name_the_file_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent/metrics.json");
        let error = write_atomically(&absent, b"").unwrap_err();
        assert_eq!(error.to_string(), format!("{}: no such file or directory", absent.display()));
        assert_eq!(error.hint_text(), Some("the directory must exist: mkdir -p"));
        assert_eq!(write_atomically(folder.path(), b"").unwrap_err().exit_status(), 2);
        assert!(write_atomically("..", b"").is_err());
        assert!(write_atomically("", b"").is_err());
    }

    #[test]
    fn a_growing_file_is_continued_and_takes_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (growing, path) = (folder.path().join("rows.partial"), folder.path().join("rows"));
        create(&growing).unwrap().write_all(b"whole row\ntorn r").unwrap();
        continue_at(&growing, 10).unwrap().write_all(b"second\n").unwrap();
        append(&growing).unwrap().write_all(b"third\n").unwrap();
        fs::write(&path, "older").unwrap();
        rename(&growing, &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole row\nsecond\nthird\n");
        assert_eq!(names(folder.path()), ["rows"]);
        assert_eq!(rename(&growing, &path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn same_files_and_writable_directories() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, "").unwrap();
        assert!(is_same(&file, &folder.path().join(".").join("a")));
        assert!(!is_same(&file, folder.path()));
        assert!(!is_same(&folder.path().join("absent"), &folder.path().join("absent")));
        try_writing_into(&folder.path().join("new/below")).unwrap();
        assert_eq!(names(folder.path()), ["a"]);
        assert!(try_writing_into(&file.join("below")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_modes_are_kept() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real", &link).unwrap();
        write_atomically(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        symlink("absent", folder.path().join("dangling")).unwrap();
        assert_eq!(followed(&folder.path().join("dangling")), folder.path().join("absent"));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_to_and_stays_a_device() {
        use std::os::unix::fs::FileTypeExt;
        write_atomically("/dev/null", b"gone").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }
}
