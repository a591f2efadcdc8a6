//! Other looks of the same image, for training: parts of it, mirrored, in other colours. What is drawn depends on nothing but the
//! generator that is passed in.
//!
//! The operations are torchvision's (`RandomResizedCrop`, `RandomCrop`, `RandomHorizontalFlip`, `ColorJitter`) and those of RandAugment (Cubuk
//! et al. 2020) with torchvision's magnitudes.

use serde::{Deserialize, Serialize};

use super::resize::{Area, resize};
use super::{Image, Preprocessing, prepare};
use crate::error::Result;
use crate::random::Random;

/// What is varied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Augmentation {
    /// A part of this share of the area, of a proportion of 3:4 to 4:3, is brought to the size of the network's input.
    pub random_resized_crop: Option<(f64, f64)>,
    /// The image as it is, moved by as much as this share of its side, black where it has left.
    pub shift: Option<f64>,
    /// The probability that left and right change places.
    pub flip: f64,
    /// By how much brightness, contrast and saturation vary (and the hue by a quarter of it).
    pub colour_jitter: Option<f64>,
    /// How many operations are drawn, and how strong they are, of 30.
    pub rand_augment: Option<(u32, u32)>,
}

impl Augmentation {
    /// For small images.
    pub fn light() -> Self {
        Self { random_resized_crop: None, shift: Some(0.125), flip: 0.5, colour_jitter: None, rand_augment: None }
    }

    /// For photographs: what torchvision's and timm's scripts begin with.
    pub fn standard() -> Self {
        Self { random_resized_crop: Some((0.35, 1.0)), shift: None, flip: 0.5, colour_jitter: None, rand_augment: None }
    }

    /// For long training.
    pub fn strong() -> Self {
        Self { colour_jitter: Some(0.4), rand_augment: Some((2, 9)), ..Self::standard() }
    }
}

/// What the network sees of an image this time, `[height, width, 3]`.
pub fn augment(image: &Image, how: &Preprocessing, with: &Augmentation, random: &mut Random) -> Result<Vec<u8>> {
    let (height, width) = how.output();
    let mut pixels = match with.random_resized_crop {
        Some(share) => resize(image, random_area(image, share, random), height, width, how.interpolation)?,
        None => prepare(image, how)?,
    };
    let (rows, columns) = (height as usize, width as usize);
    if let Some(share) = with.shift {
        let mut drawn = |side: usize| {
            let most = (share * side as f64).round() as u64;
            random.below(2 * most + 1) as i64 - most as i64
        };
        let (down, right) = (drawn(rows), drawn(columns));
        pixels = moved(&pixels, columns, |x, y| (x as f64 - right as f64, y as f64 - down as f64));
    }
    if random.unit() < with.flip {
        for row in pixels.chunks_exact_mut(3 * columns.max(1)) {
            let (mut left, mut right) = (0, columns.saturating_sub(1));
            while left < right {
                (0..3).for_each(|channel| row.swap(3 * left + channel, 3 * right + channel));
                (left, right) = (left + 1, right - 1);
            }
        }
    }
    if let Some(strength) = with.colour_jitter {
        jitter(&mut pixels, strength, random);
    }
    if let Some((operations, magnitude)) = with.rand_augment {
        for _ in 0..operations {
            pixels = drawn_operation(pixels, columns, f64::from(magnitude.min(30)) / 30.0, random);
        }
    }
    Ok(pixels)
}

/// torchvision's `RandomResizedCrop.get_params`: ten tries, then the middle.
fn random_area(image: &Image, (least, most): (f64, f64), random: &mut Random) -> Area {
    let (height, width) = (f64::from(image.height), f64::from(image.width));
    let (narrow, wide) = (0.75f64, 4.0f64 / 3.0);
    for _ in 0..10 {
        let target = height * width * (least + (most - least) * random.unit());
        let ratio = (narrow.ln() + (wide.ln() - narrow.ln()) * random.unit()).exp();
        let (w, h) = ((target * ratio).sqrt().round(), (target / ratio).sqrt().round());
        if w > 0.0 && w <= width && h > 0.0 && h <= height {
            let top = random.below((height - h) as u64 + 1) as f64;
            let left = random.below((width - w) as u64 + 1) as f64;
            return Area { left, top, width: w, height: h };
        }
    }
    let ratio = width / height;
    let (w, h) = match () {
        () if ratio < narrow => (width, (width / narrow).round().min(height)),
        () if ratio > wide => ((height * wide).round().min(width), height),
        () => (width, height),
    };
    Area { left: ((width - w) / 2.0).floor(), top: ((height - h) / 2.0).floor(), width: w, height: h }
}

/// The image whose pixel at (x, y) is the one nearest to `from(x, y)`; black beyond the edges.
fn moved(pixels: &[u8], columns: usize, from: impl Fn(usize, usize) -> (f64, f64)) -> Vec<u8> {
    let columns = columns.max(1);
    let rows = pixels.len() / (3 * columns);
    let mut result = vec![0; pixels.len()];
    for (place, into) in result.chunks_exact_mut(3).enumerate() {
        let (x, y) = from(place % columns, place / columns);
        let (x, y) = (x.round(), y.round());
        if x >= 0.0 && y >= 0.0 && x < columns as f64 && y < rows as f64 {
            let at = 3 * (y as usize * columns + x as usize);
            if let Some(pixel) = pixels.get(at..at + 3) {
                into.copy_from_slice(pixel);
            }
        }
    }
    result
}

/// Each byte as a function of it.
fn by_table(pixels: &mut [u8], of: impl Fn(f64) -> f64) {
    let table: Vec<u8> = (0..256).map(|value| clamped(of(f64::from(value)))).collect();
    pixels.iter_mut().for_each(|value| *value = table.get(usize::from(*value)).copied().unwrap_or(*value));
}

fn clamped(value: f64) -> u8 {
    value.clamp(0.0, 255.0) as u8
}

/// ITU-R 601-2, as PIL's grey.
fn grey(pixel: &[u8]) -> f64 {
    match pixel {
        &[red, green, blue] => 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue),
        _ => 0.0,
    }
}

fn brightness(pixels: &mut [u8], factor: f64) {
    by_table(pixels, |value| value * factor);
}

fn contrast(pixels: &mut [u8], factor: f64) {
    let count = (pixels.len() / 3).max(1) as f64;
    let mean = (pixels.chunks_exact(3).map(grey).sum::<f64>() / count).round();
    by_table(pixels, |value| mean + factor * (value - mean));
}

fn saturation(pixels: &mut [u8], factor: f64) {
    for pixel in pixels.chunks_exact_mut(3) {
        let grey = grey(pixel).round();
        pixel.iter_mut().for_each(|value| *value = clamped(grey + factor * (f64::from(*value) - grey)));
    }
}

/// Turns the hue by a share of the circle.
fn hue(pixels: &mut [u8], turn: f64) {
    for pixel in pixels.chunks_exact_mut(3) {
        let [red, green, blue] = match pixel {
            &mut [red, green, blue] => [red, green, blue].map(|value| f64::from(value) / 255.0),
            _ => continue,
        };
        let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
        let range = most - least;
        if range == 0.0 {
            continue;
        }
        let sector = if most == red {
            ((green - blue) / range).rem_euclid(6.0)
        } else if most == green {
            (blue - red) / range + 2.0
        } else {
            (red - green) / range + 4.0
        };
        let sector = (sector + 6.0 * turn).rem_euclid(6.0);
        let part = |shift: f64| {
            let at = (shift + sector).rem_euclid(6.0);
            most - range * at.min(4.0 - at).clamp(0.0, 1.0)
        };
        for (value, shift) in pixel.iter_mut().zip([5.0, 3.0, 1.0]) {
            *value = clamped((255.0 * part(shift)).round());
        }
    }
}

/// torchvision's `ColorJitter(strength, strength, strength, strength / 4)`: in an order that is drawn too.
fn jitter(pixels: &mut [u8], strength: f64, random: &mut Random) {
    let mut order = [0, 1, 2, 3];
    random.shuffle(&mut order);
    for operation in order {
        let spread = 2.0 * random.unit() - 1.0;
        let factor = (1.0 + strength * spread).max(0.0);
        match operation {
            0 => brightness(pixels, factor),
            1 => contrast(pixels, factor),
            2 => saturation(pixels, factor),
            _ => hue(pixels, spread * (strength / 4.0).min(0.5)),
        }
    }
}

/// One of torchvision's RandAugment operations, at a magnitude of 0 to 1.
fn drawn_operation(mut pixels: Vec<u8>, columns: usize, magnitude: f64, random: &mut Random) -> Vec<u8> {
    let rows = pixels.len() / (3 * columns.max(1));
    let (middle_x, middle_y) = ((columns as f64 - 1.0) / 2.0, (rows as f64 - 1.0) / 2.0);
    let operation = random.below(14);
    let sign = if random.below(2) == 0 { 1.0 } else { -1.0 };
    match operation {
        1 => return moved(&pixels, columns, |x, y| (x as f64 + sign * 0.3 * magnitude * y as f64, y as f64)),
        2 => return moved(&pixels, columns, |x, y| (x as f64, y as f64 + sign * 0.3 * magnitude * x as f64)),
        3 => {
            let shift = (sign * 150.0 / 331.0 * magnitude * columns as f64).trunc();
            return moved(&pixels, columns, |x, y| (x as f64 - shift, y as f64));
        }
        4 => {
            let shift = (sign * 150.0 / 331.0 * magnitude * rows as f64).trunc();
            return moved(&pixels, columns, |x, y| (x as f64, y as f64 - shift));
        }
        5 => {
            let (sin, cos) = (sign * 30.0 * magnitude).to_radians().sin_cos();
            return moved(&pixels, columns, |x, y| {
                let (x, y) = (x as f64 - middle_x, y as f64 - middle_y);
                (cos * x - sin * y + middle_x, sin * x + cos * y + middle_y)
            });
        }
        6 => brightness(&mut pixels, 1.0 + sign * 0.9 * magnitude),
        7 => saturation(&mut pixels, 1.0 + sign * 0.9 * magnitude),
        8 => contrast(&mut pixels, 1.0 + sign * 0.9 * magnitude),
        9 => return sharpened(&pixels, columns, 1.0 + sign * 0.9 * magnitude),
        10 => {
            let mask = 0xFFu8 << (4.0 * magnitude).round().min(7.0) as u32;
            pixels.iter_mut().for_each(|value| *value &= mask);
        }
        11 => by_table(&mut pixels, |value| if value >= 255.0 * (1.0 - magnitude) { 255.0 - value } else { value }),
        12 => by_channel(&mut pixels, stretched),
        13 => by_channel(&mut pixels, equalised),
        _ => {}
    }
    pixels
}

/// PIL's `Sharpness`: away from, or towards, the image under a 3 × 3 smoothing filter; edges stay.
fn sharpened(pixels: &[u8], columns: usize, factor: f64) -> Vec<u8> {
    let stride = 3 * columns.max(1);
    let rows = pixels.len() / stride;
    let mut result = pixels.to_vec();
    for y in 1..rows.saturating_sub(1) {
        for at in y * stride + 3..(y + 1) * stride - 3 {
            let value = |offset: usize| pixels.get(offset).map_or(0.0, |&value| f64::from(value));
            let around: f64 =
                [at - stride, at, at + stride].iter().map(|&at| value(at - 3) + value(at) + value(at + 3)).sum();
            let smooth = ((around + 4.0 * value(at)) / 13.0).round();
            if let Some(into) = result.get_mut(at) {
                *into = clamped(smooth + factor * (value(at) - smooth));
            }
        }
    }
    result
}

/// Each channel through the table that `of` makes from its histogram.
fn by_channel(pixels: &mut [u8], of: impl Fn(&[u64; 256]) -> [u8; 256]) {
    for channel in 0..3 {
        let mut histogram = [0u64; 256];
        for &value in pixels.iter().skip(channel).step_by(3) {
            histogram[usize::from(value)] += 1;
        }
        let table = of(&histogram);
        pixels.iter_mut().skip(channel).step_by(3).for_each(|value| *value = table[usize::from(*value)]);
    }
}

/// The darkest becomes black, the lightest white.
fn stretched(histogram: &[u64; 256]) -> [u8; 256] {
    let least = histogram.iter().position(|&count| count > 0).unwrap_or(0) as f64;
    let most = histogram.iter().rposition(|&count| count > 0).unwrap_or(255) as f64;
    let scale = if most > least { 255.0 / (most - least) } else { 1.0 };
    let low = if most > least { least } else { 0.0 };
    std::array::from_fn(|value| clamped((value as f64 - low) * scale))
}

/// PIL's `ImageOps.equalize`: all levels about as often.
fn equalised(histogram: &[u64; 256]) -> [u8; 256] {
    let last = histogram.iter().rev().copied().find(|&count| count > 0).unwrap_or(0);
    let step = (histogram.iter().sum::<u64>() - last) / 255;
    let mut sum = step / 2;
    std::array::from_fn(|value| {
        if step == 0 {
            return value as u8;
        }
        let level = (sum / step).min(255) as u8;
        sum += histogram[value];
        level
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Interpolation, Resize};
    use super::*;

    fn image() -> Image {
        let pixels = (0..40 * 50 * 3).map(|index| (index * 7 % 251) as u8).collect();
        Image { height: 40, width: 50, pixels }
    }

    const HOW: Preprocessing = Preprocessing {
        resize: Resize::Shortest(36),
        crop: (32, 32),
        interpolation: Interpolation::Bilinear,
        mean: [0.0; 3],
        deviation: [1.0; 3],
    };

    #[test]
    fn the_same_draw_is_the_same_image_and_another_is_not() -> Result<()> {
        for with in [Augmentation::light(), Augmentation::standard(), Augmentation::strong()] {
            let draw = |seed| augment(&image(), &HOW, &with, &mut Random::of(&[seed]));
            assert_eq!(draw(1)?, draw(1)?);
            assert_eq!(draw(1)?.len(), 32 * 32 * 3);
            assert!((2..8).any(|seed| draw(seed).unwrap() != draw(1).unwrap()));
        }
        Ok(())
    }

    #[test]
    fn any_image_bears_every_operation() -> Result<()> {
        let mut random = Random::new(3);
        for (height, width) in [(1, 1), (1, 90), (90, 1), (3, 2), (64, 48)] {
            let image = Image { height, width, pixels: vec![200; 3 * (height * width) as usize] };
            for _ in 0..60 {
                augment(&image, &HOW, &Augmentation::strong(), &mut random)?;
                augment(&image, &HOW, &Augmentation::light(), &mut random)?;
            }
        }
        Ok(())
    }

    #[test]
    fn areas_lie_within_the_image_and_have_the_share() {
        let mut random = Random::new(1);
        for _ in 0..500 {
            let Area { left, top, width, height } = random_area(&image(), (0.35, 1.0), &mut random);
            assert!(left >= 0.0 && top >= 0.0 && left + width <= 50.0 && top + height <= 40.0);
            assert!(width * height >= 0.3 * 2000.0);
        }
    }

    #[test]
    fn colours_change_as_they_should() {
        let mut turned = vec![255, 0, 0];
        hue(&mut turned, 1.0 / 3.0);
        assert_eq!(turned, [0, 255, 0]);
        let mut grey = vec![10, 200, 30];
        saturation(&mut grey, 0.0);
        assert_eq!(grey, [124, 124, 124]);
        let mut bright = vec![100, 200, 0];
        brightness(&mut bright, 1.5);
        assert_eq!(bright, [150, 255, 0]);
    }
}
