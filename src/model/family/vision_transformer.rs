//! What the families have in common whose networks are a Vision Transformer: sizes of images and patches, the encoder
//! that follows from them, and the files that are written. What a family calls its settings is told in its own file.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::interface::SavedModel;
use super::transformers::{labelled_config, mean_pooled_type};
use crate::error::{Error, Result};
use crate::image::{Interpolation, Preprocessing, Resize};
use crate::model::activation::Activation;
use crate::model::encoder::{
    AttentionOptions, ConfigKeys, EmbeddingsConfig, EncoderConfig, FeedForwardOptions, LayerKind, NormPlacement,
    grid_of, impossible_size,
};
use crate::model::layers::NormKind;
use crate::model::pass::Pooling;
use crate::model::request::InputSpec;

/// One number for both directions, or rows and columns.
#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
pub enum Extent {
    Square(i64),
    Rectangle([i64; 2]),
}

impl Extent {
    /// Rows, columns.
    pub fn both(self) -> [i64; 2] {
        match self {
            Self::Square(side) => [side; 2],
            Self::Rectangle(both) => both,
        }
    }
}

/// A family's settings, from the object `config` of the file that messages call `file`.
///
/// # Errors
/// A mistyped setting.
pub fn settings<T: DeserializeOwned>(config: &Value, file: &Path, hint: &'static str) -> Result<T> {
    serde_path_to_error::deserialize(config)
        .map_err(|error| Error::request(error.inner().to_string()).file(file).key(error.path().to_string()).hint(hint))
}

/// The settings of a Vision Transformer, whatever its family calls them.
pub struct VisionSettings {
    pub family: &'static str,
    pub image: Extent,
    pub patch: Extent,
    pub channels: i64,
    pub width: i64,
    pub layers: i64,
    pub heads: i64,
    pub qkv_bias: bool,
    pub inner: i64,
    pub activation: Activation,
    pub gated: bool,
    pub epsilon: f64,
    pub hidden_dropout: f64,
    pub attention_dropout: f64,
    /// As in [`EmbeddingsConfig::Patches`], like the next three.
    pub antialias: bool,
    pub registers: i64,
    pub class_position: bool,
    pub projection_bias: bool,
    /// As in [`EncoderConfig`].
    pub pooled_norm: Option<Pooling>,
}

impl VisionSettings {
    /// The encoder, and height and width of the images that its positions are for. The settings come from `file`, where
    /// they are called `keys`.
    ///
    /// # Errors
    /// An impossible setting.
    pub fn encoder(self, file: &Path, keys: &ConfigKeys, hint: &'static str) -> Result<(EncoderConfig, [i64; 2])> {
        let refuse = |key: &str, message: String| Err(Error::request(message).file(file).key(key).hint(hint));
        let (image, patch) = (self.image.both(), self.patch.both());
        let sizes =
            [("image_size", image[0]), ("image_size", image[1]), ("patch_size", patch[0]), ("patch_size", patch[1])];
        if let Some((key, size)) = sizes.into_iter().find(|(_, size)| !(1..=1 << 20).contains(size)) {
            return refuse(key, impossible_size(size));
        }
        if self.channels != 3 {
            let message = format!("{} channels; images have three, red, green and blue", self.channels);
            return refuse("num_channels", message);
        }
        let grid = grid_of(image, patch).map_err(|error| error.file(file).key("image_size"))?;
        let encoder = EncoderConfig {
            family: self.family,
            embeddings: EmbeddingsConfig::Patches {
                patch,
                grid,
                antialias: self.antialias,
                registers: self.registers,
                class_position: self.class_position,
                bias: self.projection_bias,
            },
            width: self.width,
            layers: self.layers as usize,
            layer_kind: LayerKind::Attention,
            attention: AttentionOptions {
                heads: self.heads,
                key_value_heads: self.heads,
                qkv_bias: self.qkv_bias,
                output_bias: true,
                dropout: self.attention_dropout,
                relative: None,
            },
            feed_forward: FeedForwardOptions {
                inner: self.inner,
                activation: self.activation,
                gated: self.gated,
                bias: true,
                output_bias: true,
                drops_inner: false,
            },
            norms: NormPlacement::Before,
            layer_norm_epsilon: self.epsilon,
            norm_kind: NormKind::Layer,
            norm_bias: true,
            pooled_norm: self.pooled_norm,
            skips_first_norm: false,
            rotary: None,
            local: Vec::new(),
            convolution: None,
            windows: Vec::new(),
            hidden_dropout: self.hidden_dropout,
        };
        Ok((encoder.checked(file, keys, hint)?, image))
    }
}

/// How a network was trained whose checkpoint does not say how images are prepared: cropped to this height and width
/// after a bicubic resize of the shorter side to `shortest`.
pub fn cropped(size: [i64; 2], shortest: i64, [mean, std]: [[f32; 3]; 2]) -> Preprocessing {
    let [height, width, shortest] = [size[0], size[1], shortest].map(|side| side.clamp(1, 1 << 20) as u32);
    let resize = Resize::Shortest(shortest);
    Preprocessing { resize, crop: (height, width), interpolation: Interpolation::Bicubic, mean, std }
}

/// The `config.json` of a saved model, with its labels, and `preprocessor_config.json` beside it. The images' size is
/// a setting of `config.json`, or of its object `part`.
pub fn saved(model: &SavedModel, part: Option<&str>) -> (Map<String, Value>, Vec<(String, String)>) {
    let mut map = labelled_config(model);
    let mut files = Vec::new();
    if let InputSpec::Image(preprocessing) = model.input {
        let (height, width) = preprocessing.crop;
        let size = if height == width { json!(height) } else { json!([height, width]) };
        let place = match part {
            Some(part) => map.get_mut(part).and_then(Value::as_object_mut),
            None => Some(&mut map),
        };
        if let Some(place) = place {
            place.insert("image_size".into(), size);
        }
        files.push(("preprocessor_config.json".to_owned(), format!("{:#}\n", preprocessing.to_transformers())));
    }
    (map, files)
}

/// How the head of a checkpoint pools: `usual`, or in a model of the family's other type what its `config.json` says.
///
/// # Errors
/// That is missing or no pooling.
pub fn stored_pooling(config: &Value, file: &Path, family: &str, usual: Pooling) -> Result<Pooling> {
    if config.get("model_type").is_none_or(|given| *given != mean_pooled_type(family).as_str()) {
        return Ok(usual);
    }
    let given = config.get("rehead_pooling").cloned().unwrap_or_default();
    serde_json::from_value(given).map_err(|error| {
        Error::request(error.to_string()).file(file).key("rehead_pooling").hint("use the config.json of this model")
    })
}
