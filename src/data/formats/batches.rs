//! Rows of formats that hold them in batches of typed columns: one after the other, each with its batch, and with it
//! every column's type, nested ones too.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::data::format::{RowSource, guarded};
use crate::data::row::{Record, Row};
use crate::data::stream::is_standard_stream;
use crate::data::typed::{BatchRow, TypedRow};
use crate::error::{Error, Result};
use crate::files;

/// The file at `path` where its extension is among `extensions`; it is not empty. `kind` is for messages.
///
/// # Errors
/// It cannot be opened, is empty, or is a folder of such files.
pub fn file_of(path: &Path, extensions: &[&str], kind: &str) -> Result<Option<File>> {
    if !extensions.contains(&files::extension(path).as_str()) || is_standard_stream(path) {
        return Ok(None);
    }
    let file = File::open(path).map_err(|error| Error::io(error, path))?;
    let metadata = file.metadata().map_err(|error| Error::io(error, path))?;
    if metadata.is_dir() {
        return Err(Error::request(format!("is a folder of {kind} files; one file was expected"))
            .file(path)
            .hint("name one of the files in it, or write the table as one file"));
    }
    if metadata.len() == 0 {
        return Err(Error::request("the file is empty").file(path).hint("write or fetch the file again"));
    }
    Ok(Some(file))
}

/// The rows of a file's batches.
pub struct BatchedRows {
    pub file: PathBuf,
    /// The batches that are still to be read.
    pub batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
    /// The batch that is being read, and the next of its rows.
    pub batch: Option<(Arc<RecordBatch>, usize)>,
    /// Rows that are left, where that is known.
    pub remaining: Option<u64>,
}

impl BatchedRows {
    /// None read yet.
    pub fn new(
        file: PathBuf,
        batches: impl Iterator<Item = Result<RecordBatch>> + Send + 'static,
        remaining: Option<u64>,
    ) -> Self {
        Self { file, batches: Box::new(batches), batch: None, remaining }
    }
}

impl RowSource for BatchedRows {
    fn next_row(&mut self, number: u64) -> Result<Option<Row>> {
        loop {
            if let Some((batch, next)) = &mut self.batch
                && *next < batch.num_rows()
            {
                let row = BatchRow { batch: Arc::clone(batch), index: *next };
                *next += 1;
                self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(1));
                return Ok(Some(Row::new(number, number, Record::Typed(TypedRow::Batch(row)))));
            }
            let batches = &mut self.batches;
            let batch = guarded(&self.file, || batches.next().transpose().map_err(|error: Error| error.row(number)))?;
            match batch {
                Some(batch) => self.batch = Some((Arc::new(batch), 0)),
                None => return Ok(None),
            }
        }
    }

    fn remaining(&self) -> Option<u64> {
        self.remaining
    }
}
