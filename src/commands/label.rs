//! `rehead label`: labels a stream of rows. Three threads overlap: one reads and tokenises, one computes, one writes.
//!
//! Rows go through in windows: within one, texts are sorted by length and identical ones computed once; between them, order
//! and memory stay as they are whatever the file's length. Output grows under a name of its own beside `--output` and takes
//! that name when it is complete; an interrupted one is continued behind its last complete row.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::inputs::{read_options, settle_unusable};
use super::loaded_model::LoadedModel;
use crate::cli::LabelArgs;
use crate::config::OnBadInput;
use crate::console::{Console, Progress, units};
use crate::data::columns::LabelColumn;
use crate::data::writer::{is_stream, output_format};
use crate::data::{Input, Layout, ResolvedColumns, Row, RowReader, RowWriter, resolve};
use crate::error::{Error, ErrorKind, Result};
use crate::evaluation::NOT_FINITE;
use crate::files::{self, write_atomically};
use crate::inference::{Rows, to_vec};
use crate::interrupt;
use crate::model::Classifier;
use crate::task::{ColumnOptions, OutputColumns};
use crate::transform::{Prepared, Purpose, Transform};

pub fn run(args: &LabelArgs) -> Result<()> {
    let console = Console::new(args.quiet);
    args.check()?;
    let mut model = LoadedModel::load(&args.model, &args.inference, args.quiet, &console)?;
    let options = model.read_options(read_options(args.text.as_ref(), None, args.delimiter)?);
    let rows = RowReader::open(&args.input, &options)?;
    let columns = resolve(rows.layout(), &options, LabelColumn::Optional)?;
    for choice in rows.choices().iter().chain(columns.choices.iter().filter(|choice| choice.setting == "text")) {
        model.choices.record(choice.setting, &choice.value, choice.reason.clone());
    }
    console.note(&model.choices);

    let options = ColumnOptions {
        probabilities: args.probabilities,
        top: args.top.unwrap_or(0),
        min_confidence: args.min_confidence.unwrap_or(0.0),
    };
    let added = &*model.task.columns(&model.classifier.labels, options);
    interrupt::listen();
    let output = Output::open(args, rows.layout(), added, &model)?;
    let done = output.writer.rows();
    if done > 0 {
        console.note(format!("going on after row {}", units::count(done)));
    }
    let unit = match model.transform {
        Transform::Text(_) => "tokens",
        Transform::Image(_) => "images",
    };
    let bar = console.progress("labelling", None, "rows").rate_in(unit).starting_at(done);
    let written = label_all(&model, rows, &columns, output, added, args, &bar, &console)?;
    bar.finish();
    console.summary(format!("{} rows labelled: {}", units::count(written), args.output.display()));
    Ok(())
}

/// Rows that are computed together.
struct Window {
    rows: Vec<Row>,
    prepared: Prepared,
}

/// A window's rows with the logits of those that could be read; `places` says which those are.
struct Labelled {
    rows: Vec<Row>,
    places: Vec<usize>,
    logits: Rows,
}

/// Reads, computes and writes until the input ends. Returns the rows written in all.
#[allow(clippy::too_many_arguments)]
fn label_all(
    model: &LoadedModel,
    rows: RowReader,
    columns: &ResolvedColumns,
    output: Output,
    added: &dyn OutputColumns,
    args: &LabelArgs,
    bar: &Progress,
    console: &Console,
) -> Result<u64> {
    let Output { writer, place } = output;
    let done = writer.rows();
    let reading = Reading { columns, transform: &model.transform, on_bad_input: args.on_bad_input, console };
    // Images are large: fewer of them are held at once.
    let window = match model.transform {
        Transform::Text(_) => args.window,
        Transform::Image(_) => args.window.min(IMAGES_AHEAD),
    };
    // Windows begin where they would have begun, since what is computed together decides the last digits: the rows of
    // the window in which an earlier call ended are computed again, and written once.
    let again = done % window as u64;
    let (windows_in, windows) = sync_channel::<Result<Window>>(1);
    let (labelled, to_write) = sync_channel::<Labelled>(1);
    let file = rows.layout().file.clone();

    let (written, computed) = std::thread::scope(|scope| {
        scope.spawn(move || read_windows(rows, done, &reading, window, &windows_in));
        let writing = scope.spawn(move || write_windows(writer, added, to_write, again));
        let computed = compute_windows(model, &file, windows, labelled, bar, console);
        let unexpected = |_| Written { rows: done, end: Err(Error::failure("the writing thread ended unexpectedly")) };
        (writing.join().unwrap_or_else(unexpected), computed)
    });
    match computed.and(written.end) {
        Ok(()) => place.complete()?,
        Err(error) => return Err(place.kept(written.rows, error, console)),
    }
    Ok(written.rows)
}

/// Sends window after window, beginning with the one that holds row `done`; an error is the last thing sent.
fn read_windows(mut rows: RowReader, done: u64, reading: &Reading, size: usize, windows: &SyncSender<Result<Window>>) {
    let file = rows.layout().file.clone();
    let begin = done - done % size as u64;
    let mut read = 0;
    let mut next = || {
        if read < begin {
            read += rows.skip_rows(begin)?;
        }
        let taken = rows.by_ref().take(size).collect::<Result<Vec<_>>>()?;
        read += taken.len() as u64;
        if read < done {
            return Err(shrunk(&file));
        }
        if taken.is_empty() { Ok(None) } else { reading.prepare(taken).map(Some) }
    };
    // A window with a row that cannot be used is not begun.
    while let Some(window) = next().transpose() {
        let stop = window.is_err();
        // Nobody left to tell: the computing side has its own error.
        if windows.send(window).is_err() || stop {
            return;
        }
    }
}

/// The input has fewer rows than the output that is to be gone on with.
fn shrunk(file: &Path) -> Error {
    Error::request("there are fewer rows here than are labelled already")
        .file(file)
        .hint("resume with the input as it was, or delete the partial output to start anew")
}

/// Images read ahead.
const IMAGES_AHEAD: usize = 512;

/// How rows become examples.
struct Reading<'a> {
    columns: &'a ResolvedColumns,
    transform: &'a Transform,
    on_bad_input: OnBadInput,
    console: &'a Console,
}

impl Reading<'_> {
    fn prepare(&self, rows: Vec<Row>) -> Result<Window> {
        let inputs = rows.iter().map(|row| self.columns.input_of(row)).collect::<Result<Vec<_>>>()?;
        let inputs: Vec<&Input> = inputs.iter().collect();
        let prepared = self.transform.prepare(&inputs, Purpose::Inference, &mut |_| {})?;
        let at = |place: usize, error: Error| match rows.get(place) {
            Some(row) => error.row(row.number).line(row.line),
            None => error,
        };
        let prepared = settle_unusable(prepared, self.on_bad_input, self.console, &at)?;
        Ok(Window { rows, prepared })
    }
}

/// The first row of a window whose logits are no numbers.
fn check_finite(Labelled { rows, places, logits }: &Labelled, file: &Path) -> Result<()> {
    let bad = |(index, _): &(usize, &usize)| logits.row(*index).iter().any(|logit| !logit.is_finite());
    match places.iter().enumerate().find(bad).and_then(|(_, &place)| rows.get(place)) {
        Some(row) => {
            Err(Error::failure("the logits are not finite").file(file).row(row.number).line(row.line).hint(NOT_FINITE))
        }
        None => Ok(()),
    }
}

fn compute_windows(
    model: &LoadedModel,
    file: &Path,
    windows: Receiver<Result<Window>>,
    labelled: SyncSender<Labelled>,
    bar: &Progress,
    console: &Console,
) -> Result<()> {
    let mut unread = 0;
    for window in windows {
        let Window { rows, prepared } = window?;
        let mut work = 0;
        let logits = model.inference().logits(&*prepared.set, &mut |_, cost| work += cost as u64)?;
        let window = Labelled { places: prepared.usable(rows.len()), rows, logits };
        check_finite(&window, file)?;
        unread += window.rows.len() - window.places.len();
        bar.advance_with(window.rows.len() as u64, work);
        if labelled.send(window).is_err() {
            // The writer has ended; its error says why.
            return Ok(());
        }
    }
    if unread > 0 {
        console.warn(format!("not labelled, because they cannot be read: {unread} images"));
    }
    Ok(())
}

/// What the writing side has to tell: rows in whole windows, and how it ended.
struct Written {
    rows: u64,
    end: Result<()>,
}

/// Writes what is labelled, but for the first `again` rows, which are written already.
fn write_windows(mut writer: RowWriter, added: &dyn OutputColumns, windows: Receiver<Labelled>, again: u64) -> Written {
    let mut rows = writer.rows();
    let mut again = again as usize;
    for Labelled { rows: window, places, logits } in windows {
        let known = again.min(window.len());
        again -= known;
        let mut labelled = places.iter().enumerate().map(|(index, &place)| (place, index)).peekable();
        let mut write = || {
            for (place, row) in window.iter().enumerate() {
                let found = labelled.next_if(|(labelled, _)| *labelled == place);
                if place < known {
                    continue;
                }
                match found {
                    Some((_, index)) => writer.write(row, &added.values(logits.row(index)))?,
                    None => writer.write(row, &added.empty())?,
                }
            }
            writer.flush()
        };
        if let Err(error) = write() {
            return Written { rows, end: Err(error) };
        }
        rows = writer.rows();
    }
    Written { rows, end: writer.finish() }
}

/// The output as it grows.
struct Output {
    writer: RowWriter,
    place: OutputPlace,
}

/// Where the output grows until it is complete. Nothing of this concerns standard output.
struct OutputPlace {
    /// The growing file, the note beside it that says what it is, and the name it will have.
    files: Option<(PathBuf, PathBuf, PathBuf)>,
}

/// What a growing output is the output of: it is only continued by the same call.
#[derive(Serialize, Deserialize, PartialEq)]
struct Origin {
    input: String,
    model: String,
    added_columns: Vec<String>,
    min_confidence: f64,
    text: String,
}

impl Output {
    fn open(args: &LabelArgs, input: &Layout, added: &dyn OutputColumns, model: &LoadedModel) -> Result<Self> {
        let names = added.names();
        if is_stream(&args.output) {
            if args.resume {
                return Err(Error::request("what went into a pipe or device cannot be resumed")
                    .file(&args.output)
                    .hint("write to a file"));
            }
            let writer = RowWriter::create(&args.output, input, &names)?;
            return Ok(Self { writer, place: OutputPlace { files: None } });
        }
        let output = &args.output;
        if output.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(Error::request("the output is a directory").file(output).hint("name a file with --output"));
        }
        output_format(output, input)?;
        if files::is_same(output, &args.input) {
            return Err(Error::request("the output is the input file, which would be lost")
                .file(output)
                .hint("name another file with --output"));
        }
        let growing = growing_name(output);
        let note = note_name(&growing);
        let origin = Origin {
            input: args.input.display().to_string(),
            model: fingerprint(&model.classifier, &model.transform)?,
            added_columns: names.clone(),
            min_confidence: args.min_confidence.unwrap_or(0.0),
            text: format!("{:?}", args.text),
        };
        let there = growing.exists();
        if there && !args.resume {
            return Err(Error::request("an interrupted output is here")
                .file(&growing)
                .hint(format!("--resume goes on with it; to start anew, delete it and {}", note.display())));
        }
        if there {
            check_origin(&note, &origin)?;
        } else if args.resume && output.exists() {
            return Err(Error::request("the output is complete: there is nothing to resume")
                .file(output)
                .hint("without --resume the input is labelled anew, into this file"));
        }
        let text = serde_json::to_string_pretty(&origin)
            .map_err(|error| Error::failure(format!("cannot be written: {error}")).file(&note))?;
        let unwritable = |error: Error| error.hint("name a file that can be written with --output");
        write_atomically(&note, text.as_bytes()).map_err(unwritable)?;
        let writer = RowWriter::resume(&growing, input, &names).map_err(|error| {
            if !there {
                let _ = (std::fs::remove_file(&growing), std::fs::remove_file(&note));
            }
            unwritable(error)
        })?;
        let files = Some((growing, note, output.clone()));
        Ok(Self { writer, place: OutputPlace { files } })
    }
}

impl OutputPlace {
    /// The output takes its name.
    fn complete(&self) -> Result<()> {
        let Some((growing, note, output)) = &self.files else { return Ok(()) };
        files::rename(growing, output).map_err(|error| Error::io(error, output))?;
        std::fs::remove_file(note).map_err(|error| Error::io(error, note))
    }

    /// What an error leaves behind: whole windows of rows for `--resume`, or nothing at all.
    fn kept(&self, rows: u64, error: Error, console: &Console) -> Error {
        let error = match error.kind() {
            ErrorKind::Interrupted => Error::interrupted(format!("{} rows are labelled", units::count(rows))),
            _ => error,
        };
        let Some((growing, note, _)) = &self.files else { return error };
        if rows == 0 {
            let _ = (std::fs::remove_file(growing), std::fs::remove_file(note));
            return error;
        }
        let kept =
            format!("{} rows are kept in {}; --resume goes on behind them", units::count(rows), growing.display());
        if error.hint_text().is_some() {
            // The error's own hint says how to mend what is wrong; this comes before it.
            console.warn(&kept);
        }
        error.hint(kept)
    }
}

/// `out.csv` grows as `out.partial.csv`: the extension, which says the format, stays.
fn growing_name(output: &Path) -> PathBuf {
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    let name = match output.extension() {
        Some(extension) => format!("{stem}.partial.{}", extension.to_string_lossy()),
        None => format!("{stem}.partial"),
    };
    output.with_file_name(name)
}

/// The whole name counts: `out.csv` and `out.jsonl` may grow side by side.
fn note_name(growing: &Path) -> PathBuf {
    let mut name = growing.as_os_str().to_owned();
    name.push(".origin.json");
    name.into()
}

fn check_origin(note: &Path, origin: &Origin) -> Result<()> {
    let bytes = std::fs::read(note).map_err(|error| {
        Error::io(error, note)
            .context("what the interrupted output is made of is not known")
            .hint("delete the partial output to start anew")
    })?;
    let saved: Origin = serde_json::from_slice(&bytes)
        .map_err(|error| Error::request(format!("not the note of an interrupted output: {error}")).file(note))?;
    let differs = |what: &str| {
        Err(Error::request(format!("the interrupted output was made with another {what}"))
            .file(note)
            .hint("resume with the same command, or delete the partial output to start anew"))
    };
    if saved.input != origin.input {
        return differs("input");
    }
    if saved.model != origin.model {
        return differs("model");
    }
    if saved != *origin {
        return differs("set of output options");
    }
    Ok(())
}

/// Tells models apart: labels, head, length limit, and a sample of every backbone tensor.
fn fingerprint(classifier: &Classifier, transform: &Transform) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(classifier.labels.names().join("\u{0}"));
    hash.update(transform.settings());
    for parameter in classifier.parameters() {
        let sample = parameter.tensor.f_flatten(0, -1)?.f_slice(0, 0, 64, 1)?;
        for value in to_vec::<f32>(&sample)? {
            hash.update(value.to_le_bytes());
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
