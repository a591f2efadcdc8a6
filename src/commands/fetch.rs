//! `rehead fetch ID`: a model from the hub into the standard hub cache; prints the directory it is in.

use std::io::Write;

use super::locate::hub_id;
use crate::cli::FetchArgs;
use crate::console::Console;
use crate::error::{Error, Result, shell_word};
use crate::model::checkpoint;
use crate::{hub, model};

/// Fetches what is missing of the model and prints its directory, alone on standard output.
///
/// # Errors
/// Those of [`hub::locate_revision`]; an architecture that has no trained weights.
pub fn run(args: &FetchArgs) -> Result<()> {
    model::check_trained(&args.id)?;
    let console = Console::new(args.quiet);
    let report = console.download();
    let hooks = hub::Hooks { report: &report, check: &model::check_family, pickles: args.pytorch };
    let directory = hub::locate_revision(&hub_id(&args.id, &report), args.revision.as_deref(), hooks)?;
    if args.pytorch && checkpoint::weight_files(&directory).is_err() {
        let path = shell_word(&directory.display().to_string());
        console.note(format!("its weights are PyTorch's; `rehead convert {path}` makes safetensors of them"));
    }
    let mut line = directory.into_os_string().into_encoded_bytes();
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    output.write_all(&line).and_then(|()| output.flush()).map_err(|error| Error::io(error, "standard output"))
}
