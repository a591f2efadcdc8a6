//! `rehead label`: labels every row of a file, a pipe or a folder of images. [`pipeline`] reads, computes and writes at
//! the same time, [`output`] is the file as it grows, with [`progress`] beside it, or as it is made at the end
//! ([`assemble`]), the task says which columns are added to a row, [`confident`] from which confidence on a label is
//! written, and [`summary`] counts what was written. [`calls`] gives each of several inputs its output. [`sort`] puts
//! labelled images into folders: [`finished`] says which output that may be done by, [`listed`] which images it has,
//! [`moves`] which were moved where.

mod assemble;
mod calls;
mod confident;
pub(super) mod contents;
mod finished;
mod listed;
mod moves;
mod names;
pub(super) mod origin;
mod output;
mod pipeline;
pub(super) mod progress;
mod sort;
mod summary;
mod written;

pub use self::output::{beside, note_name, partial_name};

use std::path::Path;
use std::sync::Once;
use std::time::Instant;

use crate::cli::LabelArgs;
use crate::commands::label::calls::{calls, is_folder};
use crate::commands::label::confident::Confident;
use crate::commands::label::finished::Finished;
use crate::commands::label::output::{GrowingOutput, Labelling};
use crate::commands::label::pipeline::Pipeline;
use crate::commands::label::sort::Sorting;
use crate::commands::label::summary::Summary;
use crate::commands::label::written::WrittenRows;
use crate::commands::loaded_model::LoadedModel;
use crate::commands::output::check_writable;
use crate::commands::reading::{Reading, open};
use crate::commands::windows::Windows;
use crate::config::Choices;
use crate::console::{Console, units};
use crate::data::writer;
use crate::data::{Labels, ReadOptions, Together};
use crate::error::{Error, Result};
use crate::files;
use crate::interrupt;
use crate::report::next_steps::shell_word;
use crate::task::{ColumnOptions, OutputColumns};
use crate::transform::Transform;

/// Labels every row of the input and writes it with the task's columns; of several inputs into one output, or into a
/// folder with an output for each. An interrupted output is continued with `--resume`.
///
/// # Errors
/// The model, the input or the output cannot be used, or interrupted.
pub fn run(args: &LabelArgs) -> Result<()> {
    let console = Console::new(args.quiet);
    let args = &args.with_files()?;
    args.check()?;
    let into_folder = is_folder(&args.output);
    match into_folder {
        true => check_writable(&args.output, "--output", None)?,
        false => check_folder(&files::followed(&args.output))?,
    }
    let mut model = LoadedModel::load(&args.model, &args.inference, args.quiet, &console)?;
    let options = model.read_options(args.form.read_options(args.rows.on_bad_input));
    check_unknown_label(args, &model.classifier.labels)?;
    let confident = Confident::of(args, &model, &console)?;
    let column_options = ColumnOptions {
        probabilities: args.probabilities,
        top: args.top.unwrap_or(0),
        min_confidence: confident.by_label.clone(),
        unknown: confident.unknown.clone(),
        unknown_label: args.unknown_label.clone(),
        thresholds: confident.thresholds.clone(),
        label_separator: model.label_separator(None).unwrap_or_default(),
    };
    let output_columns = &*model.task.columns(&model.classifier.labels, column_options);
    let choices = std::mem::take(&mut model.choices);
    let is_of_several = into_folder && args.input.len() > 1;
    let (model, options, confident, console) = (&model, &options, &confident, &console);
    let labeller = Labeller { model, options, output_columns, confident, console, is_of_several };
    match into_folder {
        true => labeller.label_into_folder(args, choices),
        false => labeller.label(args, choices, args.resume).map(drop),
    }
}

/// What it takes to label inputs.
struct Labeller<'a> {
    model: &'a LoadedModel,
    options: &'a ReadOptions,
    output_columns: &'a dyn OutputColumns,
    confident: &'a Confident,
    console: &'a Console,
    /// Whether a call is one of several, whose output is told with that of the others.
    is_of_several: bool,
}

impl Labeller<'_> {
    /// Labels each input into a file of the folder. Until all are labelled, what each was made of stays beside it.
    fn label_into_folder(&self, args: &LabelArgs, mut choices: Choices) -> Result<()> {
        let calls = calls(args, self.options)?;
        let folder = &args.output;
        std::fs::create_dir_all(folder).map_err(|error| Error::io(error, folder))?;
        let classes = self.model.classifier.labels.len();
        let began = Instant::now();
        let (mut total, mut before) = (Summary::new(classes, 0), 0);
        for (number, call) in (1..).zip(&calls) {
            if calls.len() > 1 {
                self.console.note(format!("{} ({number} of {})", call.first_input().display(), calls.len()));
            }
            match self.label(call, std::mem::take(&mut choices), true)? {
                Some(summary) => total.add(summary),
                None => before += 1,
            }
        }
        if !args.resume && args.sort_into.is_none() {
            calls.iter().for_each(|call| Finished::forget(&call.output));
        }
        if before > 0 && self.is_of_several {
            let outputs = units::counted(before, "output");
            self.console.summary(format!("{outputs} in {} complete already", folder.display()));
        }
        if self.is_of_several && before < calls.len() as u64 {
            total.print(args, self.confident, &self.model.classifier.labels, began.elapsed(), self.console);
        }
        Ok(())
    }

    /// Labels the rows of a call, and tells what was written; nothing where the output is complete already.
    fn label(&self, args: &LabelArgs, mut choices: Choices, keeps_note: bool) -> Result<Option<Summary>> {
        let Self { model, options, output_columns, console, .. } = *self;
        let mut sorting = Sorting::of(args, model)?;
        if let Some(sorting) = sorting.as_mut().filter(|sorting| sorting.is_all_that_is_left()) {
            interrupt::listen();
            let added: Vec<String> = output_columns.names().iter().map(|name| args.added_column(name)).collect();
            return sorting.resume(model, &added, options, console).map(|()| None);
        }
        sorting.as_ref().map_or(Ok(()), |sorting| sorting.check_input(options))?;
        let (rows, input_columns) = open(&args.input, Together::Written, options, &["text"], &mut choices, console)?;
        let log = rows.log();

        interrupt::listen();
        let keeps_note = keeps_note || sorting.is_some();
        let labelling = Labelling { args, options, input: &rows, columns: output_columns, model, keeps_note };
        let Some(output) = GrowingOutput::open(&labelling)? else {
            let complete = format!("{} is complete: there is nothing to resume", args.output.display());
            if self.is_of_several {
                console.note(complete);
            } else {
                console.summary(complete);
            }
            return Ok(None);
        };
        output.remark.iter().for_each(|remark| console.warn(remark));
        let done = output.rows();
        if done > 0 {
            console.note(format!("continuing after row {}", units::count(done)));
        }
        let labels = &model.classifier.labels;
        let mut summary = Summary::new(labels.len(), done);
        if let Some(partial) = output.grown().filter(|_| done > 0) {
            summary.count_before(WrittenRows::open(partial, rows.layout(), args), model.modality, labels);
        }
        let bar = console
            .progress("labelling", rows.row_count(), "rows")
            .rate_in(unit_of(&model.transform))
            .starting_at(done);
        let reading = Reading {
            input_columns: &input_columns,
            transform: &model.transform,
            on_bad_input: args.rows.on_bad_input,
            windows: Windows::new(args.window, &model.transform),
            language: Once::new(),
            console,
            log: &log,
        };
        let pipeline = Pipeline { reading, model, output_columns, bar: &bar, console };
        let began = Instant::now();
        let summary = pipeline.run(rows, output, summary)?;
        bar.finish();
        let of = if self.is_of_several { format!("{}: ", args.input_named()) } else { String::new() };
        log.take_warnings().iter().for_each(|warning| console.warn(format!("{of}{warning}")));
        log.notes().iter().for_each(|note| console.note(note));
        if self.is_of_several {
            console.note(summary.told(args, began.elapsed()));
        } else {
            summary.print(args, self.confident, labels, began.elapsed(), console);
        }
        sorting.map_or(Ok(()), |mut sorting| sorting.sort(options, console))?;
        Ok(Some(summary))
    }
}

/// What its rate is counted in.
fn unit_of(transform: &Transform) -> &'static str {
    match transform {
        Transform::Text(_) => "tokens",
        Transform::Image(_) => "images",
    }
}

/// That the output has a folder which can be written, before the model is loaded.
pub fn check_folder(output: &Path) -> Result<()> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if writer::is_stream(output) {
        return Ok(());
    }
    if !folder.exists() {
        let folder_is_missing = format!("there is no folder {} for the output", folder.display());
        return Err(Error::request(folder_is_missing).file(output).hint(format!("mkdir -p {}", shell_word(folder))));
    }
    let written = files::try_writing_into(folder);
    written.map_err(|error| Error::io(error, output).hint("name a file that can be written with --output"))
}

/// That what is written instead of a label is not the name of one, nor looks like it.
fn check_unknown_label(args: &LabelArgs, labels: &Labels) -> Result<()> {
    let Some(name) = &args.unknown_label else { return Ok(()) };
    let plain = |name: &str| name.trim().to_lowercase();
    let refused = match labels.names().iter().find(|label| plain(label) == plain(name)) {
        Some(label) if label == name => format!("`{name}` is one of the model's labels"),
        Some(label) => format!("`{name}` looks like `{label}`, one of the model's labels"),
        None if plain(name).is_empty() => "the name is empty".to_owned(),
        None => return Ok(()),
    };
    Err(Error::request(refused)
        .key("unknown-label")
        .hint("name what no label is called, such as --unknown-label unsure"))
}
