//! How images are brought to what a network was trained on. Which files of a model directory say so is `config_files`'
//! part; what then happens to pixels is [`crate::image::prepare`]'s and the batch's.

use serde::{Deserialize, Serialize};

use crate::image::config_values::{CROP_PART, IMAGENET};

/// How an image is made smaller or larger: PIL's filters of these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The nearest pixel, without any filter.
    Nearest,
    /// A triangle that reaches 1 pixel to either side, and further when the image shrinks, as all that follow.
    Bilinear,
    /// A cubic with `a = -0.5` that reaches 2 pixels.
    Bicubic,
    /// A windowed sinc that reaches 3 pixels.
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
    /// The smallest size in its own proportion that is this high and wide: what timm does for a crop that is not
    /// square.
    Covering {
        /// The smallest height, in pixels.
        height: u32,
        /// The smallest width, in pixels.
        width: u32,
    },
    /// Exactly this, whatever the proportion.
    Exact {
        /// In pixels.
        height: u32,
        /// In pixels.
        width: u32,
    },
    /// The size that it has.
    Unchanged,
}

/// What is done to every image before a network sees it: resized, cropped from the middle, scaled to 0 to 1, and
/// `(x - mean) / std`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// The size before the crop.
    pub resize: Resize,
    /// Height and width of what is cropped, which is what the network sees.
    pub crop: (u32, u32),
    /// The filter of the resizing.
    pub interpolation: Interpolation,
    /// By channel: red, green, blue.
    pub mean: [f32; 3],
    /// By channel, on the scale of 0 to 1 like the mean.
    pub std: [f32; 3],
}

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
}
