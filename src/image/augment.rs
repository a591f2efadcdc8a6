//! Images changed at random for training: which part, which way round, which colours. The definitions are
//! torchvision's, each operation is one of [`crate::image::operations`]; what is drawn is drawn from the generator that
//! is passed in and from nothing else.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::image::operations::Operation;
use crate::image::{Image, Preprocessing, prepare, resize_part};
use crate::random::Random;

/// What is varied, in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Augmentation {
    /// A random crop instead of the central one: its area is between these two fractions of the image's, its aspect
    /// ratio between 3:4 and 4:3.
    pub random_resized_crop: Option<(f64, f64)>,
    /// Instead of a random crop, a shift of the central one: in each dimension by up to this fraction of its side, with
    /// black where nothing of the image is left.
    pub shift: Option<f64>,
    /// The probability that left and right change places.
    pub flip: f64,
    /// How many of RandAugment's 14 operations are drawn (Cubuk et al. 2019), and their magnitude, 0 to 30.
    pub rand_augment: Option<(u32, u32)>,
    /// By how much brightness, contrast and saturation vary, and the hue by a quarter of it; in an order that is drawn.
    pub colour_jitter: Option<f64>,
}

impl Augmentation {
    /// For small images.
    pub fn light() -> Self {
        Self { random_resized_crop: None, shift: Some(0.125), flip: 0.5, rand_augment: None, colour_jitter: None }
    }

    /// For photographs: what torchvision's and timm's scripts begin with, in milder form.
    pub fn standard() -> Self {
        Self { random_resized_crop: Some((0.35, 1.0)), shift: None, flip: 0.5, rand_augment: None, colour_jitter: None }
    }

    /// For long training.
    pub fn strong() -> Self {
        Self { rand_augment: Some((2, 9)), colour_jitter: Some(0.4), ..Self::standard() }
    }

    /// # Errors
    /// A number is out of its range; with the key.
    pub fn check(&self) -> Result<()> {
        let wrong = |key: &str, message: &str| Err(Error::request(message).key(key));
        if self.random_resized_crop.is_some_and(|(least, most)| !(least > 0.0 && least <= most && most <= 1.0)) {
            return wrong("random_resized_crop", "two shares of the area, above 0, at most 1, the smaller one first");
        }
        if self.shift.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return wrong("shift", "a share of the side, 0 to 1");
        }
        if !(0.0..=1.0).contains(&self.flip) {
            return wrong("flip", "a probability, 0 to 1");
        }
        if self.rand_augment.is_some_and(|(operations, magnitude)| operations > 100 || magnitude >= MAGNITUDES) {
            return wrong("rand_augment", "at most 100 operations, and a magnitude of 0 to 30");
        }
        if self.colour_jitter.is_some_and(|strength| !(0.0..=10.0).contains(&strength)) {
            return wrong("colour_jitter", "0 to 10; 0.4 is usual");
        }
        Ok(())
    }
}

/// What a network sees of an image this time: `[height, width, 3]`, like [`prepare`]'s. The same `random` gives the
/// same pixels.
///
/// # Errors
/// Settings out of their range.
pub fn augment(
    image: &Image,
    preprocessing: &Preprocessing,
    with: &Augmentation,
    random: &mut Random,
) -> Result<Vec<u8>> {
    with.check()?;
    let (height, width) = preprocessing.output();
    let mut shown = match with.random_resized_crop {
        Some(share) => {
            let Part { top, left, height: rows, width: columns } = part(image, share, random);
            resize_part(image, (top, left), (rows, columns), (height, width), preprocessing.interpolation)?
        }
        None => Image { height, width, pixels: prepare(image, preprocessing)? },
    };
    if let Some(share) = with.shift {
        let mut drawn = |side: u32| {
            let most = (share * f64::from(side)).round() as i32;
            random.below(2 * most as u64 + 1) as i32 - most
        };
        let (down, right) = (drawn(height), drawn(width));
        Operation::TranslateY(down).apply(&mut shown);
        Operation::TranslateX(right).apply(&mut shown);
    }
    if random.unit() < with.flip {
        Operation::Flip.apply(&mut shown);
    }
    if let Some((operations, magnitude)) = with.rand_augment {
        for _ in 0..operations {
            if let Some(operation) = drawn_operation(&shown, magnitude, random) {
                operation.apply(&mut shown);
            }
        }
    }
    if let Some(strength) = with.colour_jitter {
        for operation in jitter(strength, random) {
            operation.apply(&mut shown);
        }
    }
    Ok(shown.pixels)
}

/// Whole pixels of an image.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    top: u32,
    left: u32,
    height: u32,
    width: u32,
}

/// torchvision's `RandomResizedCrop`: ten tries, then the most of the middle that has an allowed proportion.
fn part(image: &Image, (least, most): (f64, f64), random: &mut Random) -> Part {
    let (height, width) = (f64::from(image.height), f64::from(image.width));
    let (narrow, wide) = (3.0f64 / 4.0, 4.0f64 / 3.0);
    for _ in 0..10 {
        let area = height * width * between(least, most, random);
        let proportion = between(narrow.ln(), wide.ln(), random).exp();
        let (rows, columns) =
            ((area / proportion).sqrt().round_ties_even(), (area * proportion).sqrt().round_ties_even());
        if rows >= 1.0 && rows <= height && columns >= 1.0 && columns <= width {
            let (rows, columns) = (rows as u32, columns as u32);
            let mut place = |room: u32| random.below(u64::from(room) + 1) as u32;
            let (top, left) = (place(image.height - rows), place(image.width - columns));
            return Part { top, left, height: rows, width: columns };
        }
    }
    let (rows, columns) = match width / height {
        proportion if proportion < narrow => ((width / narrow).round_ties_even(), width),
        proportion if proportion > wide => (height, (height * wide).round_ties_even()),
        _ => (height, width),
    };
    let (rows, columns) = ((rows as u32).clamp(1, image.height), (columns as u32).clamp(1, image.width));
    Part { top: (image.height - rows) / 2, left: (image.width - columns) / 2, height: rows, width: columns }
}

fn between(least: f64, most: f64, random: &mut Random) -> f64 {
    least + (most - least) * random.unit()
}

/// RandAugment's: 0 to 30.
const MAGNITUDES: u32 = 31;

/// One of torchvision's 14 operations at a magnitude, half of the time the other way where there is one; none is one of
/// them.
fn drawn_operation(image: &Image, magnitude: u32, random: &mut Random) -> Option<Operation> {
    let part = f64::from(magnitude) / f64::from(MAGNITUDES - 1);
    let drawn = random.below(14);
    let mut signed = |most: f64| if random.below(2) == 1 { -most * part } else { most * part };
    Some(match drawn {
        0 => return None,
        1 => Operation::ShearX(signed(0.3)),
        2 => Operation::ShearY(signed(0.3)),
        3 => Operation::TranslateX(signed(150.0 / 331.0 * f64::from(image.width)) as i32),
        4 => Operation::TranslateY(signed(150.0 / 331.0 * f64::from(image.height)) as i32),
        5 => Operation::Rotate(signed(30.0)),
        6 => Operation::Brightness(1.0 + signed(0.9) as f32),
        7 => Operation::Saturation(1.0 + signed(0.9) as f32),
        8 => Operation::Contrast(1.0 + signed(0.9) as f32),
        9 => Operation::Sharpness(1.0 + signed(0.9) as f32),
        10 => Operation::Posterize(8 - (4.0 * part).round_ties_even() as u8),
        11 => Operation::Solarize((255.0 * (1.0 - part)) as f32),
        12 => Operation::AutoContrast,
        _ => Operation::Equalize,
    })
}

/// torchvision's `ColorJitter(strength, strength, strength, strength / 4)`.
fn jitter(strength: f64, random: &mut Random) -> [Operation; 4] {
    let mut factor = || between((1.0 - strength).max(0.0), 1.0 + strength, random) as f32;
    let (brightness, contrast, saturation) = (factor(), factor(), factor());
    let hue = (strength / 4.0).min(0.5);
    let mut operations = [
        Operation::Brightness(brightness),
        Operation::Contrast(contrast),
        Operation::Saturation(saturation),
        Operation::Hue(between(-hue, hue, random) as f32),
    ];
    random.shuffle(&mut operations);
    operations
}

#[cfg(test)]
mod tests {
    use super::super::Resize;
    use super::*;

    fn picture(height: u32, width: u32) -> Image {
        let mut random = Random::new(3);
        Image { height, width, pixels: (0..3 * height * width).map(|_| random.next_u64() as u8).collect() }
    }

    fn imagenet(size: u32) -> Preprocessing {
        Preprocessing::imagenet(size)
    }

    fn none() -> Augmentation {
        Augmentation { shift: None, flip: 0.0, ..Augmentation::light() }
    }

    #[test]
    fn the_same_draw_is_the_same_image_and_another_is_not() {
        let image = picture(60, 90);
        for with in [Augmentation::light(), Augmentation::standard(), Augmentation::strong()] {
            let of =
                |numbers: &[u64]| augment(&image, &imagenet(32), &with, &mut Random::of(numbers)).expect("augmented");
            assert_eq!(of(&[1, 0, 5]), of(&[1, 0, 5]));
            assert_eq!(of(&[1, 0, 5]).len(), 3 * 32 * 32);
            assert!((2..8).any(|epoch| of(&[1, epoch, 5]) != of(&[1, 0, 5])));
        }
        let plain = augment(&image, &imagenet(32), &none(), &mut Random::new(1)).expect("augmented");
        assert_eq!(plain, prepare(&image, &imagenet(32)).expect("prepared"));
    }

    #[test]
    fn any_image_bears_every_operation() {
        let mut random = Random::new(3);
        for (height, width) in [(1, 1), (1, 90), (90, 1), (3, 2), (64, 48)] {
            let image = picture(height, width);
            for _ in 0..60 {
                for with in [Augmentation::strong(), Augmentation::light()] {
                    augment(&image, &imagenet(32), &with, &mut random).expect("augmented");
                    let whole = Preprocessing { resize: Resize::Unchanged, crop: (height, width), ..imagenet(32) };
                    augment(&image, &whole, &with, &mut random).expect("augmented");
                }
            }
        }
    }

    #[test]
    fn parts_have_the_share_and_the_proportion_asked_for() {
        let (image, mut random) = (picture(300, 400), Random::new(11));
        let mut shares = Vec::new();
        for _ in 0..40_000 {
            let part = part(&image, (0.08, 1.0), &mut random);
            assert!(part.top + part.height <= 300 && part.left + part.width <= 400, "{part:?}");
            let proportion = f64::from(part.width) / f64::from(part.height);
            assert!((0.72..1.40).contains(&proportion), "{part:?}");
            shares.push(f64::from(part.width * part.height) / 120_000.0);
        }
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        // Large parts of another proportion than the image's do not fit in it: torchvision's mean is 0.434, too.
        assert!((0.428..0.440).contains(&mean) && shares.iter().all(|&share| share > 0.075), "{mean}");
        // No proportion that fits: the most of the middle that is allowed.
        let window = part(&picture(10, 400), (0.9, 1.0), &mut random);
        assert_eq!(window, Part { top: 0, left: 193, height: 10, width: 13 });
        assert_eq!(part(&picture(1, 1), (0.08, 1.0), &mut random), Part { top: 0, left: 0, height: 1, width: 1 });
    }

    #[test]
    fn shifting_moves_every_way_and_leaves_black() {
        let preprocessing = Preprocessing { resize: Resize::Unchanged, ..imagenet(8) };
        let image = Image { height: 8, width: 8, pixels: vec![200; 192] };
        let with = Augmentation { shift: Some(0.5), ..none() };
        let mut lit = std::collections::BTreeSet::new();
        for seed in 0..500 {
            let pixels = augment(&image, &preprocessing, &with, &mut Random::new(seed)).expect("augmented");
            assert!(pixels.iter().all(|&level| level == 0 || level == 200));
            lit.insert(pixels.iter().filter(|&&level| level > 0).count());
        }
        assert_eq!((lit.first(), lit.last()), (Some(&48), Some(&192)));
    }

    #[test]
    fn numbers_out_of_range_are_errors() {
        for (key, with) in [
            ("random_resized_crop", Augmentation { random_resized_crop: Some((0.0, 1.0)), ..none() }),
            ("random_resized_crop", Augmentation { random_resized_crop: Some((0.9, 0.5)), ..none() }),
            ("random_resized_crop", Augmentation { random_resized_crop: Some((f64::NAN, 0.5)), ..none() }),
            ("shift", Augmentation { shift: Some(-0.1), ..none() }),
            ("flip", Augmentation { flip: 1.5, ..none() }),
            ("colour_jitter", Augmentation { colour_jitter: Some(-1.0), ..none() }),
            ("rand_augment", Augmentation { rand_augment: Some((2, 31)), ..none() }),
        ] {
            let error = augment(&picture(4, 4), &imagenet(4), &with, &mut Random::new(1)).expect_err("refused");
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
