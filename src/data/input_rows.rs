//! The rows of an input: of one file, or of several one after the other. A row keeps its number in its own file, and
//! says which that is. Reading takes the memory that one file takes.

use std::path::PathBuf;

use super::DetectedSetting;
use super::column_choice::{LabelColumn, resolve};
use super::format::FileLayout;
use super::input_columns::{InputColumns, Together, add_keys, columns_of_other, options_of_other};
use super::input_log::InputLog;
use super::options::ReadOptions;
use super::reader::RowReader;
use super::row::Row;
use crate::error::{Error, Result};

/// An iterator over the rows of one file or of several. After an error it ends.
pub struct InputRows {
    files: Vec<PathBuf>,
    options: ReadOptions,
    columns: InputColumns,
    /// The first file's, with the keys of all where rows have keys.
    layout: FileLayout,
    /// That of the file which is read.
    reader: RowReader,
    file: u32,
    failed: bool,
    log: InputLog,
    count: Option<u64>,
    encodings: Vec<(PathBuf, &'static str)>,
    bytes: Option<u64>,
    /// Of the files before the one that is read.
    bytes_before: u64,
}

impl InputRows {
    /// Opens the files, of which the first decides how they are read: the others must go together with it.
    ///
    /// # Errors
    /// A file cannot be opened, lacks the columns, or does not go together with the first.
    pub fn open(files: &[PathBuf], options: &ReadOptions, together: Together) -> Result<Self> {
        let Some((first, others)) = files.split_first() else {
            return Err(Error::request("no file is given").key("input"));
        };
        let reader = RowReader::open(first, options)?;
        let mut layout = reader.layout().clone();
        let columns = resolve(&layout, options, LabelColumn::Optional)?;
        let mut encodings: Vec<_> = reader.encoding().map(|name| (layout.file.clone(), name)).into_iter().collect();
        let (mut count, mut bytes) = (reader.row_count(), reader.bytes_read().total);
        let mut of_files = vec![columns];
        for file in others {
            let Some(first) = of_files.first() else { break };
            let other = RowReader::open(file, &options_of_other(first, options))?;
            let found = columns_of_other(other.layout(), first, reader.layout(), options, together)?;
            add_keys(&mut layout, other.layout());
            encodings.extend(other.encoding().map(|name| (other.layout().file.clone(), name)));
            let sum = |one: Option<u64>, other: Option<u64>| Some(one? + other?);
            (count, bytes) = (sum(count, other.row_count()), sum(bytes, other.bytes_read().total));
            of_files.push(found);
        }
        let log = InputLog::new(!others.is_empty());
        log.add(&layout.file, reader.log());
        Ok(Self {
            files: files.to_vec(),
            options: options.clone(),
            columns: InputColumns::new(of_files),
            layout,
            reader,
            file: 0,
            failed: false,
            log,
            count,
            encodings,
            bytes,
            bytes_before: 0,
        })
    }

    /// The columns that matter, in each of the files.
    pub fn columns(&self) -> &InputColumns {
        &self.columns
    }

    /// What a writer must know to write the rows again.
    pub fn layout(&self) -> &FileLayout {
        &self.layout
    }

    /// What was found out about the first file rather than given, with reasons.
    pub fn choices(&self) -> &[DetectedSetting] {
        self.reader.choices()
    }

    /// The files whose text is not in UTF-8, each with the name of its encoding.
    pub fn encodings(&self) -> &[(PathBuf, &'static str)] {
        &self.encodings
    }

    /// How many rows there are, where that is known without reading them.
    pub fn row_count(&self) -> Option<u64> {
        self.count
    }

    /// The share of the input that is read, 0 to 1, where its size is known.
    pub fn share(&self) -> Option<f64> {
        let total = self.bytes.filter(|&total| total > 0)?;
        Some(((self.bytes_before + self.reader.bytes_read().so_far()) as f64 / total as f64).min(1.0))
    }

    /// What is noticed while the rows are read; may be asked while another thread reads.
    pub fn log(&self) -> InputLog {
        self.log.clone()
    }

    /// Skips `count` rows, to continue where an earlier run stopped; fewer when the input ends before.
    ///
    /// # Errors
    /// A row cannot be read.
    pub fn skip_rows(&mut self, count: u64) -> Result<u64> {
        for skipped in 0..count {
            if self.next().transpose()?.is_none() {
                return Ok(skipped);
            }
        }
        Ok(count)
    }

    /// Opens the next file; false where there is none.
    fn open_next(&mut self) -> Result<bool> {
        let number = self.file + 1;
        let Some(file) = self.files.get(number as usize) else { return Ok(false) };
        let options = match self.columns.of_file(0) {
            Some(first) => &options_of_other(first, &self.options),
            None => &self.options,
        };
        let reader = RowReader::open(file, options)?;
        let found = resolve(reader.layout(), options, LabelColumn::Optional)?;
        if !self.columns.of_file(number).is_some_and(|known| known.is_same(&found)) {
            return Err(Error::request("the file has changed since it was opened: its columns are others").file(file));
        }
        self.log.add(&reader.layout().file, reader.log());
        self.bytes_before += self.reader.bytes_read().total.unwrap_or(0);
        (self.reader, self.file) = (reader, number);
        Ok(true)
    }

    fn read(&mut self) -> Result<Option<Row>> {
        loop {
            if let Some(row) = self.reader.next() {
                let row = row.map_err(|error| error.file(&self.reader.layout().file))?;
                return Ok(Some(Row { file: self.file, ..row }));
            }
            if !self.open_next()? {
                return Ok(None);
            }
        }
    }
}

impl Iterator for InputRows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.read();
        self.failed = row.is_err();
        row.transpose()
    }
}
