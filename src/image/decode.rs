//! From the bytes of an image file to RGB: what Python's PIL gives with `ImageOps.exif_transpose(Image.open(file)).convert("RGB")`.
//!
//! What that means where it is not plain: transparency is dropped, not blended; of an animation the first frame counts; CMYK
//! is converted without a colour profile, and profiles are not applied to anything; of RGB with 16 bits the upper 8 are kept.
//! Grey with more than 8 bits and grey floats are clipped to 0 to 255, not scaled, so that a picture which uses all 16 bits
//! becomes nearly white, for PIL and thus for the networks that were trained with it: such pictures are better scaled to 8 bits
//! beforehand. Lossless formats agree with PIL to the bit; JPEG and lossy WebP, which leave rounding to the decoder, do not.
//!
//! Resizing is [`crate::image::prepare`]'s.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::codecs::{bmp::BmpDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, RgbImage};
use tiff::decoder::DecodingResult;
use tiff::tags::Tag;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use crate::error::{Error, Result};

/// An image, RGB with 8 bits each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub height: u32,
    pub width: u32,
    /// `[height, width, 3]`, the last index fastest.
    pub pixels: Vec<u8>,
}

impl Image {
    /// A black image.
    pub fn black(height: u32, width: u32) -> Self {
        Self { height, width, pixels: vec![0; 3 * height as usize * width as usize] }
    }
}

/// What is not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Images with more pixels than this.
    pub pixels: u64,
}

impl Default for Limits {
    /// As many pixels as PIL decodes before it suspects a decompression bomb: half a gigabyte of RGB.
    fn default() -> Self {
        Self { pixels: 178_956_970 }
    }
}

/// Decodes an image file: JPEG, PNG, WebP, BMP, GIF or TIFF, by its content, whatever its name ends in.
///
/// # Errors
/// The file cannot be read, is no image or of another kind, is damaged or cut short, or has more pixels than `limits` has.
pub fn decode(file: &Path, limits: &Limits) -> Result<Image> {
    let bytes = std::fs::read(file).map_err(|error| Error::io(error, file))?;
    decode_bytes(&bytes, limits).map_err(|error| error.file(file))
}

/// Decodes the content of an image file, like [`decode`].
pub fn decode_bytes(bytes: &[u8], limits: &Limits) -> Result<Image> {
    let format = Format::of(bytes)?;
    // zune-jpeg's authors allow for panics on broken files, and a panic of any decoder must not end a run of a million images.
    let decoded = catch_unwind(AssertUnwindSafe(|| match format {
        Format::Jpeg => jpeg(bytes, limits),
        Format::Png => png(bytes, limits),
        Format::WebP => webp(bytes, limits),
        Format::Bmp => bmp(bytes, limits),
        Format::Gif => gif(bytes, limits),
        Format::Tiff => tiff(bytes, limits),
    }));
    decoded
        .unwrap_or_else(|_| Err(Fault::Broken("its decoder gave up".to_owned())))
        .map_err(|fault| fault.error(format))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Jpeg,
    Png,
    WebP,
    Bmp,
    Gif,
    Tiff,
}

impl Format {
    /// By the first bytes.
    fn of(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Err(Error::request("the file is empty")
                .hint("put the image there again, or leave such images out with --on-bad-input skip"));
        }
        Ok(match bytes {
            [0xFF, 0xD8, 0xFF, ..] => Self::Jpeg,
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Self::Png,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::WebP,
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Self::Gif,
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Self::Tiff,
            [b'B', b'M', ..] => Self::Bmp,
            _ => {
                return Err(Error::request("is no image that can be read")
                    .hint("JPEG, PNG, WebP, BMP, GIF and TIFF are read: convert it, or leave such images out with --on-bad-input skip"));
            }
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::Tiff => "TIFF",
        }
    }
}

/// Why an image is not decoded.
enum Fault {
    Broken(String),
    /// Ends early.
    CutShort,
    /// Has features that no decoder here knows.
    Unknown(String),
    TooLarge {
        height: u64,
        width: u64,
        limit: u64,
    },
}

impl Fault {
    fn error(self, format: Format) -> Error {
        let name = format.name();
        match self {
            Self::Broken(reason) => Error::request(format!("the {name} image is damaged: {reason}"))
                .hint("put the image there again, or leave such images out with --on-bad-input skip"),
            Self::CutShort => Error::request(format!("the {name} image is cut short"))
                .hint("put the image there again, or leave such images out with --on-bad-input skip"),
            Self::Unknown(what) => Error::request(format!("this kind of {name} image is not read: {what}"))
                .hint("save it as an RGB PNG, or leave such images out with --on-bad-input skip"),
            Self::TooLarge { height, width, limit } => Error::request(format!(
                "the {name} image has {height} × {width} pixels; {limit} are the most that are decoded"
            ))
            .hint("make it smaller, or leave such images out with --on-bad-input skip"),
        }
    }
}

/// Refuses what its header says to be too large, or to have no pixels. Gives the number of pixels.
fn check_size(height: impl Into<u64>, width: impl Into<u64>, limits: &Limits) -> Result<usize, Fault> {
    let (height, width) = (height.into(), width.into());
    if height == 0 || width == 0 {
        return Err(Fault::Broken("it has no pixels".to_owned()));
    }
    let pixels = height.checked_mul(width).filter(|&pixels| pixels <= limits.pixels && pixels < 1 << 40);
    pixels.map(|pixels| pixels as usize).ok_or(Fault::TooLarge { height, width, limit: limits.pixels })
}

/// Turns the image as the camera was held, as EXIF's tag says, or XMP's where EXIF says nothing.
fn upright(image: Image, exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Result<Image, Fault> {
    let orientation = exif.and_then(Orientation::from_exif_chunk).or_else(|| xmp.and_then(orientation_in_xmp));
    turned(image, orientation)
}

fn turned(image: Image, orientation: Option<Orientation>) -> Result<Image, Fault> {
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
fn orientation_in_xmp(xmp: &[u8]) -> Option<Orientation> {
    let name = b"tiff:Orientation";
    let value = |window: &[u8]| match window {
        [b'=', b'"', digit @ b'0'..=b'9', ..] | [b'>', digit @ b'0'..=b'9', ..] => Some(digit - b'0'),
        _ => None,
    };
    let mut places = xmp.windows(name.len()).enumerate().filter(|(_, window)| window == name);
    places.find_map(|(at, _)| value(xmp.get(at + name.len()..)?)).and_then(Orientation::from_exif)
}

/// zune-jpeg: of the decoders in Rust that are widely used it is the fastest.
fn jpeg(bytes: &[u8], limits: &Limits) -> Result<Image, Fault> {
    // Lenient, as PIL is with bytes too many and with damaged blocks; what is cut short is found by `has_end`.
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let options = options.jpeg_set_out_colorspace(ColorSpace::RGB);
    let broken = |error: zune_jpeg::errors::DecodeErrors| match error {
        zune_jpeg::errors::DecodeErrors::ExhaustedData => Fault::CutShort,
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

/// Whether a JPEG's marker of the end follows its pixels. (Decoders fill up what is missing with grey; PIL refuses.)
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

fn png(bytes: &[u8], limits: &Limits) -> Result<Image, Fault> {
    through(PngDecoder::with_limits(Cursor::new(bytes), buffers(limits)), limits)
}

fn webp(bytes: &[u8], limits: &Limits) -> Result<Image, Fault> {
    through(WebPDecoder::new(Cursor::new(bytes)), limits)
}

fn bmp(bytes: &[u8], limits: &Limits) -> Result<Image, Fault> {
    through(BmpDecoder::new(Cursor::new(bytes)), limits)
}

/// Memory for what a decoder needs of an image that is within the limits.
fn buffers(limits: &Limits) -> image::Limits {
    let mut buffers = image::Limits::no_limits();
    buffers.max_alloc = Some(limits.pixels.saturating_mul(8).saturating_add(64 << 20));
    buffers
}

/// What the crate `image` gives, made RGB.
fn through<D: ImageDecoder>(decoder: image::ImageResult<D>, limits: &Limits) -> Result<Image, Fault> {
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

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::CutShort,
            _ => Self::Broken(error.to_string()),
        }
    }
}

fn from_grey(grey: &[u8]) -> Vec<u8> {
    grey.iter().flat_map(|&grey| [grey; 3]).collect()
}

fn from_grey_alpha(samples: &[u8]) -> Vec<u8> {
    samples.as_chunks().0.iter().flat_map(|&[grey, _]| [grey; 3]).collect()
}

fn from_rgb_alpha(samples: &[u8]) -> Vec<u8> {
    samples.as_chunks().0.iter().flat_map(|&[red, green, blue, _]| [red, green, blue]).collect()
}

/// PIL's way: what of the paper's white neither the ink nor black takes.
fn from_cmyk(samples: &[u8]) -> Vec<u8> {
    let of = |&[cyan, magenta, yellow, black]: &[u8; 4]| {
        [cyan, magenta, yellow].map(|ink| {
            let white = 255 - u32::from(black);
            let taken = u32::from(ink) * white + 128;
            (white - (((taken >> 8) + taken) >> 8)) as u8
        })
    };
    samples.as_chunks().0.iter().flat_map(of).collect()
}

/// Each sample's colour in a palette of `[red, green, blue]`; black beyond its end.
fn from_palette(indices: &[u8], palette: &[[u8; 3]]) -> Vec<u8> {
    let colour = |&index: &u8| palette.get(usize::from(index)).copied().unwrap_or_default();
    indices.iter().flat_map(colour).collect()
}

fn gif(bytes: &[u8], limits: &Limits) -> Result<Image, Fault> {
    let fault = |error: gif::DecodingError| match error {
        gif::DecodingError::Io(error) => error.into(),
        gif::DecodingError::UnexpectedEof => Fault::CutShort,
        other => Fault::Broken(other.to_string()),
    };
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::Indexed);
    options.set_memory_limit(gif::MemoryLimit::Unlimited);
    let mut decoder = options.read_info(bytes).map_err(fault)?;
    let nothing = || Fault::Broken("it has no frame".to_owned());
    let frame = decoder.next_frame_info().map_err(fault)?.ok_or_else(nothing)?;
    let [left, top, frame_width, frame_height] = [frame.left, frame.top, frame.width, frame.height].map(usize::from);
    // What the frame leaves of the canvas is transparent, if anything is.
    let background = frame.transparent.unwrap_or(0);
    let width = usize::from(decoder.width()).max(left + frame_width);
    let height = usize::from(decoder.height()).max(top + frame_height);
    let mut canvas = vec![background; check_size(height as u64, width as u64, limits)?];
    if frame_width == 0 || frame_height == 0 {
        return Err(Fault::Broken("its frame has no pixels".to_owned()));
    }
    let mut drawn = vec![0; frame_width * frame_height];
    decoder.read_into_buffer(&mut drawn).map_err(fault)?;
    let rows = canvas.chunks_exact_mut(width).skip(top).zip(drawn.chunks_exact(frame_width));
    for (row, drawn) in rows {
        if let Some(place) = row.get_mut(left..left + frame_width) {
            place.copy_from_slice(drawn);
        }
    }
    let palette = decoder.palette().map_err(fault)?.as_chunks().0;
    let pixels = from_palette(&canvas, palette);
    Ok(Image { height: height as u32, width: width as u32, pixels })
}

impl From<tiff::TiffError> for Fault {
    fn from(error: tiff::TiffError) -> Self {
        match error {
            tiff::TiffError::IoError(error) => error.into(),
            tiff::TiffError::UnsupportedError(what) => Self::Unknown(what.to_string()),
            other => Self::Broken(other.to_string()),
        }
    }
}

const TIFF_PALETTE: u16 = 3;
const TIFF_BLACK_IS_ZERO: u16 = 1;

fn tiff(bytes: &[u8], limits: &Limits) -> Result<Image, Fault> {
    use tiff::ColorType;
    let open = |bytes| -> Result<_, tiff::TiffError> {
        let mut buffers = tiff::decoder::Limits::default();
        buffers.decoding_buffer_size = usize::try_from(limits.pixels.saturating_mul(16)).unwrap_or(usize::MAX);
        buffers.intermediate_buffer_size = buffers.decoding_buffer_size;
        Ok(tiff::decoder::Decoder::new(Cursor::new(bytes))?.with_limits(buffers))
    };
    let mut decoder = open(bytes)?;
    let (width, height) = decoder.dimensions()?;
    let pixels = check_size(height, width, limits)?;
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
    let mut samples = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut samples)?;
    if samples.as_buffer(0).as_bytes().len() < layout.complete_len {
        return Err(Fault::Unknown("its colour planes are too large".to_owned()));
    }
    let channels = usize::from(color.num_samples());
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
        (ColorType::RGBA(_), None) => from_rgb_alpha(&samples),
        (ColorType::CMYK(_), None) => from_cmyk(&samples),
        _ => return Err(Fault::Unknown(format!("its pixels are {color:?}"))),
    };
    let image = Image { height, width, pixels };
    let from_xmp = || xmp.as_deref().and_then(orientation_in_xmp);
    turned(image, orientation.and_then(Orientation::from_exif).or_else(from_xmp))
}

/// Samples of 1, 2 or 4 bits, each row of which begins with a byte, as bytes times `scale`.
fn unpacked(packed: &[u8], bits: u8, width: usize, scale: u8) -> Vec<u8> {
    let a_byte = usize::from(8 / bits);
    let mask = u8::MAX >> (8 - bits);
    let rows = packed.chunks_exact(width.div_ceil(a_byte).max(1));
    let row = |row: &[u8]| -> Vec<u8> {
        let samples = row.iter().flat_map(|byte| (1..=a_byte as u8).map(move |part| byte >> (8 - bits * part)));
        samples.take(width).map(|sample| (sample & mask) * scale).collect()
    };
    rows.flat_map(row).collect()
}

/// Channels that lie one after the other, pixel by pixel.
fn interleaved(planes: &[u8], channels: usize, pixels: usize) -> Vec<u8> {
    let mut samples = vec![0; channels * pixels];
    for (channel, plane) in planes.chunks_exact(pixels).take(channels).enumerate() {
        for (pixel, &sample) in samples.chunks_exact_mut(channels).zip(plane) {
            pixel[channel] = sample;
        }
    }
    samples
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
