//! The output as it grows: under a name of its own beside `--output`, which it takes when it is complete. A note beside
//! it says what it is the output of, so that an interrupted one is only continued by the same call. Pipes and devices
//! are written to directly, and nothing of this concerns them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cli::LabelArgs;
use crate::commands::loaded_model::LoadedModel;
use crate::console::{Console, units};
use crate::data::writer::{is_stream, output_format};
use crate::data::{FileLayout, RowWriter};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, write_atomically};
use crate::inference::to_vec;
use crate::model::Classifier;
use crate::task::OutputColumns;
use crate::transform::Transform;

/// The output as it grows.
pub struct GrowingOutput {
    pub writer: RowWriter,
    pub files: OutputFiles,
}

/// The files of a growing output; none for a stream.
pub struct OutputFiles {
    files: Option<Files>,
}

struct Files {
    /// The file that grows.
    partial: PathBuf,
    /// The note beside it that says what it is the output of.
    note: PathBuf,
    /// The name that it takes in the end.
    output: PathBuf,
}

/// What a growing output is the output of: it is only continued by the same call.
#[derive(Serialize, Deserialize, PartialEq)]
struct Origin {
    input: String,
    model: String,
    added_columns: Vec<String>,
    min_confidence: f64,
    #[serde(default)]
    unknown_label: Option<String>,
    text: String,
}

impl GrowingOutput {
    /// Begins an output, or continues an interrupted one.
    ///
    /// # Errors
    /// The output cannot be written, an interrupted one is in the way or is the output of another call, or there is
    /// nothing to resume.
    pub fn open(
        args: &LabelArgs,
        input: &FileLayout,
        columns: &dyn OutputColumns,
        model: &LoadedModel,
    ) -> Result<Self> {
        let names = columns.names();
        if is_stream(&args.output) {
            if args.resume {
                return Err(Error::request("what went into a pipe or device cannot be resumed")
                    .file(&args.output)
                    .hint("write to a file"));
            }
            let writer = RowWriter::create(&args.output, input, &names)?;
            return Ok(Self { writer, files: OutputFiles { files: None } });
        }
        let output = &args.output;
        check_output(output, input)?;
        let partial = partial_name(output);
        let note = note_name(&partial);
        let origin = Origin {
            input: args.input.display().to_string(),
            model: fingerprint(&model.classifier, &model.transform)?,
            added_columns: names.clone(),
            min_confidence: args.min_confidence.unwrap_or(0.0),
            unknown_label: args.unknown_label.clone(),
            text: format!("{:?}", args.rows.text),
        };
        let exists = partial.exists();
        if exists && !args.resume {
            return Err(Error::request("an interrupted output is here")
                .file(&partial)
                .hint(format!("--resume continues it; to begin again, delete it and {}", note.display())));
        }
        if exists {
            check_origin(&note, &origin)?;
        } else if args.resume && output.exists() {
            return Err(Error::request("the output is complete: there is nothing to resume")
                .file(output)
                .hint("without --resume the input is labelled again, into this file"));
        }
        let text = serde_json::to_string_pretty(&origin)
            .map_err(|error| Error::failure(format!("cannot be written: {error}")).file(&note))?;
        let unwritable = |error: Error| error.hint("name a file that can be written with --output");
        write_atomically(&note, text.as_bytes()).map_err(unwritable)?;
        let files = Files { partial, note, output: output.clone() };
        let writer = RowWriter::resume(&files.partial, input, &names).map_err(|error| {
            if !exists {
                files.remove();
            }
            unwritable(error)
        })?;
        Ok(Self { writer, files: OutputFiles { files: Some(files) } })
    }

    /// Rows that an earlier call has written.
    pub fn rows(&self) -> u64 {
        self.writer.rows()
    }
}

fn check_output(output: &Path, input: &FileLayout) -> Result<()> {
    if output.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(Error::request("the output is a directory").file(output).hint("name a file with --output"));
    }
    output_format(output, input).map(drop)
}

impl OutputFiles {
    /// The output takes its name.
    pub fn complete(&self) -> Result<()> {
        let Some(Files { partial, note, output }) = &self.files else { return Ok(()) };
        files::rename(partial, output).map_err(|error| Error::io(error, output))?;
        std::fs::remove_file(note).map_err(|error| Error::io(error, note))
    }

    /// Keeps whole windows of rows for `--resume`, or nothing at all, and says so in the error. `share` is that of the
    /// input which the rows are.
    pub fn keep(&self, rows: u64, share: Option<f64>, error: Error, console: &Console) -> Error {
        let mut done = units::counted(rows, "row");
        if let Some(share) = share {
            done.push_str(&format!(" ({})", units::percent(share)));
        }
        let verb = if rows == 1 { "is" } else { "are" };
        let error = match error.kind() {
            ErrorKind::Interrupted => Error::interrupted(format!("{done} {verb} labelled")),
            _ => error,
        };
        let Some(files) = &self.files else { return error };
        if rows == 0 {
            files.remove();
            return error;
        }
        let kept = format!("{done} {verb} kept in {}; --resume continues after them", files.partial.display());
        if error.hint_text().is_some() {
            // The error's own hint says how to fix what is wrong; this comes before it.
            console.warn(&kept);
        }
        error.hint(kept)
    }
}

impl Files {
    fn remove(&self) {
        let _ = (std::fs::remove_file(&self.partial), std::fs::remove_file(&self.note));
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

/// The whole name counts: `out.csv` and `out.jsonl` may grow side by side.
fn note_name(partial: &Path) -> PathBuf {
    let mut name = partial.as_os_str().to_owned();
    name.push(".origin.json");
    name.into()
}

fn check_origin(note: &Path, origin: &Origin) -> Result<()> {
    let bytes = std::fs::read(note).map_err(|error| {
        Error::io(error, note)
            .context("the note that says what the interrupted output is made of")
            .hint("delete the partial output to begin again")
    })?;
    let saved: Origin = serde_json::from_slice(&bytes).map_err(|error| {
        Error::request(format!("this is not the note that says what the interrupted output is made of: {error}"))
            .file(note)
    })?;
    let differs = |what: &str| {
        Err(Error::request(format!("the interrupted output was made with another {what}"))
            .file(note)
            .hint("resume with the same command, or delete the partial output to begin again"))
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

/// A hash by which models differ: labels, head, length limit, and a sample of every backbone tensor.
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
