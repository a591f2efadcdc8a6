//! From the samples that a decoder gives to RGB.

pub fn from_grey(grey: &[u8]) -> Vec<u8> {
    grey.iter().flat_map(|&grey| [grey; 3]).collect()
}

pub fn from_grey_alpha(samples: &[u8]) -> Vec<u8> {
    samples.as_chunks().0.iter().flat_map(|&[grey, _]| [grey; 3]).collect()
}

pub fn from_rgb_alpha(samples: Vec<u8>) -> Vec<u8> {
    in_place(samples, |&[red, green, blue, _]: &[u8; 4]| [red, green, blue])
}

/// RGB in the place of pixels that take more bytes, so that no others are needed.
pub fn in_place<const N: usize>(mut samples: Vec<u8>, rgb: impl Fn(&[u8; N]) -> [u8; 3]) -> Vec<u8> {
    const { assert!(N >= 3, "a pixel is written before the next one is read") };
    let pixels = samples.len() / N;
    for pixel in 0..pixels {
        if let Some(colour) = samples.get(N * pixel..).and_then(|rest| rest.first_chunk()).map(&rgb) {
            samples[3 * pixel..3 * pixel + 3].copy_from_slice(&colour);
        }
    }
    samples.truncate(3 * pixels);
    samples.shrink_to_fit();
    samples
}

/// PIL's way: what of the paper's white neither the ink nor black takes.
pub fn from_cmyk(samples: Vec<u8>) -> Vec<u8> {
    in_place(samples, |&[cyan, magenta, yellow, black]: &[u8; 4]| {
        [cyan, magenta, yellow].map(|ink| {
            let white = 255 - u32::from(black);
            let taken = u32::from(ink) * white + 128;
            (white - (((taken >> 8) + taken) >> 8)) as u8
        })
    })
}

/// Each sample's colour in a palette of `[red, green, blue]`; black beyond its end.
pub fn from_palette(indices: &[u8], palette: &[[u8; 3]]) -> Vec<u8> {
    let colour = |&index: &u8| palette.get(usize::from(index)).copied().unwrap_or_default();
    indices.iter().flat_map(colour).collect()
}

/// Samples of 1, 2 or 4 bits, each row of which begins with a byte, as bytes times `scale`.
pub fn unpacked(packed: &[u8], bits: u8, width: usize, scale: u8) -> Vec<u8> {
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
pub fn interleaved(planes: &[u8], channels: usize, pixels: usize) -> Vec<u8> {
    let mut samples = vec![0; channels * pixels];
    for (channel, plane) in planes.chunks_exact(pixels).take(channels).enumerate() {
        for (pixel, &sample) in samples.chunks_exact_mut(channels).zip(plane) {
            pixel[channel] = sample;
        }
    }
    samples
}
