//! Where the network is that a command names: a directory, a file of weights, or a hub id's place in the cache.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::config::{Init, ModelConfig, saved_settings};
use crate::console::{Console, DownloadEvent};
use crate::data::Modality;
use crate::error::{Error, Result, shell_word};
use crate::{hub, model};

/// The directory that `--model` names: itself, or a hub id's place in the cache; or a file of weights.
pub fn locate_model(name: &str, quiet: bool) -> Result<PathBuf> {
    if name.ends_with(".safetensors") && Path::new(name).is_file() {
        return Ok(PathBuf::from(name));
    }
    let path = Path::new(name);
    if saved_settings(path).is_file() && !path.join("config.json").exists() {
        return Err(Error::request("this run has no model yet").file(path).hint(format!(
            "it was interrupted or is still at work: `rehead train --resume --out {}` continues it",
            shell_word(name)
        )));
    }
    let report = Console::new(quiet).download();
    hub::locate(&hub_id(name, &report), hub::Hooks { report: &report, check: &model::check_family })
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
