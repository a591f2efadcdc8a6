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

/// Appends a record with its line end, each field quoted when it must be.
///
/// # Errors
/// Where nothing is quoted, a field that holds the delimiter or a line break.
pub fn push_record(buffer: &mut Vec<u8>, writing: Writing, fields: impl IntoIterator<Item: AsRef<[u8]>>) -> Result<()> {
    let Writing { delimiter, quote, crlf } = writing;
    let Some(quote) = quote else { return push_unquoted(buffer, writing, fields) };
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .quote(quote)
        .terminator(if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
        // One record per writer: its own buffer need not be large.
        .buffer_capacity(1024)
        .from_writer(buffer);
    writer.write_record(fields).map_err(|error| Error::failure(error.to_string()))?;
    writer.flush().map_err(|error| Error::failure(error.to_string()))
}

fn push_unquoted(
    buffer: &mut Vec<u8>,
    Writing { delimiter, crlf, .. }: Writing,
    fields: impl IntoIterator<Item: AsRef<[u8]>>,
) -> Result<()> {
    for (index, field) in fields.into_iter().enumerate() {
        let field = field.as_ref();
        if field.iter().any(|byte| [delimiter, b'\n', b'\r'].contains(byte)) {
            let shown = String::from_utf8_lossy(field).into_owned();
            return Err(Error::request(format!("{shown:?} cannot be written without quotes"))
                .hint("write to a .jsonl file, or a table with another delimiter"));
        }
        if index > 0 {
            buffer.push(delimiter);
        }
        buffer.extend_from_slice(field);
    }
    buffer.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
    Ok(())
}
