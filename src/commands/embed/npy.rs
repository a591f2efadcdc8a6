//! NumPy's file of one array (format 1.0, <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>):
//! fp32 numbers, row by row.

use std::fs::File;
use std::io::{BufWriter, Write, copy};
use std::path::Path;

use crate::error::{Error, Result};
use crate::files;

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
/// The header ends where so many bytes divide its length.
const ALIGNMENT: usize = 64;

/// Writes `rows` rows of `width` numbers, which are the content of the file `numbers`.
///
/// # Errors
/// Reading or writing fails.
pub fn write(numbers: &Path, rows: u64, width: usize, output: &Path) -> Result<()> {
    let failed = |error| Error::io(error, output);
    let mut source = File::open(numbers).map_err(|error| Error::io(error, numbers))?;
    let mut target = BufWriter::new(files::create(output)?);
    target.write_all(&header(rows, width)).map_err(failed)?;
    copy(&mut source, &mut target).map_err(failed)?;
    target.flush().map_err(failed)
}

fn header(rows: u64, width: usize) -> Vec<u8> {
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    let begin = MAGIC.len() + size_of::<u16>();
    let filling = (ALIGNMENT - (begin + text.len() + 1) % ALIGNMENT) % ALIGNMENT;
    text.push_str(&" ".repeat(filling));
    text.push('\n');
    let mut header = MAGIC.to_vec();
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_numpys() {
        let header = header(3, 384);
        assert_eq!(header.len() % ALIGNMENT, 0);
        let (start, text) = header.split_at(10);
        assert_eq!(start, [MAGIC, &[118, 0]].concat());
        let text = std::str::from_utf8(text).unwrap();
        assert_eq!(text.trim_end(), "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 384), }");
        assert!(text.ends_with('\n') && text.len() == 118);
    }
}
