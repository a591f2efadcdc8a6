//! timm's config.json as [`Preprocessing`], and back.

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::image::config_values::{
    CROP_PART, IMAGENET, channels, part_of, pixels, positive_channels, short, unsupported,
};
use crate::image::preprocessing::{Interpolation, Preprocessing, Resize};

impl Preprocessing {
    /// timm's config.json, with its settings in `pretrained_cfg` or, of older versions, at the top; nothing if it is
    /// another's.
    pub(super) fn from_timm(config: &Map<String, Value>) -> Result<Option<Self>> {
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
            _ => return Err(unsupported("crop_mode", "is not center, squash or border")),
        };
        let interpolation = match given("interpolation").map(|name| name.as_str().unwrap_or("?")) {
            Some("nearest") => Interpolation::Nearest,
            Some("bilinear" | "random") => Interpolation::Bilinear,
            None | Some("bicubic" | "") => Interpolation::Bicubic,
            Some("lanczos") => Interpolation::Lanczos,
            _ => return Err(unsupported("interpolation", "is not nearest, bilinear, bicubic or lanczos")),
        };
        let mean = given("mean").map_or(Ok(IMAGENET.0), |value| channels(value, "mean"))?;
        let std = given("std").map_or(Ok(IMAGENET.1), |value| positive_channels(value, "std"))?;
        Ok(Some(Self { resize, crop, interpolation, mean, std }))
    }

    /// The keys of timm's `pretrained_cfg`. Read again they give the same settings, unless timm has no word for them (a
    /// crop of an image that is not resized, one that is not square): then the nearest that it has.
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
