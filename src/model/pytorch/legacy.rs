//! The format of `torch.save` before PyTorch 1.6: four pickles (a magic number, a protocol, facts about the machine,
//! the object), a pickle with the storages' keys, then each storage: the number of its elements and their bytes.
//!
//! As `_legacy_load` in `torch/serialization.py` reads it.

use std::collections::HashMap;
use std::ops::Range;

use super::hints::{BIG_ENDIAN, DAMAGED};
use super::pickle::Pickle;
use super::value::Value;
use crate::error::{Error, Result};

/// `0x1950a86a20f9469cfc6c`.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;

/// The object, and where the bytes of each storage stand in the file.
pub struct Legacy {
    pub pickle: Pickle,
    pub storages: HashMap<String, Range<usize>>,
}

impl Legacy {
    /// Reads the pickles and finds the storages.
    ///
    /// # Errors
    /// It is another kind of file, damaged, or big-endian.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut at = 0;
        let mut next = || {
            let pickle = Pickle::read(bytes.get(at..).unwrap_or_default())?;
            at += pickle.length;
            Ok::<_, Error>(pickle)
        };
        let magic = next().ok();
        if !magic.is_some_and(|magic| matches!(&magic.values[magic.root], Value::Long(number) if *number == MAGIC)) {
            return Err(Error::request("not a file that torch.save wrote")
                .fallback_hint("PyTorch's zip files and those of before version 1.6 are read"));
        }
        let protocol = next()?;
        if !matches!(protocol.values[protocol.root], Value::Int(PROTOCOL)) {
            return Err(Error::request("the file's protocol is unknown").hint("save it again with a newer PyTorch"));
        }
        let machine = next()?;
        if entry(&machine, "little_endian").is_some_and(|value| matches!(value, Value::Bool(false))) {
            return Err(Error::request(BIG_ENDIAN).hint("load it and save it again with PyTorch on another machine"));
        }
        let pickle = next()?;
        let keys = next()?;
        let storages = storages(bytes, at, &pickle, &keys)?;
        Ok(Self { pickle, storages })
    }
}

fn entry<'a>(pickle: &'a Pickle, wanted: &str) -> Option<&'a Value> {
    let Value::Dict(entries) = &pickle.values[pickle.root] else { return None };
    entries.iter().find(|(key, _)| pickle.text(*key) == Some(wanted)).and_then(|(_, value)| pickle.values.get(*value))
}

fn storages(bytes: &[u8], mut at: usize, pickle: &Pickle, keys: &Pickle) -> Result<HashMap<String, Range<usize>>> {
    let damaged = |message: &str| Error::request(message).fallback_hint(DAMAGED);
    let widths: HashMap<&str, usize> = pickle
        .values
        .iter()
        .filter_map(|value| match value {
            Value::Storage(storage) => {
                Some((storage.key.as_str(), storage.dtype.map_or(1, |dtype| dtype.bitsize() / 8)))
            }
            _ => None,
        })
        .collect();
    let Value::List(listed) = &keys.values[keys.root] else {
        return Err(damaged("the file has no list of storages"));
    };
    let mut storages = HashMap::new();
    for &key in listed {
        let key = keys.text(key).ok_or_else(|| damaged("a storage has no name"))?;
        let width = *widths.get(key).ok_or_else(|| damaged("the file lists a storage that nothing uses"))?;
        let cut = || damaged("the file is cut short: a storage is not complete");
        let count = bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|chunk| u64::from_le_bytes(*chunk));
        let size = count.and_then(|count| usize::try_from(count).ok()?.checked_mul(width));
        let start = at + 8;
        let end = size.and_then(|size| start.checked_add(size)).filter(|&end| end <= bytes.len()).ok_or_else(cut)?;
        storages.insert(key.to_owned(), start..end);
        at = end;
    }
    Ok(storages)
}
