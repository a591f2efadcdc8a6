//! `rehead inspect`: what is in a data file, a folder of images, a model or a run, and what looks wrong.

mod images;
mod model;

use std::fmt::Display;
use std::path::Path;

use serde::Serialize;

use self::images::ImagesReport;
use self::model::ModelReport;
use super::output::print;
use crate::cli::InspectArgs;
use crate::config::{OnBadInput, saved_settings};
use crate::data::{self, RowReader};
use crate::error::{Error, Result};
use crate::model::checkpoint::weight_files;
use crate::report::metrics::to_readable_json;

/// Runs the command.
///
/// # Errors
/// There is nothing at the path that can be inspected.
pub fn run(args: &InspectArgs) -> Result<()> {
    let path = &args.path;
    if is_model(path) {
        show(&ModelReport::of(path)?, args.json)
    } else if path.is_dir() {
        if RowReader::open(path, &ImagesReport::options(false)).is_err() {
            return Err(nothing_in(path));
        }
        show(&ImagesReport::of(path)?, args.json)
    } else {
        show(&data::inspect::inspect(path, &args.columns.read_options(OnBadInput::Skip))?, args.json)
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

fn show(report: &(impl Serialize + Display), json: bool) -> Result<()> {
    if json { print(&to_readable_json(report)?) } else { print(&report.to_string()) }
}
