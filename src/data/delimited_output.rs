//! Writing the records of CSV and TSV. Which fields a record has is decided by the formats.

use crate::error::{Error, Result};

/// How records are written.
#[derive(Debug, Clone, Copy)]
pub struct Writing {
    pub delimiter: u8,
    /// What encloses fields that need it; `None` writes fields as they are.
    pub quote: Option<u8>,
    /// Lines end in a carriage return and a line feed.
    pub crlf: bool,
}

/// Appends a record with its line end, each field quoted when it must be, or is one of `quoted`: indices in their
/// order.
///
/// # Errors
/// Where nothing is quoted, a field that holds the delimiter or a line break.
pub fn push_record(
    buffer: &mut Vec<u8>,
    Writing { delimiter, quote, crlf }: Writing,
    fields: impl IntoIterator<Item: AsRef<[u8]>>,
    quoted: &[usize],
) -> Result<()> {
    let begin = buffer.len();
    let mut quoted = quoted.iter().copied().peekable();
    for (index, field) in fields.into_iter().enumerate() {
        let field = field.as_ref();
        if index > 0 {
            buffer.push(delimiter);
        }
        let was_quoted = quoted.next_if_eq(&index).is_some();
        let must_be = || field.iter().any(|&byte| [delimiter, b'\n', b'\r'].contains(&byte) || Some(byte) == quote);
        match quote {
            Some(quote) if was_quoted || must_be() => push_quoted(buffer, quote, field),
            None if must_be() => {
                let shown = String::from_utf8_lossy(field).into_owned();
                return Err(Error::request(format!("{shown:?} cannot be written without quotes"))
                    .hint("write to a .jsonl file, or a table with another delimiter"));
            }
            _ => buffer.extend_from_slice(field),
        }
    }
    if let (Some(quote), true) = (quote, buffer.len() == begin) {
        // A single field without anything would be a blank line.
        buffer.extend_from_slice(&[quote, quote]);
    }
    buffer.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
    Ok(())
}

fn push_quoted(buffer: &mut Vec<u8>, quote: u8, field: &[u8]) {
    buffer.push(quote);
    for &byte in field {
        if byte == quote {
            buffer.push(quote);
        }
        buffer.push(byte);
    }
    buffer.push(quote);
}
