//! From an image file to the pixels that a backbone expects.

mod files;

pub use self::files::ImageTransform;

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

// --- stand-ins until the transforms are there ---
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub height: u32,
    pub width: u32,
    pub pixels: Vec<u8>,
}
#[derive(Debug, Clone, Default)]
pub struct Limits;
#[derive(Debug, Clone, PartialEq)]
pub struct Augmentation;
use crate::error::Result;
use crate::random::Random;
impl Augmentation {
    pub fn light() -> Self {
        Self
    }
    pub fn standard() -> Self {
        Self
    }
    pub fn strong() -> Self {
        Self
    }
}
pub fn decode(_: &std::path::Path, _: &Limits) -> Result<Image> {
    unimplemented!()
}
pub fn decode_bytes(_: &[u8], _: &Limits) -> Result<Image> {
    unimplemented!()
}
pub fn prepare(_: &Image, _: &Preprocessing) -> Result<Vec<u8>> {
    unimplemented!()
}
pub fn augment(_: &Image, _: &Preprocessing, _: &Augmentation, _: &mut Random) -> Result<Vec<u8>> {
    unimplemented!()
}
impl Preprocessing {
    pub fn output(&self) -> (u32, u32) {
        self.crop
    }
}
