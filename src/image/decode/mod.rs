//! From the bytes of an image file to RGB: what Python's PIL gives with
//! `ImageOps.exif_transpose(Image.open(file)).convert("RGB")`.
//!
//! In the cases that are not obvious: transparency is dropped, not blended; of an animation the first frame counts;
//! CMYK is converted without a colour profile, and profiles are not applied to anything; of RGB with 16 bits the upper
//! 8 are kept. Grey with more than 8 bits and grey floats are clipped to 0 to 255, not scaled, so that a picture which
//! uses all 16 bits becomes nearly white, for PIL and thus for the networks that were trained with it: scale such
//! pictures to 8 bits beforehand. Pixels of lossless formats are bit-identical to PIL's; those of JPEG and lossy WebP,
//! which leave rounding to the decoder, are not.
//!
//! What an image takes in memory is known from its header, and refused there where it is too much (`room.rs`).
//!
//! Resizing is [`crate::image::prepare`]'s.

mod fault;
mod gif;
mod jpeg;
mod orientation;
mod room;
mod samples;
mod standard;
mod tiff;

use std::path::Path;

use crate::error::{Error, Result, caught};
use crate::image::decode::fault::{Fault, ImageFormat};
use crate::image::decode::room::Room;
use crate::image::pixels::{Image, Limits};

/// Decodes an image file: JPEG, PNG, WebP, BMP, GIF or TIFF, by its content, whatever its name ends in.
///
/// # Errors
/// The file cannot be read, is not an image of these formats, is damaged or cut short, or is larger than `limits`
/// allow.
pub fn decode(file: &Path, limits: &Limits) -> Result<Image> {
    decode_for(file, limits, Ok)
}

/// Does `work` with a decoded image. Until it has ended, no other thread decodes large images for which the memory does
/// not suffice.
///
/// # Errors
/// As [`decode`], and those of `work`.
pub fn decode_for<T>(file: &Path, limits: &Limits, work: impl FnOnce(Image) -> Result<T>) -> Result<T> {
    let bytes = std::fs::read(file).map_err(|error| Error::io(error, file))?;
    decode_bytes_for(&bytes, limits, work).map_err(|error| error.file(file))
}

/// Decodes the content of an image file, like [`decode`].
pub fn decode_bytes(bytes: &[u8], limits: &Limits) -> Result<Image> {
    decode_bytes_for(bytes, limits, Ok)
}

/// Does `work` with what the content of an image file is decoded to, like [`decode_for`].
pub fn decode_bytes_for<T>(bytes: &[u8], limits: &Limits, work: impl FnOnce(Image) -> Result<T>) -> Result<T> {
    let format = ImageFormat::of(bytes)?;
    let mut room = Room::new(limits);
    // zune-jpeg's authors allow for panics on broken files, and a panic of any decoder must not end a run of a million
    // images.
    let decoded = caught(|| match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, &mut room),
        ImageFormat::Png => standard::png(bytes, &mut room),
        ImageFormat::WebP => standard::webp(bytes, &mut room),
        ImageFormat::Bmp => standard::bmp(bytes, &mut room),
        ImageFormat::Gif => gif::decode(bytes, &mut room),
        ImageFormat::Tiff => tiff::decode(bytes, &mut room),
    });
    let image = decoded.unwrap_or_else(|_| Err(Fault::Broken("its decoder failed".to_owned())));
    work(image.map_err(|fault| fault.error(format))?)
}
