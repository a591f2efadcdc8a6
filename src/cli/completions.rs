//! `rehead completions`: its flags and its help.

use clap::Args;
use clap_complete::Shell;

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  bash:  rehead completions bash > ~/.local/share/bash-completion/completions/rehead
  zsh:   rehead completions zsh > ~/.zfunc/_rehead    (with `fpath+=~/.zfunc` in ~/.zshrc, before compinit)
  fish:  rehead completions fish > ~/.config/fish/completions/rehead.fish";

/// The flags of `rehead completions`.
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}
