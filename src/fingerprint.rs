//! A hash of everything that decides a result. Snapshots and caches carry it, and are used only by a run that has the
//! same.

use sha2::{Digest, Sha256};
use tch::{Device, Tensor};

use crate::error::Result;

/// A SHA-256 of what has been added so far.
#[derive(Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds bytes. Lengths are not hashed: the caller adds them where two sequences could run into each other.
    pub fn bytes(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// Adds the values of a tensor in row-major order. Neither its shape nor its dtype is hashed.
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
