//! The output as it grows: under a name of its own beside `--output`, which it takes when it is complete. A note beside
//! it says what it is the output of, so that an interrupted one is only continued by the same call. Pipes and devices
//! are written to directly, and nothing of this concerns them.

use std::path::{Path, PathBuf};

use crate::cli::LabelArgs;
use crate::commands::label::assemble::{Assembly, check_row_count, too_many_rows};
use crate::commands::label::contents::check_rows;
use crate::commands::label::finished::Finished;
use crate::commands::label::origin::Origin;
use crate::commands::label::progress::{self, ProgressLog, Record};
use crate::commands::loaded_model::LoadedModel;
use crate::console::{Console, units};
use crate::data::format::{AddedColumn, ColumnKind, FileFormat, WholeWriter};
use crate::data::writer::{check_added, is_stream, output_format};
use crate::data::{FileLayout, InputColumns, InputRows, OutputValue, ReadOptions, Record as RowRecord, Row};
use crate::data::{RowWriter, Together};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Lock};
use crate::task::OutputColumns;

/// The output as it grows.
pub struct GrowingOutput {
    pub writer: LabelWriter,
    pub files: OutputFiles,
    /// Where an earlier call has begun it: what may differ from an output that is made by one call.
    pub remark: Option<String>,
}

const INTERRUPTED_HINT: &str = "resume with the same command, or delete the partial output to begin again";

/// The files of a growing output; none for a stream.
pub struct OutputFiles {
    files: Option<Files>,
    /// Keeps others from writing the same output.
    _lock: Option<Lock>,
}

struct Files {
    /// The file that grows.
    partial: PathBuf,
    /// The note beside it that says what it is the output of; none where it cannot be continued.
    note: Option<PathBuf>,
    /// The name that it takes in the end.
    output: PathBuf,
    /// How the output is made, where it is more than what has grown.
    assembly: Option<Assembly>,
    /// Whether what it was made of stays beside it.
    keeps_note: bool,
}

/// What an output is made of.
pub struct Labelling<'a> {
    pub args: &'a LabelArgs,
    pub options: &'a ReadOptions,
    pub input: &'a InputRows,
    pub columns: &'a dyn OutputColumns,
    pub model: &'a LoadedModel,
    /// Whether what the output was made of stays beside it when it is complete, for a later call to know.
    pub keeps_note: bool,
}

impl Labelling<'_> {
    /// How the output's rows look.
    fn layout(&self) -> FileLayout {
        let mut layout = self.input.layout().clone();
        layout.style.is_safe = self.args.csv_safe;
        layout
    }

    fn reopened(&self) -> Result<InputRows> {
        InputRows::open(&self.args.input, self.options, Together::Written)
    }

    fn writer(&self, sink: Sink, rows: u64) -> LabelWriter {
        LabelWriter { sink, rows, log: None, max_rows: None, columns: self.input.columns().clone() }
    }

    /// The added columns, and what stands in them.
    fn added(&self) -> Vec<AddedColumn> {
        let example = self.columns.answer(&vec![0.0; self.model.classifier.labels.len()]).values;
        let kind = |index: usize| example.get(index).map_or(ColumnKind::Text, ColumnKind::of);
        let names = self.columns.names().into_iter().enumerate();
        names.map(|(index, name)| AddedColumn { name: self.args.added_column(&name), kind: kind(index) }).collect()
    }
}

impl GrowingOutput {
    /// Begins an output, or continues an interrupted one. Nothing where the output is complete.
    ///
    /// # Errors
    /// The output cannot be written, another process is writing it, an interrupted one is in the way or is the output
    /// of another call or of other rows, or nothing says of what a complete one was made.
    pub fn open(labelling: &Labelling) -> Result<Option<Self>> {
        let Labelling { args, .. } = labelling;
        let input = &labelling.layout();
        let added = labelling.added();
        let names: Vec<String> = added.iter().map(|column| column.name.clone()).collect();
        check_added(input, &names)?;
        let output = &files::followed(&args.output);
        let format = output_format(output, input)?;
        check_row_count(format, labelling.input.row_count(), output)?;
        check_safe(args, format, output)?;
        let is_whole = format.encoder(input, &[]).is_none();
        if is_stream(output) {
            return to_stream(labelling, is_whole, &names).map(Some);
        }
        if output.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(Error::request("the output is a directory").file(output).hint("name a file with --output"));
        }
        let lock = files::lock_file(output)?;
        if !args.resume {
            Finished::check_replaceable(output)?;
        }
        let keeps_note = labelling.keeps_note;
        let partial = partial_name(output);
        if is_whole && args.has_stream() {
            let writer = format.whole_writer(&partial, input, &added).map_err(unwritable)?;
            let files = Files { partial, note: None, output: output.clone(), assembly: None, keeps_note };
            let writer = LabelWriter { max_rows: format.max_rows(), ..labelling.writer(Sink::Whole(writer), 0) };
            let files = OutputFiles { files: Some(files), _lock: lock };
            return Ok(Some(Self { writer, files, remark: None }));
        }
        let (assembly, partial, layout) = match is_whole {
            false => (None, partial, input.clone()),
            true => {
                let (inputs, options) = (args.input.clone(), labelling.options.clone());
                // What grows is the added columns alone.
                let layout = FileLayout { columns: Vec::new(), schema: None, ..input.clone() };
                (Some(Assembly { format, inputs, options, added }), labels_name(&partial), layout)
            }
        };
        let files = Files { note: Some(note_name(&partial)), partial, output: output.clone(), assembly, keeps_note };
        let Some((writer, remark)) = files.grow(labelling, &layout, &names)? else { return Ok(None) };
        let writer = LabelWriter { max_rows: format.max_rows(), ..writer };
        Ok(Some(Self { writer, files: OutputFiles { files: Some(files), _lock: lock }, remark }))
    }

    /// The file that grows; none for a stream.
    pub fn grown(&self) -> Option<&Path> {
        self.files.files.as_ref().map(|files| files.partial.as_path())
    }

    /// Rows that an earlier call has written.
    pub fn rows(&self) -> u64 {
        self.writer.rows
    }
}

fn to_stream(labelling: &Labelling, is_whole: bool, names: &[String]) -> Result<GrowingOutput> {
    let output = &labelling.args.output;
    if labelling.args.resume {
        return Err(Error::request("what went into a pipe or device cannot be resumed")
            .file(output)
            .hint("write to a file"));
    }
    if is_whole {
        return Err(Error::request("a file of this format cannot be written into a pipe or device")
            .file(output)
            .hint("write to a file, or .csv"));
    }
    let writer = RowWriter::create(output, &labelling.layout(), names)?;
    let writer = labelling.writer(Sink::Rows { writer: Box::new(writer), keeps_rows: true }, 0);
    Ok(GrowingOutput { writer, files: OutputFiles { files: None, _lock: None }, remark: None })
}

/// That fields are only made safe where somebody could take them as formulas.
fn check_safe(args: &LabelArgs, format: FileFormat, output: &Path) -> Result<()> {
    match args.csv_safe && !["csv", "tsv"].contains(&format.name()) {
        true => Err(Error::request(format!("--csv-safe is for .csv and .tsv, and this output is {format}"))
            .file(output)
            .hint("leave it out: in other formats a text is stored as a text, and no program computes it")),
        false => Ok(()),
    }
}

fn unwritable(error: Error) -> Error {
    error.hint("name a file that can be written with --output")
}

impl Files {
    /// Begins the file that grows, or continues it, with what is to be said of that. Nothing where it is complete.
    fn grow(
        &self,
        labelling: &Labelling,
        layout: &FileLayout,
        names: &[String],
    ) -> Result<Option<(LabelWriter, Option<String>)>> {
        let Self { partial, output, .. } = self;
        let Some(note) = &self.note else { return Err(Error::failure("an output without a note").file(partial)) };
        let args = labelling.args;
        let origin = Origin::of(args, labelling.model, &labelling.layout().columns, names)?;
        let exists = partial.exists();
        if exists && !args.resume {
            return Err(Error::request("an interrupted output is here")
                .file(partial)
                .hint(format!("--resume continues it; to begin again, delete it and {}", note.display())));
        }
        let (mut records, mut remark) = (Vec::new(), None);
        if exists {
            let (saved, recorded) = progress::read::<Origin>(note)?;
            saved.check(&origin, "interrupted output", note, INTERRUPTED_HINT)?;
            records = progress::intact(recorded, partial)?;
            check_rows(labelling.reopened()?, &records)?;
            remark = saved.other_threads(&origin);
        } else if args.resume && output.exists() {
            if self.is_only_noted(labelling, &origin)? {
                return files::remove_if_there(note).map(|()| None);
            }
            return check_complete(labelling, &origin, output).map(|()| None);
        }
        let log = ProgressLog::begin(note, &origin, &records).map_err(unwritable)?;
        let written = match records.last() {
            Some(last) => RowWriter::continue_at(partial, layout, names, last.rows, last.bytes),
            None => RowWriter::create(partial, layout, names),
        };
        let writer = written.map_err(|error| {
            if !exists {
                self.remove();
            }
            unwritable(error)
        })?;
        files::restrict_like(partial, output);
        let rows = writer.rows();
        let sink = Sink::Rows { writer: Box::new(writer), keeps_rows: self.assembly.is_none() };
        Ok(Some((LabelWriter { log: Some(log), ..labelling.writer(sink, rows) }, remark)))
    }

    /// Whether the output is complete, and a call that was killed then has left the note of what had grown.
    fn is_only_noted(&self, labelling: &Labelling, origin: &Origin) -> Result<bool> {
        let Some(note) = self.note.as_ref().filter(|note| note.is_file() && self.assembly.is_none()) else {
            return Ok(false);
        };
        let (saved, recorded) = progress::read::<Origin>(note)?;
        saved.check(origin, "interrupted output", note, INTERRUPTED_HINT)?;
        let records = progress::intact(recorded, &self.output)?;
        let length = std::fs::metadata(&self.output).map_err(|error| Error::io(error, &self.output))?.len();
        let is_whole = records.last().is_some_and(|last| last.bytes == length);
        Ok(is_whole && check_rows(labelling.reopened()?, &records)?)
    }

    fn remove(&self) {
        let _ = std::fs::remove_file(&self.partial);
        if let Some(note) = &self.note {
            let _ = std::fs::remove_file(note);
        }
    }
}

/// That the output is what this call would make.
fn check_complete(labelling: &Labelling, origin: &Origin, output: &Path) -> Result<()> {
    let finished = Finished::read(output)?;
    finished.check_origin(origin, output)?;
    match check_rows(labelling.reopened()?, &finished.records)? {
        true => Ok(()),
        false => Err(Error::request("the input has more rows than when the output was made")
            .file(output)
            .hint(finished.other_way())),
    }
}

/// Writes rows with their labels, and records how far it has come.
pub struct LabelWriter {
    sink: Sink,
    rows: u64,
    log: Option<ProgressLog>,
    max_rows: Option<u64>,
    /// Those of the input.
    columns: InputColumns,
}

enum Sink {
    Rows {
        writer: Box<RowWriter>,
        /// Whether the input's columns are written, or the added ones alone.
        keeps_rows: bool,
    },
    Whole(Box<dyn WholeWriter>),
}

impl LabelWriter {
    /// Rows written, those of an earlier call included.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds a row with the values of the added columns, in their order; `content` is the digest of its image's file.
    ///
    /// # Errors
    /// The row does not fit the output, or writing fails.
    pub fn write(&mut self, row: &Row, content: Option<&str>, values: &[OutputValue]) -> Result<()> {
        self.write_row(row, content, values).map_err(|error| error.file(self.columns.file_of(row)))
    }

    fn write_row(&mut self, row: &Row, content: Option<&str>, values: &[OutputValue]) -> Result<()> {
        if let Some(most) = self.max_rows.filter(|&most| self.rows >= most) {
            return Err(too_many_rows(most).row(row.number).line(row.line));
        }
        match &mut self.sink {
            Sink::Rows { writer, keeps_rows: true } => writer.write(row, values)?,
            Sink::Rows { writer, keeps_rows: false } => {
                let bare = Row::new(row.number, row.line, RowRecord::fields(Vec::new()));
                writer.write(&bare, values)?;
            }
            Sink::Whole(writer) => writer.write(row, values)?,
        }
        if let Some(log) = &mut self.log {
            log.row(row, content);
        }
        self.rows += 1;
        Ok(())
    }

    /// Hands every collected row on, and records that they are written.
    ///
    /// # Errors
    /// Writing fails.
    pub fn flush(&mut self) -> Result<()> {
        let Sink::Rows { writer, .. } = &mut self.sink else { return Ok(()) };
        writer.flush()?;
        match &mut self.log {
            Some(log) => log.record(self.rows, writer.bytes(), writer.take_digest()),
            None => Ok(()),
        }
    }

    /// Ends what is written. Returns what there is to say about it.
    ///
    /// # Errors
    /// Writing fails.
    pub fn finish(mut self) -> Result<Vec<String>> {
        self.flush()?;
        match self.sink {
            Sink::Rows { writer, .. } => writer.finish().map(|()| Vec::new()),
            Sink::Whole(writer) => writer.finish(),
        }
    }
}

impl OutputFiles {
    /// The output takes its name.
    pub fn complete(&self, console: &Console) -> Result<()> {
        let Some(files) = &self.files else { return Ok(()) };
        let Files { partial, note, output, assembly, keeps_note } = files;
        let named = |whole: &Path, records: Option<(Origin, Vec<Record>)>| {
            match records.filter(|_| *keeps_note) {
                // Before it has its name: a call that is killed in between is continued as an interrupted one.
                Some((origin, records)) => Finished::begin(output, whole, origin, &records)?,
                None => Finished::forget(output),
            }
            files::rename(whole, output).map_err(|error| Error::io(error, output))
        };
        let read = note.as_deref().map(progress::read::<Origin>).transpose()?;
        match (assembly, read) {
            (Some(assembly), Some((origin, records))) => {
                let whole = partial_name(output);
                let kept = format!("every row is labelled; --resume writes {} of them", output.display());
                assembly.write(partial, &records, &whole, console).map_err(|error| error.hint(kept))?;
                named(&whole, Some((origin, records)))?;
                std::fs::remove_file(partial).map_err(|error| Error::io(error, partial))?;
            }
            (_, read) => named(partial, read)?,
        }
        match note {
            Some(note) => std::fs::remove_file(note).map_err(|error| Error::io(error, note)),
            None => Ok(()),
        }
    }

    /// Keeps whole windows of rows for `--resume`, or nothing at all, and says so in the error. `share` is that of the
    /// input which the rows are.
    pub fn keep(&self, rows: u64, share: Option<f64>, error: Error, console: &Console) -> Error {
        let mut done = units::counted(rows, "row");
        if let Some(share) = share {
            done.push_str(&format!(" ({})", units::percent(share)));
        }
        let (they, verb) = if rows == 1 { ("it", "is") } else { ("they", "are") };
        let error = match error.kind() {
            ErrorKind::Interrupted => Error::interrupted(format!("{done} {verb} labelled")),
            _ => error,
        };
        let Some(files) = &self.files else { return error };
        if rows == 0 || files.note.is_none() {
            files.remove();
            return match (error.kind(), &files.note) {
                (ErrorKind::Interrupted, Some(_)) => error.hint(
                    "nothing is kept: rows are kept window by window, and the first was not done; a smaller one is \
                     sooner: --window 32",
                ),
                (ErrorKind::Interrupted, None) => error.hint(
                    "nothing is kept of a pipe in a file that is only whole at its end; write .csv, or read a file",
                ),
                _ => error,
            };
        }
        // An interruption has named the rows.
        let which = if error.kind() == ErrorKind::Interrupted { they } else { &done };
        let kept = format!("{which} {verb} kept in {}; --resume continues after them", files.partial.display());
        if error.hint_text().is_some() {
            // The error's own hint says how to fix what is wrong; this comes before it.
            console.warn(&kept);
        }
        error.hint(kept)
    }
}

/// `out.csv` grows as `out.partial.csv`: the extension, which says the format, stays.
pub fn partial_name(output: &Path) -> PathBuf {
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    let name = match output.extension() {
        Some(extension) => format!("{stem}.partial.{}", extension.to_string_lossy()),
        None => format!("{stem}.partial"),
    };
    output.with_file_name(name)
}

/// Whether an interrupted output is there.
pub fn is_interrupted(output: &Path) -> bool {
    let partial = partial_name(&files::followed(output));
    partial.exists() || labels_name(&partial).exists()
}

/// The note that says of what a partial output is made.
pub fn note_name(partial: &Path) -> PathBuf {
    beside(partial, ".origin.json")
}

/// Labels that grow on their own, until the output is made of them.
fn labels_name(partial: &Path) -> PathBuf {
    beside(partial, ".jsonl")
}

/// A longer name beside a file. The whole name counts: `out.csv` and `out.jsonl` may grow side by side.
pub fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
