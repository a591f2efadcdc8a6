//! The pipeline of `rehead train`: prepare, train, save, test, report.

use std::path::Path;

use super::outcome::SavedTraining;
use super::prepare::{Run, Session};
use super::{calibration, checks, ending, refit, report, resolved};
use crate::cli::TrainArgs;
use crate::commands::origin::Origin;
use crate::commands::output::{print_data, unwritable};
use crate::commands::saved_rules;
use crate::config::{self, RunConfig};
use crate::console::Console;
use crate::error::{self, Error, Result};
use crate::files::{lock_directory, remove_temporaries_below, write_atomically};
use crate::inference::cache::Cache;
use crate::interrupt;
use crate::report::next_steps::shell_word;
use crate::report::{NextStep, RunMetrics};
use crate::task::{Evaluated, score};
use crate::training::ended::files_in;
use crate::training::snapshot::Snapshots;

/// Trains one model into `--out`; with `--json` its metrics are printed.
///
/// # Errors
/// The model, the data or the settings cannot be used, training diverged, or interrupted.
pub fn run(args: &TrainArgs) -> Result<()> {
    let console = Console::new(args.run.quiet);
    let config = args.resolve()?;
    let _lock = lock_directory(&config.run.out)?;
    config.check_paths(args.resume)?;
    config.check_loss(&[config.strategy.name])?;
    if args.resume && !config::saved_settings(&config.run.out).is_file() {
        console.note(format!("{}: no run there yet: it begins", config.run.out.display()));
    }
    if let Some(idle) = args.without_effect(&config) {
        console.warn(idle);
    }
    let (resume, profile, cache) = (args.resume, args.profile, &Cache::default());
    let session = Session { resume, profile, cache, origin: None, final_model: true };
    let out = config.run.out.clone();
    let Finished { metrics, next } = complete(config, session, &console)?;
    ending::print(&metrics, &out, &next, &console);
    if args.run.json {
        print_data(&metrics.to_json()?)?;
    }
    Ok(())
}

/// Trains as `config` says, into `config.run.out`: one run of several.
pub fn train(config: RunConfig, session: Session, console: &Console) -> Result<RunMetrics> {
    let Finished { metrics, .. } = complete(config, session, console)?;
    ending::print_line(&metrics, console);
    Ok(metrics)
}

/// A run that is done.
struct Finished {
    metrics: RunMetrics,
    /// What to do next; nothing of a run that had been finished before.
    next: Vec<NextStep>,
}

fn complete(config: RunConfig, session: Session, console: &Console) -> Result<Finished> {
    checks::check(&config, &session)?;
    if session.resume
        && let Some(metrics) = checks::finished(&config.run.out, &session, console)?
    {
        return Ok(Finished { metrics, next: Vec::new() });
    }
    checks::check_directories(&config)?;

    let mut run = Run::prepare(config, session, console)?;
    begin(&mut run)?;
    let out = run.out().to_owned();
    let (run, outcome) = match SavedTraining::of_earlier_session(&mut run)? {
        Some(outcome) => (run, outcome),
        None => train_and_save(run).map_err(|error| with_resume_hint(&out, error))?,
    };
    let test = test(&run, outcome.calibration.temperature).map_err(|error| with_resume_hint(&out, error))?;
    let (metrics, next) = report::write(&run, &outcome, test.as_ref())?;
    finish(&run)?;
    Ok(Finished { metrics, next })
}

/// Makes the run directory and saves the settings in it. From now on an interrupted run can be resumed.
fn begin(run: &mut Run) -> Result<()> {
    let (out, resume) = (run.config.run.out.as_path(), run.session.resume);
    std::fs::create_dir_all(out).map_err(|error| unwritable(error, out, "--out"))?;
    remove_temporaries_below(out);
    let settings = config::saved_settings(out);
    let continued = resume && settings.is_file();
    saved_rules::write(out, &run.label_resolution, continued)?;
    if continued {
        // The saved settings left nothing to choose.
        run.choices = resolved::read_choices(out)?.unwrap_or_else(|| run.choices.clone());
    } else {
        match run.session.origin {
            Some(origin) => origin.write(out)?,
            None => Origin::of_content(&run.config, None, run.transform.modality())?.write(out)?,
        }
        resolved::write_choices(out, &run.choices)?;
        write_atomically(settings, run.config.to_toml(&run.choices)?.as_bytes())?;
    }
    interrupt::listen();
    Ok(())
}

fn train_and_save(mut run: Run) -> Result<(Run, SavedTraining)> {
    let outcome;
    if run.config.training.refit || run.splits.folded.is_some() {
        (run, outcome) = refit::train(run)?;
    } else {
        outcome = SavedTraining::of_training(&mut run)?;
    }
    if !run.ends_with_folds() {
        outcome.save(&run)?;
    }
    Ok((run, outcome))
}

/// The trained classifier's score on the test data, where there are any.
fn test(run: &Run, temperature: Option<f64>) -> Result<Option<Evaluated>> {
    let Some(test) = &run.splits.test else { return Ok(None) };
    let scored = score(run.task, &run.inference(), &test.dataset, "test", run.console);
    let scored = scored.map(|scored| calibration::with_scores_before(scored, &test.dataset.targets, temperature));
    scored.map(Some).map_err(|error| match error.kind() {
        error::ErrorKind::Interrupted => Error::interrupted("the model is trained and saved, the test data not scored"),
        _ => error,
    })
}

/// Deletes what only an unfinished run needs. One without a model can still be continued.
fn finish(run: &Run) -> Result<()> {
    run.feature_checkpoint().remove()?;
    refit::remove(run)?;
    if let Some(settings) = run.activation_cache.as_ref().filter(|settings| !settings.keep) {
        settings.clear()?;
    }
    if run.ends_with_folds() {
        return Ok(());
    }
    resolved::remove_choices(run.out())?;
    let mut files = files_in(run.out(), &["metrics.json", "history.jsonl"]);
    let predicted = files_in(&run.out().join("predictions"), &[".csv"]);
    files.extend(predicted.iter().map(|file| Path::new("predictions").join(file)));
    Snapshots::new(run.out())?.finish(&files)
}

fn with_resume_hint(out: &Path, error: Error) -> Error {
    match error.kind() {
        error::ErrorKind::Interrupted => {
            error.hint(format!("continue with: rehead train --resume --out {}", shell_word(out)))
        }
        _ => error,
    }
}
