//! `rehead man`: its flags and its help.

use std::path::PathBuf;

use clap::Args;

const MAN_EXAMPLES: &str = "\
Examples:
  rehead man | man -l -
  rehead man ~/.local/share/man/man1    (then: man rehead, man rehead-train)";

/// The flags of `rehead man`.
#[derive(Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub struct ManArgs {
    /// Folder for a page of every command, rehead.1 and rehead-train.1 and so on; without it, the main page is printed
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}
