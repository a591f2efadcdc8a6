//! The settings that are saved: what is known only with the network and the machine at hand is put into them.

use tch::{Device, Kind};

use crate::config::{self, Choices, Pooling as PoolingSetting, RunConfig};
use crate::hardware::Hardware;
use crate::model::{Classifier, Engine, Pooling};
use crate::transform::Transform;

/// Puts the sizes at which inputs are seen into the settings.
pub fn sizes(config: &mut RunConfig, transform: &Transform, choices: &mut Choices) {
    let data = &mut config.data;
    match transform {
        Transform::Text(tokenizer) => {
            if data.max_length.is_none() {
                choices.record("max_length", tokenizer.max_length(), "the model's and tokenizer's limit, at most 512");
            }
            data.max_length = Some(tokenizer.max_length());
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
