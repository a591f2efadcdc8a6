//! The content of a file of an image, by which it is known again.

use std::path::Path;

use crate::fingerprint::Fingerprint;

/// A digest of a file's bytes; empty where it cannot be read.
pub fn content_of(file: &Path) -> String {
    let Ok(bytes) = std::fs::read(file) else { return String::new() };
    let mut hash = Fingerprint::default();
    hash.bytes(bytes);
    shortened(&hash.finish())
}

/// As much of a digest of 64 digits as no two files of one data set share.
pub fn shortened(digest: &str) -> String {
    digest.chars().take(32).collect()
}
