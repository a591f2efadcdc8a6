//! STAND-IN for `Preprocessing::of_directory` and `Preprocessing::to_transformers` of `transform/image`: what a ViT's checkpoint
//! says of its images, and how it is written. Once those are there, [`of`] and [`to_transformers`] are a call each; [`usual`] and
//! [`input_size`] stay.

use serde_json::{Value, json};

use crate::error::Result;
use crate::json;
use crate::model::checkpoint::Checkpoint;
use crate::transform::image::{Interpolation, Preprocessing, Resize};

/// What the checkpoint says, if it does.
pub fn of(checkpoint: &Checkpoint) -> Result<Option<Preprocessing>> {
    let file = checkpoint.directory.join("preprocessor_config.json");
    if let Some(given) = json::read(&file)? {
        let shortest = given.get("size").and_then(|size| size.get("shortest_edge")?.as_u64());
        let size = given.get(if shortest.is_some() { "crop_size" } else { "size" });
        let side = |key: &str| size.and_then(|size| size.get(key).unwrap_or(size).as_i64());
        let (Some(height), Some(width)) = (side("height"), side("width")) else { return Ok(None) };
        let plain = usual([height, width]);
        return Ok(Some(Preprocessing {
            resize: shortest.map_or(plain.resize, |side| Resize::Shortest(side.clamp(1, 1 << 20) as u32)),
            mean: three(&given, "image_mean").unwrap_or(plain.mean),
            deviation: three(&given, "image_std").unwrap_or(plain.deviation),
            interpolation: match given.get("resample").and_then(Value::as_i64) {
                Some(0) => Interpolation::Nearest,
                Some(1) => Interpolation::Lanczos,
                Some(3) => Interpolation::Bicubic,
                _ => Interpolation::Bilinear,
            },
            ..plain
        }));
    }
    let Some(size) = input_size(&checkpoint.config) else { return Ok(None) };
    let Some(given) = checkpoint.config.get("pretrained_cfg") else { return Ok(Some(usual(size))) };
    let plain = usual(size);
    let share = given.get("crop_pct").and_then(Value::as_f64).filter(|share| *share > 0.0 && *share <= 1.0);
    let shortest = f64::from(plain.crop.0.min(plain.crop.1)) / share.unwrap_or(0.9);
    Ok(Some(Preprocessing {
        resize: Resize::Shortest(shortest.floor() as u32),
        interpolation: Interpolation::Bicubic,
        mean: three(given, "mean").unwrap_or(plain.mean),
        deviation: three(given, "std").unwrap_or(plain.deviation),
        ..plain
    }))
}

fn three(given: &Value, key: &str) -> Option<[f32; 3]> {
    let values: Option<Vec<f32>> =
        given.get(key)?.as_array()?.iter().map(|value| Some(value.as_f64()? as f32)).collect();
    values?.try_into().ok()
}

/// Height and width of the images that a timm model of this `config.json` sees.
pub fn input_size(config: &Value) -> Option<[i64; 2]> {
    if let Some(size) = config.get("model_args").and_then(|arguments| arguments.get("img_size")) {
        let side = |index: usize| size.get(index).unwrap_or(size).as_i64();
        return Some([side(0)?, side(1)?]);
    }
    let size = config.get("pretrained_cfg")?.get("input_size")?;
    Some([size.get(1)?.as_i64()?, size.get(2)?.as_i64()?])
}

/// The family's own for images of this height and width, as transformers' `ViTImageProcessor` has it.
pub fn usual(size: [i64; 2]) -> Preprocessing {
    let [height, width] = size.map(|side| side.clamp(1, 1 << 20) as u32);
    Preprocessing {
        resize: Resize::Exact { height, width },
        crop: (height, width),
        interpolation: Interpolation::Bilinear,
        mean: [0.5; 3],
        deviation: [0.5; 3],
    }
}

/// As `preprocessor_config.json` states it.
pub fn to_transformers(preprocessing: &Preprocessing) -> Value {
    let Preprocessing { resize, crop: (height, width), interpolation, mean, deviation } = preprocessing;
    let resample = match interpolation {
        Interpolation::Nearest => 0,
        Interpolation::Lanczos => 1,
        Interpolation::Bilinear => 2,
        Interpolation::Bicubic => 3,
    };
    let mut stated = json!({
        "image_processor_type": "ViTImageProcessor",
        "do_resize": true,
        "size": { "height": height, "width": width },
        "resample": resample,
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": mean,
        "image_std": deviation,
    });
    if let (Resize::Shortest(side), Value::Object(stated)) = (resize, &mut stated) {
        stated.insert("size".to_owned(), json!({ "shortest_edge": side }));
        stated.insert("do_center_crop".to_owned(), json!(true));
        stated.insert("crop_size".to_owned(), json!({ "height": height, "width": width }));
    }
    stated
}
