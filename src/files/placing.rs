//! Files that are copied, linked or moved to a name that nobody has: what is there already is never overwritten, and a
//! process that is killed leaves the file where it was, where it is to be, or in both places.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::sync_directory;
use super::temporaries::{Temporary, temporary_name};

/// Copies a file.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] where `to` is there; otherwise what the system says.
pub fn copy_to_new(from: &Path, to: &Path) -> io::Result<()> {
    let temporary = Temporary(temporary_name(to).map_err(io::Error::other)?);
    fs::copy(from, &temporary.0)?;
    File::open(&temporary.0)?.sync_all()?;
    match fs::hard_link(&temporary.0, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists || to.symlink_metadata().is_ok() => {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // A file system without hard links.
        Err(_) => fs::rename(&temporary.0, to)?,
        Ok(()) => {}
    }
    sync_directory(to);
    Ok(())
}

/// Makes a symbolic link to a file, by its whole path.
///
/// # Errors
/// As for [`copy_to_new`].
pub fn link_to_new(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(from.canonicalize()?, to)
}

/// Moves a file, to another file system too.
///
/// # Errors
/// As for [`copy_to_new`].
pub fn move_to_new(from: &Path, to: &Path) -> io::Result<()> {
    put(from, to)?;
    sync_directory(to);
    remove(from)
}

/// Moves a file to where a symbolic link leads to it, which it replaces.
///
/// # Errors
/// What the system says.
pub fn move_over_link(from: &Path, link: &Path) -> io::Result<()> {
    let temporary = Temporary(temporary_name(link).map_err(io::Error::other)?);
    put(from, &temporary.0)?;
    fs::rename(&temporary.0, link)?;
    sync_directory(link);
    remove(from)
}

/// Whether two paths are one and the same name in a directory, by whatever way they lead there.
pub fn are_one_name(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let directory = |path: &Path| {
        let found = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).metadata();
        found.map(|found| (found.dev(), found.ino()))
    };
    one.file_name() == other.file_name()
        && matches!((directory(one), directory(other)), (Ok(one), Ok(other)) if one == other)
}

/// The name of a file in its directory, by the one way that leads there without links; a link at its end stays.
pub fn entry_of(path: &Path) -> PathBuf {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (directory.canonicalize(), path.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => path.to_owned(),
    }
}

/// The files that a symbolic link leads to, link after link, as [`entry_of`] names them.
pub fn hops(link: &Path) -> impl Iterator<Item = PathBuf> {
    /// As many as Linux follows.
    const MAX_LINKS: usize = 40;
    let next = |path: &PathBuf| Some(entry_of(&path.parent()?.join(fs::read_link(path).ok()?)));
    std::iter::successors(Some(link.to_owned()), next).skip(1).take(MAX_LINKS)
}

/// Whether two names are hard links to one file.
pub fn are_one_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let node = |path: &Path| path.symlink_metadata().map(|found| (found.dev(), found.ino()));
    matches!((node(one), node(other)), (Ok(one), Ok(other)) if one == other)
}

/// Ends the move of a file that began earlier: where both places hold it, the first goes. False where the second does
/// not hold it, so that it is still to be moved.
///
/// # Errors
/// What the system says.
pub fn finish_move(from: &Path, to: &Path) -> io::Result<bool> {
    if from.symlink_metadata().is_err() || are_one_name(from, to) {
        return Ok(true);
    }
    let is_whole = are_one_file(from, to)
        || match (from.is_symlink(), to.is_symlink()) {
            (true, true) => super::is_same(from, to),
            (false, false) => to.exists() && are_equal(from, to)?,
            _ => false,
        };
    if is_whole {
        remove(from)?;
    }
    Ok(is_whole)
}

/// Gives a file another name, or makes a copy where that cannot be.
fn put(from: &Path, to: &Path) -> io::Result<()> {
    if from.symlink_metadata()?.is_symlink() {
        // What it leads to by a relative path would be lost on the way.
        return link_to_new(from, to);
    }
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => copy_to_new(from, to),
        put => put,
    }
}

fn remove(from: &Path) -> io::Result<()> {
    fs::remove_file(from)?;
    sync_directory(from);
    Ok(())
}

/// Whether two files hold the same bytes.
pub fn are_equal(one: &Path, other: &Path) -> io::Result<bool> {
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut a, mut b) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let count = one.read(&mut a)?;
        if count == 0 {
            return Ok(other.read(&mut b)? == 0);
        }
        match other.read_exact(&mut b[..count]) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            found => found?,
        }
        if a[..count] != b[..count] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a"), b"one").unwrap();
        fs::write(at("b"), b"two").unwrap();
        for place in [copy_to_new, link_to_new, move_to_new] {
            assert_eq!(place(&at("a"), &at("b")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!((fs::read(at("a")).unwrap(), fs::read(at("b")).unwrap()), (b"one".to_vec(), b"two".to_vec()));
        copy_to_new(&at("a"), &at("copy")).unwrap();
        link_to_new(&at("a"), &at("link")).unwrap();
        assert!(are_equal(&at("copy"), &at("link")).unwrap() && !are_equal(&at("a"), &at("b")).unwrap());
        move_to_new(&at("copy"), &at("moved")).unwrap();
        assert!(!at("copy").exists() && fs::read(at("moved")).unwrap() == b"one");
        move_to_new(&at("link"), &at("moved link")).unwrap();
        assert!(at("moved link").symlink_metadata().unwrap().is_symlink() && at("a").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "a temporary file is left");
    }
}
