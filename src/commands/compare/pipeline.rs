//! The pipeline of `rehead compare`: every strategy with every seed, the baselines, then what they say together.

use std::path::Path;

use super::baselines::baselines;
use super::outcome::{ComparisonOutcome, csv, table};
use super::page;
use super::runs::{Contender, FinishedRun, add};
use crate::cli::CompareArgs;
use crate::commands::output::print;
use crate::commands::train::{Session, train};
use crate::config::RunConfig;
use crate::console::Console;
use crate::error::{Error, ErrorKind, Result};
use crate::files::write_atomically;
use crate::hardware::memory;
use crate::inference::cache::Cache;
use crate::report::metrics::to_readable_json;

const COMPARISON: &str = "compare.json";

/// Trains every strategy with every seed into folders of `--out`, and writes there what they say together. Runs that
/// are finished there are kept.
///
/// # Errors
/// Those of a run, or interrupted.
pub fn run(args: &CompareArgs) -> Result<()> {
    let console = Console::new(args.run.quiet);
    let shared = args.resolve()?;
    shared.check_paths(true)?;
    let runs = args.runs(&shared);
    let out = &shared.run.out;
    check_ours(out, &runs)?;

    let cache = Cache::default();
    let mut contenders: Vec<Contender> = Vec::new();
    for config in &runs {
        console.section(format!("{} with seed {}", config.strategy.name, config.training.seed));
        let session = Session { resume: true, profile: false, cache: &cache };
        memory::forget_peak();
        let metrics = train(config.clone(), session, &console).map_err(|error| match error.kind() {
            ErrorKind::Interrupted => {
                Error::interrupted(error.to_string()).hint("continue with the same command: finished runs are kept")
            }
            _ => error,
        })?;
        add(&mut contenders, FinishedRun::read(metrics, &config.run.out)?, false);
    }
    console.section("baselines");
    for run in baselines(&shared, &console)? {
        add(&mut contenders, run, true);
    }

    let result = ComparisonOutcome::of(&contenders)?;
    let json = to_readable_json(&result)?;
    write_atomically(out.join(COMPARISON), format!("{json}\n").as_bytes())?;
    write_atomically(out.join("compare.csv"), csv(&contenders)?.as_bytes())?;
    write_atomically(out.join("report.html"), page::html(&shared, &contenders, &result).as_bytes())?;
    console.section("comparison");
    if args.run.json {
        print(&json)?;
    } else {
        print(&format!("{}\n\n{}", table(&result).to_string().trim_end(), result.verdict))?;
    }
    console.summary(format!("the whole comparison: {}", out.join("report.html").display()));
    Ok(())
}

/// A directory with something in it must be one that this comparison began.
fn check_ours(out: &Path, runs: &[RunConfig]) -> Result<()> {
    let occupied = out.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let ours = out.join(COMPARISON).is_file() || runs.iter().any(|run| run.run.out.is_dir());
    match occupied && !ours {
        true => Err(Error::request("the output directory is not empty, and holds no comparison")
            .file(out)
            .hint("give a new directory to --out")),
        false => Ok(()),
    }
}
