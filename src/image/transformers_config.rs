//! transformers' preprocessor_config.json as [`Preprocessing`], and back.

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::image::config_values::{CROP_PART, channels, part_of, pixels, positive_channels, short, unsupported};
use crate::image::preprocessing::{Interpolation, Preprocessing, Resize};

const HALF: ([f32; 3], [f32; 3]) = ([0.5; 3], [0.5; 3]);

impl Preprocessing {
    /// A preprocessor_config.json of transformers, whose image processors differ in what absent keys mean.
    pub(super) fn from_transformers(config: &Map<String, Value>) -> Result<Self> {
        let defaults = Processor::of(config);
        let flag = |key: &str, default: bool| config.get(key).and_then(Value::as_bool).unwrap_or(default);
        for key in ["do_flip_channel_order", "do_pad", "do_split_image", "do_image_splitting"] {
            if flag(key, false) {
                return Err(unsupported(key, "is not supported"));
            }
        }
        let crops = flag("do_center_crop", defaults.crops);
        let crop_size = match config.get("crop_size").filter(|_| crops) {
            Some(value) if !value.is_null() => Some(height_and_width(value, "crop_size")?),
            _ => None,
        };
        let size = match config.get("size") {
            Some(value) if !value.is_null() => size(value, defaults.square)?,
            _ => defaults.size,
        };
        let part = match config.get("crop_pct") {
            Some(part) if !part.is_null() => Some(part_of(part)?),
            _ => defaults.crop_part,
        };
        let (resize, crop) = if !flag("do_resize", true) {
            (Resize::Unchanged, crop_size)
        } else {
            match (size, part) {
                // ConvNeXt's: a crop of the size, or from 384 pixels on all of the image squashed to it.
                (Resize::Shortest(size), Some(part)) if defaults.crops_itself => match size {
                    384.. => (Resize::Exact { height: size, width: size }, Some((size, size))),
                    _ => (Resize::Shortest((f64::from(size) / part) as u32), Some((size, size))),
                },
                (Resize::Shortest(size), Some(part)) => {
                    (Resize::Shortest((f64::from(size) / part) as u32), crop_size.or(crops.then_some((size, size))))
                }
                (Resize::Shortest(size) | Resize::Longest(size), None) => {
                    (resize_of(config, size), crop_size.or(crops.then_some((size, size))))
                }
                (exact @ Resize::Exact { height, width }, _) => (exact, crop_size.or(Some((height, width)))),
                (other, _) => (other, crop_size),
            }
        };
        let crop = crop.ok_or_else(|| {
            unsupported("do_center_crop", "is off, so that images of several proportions would stay of several sizes")
        })?;
        let interpolation = match config.get("resample") {
            Some(number) if !number.is_null() => match number.as_u64() {
                Some(0) => Interpolation::Nearest,
                Some(1) => Interpolation::Lanczos,
                Some(2) => Interpolation::Bilinear,
                Some(3) => Interpolation::Bicubic,
                _ => {
                    return Err(unsupported(
                        "resample",
                        "is not 0 (nearest), 1 (Lanczos), 2 (bilinear) or 3 (bicubic)",
                    ));
                }
            },
            _ => defaults.interpolation,
        };
        let (mean, std) = normalisation(config, &defaults)?;
        Ok(Self { resize, crop, interpolation, mean, std })
    }

    /// A preprocessor_config.json that gives the same settings when it is read, here and by transformers (whose border
    /// around an image that is smaller than the crop is always black, and which has no word for [`Resize::Covering`]:
    /// such images are squashed).
    pub fn to_transformers(&self) -> Value {
        let (height, width) = self.crop;
        let sides = |height: u32, width: u32| json!({ "height": height, "width": width });
        let (size, whole) = match self.resize {
            Resize::Shortest(size) => (json!({ "shortest_edge": size }), false),
            Resize::Longest(size) => (json!({ "longest_edge": size }), false),
            Resize::Exact { height, width } => (sides(height, width), (height, width) == self.crop),
            Resize::Covering { height, width } => (sides(height, width), false),
            Resize::Unchanged => (sides(height, width), false),
        };
        let resample = match self.interpolation {
            Interpolation::Nearest => 0,
            Interpolation::Lanczos => 1,
            Interpolation::Bilinear => 2,
            Interpolation::Bicubic => 3,
        };
        json!({
            "image_processor_type": "ViTImageProcessor",
            "do_convert_rgb": true,
            "do_resize": self.resize != Resize::Unchanged,
            "size": size,
            "resample": resample,
            "do_center_crop": !whole,
            "crop_size": sides(height, width),
            "do_rescale": true,
            "rescale_factor": 1.0 / 255.0,
            "do_normalize": true,
            "image_mean": self.mean.map(short),
            "image_std": self.std.map(short),
        })
    }
}

/// What an image processor of transformers does where its file says nothing.
struct Processor {
    size: Resize,
    /// Whether a size of one number is both sides, not the shorter one.
    square: bool,
    crops: bool,
    interpolation: Interpolation,
    normalisation: ([f32; 3], [f32; 3]),
    crop_part: Option<f64>,
    /// Resizing crops, too.
    crops_itself: bool,
    /// What is normalised is divided by the standard deviation once more (EfficientNet's `include_top`).
    divides_twice: bool,
}

impl Processor {
    fn of(config: &Map<String, Value>) -> Self {
        let name = ["image_processor_type", "feature_extractor_type"].iter().find_map(|&key| config.get(key)?.as_str());
        let name = name.unwrap_or_default().trim_end_matches("Fast");
        let name = name.trim_end_matches("ImageProcessor").trim_end_matches("FeatureExtractor");
        let vit = Self {
            size: Resize::Exact { height: 224, width: 224 },
            square: true,
            crops: false,
            interpolation: Interpolation::Bilinear,
            normalisation: HALF,
            crop_part: None,
            crops_itself: false,
            divides_twice: false,
        };
        match name {
            // Of a ResNet, too.
            "ConvNext" | "ConvNeXT" => Self {
                size: Resize::Shortest(384),
                square: false,
                interpolation: Interpolation::Bicubic,
                crop_part: Some(CROP_PART),
                crops_itself: true,
                ..vit
            },
            "EfficientNet" => Self {
                size: Resize::Exact { height: 346, width: 346 },
                interpolation: Interpolation::Bicubic,
                divides_twice: true,
                ..vit
            },
            // ViT's own, and of those that are not known here: they write what they do into the file.
            _ => vit,
        }
    }
}

/// What `size` says of the longer or the shorter side.
fn resize_of(config: &Map<String, Value>, size: u32) -> Resize {
    match config.get("size").and_then(|value| value.get("longest_edge")) {
        Some(_) => Resize::Longest(size),
        None => Resize::Shortest(size),
    }
}

/// Mean and std of values from 0 to 1, whatever the pixels are multiplied by in the file.
fn normalisation(config: &Map<String, Value>, defaults: &Processor) -> Result<([f32; 3], [f32; 3])> {
    let flag = |key: &str, default: bool| config.get(key).and_then(Value::as_bool).unwrap_or(default);
    let given = |key: &str| config.get(key).filter(|value| !value.is_null());
    let (mut mean, mut std) = ([0.0; 3], [1.0; 3]);
    if flag("do_normalize", true) {
        mean = given("image_mean").map_or(Ok(defaults.normalisation.0), |value| channels(value, "image_mean"))?;
        std = given("image_std").map_or(Ok(defaults.normalisation.1), |value| positive_channels(value, "image_std"))?;
    }
    if flag("include_top", defaults.divides_twice) {
        let again = given("image_std").map_or(Ok(HALF.1), |value| positive_channels(value, "image_std"))?;
        std = [0, 1, 2].map(|channel| std[channel] * again[channel]);
    }
    let factor = match (flag("do_rescale", true), given("rescale_factor")) {
        (false, _) => 255.0,
        (true, None) => 1.0,
        (true, Some(factor)) => match factor.as_f64() {
            Some(factor) if factor.is_finite() && factor > 0.0 => factor * 255.0,
            _ => return Err(unsupported("rescale_factor", "is not a number above 0")),
        },
    };
    if flag("do_rescale", true) && flag("rescale_offset", false) {
        mean = mean.map(|mean| mean + 1.0);
    }
    if (factor - 1.0).abs() > 1e-5 {
        let scaled = |value: f32| (f64::from(value) / factor) as f32;
        (mean, std) = (mean.map(scaled), std.map(scaled));
    }
    Ok((mean, std))
}

fn height_and_width(value: &Value, key: &str) -> Result<(u32, u32)> {
    match (value.get("height"), value.get("width"), value.get("shortest_edge")) {
        (Some(height), Some(width), _) => Ok((pixels(height, key)?, pixels(width, key)?)),
        (_, _, Some(edge)) => pixels(edge, key).map(|edge| (edge, edge)),
        _ => pixels(value, key).map(|side| (side, side)),
    }
}

fn size(value: &Value, square: bool) -> Result<Resize> {
    let key = "size";
    match (value.get("shortest_edge"), value.get("longest_edge")) {
        (Some(shortest), None) => return pixels(shortest, key).map(Resize::Shortest),
        (None, Some(longest)) => return pixels(longest, key).map(Resize::Longest),
        (Some(_), Some(_)) => return Err(unsupported(key, "bounds both sides, which is not supported")),
        _ => {}
    }
    if value.is_object() && !(value.get("height").is_some() && value.get("width").is_some()) {
        return Err(unsupported(key, "has neither height and width nor shortest_edge"));
    }
    let (height, width) = height_and_width(value, key)?;
    Ok(if value.is_object() || square { Resize::Exact { height, width } } else { Resize::Shortest(height) })
}
