//! Arrow's own files: batches of rows as they lie in memory, with an index at the end (Feather, version 2) or as a
//! stream (what Hugging Face's datasets keep on disk). A row keeps its batch, so the memory that reading takes is that
//! of the file's largest batch.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, SchemaRef};

use super::batch_writer::{BatchWriter, Container};
use super::batches::{BatchedRows, file_of};
use crate::data::format::{AddedColumn, FileLayout, Format, OpenedRows, WholeWriter, guarded};
use crate::data::options::ReadOptions;
use crate::error::{Error, Result};

pub struct Arrow;

impl Format for Arrow {
    fn name(&self) -> &'static str {
        "arrow"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["arrow", "feather"]
    }

    fn open_path(&self, path: &Path, _options: &ReadOptions) -> Result<Option<OpenedRows>> {
        let Some(file) = file_of(path, self.extensions(), "Arrow")? else { return Ok(None) };
        guarded(path, || opened(path, file)).map(Some)
    }

    fn has_lists(&self) -> bool {
        true
    }

    fn written_whole(&self) -> &'static [&'static str] {
        self.extensions()
    }

    fn whole_writer(&self, path: &Path, input: &FileLayout, added: &[AddedColumn]) -> Result<Box<dyn WholeWriter>> {
        Ok(Box::new(BatchWriter::create(Container::Arrow, path, input, added)?))
    }
}

/// How files with an index begin, and those of Feather's first version.
const WITH_INDEX: &[u8] = b"ARROW1";
const FEATHER_1: &[u8] = b"FEA1";

fn opened(path: &Path, mut file: File) -> Result<OpenedRows> {
    let mut magic = Vec::new();
    file.by_ref().take(WITH_INDEX.len() as u64).read_to_end(&mut magic).map_err(|error| Error::io(error, path))?;
    if magic.starts_with(FEATHER_1) {
        return Err(Error::request("this is a Feather file of version 1, which is not read").file(path).hint(
            "write it as Parquet: python -c \"import pandas; \
             pandas.read_feather('data.feather').to_parquet('data.parquet')\"",
        ));
    }
    file.rewind().map_err(|error| Error::io(error, path))?;
    let failed = |error| damaged(&error, path);
    if magic == WITH_INDEX {
        let batches = FileReader::try_new(BufReader::new(file), None).map_err(failed)?;
        return Ok(rows(path, batches.schema(), batches));
    }
    let batches = StreamReader::try_new(BufReader::new(file), None).map_err(failed)?;
    Ok(rows(path, batches.schema(), batches))
}

fn rows(
    path: &Path,
    schema: SchemaRef,
    batches: impl Iterator<Item = Result<arrow_array::RecordBatch, ArrowError>> + Send + 'static,
) -> OpenedRows {
    let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
    let layout = FileLayout { schema: Some(schema), ..FileLayout::new(path, &Arrow, columns) };
    let file = path.to_owned();
    let batches = batches.map(move |batch| batch.map_err(|error| damaged(&error, &file)));
    let source = BatchedRows::new(path.to_owned(), batches, None);
    OpenedRows { layout, rows: Box::new(source), choices: Vec::new() }
}

fn damaged(error: &ArrowError, path: &Path) -> Error {
    let message = error.to_string();
    // `Ipc error: …`
    let message = message.split_once(" error: ").map_or(message.as_str(), |(_, message)| message);
    Error::request(format!("the Arrow file cannot be read: {message}")).file(path).hint("write or fetch the file again")
}
