//! Tensors as the bytes of a safetensors file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, View};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};

/// A CPU tensor's bytes for the safetensors writer.
pub struct Stored {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        self.bytes.as_slice().into()
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// The bytes of each tensor, by name.
pub fn of(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Result<BTreeMap<String, Stored>> {
    let mut stored = BTreeMap::new();
    for (name, tensor) in tensors {
        let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
        let (dtype, size) = match tensor.kind() {
            Kind::Float => (Dtype::F32, 4),
            Kind::BFloat16 => (Dtype::BF16, 2),
            Kind::Half => (Dtype::F16, 2),
            Kind::Double => (Dtype::F64, 8),
            Kind::Int64 => (Dtype::I64, 8),
            other => return Err(Error::failure(format!("tensors of kind {other:?} are not saved")).key(name)),
        };
        let mut bytes = vec![0u8; tensor.numel() * size];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        let shape = tensor.size().iter().map(|&size| size as usize).collect();
        stored.insert(name, Stored { dtype, shape, bytes });
    }
    Ok(stored)
}

/// Writes a safetensors file, whole or not at all, with another entry in its metadata where one is given.
pub fn write(file: &Path, stored: &BTreeMap<String, Stored>, entry: Option<(&str, String)>) -> Result<()> {
    let mut metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    metadata.extend(entry.map(|(key, value)| (key.to_owned(), value)));
    let bytes = safetensors::serialize(stored.iter(), Some(metadata))
        .map_err(|error| Error::failure(format!("cannot be written as safetensors: {error}")).file(file))?;
    crate::files::write_atomically(file, &bytes)
}
