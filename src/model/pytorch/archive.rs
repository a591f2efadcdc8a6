//! The container of `torch.save` since PyTorch 1.6: a zip file whose entries are stored without compression, a pickle
//! and a file for each storage. Only its directory is read; the entries stay where they are.
//!
//! Layout: PKWARE's APPNOTE.TXT, sections 4.3 (records) and 4.5.3 (ZIP64).

use std::collections::HashMap;
use std::ops::Range;

use super::hints::DAMAGED;
use crate::error::{Error, Result};

/// Where each entry's content stands in the file, by its name below the archive's own folder.
pub struct Archive {
    pub entries: HashMap<String, Entry>,
}

/// One file of the archive.
pub struct Entry {
    pub content: Range<usize>,
    /// CRC-32, as far as the writer computed it.
    pub checksum: u32,
}

const END: &[u8] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
const LONGEST_COMMENT: usize = 0xffff;
const WIDE_END: &[u8] = b"PK\x06\x06";
const WIDE_LOCATOR: &[u8] = b"PK\x06\x07";
const DIRECTORY_ENTRY: &[u8] = b"PK\x01\x02";
pub const LOCAL_ENTRY: &[u8] = b"PK\x03\x04";
/// In a field of 32 bits: the value stands among the 64-bit ones.
const ELSEWHERE: u64 = 0xffff_ffff;

impl Archive {
    /// Reads the directory of a zip file.
    ///
    /// # Errors
    /// It is cut short, or its entries are compressed.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let (count, mut at) =
            directory(bytes).ok_or_else(|| cut("the archive has no directory: the file is cut short"))?;
        let mut entries = HashMap::new();
        let mut folder = None;
        for _ in 0..count {
            let found = Found::read(bytes, at).ok_or_else(|| cut("the archive's directory is damaged"))?;
            let Some((first, name)) = found.name.split_once('/') else {
                return Err(cut(format!("`{}` is no entry of a PyTorch file", found.name)).hint(DAMAGED));
            };
            if folder.get_or_insert_with(|| first.to_owned()) != first {
                return Err(cut(format!("`{}` is no entry of a PyTorch file", found.name)));
            }
            if found.is_compressed {
                let message =
                    format!("the entry `{}` is compressed or encrypted, which torch.save never does", found.name);
                return Err(Error::request(message).hint("unpack it and save it again with torch.save"));
            }
            at = found.next;
            let entry = Entry { content: found.content, checksum: found.checksum };
            if entries.insert(name.to_owned(), entry).is_some() {
                return Err(cut(format!("the entry `{}` is there twice", found.name)));
            }
        }
        Ok(Self { entries })
    }

    /// Whether the content is what the writer computed the checksum of.
    pub fn is_whole(&self, bytes: &[u8], name: &str) -> bool {
        let Some(entry) = self.entries.get(name) else { return false };
        let mut checksum = flate2::Crc::new();
        checksum.update(bytes.get(entry.content.clone()).unwrap_or_default());
        checksum.sum() == entry.checksum
    }
}

fn cut(message: impl Into<String>) -> Error {
    Error::request(message).fallback_hint(DAMAGED)
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(width)?)?;
    Some(field.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

fn position(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    usize::try_from(number(bytes, at, width)?).ok()
}

/// How many entries there are, and where their list begins.
fn directory(bytes: &[u8]) -> Option<(u64, usize)> {
    let last = bytes.len().checked_sub(END_LENGTH)?;
    let from = last.saturating_sub(LONGEST_COMMENT);
    let end = from + memchr::memmem::rfind(bytes.get(from..last + END.len())?, END)?;
    let (count, start) = (number(bytes, end + 10, 2)?, number(bytes, end + 16, 4)?);
    let locator = end.checked_sub(20).filter(|&at| bytes[at..].starts_with(WIDE_LOCATOR));
    let Some(locator) = locator else { return Some((count, usize::try_from(start).ok()?)) };
    let wide = position(bytes, locator + 8, 8)?;
    if !bytes.get(wide..)?.starts_with(WIDE_END) {
        return None;
    }
    Some((number(bytes, wide.checked_add(32)?, 8)?, position(bytes, wide.checked_add(48)?, 8)?))
}

/// One entry of the directory.
struct Found {
    name: String,
    content: Range<usize>,
    checksum: u32,
    is_compressed: bool,
    /// Where the following entry stands.
    next: usize,
}

impl Found {
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let record = bytes.get(at..)?;
        if !record.starts_with(DIRECTORY_ENTRY) {
            return None;
        }
        let (flags, method) = (number(record, 8, 2)?, number(record, 10, 2)?);
        let lengths = [28, 30, 32].map(|field| position(record, field, 2));
        let [name, extra, comment] = [lengths[0]?, lengths[1]?, lengths[2]?];
        let mut fields = [number(record, 24, 4)?, number(record, 20, 4)?, number(record, 42, 4)?];
        wide_fields(record.get(46 + name..46 + name + extra)?, &mut fields)?;
        let [size, stored, local] = fields;
        let local = bytes.get(usize::try_from(local).ok()?..)?;
        if !local.starts_with(LOCAL_ENTRY) || (method == 0 && size != stored) {
            return None;
        }
        let skipped = 30 + position(local, 26, 2)? + position(local, 28, 2)?;
        let start = (bytes.len() - local.len()).checked_add(skipped)?;
        let content = start..start.checked_add(usize::try_from(stored).ok()?)?;
        bytes.get(content.clone())?;
        Some(Self {
            name: String::from_utf8(record.get(46..46 + name)?.to_vec()).ok()?,
            content,
            checksum: u32::try_from(number(record, 16, 4)?).ok()?,
            is_compressed: method != 0 || flags & 1 != 0,
            next: at + 46 + name + extra + comment,
        })
    }
}

/// Replaces what stands elsewhere: the fields of 64 bits, in their order, in the extra field 1.
fn wide_fields(mut extra: &[u8], fields: &mut [u64; 3]) -> Option<()> {
    while fields.contains(&ELSEWHERE) {
        let (kind, length) = (number(extra, 0, 2)?, position(extra, 2, 2)?);
        let content = extra.get(4..4 + length)?;
        if kind == 1 {
            let mut at = 0;
            for field in fields.iter_mut().filter(|field| **field == ELSEWHERE) {
                *field = number(content, at, 8)?;
                at += 8;
            }
            return Some(());
        }
        extra = extra.get(4 + length..)?;
    }
    Some(())
}
