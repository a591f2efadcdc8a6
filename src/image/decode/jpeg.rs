//! JPEG.

use zune_core::bytestream::{ZByteIoError, ZCursor};
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use crate::image::decode::fault::Fault;
use crate::image::decode::orientation::upright;
use crate::image::decode::room::Room;
use crate::image::pixels::Image;

/// zune-jpeg: of the decoders in Rust that are widely used it is the fastest.
pub fn decode(bytes: &[u8], room: &mut Room) -> Result<Image, Fault> {
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
    let Some(is_in_parts) = scans(bytes).map(|scans| scans > 1) else { return Err(Fault::CutShort) };
    let bands = decoder.input_colorspace().map_or(4, |space| space.num_components());
    // Of an image in several scans (a progressive one) all coefficients are kept until the last; another one needs room
    // to be turned.
    let kept = if is_in_parts { 3 + 2 * bands } else { 3 + 3 };
    let size = 3 * room.take(height as u64, width as u64, kept)?;
    if let Some(ColorSpace::MultiBand(bands)) = decoder.input_colorspace() {
        return Err(Fault::Unknown(format!("it has {bands} channels")));
    }
    let mut pixels = vec![0; size];
    decoder.decode_into(&mut pixels).map_err(broken)?;
    let image = Image { height: height as u32, width: width as u32, pixels };
    upright(image, decoder.exif().map(Vec::as_slice), decoder.xmp().map(Vec::as_slice))
}

/// How many scans a JPEG has, if its end marker follows them. (Decoders fill in what is missing with grey; PIL
/// refuses.)
fn scans(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut in_scan, mut scans) = (2, false, 0);
    loop {
        // Segments follow each other; the data of a scan end at the next marker.
        at += memchr::memchr(0xFF, bytes.get(at..)?)? + 1;
        let code = *bytes.get(at)?;
        match code {
            0xD9 => return Some(scans),
            // Fill bytes: the next one is the marker's.
            0xFF => {}
            // A data byte that looked like a marker; restarts; what has no length.
            0x00 | 0x01 | 0xD0..=0xD8 => at += 1,
            _ if in_scan && !matches!(code, 0xC4 | 0xDA..=0xDD | 0xE0..=0xEF | 0xFE) => at += 1,
            _ => {
                let length = bytes.get(at + 1..)?.first_chunk()?;
                at += 1 + usize::from(u16::from_be_bytes(*length)).max(2);
                in_scan = code == 0xDA;
                scans += usize::from(in_scan);
            }
        }
    }
}
