//! One file of `torch.save`: from its bytes to the weights' names and places in it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use safetensors::tensor::Dtype;

use super::archive::{Archive, LOCAL_ENTRY};
use super::contents::{contents, few};
use super::hints::{BIG_ENDIAN, DAMAGED, WEIGHTS_ALONE};
use super::legacy::Legacy;
use super::pickle::Pickle;
use super::value::{Tensor, Value};
use crate::error::{Error, Result, listed};

/// The weights of one file.
#[derive(Debug)]
pub struct PyTorchWeights {
    /// By name.
    pub tensors: BTreeMap<String, StoredTensor>,
    /// What a person should know: what was left out, renamed or shared.
    pub notes: Vec<String>,
    /// What may be wrong with the file.
    pub warnings: Vec<String>,
}

/// A tensor and where its values stand in the file. Shape and strides are in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTensor {
    /// The type of an element, of one byte at least.
    pub dtype: Dtype,
    /// One size a dimension.
    pub shape: Vec<usize>,
    /// How many elements apart neighbours in each dimension are.
    pub strides: Vec<usize>,
    /// The bytes of its storage, from its first element on.
    pub bytes: Range<usize>,
}

impl StoredTensor {
    /// Bytes of an element.
    pub fn width(&self) -> usize {
        self.dtype.bitsize() / 8
    }

    /// How many numbers it has.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether its values stand side by side in their order.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected = expected.saturating_mul(size);
            fits
        })
    }
}

/// Reads what `torch.save` wrote.
///
/// # Errors
/// It is another kind of file, damaged, or asks for more than tensors; or a tensor reaches beyond its storage.
pub fn read(bytes: &[u8]) -> Result<PyTorchWeights> {
    if bytes.starts_with(LOCAL_ENTRY) {
        return read_archive(bytes);
    }
    let is_tar = bytes.get(257..262) == Some(b"ustar");
    if is_tar {
        return Err(Error::request("the file has the format of PyTorch before 0.1.10").hint(WEIGHTS_ALONE));
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(Error::request("this is a pointer of Git LFS, not the file itself")
            .hint("fetch the file itself with `git lfs pull`"));
    }
    let Legacy { pickle, storages } = Legacy::read(bytes)?;
    weights(&pickle, &storages, bytes.len())
}

fn read_archive(bytes: &[u8]) -> Result<PyTorchWeights> {
    let archive = Archive::read(bytes)?;
    let content = |name: &str| archive.entries.get(name).and_then(|entry| bytes.get(entry.content.clone()));
    if archive.entries.contains_key("constants.pkl") || archive.entries.keys().any(|name| name.starts_with("code/")) {
        return Err(Error::request("the file is a TorchScript program, not weights").hint(WEIGHTS_ALONE));
    }
    let Some(pickle) = content("data.pkl") else {
        return Err(Error::request("the archive has no data.pkl: torch.save did not write it").fallback_hint(DAMAGED));
    };
    if content("byteorder").is_some_and(|order| order != b"little") {
        return Err(Error::request(BIG_ENDIAN).hint("load it and save it again with PyTorch on another machine"));
    }
    let pickle = Pickle::read(pickle)?;
    let storages = archive
        .entries
        .iter()
        .filter_map(|(name, entry)| Some((name.strip_prefix("data/")?.to_owned(), entry.content.clone())))
        .collect();
    let mut weights = weights(&pickle, &storages, bytes.len())?;
    let mut wrong: Vec<&String> = archive.entries.keys().filter(|name| !archive.is_whole(bytes, name)).collect();
    wrong.sort();
    if !wrong.is_empty() {
        weights.warnings.push(format!(
            "the checksum of {} does not match: the file is damaged, or was written without checksums",
            few(&wrong)
        ));
    }
    Ok(weights)
}

/// How many times the length of the file the weights may take, as tied ones are written for each name.
const MOST_TIED: usize = 16;

fn weights(pickle: &Pickle, storages: &HashMap<String, Range<usize>>, length: usize) -> Result<PyTorchWeights> {
    let contents = contents(pickle)?;
    let mut tensors = BTreeMap::new();
    let mut notes = contents.notes;
    let mut size = 0usize;
    let mut sharing = BTreeMap::<usize, Vec<&str>>::new();
    for (name, tensor) in &contents.tensors {
        let stored = locate(pickle, tensor, storages).map_err(|error| error.key(name.clone()))?;
        size = size.saturating_add(stored.elements() * stored.width());
        if stored.elements() > 0 {
            sharing.entry(stored.bytes.start).or_default().push(name);
        }
        tensors.insert(name.clone(), stored);
    }
    if size > length.saturating_mul(MOST_TIED) {
        let message = format!("the weights would take {MOST_TIED} times the length of the file and more");
        return Err(Error::request(message).hint(WEIGHTS_ALONE));
    }
    let tied: Vec<String> = sharing.values().filter(|names| names.len() > 1).map(listed_few).collect();
    if !tied.is_empty() {
        notes.push(format!("these share their values and are written once for each name: {}", tied.join("; ")));
    }
    if let Some(first) = tensors.keys().find(|name| *name == "__metadata__") {
        return Err(Error::request("safetensors does not allow a tensor of this name").key(first.clone()));
    }
    Ok(PyTorchWeights { tensors, notes, warnings: Vec::new() })
}

fn listed_few(names: &Vec<&str>) -> String {
    if names.len() > 6 { few(names) } else { listed(names) }
}

/// Where a tensor's values stand.
///
/// # Errors
/// Its storage is not in the file, or is shorter than the tensor needs.
fn locate(pickle: &Pickle, tensor: &Tensor, storages: &HashMap<String, Range<usize>>) -> Result<StoredTensor> {
    let damaged = |message: &str| Error::request(message).fallback_hint(DAMAGED);
    let Some(Value::Storage(storage)) = pickle.values.get(tensor.storage) else {
        return Err(damaged("it has no storage"));
    };
    let stored = storages.get(&storage.key).ok_or_else(|| damaged("its values are not in the file"))?;
    let width = tensor.dtype.bitsize() / 8;
    let storage_width = storage.dtype.map_or(1, |dtype| dtype.bitsize() / 8);
    let place = || {
        let sizes = |numbers: &[u64]| numbers.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<usize>>>();
        let (shape, strides) = (sizes(&tensor.shape)?, sizes(&tensor.strides)?);
        let begin = usize::try_from(storage.first).ok()?.checked_mul(storage_width)?;
        let held = usize::try_from(storage.elements).ok()?.checked_mul(storage_width)?;
        let first = usize::try_from(tensor.first).ok()?.checked_mul(width)?;
        if begin.checked_add(held)? > stored.len() {
            return None;
        }
        let elements = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))?;
        let last = shape
            .iter()
            .zip(&strides)
            .try_fold(0usize, |last, (&size, &stride)| last.checked_add(size.saturating_sub(1).checked_mul(stride)?))?;
        let needed = if elements == 0 { 0 } else { last.checked_add(1)?.checked_mul(width)? };
        // Values that stand for many, as `expand` makes them, could fill any disk.
        let fits = elements.checked_mul(width)? <= held && first.checked_add(needed)? <= held;
        fits.then(|| {
            let start = stored.start + begin + first;
            StoredTensor { dtype: tensor.dtype, shape, strides, bytes: start..start + needed }
        })
    };
    place().ok_or_else(|| {
        damaged(&format!("a tensor of shape {:?} needs more values than its storage has", tensor.shape))
            .fallback_hint("if `expand` made it, save a copy of it (.clone()); else the file is damaged")
    })
}
