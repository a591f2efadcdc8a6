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
    let header = BmpHeader::of(bytes);
    let usual = header.as_ref().and_then(|header| header.usual(bytes));
    let mut image = decode(BmpDecoder::new(Cursor::new(usual.as_deref().unwrap_or(bytes))), room, 0)?;
    if let Some(widths) = header.and_then(|header| header.narrow_channels(bytes)) {
        // The crate rounds such a value where PIL cuts it off.
        let tables = widths.map(|width| -> [u8; 256] {
            let most = (1u32 << width) - 1;
            std::array::from_fn(|rounded| ((rounded as u32 * most + 127) / 255 * 255 / most) as u8)
        });
        for pixel in image.pixels.chunks_exact_mut(3) {
            pixel.iter_mut().zip(&tables).for_each(|(value, table)| *value = table[usize::from(*value)]);
        }
    }
    Ok(image)
}

/// What a BMP says of itself, where the crate reads it otherwise than PIL.
struct BmpHeader {
    /// Bytes of the header after the file's own of 14.
    size: u32,
    /// Where the number of planes stands.
    at_planes: usize,
    planes: u16,
    bits: u16,
    compression: u32,
}

impl BmpHeader {
    const SIZE_OF_WINDOWS: u32 = 40;
    /// The second version of OS/2's, of which the first 40 bytes are the same.
    const SIZE_OF_OS2: u32 = 64;
    /// The masks of the channels stand behind the header.
    const MASKS: u32 = 3;

    fn of(bytes: &[u8]) -> Option<Self> {
        let long = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let short = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let size = long(14)?;
        if size < Self::SIZE_OF_WINDOWS {
            // The first version of OS/2's.
            return Some(Self { size, at_planes: 22, planes: short(22)?, bits: 0, compression: 0 });
        }
        Some(Self { size, at_planes: 26, planes: short(26)?, bits: short(28)?, compression: long(30)? })
    }

    /// The file as Windows would have written it: with a header that the crate knows, and one plane, whatever is said.
    fn usual(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let is_os2 = self.size == Self::SIZE_OF_OS2;
        if !is_os2 && self.planes == 1 {
            return None;
        }
        let mut usual = bytes.to_vec();
        usual.get_mut(self.at_planes..self.at_planes + 2)?.copy_from_slice(&1u16.to_le_bytes());
        if is_os2 {
            let less = Self::SIZE_OF_OS2 - Self::SIZE_OF_WINDOWS;
            let pixels = u32::from_le_bytes(*bytes.get(10..)?.first_chunk()?).checked_sub(less)?;
            usual.get_mut(10..14)?.copy_from_slice(&pixels.to_le_bytes());
            usual.get_mut(14..18)?.copy_from_slice(&Self::SIZE_OF_WINDOWS.to_le_bytes());
            let end = 14 + self.size as usize;
            if end > usual.len() {
                return None;
            }
            usual.drain(end - less as usize..end);
        }
        Some(usual)
    }

    /// The bits of red, green and blue where they are five or six.
    fn narrow_channels(&self, bytes: &[u8]) -> Option<[u32; 3]> {
        if self.bits != 16 || ![0, Self::MASKS].contains(&self.compression) {
            return None;
        }
        let mask = |index: usize| {
            let masks = bytes.get(14 + Self::SIZE_OF_WINDOWS as usize + 4 * index..)?;
            Some(u32::from_le_bytes(*masks.first_chunk()?))
        };
        let has_masks = self.compression == Self::MASKS;
        let widths = [0, 1, 2].map(|index| if has_masks { mask(index).map_or(0, u32::count_ones) } else { 5 });
        widths.iter().all(|width| [5, 6].contains(width)).then_some(widths)
    }
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
