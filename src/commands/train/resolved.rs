//! The settings that are saved: what is known only with the network and the machine at hand is put into them. What was
//! chosen automatically is kept beside them until the run is finished.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use crate::config::{self, Choices, Pooling as PoolingSetting, RunConfig};
use crate::error::{Error, Result};
use crate::files::checksum::{Sealed, damaged, read_sealed, write_sealed};
use crate::files::remove_if_there;
use crate::hardware::Hardware;
use crate::model::{Classifier, Engine, Pooling};
use crate::transform::{LongTexts, Transform};

/// Puts the sizes at which inputs are seen into the settings.
pub fn sizes(config: &mut RunConfig, transform: &Transform, choices: &mut Choices) {
    let data = &mut config.data;
    match transform {
        Transform::Text(tokenizer) => {
            if data.max_length.is_none() {
                choices.record("max_length", tokenizer.max_length(), "the model's and tokenizer's limit, at most 512");
            }
            data.max_length = Some(tokenizer.max_length());
            if let LongTexts::Windows { stride, pooling, .. } = tokenizer.long_texts() {
                if data.stride.is_none() {
                    choices.record("stride", stride, "a quarter of the tokens of a window");
                }
                (data.stride, data.window_pooling) = (Some(stride), Some(pooling));
            }
        }
        Transform::Image(images) => {
            let (height, _) = images.preprocessing.output();
            if data.image_size.is_none() {
                choices.record("image_size", height, "what the model was trained on");
            }
            data.image_size = Some(height as usize);
        }
    }
}

/// Puts what is known only with the model at hand into the settings.
pub fn hardware_and_model(config: &mut RunConfig, classifier: &Classifier, hardware: &Hardware, engine: Engine) {
    config.model.pooling = match classifier.pooling {
        Pooling::Cls => PoolingSetting::Cls,
        Pooling::Mean => PoolingSetting::Mean,
        Pooling::ClsAndMean => PoolingSetting::ClsAndMean,
    };
    config.model.engine = match engine {
        Engine::Packed => config::Engine::Packed,
        Engine::RustBert => config::Engine::RustBert,
    };
    config.run.device = match hardware.device {
        Device::Cuda(index) => config::Device::Cuda(index),
        _ => config::Device::Cpu,
    };
    config.run.precision =
        if hardware.compute == Kind::BFloat16 { config::Precision::Bf16 } else { config::Precision::Fp32 };
    config.run.threads.get_or_insert(hardware.threads);
}

fn choices_file(run: &Path) -> PathBuf {
    run.join("checkpoints/choices.json")
}

/// Keeps what was chosen automatically for the run `run` that begins: when it is resumed, nothing is left to choose.
pub fn write_choices(run: &Path, choices: &Choices) -> Result<()> {
    let file = choices_file(run);
    std::fs::create_dir_all(run.join("checkpoints")).map_err(|error| Error::io(error, &file))?;
    write_sealed(&file, &SavedChoices { choices })
}

/// What was chosen when the run began; `None` where nothing is kept of it.
///
/// # Errors
/// The file is damaged.
pub fn read_choices(run: &Path) -> Result<Option<Choices>> {
    let file = choices_file(run);
    let saved = match read_sealed(&file)? {
        None => return Ok(None),
        Some(Sealed::Intact(text)) => serde_json::from_str::<SavedChoices<Choices>>(&text).ok(),
        Some(_) => None,
    };
    let damaged = || damaged(&file).hint("delete it: the run then goes on without what was chosen automatically");
    saved.map(|saved| Some(saved.choices)).ok_or_else(damaged)
}

#[derive(Serialize, Deserialize)]
struct SavedChoices<C> {
    choices: C,
}

/// The run is finished, and its metrics have the choices.
pub fn remove_choices(run: &Path) -> Result<()> {
    remove_if_there(&choices_file(run))
}
