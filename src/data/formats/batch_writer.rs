//! Writes Parquet and Arrow files: rows that come from one keep their columns as they were, with their types; those of
//! a spreadsheet have the type that all cells of a column have, and all others are texts. Added columns are texts,
//! numbers and lists of them.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, FixedSizeListBuilder, Float32Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMillisecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::Value;

use crate::data::format::{AddedColumn, ColumnKind, FileLayout, WholeWriter, check_keys};
use crate::data::row::{OutputValue, Record, Row};
use crate::data::typed::{BatchRow, SheetCell, TypedRow};
use crate::error::{Error, Result};
use crate::files;

/// Rows that are collected before they are encoded.
const BATCH_ROWS: usize = 1024;
/// Rows and bytes of a group of rows, at most: a whole group is held in memory.
const GROUP_ROWS: usize = 131_072;
const GROUP_BYTES: usize = 64 << 20;

/// Which file the batches go into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    Parquet,
    Arrow,
}

/// The file that is written.
enum Target {
    Parquet(ArrowWriter<File>),
    Arrow(FileWriter<BufWriter<File>>),
}

pub struct BatchWriter {
    path: PathBuf,
    target: Target,
    schema: SchemaRef,
    /// The input's columns, which may have other names here.
    columns: Vec<String>,
    /// What there is to say about these names.
    renamed: Option<String>,
    rows: Collected,
    added: Vec<Builder>,
    collected: usize,
}

/// The rows that are not encoded yet.
enum Collected {
    /// Rows that follow each other in a batch which was read: the batch, the first row.
    Slice(Option<(Arc<RecordBatch>, usize)>),
    /// The values of each column.
    Columns(Vec<Builder>),
}

/// A column in the making.
enum Builder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Truth(BooleanBuilder),
    Moment(TimestampMillisecondBuilder),
    Numbers(FixedSizeListBuilder<Float32Builder>),
}

impl Target {
    fn create(container: Container, path: &Path, schema: &SchemaRef) -> Result<Self> {
        let file = files::create(path)?;
        if container == Container::Arrow {
            let writer = FileWriter::try_new(BufWriter::new(file), schema);
            return writer.map(Self::Arrow).map_err(|error| failed(&error, path));
        }
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            .set_created_by("rehead".to_owned())
            .build();
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties));
        writer.map(Self::Parquet).map_err(|error| failed(&error, path))
    }

    fn write(&mut self, batch: &RecordBatch, path: &Path) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.write(batch).map_err(|error| failed(&error, path)),
            Self::Arrow(writer) => writer.write(batch).map_err(|error| failed(&error, path)),
        }
    }

    fn finish(self, path: &Path) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.close().map(drop).map_err(|error| failed(&error, path)),
            Self::Arrow(mut writer) => writer.finish().map_err(|error| failed(&error, path)),
        }
    }
}

impl BatchWriter {
    /// Creates the file.
    ///
    /// # Errors
    /// It cannot be created, or has a column of a type that Parquet does not know.
    pub fn create(container: Container, path: &Path, input: &FileLayout, added: &[AddedColumn]) -> Result<Self> {
        let is_batched = ["parquet", "arrow"].contains(&input.format.name());
        let mut fields: Vec<Arc<Field>> = match &input.schema {
            Some(schema) => schema.fields().iter().cloned().collect(),
            None => input.columns.iter().map(|name| Arc::new(Field::new(name, DataType::Utf8, true))).collect(),
        };
        let mut renamed = None;
        if !is_batched {
            let named = with_names_of_their_own(&fields);
            renamed = said_of_names(&fields, &named);
            fields = named;
        }
        let columns = fields.iter().map(|field| Builder::of(field.data_type())).collect();
        let added = added.iter().map(|column| {
            let kind = match column.kind {
                ColumnKind::Text => DataType::Utf8,
                ColumnKind::Number => DataType::Float64,
                ColumnKind::Whole => DataType::Int64,
                ColumnKind::Numbers(count) => list_of(count),
            };
            (Arc::new(Field::new(&column.name, kind.clone(), true)), Builder::of(&kind))
        });
        let (added_fields, added): (Vec<_>, Vec<_>) = added.unzip();
        fields.extend(added_fields);
        let metadata = input.schema.as_ref().map(|schema| schema.metadata().clone()).unwrap_or_default();
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        let target = Target::create(container, path, &schema)?;
        let rows = if is_batched { Collected::Slice(None) } else { Collected::Columns(columns) };
        let (path, columns) = (path.to_owned(), input.columns.clone());
        Ok(Self { path, target, schema, columns, renamed, rows, added, collected: 0 })
    }

    /// Encodes what is collected.
    fn encode(&mut self) -> Result<()> {
        if self.collected == 0 {
            return Ok(());
        }
        let mut columns: Vec<ArrayRef> = match &mut self.rows {
            Collected::Slice(slice) => {
                let Some((batch, first)) = slice.take() else { return Ok(()) };
                batch.slice(first, self.collected).columns().to_vec()
            }
            Collected::Columns(columns) => columns.iter_mut().map(Builder::finish).collect(),
        };
        columns.extend(self.added.iter_mut().map(Builder::finish));
        self.collected = 0;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| Error::failure(error.to_string()).file(&self.path))?;
        self.target.write(&batch, &self.path)
    }
}

impl WholeWriter for BatchWriter {
    fn write(&mut self, row: &Row, values: &[OutputValue]) -> Result<()> {
        if let Record::Object { members, .. } = &row.record {
            check_keys(members, &self.columns).map_err(|error| error.row(row.number).line(row.line))?;
        }
        let is_next = match (&self.rows, &row.record) {
            (Collected::Slice(Some((batch, first))), Record::Typed(TypedRow::Batch(row))) => {
                Arc::ptr_eq(batch, &row.batch) && *first + self.collected == row.index
            }
            _ => true,
        };
        if !is_next || self.collected == BATCH_ROWS {
            self.encode()?;
        }
        match (&mut self.rows, &row.record) {
            (Collected::Slice(slice), Record::Typed(TypedRow::Batch(BatchRow { batch, index }))) => {
                slice.get_or_insert_with(|| (Arc::clone(batch), *index));
            }
            (Collected::Slice(_), _) => return Err(Error::failure("a row of another format").row(row.number)),
            (Collected::Columns(columns), record) => {
                for (index, column) in columns.iter_mut().enumerate() {
                    match record {
                        Record::Typed(TypedRow::Sheet(cells)) => column.push_cell(cells.get(index)),
                        Record::Object { members, .. } => {
                            let name = self.columns.get(index).map_or("", String::as_str);
                            let is_null = members.get(name).is_none_or(Value::is_null);
                            let text = row.text(name, index).filter(|_| !is_null);
                            column.push(text.map_or(Value::Null, |text| Value::from(text.as_ref())));
                        }
                        _ => column.push(row.text("", index).map_or(Value::Null, |text| Value::from(text.as_ref()))),
                    }
                }
            }
        }
        for (column, value) in self.added.iter_mut().zip(values) {
            column.push(match value {
                OutputValue::Numbers(numbers) => {
                    column.push_numbers(numbers);
                    continue;
                }
                OutputValue::Exact(number) => Value::from(*number),
                OutputValue::Text(text) => Value::from(text.as_str()),
                OutputValue::Number(number) => Value::from(*number),
                OutputValue::Whole(number) => Value::from(*number),
                OutputValue::Empty => Value::Null,
            });
        }
        self.collected += 1;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>> {
        self.encode()?;
        let path = self.path;
        self.target.finish(&path)?;
        Ok(self.renamed.into_iter().collect())
    }
}

/// The type of lists of `count` numbers.
fn list_of(count: usize) -> DataType {
    let number = Field::new_list_field(DataType::Float32, true);
    DataType::FixedSizeList(Arc::new(number), i32::try_from(count).unwrap_or(i32::MAX))
}

/// Columns of a file cannot share a name, nor be without one.
fn with_names_of_their_own(fields: &[Arc<Field>]) -> Vec<Arc<Field>> {
    let mut taken: HashSet<String> = fields.iter().map(|field| field.name().clone()).collect();
    let mut seen = HashSet::new();
    let named = fields.iter().enumerate().map(|(index, field)| {
        if !field.name().is_empty() && seen.insert(field.name().clone()) {
            return Arc::clone(field);
        }
        let stem = if field.name().is_empty() { "column" } else { field.name() };
        let mut name = format!("{stem}_{}", index + 1);
        while !taken.insert(name.clone()) {
            name.push('_');
        }
        Arc::new(field.as_ref().clone().with_name(name))
    });
    named.collect()
}

/// What columns are called in the file that have no name of their own in the input.
fn said_of_names(before: &[Arc<Field>], after: &[Arc<Field>]) -> Option<String> {
    let renamed = before.iter().zip(after).enumerate().filter(|(_, (before, after))| before.name() != after.name());
    let said: Vec<String> = renamed
        .map(|(index, (before, after))| match before.name().as_str() {
            "" => format!("column {} without a name is called `{}`", index + 1, after.name()),
            name => format!("column {}, another `{name}`, is called `{}`", index + 1, after.name()),
        })
        .collect();
    (!said.is_empty()).then(|| format!("such a file needs a name for each column: {}", said.join("; ")))
}

impl Builder {
    fn of(kind: &DataType) -> Self {
        match kind {
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Float64 => Self::Number(Float64Builder::new()),
            DataType::Boolean => Self::Truth(BooleanBuilder::new()),
            DataType::Timestamp(..) => Self::Moment(TimestampMillisecondBuilder::new()),
            DataType::FixedSizeList(field, size) => {
                let list = FixedSizeListBuilder::new(Float32Builder::new(), *size);
                Self::Numbers(list.with_field(Arc::clone(field)))
            }
            _ => Self::Text(StringBuilder::new()),
        }
    }

    /// Adds a value; one of another type than the column's is nothing.
    fn push(&mut self, value: Value) {
        match (self, value) {
            (Self::Text(column), Value::String(text)) => column.append_value(text),
            (Self::Text(column), Value::Null) => column.append_null(),
            (Self::Text(column), other) => column.append_value(other.to_string()),
            (Self::Integer(column), value) => column.append_option(value.as_i64()),
            (Self::Number(column), value) => column.append_option(value.as_f64()),
            (Self::Truth(column), value) => column.append_option(value.as_bool()),
            (Self::Moment(column), _) => column.append_null(),
            (Self::Numbers(column), _) => {
                let size = column.value_length().max(0) as usize;
                column.values().append_nulls(size);
                column.append(false);
            }
        }
    }

    /// Adds a list; in a column of another type it is nothing.
    fn push_numbers(&mut self, numbers: &[f32]) {
        match self {
            Self::Numbers(column) if column.value_length() as usize == numbers.len() => {
                column.values().append_slice(numbers);
                column.append(true);
            }
            other => other.push(Value::Null),
        }
    }

    fn push_cell(&mut self, cell: Option<&SheetCell>) {
        match (self, cell) {
            (Self::Moment(column), Some(SheetCell::Date { serial, .. })) => {
                column.append_value(SheetCell::milliseconds_since_1970(*serial));
            }
            (Self::Text(column), Some(SheetCell::Error(name))) => column.append_value(name),
            (column, cell) => column.push(cell.map(SheetCell::value).unwrap_or_default()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(column) => Arc::new(column.finish()),
            Self::Integer(column) => Arc::new(column.finish()),
            Self::Number(column) => Arc::new(column.finish()),
            Self::Truth(column) => Arc::new(column.finish()),
            Self::Moment(column) => Arc::new(column.finish()),
            Self::Numbers(column) => Arc::new(column.finish()),
        }
    }
}

fn failed(error: &impl Display, path: &Path) -> Error {
    let message = error.to_string();
    let is_full = message.contains("No space left");
    let error = Error::failure(message).file(path);
    if is_full { error.hint("make room on this disk, or write to another one") } else { error }
}
