//! From an image file to the pixels that a backbone expects.
//!
//! In order: [`decode()`] gives RGB as PIL would, [`prepare`] resizes and crops as torchvision would, [`augment()`] does so with
//! chance in it; [`ImageTransform`] does it for a data set. Normalising is the batch's affair, on its way to the device.

mod augment;
mod decode;
mod files;
mod resize;

pub use self::augment::{Augmentation, augment};
pub use self::decode::{Image, Limits, decode, decode_bytes};
pub use self::files::{ImageTransform, Room};
pub use self::resize::{Area, prepare, resize};

/// How an image is made smaller or larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    Nearest,
    Bilinear,
    Bicubic,
    Lanczos,
}

/// The size that an image is brought to before it is cropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// The shorter side becomes this, the other one keeps the proportion.
    Shortest(u32),
    /// Exactly this, whatever the proportion.
    Exact { height: u32, width: u32 },
}

/// What is done to every image before a network sees it: resized, cropped from the middle, scaled to 0 to 1, and `(x - mean) / deviation`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preprocessing {
    pub resize: Resize,
    /// Height and width of what is cropped, which is what the network sees.
    pub crop: (u32, u32),
    pub interpolation: Interpolation,
    /// By channel: red, green, blue.
    pub mean: [f32; 3],
    pub deviation: [f32; 3],
}

impl Preprocessing {
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
            Resize::Exact { .. } => Resize::Exact { height: side, width: side },
        };
        Self { resize, crop: (side, side), ..*self }
    }
}
