//! An image in memory, and how large one may be.

/// An image, RGB with 8 bits each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// In pixels, from the top down.
    pub height: u32,
    /// In pixels, from left to right.
    pub width: u32,
    /// `[height, width, 3]`, the last index fastest.
    pub pixels: Vec<u8>,
}

impl Image {
    /// A black image.
    pub fn black(height: u32, width: u32) -> Self {
        Self { height, width, pixels: vec![0; 3 * height as usize * width as usize] }
    }
}

/// What is not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Images with more pixels than this.
    pub pixels: u64,
    /// Images whose decoding takes more memory than this, which depends on their format and depth.
    pub bytes: u64,
}

impl Default for Limits {
    /// As many pixels as PIL decodes before it warns of a decompression bomb, half a gigabyte of RGB; and twice that
    /// memory, which is enough to turn such a picture.
    fn default() -> Self {
        Self { pixels: 178_956_970, bytes: 1 << 30 }
    }
}
