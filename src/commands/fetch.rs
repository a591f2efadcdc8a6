//! `rehead fetch ID`: a model from the hub into the standard hub cache; prints the directory it is in.

use std::io::Write;

use super::locate::hub_id;
use crate::console::Console;
use crate::error::{Error, Result};
use crate::{hub, model};

/// Fetches what is missing of the model and prints its directory, alone on standard output.
///
/// # Errors
/// Those of [`hub::locate_revision`].
pub fn run(id: &str, revision: Option<&str>, quiet: bool) -> Result<()> {
    let report = Console::new(quiet).download();
    let hooks = hub::Hooks { report: &report, check: &model::check_family };
    let directory = hub::locate_revision(&hub_id(id, &report), revision, hooks)?;
    let mut line = directory.into_os_string().into_encoded_bytes();
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    output.write_all(&line).and_then(|()| output.flush()).map_err(|error| Error::io(error, "standard output"))
}
