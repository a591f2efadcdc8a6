//! `rehead inspect`: what is in a data file, a folder of images, a model or a run, and what looks wrong.

mod images;
mod model;
mod training;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use self::images::{ImagesReport, add_images};
use self::model::ModelReport;
use self::training::TrainingReport;
use super::locate::{check_no_comparison, hub_id};
use super::output::{print, print_data};
use crate::cli::InspectArgs;
use crate::config::{OnBadInput, saved_settings};
use crate::data::inspect::{inspect, modality};
use crate::data::{Modality, ReadOptions, RowReader};
use crate::error::{Error, Result};
use crate::files::extension;
use crate::hub;
use crate::model::checkpoint::weight_files;
use crate::report::metrics::to_readable_json;

/// Runs the command.
///
/// # Errors
/// There is nothing at a path that can be inspected, or several paths are not data files.
pub fn run(args: &InspectArgs) -> Result<()> {
    let args = &args.with_files()?;
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
        [only] => print_data(&to_readable_json(&only.json)?),
        [files @ .., last] => {
            let files: Vec<&Value> = files.iter().map(|report| &report.json).collect();
            print_data(&to_readable_json(&json!({ "files": files, "training": last.json }))?)
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
    let id = path.to_str().filter(|_| !path.exists());
    if let Some(id) = id
        && let Some(directory) = cached(id)
    {
        let found = ModelReport::of_id(id, &directory)?;
        Report::of(&found, found.is_fine())
    } else if let Some(id) = id.filter(|id| looks_like_an_id(id)) {
        Err(Error::request("there is no such file, and no model of that id in the hub cache")
            .file(path)
            .hint(format!("`rehead fetch {id}` downloads the model; `rehead models` lists the cache")))
    } else if is_model(path) {
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

/// The directory in the hub cache of a model that an id names, or an architecture's usual name.
fn cached(id: &str) -> Option<PathBuf> {
    hub::cached(&hub_id(id, &|_| {}))
}

/// Whether a name that is no file is `org/name`, and neither a mistyped path to data nor one into a folder.
fn looks_like_an_id(name: &str) -> bool {
    let Some((organisation, model)) = name.split_once('/') else { return false };
    let is_data = extension(Path::new(model)).len() <= 4
        && model.rsplit_once('.').is_some_and(|(_, end)| end.starts_with(|c: char| c.is_ascii_alphabetic()));
    let plain = !organisation.starts_with(['.', '~']) && !organisation.is_empty() && !model.contains(['/', '\\']);
    plain && !model.is_empty() && !is_data && !Path::new(organisation).exists()
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
