//! The suggested rows as a file, in any format that `label` writes, or on standard output.

use std::path::{Path, PathBuf};

use crate::cli::SuggestArgs;
use crate::commands::label::partial_name;
use crate::console::Console;
use crate::data::format::{AddedColumn, ColumnKind, FileFormat};
use crate::data::writer::{check_added, is_stream, output_format};
use crate::data::{FileLayout, InputColumns, InputRows, OutputValue, ReadOptions, Row, RowWriter};
use crate::error::{Error, Result};
use crate::files;

/// A row that is worth a label.
pub struct Suggestion {
    pub row: Row,
    /// The values of the task's output columns.
    pub answer: Vec<OutputValue>,
    /// Other rows that the model doubts and that are like it.
    pub alike: u64,
}

/// What is written, and where.
pub struct Output {
    path: PathBuf,
    format: FileFormat,
    layout: FileLayout,
    added: Vec<AddedColumn>,
    /// Whether an empty column for the label is added first.
    adds_label: bool,
    columns: InputColumns,
    /// Whether the file of each row is written, for there are several.
    adds_file: bool,
}

/// What a label's column is called where nothing else is known.
const LABEL: &str = "label";

impl Output {
    /// That the output can be written, before anything is computed.
    ///
    /// # Errors
    /// It cannot: its format, its place, or a column of the input that has the name of one that is added.
    pub fn prepare(
        args: &SuggestArgs,
        rows: &InputRows,
        options: &ReadOptions,
        answer: &[AddedColumn],
    ) -> Result<Self> {
        let (input, columns) = (rows.layout(), rows.columns().clone());
        let prefix = args.column_prefix.as_deref().unwrap_or_default();
        let column = |name: &str, kind| AddedColumn { name: format!("{prefix}{name}"), kind };
        let adds_label = columns.label().is_none() && !input.style.no_header;
        let label = options.trained_on.label.clone().unwrap_or(LABEL.to_owned());
        let label = adds_label.then_some(AddedColumn { name: label, kind: ColumnKind::Text });
        let added: Vec<AddedColumn> = label
            .into_iter()
            .chain((args.input.len() > 1).then(|| column("file", ColumnKind::Text)))
            .chain([column("row", ColumnKind::Whole)])
            .chain(answer.iter().map(|added| column(&added.name, added.kind)))
            .chain([column("similar_rows", ColumnKind::Whole)])
            .collect();
        let path = files::followed(&args.output);
        let (format, layout, adds_file) = (output_format(&path, input)?, input.clone(), args.input.len() > 1);
        let output = Self { format, path, layout, added, adds_label, columns, adds_file };
        check_added(input, &output.names())?;
        if is_stream(&output.path) && output.is_whole() {
            return Err(Error::request("a file of this format cannot be written into a pipe or device")
                .file(&output.path)
                .hint("write to a file, or .csv"));
        }
        if output.path.is_dir() {
            return Err(Error::request("the output is a directory")
                .file(output.path)
                .hint("name a file with --output"));
        }
        Ok(output)
    }

    fn names(&self) -> Vec<String> {
        self.added.iter().map(|column| column.name.clone()).collect()
    }

    /// Whether the file is only whole at its end.
    fn is_whole(&self) -> bool {
        self.format.encoder(&self.layout, &[]).is_none()
    }

    /// Writes them in their order. A file has its name once it is whole.
    ///
    /// # Errors
    /// A row does not fit the format, or writing fails.
    pub fn write(&self, suggestions: &[Suggestion], console: &Console) -> Result<()> {
        if is_stream(&self.path) {
            return self.write_to(&self.path, suggestions, console);
        }
        let _lock = files::lock_file(&self.path)?;
        let partial = partial_name(&self.path);
        let written = self.write_to(&partial, suggestions, console);
        let named = written.and_then(|()| files::rename(&partial, &self.path).map_err(|e| Error::io(e, &self.path)));
        if named.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        named
    }

    fn write_to(&self, path: &Path, suggestions: &[Suggestion], console: &Console) -> Result<()> {
        let unwritable = |error: Error| error.or_hint("name a file that can be written with --output");
        if self.is_whole() {
            let mut writer = self.format.whole_writer(path, &self.layout, &self.added).map_err(unwritable)?;
            for suggestion in suggestions {
                self.written(writer.write(&suggestion.row, &self.values(suggestion)), suggestion)?;
            }
            writer.finish()?.iter().for_each(|remark| console.warn(remark));
            return Ok(());
        }
        let mut writer = RowWriter::create(path, &self.layout, &self.names()).map_err(unwritable)?;
        for suggestion in suggestions {
            self.written(writer.write(&suggestion.row, &self.values(suggestion)), suggestion)?;
        }
        writer.finish()
    }

    fn written(&self, written: Result<()>, suggestion: &Suggestion) -> Result<()> {
        written.map_err(|error| error.file(self.columns.file_of(&suggestion.row)))
    }

    fn values(&self, Suggestion { row, answer, alike }: &Suggestion) -> Vec<OutputValue> {
        let label = self.adds_label.then_some(OutputValue::Empty);
        let file = self.adds_file.then(|| OutputValue::Text(self.columns.file_of(row).display().to_string()));
        let number = OutputValue::Whole(row.number);
        label
            .into_iter()
            .chain(file)
            .chain([number])
            .chain(answer.iter().cloned())
            .chain([OutputValue::Whole(*alike)])
            .collect()
    }
}
