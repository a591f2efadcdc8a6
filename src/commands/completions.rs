//! `rehead completions SHELL`: prints the script with which a shell completes rehead's commands and flags.

use std::io::Write;

use crate::cli::{CompletionsArgs, definition};
use crate::error::{Error, Result};

/// Prints the script, alone on standard output.
///
/// # Errors
/// Where standard output cannot be written.
pub fn run(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), "rehead", &mut script);
    let mut output = std::io::stdout().lock();
    output.write_all(&script).and_then(|()| output.flush()).map_err(|error| Error::io(error, "standard output"))
}
