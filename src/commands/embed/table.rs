//! The output, made of the features that are kept and of the input, which is read again: an array of NumPy's, or a
//! table of the input's columns and the features.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::npy;
use crate::cli::EmbedArgs;
use crate::commands::label::partial_name;
use crate::commands::label::progress::{Record, SameRows};
use crate::console::{Console, units};
use crate::data::format::{AddedColumn, ColumnKind, FileFormat, FileLayout, WholeWriter};
use crate::data::writer::{check_added, output_format};
use crate::data::{InputRows, OutputValue, ReadOptions, Row, RowWriter, Together};
use crate::error::{Error, Result};
use crate::files;

/// What is written, and where.
pub struct Output {
    pub path: PathBuf,
    /// None: an array.
    table: Option<Table>,
    width: usize,
}

struct Table {
    format: FileFormat,
    inputs: Vec<PathBuf>,
    options: ReadOptions,
    added: Vec<AddedColumn>,
    /// Whether a row's features are one list, or a column each.
    is_list: bool,
}

impl Output {
    /// That of a call, which can be written.
    ///
    /// # Errors
    /// It cannot: its format, its place, or a column of the input that has the name of one that is added.
    pub fn of(
        args: &EmbedArgs,
        options: &ReadOptions,
        input: &FileLayout,
        rows: Option<u64>,
        width: usize,
    ) -> Result<Self> {
        let path = files::followed(&args.output);
        if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(Error::request("the output is a directory").file(path).hint("name a file with --output"));
        }
        if args.is_npy() {
            return Ok(Self { path, table: None, width });
        }
        let format = output_format(&path, input)?;
        if let (Some(most), Some(rows)) = (format.max_rows(), rows)
            && rows > most
        {
            let message = format!("a file of this format holds {} rows, and there are more", units::count(most));
            return Err(Error::request(message).file(path).hint("write to a .npy or .parquet file"));
        }
        let is_list = format.has_lists();
        let column = |name: &str, kind| AddedColumn { name: args.added_column(name), kind };
        let added: Vec<AddedColumn> = match is_list {
            true => vec![column("features", ColumnKind::Numbers(width))],
            false => (0..width).map(|index| column(&format!("feature_{index}"), ColumnKind::Number)).collect(),
        };
        let names: Vec<String> = added.iter().map(|column| column.name.clone()).collect();
        check_added(input, &names)?;
        let table = Table { format, inputs: args.input.clone(), options: options.clone(), added, is_list };
        Ok(Self { path, table: Some(table), width })
    }

    /// Whether it is an array alone.
    pub fn is_npy(&self) -> bool {
        self.table.is_none()
    }

    /// Writes it from the `rows` rows of features in the file `numbers`. It has its name once it is whole.
    ///
    /// # Errors
    /// The input is not what `records` says was embedded, a row does not fit the format, writing fails, or interrupted.
    pub fn write(&self, numbers: &Path, rows: u64, records: &[Record], console: &Console) -> Result<()> {
        let whole = partial_name(&self.path);
        let written = match &self.table {
            None => npy::write(numbers, rows, self.width, &whole).map(|()| Vec::new()),
            Some(table) => table.write(numbers, self.width, records, &whole),
        };
        let named = written.and_then(|remarks| {
            files::rename(&whole, &self.path).map_err(|error| Error::io(error, &self.path))?;
            Ok(remarks)
        });
        if named.is_err() {
            let _ = std::fs::remove_file(&whole);
        }
        named?.iter().for_each(|remark| console.warn(remark));
        Ok(())
    }
}

/// What the rows go into.
enum Sink {
    Rows(Box<RowWriter>),
    Whole(Box<dyn WholeWriter>),
}

impl Table {
    /// Returns what there is to say about the file.
    fn write(&self, numbers: &Path, width: usize, records: &[Record], whole: &Path) -> Result<Vec<String>> {
        let unreadable = |error| Error::io(error, numbers);
        let mut features = BufReader::with_capacity(1 << 20, File::open(numbers).map_err(unreadable)?);
        let rows = InputRows::open(&self.inputs, &self.options, Together::Written)?;
        let (file, columns) = (rows.layout().file.clone(), rows.columns().clone());
        let mut sink = self.sink(whole, rows.layout())?;
        let mut same = SameRows::new(records);
        let mut bytes = vec![0; width * size_of::<f32>()];
        let embedded = records.last().map_or(0, |last| last.rows);
        let mut count = 0;
        for row in rows {
            let row = row?;
            same.take(&row, columns.file_of(&row))?;
            count += 1;
            if count > embedded {
                let message = "there are more rows here than were embedded: the input has changed";
                return Err(Error::request(message).file(columns.file_of(&row)).hint("embed it again"));
            }
            features.read_exact(&mut bytes).map_err(unreadable)?;
            let values = self.values(&bytes);
            match &mut sink {
                Sink::Rows(writer) => writer.write(&row, &values),
                Sink::Whole(writer) => write_whole(&mut **writer, &row, &values),
            }
            .map_err(|error| error.file(columns.file_of(&row)))?;
        }
        same.finish(&file)?;
        match sink {
            Sink::Rows(writer) => writer.finish().map(|()| Vec::new()),
            Sink::Whole(writer) => writer.finish(),
        }
    }

    fn sink(&self, whole: &Path, layout: &FileLayout) -> Result<Sink> {
        let names: Vec<String> = self.added.iter().map(|column| column.name.clone()).collect();
        match self.format.encoder(layout, &names) {
            Some(_) => RowWriter::create(whole, layout, &names).map(|writer| Sink::Rows(Box::new(writer))),
            None => self.format.whole_writer(whole, layout, &self.added).map(Sink::Whole),
        }
    }

    /// The values of the added columns.
    fn values(&self, bytes: &[u8]) -> Vec<OutputValue> {
        let numbers = bytes.chunks_exact(size_of::<f32>()).map(|bytes| {
            let bytes = bytes.try_into().unwrap_or_default();
            f32::from_le_bytes(bytes)
        });
        if self.is_list {
            let numbers: Vec<f32> = numbers.collect();
            let is_empty = numbers.first().is_some_and(|number| number.is_nan());
            return vec![if is_empty { OutputValue::Empty } else { OutputValue::Numbers(numbers) }];
        }
        let value = |number: f32| if number.is_nan() { OutputValue::Empty } else { OutputValue::Exact(number) };
        numbers.map(value).collect()
    }
}

fn write_whole(writer: &mut dyn WholeWriter, row: &Row, values: &[OutputValue]) -> Result<()> {
    writer.write(row, values).map_err(|error| error.row(row.number).line(row.line))
}
