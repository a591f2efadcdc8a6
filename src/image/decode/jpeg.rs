//! JPEG.

use zune_core::bytestream::{ZByteIoError, ZCursor};
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use crate::image::decode::fault::{Fault, check_size};
use crate::image::decode::orientation::upright;
use crate::image::pixels::{Image, Limits};

/// zune-jpeg: of the decoders in Rust that are widely used it is the fastest.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Image, Fault> {
    // Lenient, as PIL is with bytes too many and with damaged blocks; what is cut short is found by `has_end`.
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let options = options.jpeg_set_out_colorspace(ColorSpace::RGB);
    let broken = |error: zune_jpeg::errors::DecodeErrors| match error {
        zune_jpeg::errors::DecodeErrors::ExhaustedData
        | zune_jpeg::errors::DecodeErrors::IoErrors(ZByteIoError::NotEnoughBytes(..)) => Fault::CutShort,
        zune_jpeg::errors::DecodeErrors::Unsupported(what) => Fault::Unknown(format!("{what:?}")),
        _ => Fault::Broken(error.to_string()),
    };
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(broken)?;
    let (width, height) = decoder.dimensions().ok_or_else(|| Fault::Broken("it has no size".to_owned()))?;
    let size = 3 * check_size(height as u64, width as u64, limits)?;
    if let Some(ColorSpace::MultiBand(bands)) = decoder.input_colorspace() {
        return Err(Fault::Unknown(format!("it has {bands} channels")));
    }
    if !has_end(bytes) {
        return Err(Fault::CutShort);
    }
    let mut pixels = vec![0; size];
    decoder.decode_into(&mut pixels).map_err(broken)?;
    let image = Image { height: height as u32, width: width as u32, pixels };
    upright(image, decoder.exif().map(Vec::as_slice), decoder.xmp().map(Vec::as_slice))
}

/// Whether the end marker of a JPEG follows its pixels. (Decoders fill in what is missing with grey; PIL refuses.)
fn has_end(bytes: &[u8]) -> bool {
    let (mut at, mut in_scan) = (2, false);
    loop {
        // Segments follow each other; the data of a scan end at the next marker.
        let Some(to_marker) = bytes.get(at..).and_then(|rest| memchr::memchr(0xFF, rest)) else { return false };
        at += to_marker + 1;
        let Some(&code) = bytes.get(at) else { return false };
        match code {
            0xD9 => return true,
            // Fill bytes: the next one is the marker's.
            0xFF => {}
            // A data byte that looked like a marker; restarts; what has no length.
            0x00 | 0x01 | 0xD0..=0xD8 => at += 1,
            _ if in_scan && !matches!(code, 0xC4 | 0xDA..=0xDD | 0xE0..=0xEF | 0xFE) => at += 1,
            _ => {
                let Some(&[high, low]) = bytes.get(at + 1..at + 3) else { return false };
                at += 1 + usize::from(u16::from_be_bytes([high, low])).max(2);
                in_scan = code == 0xDA;
            }
        }
    }
}
