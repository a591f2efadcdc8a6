//! A hash of what decides a result, by which snapshots and caches tell whether they belong to a run.

use sha2::{Digest, Sha256};
use tch::{Device, Tensor};

use crate::error::Result;

/// A SHA-256 that grows.
#[derive(Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    pub fn bytes(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// The numbers of a tensor, as they lie in memory.
    pub fn tensor(&mut self, tensor: &Tensor) -> Result<()> {
        let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut bytes = vec![0u8; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        self.bytes(bytes);
        Ok(())
    }

    /// 64 hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
