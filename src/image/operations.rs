//! The operations that augmentation is made of, on 8-bit RGB, to the pixel those of PIL that torchvision calls for its
//! `transforms.functional` and `autoaugment`. Which of them are used, and how strongly, is
//! [`crate::image::augment()`]'s.

use serde::{Deserialize, Serialize};

use crate::image::Image;

/// One change of an image, which keeps its size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// 0 is black, 1 the image.
    Brightness(f32),
    /// 0 is the mean grey, 1 the image.
    Contrast(f32),
    /// 0 is grey, 1 the image.
    Saturation(f32),
    /// 0 is smoothed, 1 the image.
    Sharpness(f32),
    /// Turns the circle of colours by this part of it, -0.5 to 0.5.
    Hue(f32),
    /// Shifts each row by this part of its distance from the top, to the left; black follows.
    ShearX(f64),
    /// Shifts each column by this part of its distance from the left, upwards.
    ShearY(f64),
    /// Pixels to the right.
    TranslateX(i32),
    /// Pixels downwards.
    TranslateY(i32),
    /// Degrees against the clock around the middle.
    Rotate(f64),
    /// Keeps this many bits of each colour, 1 to 8.
    Posterize(u8),
    /// Inverts what is not below this.
    Solarize(f32),
    /// Stretches each colour to 0 to 255.
    AutoContrast,
    /// Makes every level of each colour about as frequent.
    Equalize,
    /// Left becomes right.
    Flip,
}

impl Operation {
    /// Changes the image in place; what is moved out of it is lost.
    pub fn apply(self, image: &mut Image) {
        match self {
            Self::Brightness(factor) => by_level(image, |_, level| mixed(0, level, factor)),
            Self::Contrast(factor) => {
                let mean = mean_grey(image);
                by_level(image, |_, level| mixed(mean, level, factor));
            }
            Self::Saturation(factor) => {
                for pixel in image.pixels.as_chunks_mut::<3>().0 {
                    let grey = grey(pixel);
                    *pixel = pixel.map(|level| mixed(grey, level, factor));
                }
            }
            Self::Sharpness(factor) => {
                let smooth = smoothed(image);
                for (level, smooth) in image.pixels.iter_mut().zip(smooth) {
                    *level = mixed(smooth, *level, factor);
                }
            }
            Self::Hue(shift) => {
                let shift = (shift * 255.0) as i32 as u8;
                for pixel in image.pixels.as_chunks_mut::<3>().0 {
                    let [hue, saturation, value] = to_hsv(*pixel);
                    *pixel = from_hsv([hue.wrapping_add(shift), saturation, value]);
                }
            }
            Self::ShearX(part) => moved(image, [1.0, part, 0.0, 0.0, 1.0, 0.0]),
            Self::ShearY(part) => moved(image, [1.0, 0.0, 0.0, part, 1.0, 0.0]),
            Self::TranslateX(pixels) => moved(image, [1.0, 0.0, -f64::from(pixels), 0.0, 1.0, 0.0]),
            Self::TranslateY(pixels) => moved(image, [1.0, 0.0, 0.0, 0.0, 1.0, -f64::from(pixels)]),
            Self::Rotate(degrees) => moved(image, rotation(image, degrees)),
            Self::Posterize(bits) => {
                let mask = u8::MAX << 8u32.saturating_sub(u32::from(bits)).min(7);
                by_level(image, |_, level| level & mask);
            }
            Self::Solarize(threshold) => {
                by_level(image, |_, level| if f32::from(level) < threshold { level } else { 255 - level });
            }
            Self::AutoContrast => {
                let stretches = histograms(image).map(|histogram| stretch(&histogram));
                by_level(image, |colour, level| stretches[colour][usize::from(level)]);
            }
            Self::Equalize => {
                let equals = histograms(image).map(|histogram| equalization(&histogram));
                by_level(image, |colour, level| equals[colour][usize::from(level)]);
            }
            Self::Flip => {
                for row in image.pixels.chunks_exact_mut((3 * image.width as usize).max(1)) {
                    row.as_chunks_mut::<3>().0.reverse();
                }
            }
        }
    }
}

/// PIL's `blend`: from `zero` at 0 through `one` at 1 and beyond, cut off, not rounded.
fn mixed(zero: u8, one: u8, factor: f32) -> u8 {
    (f32::from(zero) + factor * (f32::from(one) - f32::from(zero))) as u8
}

/// Changes every level of a colour (0 red, 1 green, 2 blue) to what `to` says.
fn by_level(image: &mut Image, to: impl Fn(usize, u8) -> u8) {
    let table = [0, 1, 2].map(|colour| std::array::from_fn::<u8, 256, _>(|level| to(colour, level as u8)));
    for pixel in image.pixels.as_chunks_mut::<3>().0 {
        let [red, green, blue] = *pixel;
        *pixel = [table[0][usize::from(red)], table[1][usize::from(green)], table[2][usize::from(blue)]];
    }
}

/// ITU-R 601's luma.
fn grey(&[red, green, blue]: &[u8; 3]) -> u8 {
    ((19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue) + 0x8000) >> 16) as u8
}

fn mean_grey(image: &Image) -> u8 {
    let pixels = image.pixels.as_chunks::<3>().0;
    let sum: u64 = pixels.iter().map(|pixel| u64::from(grey(pixel))).sum();
    (sum as f64 / pixels.len().max(1) as f64 + 0.5) as u8
}

/// PIL's SMOOTH: a pixel counts 5 of 13 times, each of its neighbours once; the edge stays as it is.
fn smoothed(image: &Image) -> Vec<u8> {
    let mut smooth = image.pixels.clone();
    let (height, width) = (image.height as usize, image.width as usize);
    if height < 3 || width < 3 {
        return smooth;
    }
    let (beside, itself) = (1.0f32 / 13.0, 5.0f32 / 13.0);
    let rows: Vec<&[u8]> = image.pixels.chunks_exact(3 * width).collect();
    let inner = smooth.chunks_exact_mut(3 * width).skip(1);
    for (into, around) in inner.zip(rows.windows(3)) {
        let [above, row, below] = around else { continue };
        let three = |row: &[u8], at: usize, middle: f32| {
            f32::from(row[at - 3]) * beside + f32::from(row[at]) * middle + f32::from(row[at + 3]) * beside
        };
        for (at, into) in into.iter_mut().enumerate().take(3 * (width - 1)).skip(3) {
            // In this order the sums are rounded as PIL's are.
            let sum = 0.5 + three(below, at, beside) + three(row, at, itself) + three(above, at, beside);
            *into = sum as u8;
        }
    }
    smooth
}

/// Hue, saturation and value, each 0 to 255; the mixture of precisions is PIL's.
fn to_hsv(pixel: [u8; 3]) -> [u8; 3] {
    let [red, green, blue] = pixel;
    let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
    if most == least {
        return [0, 0, most];
    }
    let spread = f32::from(most - least);
    let saturation = spread / f32::from(most);
    let [from_red, from_green, from_blue] = pixel.map(|level| f32::from(most - level) / spread);
    let hue = if red == most {
        from_blue - from_green
    } else if green == most {
        (2.0 + f64::from(from_red) - f64::from(from_blue)) as f32
    } else {
        (4.0 + f64::from(from_green) - f64::from(from_red)) as f32
    };
    let hue = ((f64::from(hue) / 6.0 + 1.0) % 1.0) as f32;
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, most]
}

fn from_hsv([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [value; 3];
    }
    let sixth = f64::from(hue) * 6.0 / 255.0;
    let within = (sixth - sixth.floor()) as f32;
    let saturation = (f64::from(saturation) / 255.0) as f32;
    let part = |lost: f64| (f64::from(value) * (1.0 - lost)).round() as u8;
    let low = part(f64::from(saturation));
    let falling = part(f64::from(saturation * within));
    let rising = part(f64::from(saturation) * (1.0 - f64::from(within)));
    match sixth as u8 % 6 {
        0 => [value, rising, low],
        1 => [falling, value, low],
        2 => [low, value, rising],
        3 => [low, falling, value],
        4 => [rising, low, value],
        _ => [value, low, falling],
    }
}

/// How often each level of each colour occurs.
fn histograms(image: &Image) -> [[u64; 256]; 3] {
    let mut counts = [[0; 256]; 3];
    for pixel in image.pixels.as_chunks::<3>().0 {
        for (counts, &level) in counts.iter_mut().zip(pixel) {
            counts[usize::from(level)] += 1;
        }
    }
    counts
}

fn unchanged() -> [u8; 256] {
    std::array::from_fn(|level| level as u8)
}

fn stretch(histogram: &[u64; 256]) -> [u8; 256] {
    let occurs = |&count: &u64| count > 0;
    match (histogram.iter().position(occurs), histogram.iter().rposition(occurs)) {
        (Some(low), Some(high)) if low < high => {
            let scale = 255.0 / (high - low) as f64;
            let offset = -(low as f64) * scale;
            std::array::from_fn(|level| (level as f64 * scale + offset) as u8)
        }
        _ => unchanged(),
    }
}

fn equalization(histogram: &[u64; 256]) -> [u8; 256] {
    let last = histogram.iter().rfind(|&&count| count > 0).copied().unwrap_or(0);
    let step = (histogram.iter().sum::<u64>() - last) / 255;
    if step == 0 {
        return unchanged();
    }
    let mut sum = step / 2;
    histogram.map(|count| {
        let level = sum / step;
        sum += count;
        level.min(255) as u8
    })
}

/// Takes each pixel `(x, y)` from where `[a, b, c, d, e, f]` says: `(a x + b y + c, d x + e y + f)`, the nearest,
/// counted with 16 fractional bits, as PIL does; black where that is beyond the image.
fn moved(image: &mut Image, from: [f64; 6]) {
    let fixed = |value: f64| (value * 65_536.0 + 0.5).floor() as i64;
    let [a, b, c, d, e, f] = from;
    let (mut row_x, mut row_y) = (fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5));
    let (height, width) = (i64::from(image.height), i64::from(image.width));
    let mut moved = vec![0; image.pixels.len()];
    let source = image.pixels.as_chunks::<3>().0;
    for row in moved.as_chunks_mut::<3>().0.chunks_exact_mut((width as usize).max(1)) {
        let (mut x, mut y) = (row_x, row_y);
        for pixel in row {
            let (column, line) = (x >> 16, y >> 16);
            if (0..width).contains(&column) && (0..height).contains(&line) {
                *pixel = source.get((line * width + column) as usize).copied().unwrap_or_default();
            }
            x += fixed(a);
            y += fixed(d);
        }
        row_x += fixed(b);
        row_y += fixed(e);
    }
    image.pixels = moved;
}

fn rotation(image: &Image, degrees: f64) -> [f64; 6] {
    let (sin, cos) = (-degrees.rem_euclid(360.0).to_radians()).sin_cos();
    let (x, y) = (f64::from(image.width) / 2.0, f64::from(image.height) / 2.0);
    [cos, sin, x - (cos * x + sin * y), -sin, cos, y - (-sin * x + cos * y)]
}
