//! Which format a stream has whose name leaves that open: by its first line, by what was asked for, and for plain lines
//! by whether they make a table, which nobody wants to be read as texts.

use super::DetectedSetting;
use super::format::FileFormat;
use super::formats::FORMATS;
use super::header::{doubt, numbered};
use super::label_text::brief;
use super::options::ReadOptions;
use super::sniffing::{TableOfLines, regular_rows, shown};
use super::stream::ByteStream;
use crate::config::Delimiter;
use crate::error::{Error, Result, listed};

/// The format of a stream, and why it is that where its name does not say so: `named`.
///
/// # Errors
/// The lines of what would be read as plain texts make a table.
pub fn chosen_format(
    stream: &ByteStream,
    named: Option<FileFormat>,
    options: &ReadOptions,
) -> Result<(FileFormat, Vec<DetectedSetting>)> {
    let lines = FORMATS.into_iter().find(|format| !format.names_columns());
    if let Some(lines) = lines.filter(|_| options.delimiter == Some(Delimiter::NONE)) {
        return Ok((lines, Vec::new()));
    }
    let found = match named {
        Some(format) if format.names_columns() => None,
        // A file of lines may be a table all the same.
        Some(_) => table_in_lines(stream, options),
        None => sniffed(&stream.first_line, options),
    };
    let choices = found.iter().map(|(format, reason)| DetectedSetting::new("format", format.name(), reason)).collect();
    let format = found.map(|(format, _)| format).or(named);
    let format = format.ok_or_else(|| Error::request("no format fits the first line").file(&stream.name))?;
    if !format.names_columns() {
        check_that_lines_are_no_table(stream, options)?;
    }
    Ok((format, choices))
}

/// The format of the table that a file of lines is by its first line, with the reason: a header with the columns
/// that were named, a row of the delimiter that was given, or a header with as many columns as the lines below.
fn table_in_lines(stream: &ByteStream, options: &ReadOptions) -> Option<(FileFormat, String)> {
    let (format, reason) = sniffed(&stream.first_line, options)?;
    let is_named = options.delimiter.is_some() || (options.text.is_some() && !options.no_header);
    let mut delimiters = [b'\t', b';', b'|', b','].into_iter();
    let is_table = is_named || delimiters.any(|delimiter| regular_rows(&stream.head, delimiter).is_some());
    (is_table && format.names_columns()).then_some((format, reason))
}

/// The format of a stream without a telling name, by its first line, with the reason.
pub fn sniffed(first_line: &[u8], options: &ReadOptions) -> Option<(FileFormat, String)> {
    FORMATS.into_iter().find_map(|format| Some((format, format.sniff(first_line, options)?)))
}

/// That lines which are to be texts make no table. Where that is not sure, since sentences have commas too, it is said.
///
/// # Errors
/// They do.
fn check_that_lines_are_no_table(stream: &ByteStream, options: &ReadOptions) -> Result<()> {
    let Some(TableOfLines { delimiter, rows, is_sure }) = TableOfLines::of(&stream.head) else { return Ok(()) };
    let Some((first, below)) = rows.split_first() else { return Ok(()) };
    let columns = if options.no_header { numbered(first.len()) } else { first.clone() };
    let what = format!(
        "every line has {} fields with {} between them; as a table its columns would be {}",
        first.len(),
        shown(delimiter),
        listed(columns.iter().map(|name| brief(name)))
    );
    if !is_sure {
        stream.log.say(format!("{what}; the lines are taken as texts; --text COL makes it a table"));
        return Ok(());
    }
    let mut way = "--text COL names the column of the text".to_owned();
    if let Some(doubt) = doubt(first, below, options).filter(|_| !options.no_header) {
        way = format!("{way}; {doubt}");
    }
    Err(Error::request(format!("{what}, none of which has a usual name of texts"))
        .file(&stream.name)
        .hint(format!("{way}; where every line is a text: --delimiter none")))
}
