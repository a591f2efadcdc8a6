//! Which way up an image is, as its metadata say.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use crate::image::decode::fault::Fault;
use crate::image::pixels::Image;

/// Turns an image the way the camera was held: by the EXIF tag, or XMP's where EXIF says nothing.
pub fn upright(image: Image, exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Result<Image, Fault> {
    let orientation = exif.and_then(Orientation::from_exif_chunk).or_else(|| xmp.and_then(orientation_in_xmp));
    turned(image, orientation)
}

pub fn turned(image: Image, orientation: Option<Orientation>) -> Result<Image, Fault> {
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    if orientation == Orientation::NoTransforms {
        return Ok(image);
    }
    let image = RgbImage::from_raw(image.width, image.height, image.pixels)
        .ok_or_else(|| Fault::Broken("it has too few pixels".to_owned()))?;
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    Ok(Image { height: image.height(), width: image.width(), pixels: image.into_bytes() })
}

/// `tiff:Orientation="6"` or `<tiff:Orientation>6<`.
pub fn orientation_in_xmp(xmp: &[u8]) -> Option<Orientation> {
    let name = b"tiff:Orientation";
    let value = |window: &[u8]| match window {
        [b'=', b'"', digit @ b'0'..=b'9', ..] | [b'>', digit @ b'0'..=b'9', ..] => Some(digit - b'0'),
        _ => None,
    };
    let mut places = xmp.windows(name.len()).enumerate().filter(|(_, window)| window == name);
    places.find_map(|(at, _)| value(xmp.get(at + name.len()..)?)).and_then(Orientation::from_exif)
}
