//! `rehead label`: labels every row of a file, a pipe or a folder of images. [`pipeline`] reads, computes and writes at
//! the same time, [`output`] is the file as it grows, with [`progress`] beside it, or as it is made at the end
//! ([`assemble`]), the task says which columns are added to a row, [`confident`] from which confidence on a label is
//! written, and [`summary`] counts what was written. [`sort`] puts labelled images into folders: [`finished`] says
//! which output that may be done by, [`listed`] which images it has, [`moves`] which were moved where.

mod assemble;
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

pub use self::output::{beside, note_name, partial_name};

use std::path::Path;
use std::sync::Once;
use std::time::Instant;

use crate::cli::LabelArgs;
use crate::commands::inputs::{FileForm, read_options};
use crate::commands::label::confident::Confident;
use crate::commands::label::output::{GrowingOutput, Labelling, WrittenRows};
use crate::commands::label::pipeline::Pipeline;
use crate::commands::label::sort::Sorting;
use crate::commands::label::summary::Summary;
use crate::commands::loaded_model::LoadedModel;
use crate::commands::reading::{Reading, open};
use crate::commands::windows::Windows;
use crate::console::{Console, units};
use crate::data::writer;
use crate::data::{Labels, ReadOptions};
use crate::error::{Error, Result};
use crate::files;
use crate::interrupt;
use crate::report::next_steps::shell_word;
use crate::task::ColumnOptions;
use crate::transform::Transform;

/// Labels every row of the input and writes it with the task's columns. An interrupted output is continued with
/// `--resume`.
///
/// # Errors
/// The model, the input or the output cannot be used, or interrupted.
pub fn run(args: &LabelArgs) -> Result<()> {
    let console = Console::new(args.quiet);
    args.check()?;
    check_folder(&files::followed(&args.output))?;
    let mut model = LoadedModel::load(&args.model, &args.inference, args.quiet, &console)?;
    let options =
        model.read_options(read_options(args.rows.text.as_ref(), None, FileForm::of_rows_to_label(&args.rows)));
    let options = ReadOptions { unlabelled: true, ..options };
    check_unknown_label(args, &model.classifier.labels)?;
    let confident = Confident::of(args, &model, &console)?;
    let column_options = ColumnOptions {
        probabilities: args.probabilities,
        top: args.top.unwrap_or(0),
        min_confidence: confident.by_label.clone(),
        unknown: confident.unknown.clone(),
        unknown_label: args.unknown_label.clone(),
    };
    let output_columns = &*model.task.columns(&model.classifier.labels, column_options);
    let mut sorting = Sorting::of(args, &model)?;
    if let Some(sorting) = sorting.as_mut().filter(|sorting| sorting.is_all_that_is_left()) {
        interrupt::listen();
        let added: Vec<String> = output_columns.names().iter().map(|name| args.added_column(name)).collect();
        return sorting.resume(&model, &added, &options, &console);
    }
    sorting.as_ref().map_or(Ok(()), |sorting| sorting.check_input(&options))?;
    let (rows, input_columns) = open(&args.input, &options, &["text"], &mut model.choices, &console)?;
    let log = rows.log();

    interrupt::listen();
    let labelling = Labelling {
        args,
        options: &options,
        input: &rows,
        input_columns: &input_columns,
        columns: output_columns,
        model: &model,
    };
    let Some(output) = GrowingOutput::open(&labelling)? else {
        console.note(format!("{} is complete: there is nothing to resume", args.output.display()));
        return Ok(());
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
    let bar =
        console.progress("labelling", rows.row_count(), "rows").rate_in(unit_of(&model.transform)).starting_at(done);
    let reading = Reading {
        input_columns: &input_columns,
        transform: &model.transform,
        on_bad_input: args.rows.on_bad_input,
        windows: Windows::new(args.window, &model.transform),
        language: Once::new(),
        console: &console,
        log: &log,
    };
    let pipeline = Pipeline { reading, model: &model, output_columns, bar: &bar, console: &console };
    let began = Instant::now();
    let summary = pipeline.run(rows, output, summary)?;
    bar.finish();
    log.take_warnings().iter().for_each(|warning| console.warn(warning));
    log.notes().iter().for_each(|note| console.note(note));
    summary.print(args, &confident, labels, began.elapsed(), &console);
    sorting.map_or(Ok(()), |mut sorting| sorting.sort(&options, &console))
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
