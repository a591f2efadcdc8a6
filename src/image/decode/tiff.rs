//! TIFF.

use std::io::Cursor;

use image::metadata::Orientation;
use tiff::decoder::DecodingResult;
use tiff::tags::Tag;

use crate::image::decode::fault::Fault;
use crate::image::decode::orientation::{orientation_in_xmp, turned};
use crate::image::decode::room::Room;
use crate::image::decode::samples::{
    from_cmyk, from_grey, from_grey_alpha, from_palette, from_rgb_alpha, interleaved, unpacked,
};
use crate::image::pixels::Image;

impl From<tiff::TiffError> for Fault {
    fn from(error: tiff::TiffError) -> Self {
        match error {
            tiff::TiffError::IoError(error) => error.into(),
            tiff::TiffError::UnsupportedError(what) => Self::Unknown(what.to_string()),
            tiff::TiffError::LimitsExceeded => Self::rows_too_long(),
            other => Self::Broken(other.to_string()),
        }
    }
}

const TIFF_PALETTE: u16 = 3;
const TIFF_BLACK_IS_ZERO: u16 = 1;

pub fn decode(bytes: &[u8], room: &mut Room) -> Result<Image, Fault> {
    use tiff::ColorType;
    let most = room.bytes();
    let open = |bytes| -> Result<_, tiff::TiffError> {
        let mut buffers = tiff::decoder::Limits::default();
        buffers.decoding_buffer_size = most;
        buffers.intermediate_buffer_size = most;
        Ok(tiff::decoder::Decoder::new(Cursor::new(bytes))?.with_limits(buffers))
    };
    let mut decoder = open(bytes)?;
    let (width, height) = decoder.dimensions()?;
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    let xmp = decoder.get_tag_u8_vec(Tag::Unknown(700)).ok();

    // The crate knows no palettes; read as grey, such an image's samples are its indices.
    let mut palette = None;
    let as_grey;
    if decoder.find_tag_unsigned(Tag::PhotometricInterpretation)? == Some(TIFF_PALETTE) {
        let colours = decoder.get_tag_u16_vec(Tag::ColorMap)?;
        let part = |index: usize| colours.get(index).map_or(0, |part| (part >> 8) as u8);
        let entries = colours.len() / 3;
        palette =
            Some((0..entries).map(|at| [0, 1, 2].map(|part_of| part(part_of * entries + at))).collect::<Vec<_>>());
        as_grey = with_interpretation(bytes, TIFF_BLACK_IS_ZERO)
            .ok_or_else(|| Fault::Unknown("a palette in a BigTIFF".to_owned()))?;
        decoder = open(&as_grey)?;
    }

    let color = decoder.colortype()?;
    let channels = usize::from(color.num_samples());
    let stored = channels * usize::from(color.bit_depth()).div_ceil(8);
    // As stored, as bytes, side by side, as RGB; not all at a time.
    let several = usize::from(decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).ok().flatten() == Some(2));
    let bytes_a_pixel = if stored == channels { stored } else { stored + channels };
    let pixels = room.take(height, width, (bytes_a_pixel + several * channels).max(channels.min(4) + 3).max(6))?;
    let mut samples = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut samples)?;
    if samples.as_buffer(0).as_bytes().len() < layout.complete_len {
        return Err(Fault::Unknown("its colour planes are too large".to_owned()));
    }
    let several = layout.planes > 1;
    let samples = match (samples, color) {
        (DecodingResult::U8(packed), ColorType::Gray(bits @ (1 | 2 | 4))) => {
            let scale = if palette.is_some() { 1 } else { 255 / ((1 << bits) - 1) };
            unpacked(&packed, bits, width as usize, scale)
        }
        (DecodingResult::U8(samples), _) => samples,
        (DecodingResult::U16(samples), ColorType::Gray(_)) => {
            samples.iter().map(|&sample| sample.min(255) as u8).collect()
        }
        (DecodingResult::U16(samples), _) => samples.iter().map(|&sample| (sample >> 8) as u8).collect(),
        (DecodingResult::U32(samples), ColorType::Gray(_)) => {
            samples.iter().map(|&sample| sample.min(255) as u8).collect()
        }
        (DecodingResult::I16(samples), ColorType::Gray(_)) => {
            samples.iter().map(|&sample| sample.clamp(0, 255) as u8).collect()
        }
        (DecodingResult::I32(samples), ColorType::Gray(_)) => {
            samples.iter().map(|&sample| sample.clamp(0, 255) as u8).collect()
        }
        (DecodingResult::F32(samples), ColorType::Gray(_)) => samples.iter().map(|&sample| sample as u8).collect(),
        _ => return Err(Fault::Unknown(format!("its pixels are {color:?}"))),
    };
    if samples.len() < pixels * channels {
        return Err(Fault::CutShort);
    }
    let samples = if several { interleaved(&samples, channels, pixels) } else { samples };
    let pixels = match (color, &palette) {
        (ColorType::Gray(_), Some(palette)) => from_palette(&samples, palette),
        (ColorType::Gray(_), None) => from_grey(&samples),
        (ColorType::GrayA(_) | ColorType::Multiband { num_samples: 2, .. }, None) => from_grey_alpha(&samples),
        (ColorType::RGB(_), None) => samples,
        (ColorType::RGBA(_), None) => from_rgb_alpha(samples),
        (ColorType::CMYK(_), None) => from_cmyk(samples),
        _ => return Err(Fault::Unknown(format!("its pixels are {color:?}"))),
    };
    let image = Image { height, width, pixels };
    let from_xmp = || xmp.as_deref().and_then(orientation_in_xmp);
    turned(image, orientation.and_then(Orientation::from_exif).or_else(from_xmp))
}

/// A copy of a TIFF (no BigTIFF) whose first image says that its samples mean something else.
fn with_interpretation(bytes: &[u8], interpretation: u16) -> Option<Vec<u8>> {
    let little = bytes.starts_with(b"II");
    let short = |at: usize| {
        let pair = [*bytes.get(at)?, *bytes.get(at + 1)?];
        Some(if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    };
    let offset = [0, 1, 2, 3].map(|part| bytes.get(4 + part).copied().unwrap_or(0));
    let directory = if little { u32::from_le_bytes(offset) } else { u32::from_be_bytes(offset) } as usize;
    if short(2)? != 42 {
        return None;
    }
    let entries = usize::from(short(directory)?);
    let tag = Tag::PhotometricInterpretation.to_u16();
    let entry = (0..entries).map(|entry| directory + 2 + 12 * entry).find(|&at| short(at) == Some(tag))?;
    let mut changed = bytes.to_vec();
    let value = if little { interpretation.to_le_bytes() } else { interpretation.to_be_bytes() };
    changed.get_mut(entry + 8..entry + 10)?.copy_from_slice(&value);
    Some(changed)
}
