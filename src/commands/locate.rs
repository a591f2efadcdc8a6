//! Where the network is that a command names: a directory, a file of weights, or a hub id's place in the cache.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::config::{Init, ModelConfig};
use crate::console::{Console, DownloadEvent};
use crate::data::Modality;
use crate::error::Result;
use crate::{hub, model};

/// The directory that `--model` names: itself, or a hub id's place in the cache; or a file of weights.
pub fn locate_model(model: &str, quiet: bool) -> Result<PathBuf> {
    if model.ends_with(".safetensors") && Path::new(model).is_file() {
        return Ok(PathBuf::from(model));
    }
    let report = Console::new(quiet).download();
    hub::locate(&hub_id(model, &report), &report)
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
