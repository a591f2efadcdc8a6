//! Parses the command line, runs the chosen command, prints the error, and sets the exit status.

use std::process::ExitCode;

use clap::Parser;
use rehead::cli::{Cli, Command};
use rehead::commands;
use rehead::console::Console;

fn main() -> ExitCode {
    keep_freed_memory();
    let cli = Cli::parse();
    if matches!(cli.command, Command::Label(_)) {
        keep_few_kernels();
    }
    let result = match &cli.command {
        Command::Train(args) => commands::train::run(args),
        Command::Label(args) => commands::label::run(args),
        Command::Evaluate(args) => commands::evaluate::run(args),
        Command::Compare(args) => commands::compare::run(args),
        Command::Advise(args) => commands::advise::run(args),
        Command::Inspect(args) => commands::inspect::run(args),
        Command::Fetch(args) => commands::fetch::run(&args.id, args.revision.as_deref(), args.quiet),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Console::new(false).error(&error);
            ExitCode::from(error.exit_status())
        }
    }
}

/// Activations of many megabytes are allocated and freed in every layer. By default glibc hands such blocks back to the system
/// at once, and every page of the next one is cleared and mapped anew; kept, they are reused as they are.
fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: plain settings of the allocator, made before any other thread runs.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

/// The matrix library keeps a thousand kernels that it has compiled, one for every shape it met, in two caches; on a long file
/// they would be most of the memory. A window of it needs some dozens.
fn keep_few_kernels() {
    for name in ["LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"] {
        if std::env::var_os(name).is_none() {
            // SAFETY: no other thread runs yet.
            unsafe { std::env::set_var(name, "48") };
        }
    }
}
