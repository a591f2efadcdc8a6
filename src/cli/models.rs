//! `rehead models`: its flags and its help.

use clap::Args;

const MODELS_EXAMPLES: &str = "\
Examples:
  rehead models
  rehead models --json";

/// The flags of `rehead models`.
#[derive(Debug, Args)]
#[command(after_help = MODELS_EXAMPLES)]
pub struct ModelsArgs {
    /// Print the list on standard output as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}
