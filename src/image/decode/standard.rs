//! PNG, WebP and BMP, through the crate `image`.

use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{ColorType, ImageDecoder};

use crate::image::decode::fault::Fault;
use crate::image::decode::orientation::upright;
use crate::image::decode::room::Room;
use crate::image::decode::samples::{from_grey, from_grey_alpha, from_rgb_alpha, in_place};
use crate::image::pixels::Image;

/// What the decoder of PNG may take beside the pixels: rows, compressed and not, and metadata.
const PNG_BUFFERS: u64 = 128 << 20;

pub fn png(bytes: &[u8], room: &mut Room) -> Result<Image, Fault> {
    let mut buffers = image::Limits::no_limits();
    buffers.max_alloc = Some(PNG_BUFFERS);
    decode(PngDecoder::with_limits(Cursor::new(bytes), buffers), room, 0)
}

pub fn webp(bytes: &[u8], room: &mut Room) -> Result<Image, Fault> {
    let decoder = WebPDecoder::new(Cursor::new(bytes))?;
    // Without transparency the decoder makes RGBA of its own; with it or in an animation also a canvas, and planes.
    let is_plain = decoder.color_type() == ColorType::Rgb8 && !decoder.has_animation();
    decode(Ok(decoder), room, if is_plain { 4 } else { 8 })
}

pub fn bmp(bytes: &[u8], room: &mut Room) -> Result<Image, Fault> {
    decode(BmpDecoder::new(Cursor::new(bytes)), room, 0)
}

/// What the crate decodes, as RGB. The decoder takes so many bytes of its own for a pixel.
fn decode<D: ImageDecoder>(decoder: image::ImageResult<D>, room: &mut Room, own: usize) -> Result<Image, Fault> {
    let mut decoder = decoder.map_err(Fault::from)?;
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    let stored = usize::from(color.bytes_per_pixel());
    // Small pixels are widened and large ones made smaller where they are; then the picture may be turned.
    room.take(height, width, (own + stored).max(if stored < 3 { stored + 3 } else { 6 }))?;
    let exif = decoder.exif_metadata().ok().flatten();
    let xmp = decoder.xmp_metadata().ok().flatten();
    let mut bytes = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
    decoder.read_image(&mut bytes)?;
    let upper = |low: u8, high: u8| (u16::from_ne_bytes([low, high]) >> 8) as u8;
    let clipped = |low: u8, high: u8| u16::from_ne_bytes([low, high]).min(255) as u8;
    let pixels = match color {
        ColorType::L8 => from_grey(&bytes),
        ColorType::La8 => from_grey_alpha(&bytes),
        ColorType::Rgb8 => bytes,
        ColorType::Rgba8 => from_rgb_alpha(bytes),
        ColorType::L16 => bytes.as_chunks().0.iter().flat_map(|&[low, high]| [clipped(low, high); 3]).collect(),
        ColorType::La16 => in_place(bytes, |&[low, high, ..]: &[u8; 4]| [upper(low, high); 3]),
        ColorType::Rgb16 => in_place(bytes, |&[r, s, g, h, b, c]: &[u8; 6]| [upper(r, s), upper(g, h), upper(b, c)]),
        ColorType::Rgba16 => {
            in_place(bytes, |&[r, s, g, h, b, c, ..]: &[u8; 8]| [upper(r, s), upper(g, h), upper(b, c)])
        }
        other => return Err(Fault::Unknown(format!("its pixels are {other:?}"))),
    };
    upright(Image { height, width, pixels }, exif.as_deref(), xmp.as_deref())
}

impl From<image::ImageError> for Fault {
    fn from(error: image::ImageError) -> Self {
        match error {
            image::ImageError::IoError(error) => error.into(),
            image::ImageError::Unsupported(what) => Self::Unknown(what.to_string()),
            image::ImageError::Limits(_) => Self::rows_too_long(),
            other => Self::Broken(other.to_string()),
        }
    }
}
