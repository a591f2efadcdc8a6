//! The preprocessing that a checkpoint's configuration states, and how it is written for timm.

use serde_json::{Map, Value, json};

use crate::transform::image::{Interpolation, Preprocessing, Resize};

/// ImageNet's means and deviations, by channel.
const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
/// -1 to 1: what Inception reads.
const HALF: [f32; 3] = [0.5; 3];

/// timm's `pretrained_cfg` in `config`; what it does not say is `size` (height and width), ImageNet's means and deviations
/// (`centred`: Inception's), and a crop of 0.875 of the resized image.
pub fn of_config(config: &Value, size: u32, centred: bool) -> Preprocessing {
    let given = config.get("pretrained_cfg").unwrap_or(config);
    let three = |key: &str| -> Option<[f32; 3]> {
        let values: Vec<f32> = given.get(key)?.as_array()?.iter().filter_map(|v| Some(v.as_f64()? as f32)).collect();
        values.try_into().ok()
    };
    let side =
        |index: usize| given.get("input_size")?.get(index)?.as_u64()?.try_into().ok().filter(|&side: &u32| side > 0);
    let (height, width) = (side(1).unwrap_or(size), side(2).unwrap_or(size));
    let share =
        given.get("crop_pct").and_then(Value::as_f64).filter(|share| *share > 0.0 && *share <= 1.0).unwrap_or(0.875);
    let shortest = (f64::from(height.min(width)) / share).floor() as u32;
    let [mean, deviation] = if centred { [HALF, HALF] } else { IMAGENET };
    // torchvision's Inception takes images normalised as ImageNet's and changes them into -1 to 1 itself.
    let renormalised = config.get("transform_input") == Some(&Value::Bool(true));
    let stated = |key: &str, otherwise: [f32; 3]| if renormalised { HALF } else { three(key).unwrap_or(otherwise) };
    Preprocessing {
        resize: Resize::Shortest(shortest),
        crop: (height, width),
        interpolation: match given.get("interpolation").and_then(Value::as_str) {
            Some("nearest") => Interpolation::Nearest,
            Some("bicubic") => Interpolation::Bicubic,
            Some("lanczos") => Interpolation::Lanczos,
            _ => Interpolation::Bilinear,
        },
        mean: stated("mean", mean),
        deviation: stated("std", deviation),
    }
}

/// Entries of timm's `pretrained_cfg`.
pub fn to_timm(preprocessing: &Preprocessing) -> Map<String, Value> {
    let Preprocessing { resize, crop: (height, width), interpolation, mean, deviation } = preprocessing;
    let (crop, mode) = match resize {
        Resize::Shortest(side) => (f64::from(*height.min(width)) / f64::from((*side).max(1)), "center"),
        Resize::Exact { .. } => (1.0, "squash"),
    };
    let interpolation = match interpolation {
        Interpolation::Nearest => "nearest",
        Interpolation::Bilinear => "bilinear",
        Interpolation::Bicubic => "bicubic",
        Interpolation::Lanczos => "lanczos",
    };
    let plain = |values: &[f32; 3]| values.map(|value| value.to_string().parse::<f64>().unwrap_or(f64::from(value)));
    let Value::Object(map) = json!({
        "input_size": [3, height, width],
        "fixed_input_size": false,
        "interpolation": interpolation,
        "crop_pct": crop,
        "crop_mode": mode,
        "mean": plain(mean),
        "std": plain(deviation),
    }) else {
        return Map::new();
    };
    map
}
