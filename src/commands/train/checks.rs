//! What is refused before anything is loaded, and runs that are finished already.

use std::path::Path;

use super::prepare::Session;
use crate::commands::origin::{CLASS_WEIGHTS, Origin};
use crate::commands::output::check_writable;
use crate::config::{self, RunConfig};
use crate::console::Console;
use crate::error::{Error, Result};
use crate::report::RunMetrics;
use crate::task::task;
use crate::training::snapshot::Snapshots;

/// That the run can be done and its directories can be written.
pub fn check(config: &RunConfig, session: &Session) -> Result<()> {
    task(config.data.task)?;
    check_precision(config)?;
    if session.resume {
        check_same_settings(config)?;
        // A comparison has looked at the data of all its runs.
        if session.origin.is_none() {
            check_same_data(config)?;
        }
    }
    Ok(())
}

/// That the run's directories can be written. Whether `--out` may hold files already is for
/// [`RunConfig::check_paths`].
pub fn check_directories(config: &RunConfig) -> Result<()> {
    check_writable(&config.run.out, "--out", None)?;
    match config.run.cache_dir.as_deref() {
        Some(folder) => check_writable(folder, "--cache-dir", None),
        None => Ok(()),
    }
}

/// The metrics of a run that is finished, or has come as far as the session asks for.
pub fn finished(out: &Path, session: &Session, console: &Console) -> Result<Option<RunMetrics>> {
    let Some(snapshots) = Snapshots::new_if_there(out) else { return Ok(None) };
    let has_chosen = !session.final_model && out.join("metrics.json").is_file() && snapshots.has_chosen();
    if !snapshots.finished() && !has_chosen {
        return Ok(None);
    }
    snapshots.check_finished(|file| file == Path::new("metrics.json"))?;
    console.note(format!("{} is finished: there is nothing to resume", out.display()));
    RunMetrics::read(out.join("metrics.json")).map(Some)
}

/// A run is continued under the settings that it began with.
fn check_same_settings(config: &RunConfig) -> Result<()> {
    let file = config::saved_settings(&config.run.out);
    if !file.is_file() {
        return Ok(());
    }
    let saved = config::load(&file)?;
    let mut differences = config::differences(&saved, config)?;
    // Of files the content counts, which is compared with the data's.
    let of_files = [&saved, config].iter().all(|config| config.training.class_weights.file().is_some());
    differences.retain(|difference| !(of_files && difference.key == CLASS_WEIGHTS));
    if differences.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = differences.iter().map(ToString::to_string).collect();
    Err(Error::request(format!("cannot continue with other settings: {}", shown.join("; ")))
        .file(file)
        .hint("`rehead train --resume --out RUN` alone uses the saved ones; other settings need another --out"))
}

/// A run is continued with the data that it began with, and a finished one is their result.
fn check_same_data(config: &RunConfig) -> Result<()> {
    let changed = Origin::changed_data(config)?;
    if changed.is_empty() {
        return Ok(());
    }
    let changed = changed.join(" and ");
    Err(Error::request(format!("this run belongs to other data or settings: {changed} changed since it began"))
        .file(&config.run.out)
        .hint("put the data back as they were, or train on those of now with another --out"))
}

fn check_precision(config: &RunConfig) -> Result<()> {
    match config.run.precision {
        config::Precision::Int8 => Err(Error::request("nothing can be trained in int8")
            .key("precision")
            .hint("train in bf16 or fp32; `rehead label --precision int8` then labels with the result")),
        _ => Ok(()),
    }
}
