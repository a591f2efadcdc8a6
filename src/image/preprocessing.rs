//! How images are brought to what a network was trained on, and the files of a model directory that say so: transformers'
//! preprocessor_config.json and timm's config.json. What then happens to pixels is [`crate::image::prepare`]'s and the batch's.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::json;

/// How an image is made smaller or larger: PIL's filters of these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    Nearest,
    Bilinear,
    Bicubic,
    Lanczos,
}

/// The size that an image is brought to before it is cropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// The shorter side becomes this, the other one keeps the proportion.
    Shortest(u32),
    /// The longer side becomes this, the other one keeps the proportion.
    Longest(u32),
    /// The smallest size in its own proportion that is this high and wide: what timm does for a crop that is not square.
    Covering { height: u32, width: u32 },
    /// Exactly this, whatever the proportion.
    Exact { height: u32, width: u32 },
    /// The size that it has.
    Unchanged,
}

/// What is done to every image before a network sees it: resized, cropped from the middle, scaled to 0 to 1, and
/// `(x - mean) / std`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    pub resize: Resize,
    /// Height and width of what is cropped, which is what the network sees.
    pub crop: (u32, u32),
    pub interpolation: Interpolation,
    /// By channel: red, green, blue.
    pub mean: [f32; 3],
    pub std: [f32; 3],
}

const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
const HALF: ([f32; 3], [f32; 3]) = ([0.5; 3], [0.5; 3]);

/// The part of the resized image's side that a crop shows, where nothing else is said.
const CROP_PART: f64 = 0.875;

/// The largest side that is read from a file: beyond it is a mistake.
const LARGEST: u64 = 16_384;

impl Preprocessing {
    /// What ImageNet's models are usually evaluated with: `size` pixels from the middle of 8/7 as many.
    pub fn imagenet(size: u32) -> Self {
        let (mean, std) = IMAGENET;
        let resize = Resize::Shortest((f64::from(size) / CROP_PART) as u32);
        Self { resize, crop: (size, size), interpolation: Interpolation::Bilinear, mean, std }
    }

    /// Height and width of what the network sees.
    pub fn output(&self) -> (u32, u32) {
        self.crop
    }

    /// The same at another size; of the shorter side as large a part as before is seen.
    pub fn at_size(&self, side: u32) -> Self {
        let (height, width) = self.crop;
        let resize = match self.resize {
            Resize::Shortest(shortest) => {
                let share = f64::from(shortest) / f64::from(height.min(width).max(1));
                Resize::Shortest((f64::from(side) * share).round() as u32)
            }
            Resize::Longest(longest) => {
                let share = f64::from(longest) / f64::from(height.min(width).max(1));
                Resize::Longest((f64::from(side) * share).round() as u32)
            }
            Resize::Covering { height, .. } => {
                let share = f64::from(height) / f64::from(self.crop.0.max(1));
                Resize::Shortest((f64::from(side) * share).round() as u32)
            }
            Resize::Exact { .. } => Resize::Exact { height: side, width: side },
            Resize::Unchanged => Resize::Unchanged,
        };
        Self { resize, crop: (side, side), ..*self }
    }

    /// What a model directory says: its preprocessor_config.json, else its config.json where that is timm's, else nothing.
    ///
    /// # Errors
    /// A file cannot be read, is no JSON, or wants what is not done here; with the file and the key.
    pub fn of_directory(directory: &Path) -> Result<Option<Self>> {
        let transformers = directory.join("preprocessor_config.json");
        if let Some(config) = read(&transformers)? {
            return Self::from_transformers(&config).map(Some).map_err(|error| error.file(transformers));
        }
        let timm = directory.join("config.json");
        match read(&timm)? {
            Some(config) => Self::from_timm(&config).map_err(|error| error.file(timm)),
            None => Ok(None),
        }
    }

    /// A preprocessor_config.json of transformers, whose image processors differ in what absent keys mean.
    fn from_transformers(config: &Map<String, Value>) -> Result<Self> {
        let defaults = Processor::of(config);
        let flag = |key: &str, default: bool| config.get(key).and_then(Value::as_bool).unwrap_or(default);
        for key in ["do_flip_channel_order", "do_pad", "do_split_image", "do_image_splitting"] {
            if flag(key, false) {
                return Err(unsupported(key, "is not done to images here"));
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
                        "is none of 0 (nearest), 1 (Lanczos), 2 (bilinear), 3 (bicubic)",
                    ));
                }
            },
            _ => defaults.interpolation,
        };
        let (mean, std) = normalisation(config, &defaults)?;
        Ok(Self { resize, crop, interpolation, mean, std })
    }

    /// timm's config.json, with its settings in `pretrained_cfg` or, of older versions, at the top; nothing if it is another's.
    fn from_timm(config: &Map<String, Value>) -> Result<Option<Self>> {
        let settings = match config.get("pretrained_cfg").and_then(Value::as_object) {
            Some(settings) => settings,
            None if config.get("input_size").is_some_and(Value::is_array) => config,
            None => return Ok(None),
        };
        let given = |key: &str| settings.get(key).filter(|value| !value.is_null());
        // What the network was made with wins over what its kind is usually made with.
        let made_with = config.get("model_args").and_then(|arguments| arguments.get("img_size"));
        let crop = match (made_with, given("input_size").map(Value::as_array)) {
            (Some(size), _) => {
                let side = |index: usize| pixels(size.get(index).unwrap_or(size), "img_size");
                (side(0)?, side(1)?)
            }
            (None, None) => (224, 224),
            (None, Some(size)) => match size.map(Vec::as_slice) {
                Some([channels, height, width]) if channels.as_u64() == Some(3) => {
                    (pixels(height, "input_size")?, pixels(width, "input_size")?)
                }
                _ => return Err(unsupported("input_size", "is not [3, height, width]")),
            },
        };
        let part = given("crop_pct").map_or(Ok(CROP_PART), part_of)?;
        let scaled = |side: u32| ((f64::from(side) / part).floor() as u32).max(1);
        let resize = match given("crop_mode").map(|mode| mode.as_str().unwrap_or("?")) {
            Some("squash") => Resize::Exact { height: scaled(crop.0), width: scaled(crop.1) },
            mode @ (None | Some("center" | "border")) if crop.0 == crop.1 => match mode {
                Some("border") => Resize::Longest(scaled(crop.0)),
                _ => Resize::Shortest(scaled(crop.0)),
            },
            None | Some("center") => Resize::Covering { height: scaled(crop.0), width: scaled(crop.1) },
            Some("border") => return Err(unsupported("input_size", "is not square, which crop_mode border wants")),
            _ => return Err(unsupported("crop_mode", "is none of center, squash and border")),
        };
        let interpolation = match given("interpolation").map(|name| name.as_str().unwrap_or("?")) {
            Some("nearest") => Interpolation::Nearest,
            Some("bilinear" | "random") => Interpolation::Bilinear,
            None | Some("bicubic" | "") => Interpolation::Bicubic,
            Some("lanczos") => Interpolation::Lanczos,
            _ => return Err(unsupported("interpolation", "is none of nearest, bilinear, bicubic, lanczos")),
        };
        let mean = given("mean").map_or(Ok(IMAGENET.0), |value| channels(value, "mean"))?;
        let std = given("std").map_or(Ok(IMAGENET.1), |value| positive_channels(value, "std"))?;
        Ok(Some(Self { resize, crop, interpolation, mean, std }))
    }

    /// The keys of timm's `pretrained_cfg`. Read again they give the same settings, unless timm has no word for them (a crop
    /// of an image that is not resized, one that is not square): then the nearest that it has.
    pub fn to_timm(&self) -> Map<String, Value> {
        let (height, width) = self.crop;
        let (mode, scaled) = match self.resize {
            Resize::Shortest(size) => ("center", (size, size)),
            Resize::Longest(size) => ("border", (size, size)),
            Resize::Covering { height, width } => ("center", (height, width)),
            Resize::Exact { height, width } => ("squash", (height, width)),
            Resize::Unchanged => ("center", (height, width)),
        };
        let interpolation = match self.interpolation {
            Interpolation::Nearest => "nearest",
            Interpolation::Bilinear => "bilinear",
            Interpolation::Bicubic => "bicubic",
            Interpolation::Lanczos => "lanczos",
        };
        let settings = json!({
            "input_size": [3, height, width],
            "interpolation": interpolation,
            "crop_pct": crop_part((height, scaled.0), (width, scaled.1)),
            "crop_mode": mode,
            "mean": self.mean.map(short),
            "std": self.std.map(short),
        });
        match settings {
            Value::Object(settings) => settings,
            _ => Map::new(),
        }
    }

    /// A preprocessor_config.json that gives the same settings when it is read, here and by transformers (whose border
    /// around an image that is smaller than the crop is always black, and which has no word for [`Resize::Covering`]: such images
    /// are squashed).
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

/// The object in a JSON file; nothing if there is no such file.
fn read(file: &Path) -> Result<Option<Map<String, Value>>> {
    match json::read(file)? {
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Error::request("must be a JSON object").file(file).hint(json::COMPLETE)),
        None => Ok(None),
    }
}

fn unsupported(key: &str, message: &str) -> Error {
    Error::request(message).key(key).hint("another model, or other settings in this file, can be used")
}

fn pixels(value: &Value, key: &str) -> Result<u32> {
    match value.as_u64() {
        Some(pixels @ 1..=LARGEST) => Ok(pixels as u32),
        _ => Err(unsupported(key, &format!("{value} is not a number of pixels from 1 to {LARGEST}"))),
    }
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
        (Some(_), Some(_)) => return Err(unsupported(key, "bounds both sides, which is not done here")),
        _ => {}
    }
    if value.is_object() && !(value.get("height").is_some() && value.get("width").is_some()) {
        return Err(unsupported(key, "has neither height and width nor shortest_edge"));
    }
    let (height, width) = height_and_width(value, key)?;
    Ok(if value.is_object() || square { Resize::Exact { height, width } } else { Resize::Shortest(height) })
}

fn part_of(value: &Value) -> Result<f64> {
    let part = value.as_f64().filter(|part| (0.05..=2.0).contains(part));
    part.ok_or_else(|| unsupported("crop_pct", &format!("{value} is not a part between 0.05 and 2")))
}

fn channels(value: &Value, key: &str) -> Result<[f32; 3]> {
    let numbers = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let numbers: Vec<f32> = numbers.iter().filter_map(Value::as_f64).map(|number| number as f32).collect();
    let numbers = <[f32; 3]>::try_from(numbers).ok().filter(|numbers| numbers.iter().all(|number| number.is_finite()));
    numbers.ok_or_else(|| unsupported(key, "is not three numbers"))
}

fn positive_channels(value: &Value, key: &str) -> Result<[f32; 3]> {
    let numbers = channels(value, key)?;
    if numbers.iter().any(|&number| number <= 0.0) {
        return Err(unsupported(key, "is not three numbers above 0"));
    }
    Ok(numbers)
}

/// A number as it was written: 0.485, not 0.48500001430511475.
fn short(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// The part that makes timm compute these sizes from these crops, `floor(crop / part)`; the roundest there is.
fn crop_part(rows: (u32, u32), columns: (u32, u32)) -> f64 {
    let (crop, size) = (f64::from(rows.0), f64::from(rows.1));
    let exact = crop / size;
    let gives = |&part: &f64| {
        let of = |(crop, size): (u32, u32)| (f64::from(crop) / part).floor() == f64::from(size);
        of(rows) && of(columns)
    };
    let rounded = [1e2, 1e3, 1e4].map(|digits| (exact * digits).round() / digits);
    let nudged = [exact, crop / (size + 0.5), f64::from(columns.0) / (f64::from(columns.1) + 0.5)];
    rounded.into_iter().chain(nudged).find(gives).unwrap_or(exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_file(name: &str, content: &Value) -> Result<Option<Preprocessing>> {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join(name), content.to_string()).expect("written");
        Preprocessing::of_directory(directory.path())
    }

    fn transformers(content: Value) -> Preprocessing {
        of_file("preprocessor_config.json", &content).expect("read").expect("settings")
    }

    fn timm(content: Value) -> Preprocessing {
        of_file("config.json", &content).expect("read").expect("settings")
    }

    #[test]
    fn processors_of_transformers() {
        // google/vit-base-patch16-224, of before size was an object.
        let vit = transformers(json!({
            "do_normalize": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": 224,
        }));
        assert_eq!(vit.resize, Resize::Exact { height: 224, width: 224 });
        assert_eq!((vit.crop, vit.interpolation, vit.mean), ((224, 224), Interpolation::Bilinear, [0.5; 3]));
        // microsoft/resnet-50.
        let resnet = transformers(json!({
            "crop_pct": 0.875, "do_normalize": true, "do_resize": true, "feature_extractor_type": "ConvNextFeatureExtractor",
            "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 224,
        }));
        let bicubic = Preprocessing { interpolation: Interpolation::Bicubic, ..Preprocessing::imagenet(224) };
        assert_eq!(resnet, bicubic);
        // facebook/convnext-base-384 squashes.
        let convnext = transformers(json!({
            "image_processor_type": "ConvNextImageProcessor", "size": { "shortest_edge": 384 }, "crop_pct": 1.0,
        }));
        assert_eq!(convnext.resize, Resize::Exact { height: 384, width: 384 });
        assert_eq!(convnext.crop, (384, 384));
        // facebook/dinov2-base says everything.
        let dino = transformers(json!({
            "crop_size": { "height": 224, "width": 224 }, "do_center_crop": true, "image_processor_type": "BitImageProcessor",
            "size": { "shortest_edge": 256 }, "rescale_factor": 0.00392156862745098,
        }));
        assert_eq!((dino.resize, dino.crop), (Resize::Shortest(256), (224, 224)));
    }

    #[test]
    fn other_scales_become_part_of_the_normalisation() {
        let of = |more: Value| {
            let mut config = json!({ "size": 32, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5] });
            config.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
            let preprocessing = transformers(config);
            // Of a pixel of 51: (0.2 - mean) / std.
            (0.2 - preprocessing.mean[0]) / preprocessing.std[0]
        };
        let near = |value: f32, expected: f32| assert!((value - expected).abs() < 1e-4, "{value} {expected}");
        near(of(json!({})), (0.2 - 0.5) / 0.5);
        near(of(json!({ "do_normalize": false })), 0.2);
        near(of(json!({ "do_rescale": false })), (51.0 - 0.5) / 0.5);
        near(of(json!({ "rescale_factor": 1.0 / 127.5 })), (0.4 - 0.5) / 0.5);
        near(of(json!({ "rescale_factor": 1.0 / 127.5, "rescale_offset": true })), (0.4 - 1.0 - 0.5) / 0.5);
    }

    #[test]
    fn configurations_of_timm() {
        let settings = json!({
            "input_size": [3, 224, 224], "fixed_input_size": false, "interpolation": "bicubic", "crop_pct": 0.95,
            "crop_mode": "center", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
        });
        let nested = timm(json!({ "architecture": "resnet18", "pretrained_cfg": settings }));
        assert_eq!((nested.resize, nested.crop), (Resize::Shortest(235), (224, 224)));
        assert_eq!(nested, timm(settings.clone()));
        let with = |key: &str, value: Value| {
            let mut settings = settings.clone();
            settings[key] = value;
            timm(json!({ "pretrained_cfg": settings }))
        };
        assert_eq!(with("crop_mode", json!("squash")).resize, Resize::Exact { height: 235, width: 235 });
        assert_eq!(with("crop_mode", json!("border")).resize, Resize::Longest(235));
        assert_eq!(with("input_size", json!([3, 128, 160])).resize, Resize::Covering { height: 134, width: 168 });
        let sized = timm(json!({ "pretrained_cfg": settings, "model_args": { "img_size": 48 } }));
        assert_eq!(sized.crop, (48, 48));
        assert_eq!(with("interpolation", json!("bilinear")).interpolation, Interpolation::Bilinear);
        assert_eq!(
            timm(json!({ "pretrained_cfg": {} })),
            Preprocessing { interpolation: Interpolation::Bicubic, ..Preprocessing::imagenet(224) }
        );
        assert!(of_file("config.json", &json!({ "model_type": "bert" })).expect("read").is_none());
        assert!(Preprocessing::of_directory(Path::new("/no/such/directory")).expect("read").is_none());
    }

    #[test]
    fn what_is_not_done_is_refused_with_its_key() {
        for (name, config, key) in [
            ("preprocessor_config.json", json!({ "size": { "shortest_edge": 224 } }), "do_center_crop"),
            ("preprocessor_config.json", json!({ "size": { "longest_edge": 9, "shortest_edge": 3 } }), "size"),
            ("preprocessor_config.json", json!({ "size": 0 }), "size"),
            ("preprocessor_config.json", json!({ "size": -3 }), "size"),
            ("preprocessor_config.json", json!({ "size": 1e9 }), "size"),
            ("preprocessor_config.json", json!({ "size": [224] }), "size"),
            ("preprocessor_config.json", json!({ "size": {} }), "size"),
            ("preprocessor_config.json", json!({ "resample": 9 }), "resample"),
            ("preprocessor_config.json", json!({ "image_std": [0, 1, 1] }), "image_std"),
            ("preprocessor_config.json", json!({ "image_mean": [1] }), "image_mean"),
            ("preprocessor_config.json", json!({ "rescale_factor": "x" }), "rescale_factor"),
            ("preprocessor_config.json", json!({ "do_pad": true }), "do_pad"),
            ("preprocessor_config.json", json!({ "do_flip_channel_order": true }), "do_flip_channel_order"),
            ("config.json", json!({ "input_size": [1, 28, 28] }), "input_size"),
            ("config.json", json!({ "input_size": [3, 28, 56], "crop_mode": "border" }), "input_size"),
            ("config.json", json!({ "input_size": [3, 28, 28], "crop_pct": 0 }), "crop_pct"),
            ("config.json", json!({ "input_size": [3, 28, 28], "crop_mode": "tile" }), "crop_mode"),
            ("config.json", json!({ "input_size": [3, 28, 28], "interpolation": 3 }), "interpolation"),
        ] {
            let error = of_file(name, &config).expect_err("refused");
            let text = error.to_string();
            assert!(text.contains(name) && text.contains(&format!("`{key}`")), "{config}: {text}");
        }
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("preprocessor_config.json"), "{").expect("written");
        assert!(Preprocessing::of_directory(directory.path()).is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let exact = |height, width| Resize::Exact { height, width };
        let imagenet = Preprocessing::imagenet(224);
        for (resize, crop) in [
            (Resize::Shortest(256), (224, 224)),
            (Resize::Shortest(235), (224, 224)),
            (Resize::Shortest(224), (224, 224)),
            (Resize::Shortest(200), (224, 224)),
            (Resize::Shortest(331), (299, 299)),
            (Resize::Longest(230), (224, 224)),
            (exact(224, 224), (224, 224)),
            (exact(256, 256), (224, 224)),
            (exact(48, 96), (48, 96)),
        ] {
            for interpolation in
                [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Lanczos]
            {
                let preprocessing = Preprocessing { resize, crop, interpolation, ..imagenet };
                assert_eq!(timm(json!({ "pretrained_cfg": preprocessing.to_timm() })), preprocessing);
                assert_eq!(transformers(preprocessing.to_transformers()), preprocessing);
            }
        }
        let unchanged = Preprocessing { resize: Resize::Unchanged, crop: (32, 40), ..imagenet };
        let unequal = Preprocessing { crop: (100, 224), ..imagenet };
        for preprocessing in [imagenet, unchanged, unequal] {
            assert_eq!(transformers(preprocessing.to_transformers()), preprocessing);
            let text = serde_json::to_string(&preprocessing).expect("written");
            assert_eq!(serde_json::from_str::<Preprocessing>(&text).expect("read"), preprocessing);
        }
        assert_eq!(imagenet.to_timm()["mean"].to_string(), "[0.485,0.456,0.406]");
        assert_eq!(imagenet.to_timm()["crop_pct"], json!(0.875));
        // Every size that timm's own configurations may have led to.
        for crop in [32u32, 96, 112, 160, 192, 224, 240, 256, 288, 299, 336, 384, 448, 518] {
            for size in crop..=2 * crop {
                let preprocessing = Preprocessing { resize: Resize::Shortest(size), crop: (crop, crop), ..imagenet };
                let settings = preprocessing.to_timm();
                assert_eq!(Preprocessing::from_timm(&settings).expect("read"), Some(preprocessing), "{settings:?}");
            }
        }
    }
}
