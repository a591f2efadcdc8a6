//! PNG, WebP and BMP, through the crate `image`.

use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{ColorType, ImageDecoder};

use crate::image::decode::fault::{Fault, check_size};
use crate::image::decode::orientation::upright;
use crate::image::decode::samples::{from_grey, from_grey_alpha, from_rgb_alpha};
use crate::image::pixels::{Image, Limits};

pub fn png(bytes: &[u8], limits: &Limits) -> Result<Image, Fault> {
    decode(PngDecoder::with_limits(Cursor::new(bytes), buffers(limits)), limits)
}

pub fn webp(bytes: &[u8], limits: &Limits) -> Result<Image, Fault> {
    decode(WebPDecoder::new(Cursor::new(bytes)), limits)
}

pub fn bmp(bytes: &[u8], limits: &Limits) -> Result<Image, Fault> {
    decode(BmpDecoder::new(Cursor::new(bytes)), limits)
}

/// Memory for what a decoder needs of an image that is within the limits.
fn buffers(limits: &Limits) -> image::Limits {
    let mut buffers = image::Limits::no_limits();
    buffers.max_alloc = Some(limits.pixels.saturating_mul(8).saturating_add(64 << 20));
    buffers
}

/// What the crate decodes, as RGB.
fn decode<D: ImageDecoder>(decoder: image::ImageResult<D>, limits: &Limits) -> Result<Image, Fault> {
    let mut decoder = decoder.map_err(Fault::from)?;
    let (width, height) = decoder.dimensions();
    check_size(height, width, limits)?;
    let exif = decoder.exif_metadata().ok().flatten();
    let xmp = decoder.xmp_metadata().ok().flatten();
    let color = decoder.color_type();
    let mut bytes = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
    decoder.read_image(&mut bytes)?;
    let upper = |sample: &[u8; 2]| (u16::from_ne_bytes(*sample) >> 8) as u8;
    let clipped = |sample: &[u8; 2]| u16::from_ne_bytes(*sample).min(255) as u8;
    let two_bytes = |samples: &[u8], byte: &dyn Fn(&[u8; 2]) -> u8| samples.as_chunks().0.iter().map(byte).collect();
    let pixels = match color {
        ColorType::L8 => from_grey(&bytes),
        ColorType::La8 => from_grey_alpha(&bytes),
        ColorType::Rgb8 => bytes,
        ColorType::Rgba8 => from_rgb_alpha(&bytes),
        ColorType::L16 => from_grey(&two_bytes(&bytes, &clipped) as &Vec<u8>),
        ColorType::La16 => from_grey_alpha(&two_bytes(&bytes, &upper) as &Vec<u8>),
        ColorType::Rgb16 => two_bytes(&bytes, &upper),
        ColorType::Rgba16 => from_rgb_alpha(&two_bytes(&bytes, &upper) as &Vec<u8>),
        other => return Err(Fault::Unknown(format!("its pixels are {other:?}"))),
    };
    upright(Image { height, width, pixels }, exif.as_deref(), xmp.as_deref())
}

impl From<image::ImageError> for Fault {
    fn from(error: image::ImageError) -> Self {
        match error {
            image::ImageError::IoError(error) => error.into(),
            image::ImageError::Unsupported(what) => Self::Unknown(what.to_string()),
            other => Self::Broken(other.to_string()),
        }
    }
}
