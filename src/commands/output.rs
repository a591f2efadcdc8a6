//! Where a command's results go: a directory that can be written, and standard output.

use std::path::Path;

use crate::console::plain;
use crate::error::{Error, Result};
use crate::files;

/// That files can be written into the directory `path` that `option` names (or into what would become its parent),
/// found out by writing one. With `when_occupied`, the hint of the error, the directory must be empty or new.
pub fn check_writable(path: &Path, option: &str, when_occupied: Option<&str>) -> Result<()> {
    files::check_output_directory(path, option, when_occupied)?;
    files::try_writing_into(path).map_err(|error| unwritable(error, path, option))
}

/// The error of a directory that `option` names and that cannot be written.
pub fn unwritable(error: std::io::Error, path: &Path, option: &str) -> Error {
    Error::io(error, path)
        .context("the directory cannot be written")
        .hint(format!("give another directory to {option}"))
}

/// Puts a result for people on standard output, where control characters of a label or a file name show and do nothing.
pub fn print(text: &str) -> Result<()> {
    print_data(&plain(text))
}

/// Puts a result for programs on standard output, as it is.
pub fn print_data(text: &str) -> Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout().lock(), "{text}").map_err(|error| Error::io(error, "standard output"))
}
