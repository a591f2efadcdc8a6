//! Bytes of pixels to normalised values.

use std::ffi::c_char;

use tch::{Device, Kind, Tensor};

use super::tensors::{Pointer, check, pointer};
use crate::error::{Error, Result};

unsafe extern "C" {
    fn rehead_normalise(bytes: *const u8, pixels: i64, mean: *const f32, std: *const f32, out: Pointer) -> *mut c_char;
}

/// Pixels of three bytes as values of `shape`, fp32, on the CPU: `(byte / 255 - mean) / std` by channel.
pub fn normalise(bytes: &[u8], mean: [f32; 3], std: [f32; 3], shape: &[i64]) -> Result<Tensor> {
    if shape.iter().product::<i64>() != bytes.len() as i64 || !bytes.len().is_multiple_of(3) {
        return Err(Error::failure("the pixels do not fill their shape"));
    }
    let out = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
    // SAFETY: `bytes` has three bytes a pixel, `out` as many values, mean and std three each.
    check(unsafe {
        let pixels = bytes.len() as i64 / 3;
        rehead_normalise(bytes.as_ptr(), pixels, mean.as_ptr(), std.as_ptr(), pointer(&out))
    })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_normalised_channel_by_channel() -> Result<()> {
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * 101).collect();
        let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let found = Vec::<f32>::try_from(normalise(&bytes, mean, std, &[101, 3])?.view([-1]))?;
        let of = |(at, byte): (usize, &u8)| (f32::from(*byte) / 255.0 - mean[at % 3]) / std[at % 3];
        assert_eq!(found, bytes.iter().enumerate().map(of).collect::<Vec<_>>());
        assert!(normalise(&bytes, mean, std, &[100, 3]).is_err());
        Ok(())
    }
}
