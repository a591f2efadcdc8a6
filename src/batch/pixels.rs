//! The pixels of a batch of images, normalised on their way to the device.

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::native;

/// The pixels of a batch before they are a tensor.
pub struct PixelArray {
    pub(super) bytes: Vec<u8>,
    /// `[N, height, width, 3]`.
    pub(super) shape: [i64; 4],
    pub(super) mean: [f32; 3],
    pub(super) std: [f32; 3],
}

impl PixelArray {
    /// Normalised, `[N, 3, height, width]`, fp32, channels last in memory.
    pub(super) fn onto(self, device: Device) -> Result<Tensor> {
        let channels_first = [0i64, 3, 1, 2];
        if device == Device::Cpu {
            let pixels = native::normalise(&self.bytes, self.mean, self.std, &self.shape)?;
            return Ok(pixels.f_permute(channels_first)?);
        }
        // A quarter of the bytes go over the bus, from pinned memory, and are not waited for.
        let bytes = Tensor::f_from_data_size(&self.bytes, &self.shape, Kind::Uint8)?.f_pin_memory(device)?;
        let bytes = bytes.f_to_dtype_layout((Kind::Uint8, device), true, false)?;
        let channels = |values: [f32; 3]| Tensor::f_from_slice(&values)?.f_view([1, 3, 1, 1])?.f_to_device(device);
        let scale = channels(self.std.map(|std| 1.0 / (255.0 * std)))?;
        let mut shift = self.mean;
        shift.iter_mut().zip(self.std).for_each(|(mean, std)| *mean = -*mean / std);
        Ok(channels(shift)?.f_addcmul(&bytes.f_permute(channels_first)?.f_to_kind(Kind::Float)?, &scale)?)
    }
}
