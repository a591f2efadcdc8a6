//! Copies of images, written into the page itself: a small one to look through many, a larger one to look at.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use crate::image::{Image, Interpolation, Limits, Preprocessing, Resize, decode, prepare};

/// The longer side of a small copy, in pixels, and JPEG's quality.
const SMALL: (u32, u8) = (176, 78);
/// The same of a large one. A page holds up to a hundred of them, and is to stay a file that can be sent.
const LARGE: (u32, u8) = (512, 72);

/// Two copies of an image, each as a `data:` address.
pub struct Copies {
    pub small: String,
    pub large: String,
}

/// `None` when the image cannot be read (any more).
pub fn copies(file: &Path) -> Option<Copies> {
    let image = decode(file, &Limits::default()).ok()?;
    let small = copy(&image, SMALL)?;
    let is_small = image.height.max(image.width) <= SMALL.0;
    Some(Copies { large: if is_small { small.clone() } else { copy(&image, LARGE)? }, small })
}

/// What a network sees of an image, as a `data:` address: `preprocessing` says which part. `None` when it cannot be
/// read.
pub fn as_seen(file: &Path, preprocessing: &Preprocessing) -> Option<String> {
    let image = decode(file, &Limits::default()).ok()?;
    let (height, width) = preprocessing.crop;
    let plain = Preprocessing { mean: [0.0; 3], std: [1.0; 3], ..*preprocessing };
    encoded(&prepare(&image, &plain).ok()?, [height, width], LARGE.1)
}

fn copy(image: &Image, (side, quality): (u32, u8)) -> Option<String> {
    let longest = image.height.max(image.width).max(1);
    let scaled = |length: u32| {
        if longest > side { (u64::from(length) * u64::from(side) / u64::from(longest)).max(1) as u32 } else { length }
    };
    let (height, width) = (scaled(image.height), scaled(image.width));
    let preprocessing = Preprocessing {
        resize: Resize::Exact { height, width },
        crop: (height, width),
        interpolation: Interpolation::Bilinear,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    encoded(&prepare(image, &preprocessing).ok()?, [height, width], quality)
}

fn encoded(pixels: &[u8], [height, width]: [u32; 2], quality: u8) -> Option<String> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode(pixels, width, height, ExtendedColorType::Rgb8).ok()?;
    Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes)))
}
