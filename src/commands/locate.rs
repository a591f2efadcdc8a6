//! Where the network is that a command names: a directory, a file of weights, or a hub id's place in the cache.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::config::{Init, ModelConfig, saved_settings};
use crate::console::{Console, DownloadEvent};
use crate::data::Modality;
use crate::error::{Error, Result, shell_word};
use crate::{hub, model};

/// What a comparison has found, in its directory.
pub const COMPARISON: &str = "compare.json";

/// The directory that `--model` names: itself, or a hub id's place in the cache; or a file of weights.
pub fn locate_model(name: &str, quiet: bool) -> Result<PathBuf> {
    if name.ends_with(".safetensors") && Path::new(name).is_file() {
        return Ok(PathBuf::from(name));
    }
    let path = Path::new(name);
    if saved_settings(path).is_file() && !path.join("config.json").exists() {
        return Err(Error::request("this run has no model yet").file(path).hint(format!(
            "it was interrupted, is at work, or was compared by its folds alone: `rehead train --resume --out {}` \
             continues it",
            shell_word(name)
        )));
    }
    check_no_comparison(path)?;
    if !path.exists() {
        model::check_trained(name)?;
    }
    let report = Console::new(quiet).download();
    hub::locate(&hub_id(name, &report), hub::Hooks { report: &report, check: &model::check_family, pickles: false })
}

/// That a directory is not that of a comparison, which holds models and is none.
///
/// # Errors
/// It is; the hint names the run to use.
pub fn check_no_comparison(directory: &Path) -> Result<()> {
    let Ok(text) = std::fs::read_to_string(directory.join(COMPARISON)) else { return Ok(()) };
    let outcome: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let recommended = outcome["recommended"]["run"].as_str().map(Path::new);
    // The comparison may have been moved, and its runs, two folders deep in it, with it.
    let within = |run: &Path| {
        let inner: PathBuf = run.iter().rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
        Some(directory.join(inner)).filter(|run| run.is_dir())
    };
    let error = Error::request("this is a comparison, not a model").file(directory);
    Err(match recommended.and_then(within) {
        Some(run) => error.hint(format!("its recommended run is {}", shell_word(&run.to_string_lossy()))),
        None => error.hint("name one of the runs in its folders"),
    })
}

/// A hub id as it is; for an architecture's bare name, which no directory has, that of its usual trained network.
pub fn hub_id<'a>(model: &'a str, report: &dyn Fn(DownloadEvent)) -> Cow<'a, str> {
    match model::pretrained_id(model) {
        Some(id) if !Path::new(model).exists() => {
            report(DownloadEvent::Note(&format!("`{model}` is {id} from the hub")));
            Cow::Owned(id)
        }
        _ => Cow::Borrowed(model),
    }
}

/// Where the network of a run is, and what it reads. Nowhere, when it begins from random numbers: that only networks
/// for images can.
pub fn locate_network(config: &ModelConfig, quiet: bool) -> Result<(Option<PathBuf>, Modality)> {
    match config.init {
        Init::Random => Ok((None, Modality::Image)),
        Init::Pretrained => {
            let directory = locate_model(&config.model, quiet)?;
            let modality = model::modality(&directory)?;
            Ok((Some(directory), modality))
        }
    }
}
