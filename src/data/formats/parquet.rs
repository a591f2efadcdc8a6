//! Parquet: a file of typed columns in groups of rows. Rows come in batches, so that memory does not grow with the
//! file; a row keeps its batch, and with it every column's type, nested ones too.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::batch_writer::{BatchWriter, Container};
use super::batches::{BatchedRows, file_of};
use crate::data::format::{AddedColumn, FileLayout, Format, OpenedRows, WholeWriter, guarded};
use crate::data::options::ReadOptions;
use crate::data::stream::ByteStream;
use crate::error::{Error, Result};

pub struct Parquet;

impl Format for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["parquet", "pq"]
    }

    fn open_path(&self, path: &Path, _options: &ReadOptions) -> Result<Option<OpenedRows>> {
        let Some(file) = file_of(path, self.extensions(), "Parquet")? else { return Ok(None) };
        guarded(path, || opened(path, file)).map(Some)
    }

    fn has_lists(&self) -> bool {
        true
    }

    fn written_whole(&self) -> &'static [&'static str] {
        self.extensions()
    }

    fn whole_writer(&self, path: &Path, input: &FileLayout, added: &[AddedColumn]) -> Result<Box<dyn WholeWriter>> {
        Ok(Box::new(BatchWriter::create(Container::Parquet, path, input, added)?))
    }

    fn open_stream(&self, stream: ByteStream, _options: &ReadOptions) -> Result<OpenedRows> {
        Err(Error::request("a Parquet file is read from its end, which a compressed file or a pipe does not give")
            .file(stream.name)
            .hint("name the uncompressed .parquet file itself"))
    }
}

/// Bytes of a batch of rows in memory, about.
const BATCH_BYTES: i64 = 8 << 20;
/// Rows of a batch, at most.
const BATCH_ROWS: i64 = 1024;

fn opened(path: &Path, file: File) -> Result<OpenedRows> {
    let failed = |error: ParquetError| damaged(&error, path);
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    let metadata = Arc::clone(builder.metadata());
    let rows = metadata.file_metadata().num_rows().max(0);
    let bytes: i64 = metadata.row_groups().iter().map(|group| group.total_byte_size().max(0)).sum();
    let batch_rows = (BATCH_BYTES / (bytes / rows.max(1)).max(1)).clamp(1, BATCH_ROWS);
    let schema = Arc::clone(builder.schema());
    let batches = builder.with_batch_size(batch_rows as usize).build().map_err(failed)?;
    let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
    let layout = FileLayout { schema: Some(schema), ..FileLayout::new(path, &Parquet, columns) };
    let file = path.to_owned();
    let batches = batches.map(move |batch| batch.map_err(|error| damaged(&ParquetError::from(error), &file)));
    let source = BatchedRows::new(path.to_owned(), batches, Some(rows as u64));
    Ok(OpenedRows { layout, rows: Box::new(source), choices: Vec::new() })
}

fn damaged(error: &ParquetError, path: &Path) -> Error {
    let message = error.to_string();
    let message = message.strip_prefix("Parquet error: ").unwrap_or(&message);
    let hint = if message.contains("brotli") || message.contains("lzo") {
        "write it with zstd, snappy, gzip or lz4 compression"
    } else if message.contains("ncrypt") {
        "write it without encryption"
    } else {
        "write or fetch the file again"
    };
    Error::request(format!("the Parquet file cannot be read: {message}")).file(path).hint(hint)
}
