//! The two passes of PIL's resampling: the weights of a filter along one dimension, and new rows and columns of old
//! ones, bit-identical to PIL's (Pillow 13, src/libImaging/Resample.c). Which passes are made, of which part of an
//! image, is [`super::resize`]'s.

use crate::image::pixels::Image;

/// Whole pixels of an image, beyond which nothing is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    pub top: u32,
    pub left: u32,
    pub height: u32,
    pub width: u32,
}

impl Region {
    pub fn all(image: &Image) -> Self {
        Self { top: 0, left: 0, height: image.height, width: image.width }
    }
}

/// What a crop from the middle shows of one dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Where it begins in what is cropped.
    pub start: u32,
    pub length: u32,
    /// Where it lies in the crop.
    pub place: u32,
}

impl Span {
    /// torchvision's `center_crop`.
    pub fn of(size: u32, crop: u32) -> Self {
        if crop > size {
            return Self { start: 0, length: size, place: (crop - size) / 2 };
        }
        let start = (f64::from(size - crop) / 2.0).round_ties_even() as u32;
        Self { start, length: crop, place: 0 }
    }

    pub fn all(length: u32) -> Self {
        Self { start: 0, length, place: 0 }
    }
}

/// Rows of pixels in a larger image.
#[derive(Clone, Copy)]
pub struct PixelRows<'a> {
    /// From the first pixel on.
    bytes: &'a [u8],
    /// Bytes from a row to the next.
    stride: usize,
    width: usize,
}

impl<'a> PixelRows<'a> {
    pub fn of(image: &'a Image, region: Region) -> Self {
        let Region { top, left, width, .. } = region;
        let all = Self::whole(&image.pixels, image.width as usize);
        all.rows(top as usize).columns(left as usize, width as usize)
    }

    pub fn whole(bytes: &'a [u8], width: usize) -> Self {
        Self { bytes, stride: 3 * width, width }
    }

    pub fn rows(self, first: usize) -> Self {
        Self { bytes: self.bytes.get(first * self.stride..).unwrap_or_default(), ..self }
    }

    pub fn columns(self, first: usize, width: usize) -> Self {
        Self { bytes: self.bytes.get(3 * first..).unwrap_or_default(), width, ..self }
    }

    #[inline(always)]
    fn row(self, index: usize) -> &'a [u8] {
        let start = index * self.stride;
        self.bytes.get(start..start + 3 * self.width).unwrap_or_default()
    }
}

#[derive(Clone, Copy)]
pub struct Filter {
    pub weight: fn(f64) -> f64,
    /// Beyond it the weight is 0.
    pub radius: f64,
}

pub fn bilinear(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// With a = -0.5.
pub fn bicubic(x: f64) -> f64 {
    let x = x.abs();
    match x {
        ..1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        ..2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
        _ => 0.0,
    }
}

pub fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| match x * std::f64::consts::PI {
        0.0 => 1.0,
        x => x.sin() / x,
    };
    if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

/// Fractional bits of a weight.
const PRECISION: u32 = 22;
const HALF: i32 = 1 << (PRECISION - 1);

/// For each new pixel of one dimension the first pixel that counts, and by how much that and the next ones do.
pub struct Weights {
    firsts: Vec<usize>,
    /// As many as the first number of `lengths`, then of the second, and so on.
    weights: Vec<i32>,
    lengths: Vec<usize>,
}

impl Weights {
    /// `size` pixels, of which `length` from `start` on become `to`, of which a span is shown.
    pub fn of(size: u32, (start, length): (f64, f64), to: u32, span: Span, filter: Filter) -> Self {
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
    pub fn reach(&self) -> (usize, usize) {
        let ends = self.firsts.iter().zip(&self.lengths).map(|(first, length)| first + length);
        (self.firsts.iter().copied().min().unwrap_or(0), ends.max().unwrap_or(0))
    }

    /// Of pixels that are counted from `first` on.
    pub fn from(mut self, first: usize) -> Self {
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
    pub fn down(&self, source: PixelRows, into: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { self.down_avx2(source, into) };
        }
        self.down_by(source, into);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn down_avx2(&self, source: PixelRows, into: &mut [u8]) {
        self.down_by(source, into);
    }

    /// Compiled into [`Self::down_avx2`] for what that processor has.
    #[inline(always)]
    fn down_by(&self, source: PixelRows, into: &mut [u8]) {
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
    pub fn across(&self, source: PixelRows, into: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { self.across_avx2(source, into) };
        }
        self.across_by(source, into);
    }

    /// Four pixels at a time: a weight is cut into an upper and a lower half of 11 bits, so that 16-bit products, of
    /// which the processor adds two by two, are exact.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn across_avx2(&self, source: PixelRows, into: &mut [u8]) {
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
        // Of 12 bytes red, green and blue of the first two pixels to one half, of the other two to the other, each with
        // 16 bits.
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
        // Four rows at a time, so that weights are laid out once for all of them; what follows a row is read and does
        // not count.
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

    fn across_by(&self, source: PixelRows, into: &mut [u8]) {
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
                let source = PixelRows::whole(&pixels, width);
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
