//! From an image file to the pixels that a backbone expects.

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
