//! Parses the command line, runs the chosen command, prints the error, and sets the exit status.

use std::process::ExitCode;

use clap::Parser;
use rehead::cli::{Cli, Command};
use rehead::commands;
use rehead::report::Console;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Train(args) => commands::train::run(args),
        Command::Label(args) => commands::label::run(args),
        Command::Evaluate(args) => commands::evaluate::run(args),
        Command::Compare(args) => commands::compare::run(args),
        Command::Inspect(args) => commands::inspect::run(args),
        Command::Fetch(args) => commands::fetch::run(&args.id, Some(args.revision.as_str()), args.quiet),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Console::new(false).error(&error);
            ExitCode::from(error.exit_status())
        }
    }
}
