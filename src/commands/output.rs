//! Where a command's results go: a directory that can be written, and standard output.

use std::path::Path;

use crate::error::{Error, Result};
use crate::files;

/// Whether files can be written into the directory `path` that `option` names (or into what would become its parent),
/// found out by writing one.
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
    files::try_writing_into(path).map_err(|error| unwritable(error, path, option))
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
