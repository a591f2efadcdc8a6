//! Small copies of images, written into the page itself.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use crate::image::{Interpolation, Limits, Preprocessing, Resize, decode, prepare};

/// The longer side of a thumbnail, in pixels.
const SIDE: u32 = 128;
const QUALITY: u8 = 80;

/// A `data:` address of a small copy of the image; `None` when it cannot be read (any more).
pub fn thumbnail(file: &Path) -> Option<String> {
    let image = decode(file, &Limits::default()).ok()?;
    let longest = image.height.max(image.width).max(1);
    let scaled = |side: u32| if longest > SIDE { (side * SIDE / longest).max(1) } else { side };
    let (height, width) = (scaled(image.height), scaled(image.width));
    let preprocessing = Preprocessing {
        resize: Resize::Exact { height, width },
        crop: (height, width),
        interpolation: Interpolation::Bilinear,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    let pixels = prepare(&image, &preprocessing).ok()?;
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode(&pixels, width, height, ExtendedColorType::Rgb8).ok()?;
    Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes)))
}
