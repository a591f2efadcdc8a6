//! Parses the command line, runs the chosen command, prints the error, and sets the exit status.

use std::process::ExitCode;

use rehead::cli::{Cli, Command};
use rehead::commands;
use rehead::console::Console;
use rehead::hardware::allocator;
use rehead::interrupt;

fn main() -> ExitCode {
    interrupt::install();
    allocator::keep_freed_memory();
    let cli = Cli::typed();
    if matches!(cli.command, Command::Label(_) | Command::Suggest(_) | Command::Embed(_)) {
        allocator::keep_few_compiled_kernels();
    }
    let result = match &cli.command {
        Command::Train(args) => commands::train::run(args),
        Command::Label(args) => commands::label::run(args),
        Command::Suggest(args) => commands::suggest::run(args),
        Command::Embed(args) => commands::embed::run(args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Evaluate(args) => commands::evaluate::run(args),
        Command::Compare(args) => commands::compare::run(args),
        Command::Advise(args) => commands::advise::run(args),
        Command::Inspect(args) => commands::inspect::run(args),
        Command::Fetch(args) => commands::fetch::run(args),
        Command::Models(args) => commands::models::run(args),
        Command::Convert(args) => commands::convert::run(args),
        Command::Completions(args) => commands::completions::run(args),
        Command::Man(args) => commands::man::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Console::new(false).error(&error);
            interrupt::exit_at_once(error.exit_status())
        }
    }
}
