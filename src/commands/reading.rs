//! The reading thread of commands that run a model over a long input: rows become windows of examples, which are
//! computed together. Order and memory stay as they are whatever the file's length. What is done with a window is the
//! command's.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::mpsc::SyncSender;

use super::content;
use super::inputs::{handle_unusable, language_fit};
use super::windows::{self, Windows};
use crate::config::{Choices, OnBadInput};
use crate::console::Console;
use crate::data::reading_log::Oddity;
use crate::data::{Input, InputColumns, InputLog, InputRows, ReadOptions, Row, Together};
use crate::error::{Error, Result};
use crate::evaluation::NOT_FINITE;
use crate::inference::Rows;
use crate::transform::{Prepared, Purpose, Transform};

/// What the reading thread needs.
pub struct Reading<'a> {
    pub input_columns: &'a InputColumns,
    pub transform: &'a Transform,
    pub on_bad_input: OnBadInput,
    /// Which rows are computed together.
    pub windows: Windows,
    /// Whether the language of the texts was looked at.
    pub language: Once,
    pub console: &'a Console,
    /// What is noticed while the rows are read.
    pub log: &'a InputLog,
}

/// Rows that are computed together, as they come from the reading thread.
pub struct PreparedWindow {
    pub rows: Vec<Row>,
    /// One for each row.
    pub fates: Vec<Fate>,
    /// Of images, the digest of each row's file.
    pub contents: Vec<String>,
    pub prepared: Prepared,
    /// Pairs of which one text is empty.
    pub half_empty: u64,
    /// The share of the input that is read with these rows, where its size is known.
    pub share: Option<f64>,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is the example of this index, and gets an answer.
    Answered(usize),
    /// There is nothing to read.
    Empty,
    /// The image cannot be read.
    Unreadable,
}

impl Reading<'_> {
    /// Sends window after window, beginning with the one that holds row `done`; an error is the last thing sent.
    pub fn read(&self, mut rows: InputRows, done: u64, windows: &SyncSender<Result<PreparedWindow>>) {
        let begin = self.windows.begin_of(done);
        let mut read = 0;
        let mut next = || {
            if read < begin {
                read += rows.skip_rows(begin)?;
            }
            let taken = take_window(&mut rows, self.windows.rest_at(read))?;
            read += taken.len() as u64;
            if read < done {
                return Err(input_is_shorter(&rows.layout().file));
            }
            let share = rows.share();
            if taken.is_empty() { Ok(None) } else { self.prepare(taken, share).map(Some) }
        };
        // A window with a row that cannot be used is not begun.
        while let Some(window) = next().transpose() {
            let stop = window.is_err();
            // When nobody receives, the computing side has an error of its own.
            if windows.send(window).is_err() || stop {
                return;
            }
        }
    }

    /// Makes the examples of these rows, which are read together.
    ///
    /// # Errors
    /// A row that cannot be used, unless such are left out.
    pub fn prepare(&self, rows: Vec<Row>, share: Option<f64>) -> Result<PreparedWindow> {
        let read = rows.iter().map(|row| self.input_of(row)).collect::<Result<Vec<_>>>()?;
        let inputs = || read.iter().enumerate().filter_map(|(index, input)| Some((index, input.as_ref()?)));
        let half_empty = inputs().filter(|(_, input)| input.is_half_empty()).count() as u64;
        let (given, inputs): (Vec<usize>, Vec<&Input>) = inputs().filter(|(_, input)| !input.is_empty()).unzip();
        self.language.call_once(|| drop(language_fit(self.transform, inputs.iter().copied(), self.console)));
        let prepared = self.transform.prepare(&inputs, Purpose::Inference, &mut |_| {})?;
        let at = |index: usize, error: Error| match given.get(index).and_then(|&index| rows.get(index)) {
            Some(row) => error.row(row.number).line(row.line),
            None => error,
        };
        let prepared = handle_unusable(prepared, self.on_bad_input, self.console, &at)?;
        let fate = |input: &Option<Input>| if input.is_some() { Fate::Empty } else { Fate::Unreadable };
        let mut fates: Vec<Fate> = read.iter().map(fate).collect();
        for &index in &given {
            fates[index] = Fate::Unreadable;
        }
        for (example, place) in prepared.usable(given.len()).into_iter().enumerate() {
            fates[given[place]] = Fate::Answered(example);
        }
        let contents = match self.transform {
            Transform::Text(_) => Vec::new(),
            Transform::Image(_) => {
                read.iter().zip(&fates).map(|(input, fate)| content(input, *fate, &prepared)).collect()
            }
        };
        Ok(PreparedWindow { rows, fates, contents, prepared, half_empty, share })
    }

    /// What the network gets to see of a row; `None` where that cannot be used and such rows get no label.
    fn input_of(&self, row: &Row) -> Result<Option<Input>> {
        match self.input_columns.input_of(row) {
            Err(_) if self.on_bad_input == OnBadInput::Skip => {
                self.log.notice(Oddity::NoText, row);
                Ok(None)
            }
            Err(error) => Err(error.or_hint("or leave the label of such rows empty: --on-bad-input skip")),
            input => input.map(Some),
        }
    }
}

/// The next `most` rows, or fewer where these take much memory.
fn take_window(rows: &mut InputRows, most: usize) -> Result<Vec<Row>> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    while taken.len() < most && bytes < windows::MOST_BYTES {
        let Some(row) = rows.next().transpose()? else { break };
        bytes += row.memory();
        taken.push(row);
    }
    Ok(taken)
}

/// The digest of a row's image file.
fn content(input: &Option<Input>, fate: Fate, prepared: &Prepared) -> String {
    match (fate, input) {
        (Fate::Answered(example), _) => content::shortened(prepared.set.content(example).unwrap_or_default()),
        (_, Some(Input::Image(file))) => content::content_of(file),
        _ => String::new(),
    }
}

/// Opens an input of one file or several and finds its columns, with all that is to be said of that. Of the columns
/// only those that `settings` name are among the choices that are noted.
///
/// # Errors
/// The input cannot be read, or lacks the columns.
pub fn open(
    inputs: &[PathBuf],
    together: Together,
    options: &ReadOptions,
    settings: &[&str],
    choices: &mut Choices,
    console: &Console,
) -> Result<(InputRows, InputColumns)> {
    let rows = InputRows::open(inputs, options, together)?;
    let columns = rows.columns().clone();
    let first = columns.of_file(0).map_or(&[][..], |first| &first.choices);
    let noted = first.iter().filter(|choice| settings.contains(&choice.setting));
    for choice in rows.choices().iter().chain(noted) {
        choices.record(choice.setting, &choice.value, choice.reason.clone());
    }
    if !choices.is_empty() {
        console.note(choices);
    }
    for (file, encoding) in rows.encodings() {
        match inputs.len() {
            1 => console.warn(format!("the input is {encoding}; text is written in UTF-8")),
            _ => console.warn(format!("{} is {encoding}; text is written in UTF-8", file.display())),
        }
    }
    let warnings = columns.iter().flat_map(|columns| columns.warnings.iter().map(move |text| (columns.file(), text)));
    warnings.for_each(|(file, warning)| match inputs.len() {
        1 => console.warn(warning),
        _ => console.warn(format!("{}: {warning}", file.display())),
    });
    rows.log().take_said().iter().for_each(|warning| console.warn(warning));
    Ok((rows, columns))
}

/// Refuses a window with logits that are not finite, naming the first such row.
pub fn check_finite(rows: &[Row], fates: &[Fate], logits: &Rows, columns: &InputColumns) -> Result<()> {
    let is_bad = |fate: &Fate| match *fate {
        Fate::Answered(example) => logits.row(example).iter().any(|logit| !logit.is_finite()),
        Fate::Empty | Fate::Unreadable => false,
    };
    match rows.iter().zip(fates).find(|(_, fate)| is_bad(fate)) {
        Some((row, _)) => {
            let error = Error::failure("the logits are not finite").file(columns.file_of(row));
            Err(error.row(row.number).line(row.line).hint(NOT_FINITE))
        }
        None => Ok(()),
    }
}

/// The error for an input with fewer rows than the output that is to be continued.
pub fn input_is_shorter(file: &Path) -> Error {
    Error::request("there are fewer rows here than are done already")
        .file(file)
        .hint("resume with the input as it was, or delete the partial output to begin again")
}
