//! Resizing and cropping: to the bit the pixels that PIL's `Image.resize` gives, cropped where torchvision's transforms crop.
//!
//! Making an image smaller averages over all of the pixels that fall into one ("antialiasing"): PIL's two passes with weights
//! of 22 bits, in PIL's order, with 8 bits between them (Pillow 13, src/libImaging/Resample.c). `fast_image_resize` is
//! a quarter faster and, with weights of 16 bits and an order of its own, off by a level or two in up to a tenth of the pixels.

use std::cell::RefCell;

use crate::error::{Error, Result};
use crate::image::{Image, Interpolation, Preprocessing, Resize};

/// A part of an image, in pixels; a part of a pixel counts for that part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    pub top: f64,
    pub left: f64,
    pub height: f64,
    pub width: f64,
}

impl Area {
    /// All of an image.
    pub fn all(image: &Image) -> Self {
        Self { top: 0.0, left: 0.0, height: f64::from(image.height), width: f64::from(image.width) }
    }
}

/// Brings `from` to a size of (height, width), like PIL's `image.resize((width, height), resample, box)`: filters reach beyond
/// the area's edges, up to the image's.
///
/// # Errors
/// The area is empty or reaches out of the image; the size is 0.
pub fn resize(image: &Image, to: (u32, u32), interpolation: Interpolation, from: Area) -> Result<Image> {
    let scaling = Scaling { interpolation, from, to };
    scaling.shown(image, Window::all(image), Span::all(to.0), Span::all(to.1))
}

/// Brings whole pixels of an image to a size of (height, width), as if nothing lay around them: torchvision's `resized_crop`.
/// `place` is their top and left, `size` their height and width.
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
    let window = Window { top: place.0, left: place.1, height: size.0, width: size.1 };
    let from = Area { top: 0.0, left: 0.0, height: f64::from(size.0), width: f64::from(size.1) };
    Scaling { interpolation, from, to }.shown(image, window, Span::all(to.0), Span::all(to.1))
}

/// What a network sees of an image: `[height, width, 3]`, the size being [`Preprocessing::output`]. Only what the crop shows is
/// resized, to the pixels that it would have if all were.
///
/// Where the crop is larger than the resized image there is black around it; the mean colour, when the longer side was resized.
///
/// # Errors
/// The settings say that the image, or the crop, has no pixels.
pub fn prepare(image: &Image, preprocessing: &Preprocessing) -> Result<Vec<u8>> {
    let (height, width) = preprocessing.output();
    let to = preprocessing.resize.of(image.height, image.width);
    let (rows, columns) = (Span::of(to.0, height), Span::of(to.1, width));
    let scaling = Scaling { interpolation: preprocessing.interpolation, from: Area::all(image), to };
    let shown = scaling.shown(image, Window::all(image), rows, columns)?;
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

/// What a crop from the middle shows of one dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    /// Where it begins in what is cropped.
    start: u32,
    length: u32,
    /// Where it lies in the crop.
    place: u32,
}

impl Span {
    /// torchvision's `center_crop`.
    fn of(size: u32, crop: u32) -> Self {
        if crop > size {
            return Self { start: 0, length: size, place: (crop - size) / 2 };
        }
        let start = (f64::from(size - crop) / 2.0).round_ties_even() as u32;
        Self { start, length: crop, place: 0 }
    }

    fn all(length: u32) -> Self {
        Self { start: 0, length, place: 0 }
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

/// Whole pixels of an image, beyond which nothing is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    top: u32,
    left: u32,
    height: u32,
    width: u32,
}

impl Window {
    fn all(image: &Image) -> Self {
        Self { top: 0, left: 0, height: image.height, width: image.width }
    }
}

/// Brings an area, counted from a window's edges, to a size of (height, width).
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
    fn shown(self, image: &Image, window: Window, rows: Span, columns: Span) -> Result<Image> {
        self.check(image, window)?;
        if rows.length == 0 || columns.length == 0 {
            return Err(Error::request("an image cannot be cropped to 0 pixels"));
        }
        let mut shown = Image::black(rows.length, columns.length);
        let filter = match self.interpolation {
            Interpolation::Nearest => {
                self.nearest(&mut shown, image, window, rows, columns)?;
                return Ok(shown);
            }
            Interpolation::Bilinear => Filter { weight: bilinear, radius: 1.0 },
            Interpolation::Bicubic => Filter { weight: bicubic, radius: 2.0 },
            Interpolation::Lanczos => Filter { weight: lanczos, radius: 3.0 },
        };
        let (from, to) = (self.from, self.to);
        let down = Weights::of(window.height, (from.top, from.height), to.0, rows, filter);
        let across = Weights::of(window.width, (from.left, from.width), to.1, columns, filter);
        let source = Rows::of(image, window);
        BETWEEN.with_borrow_mut(|between| {
            if self.columns_first(window) {
                // Of all columns that are looked at.
                let (first, last) = across.reach();
                let length = last - first;
                down.down(source.columns(first, length), buffer(between, rows.length as usize * length));
                across.from(first).across(Rows::whole(between, length), &mut shown.pixels);
            } else {
                let (first, last) = down.reach();
                let length = columns.length as usize;
                across.across(source.rows(first), buffer(between, (last - first) * length));
                let between = Rows::whole(&between[..3 * (last - first) * length], length);
                down.from(first).down(between, &mut shown.pixels);
            }
        });
        Ok(shown)
    }

    fn check(self, image: &Image, window: Window) -> Result<()> {
        let expected = 3 * image.height as usize * image.width as usize;
        if expected == 0 || image.pixels.len() != expected {
            return Err(Error::failure("an image has another number of pixels than its size says"));
        }
        if self.to.0 == 0 || self.to.1 == 0 {
            return Err(Error::request("an image cannot be made 0 pixels large"));
        }
        let within = |start: u32, length: u32, size: u32| u64::from(start) + u64::from(length) <= u64::from(size);
        let Window { top, left, height, width } = window;
        if !within(top, height, image.height) || !within(left, width, image.width) {
            return Err(Error::failure(format!("the part {window:?} is not in the image")));
        }
        let inside = |start: f64, length: f64, size: u32| {
            start >= 0.0 && length > 0.0 && start + length <= f64::from(size) + 1e-6
        };
        let from = self.from;
        if !inside(from.top, from.height, window.height) || !inside(from.left, from.width, window.width) {
            return Err(Error::failure(format!("the area {from:?} is not in the image")));
        }
        Ok(())
    }

    /// How much of the source's height and width a pixel takes.
    fn pixel(self) -> (f64, f64) {
        (self.from.height / f64::from(self.to.0), self.from.width / f64::from(self.to.1))
    }

    /// Whether PIL 13 makes columns shorter before it does so with rows: what is between is rounded and clipped to 8 bits.
    fn columns_first(self, window: Window) -> bool {
        let less = |from: u32, to: u32| i64::from(from) - i64::from(to);
        let (rows, columns) = (less(window.height, self.to.0), less(window.width, self.to.1));
        rows > 0 && rows > 2 * columns
    }

    /// PIL's way: the pixel in which the middle of the new pixel falls, the middles being added up one by one.
    fn nearest(self, shown: &mut Image, image: &Image, window: Window, rows: Span, columns: Span) -> Result<()> {
        let positions = |start: f64, step: f64, span: Span, size: u32, offset: u32| -> Vec<usize> {
            let middles = std::iter::successors(Some(start + 0.5 * step), |middle| Some(middle + step));
            let positions = middles.map(|middle| (offset + (middle as u32).min(size - 1)) as usize);
            positions.skip(span.start as usize).take(span.length as usize).collect()
        };
        let (height, width) = self.pixel();
        let columns = positions(self.from.left, width, columns, window.width, window.left);
        let rows = positions(self.from.top, height, rows, window.height, window.top);
        let source = image.pixels.as_chunks::<3>().0;
        for (into, row) in shown.pixels.as_chunks_mut::<3>().0.chunks_exact_mut(columns.len()).zip(rows) {
            let start = row * image.width as usize;
            let Some(from) = source.get(start..start + image.width as usize) else {
                return Err(Error::failure("a window is not in the image"));
            };
            for (into, &column) in into.iter_mut().zip(&columns) {
                *into = from.get(column).copied().unwrap_or_default();
            }
        }
        Ok(())
    }
}

/// Room for so many pixels.
fn buffer(bytes: &mut Vec<u8>, pixels: usize) -> &mut [u8] {
    bytes.resize(3 * pixels, 0);
    bytes
}

/// Rows of pixels in a larger image.
#[derive(Clone, Copy)]
struct Rows<'a> {
    /// From the first pixel on.
    bytes: &'a [u8],
    /// Bytes from a row to the next.
    stride: usize,
    width: usize,
}

impl<'a> Rows<'a> {
    fn of(image: &'a Image, window: Window) -> Self {
        let Window { top, left, width, .. } = window;
        let all = Self::whole(&image.pixels, image.width as usize);
        all.rows(top as usize).columns(left as usize, width as usize)
    }

    fn whole(bytes: &'a [u8], width: usize) -> Self {
        Self { bytes, stride: 3 * width, width }
    }

    fn rows(self, first: usize) -> Self {
        Self { bytes: self.bytes.get(first * self.stride..).unwrap_or_default(), ..self }
    }

    fn columns(self, first: usize, width: usize) -> Self {
        Self { bytes: self.bytes.get(3 * first..).unwrap_or_default(), width, ..self }
    }

    #[inline(always)]
    fn row(self, index: usize) -> &'a [u8] {
        let start = index * self.stride;
        self.bytes.get(start..start + 3 * self.width).unwrap_or_default()
    }
}

#[derive(Clone, Copy)]
struct Filter {
    weight: fn(f64) -> f64,
    /// Beyond it the weight is 0.
    radius: f64,
}

fn bilinear(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// With a = -0.5.
fn bicubic(x: f64) -> f64 {
    let x = x.abs();
    match x {
        ..1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        ..2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
        _ => 0.0,
    }
}

fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| match x * std::f64::consts::PI {
        0.0 => 1.0,
        x => x.sin() / x,
    };
    if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

/// Bits of a weight behind the point.
const PRECISION: u32 = 22;
const HALF: i32 = 1 << (PRECISION - 1);

/// For each new pixel of one dimension the first pixel that counts, and by how much that and the next ones do.
struct Weights {
    firsts: Vec<usize>,
    /// As many as the first number of `lengths`, then of the second, and so on.
    weights: Vec<i32>,
    lengths: Vec<usize>,
}

impl Weights {
    /// `size` pixels, of which `length` from `start` on become `to`, of which a span is shown.
    fn of(size: u32, (start, length): (f64, f64), to: u32, span: Span, filter: Filter) -> Self {
        // PIL knows areas as 32-bit floats.
        let (start, end) = (start as f32, (start + length) as f32);
        let scale = f64::from(end - start) / f64::from(to);
        let stretch = scale.max(1.0);
        let (reach, shrink) = (filter.radius * stretch, 1.0 / stretch);
        let mut made = Self { firsts: Vec::new(), weights: Vec::new(), lengths: Vec::new() };
        let mut parts = Vec::new();
        for pixel in span.start..span.start + span.length {
            let middle = f64::from(start) + (f64::from(pixel) + 0.5) * scale;
            // At least 0, as numbers below become it.
            let first = (middle - reach + 0.5) as u32;
            let last = ((middle + reach + 0.5) as u32).min(size);
            parts.clear();
            parts.extend((first..last).map(|from| (filter.weight)((f64::from(from) - middle + 0.5) * shrink)));
            let sum: f64 = parts.iter().sum();
            let one = f64::from(1 << PRECISION);
            made.firsts.push(first as usize);
            made.lengths.push(parts.len());
            made.weights.extend(parts.iter().map(|part| {
                let part = if sum == 0.0 { *part } else { part / sum } * one;
                (part + 0.5f64.copysign(part)) as i32
            }));
        }
        made
    }

    /// The first pixel that counts, and the one after the last.
    fn reach(&self) -> (usize, usize) {
        let ends = self.firsts.iter().zip(&self.lengths).map(|(first, length)| first + length);
        (self.firsts.iter().copied().min().unwrap_or(0), ends.max().unwrap_or(0))
    }

    /// Of pixels that are counted from `first` on.
    fn from(mut self, first: usize) -> Self {
        self.firsts.iter_mut().for_each(|pixel| *pixel -= first);
        self
    }

    fn each(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let mut weights = self.weights.as_slice();
        self.firsts.iter().zip(&self.lengths).map(move |(&first, &length)| {
            let (these, others) = weights.split_at(length);
            weights = others;
            (first, these)
        })
    }

    /// New rows of old ones.
    fn down(&self, source: Rows, into: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { self.down_avx2(source, into) };
        }
        self.down_by(source, into);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn down_avx2(&self, source: Rows, into: &mut [u8]) {
        self.down_by(source, into);
    }

    /// Compiled into [`Self::down_avx2`] for what that processor has.
    #[inline(always)]
    fn down_by(&self, source: Rows, into: &mut [u8]) {
        /// Sums that fit into registers.
        const BLOCK: usize = 64;
        let length = 3 * source.width;
        for ((first, weights), into) in self.each().zip(into.chunks_exact_mut(length.max(1))) {
            let mut at = 0;
            while at + BLOCK <= length {
                let mut sums = [HALF; BLOCK];
                for (row, &weight) in (first..).zip(weights) {
                    if let Some(levels) = source.row(row).get(at..).and_then(|row| row.first_chunk()) {
                        add(&mut sums, levels, weight);
                    }
                }
                if let Some(block) = into.get_mut(at..).and_then(|into| into.first_chunk_mut()) {
                    *block = sums.map(level);
                }
                // The last block laps over the one before it.
                at = if at + BLOCK < length { (at + BLOCK).min(length.saturating_sub(BLOCK)) } else { length };
            }
            for (at, into) in into.iter_mut().enumerate().skip(at) {
                let mut sum = [HALF];
                for (row, &weight) in (first..).zip(weights) {
                    add(&mut sum, &[source.row(row).get(at).copied().unwrap_or(0)], weight);
                }
                *into = level(sum[0]);
            }
        }
    }

    /// New columns of old ones.
    fn across(&self, source: Rows, into: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { self.across_avx2(source, into) };
        }
        self.across_by(source, into);
    }

    /// Four pixels at a time: a weight is cut into an upper and a lower half of 11 bits, so that 16-bit products, of which the
    /// processor adds two by two, are exact.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn across_avx2(&self, source: Rows, into: &mut [u8]) {
        use std::arch::x86_64::*;
        const CUT: u32 = PRECISION / 2;
        let quarters: Vec<(usize, usize)> = self
            .lengths
            .iter()
            .scan(0, |start, length| {
                let count = length.div_ceil(4);
                *start += count;
                Some((*start - count, count))
            })
            .collect();
        let mut halves: Vec<[[i16; 4]; 2]> = Vec::with_capacity(self.weights.len() / 2);
        for (_, weights) in self.each() {
            halves.extend(weights.chunks(4).map(|four| {
                let at = |index: usize| four.get(index).copied().unwrap_or(0);
                let weights = [at(0), at(1), at(2), at(3)];
                [weights.map(|weight| (weight >> CUT) as i16), weights.map(|weight| (weight & ((1 << CUT) - 1)) as i16)]
            }));
        }
        // Of 12 bytes red, green and blue of the first two pixels to one half, of the other two to the other, each with 16 bits.
        let zero = -1;
        #[rustfmt::skip]
        let apart = _mm256_setr_epi8(
            0, zero, 3, zero, 1, zero, 4, zero, 2, zero, 5, zero, zero, zero, zero, zero,
            6, zero, 9, zero, 7, zero, 10, zero, 8, zero, 11, zero, zero, zero, zero, zero,
        );
        let twice = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
        let spread = |four: &[i16; 4]| {
            let four = i64::from_ne_bytes(std::array::from_fn(|byte| four[byte / 2].to_ne_bytes()[byte % 2]));
            _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(_mm_cvtsi64_si128(four)), twice)
        };
        // Four rows at a time, so that weights are laid out once for all of them; what follows a row is read and does not count.
        let length = 3 * source.width;
        let stride = length + 16;
        let mut rows = vec![0u8; 4 * stride];
        let new_length = (3 * self.firsts.len()).max(1);
        for (index, into) in into.chunks_mut(4 * new_length).enumerate() {
            let count = into.len() / new_length;
            for (at, row) in rows.chunks_exact_mut(stride).take(count).enumerate() {
                row[..length].copy_from_slice(source.row(4 * index + at));
            }
            let [row0, row1, row2, row3] = [0, 1, 2, 3].map(|row| &rows[row * stride..(row + 1) * stride]);
            for (column, (&first, &(start, groups))) in self.firsts.iter().zip(&quarters).enumerate() {
                let mut sums = [[_mm256_setzero_si256(); 2]; 4];
                let (mut at, halves) = (3 * first, &halves[start..start + groups]);
                for [uppers, lowers] in halves {
                    let (uppers, lowers) = (spread(uppers), spread(lowers));
                    let end = at + 16;
                    for (sums, row) in
                        sums.iter_mut().zip([&row0[at..end], &row1[at..end], &row2[at..end], &row3[at..end]])
                    {
                        // SAFETY: the slice has 16 bytes, and as many are read.
                        let bytes = unsafe { _mm_loadu_si128(row.as_ptr().cast()) };
                        let levels = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), apart);
                        sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(levels, uppers));
                        sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(levels, lowers));
                    }
                    at += 12;
                }
                let [a, b, c, d] = sums.map(|[upper, lower]| {
                    let sums = _mm256_add_epi32(_mm256_slli_epi32::<{ CUT as i32 }>(upper), lower);
                    let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
                    _mm_srai_epi32::<{ PRECISION as i32 }>(_mm_add_epi32(sums, _mm_set1_epi32(HALF)))
                });
                let levels = _mm_packus_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
                let (low, high) = (_mm_cvtsi128_si64(levels), _mm_extract_epi64::<1>(levels));
                let four = [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32];
                for (row, four) in four.into_iter().take(count).enumerate() {
                    let [red, green, blue, _] = four.to_le_bytes();
                    let place = row * new_length + 3 * column;
                    into[place..place + 3].copy_from_slice(&[red, green, blue]);
                }
            }
        }
    }

    fn across_by(&self, source: Rows, into: &mut [u8]) {
        for (index, into) in into.chunks_exact_mut((3 * self.firsts.len()).max(1)).enumerate() {
            let row = source.row(index).as_chunks::<3>().0;
            for ((first, weights), into) in self.each().zip(into.as_chunks_mut::<3>().0) {
                let mut sums = [HALF; 3];
                for (pixel, &weight) in row.get(first..).unwrap_or_default().iter().zip(weights) {
                    add(&mut sums, pixel, weight);
                }
                *into = sums.map(level);
            }
        }
    }
}

#[inline(always)]
fn add<const COUNT: usize>(sums: &mut [i32; COUNT], levels: &[u8; COUNT], weight: i32) {
    for (sum, &level) in sums.iter_mut().zip(levels) {
        *sum = sum.wrapping_add(i32::from(level).wrapping_mul(weight));
    }
}

#[inline(always)]
fn level(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
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

    /// What is compiled for the processor at hand and what is compiled for any.
    #[test]
    fn every_processor_gives_the_same_pixels() {
        let mut random = crate::random::Random::new(5);
        for filter in [
            Filter { weight: bilinear, radius: 1.0 },
            Filter { weight: bicubic, radius: 2.0 },
            Filter { weight: lanczos, radius: 3.0 },
        ] {
            for (height, width, to) in [(1, 1, 5), (7, 3, 2), (33, 50, 21), (50, 131, 64), (40, 64, 300)] {
                let pixels: Vec<u8> = (0..3 * height * width).map(|_| random.next_u64() as u8).collect();
                let source = Rows::whole(&pixels, width);
                let weights = |size: usize| Weights::of(size as u32, (0.0, size as f64), to, Span::all(to), filter);
                let (mut ours, mut any) = (vec![0; 3 * to as usize * width], vec![0; 3 * to as usize * width]);
                weights(height).down(source, &mut ours);
                weights(height).down_by(source, &mut any);
                assert_eq!(ours, any);
                let (mut ours, mut any) = (vec![0; 3 * to as usize * height], vec![0; 3 * to as usize * height]);
                weights(width).across(source, &mut ours);
                weights(width).across_by(source, &mut any);
                assert_eq!(ours, any);
            }
        }
    }
}
