//! The rows that a run was trained on, as digests of eight bytes in its directory: so that `evaluate` notices when it
//! is given them again, whatever the file is called and in whatever order they are. Beside them those that were held
//! out for validation, which have a label too: `suggest` passes both over.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::batch::ExampleSet;
use crate::data::Input;
use crate::error::{Error, Result};
use crate::files::write_atomically;

/// The file in a run's directory of the rows that it was trained on.
pub const TRAINED_ROWS: &str = "trained_rows.bin";
/// The same of the rows that it was validated on.
pub const HELD_OUT_ROWS: &str = "held_out_rows.bin";
/// What the file begins with.
const MAGIC: &[u8; 8] = b"rehead1\n";
/// No more digests are kept, which take 8 MiB: of more rows, only those whose digests begin with enough zero bits.
const MOST: usize = 1 << 20;

/// Digests of distinct inputs, or of a random part of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TrainedRows {
    /// In increasing order.
    digests: Vec<u64>,
    /// Zero bits that all of these begin with: one row in two to this power is kept.
    zero_bits: u8,
}

/// How many of some rows are rows that a model was trained on.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// Of all of them, estimated where only a part of the digests was kept.
    pub rows: u64,
    pub is_estimate: bool,
}

/// The digest of each of the inputs of `set`, which are its examples in their order: of texts, or of the content of
/// image files.
pub fn digests<'a>(inputs: impl IntoIterator<Item = &'a Input>, set: &dyn ExampleSet) -> Vec<u64> {
    let digest = |(index, input): (usize, &Input)| {
        let parts = match (input, set.content(index)) {
            (_, Some(content)) => [content, ""],
            (Input::Text(text), None) => [text.as_str(), ""],
            (Input::Pair(first, second), None) => [first.as_str(), second.as_str()],
            (Input::Image(_), None) => ["", ""],
        };
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(8).fold(0, |digest, &byte| digest << 8 | u64::from(byte))
    };
    inputs.into_iter().enumerate().map(digest).collect()
}

impl TrainedRows {
    /// Of the rows with these digests.
    pub fn new(mut digests: Vec<u64>) -> Self {
        digests.sort_unstable();
        digests.dedup();
        let mut rows = Self { digests, zero_bits: 0 };
        while rows.digests.len() > MOST {
            rows.zero_bits += 1;
            let bits = rows.zero_bits;
            rows.digests.truncate(rows.digests.partition_point(|&digest| begins_with_zeros(digest, bits)));
        }
        rows
    }

    /// Saves them.
    pub fn write(&self, file: &Path) -> Result<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(self.zero_bits);
        bytes.extend(self.digests.iter().flat_map(|digest| digest.to_le_bytes()));
        write_atomically(file, &bytes)
    }

    /// Those of a file in a run's directory; none where it has no such file, or one that is not understood.
    pub fn read(run: &Path, file: &str) -> Result<Option<Self>> {
        let file = run.join(file);
        if !file.is_file() {
            return Ok(None);
        }
        let bytes = std::fs::read(&file).map_err(|error| Error::io(error, &file))?;
        let Some([zero_bits, digests @ ..]) = bytes.strip_prefix(MAGIC) else { return Ok(None) };
        let digests = digests.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        Ok(Some(Self { digests, zero_bits: (*zero_bits).min(63) }))
    }

    /// Whether the row with this digest is among them.
    pub fn has(&self, digest: u64) -> bool {
        self.digests.binary_search(&digest).is_ok()
    }

    /// Whether all rows' digests are kept, not only those of a part of them.
    pub fn is_whole(&self) -> bool {
        self.zero_bits == 0
    }

    /// How many of the rows with these digests are among them.
    pub fn known(&self, digests: &[u64]) -> Known {
        let known = digests.iter().filter(|&&digest| self.has(digest)).count() as u64;
        Known { rows: known << self.zero_bits, is_estimate: self.zero_bits > 0 }
    }
}

fn begins_with_zeros(digest: u64, bits: u8) -> bool {
    digest.leading_zeros() >= u32::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn rows_are_known_again_and_of_many_a_part_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(TrainedRows::read(folder.path(), TRAINED_ROWS).unwrap(), None);
        let rows = TrainedRows::new(vec![7, 3, 7]);
        rows.write(&folder.path().join(TRAINED_ROWS)).unwrap();
        assert_eq!(TrainedRows::read(folder.path(), TRAINED_ROWS).unwrap(), Some(rows));
        let rows = TrainedRows::new(vec![7, 3, 7]);
        assert_eq!(rows.known(&[1, 3, 3, 9]), Known { rows: 2, is_estimate: false });

        let mut random = Random::new(1);
        let many: Vec<u64> = (0..3 * MOST).map(|_| random.below(u64::MAX)).collect();
        let rows = TrainedRows::new(many.clone());
        assert!(rows.zero_bits == 2 && rows.digests.len() < MOST);
        let Known { rows, is_estimate } = rows.known(&many[..100_000]);
        assert!(is_estimate && (95_000..105_000).contains(&rows), "{rows}");
    }
}
