//! The pipeline of `rehead compare`: every strategy with every seed, the baselines, then what they say together.

use std::path::Path;

use super::baselines::baselines;
use super::outcome::{ComparisonOutcome, csv, table};
use super::runs::{Contender, FinishedRun, add};
use super::{next, page};
use crate::cli::CompareArgs;
use crate::commands::locate::{COMPARISON, locate_network};
use crate::commands::origin::{self, Origin};
use crate::commands::output::{print, print_data};
use crate::commands::train::data::task_of;
use crate::commands::train::{Session, train};
use crate::config::{RunConfig, Task};
use crate::console::{Console, units};
use crate::data::Modality;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, write_atomically};
use crate::hardware::memory;
use crate::inference::cache::Cache;
use crate::interrupt;
use crate::report::metrics::to_readable_json;
use crate::report::next_steps;

/// Trains every strategy with every seed into folders of `--out`, and writes there what they say together. Runs that
/// are finished there are kept.
///
/// # Errors
/// Those of a run, or interrupted.
pub fn run(args: &CompareArgs) -> Result<()> {
    let console = Console::new(args.run.quiet);
    let shared = args.resolve()?;
    let _lock = files::lock_directory(&shared.run.out)?;
    shared.check_paths(true)?;
    if shared.data.task == Some(Task::Regression) {
        return Err(Error::request("comparisons count right and wrong labels, and regression has numbers")
            .key("task")
            .hint("train each strategy with `rehead train` and compare the scores of the same test rows"));
    }
    shared.check_loss(&args.strategies)?;
    if let Some(idle) = args.without_effect() {
        console.warn(idle);
    }
    let runs = args.runs(&shared);
    let out = &shared.run.out;
    check_ours(out, &runs)?;
    files::remove_temporaries_below(out);
    let (directory, modality) = locate_network(&shared.model, console.is_quiet())?;
    interrupt::listen();
    check_task(&shared, modality)?;
    let content = Origin::of_content(&shared, directory.as_deref(), modality)?;
    let origins = runs.iter().map(|run| content.of_run(run)).collect::<Result<Vec<_>>>()?;
    origin::check(out, runs.iter().zip(&origins))?;

    let mut contenders = train_all(args, &runs, &origins, &console)?;
    console.section("baselines");
    let folds = shared.data.folds.and(contenders.first()).and_then(|contender| contender.finished.first());
    let folds = folds.map(FinishedRun::folds).transpose()?;
    for run in baselines(&shared, modality, folds, &content, &console)? {
        add(&mut contenders, run, true);
    }

    say_what_is_left_out(out, &runs, &console);
    let result = ComparisonOutcome::of(&contenders)?;
    let json = to_readable_json(&result)?;
    write_atomically(out.join(COMPARISON), format!("{json}\n").as_bytes())?;
    write_atomically(out.join("compare.csv"), csv(&contenders)?.as_bytes())?;
    let input = if shared.data.train.iter().all(|path| path.is_dir()) { "IMAGES/" } else { "FILE" };
    let steps = next::steps(result.recommended.as_ref(), &result.comparison, result.split, input);
    let page = page::html(&shared, &contenders, &result, &steps)?;
    write_atomically(out.join("report.html"), page.as_bytes())?;
    console.section("comparison");
    if args.run.json {
        print_data(&json)?;
    } else {
        print(&format!("{}\n\n{}", table(&result).to_string().trim_end(), result.verdict))?;
        console.note(
            "peak memory is that of the process, with what it keeps of the runs before: a run by itself may need less",
        );
    }
    next_steps::print(&steps, &console);
    console.summary(format!("the report: {}", out.join("report.html").display()));
    Ok(())
}

/// That rows have one label: what is compared, and how, supposes it.
fn check_task(shared: &RunConfig, modality: Modality) -> Result<()> {
    match task_of(shared, modality)? {
        Task::SingleLabel => Ok(()),
        task => Err(Error::request(format!("`rehead compare` is for rows of one label, and this is a {task} task"))
            .key("data.task")
            .hint(
                "train each strategy with `rehead train` and compare the scores and intervals of their metrics.json",
            )),
    }
}

/// Trains every run that is not finished, in order, with a line for each.
fn train_all(args: &CompareArgs, runs: &[RunConfig], origins: &[Origin], console: &Console) -> Result<Vec<Contender>> {
    let cache = Cache::default();
    let mut contenders: Vec<Contender> = Vec::new();
    // The same data are read for every run, and nobody reads their warnings six times.
    let of_runs = if args.verbose { console.clone() } else { console.brief() };
    if !args.verbose {
        console.section(format!("{} (details of each: -v)", units::counted(runs.len() as u64, "run")));
    }
    for (number, (config, origin)) in (1..).zip(runs.iter().zip(origins)) {
        let name = format!("{} with seed {}", config.strategy.name, config.training.seed);
        if args.verbose {
            console.section(&name);
        }
        let was_there = config.run.out.join("metrics.json").is_file();
        // Out of fold a strategy is judged without a model; test rows are those of one.
        let final_model = config.data.folds.is_none() || config.data.test.is_some();
        let session = Session { resume: true, profile: false, cache: &cache, origin: Some(origin), final_model };
        memory::forget_peak();
        let metrics = train(config.clone(), session, &of_runs.about(&name)).map_err(|error| match error.kind() {
            ErrorKind::Interrupted => {
                Error::interrupted(error.to_string()).hint("continue with the same command: finished runs are kept")
            }
            _ => error,
        })?;
        let run = FinishedRun::read(metrics, &config.run.out)?;
        if !args.verbose {
            console.note(format!("{number} of {}: {}", runs.len(), run.in_a_line(was_there)?));
        }
        if let Some(label) = run.only_answer() {
            console.warn(format!("{name}: every row gets `{label}`: the network separates nothing"));
        }
        add(&mut contenders, run, false);
    }
    Ok(contenders)
}

/// Says which finished runs in the directory were not asked for this time, and so are not in the table.
fn say_what_is_left_out(out: &Path, runs: &[RunConfig], console: &Console) {
    let found = walkdir::WalkDir::new(out).min_depth(2).max_depth(2).sort_by_file_name().into_iter().flatten();
    let is_finished = |run: &Path| run.join("metrics.json").is_file() && run.join("rehead.toml").is_file();
    let others: Vec<String> = found
        .filter(|run| is_finished(run.path()) && !runs.iter().any(|asked| asked.run.out == run.path()))
        .map(|run| run.path().display().to_string())
        .collect();
    if let Some(first) = others.first() {
        console.warn(format!(
            "{} in {} not among those asked for, and left out of the table and the report: {first}{}; name their \
             strategies (`--strategies`) and give as many `--seeds` to have them in it",
            units::counted(others.len() as u64, "other finished run"),
            if others.len() == 1 { format!("{} is", out.display()) } else { format!("{} are", out.display()) },
            if others.len() > 1 { " and more" } else { "" },
        ));
    }
}

/// A directory with something in it must be one that this comparison began.
fn check_ours(out: &Path, runs: &[RunConfig]) -> Result<()> {
    let occupied = files::is_occupied(out).unwrap_or(false);
    let ours = out.join(COMPARISON).is_file() || runs.iter().any(|run| run.run.out.is_dir());
    match occupied && !ours {
        true => Err(Error::request("the output directory is not empty, and holds no comparison")
            .file(out)
            .hint("give a new directory to --out")),
        false => Ok(()),
    }
}
