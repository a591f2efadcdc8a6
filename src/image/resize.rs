//! Resizing and cropping: pixels bit-identical to those of PIL's `Image.resize`, cropped where torchvision's transforms
//! crop.
//!
//! Making an image smaller averages over all of the pixels that fall into one ("antialiasing"): PIL's two passes
//! ([`super::resample`]) with weights of 22 bits, in PIL's order, with 8 bits between them. `fast_image_resize` is a
//! quarter faster and, with weights of 16 bits and an order of its own, off by a level or two in up to a tenth of the
//! pixels.

use std::cell::RefCell;

use crate::error::{Error, Result};
use crate::image::pixels::Image;
use crate::image::preprocessing::{Interpolation, Preprocessing, Resize};
use crate::image::resample::{Filter, PixelRows, Region, Span, Weights, bicubic, bilinear, lanczos};

/// A part of an image, in pixels; a part of a pixel counts for that part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    /// Distance of its upper edge from the image's.
    pub top: f64,
    /// Distance of its left edge from the image's.
    pub left: f64,
    /// From its upper edge down.
    pub height: f64,
    /// From its left edge to the right.
    pub width: f64,
}

impl Area {
    /// All of an image.
    pub fn all(image: &Image) -> Self {
        Self { top: 0.0, left: 0.0, height: f64::from(image.height), width: f64::from(image.width) }
    }
}

/// Brings `from` to a size of (height, width), like PIL's `image.resize((width, height), resample, box)`: filters reach
/// beyond the area's edges, up to the image's.
///
/// # Errors
/// The area is empty or reaches out of the image; the size is 0.
pub fn resize(image: &Image, to: (u32, u32), interpolation: Interpolation, from: Area) -> Result<Image> {
    let scaling = Scaling { interpolation, from, to };
    scaling.shown(image, Region::all(image), Span::all(to.0), Span::all(to.1))
}

/// Brings whole pixels of an image to a size of (height, width), as if nothing lay around them: torchvision's
/// `resized_crop`. `place` is their top and left, `size` their height and width.
///
/// # Errors
/// As of [`resize`].
pub fn resize_part(
    image: &Image,
    place: (u32, u32),
    size: (u32, u32),
    to: (u32, u32),
    interpolation: Interpolation,
) -> Result<Image> {
    let region = Region { top: place.0, left: place.1, height: size.0, width: size.1 };
    let from = Area { top: 0.0, left: 0.0, height: f64::from(size.0), width: f64::from(size.1) };
    Scaling { interpolation, from, to }.shown(image, region, Span::all(to.0), Span::all(to.1))
}

/// What a network sees of an image: `[height, width, 3]`, the size being [`Preprocessing::output`]. Only what the crop
/// shows is resized, to the pixels that it would have if all were.
///
/// Where the crop is larger than the resized image there is black around it; the mean colour, when the longer side was
/// resized.
///
/// # Errors
/// The settings say that the image, or the crop, has no pixels.
pub fn prepare(image: &Image, preprocessing: &Preprocessing) -> Result<Vec<u8>> {
    let (height, width) = preprocessing.output();
    let to = preprocessing.resize.of(image.height, image.width);
    let (rows, columns) = (Span::of(to.0, height), Span::of(to.1, width));
    let scaling = Scaling { interpolation: preprocessing.interpolation, from: Area::all(image), to };
    let shown = scaling.shown(image, Region::all(image), rows, columns)?;
    if (shown.height, shown.width) == (height, width) {
        return Ok(shown.pixels);
    }
    let around = match preprocessing.resize {
        Resize::Longest(_) => preprocessing.mean.map(|mean| (255.0 * mean).round_ties_even() as u8),
        _ => [0; 3],
    };
    Ok(placed(&shown, (height, width), (rows.place, columns.place), around).pixels)
}

impl Resize {
    /// Height and width of an image of this height and width once it is resized.
    fn of(self, height: u32, width: u32) -> (u32, u32) {
        let (short, long) = (height.min(width), height.max(width));
        let in_proportion = |short: u32, long: u32| if height <= width { (short, long) } else { (long, short) };
        match self {
            Self::Unchanged => (height, width),
            Self::Exact { height, width } => (height, width),
            // torchvision: int(size * long / short).
            Self::Shortest(size) => {
                let other = u64::from(size) * u64::from(long) / u64::from(short.max(1));
                in_proportion(size, u32::try_from(other).unwrap_or(u32::MAX))
            }
            // timm's ResizeKeepRatio: both sides by the smaller of the two ratios.
            Self::Covering { height: least_height, width: least_width } => {
                let ratio = (f64::from(height) / f64::from(least_height.max(1)))
                    .min(f64::from(width) / f64::from(least_width.max(1)));
                let side = |side: u32| ((f64::from(side) / ratio).round_ties_even() as u32).max(1);
                (side(height), side(width))
            }
            // timm: round(short / (long / size)).
            Self::Longest(size) => {
                let other = f64::from(short) / (f64::from(long) / f64::from(size));
                in_proportion((other.round_ties_even() as u32).max(1), size)
            }
        }
    }
}

/// An image on a canvas, each of (height, width), at a place of (top, left); what is beyond the canvas is lost.
fn placed(image: &Image, canvas: (u32, u32), place: (u32, u32), around: [u8; 3]) -> Image {
    let (height, width) = canvas;
    let mut pixels: Vec<u8> = around.repeat(height as usize * width as usize);
    let length = 3 * image.width.min(width.saturating_sub(place.1)) as usize;
    if length > 0 {
        let left = 3 * place.1 as usize;
        let rows = pixels.chunks_exact_mut(3 * width as usize).skip(place.0 as usize);
        for (row, from) in rows.zip(image.pixels.chunks_exact(3 * image.width as usize)) {
            row[left..left + length].copy_from_slice(&from[..length]);
        }
    }
    Image { height, width, pixels }
}

/// Brings an area, counted from a region's edges, to a size of (height, width).
#[derive(Debug, Clone, Copy)]
struct Scaling {
    interpolation: Interpolation,
    from: Area,
    to: (u32, u32),
}

thread_local! {
    /// The bytes between two passes: a buffer that is used again.
    static BETWEEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Scaling {
    /// The rows and columns of the scaled area that are shown.
    fn shown(self, image: &Image, region: Region, rows: Span, columns: Span) -> Result<Image> {
        self.check(image, region)?;
        if rows.length == 0 || columns.length == 0 {
            return Err(Error::request("an image cannot be cropped to 0 pixels"));
        }
        let mut shown = Image::black(rows.length, columns.length);
        let filter = match self.interpolation {
            Interpolation::Nearest => {
                self.nearest(&mut shown, image, region, rows, columns)?;
                return Ok(shown);
            }
            Interpolation::Bilinear => Filter { weight: bilinear, radius: 1.0 },
            Interpolation::Bicubic => Filter { weight: bicubic, radius: 2.0 },
            Interpolation::Lanczos => Filter { weight: lanczos, radius: 3.0 },
        };
        let (from, to) = (self.from, self.to);
        let down = Weights::of(region.height, (from.top, from.height), to.0, rows, filter);
        let across = Weights::of(region.width, (from.left, from.width), to.1, columns, filter);
        let source = PixelRows::of(image, region);
        BETWEEN.with_borrow_mut(|between| {
            if self.columns_first(region) {
                // Of all columns that are looked at.
                let (first, last) = across.reach();
                let length = last - first;
                down.down(source.columns(first, length), buffer(between, rows.length as usize * length));
                across.from(first).across(PixelRows::whole(between, length), &mut shown.pixels);
            } else {
                let (first, last) = down.reach();
                let length = columns.length as usize;
                across.across(source.rows(first), buffer(between, (last - first) * length));
                let between = PixelRows::whole(&between[..3 * (last - first) * length], length);
                down.from(first).down(between, &mut shown.pixels);
            }
        });
        Ok(shown)
    }

    fn check(self, image: &Image, region: Region) -> Result<()> {
        let expected = 3 * image.height as usize * image.width as usize;
        if expected == 0 || image.pixels.len() != expected {
            return Err(Error::failure("an image has another number of pixels than its size says"));
        }
        if self.to.0 == 0 || self.to.1 == 0 {
            return Err(Error::request("an image cannot be made 0 pixels large"));
        }
        let within = |start: u32, length: u32, size: u32| u64::from(start) + u64::from(length) <= u64::from(size);
        let Region { top, left, height, width } = region;
        if !within(top, height, image.height) || !within(left, width, image.width) {
            return Err(Error::failure(format!("the part {region:?} is not in the image")));
        }
        let inside = |start: f64, length: f64, size: u32| {
            start >= 0.0 && length > 0.0 && start + length <= f64::from(size) + 1e-6
        };
        let from = self.from;
        if !inside(from.top, from.height, region.height) || !inside(from.left, from.width, region.width) {
            return Err(Error::failure(format!("the area {from:?} is not in the image")));
        }
        Ok(())
    }

    /// How much of the source's height and width a pixel takes.
    fn pixel(self) -> (f64, f64) {
        (self.from.height / f64::from(self.to.0), self.from.width / f64::from(self.to.1))
    }

    /// Whether PIL 13 makes columns shorter before it does so with rows: what is between is rounded and clipped to 8
    /// bits.
    fn columns_first(self, region: Region) -> bool {
        let less = |from: u32, to: u32| i64::from(from) - i64::from(to);
        let (rows, columns) = (less(region.height, self.to.0), less(region.width, self.to.1));
        rows > 0 && rows > 2 * columns
    }

    /// PIL's way: the pixel in which the middle of the new pixel falls, the middles being added up one by one.
    fn nearest(self, shown: &mut Image, image: &Image, region: Region, rows: Span, columns: Span) -> Result<()> {
        let positions = |start: f64, step: f64, span: Span, size: u32, offset: u32| -> Vec<usize> {
            let middles = std::iter::successors(Some(start + 0.5 * step), |middle| Some(middle + step));
            let positions = middles.map(|middle| (offset + (middle as u32).min(size - 1)) as usize);
            positions.skip(span.start as usize).take(span.length as usize).collect()
        };
        let (height, width) = self.pixel();
        let columns = positions(self.from.left, width, columns, region.width, region.left);
        let rows = positions(self.from.top, height, rows, region.height, region.top);
        let source = image.pixels.as_chunks::<3>().0;
        for (into, row) in shown.pixels.as_chunks_mut::<3>().0.chunks_exact_mut(columns.len()).zip(rows) {
            let start = row * image.width as usize;
            let Some(from) = source.get(start..start + image.width as usize) else {
                return Err(Error::failure("a region is not in the image"));
            };
            for (into, &column) in into.iter_mut().zip(&columns) {
                *into = from.get(column).copied().unwrap_or_default();
            }
        }
        Ok(())
    }
}

/// The buffer, made large enough for so many pixels.
fn buffer(bytes: &mut Vec<u8>, pixels: usize) -> &mut [u8] {
    bytes.resize(3 * pixels, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_crops_are_torchvisions() {
        assert_eq!(Resize::Shortest(256).of(375, 500), (256, 341));
        assert_eq!(Resize::Shortest(256).of(500, 375), (341, 256));
        assert_eq!(Resize::Shortest(224).of(1, 3), (224, 672));
        assert_eq!(Resize::Longest(80).of(300, 200), (80, 53));
        assert_eq!(Resize::Longest(80).of(1, 1000), (1, 80));
        assert_eq!(Span::of(256, 224), Span { start: 16, length: 224, place: 0 });
        // Half of 117 and of 115 are rounded to the even number.
        assert_eq!(Span::of(341, 224).start, 58);
        assert_eq!(Span::of(339, 224).start, 58);
        assert_eq!(Span::of(50, 71), Span { start: 0, length: 50, place: 10 });
    }

    #[test]
    fn a_thin_image_is_not_resized_beyond_the_crop() {
        // All of it would have 256 · 16,640,000 pixels.
        let image = Image::black(1, 65_000);
        let preprocessing = Preprocessing::imagenet(224);
        assert_eq!(prepare(&image, &preprocessing).expect("prepared").len(), 224 * 224 * 3);
    }

    #[test]
    fn impossible_sizes_are_errors() {
        let image = Image::black(4, 4);
        let area = Area { top: 0.0, left: 2.0, height: 4.0, width: 3.0 };
        assert!(resize(&image, (2, 2), Interpolation::Bilinear, area).is_err());
        assert!(resize(&image, (0, 2), Interpolation::Bilinear, Area::all(&image)).is_err());
        assert!(resize(&Image { height: 9, ..image }, (2, 2), Interpolation::Bilinear, area).is_err());
        let empty = Image { height: 0, width: 4, pixels: Vec::new() };
        assert!(prepare(&empty, &Preprocessing::imagenet(32)).is_err());
        assert!(prepare(&Image::black(4, 4), &Preprocessing { crop: (0, 4), ..Preprocessing::imagenet(32) }).is_err());
        let nothing = Preprocessing { resize: Resize::Shortest(0), ..Preprocessing::imagenet(32) };
        assert!(prepare(&Image::black(4, 4), &nothing).is_err());
    }
}
