//! `rehead inspect`: what is in a data file, a folder of images, a model or a run, and what looks wrong.

mod images;
mod model;
mod training;

use std::fmt::Display;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use self::images::{ImagesReport, add_images};
use self::model::ModelReport;
use self::training::TrainingReport;
use super::locate::check_no_comparison;
use super::output::print;
use crate::cli::InspectArgs;
use crate::config::{OnBadInput, saved_settings};
use crate::data::inspect::{inspect, modality};
use crate::data::{Modality, ReadOptions, RowReader};
use crate::error::{Error, Result};
use crate::model::checkpoint::weight_files;
use crate::report::metrics::to_readable_json;

/// Runs the command.
///
/// # Errors
/// There is nothing at a path that can be inspected, or several paths are not data files.
pub fn run(args: &InspectArgs) -> Result<()> {
    let training = TrainingReport::is_asked_for(args);
    if training && let Some(model) = args.paths.iter().find(|path| is_model(path)) {
        return Err(Error::request("this is a model, and labels are cleaned in data files")
            .file(model)
            .hint("inspect it alone: rehead inspect DIR"));
    }
    let mut reports = args.paths.iter().map(|path| report(path, args)).collect::<Result<Vec<_>>>()?;
    if training {
        let found = TrainingReport::of(args)?;
        reports.push(Report::of(&found, found.is_fine())?);
    }
    if !args.json {
        let mut text = reports.iter().map(|report| report.text.trim_end()).collect::<Vec<_>>().join("\n\n");
        if reports.iter().all(|report| report.is_fine) {
            text.push_str("\n\nnothing looks wrong");
        }
        return print(&text);
    }
    match reports.as_slice() {
        [only] => print(&to_readable_json(&only.json)?),
        [files @ .., last] => {
            let files: Vec<&Value> = files.iter().map(|report| &report.json).collect();
            print(&to_readable_json(&json!({ "files": files, "training": last.json }))?)
        }
        [] => Ok(()),
    }
}

/// What is said of a path, for people and for programs.
struct Report {
    text: String,
    json: Value,
    /// Whether nothing looks wrong.
    is_fine: bool,
}

impl Report {
    fn of(report: &(impl Serialize + Display), is_fine: bool) -> Result<Self> {
        let json = serde_json::to_value(report).map_err(|error| Error::failure(format!("writing JSON: {error}")))?;
        Ok(Self { text: report.to_string(), json, is_fine })
    }
}

fn report(path: &Path, args: &InspectArgs) -> Result<Report> {
    if is_model(path) {
        let found = ModelReport::of(path)?;
        Report::of(&found, found.is_fine())
    } else if path.is_dir() {
        check_no_comparison(path)?;
        if RowReader::open(path, &ImagesReport::options(false)).is_err() {
            return Err(nothing_in(path));
        }
        let found = ImagesReport::of(path)?;
        Report::of(&found, found.is_fine())
    } else {
        let options = args.columns.read_options(OnBadInput::Skip);
        let options = ReadOptions { modality: modality(path, &options), ..options };
        let mut found = inspect(path, &options)?;
        if options.modality == Modality::Image {
            add_images(&mut found, path, &options)?;
        }
        Report::of(&found, found.problems.is_empty())
    }
}

/// Whether there is a model: its configuration, its weights (which may be of a kind that is refused), or weights by
/// themselves.
fn is_model(path: &Path) -> bool {
    if path.is_dir() {
        let unreadable = ["pytorch_model.bin", "model.pt", "model.pth"].iter().any(|name| path.join(name).is_file());
        return path.join("config.json").exists() || weight_files(path).is_ok() || unreadable;
    }
    path.extension().is_some_and(|extension| extension == "safetensors")
}

fn nothing_in(folder: &Path) -> Error {
    if saved_settings(folder).is_file() {
        return Error::request("this run has no model yet")
            .file(folder)
            .hint("it was interrupted or is still at work: `rehead train … --resume` continues it");
    }
    Error::request("there is no model and no image in this folder")
        .file(folder)
        .hint("give a data file, a folder of images, a model directory or a run")
}
