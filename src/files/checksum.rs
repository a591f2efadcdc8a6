//! Checksums of what is written now and read by a later call: a bit that has changed in between is noticed, and the
//! file named. They keep accidents out, not people: whoever edits a file can edit its checksum.

use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::write_atomically;
use crate::error::{Error, Result};

/// XXH64 of what has been added so far. It is as fast as memory, where SHA-256 is not on every processor.
#[derive(Default)]
pub struct Checksum(XxHash64);

impl Checksum {
    /// Adds bytes. Lengths are not hashed.
    pub fn add(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write(bytes.as_ref());
    }

    /// 16 hexadecimal digits.
    pub fn finish(&self) -> String {
        format!("{:016x}", self.0.finish())
    }

    /// That of some bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> String {
        let mut checksum = Self::default();
        checksum.add(bytes);
        checksum.finish()
    }
}

/// What a file held when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    bytes: u64,
    xxh64: String,
}

impl FileRecord {
    /// Of a file that was written with this content.
    pub fn of(content: &[u8]) -> Self {
        Self { bytes: content.len() as u64, xxh64: Checksum::of(content) }
    }

    /// Of a file as it is.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_file(path: &Path) -> Result<Self> {
        let read = || {
            let (mut file, mut buffer) = (File::open(path)?, vec![0; 1 << 20]);
            let (mut checksum, mut bytes) = (Checksum::default(), 0);
            loop {
                match file.read(&mut buffer) {
                    Ok(0) => return Ok(Self { bytes, xxh64: checksum.finish() }),
                    Ok(count) => {
                        checksum.add(buffer.get(..count).unwrap_or_default());
                        bytes += count as u64;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        };
        read().map_err(|error| Error::io(error, path))
    }

    /// That a file still holds it.
    ///
    /// # Errors
    /// It holds something else, or cannot be read.
    pub fn check(&self, path: &Path) -> Result<()> {
        match Self::of_file(path)? == *self {
            true => Ok(()),
            false => Err(damaged(path)),
        }
    }
}

/// The error for a file whose content is not what was written.
pub fn damaged(path: &Path) -> Error {
    Error::request("the file is damaged: its content is not what was written").file(path)
}

/// What stands between an object's last member and its checksum.
const BEFORE: &str = ",\n  \"checksum\": \"";
const AFTER: &str = "\"\n}\n";

/// Writes a JSON object that is not empty with a checksum of its text as last member.
///
/// # Errors
/// It cannot be written.
pub fn write_sealed(path: &Path, value: &impl Serialize) -> Result<()> {
    let unwritable = |error: &dyn std::fmt::Display| Error::failure(format!("cannot be written: {error}")).file(path);
    let text = serde_json::to_string_pretty(value).map_err(|error| unwritable(&error))?;
    let content = text.strip_suffix("\n}").ok_or_else(|| unwritable(&"not a JSON object"))?;
    write_atomically(path, format!("{content}{BEFORE}{}{AFTER}", Checksum::of(content)).as_bytes())
}

/// What a file that [`write_sealed`] wrote turns out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Sealed {
    /// As it was written: the whole text, with its checksum.
    Intact(String),
    /// Of another version, or damaged: it has no checksum.
    Without(Vec<u8>),
    /// Not as it was written.
    Damaged,
}

/// Reads a file that [`write_sealed`] wrote; `None` where there is none.
///
/// # Errors
/// It cannot be read.
pub fn read_sealed(path: &Path) -> Result<Option<Sealed>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(unsealed(bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(error, path)),
    }
}

fn unsealed(bytes: Vec<u8>) -> Sealed {
    let Ok(text) = String::from_utf8(bytes) else { return Sealed::Damaged };
    let parts = text.rsplit_once(BEFORE).and_then(|(content, rest)| Some((content, rest.strip_suffix(AFTER)?)));
    match parts {
        Some((content, checksum)) if Checksum::of(content) == checksum => Sealed::Intact(text),
        Some(_) => Sealed::Damaged,
        None => Sealed::Without(text.into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_sealed_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert_eq!(read_sealed(&path).unwrap(), None);
        write_sealed(&path, &serde_json::json!({"step": 3, "name": "é"})).unwrap();
        let whole = fs::read(&path).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!((&value["step"], value["checksum"].is_string()), (&3.into(), true));
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).unwrap();
            assert!(!matches!(read_sealed(&path).unwrap(), Some(Sealed::Intact(_))), "bit {bit}");
        }
        fs::write(&path, &whole).unwrap();
        assert!(matches!(read_sealed(&path).unwrap(), Some(Sealed::Intact(_))));
        fs::write(&path, b"{\"step\": 3}").unwrap();
        assert!(matches!(read_sealed(&path).unwrap(), Some(Sealed::Without(_))));
    }

    #[test]
    fn a_file_is_held_to_what_it_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let record = FileRecord::of(b"first\n");
        assert!(record.check(&path).is_err());
        for (content, same) in [("first\n", true), ("first\nsecond\n", false), ("fir", false), ("firsT\n", false)] {
            fs::write(&path, content).unwrap();
            assert_eq!(record.check(&path).is_ok(), same, "{content}");
        }
        assert!(record.check(&path).unwrap_err().to_string().contains("is damaged"));
    }
}
