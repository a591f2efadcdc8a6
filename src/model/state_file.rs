//! Tensors that a later call of ours continues with: safetensors with a checksum in the metadata, so that a bit which
//! has changed since is noticed. Model files for others have none (`checkpoint.rs`).

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};
use tch::{Device, Tensor};

use super::checkpoint::Weights;
use super::stored;
use crate::error::Result;
use crate::files::checksum::{Checksum, damaged};

/// The entry in the file's metadata.
const CHECKSUM: &str = "xxh64";

/// Writes tensors, whole or not at all.
pub fn save(file: &Path, tensors: impl IntoIterator<Item = (String, Tensor)>) -> Result<()> {
    let stored = stored::of(tensors)?;
    let parts = stored.iter().map(|(name, tensor)| (name.as_str(), tensor.dtype, &tensor.shape[..], &tensor.bytes[..]));
    let checksum = checksum(parts);
    stored::write(file, &stored, Some((CHECKSUM, checksum)))
}

/// Opens what [`save`] wrote.
///
/// # Errors
/// A tensor is not as it was written, or the file cannot be read.
pub fn open(file: &Path) -> Result<Weights> {
    let weights = Weights::open_file(file, Device::Cpu)?;
    for (file, bytes) in weights.mapped() {
        let (Ok((_, header)), Ok(tensors)) = (SafeTensors::read_metadata(bytes), SafeTensors::deserialize(bytes))
        else {
            return Err(damaged(file));
        };
        let mut views = tensors.tensors();
        views.sort_by(|(one, _), (other, _)| one.cmp(other));
        let parts = views.iter().map(|(name, view)| (name.as_str(), view.dtype(), view.shape(), view.data()));
        let saved = header.metadata().as_ref().and_then(|entries| entries.get(CHECKSUM));
        if saved != Some(&checksum(parts)) {
            return Err(damaged(file));
        }
    }
    Ok(weights)
}

/// Of the tensors in the order of their names.
fn checksum<'t>(tensors: impl Iterator<Item = (&'t str, Dtype, &'t [usize], &'t [u8])>) -> String {
    let mut checksum = Checksum::default();
    for (name, dtype, shape, bytes) in tensors {
        checksum.add(format!("{name}\0{dtype:?}{shape:?}{}\0", bytes.len()));
        checksum.add(bytes);
    }
    checksum.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_is_seen_or_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weights.safetensors");
        let tensors = || [("b".to_owned(), Tensor::from_slice(&[1.5f32, -2.0])), ("a".to_owned(), Tensor::from(7i64))];
        save(&file, tensors()).unwrap();
        let whole = std::fs::read(&file).unwrap();
        let read = || open(&file).and_then(|saved| Ok((saved.take("b", &[2])?, saved.take_integer("a")?)));
        assert_eq!(read().unwrap(), (Tensor::from_slice(&[1.5f32, -2.0]), 7));
        let mut unseen = 0;
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&file, &flipped).unwrap();
            if let Ok((b, a)) = read() {
                // In the word that says for which library it was written.
                assert_eq!((b, a), (Tensor::from_slice(&[1.5f32, -2.0]), 7), "bit {bit}");
                unseen += 1;
            }
        }
        assert!(unseen < 200, "{unseen} of {} bits", whole.len() * 8);
        // What has no checksum is not ours.
        super::super::checkpoint::save_tensors(&file, tensors()).unwrap();
        assert!(read().unwrap_err().to_string().contains("is damaged"));
    }
}
