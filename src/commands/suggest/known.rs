//! Rows that have a label already: those that the run was trained on, known by their digests, and those of the files
//! that the command names.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Once;

use crate::cli::SuggestArgs;
use crate::commands::loaded_model::LoadedModel;
use crate::commands::reading::{Fate, Reading};
use crate::commands::trained_rows::{HELD_OUT_ROWS, TRAINED_ROWS, TrainedRows, digests};
use crate::commands::windows::Windows;
use crate::console::Console;
use crate::data::{Input, InputRows, ReadOptions, Together};
use crate::error::{Error, Result};
use crate::interrupt;

/// Digests of rows that have a label.
pub struct KnownRows {
    of_run: Vec<TrainedRows>,
    labelled: HashSet<u64>,
}

impl KnownRows {
    /// Those of a run, and of the files that hold labelled rows, which are read as the input is.
    ///
    /// # Errors
    /// A file cannot be read, or interrupted.
    pub fn read(args: &SuggestArgs, model: &LoadedModel, options: &ReadOptions, console: &Console) -> Result<Self> {
        let of_file = |file: &str| TrainedRows::read(&model.classifier.directory, file).transpose();
        let of_run = [TRAINED_ROWS, HELD_OUT_ROWS].into_iter().filter_map(of_file).collect::<Result<Vec<_>>>()?;
        if of_run.is_empty() && args.labelled.is_empty() {
            console.note(
                "which rows the model was trained on is not known: those among the input may be suggested; --labelled \
                 FILE names them",
            );
        }
        if of_run.iter().any(|rows| !rows.is_whole()) {
            console.warn(
                "only a part of the training rows is known: some may be suggested again; --labelled FILE names all",
            );
        }
        let mut labelled = HashSet::new();
        for file in &args.labelled {
            add_rows_of(file, args, model, options, console, &mut labelled)?;
        }
        Ok(Self { of_run, labelled })
    }

    pub fn has(&self, digest: u64) -> bool {
        self.of_run.iter().any(|rows| rows.has(digest)) || self.labelled.contains(&digest)
    }
}

fn add_rows_of(
    file: &Path,
    args: &SuggestArgs,
    model: &LoadedModel,
    options: &ReadOptions,
    console: &Console,
    known: &mut HashSet<u64>,
) -> Result<()> {
    let mut rows = InputRows::open(&[file.to_owned()], options, Together::Read)?;
    let columns = rows.columns().clone();
    let log = rows.log();
    let reading = Reading {
        input_columns: &columns,
        transform: &model.transform,
        on_bad_input: args.rows.on_bad_input,
        windows: Windows::new(None, &model.transform),
        language: Once::new(),
        console,
        log: &log,
    };
    let mut read = 0;
    loop {
        if interrupt::requested() {
            return Err(Error::interrupted("while reading the labelled rows; nothing is written"));
        }
        let window = rows.by_ref().take(reading.windows.size_at(read)).collect::<Result<Vec<_>>>()?;
        if window.is_empty() {
            break;
        }
        read += window.len() as u64;
        let window = reading.prepare(window, None)?;
        let answered = window.rows.iter().zip(&window.fates).filter(|(_, fate)| matches!(fate, Fate::Answered(_)));
        let inputs: Vec<Input> = answered.map(|(row, _)| columns.input_of(row)).collect::<Result<_>>()?;
        known.extend(digests(&inputs, &*window.prepared.set));
    }
    log.take_warnings().iter().for_each(|warning| console.warn(warning));
    Ok(())
}
