//! Where a command's results go: a directory that can be written, and standard output.

use std::path::Path;

use crate::error::{Error, Result};

/// Whether files can be written into the directory `path` that `option` names (or into what would become its parent), found out by
/// writing one.
pub fn check_writable(path: &Path, option: &str, existing_is_fine: bool) -> Result<()> {
    if path.exists() && !path.is_dir() {
        return Err(Error::request(format!("{option} needs a directory, and this is a file"))
            .file(path)
            .hint(another(option)));
    }
    let occupied = path.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if occupied && !existing_is_fine {
        return Err(Error::request("the output directory is not empty")
            .file(path)
            .hint(format!("give a new directory to {option}")));
    }
    let made = path
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .last()
        .map(Path::to_owned);
    let probe = path.join(".rehead-probe");
    let written = std::fs::create_dir_all(path)
        .and_then(|()| std::fs::write(&probe, b""))
        .map_err(|error| unwritable(error, path, option));
    let _ = std::fs::remove_file(&probe);
    if let Some(made) = made {
        // Only empty directories are removed: what is in the way stays.
        let mut path = path.to_owned();
        while std::fs::remove_dir(&path).is_ok() && path != made && path.pop() {}
    }
    written
}

fn another(option: &str) -> String {
    format!("give another directory to {option}")
}

pub fn unwritable(error: std::io::Error, path: &Path, option: &str) -> Error {
    Error::io(error, path).context("the directory cannot be written").hint(another(option))
}

/// Puts a result on standard output.
pub fn print(text: &str) -> Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout().lock(), "{text}").map_err(|error| Error::io(error, "standard output"))
}
