//! Resizing as PIL does it, and the sizes and crops of torchvision's `Resize` and `CenterCrop`.

use std::cell::RefCell;

use fast_image_resize::images::{Image as Resized, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::{Image, Interpolation, Preprocessing, Resize};
use crate::error::{Error, Result};

/// A part of an image, in pixels; edges may lie between two of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

thread_local! {
    /// Keeps its buffers and coefficients from one image to the next.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// `area` of an image as `height` × `width` pixels, `[height, width, 3]`. Within a level of PIL's `resize(box=…)`.
///
/// # Errors
/// The area is empty or not within the image.
pub fn resize(image: &Image, area: Area, height: u32, width: u32, how: Interpolation) -> Result<Vec<u8>> {
    let failed = |error: String| Error::failure(format!("the image cannot be resized: {error}"));
    let algorithm = match how {
        Interpolation::Nearest => ResizeAlg::Nearest,
        Interpolation::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
        // Both have a = -0.5.
        Interpolation::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
        Interpolation::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
    };
    let whole = area.left == 0.0
        && area.top == 0.0
        && area.width == f64::from(image.width)
        && area.height == f64::from(image.height);
    if whole && (height, width) == (image.height, image.width) {
        return Ok(image.pixels.clone());
    }
    let source = ImageRef::new(image.width, image.height, &image.pixels, PixelType::U8x3)
        .map_err(|error| failed(error.to_string()))?;
    let mut pixels = vec![0; 3 * height as usize * width as usize];
    let mut target = Resized::from_slice_u8(width, height, &mut pixels, PixelType::U8x3)
        .map_err(|error| failed(error.to_string()))?;
    let options =
        ResizeOptions::new().resize_alg(algorithm).use_alpha(false).crop(area.left, area.top, area.width, area.height);
    RESIZER
        .with_borrow_mut(|resizer| resizer.resize(&source, &mut target, &options))
        .map_err(|error| failed(error.to_string()))?;
    drop(target);
    Ok(pixels)
}

/// What the network sees of an image: resized, the middle cropped; `[height, width, 3]`. Only what is cropped is computed.
pub fn prepare(image: &Image, how: &Preprocessing) -> Result<Vec<u8>> {
    let (height, width) = resized_size(image, how.resize);
    let (crop_height, crop_width) = how.crop;
    let (top, left) = (offset(height, crop_height), offset(width, crop_width));
    // What of the crop lies on the image; beyond it is black, as torchvision pads.
    let inner_height = crop_height.min(height);
    let inner_width = crop_width.min(width);
    let scale_y = f64::from(image.height) / f64::from(height);
    let scale_x = f64::from(image.width) / f64::from(width);
    let area = Area {
        left: left.max(0) as f64 * scale_x,
        top: top.max(0) as f64 * scale_y,
        width: (f64::from(inner_width) * scale_x).min(f64::from(image.width)),
        height: (f64::from(inner_height) * scale_y).min(f64::from(image.height)),
    };
    let inner = resize(image, area, inner_height, inner_width, how.interpolation)?;
    if (inner_height, inner_width) == (crop_height, crop_width) {
        return Ok(inner);
    }
    let mut padded = vec![0; 3 * crop_height as usize * crop_width as usize];
    let (top, left) = ((-top).max(0) as usize, (-left).max(0) as usize);
    let rows = padded.chunks_exact_mut(3 * crop_width as usize).skip(top);
    for (row, inner) in rows.zip(inner.chunks_exact(3 * inner_width.max(1) as usize)) {
        if let Some(place) = row.get_mut(3 * left..3 * left + inner.len()) {
            place.copy_from_slice(inner);
        }
    }
    Ok(padded)
}

/// Height and width after torchvision's `Resize`.
fn resized_size(image: &Image, how: Resize) -> (u32, u32) {
    let (height, width) = (u64::from(image.height.max(1)), u64::from(image.width.max(1)));
    match how {
        Resize::Exact { height, width } => (height.max(1), width.max(1)),
        Resize::Shortest(side) => {
            let side = u64::from(side.max(1));
            let longer = |long: u64, short: u64| (side * long / short).min(u64::from(u32::MAX)) as u32;
            if width <= height { (longer(height, width), side as u32) } else { (side as u32, longer(width, height)) }
        }
    }
}

/// Where the middle `crop` of `size` begins, rounded as Python rounds; negative where there is padding.
fn offset(size: u32, crop: u32) -> i64 {
    let difference = i64::from(size) - i64::from(crop);
    if difference < 0 {
        // torchvision pads (crop - size) // 2 before.
        return -((-difference) / 2);
    }
    (difference as f64 / 2.0).round_ties_even() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(height: u32, width: u32) -> Image {
        let pixels = (0..height)
            .flat_map(|y| (0..width).flat_map(move |x| [(x * 255 / width) as u8, (y * 255 / height) as u8, 7]));
        Image { height, width, pixels: pixels.collect() }
    }

    fn how(resize: Resize, crop: (u32, u32)) -> Preprocessing {
        Preprocessing { resize, crop, interpolation: Interpolation::Bilinear, mean: [0.0; 3], deviation: [1.0; 3] }
    }

    #[test]
    fn the_part_that_is_cropped_is_the_part_of_the_whole() -> Result<()> {
        for (height, width) in [(300, 401), (97, 64), (64, 97), (33, 500)] {
            let image = gradient(height, width);
            let (full_height, full_width) = resized_size(&image, Resize::Shortest(40));
            let whole = prepare(&image, &how(Resize::Shortest(40), (full_height, full_width)))?;
            let part = prepare(&image, &how(Resize::Shortest(40), (32, 32)))?;
            let (top, left) = (offset(full_height, 32) as usize, offset(full_width, 32) as usize);
            for y in 0..32 {
                for x in 0..96 {
                    let expected = whole[3 * ((top + y) * full_width as usize + left) + x];
                    assert!(part[y * 96 + x].abs_diff(expected) <= 1, "{height} {width} {y} {x}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_crop_that_is_too_large_is_padded() -> Result<()> {
        let image = Image { height: 2, width: 2, pixels: vec![9; 12] };
        let pixels = prepare(&image, &how(Resize::Shortest(2), (5, 4)))?;
        let expected: Vec<u8> = [[0, 0, 0, 0], [0, 9, 9, 0], [0, 9, 9, 0], [0; 4], [0; 4]]
            .iter()
            .flat_map(|row| row.iter().flat_map(|&value| [value; 3]))
            .collect();
        assert_eq!(pixels, expected);
        Ok(())
    }

    #[test]
    fn sizes_are_torchvisions() {
        let size = |height, width, side| resized_size(&gradient(height, width), Resize::Shortest(side));
        assert_eq!(size(333, 500, 256), (256, 384));
        assert_eq!(size(500, 333, 256), (384, 256));
        assert_eq!((offset(256, 224), offset(257, 224), offset(259, 224), offset(10, 13)), (16, 16, 18, -1));
    }
}
