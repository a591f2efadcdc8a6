//! What a data file is, and opening it: format and compression from the name, or from the first bytes where the name
//! does not say (standard input). Ends at a stream of decompressed bytes without a byte-order mark; rows are read by
//! [`super::rows`].

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::Choice;
use super::columns::{PAIR_NAMES, TEXT_NAMES, TextColumns};
use super::rows::ReadOptions;
use crate::data::formats::csv;
use crate::error::{Error, Result};
use crate::interrupt;

/// The kinds of data file that hold text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// RFC 4180, with a header; another delimiter than the comma is possible.
    Csv,
    /// The same with tabs.
    Tsv,
    /// A JSON object a line.
    Jsonl,
    /// A text a line.
    Text,
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Jsonl => "jsonl",
            Self::Text => "plain lines",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// What a file's name says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedType {
    /// `None` when the name has no extension that says it.
    pub format: Option<FileFormat>,
    pub compression: Compression,
}

/// Reads format and compression off a file's name.
///
/// # Errors
/// For formats that are known and not read here, with how to convert them.
pub fn named_type(path: &Path) -> Result<NamedType> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let (stem, compression) = match name.rsplit_once('.') {
        Some((stem, "gz")) => (stem, Compression::Gzip),
        Some((stem, "zst" | "zstd")) => (stem, Compression::Zstd),
        _ => (name.as_str(), Compression::None),
    };
    let extension = stem.rsplit_once('.').map_or("", |(_, extension)| extension);
    let format = match extension {
        "csv" => Some(FileFormat::Csv),
        "tsv" | "tab" => Some(FileFormat::Tsv),
        // A `.json` file may hold an object a line; an array is refused at its first row, with a hint.
        "jsonl" | "ndjson" | "json" => Some(FileFormat::Jsonl),
        "txt" => Some(FileFormat::Text),
        _ => None,
    };
    if format.is_none()
        && let Some(error) = unread(extension)
    {
        return Err(error.file(path));
    }
    Ok(NamedType { format, compression })
}

/// The error for a format that is not read, by its usual extension.
fn unread(extension: &str) -> Option<Error> {
    let (what, hint) = match extension {
        "parquet" | "arrow" | "feather" => (
            "a column store (Parquet or Arrow)",
            "convert it first: python -c \"import pandas; pandas.read_parquet('data.parquet').to_csv('data.csv', index=False)\"",
        ),
        "xlsx" | "xls" | "ods" => ("a spreadsheet", "save it as CSV with UTF-8 encoding and pass that file"),
        "zip" => ("a zip archive", "unpack it (unzip) and pass the file inside"),
        "tar" | "tgz" => ("a tar archive", "unpack it (tar -xf) and pass the file inside"),
        "bz2" => ("compressed with bzip2", "decompress it first (bunzip2); .gz and .zst are read as they are"),
        "xz" => ("compressed with xz", "decompress it first (unxz); .gz and .zst are read as they are"),
        "sqlite" | "db" => ("a database", "export the table as CSV and pass that file"),
        _ => return None,
    };
    Some(Error::request(format!("the file is {what}, which is not read")).hint(hint))
}

/// The extension that a file's first bytes betray, for [`unread`].
fn betrayed_by(head: &[u8]) -> &'static str {
    const SIGNS: [(&[u8], &str); 6] = [
        (b"PAR1", "parquet"),
        (b"PK\x03\x04", "zip"),
        (b"\xD0\xCF\x11\xE0", "xls"),
        (b"BZh", "bz2"),
        (b"\xFD7zXZ\0", "xz"),
        (b"SQLite format 3\0", "sqlite"),
    ];
    SIGNS.iter().find(|(sign, _)| head.starts_with(sign)).map_or("", |(_, extension)| extension)
}

/// An opened data file: its bytes, and what was found out about it.
pub struct Source {
    /// Decompressed, after any byte-order mark.
    pub reader: Box<dyn BufRead + Send>,
    /// How messages name it.
    pub name: PathBuf,
    pub format: FileFormat,
    /// Between fields, for CSV and TSV.
    pub delimiter: u8,
    /// How many decompressed bytes were skipped before the first one of `reader` (a byte-order mark).
    pub skipped: u64,
    pub progress: Progress,
    pub choices: Vec<Choice>,
}

/// How far reading has come, in bytes of the file as stored; may be watched from another thread.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    read: Arc<AtomicU64>,
    /// The file's size; `None` for a pipe.
    pub total: Option<u64>,
}

impl Progress {
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// Whether `path` stands for standard input or output.
pub fn is_standard_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens a data file; `-` is standard input.
pub fn open(path: &Path, options: &ReadOptions) -> Result<Source> {
    if is_standard_stream(path) {
        let named = NamedType { format: None, compression: Compression::None };
        let name = Path::new("standard input");
        // The handle itself: what the library has read ahead would not wake a waiting call.
        let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(|error| Error::io(error, name))?;
        return from_stream(Box::new(Patient(stdin.into())), name, named, None, options);
    }
    let named = named_type(path)?;
    let metadata = std::fs::metadata(path).map_err(|error| Error::io(error, path))?;
    if metadata.is_dir() {
        return Err(Error::request("is a directory; a data file was expected")
            .file(path)
            .hint("name a .csv, .tsv, .jsonl or .txt file in it; for a folder of images, give a model for images"));
    }
    let file = File::open(path).map_err(|error| Error::io(error, path))?;
    if metadata.is_file() {
        return from_stream(Box::new(file), path, named, Some(metadata.len()), options);
    }
    from_stream(Box::new(Patient(file)), path, named, None, options)
}

/// As much of a stream's beginning as is looked at to find out what it is.
const PEEK_BYTES: usize = 64 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;

/// Opens any stream of bytes; the first ones settle what the name left open.
pub fn from_stream(
    stream: Box<dyn Read + Send>,
    name: &Path,
    named: NamedType,
    total: Option<u64>,
    options: &ReadOptions,
) -> Result<Source> {
    let at_name = |error: io::Error| read_error(error, name);
    let progress = Progress { read: Arc::default(), total };
    let counted = Box::new(Counted { stream, read: Arc::clone(&progress.read) });
    let mut choices = Vec::new();

    let (head, raw) = peek(counted, |head| head.len() >= 16).map_err(at_name)?;
    let compression = if head.starts_with(b"\x1F\x8B") {
        Compression::Gzip
    } else if head.starts_with(b"\x28\xB5\x2F\xFD") {
        Compression::Zstd
    } else {
        Compression::None
    };
    if compression == Compression::None && named.compression != Compression::None && !head.is_empty() {
        return Err(Error::request("the name says compressed, the content is not")
            .file(name)
            .hint("rename the file without the last extension"));
    }
    if let Some(error) = unread(betrayed_by(&head)) {
        return Err(error.file(name));
    }
    let plain: Box<dyn Read + Send> = match compression {
        Compression::None => raw,
        Compression::Gzip => {
            Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, raw)))
        }
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(raw).map_err(at_name)?),
    };

    let (head, mut reader) = peek(plain, |head| head.contains(&b'\n')).map_err(at_name)?;
    if head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") {
        return Err(Error::request("the file is UTF-16, not UTF-8")
            .file(name)
            .hint("convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW"));
    }
    let mut skipped = 0;
    let mut first = head.as_slice();
    if let Some(rest) = first.strip_prefix(b"\xEF\xBB\xBF") {
        first = rest;
        skipped = 3;
        reader.read_exact(&mut [0; 3]).map_err(at_name)?;
    }
    let first_line = first.split(|&byte| byte == b'\n').next().unwrap_or_default();

    let format = match options.format.or(named.format) {
        Some(format) => format,
        None => {
            let (format, reason) = sniffed_format(first_line, options);
            choices.push(Choice::new("format", format.to_string(), reason));
            format
        }
    };
    let delimiter = match (format, options.delimiter) {
        (_, Some(delimiter)) if !delimiter.is_ascii() || matches!(delimiter, b'"' | b'\n' | b'\r' | 0) => {
            return Err(Error::request("the delimiter must be one ASCII character other than a quote or a line end"));
        }
        (_, Some(delimiter)) => delimiter,
        (FileFormat::Tsv, None) => b'\t',
        (_, None) => {
            let (delimiter, reason) = sniffed_delimiter(first_line);
            if format == FileFormat::Csv
                && let Some(reason) = reason
            {
                choices.push(Choice::new("delimiter", shown_delimiter(delimiter), reason));
            }
            delimiter
        }
    };
    let reader = Box::new(BufReader::with_capacity(BUFFER_BYTES, reader));
    Ok(Source { reader, name: name.to_owned(), format, delimiter, skipped, progress, choices })
}

/// `tab` rather than an invisible character.
pub fn shown_delimiter(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tab".to_owned(),
        other => format!("`{}`", other as char),
    }
}

/// An error while reading `name`: damaged compressed data is the file's fault, not the machine's.
pub(super) fn read_error(error: io::Error, name: &Path) -> Error {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    let error = match error.downcast::<Error>() {
        Ok(own) => return own,
        Err(error) => error,
    };
    match error.kind() {
        // zstd reports damage as `Other`, without an operating system's error number.
        InvalidData | InvalidInput | UnexpectedEof | Other if error.raw_os_error().is_none() => {
            Error::request(format!("the compressed data is damaged or cut short: {error}"))
                .file(name)
                .hint("fetch or compress the file again")
        }
        _ => Error::io(error, name),
    }
}

/// What a stream without a telling name holds, from its first line.
fn sniffed_format(first_line: &[u8], options: &ReadOptions) -> (FileFormat, String) {
    if first_line.trim_ascii_start().starts_with(b"{") {
        return (FileFormat::Jsonl, "the first line begins with `{`".to_owned());
    }
    if matches!(first_line.trim_ascii(), b"[") || first_line.trim_ascii_start().starts_with(b"[{") {
        // A JSON array: reading its first row explains how to convert it, and its lines are no texts.
        return (FileFormat::Jsonl, "the first line begins a JSON array".to_owned());
    }
    let candidates = match options.delimiter {
        Some(delimiter) => vec![delimiter],
        None => vec![b',', b'\t', b';', b'|'],
    };
    for delimiter in candidates {
        let names = csv::first_record(first_line, delimiter);
        let has = |name: &str| names.iter().any(|known| known.trim() == name);
        let first_of = |text: &TextColumns| match text {
            TextColumns::One(column) => has(column).then(|| column.clone()),
            TextColumns::Two(one, two) => (has(one) && has(two)).then(|| one.clone()),
        };
        let found = match (&options.text, options.as_before.text.as_ref().and_then(first_of)) {
            (Some(told), _) => first_of(told),
            (None, Some(before)) => Some(before),
            (None, None) => PAIR_NAMES
                .iter()
                .find(|(one, two)| has(one) && has(two))
                .map(|(one, _)| *one)
                .or_else(|| TEXT_NAMES.iter().copied().find(|name| has(name)))
                .map(str::to_owned),
        };
        if let Some(column) = found {
            let format = if delimiter == b'\t' { FileFormat::Tsv } else { FileFormat::Csv };
            return (format, format!("the first line names the column `{column}`"));
        }
    }
    (FileFormat::Text, "the first line is no JSON object and names no text column".to_owned())
}

/// The delimiter of a CSV header, with a reason where it is not the comma.
fn sniffed_delimiter(header: &[u8]) -> (u8, Option<String>) {
    let count = |delimiter: u8| csv::first_record(header, delimiter).len() - 1;
    if count(b',') > 0 {
        return (b',', None);
    }
    // Of equals the last one wins, and the semicolon is the most usual.
    let best = [b'|', b'\t', b';'].into_iter().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',');
    if count(best) == 0 {
        return (b',', None);
    }
    (best, Some(format!("the header has no comma but {} of these", count(best))))
}

/// Reads the beginning of a stream, until `enough` or [`PEEK_BYTES`] are there, and returns it with the whole stream.
fn peek(
    mut stream: Box<dyn Read + Send>,
    enough: impl Fn(&[u8]) -> bool,
) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let mut head = Vec::new();
    let mut chunk = vec![0; 8 * 1024];
    while head.len() < PEEK_BYTES && !enough(&head) {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => head.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let whole = Box::new(Cursor::new(head.clone()).chain(stream));
    Ok((head, whole))
}

/// A terminal or pipe, where the next byte may never come: waiting for it ends when the person wants the program to stop.
struct Patient(File);

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const GLANCE_MS: i32 = 100;
        let mut waiting = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry; whatever goes wrong with it shows when it is read.
        while unsafe { libc::poll(&mut waiting, 1, GLANCE_MS) } <= 0 {
            if interrupt::requested() {
                return Err(io::Error::other(Error::interrupted("while waiting for input")));
            }
        }
        self.0.read(buffer)
    }
}

/// Counts the bytes that pass.
struct Counted<R> {
    stream: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sniff(first_line: &str, text: Option<&str>) -> FileFormat {
        let text = text.map(|name| TextColumns::One(name.to_owned()));
        sniffed_format(first_line.as_bytes(), &ReadOptions { text, ..ReadOptions::default() }).0
    }

    #[test]
    fn names_say_format_and_compression() {
        let read = |name: &str| named_type(Path::new(name)).map(|named| (named.format, named.compression));
        assert_eq!(read("a/B.CSV").unwrap(), (Some(FileFormat::Csv), Compression::None));
        assert_eq!(read("x.tsv.gz").unwrap(), (Some(FileFormat::Tsv), Compression::Gzip));
        assert_eq!(read("x.ndjson.zst").unwrap(), (Some(FileFormat::Jsonl), Compression::Zstd));
        assert_eq!(read("reviews").unwrap(), (None, Compression::None));
        let error = read("x.parquet").unwrap_err();
        assert_eq!(error.exit_status(), 2);
        assert!(error.hint_text().unwrap().contains("to_csv"));
    }

    #[test]
    fn first_line_tells_the_format_of_a_pipe() {
        assert_eq!(sniff("{\"text\": \"a\"}", None), FileFormat::Jsonl);
        assert_eq!(sniff("id,text\r", None), FileFormat::Csv);
        assert_eq!(sniff("id\tsentence", None), FileFormat::Tsv);
        assert_eq!(sniff("What a film, what a text", None), FileFormat::Text);
        assert_eq!(sniff("id,Beschreibung", None), FileFormat::Text);
        assert_eq!(sniff("id;\"Beschreibung\"", Some("Beschreibung")), FileFormat::Csv);
        assert_eq!(sniff("", None), FileFormat::Text);
        assert_eq!(sniff("[", None), FileFormat::Jsonl);
    }

    #[test]
    fn delimiter_is_the_comma_unless_the_header_has_none() {
        assert_eq!(sniffed_delimiter(b"a;b,c").0, b',');
        assert_eq!(sniffed_delimiter(b"a;b;c|d").0, b';');
        assert_eq!(sniffed_delimiter(b"\"a,b\"\tc").0, b'\t');
        assert_eq!(sniffed_delimiter(b"text").0, b',');
    }
}
