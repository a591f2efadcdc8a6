//! A data file or standard input as a stream of decompressed bytes without a byte-order mark, whose first line is
//! known. What format these bytes have is decided by [`super::reader`].

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::Encoding;

use super::DetectedSetting;
use super::compression::Compression;
use super::encoding::{Decoded, encoding_of};
use super::reading_log::ReadingLog;
use super::unsupported::unsupported_content;
use crate::error::{Error, Result};
use crate::interrupt;

/// An opened data file.
pub struct ByteStream {
    /// Decompressed, after any byte-order mark.
    pub reader: Box<dyn BufRead + Send>,
    /// How messages name it.
    pub name: PathBuf,
    /// How many decompressed bytes were skipped before the first one of `reader` (a byte-order mark).
    pub skipped: u64,
    /// The first line, as far as it was looked at.
    pub first_line: Vec<u8>,
    /// What was looked at of the beginning: up to some 100 KB of a file, of a pipe little more than its first line.
    pub head: Vec<u8>,
    /// Whether it began with a byte-order mark.
    pub byte_order_mark: bool,
    /// What it was decoded from; `None` for UTF-8.
    pub encoding: Option<&'static str>,
    /// What is noticed while it is read.
    pub log: ReadingLog,
    /// What was found out about its encoding.
    pub choices: Vec<DetectedSetting>,
}

/// How far reading has come, in bytes of the file as it is stored; may be watched from another thread.
#[derive(Debug, Clone, Default)]
pub struct BytesRead {
    read: Arc<AtomicU64>,
    /// The file's size; `None` for a pipe.
    pub total: Option<u64>,
}

impl BytesRead {
    /// Bytes of the file read until now, before decompression.
    pub fn so_far(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The share of the file that is read, 0 to 1; `None` for a pipe.
    pub fn share(&self) -> Option<f64> {
        let total = self.total.filter(|&total| total > 0)?;
        Some((self.so_far() as f64 / total as f64).min(1.0))
    }
}

/// Whether `path` stands for standard input or output.
pub fn is_standard_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Bytes as they are stored, not yet decompressed.
pub struct RawStream {
    /// The bytes, none of which is read yet.
    pub bytes: Box<dyn Read + Send>,
    /// `None` for a pipe.
    pub total: Option<u64>,
    /// How messages name it.
    pub name: PathBuf,
}

impl RawStream {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// The file cannot be opened, or is a directory.
    pub fn open(path: &Path) -> Result<Self> {
        if is_standard_stream(path) {
            let name = PathBuf::from("standard input");
            // The handle itself: what the library has read ahead would not wake a waiting call.
            let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(|error| Error::io(error, &name))?;
            return Ok(Self { bytes: Box::new(InterruptibleReader(stdin.into())), total: None, name });
        }
        let metadata = std::fs::metadata(path).map_err(|error| Error::io(error, path))?;
        if metadata.is_dir() {
            return Err(Error::request("is a directory; a data file was expected").file(path).hint(
                "name a .csv, .tsv, .jsonl, .xlsx or .parquet file in it; for a folder of images, give a model for \
                 images",
            ));
        }
        let file = File::open(path).map_err(|error| Error::io(error, path))?;
        let name = path.to_owned();
        Ok(match metadata.is_file() {
            true => Self { bytes: Box::new(file), total: Some(metadata.len()), name },
            false => Self { bytes: Box::new(InterruptibleReader(file)), total: None, name },
        })
    }

    /// Decompresses the stream, as its first bytes ask for, and looks at its first line. `named` is the compression
    /// that the file's name claims.
    ///
    /// # Errors
    /// The content is not compressed though the name says so, of a kind that is not read, or damaged.
    pub fn decompressed(
        self,
        named: Compression,
        encoding: Option<&'static Encoding>,
    ) -> Result<(ByteStream, BytesRead)> {
        let Self { bytes, total, name } = self;
        let at_name = |error: io::Error| read_error(error, &name);
        let bytes_read = BytesRead { read: Arc::default(), total };
        let (head, raw) = peek(bytes, |head| head.len() >= 16).map_err(at_name)?;
        let compression = Compression::of_magic(&head);
        if compression == Compression::None && named != Compression::None && !head.is_empty() {
            return Err(Error::request("the name says compressed, the content is not")
                .file(&name)
                .hint("rename the file without the last extension"));
        }
        if let Some(error) = unsupported_content(&head) {
            return Err(error.file(&name));
        }
        // Bytes of the stored file count when they are consumed, not when they are buffered: a small file would be read
        // at once.
        let is_plain = compression == Compression::None;
        let plain: Box<dyn Read + Send> = match is_plain {
            true => raw,
            false => {
                let counted = bytes_read.counted(BufReader::with_capacity(COMPRESSED_BUFFER_BYTES, raw));
                compression.decompressed(counted).map_err(at_name)?
            }
        };

        // A pipe may give no more than its first line for a long time.
        let is_file = total.is_some();
        let most = if is_plain { PEEK_FILE_BYTES } else { PEEK_BYTES };
        let (head, reader) =
            peek(plain, |head| head.len() >= most || !is_file && tells_its_format(head)).map_err(at_name)?;
        Self::decoded(head, reader, name, bytes_read, is_plain, encoding)
    }

    /// The stream as UTF-8, without its byte-order mark. Bytes of a plain file count when they are consumed.
    fn decoded(
        head: Vec<u8>,
        mut reader: Box<dyn Read + Send>,
        name: PathBuf,
        bytes_read: BytesRead,
        is_plain: bool,
        encoding: Option<&'static Encoding>,
    ) -> Result<(ByteStream, BytesRead)> {
        let found = encoding_of(&head, encoding);
        let log = ReadingLog::default();
        let skipped = found.mark as u64;
        reader.read_exact(&mut vec![0; found.mark]).map_err(|error| read_error(error, &name))?;
        bytes_read.read.fetch_add(if is_plain { skipped } else { 0 }, Ordering::Relaxed);
        let head = head.get(found.mark..).unwrap_or_default();
        let buffered = |reader| BufReader::with_capacity(BUFFER_BYTES, reader);
        let (head, reader): (Vec<u8>, Box<dyn BufRead + Send>) = match (found.decoder, is_plain) {
            (None, true) => (head.to_vec(), Box::new(bytes_read.counted(buffered(reader)))),
            (None, false) => (head.to_vec(), Box::new(buffered(reader))),
            (Some(encoding), _) => {
                let text = encoding.decode_without_bom_handling(head).0.into_owned().into_bytes();
                let raw: Box<dyn Read + Send> =
                    if is_plain { Box::new(bytes_read.counted(buffered(reader))) } else { reader };
                let decoded: Box<dyn Read + Send> = Box::new(Decoded::new(raw, encoding, log.clone()));
                (text, Box::new(buffered(decoded)))
            }
        };
        let mut choices = Vec::new();
        if let (Some(encoding), Some(reason)) = (found.decoder, found.reason) {
            choices.push(DetectedSetting::new("encoding", encoding.name(), reason));
            if found.is_guess {
                log.say(format!(
                    "read as {} ({reason}); if letters look wrong, name the encoding with --encoding",
                    encoding.name()
                ));
            }
        }
        let first_line = head.split(|&byte| byte == b'\n').next().unwrap_or_default().to_vec();
        let (byte_order_mark, encoding) = (found.mark > 0, found.decoder.map(Encoding::name));
        Ok((
            ByteStream { reader, name, skipped, first_line, head, byte_order_mark, encoding, log, choices },
            bytes_read,
        ))
    }
}

/// How much of a stream's beginning is looked at, at most, to find out what it is.
const PEEK_FILE_BYTES: usize = 256 * 1024;
/// The same of a pipe, and of compressed files, which are decompressed ahead.
const PEEK_BYTES: usize = 64 * 1024;
pub(super) const BUFFER_BYTES: usize = 64 * 1024;
const COMPRESSED_BUFFER_BYTES: usize = 64 * 1024;

/// Whether a pipe's beginning tells its format: by the first line, and where that may be a table's, by the next one.
fn tells_its_format(head: &[u8]) -> bool {
    let mut ends = memchr::memchr_iter(b'\n', head);
    let Some(first) = ends.next().and_then(|end| head.get(..end)) else { return false };
    let may_be_a_table =
        first.iter().any(|byte| b"\t;|,".contains(byte)) && !first.trim_ascii_start().starts_with(b"{");
    !may_be_a_table || ends.next().is_some()
}

/// Reads the beginning of a stream, until `enough` or [`PEEK_FILE_BYTES`] are there, and returns it with the whole
/// stream.
fn peek(
    mut stream: Box<dyn Read + Send>,
    enough: impl Fn(&[u8]) -> bool,
) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let mut head = Vec::new();
    let mut chunk = vec![0; 8 * 1024];
    while head.len() < PEEK_FILE_BYTES && !enough(&head) {
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

/// An error while reading `name`: damaged compressed data is the file's fault, not the machine's.
pub fn read_error(error: io::Error, name: &Path) -> Error {
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

/// A terminal or pipe, where the next byte may never come: an interruption ends the wait for it.
struct InterruptibleReader(File);

impl Read for InterruptibleReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const POLL_MS: i32 = 100;
        let mut waiting = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry, which outlives the call. What is wrong with the descriptor shows when it is read.
        while unsafe { libc::poll(&mut waiting, 1, POLL_MS) } <= 0 {
            if interrupt::requested() {
                return Err(io::Error::other(Error::interrupted("while waiting for input")));
            }
        }
        self.0.read(buffer)
    }
}

impl BytesRead {
    fn counted<R>(&self, stream: R) -> Counted<R> {
        Counted { stream, read: Arc::clone(&self.read) }
    }
}

/// Counts the bytes that are taken out of it.
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

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.stream.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.read.fetch_add(amount as u64, Ordering::Relaxed);
        self.stream.consume(amount);
    }
}
