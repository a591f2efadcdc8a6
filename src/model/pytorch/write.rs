//! Tensors from PyTorch's files into one safetensors file, a piece at a time: the bytes are those that Python's
//! `safetensors.torch.save_file` writes for the same tensors.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use safetensors::tensor::{Metadata, TensorInfo};

use super::read::StoredTensor;
use super::sources::Weights;
use crate::error::{Error, Result};
use crate::files::write_atomically_with;

/// Writes the weights as `file`, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn write(weights: &Weights, file: &Path) -> Result<()> {
    let mut tensors: Vec<(&str, &[u8], &StoredTensor)> = weights.tensors().collect();
    // As safetensors orders them, so that every tensor is aligned: by type, then by name.
    tensors.sort_by(|(one, _, first), (other, _, second)| second.dtype.cmp(&first.dtype).then(one.cmp(other)));
    let header = header(&tensors)?;
    write_atomically_with(file, |writer| {
        let mut put = |bytes: &[u8]| writer.write_all(bytes).map_err(|error| Error::io(error, file));
        put(&(header.len() as u64).to_le_bytes())?;
        put(&header)?;
        for (_, bytes, tensor) in &tensors {
            put_tensor(writer, bytes, tensor).map_err(|error| Error::io(error, file))?;
        }
        Ok(())
    })
}

fn header(tensors: &[(&str, &[u8], &StoredTensor)]) -> Result<Vec<u8>> {
    let failed = |error: String| Error::failure(format!("cannot be written as safetensors: {error}"));
    let mut end = 0usize;
    let mut infos = Vec::new();
    for (name, _, tensor) in tensors {
        let begin = end;
        let size = tensor.elements() * tensor.width();
        end = end.checked_add(size).ok_or_else(|| failed("they are too large".to_owned()))?;
        let info = TensorInfo { dtype: tensor.dtype, shape: tensor.shape.clone(), data_offsets: (begin, end) };
        infos.push(((*name).to_owned(), info));
    }
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let metadata = Metadata::new(Some(format), infos).map_err(|error| failed(error.to_string()))?;
    let mut header = serde_json::to_vec(&metadata).map_err(|error| failed(error.to_string()))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// Its elements in the order of their indices, the last index first.
fn put_tensor(writer: &mut BufWriter<File>, bytes: &[u8], tensor: &StoredTensor) -> std::io::Result<()> {
    if tensor.elements() == 0 {
        return Ok(());
    }
    if tensor.is_contiguous() {
        return writer.write_all(bytes);
    }
    let width = tensor.width();
    let mut index = vec![0; tensor.shape.len()];
    loop {
        let at: usize = index.iter().zip(&tensor.strides).map(|(index, stride)| index * stride).sum::<usize>() * width;
        writer.write_all(bytes.get(at..at + width).unwrap_or_default())?;
        let next = (0..index.len()).rev().find(|&dimension| index[dimension] + 1 < tensor.shape[dimension]);
        let Some(next) = next else { return Ok(()) };
        index[next] += 1;
        index[next + 1..].fill(0);
    }
}
