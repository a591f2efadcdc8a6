//! How much one pass through the network holds, by device and by what the network reads.

use tch::Device;

use crate::image::Preprocessing;
use crate::model::InputSpec;

/// Tokens or images of an inference batch: enough to keep the cores busy, few enough to stay near the caches.
pub fn inference_budget(device: Device, input: &InputSpec) -> usize {
    let on_cpu = device == Device::Cpu;
    match input {
        InputSpec::Text { .. } if on_cpu => 2048,
        InputSpec::Text { .. } => 65_536,
        InputSpec::Image(preprocessing) => images(preprocessing, if on_cpu { 16 } else { 256 }),
    }
}

/// Tokens or images of one forward and backward pass in training. A backbone that keeps the scores of all pairs of
/// tokens has a quarter of the tokens: 2,048 tokens in texts of 512 have 50 MB of scores in a layer of twelve heads.
pub fn training_budget(device: Device, input: &InputSpec, keeps_scores: bool) -> usize {
    let on_cpu = device == Device::Cpu;
    let part = if keeps_scores { 4 } else { 1 };
    match input {
        InputSpec::Text { .. } if on_cpu => 8_192 / part,
        InputSpec::Text { .. } => 65_536 / part,
        InputSpec::Image(preprocessing) => images(preprocessing, if on_cpu { 32 } else { 128 }),
    }
}

/// As many images as have the pixels of `count` images of 224 by 224.
fn images(preprocessing: &Preprocessing, count: usize) -> usize {
    let (height, width) = preprocessing.output();
    let pixels = (height as usize * width as usize).max(1);
    (count * 224 * 224 / pixels).clamp(1, 1024)
}
