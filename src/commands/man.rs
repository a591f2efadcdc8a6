//! `rehead man [DIR]`: the manual, made from the same definition as `--help`. Prints the main page, or writes a page
//! for every command into a folder.

use std::io::Write;
use std::path::Path;

use clap_mangen::Man;

use crate::cli::{ManArgs, definition};
use crate::error::{Error, Result};
use crate::files;

const EXIT_STATUS: &[u8] = br#".SH "EXIT STATUS"
.TP
\fB0\fR
It is done.
.TP
\fB1\fR
Something failed, such as a disk that is full.
.TP
\fB2\fR
The request or the data are wrong; the message says what, and what helps.
.TP
\fB130\fR
Interrupted; what can be continued is saved, and the message says how.
"#;

/// Prints the main page on standard output, or writes all pages into the folder.
///
/// # Errors
/// Where standard output or a page cannot be written.
pub fn run(args: &ManArgs) -> Result<()> {
    match &args.folder {
        Some(folder) => write_all(folder),
        None => {
            let page = rendered(&page_of(command()))?;
            let mut output = std::io::stdout().lock();
            output.write_all(&page).and_then(|()| output.flush()).map_err(|error| Error::io(error, "standard output"))
        }
    }
}

fn write_all(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| Error::io(error, folder))?;
    let mut main = command();
    // Gives the subcommands the names of their pages, such as rehead-train.
    main.build();
    for command in main.get_subcommands().cloned().chain([main.clone()]) {
        let page = page_of(command);
        files::write_atomically(folder.join(page.get_filename()), &rendered(&page)?)?;
    }
    Ok(())
}

fn command() -> clap::Command {
    definition().disable_help_subcommand(true)
}

fn page_of(command: clap::Command) -> Man {
    // `-h` leaves rare options out; without this the page would have them, but not what they do.
    let command = command.mut_args(|option| option.hide_short_help(false));
    Man::new(command).manual("rehead").source(concat!("rehead ", env!("CARGO_PKG_VERSION")))
}

fn rendered(page: &Man) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    page.render(&mut bytes).map_err(|error| Error::failure(format!("writing the manual page: {error}")))?;
    bytes.extend_from_slice(EXIT_STATUS);
    Ok(bytes)
}
