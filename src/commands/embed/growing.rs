//! Features as they are computed: a file beside the output that grows by whole windows of rows, fp32 numbers row by row
//! and nothing else, and a note of how far it has come and what it is made of. When all rows are there, the output is
//! made of it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::origin::Origin;
use super::table::Output;
use crate::cli::EmbedArgs;
use crate::commands::label::contents::check_rows;
use crate::commands::label::progress::{self, ProgressLog, Record};
use crate::commands::label::{beside, note_name, partial_name};
use crate::console::{Console, units};
use crate::data::{InputRows, ReadOptions, Row, Together};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Lock};

/// Bytes of a number.
pub const NUMBER: u64 = size_of::<f32>() as u64;

/// Features that are kept as they are computed.
pub struct Growing {
    /// The numbers.
    numbers: PathBuf,
    note: PathBuf,
    file: BufWriter<File>,
    digest: Sha256,
    log: ProgressLog,
    width: usize,
    rows: u64,
    /// Of which `flush` has recorded so many.
    recorded: u64,
    /// Whether what is kept can be continued: an input that can be read again.
    resumable: bool,
    _lock: Option<Lock>,
}

impl Growing {
    /// Begins the file, or continues that of an interrupted call.
    ///
    /// # Errors
    /// It cannot be written, another process is writing it, or an interrupted one is in the way or is of another call
    /// or other rows.
    pub fn open(args: &EmbedArgs, output: &Path, origin: Origin, width: usize, options: &ReadOptions) -> Result<Self> {
        let partial = partial_name(output);
        let (numbers, note) = (beside(&partial, ".f32"), note_name(&partial));
        let lock = files::lock_file(output)?;
        let unwritable = |error: Error| error.or_hint("name a file that can be written with --output");
        let exists = numbers.exists();
        if exists && !args.resume {
            return Err(Error::request("an interrupted output is here")
                .file(&numbers)
                .hint(format!("--resume continues it; to begin again, delete it and {}", note.display())));
        }
        if args.resume && !exists {
            return Err(Error::request("there is nothing to resume: no interrupted output is here")
                .file(output)
                .hint("leave out --resume to embed from the first row on"));
        }
        let mut records = Vec::new();
        if exists {
            let (saved, recorded) = progress::read::<Origin>(&note)?;
            saved.check(&origin, &note)?;
            records = progress::intact(recorded, &numbers)?;
            check_rows(InputRows::open(&args.input, options, Together::Read)?, &records)?;
        }
        let log = ProgressLog::begin(&note, &origin, &records).map_err(unwritable)?;
        let (rows, bytes) = records.last().map_or((0, 0), |last: &Record| (last.rows, last.bytes));
        let file = match exists {
            true => files::continue_at(&numbers, bytes)?,
            false => files::create(&numbers).map_err(unwritable)?,
        };
        let file = BufWriter::with_capacity(1 << 20, file);
        let resumable = !args.has_stream();
        let digest = Sha256::new();
        Ok(Self { numbers, note, file, digest, log, width, rows, recorded: rows, resumable, _lock: lock })
    }

    /// Rows that are kept, those of an earlier call included.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds a row; without features it gets numbers that are none. `content` is the digest of its image's file.
    ///
    /// # Errors
    /// Writing fails.
    pub fn add(&mut self, row: &Row, content: Option<&str>, values: Option<&[f32]>) -> Result<()> {
        let bytes: Vec<u8> = match values {
            Some(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            None => f32::NAN.to_le_bytes().repeat(self.width),
        };
        self.digest.update(&bytes);
        self.file.write_all(&bytes).map_err(|error| Error::io(error, &self.numbers))?;
        self.log.row(row, content);
        self.rows += 1;
        Ok(())
    }

    /// Hands every row on, and records that they are kept.
    ///
    /// # Errors
    /// Writing fails.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|error| Error::io(error, &self.numbers))?;
        self.log.record(self.rows, self.rows * self.width as u64 * NUMBER, std::mem::take(&mut self.digest))?;
        self.recorded = self.rows;
        Ok(())
    }

    /// Makes the output of what is kept, which is then removed.
    ///
    /// # Errors
    /// The input has changed since, a row does not fit the format, or writing fails: what is kept stays, and `--resume`
    /// makes the output of it.
    pub fn complete(self, output: &Output, console: &Console) -> Result<()> {
        let Self { numbers, note, resumable, .. } = &self;
        let made = progress::read::<Origin>(note).and_then(|(_, records)| {
            output.write(numbers, self.rows, &records, console).map_err(|error| match resumable {
                true => error.or_hint(format!("every row is embedded; --resume writes {}", output.path.display())),
                false => error,
            })
        });
        if made.is_ok() || !*resumable {
            self.remove();
        }
        made
    }

    /// Keeps whole windows of rows for `--resume`, or nothing at all, and says so in the error.
    pub fn keep(self, error: Error, console: &Console) -> Error {
        let rows = self.recorded;
        let error = with_rows(error, rows);
        if rows == 0 || !self.resumable {
            self.remove();
            return match error.kind() {
                ErrorKind::Interrupted if self.resumable => error.hint(
                    "nothing is kept: rows are kept window by window, and the first was not done; a smaller one is \
                     sooner: --window 32",
                ),
                ErrorKind::Interrupted => error.hint("nothing is kept of a pipe; read a file to be able to resume"),
                _ => error,
            };
        }
        let rows = units::counted(rows, "row");
        let kept = format!("{rows} kept in {}; --resume continues after them", self.numbers.display());
        if error.hint_text().is_some() {
            // The error's own hint says how to fix what is wrong; this comes before it.
            console.warn(&kept);
        }
        error.hint(kept)
    }

    fn remove(&self) {
        let _ = std::fs::remove_file(&self.numbers);
        let _ = std::fs::remove_file(&self.note);
    }
}

/// An interruption says what is done; other errors are as they are.
fn with_rows(error: Error, rows: u64) -> Error {
    match error.kind() {
        ErrorKind::Interrupted => {
            let verb = if rows == 1 { "is" } else { "are" };
            Error::interrupted(format!("{} {verb} embedded", units::counted(rows, "row")))
        }
        _ => error,
    }
}
