//! The values that configuration files of image models have in common, and the error for what is not supported.

use serde_json::Value;

use crate::error::{Error, Result};

/// Mean and standard deviation of ImageNet's images, by channel.
pub const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// The part of the resized image's side that a crop shows, where nothing else is said.
pub const CROP_PART: f64 = 0.875;

/// The largest side that is read from a file: a larger one is a mistake.
const LARGEST: u64 = 16_384;

pub fn unsupported(key: &str, message: &str) -> Error {
    Error::request(message).key(key).hint("another model, or other settings in this file, can be used")
}

/// A number of pixels.
pub fn pixels(value: &Value, key: &str) -> Result<u32> {
    match value.as_u64() {
        Some(pixels @ 1..=LARGEST) => Ok(pixels as u32),
        _ => Err(unsupported(key, &format!("{value} is not a number of pixels from 1 to {LARGEST}"))),
    }
}

/// A part of an image's side.
pub fn part_of(value: &Value) -> Result<f64> {
    let part = value.as_f64().filter(|part| (0.05..=2.0).contains(part));
    part.ok_or_else(|| unsupported("crop_pct", &format!("{value} is not a part between 0.05 and 2")))
}

/// A number by channel.
pub fn channels(json: &Value, key: &str) -> Result<[f32; 3]> {
    let values = json.as_array().map(Vec::as_slice).unwrap_or_default();
    let values: Vec<f32> = values.iter().filter_map(Value::as_f64).map(|value| value as f32).collect();
    let values = <[f32; 3]>::try_from(values).ok().filter(|values| values.iter().all(|value| value.is_finite()));
    values.ok_or_else(|| unsupported(key, "is not three numbers"))
}

/// A positive number by channel.
pub fn positive_channels(json: &Value, key: &str) -> Result<[f32; 3]> {
    let values = channels(json, key)?;
    if values.iter().any(|&value| value <= 0.0) {
        return Err(unsupported(key, "is not three numbers above 0"));
    }
    Ok(values)
}

/// A number as it was written: 0.485, not 0.48500001430511475.
pub fn short(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}
