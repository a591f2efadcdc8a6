//! Three threads overlap: one reads rows and tokenises them, one computes, one writes.
//!
//! Rows go through in windows: within one, texts are sorted by length and identical ones computed once; between them,
//! order and memory stay as they are whatever the file's length.

use std::path::Path;
use std::sync::Once;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::commands::inputs::{handle_unusable, language_fit};
use crate::commands::label::contents;
use crate::commands::label::output::{GrowingOutput, LabelWriter};
use crate::commands::label::progress::input_is_shorter;
use crate::commands::label::summary::Summary;
use crate::commands::label::windows::Windows;
use crate::commands::loaded_model::LoadedModel;
use crate::config::OnBadInput;
use crate::console::{Console, Progress, units};
use crate::data::reading_log::{Oddity, ReadingLog};
use crate::data::{Input, ResolvedColumns, Row, RowReader};
use crate::error::{Error, Result};
use crate::evaluation::NOT_FINITE;
use crate::inference::Rows;
use crate::task::OutputColumns;
use crate::transform::{Prepared, Purpose, Transform, Unread};

pub struct Pipeline<'a> {
    pub reading: Reading<'a>,
    pub model: &'a LoadedModel,
    pub output_columns: &'a dyn OutputColumns,
    pub bar: &'a Progress,
    pub console: &'a Console,
}

/// What the reading thread needs.
pub struct Reading<'a> {
    pub input_columns: &'a ResolvedColumns,
    pub transform: &'a Transform,
    pub on_bad_input: OnBadInput,
    /// Which rows are computed together.
    pub windows: Windows,
    /// Whether the language of the texts was looked at.
    pub language: Once,
    pub console: &'a Console,
    /// What is noticed while the rows are read.
    pub log: &'a ReadingLog,
}

/// Rows that are computed together, as they come from the reading thread.
struct PreparedWindow {
    rows: Vec<Row>,
    /// One for each row.
    fates: Vec<Fate>,
    /// Of images, the digest of each row's file.
    contents: Vec<String>,
    prepared: Prepared,
    /// Pairs of which one text is empty.
    half_empty: u64,
    /// The share of the input that is read with these rows, where its size is known.
    share: Option<f64>,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is the example of this index, and gets an answer.
    Answered(usize),
    /// There is nothing to read.
    Empty,
    /// The image cannot be read.
    Unreadable,
}

/// A window's rows with the logits of those that are answered.
struct LabelledWindow {
    rows: Vec<Row>,
    fates: Vec<Fate>,
    contents: Vec<String>,
    logits: Rows,
    unread: Unread,
    half_empty: u64,
    share: Option<f64>,
}

/// How far the writing thread came, in whole windows, what it wrote, and how it ended.
struct Written {
    rows: u64,
    share: Option<f64>,
    summary: Summary,
    /// What there is to say about the output.
    end: Result<Vec<String>>,
}

impl Pipeline<'_> {
    /// Reads, computes and writes until the input ends, and adds what was written to `summary`.
    pub fn run(&self, rows: RowReader, output: GrowingOutput, summary: Summary) -> Result<Summary> {
        let GrowingOutput { writer, files, .. } = output;
        let done = writer.rows();
        // Windows begin where they would have begun, since what is computed together decides the last digits: the rows
        // of the window in which an earlier call ended are computed again, and written once.
        let again = done - self.reading.windows.begin_of(done);
        let columns = self.output_columns;
        let reading = &self.reading;
        let file = rows.layout().file.clone();
        let (to_compute, windows) = sync_channel::<Result<PreparedWindow>>(1);
        let (to_write, labelled) = sync_channel::<LabelledWindow>(1);

        let (written, computed) = std::thread::scope(|scope| {
            scope.spawn(move || reading.read(rows, done, &to_compute));
            let writing = scope.spawn(move || write_windows(writer, columns, labelled, again, summary));
            let computed = self.compute(&file, windows, to_write);
            let end = Err(Error::failure("the writing thread ended unexpectedly"));
            let nothing = Written { rows: done, share: None, summary: Summary::default(), end };
            (writing.join().unwrap_or(nothing), computed)
        });
        match computed.and(written.end) {
            Ok(remarks) => {
                for remark in remarks {
                    self.console.warn(remark);
                }
                files.complete(self.console)?;
            }
            Err(error) => return Err(files.keep(written.rows, written.share, error, self.console)),
        }
        Ok(written.summary)
    }

    /// The computing thread, which is the one that loaded the model.
    fn compute(
        &self,
        file: &Path,
        windows: Receiver<Result<PreparedWindow>>,
        to_write: SyncSender<LabelledWindow>,
    ) -> Result<()> {
        for window in windows {
            let PreparedWindow { rows, fates, contents, prepared, half_empty, share } = window?;
            let mut work = 0;
            let logits = self.model.inference().logits(&*prepared.set, &mut |_, cost| work += cost as u64)?;
            let unread = prepared.unread;
            let window = LabelledWindow { rows, fates, contents, logits, unread, half_empty, share };
            check_finite(&window, file)?;
            if let Some(share) = share {
                self.bar.message(format!("{} of the input", units::percent(share)));
            }
            self.bar.advance_with(window.rows.len() as u64, work);
            if to_write.send(window).is_err() {
                // The writer has ended; its error says why.
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Reading<'_> {
    /// Sends window after window, beginning with the one that holds row `done`; an error is the last thing sent.
    fn read(&self, mut rows: RowReader, done: u64, windows: &SyncSender<Result<PreparedWindow>>) {
        let begin = self.windows.begin_of(done);
        let mut read = 0;
        let mut next = || {
            if read < begin {
                read += rows.skip_rows(begin)?;
            }
            let taken = rows.by_ref().take(self.windows.size_at(read)).collect::<Result<Vec<_>>>()?;
            read += taken.len() as u64;
            if read < done {
                return Err(input_is_shorter(&rows.layout().file));
            }
            let share = rows.bytes_read().share();
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

    fn prepare(&self, rows: Vec<Row>, share: Option<f64>) -> Result<PreparedWindow> {
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
                self.log.notice(Oddity::NoText, row.number);
                Ok(None)
            }
            Err(error) => Err(error.or_hint("or leave the label of such rows empty: --on-bad-input skip")),
            input => input.map(Some),
        }
    }
}

/// The digest of a row's image file.
fn content(input: &Option<Input>, fate: Fate, prepared: &Prepared) -> String {
    match (fate, input) {
        (Fate::Answered(example), _) => contents::shortened(prepared.set.content(example).unwrap_or_default()),
        (_, Some(Input::Image(file))) => contents::content_of(file),
        _ => String::new(),
    }
}

/// The writing thread: writes what is labelled, except for the first `again` rows, which are written already.
fn write_windows(
    mut writer: LabelWriter,
    columns: &dyn OutputColumns,
    windows: Receiver<LabelledWindow>,
    again: u64,
    mut summary: Summary,
) -> Written {
    let (mut rows, mut share) = (writer.rows(), None);
    let mut again = again as usize;
    for window in windows {
        let known = again.min(window.rows.len());
        again -= known;
        if let Err(error) = write_window(&mut writer, columns, &window, known, &mut summary) {
            return Written { rows, share, summary, end: Err(error) };
        }
        (rows, share) = (writer.rows(), window.share);
    }
    Written { rows, share, summary, end: writer.finish() }
}

fn write_window(
    writer: &mut LabelWriter,
    columns: &dyn OutputColumns,
    window: &LabelledWindow,
    known: usize,
    summary: &mut Summary,
) -> Result<()> {
    for (index, (row, fate)) in window.rows.iter().zip(&window.fates).enumerate().skip(known) {
        let content = window.contents.get(index).map(String::as_str);
        match *fate {
            Fate::Answered(example) => {
                let answer = columns.answer(window.logits.row(example));
                writer.write(row, content, &answer.values)?;
                summary.count(answer.class);
            }
            Fate::Empty => {
                writer.write(row, content, &columns.empty())?;
                summary.empty += 1;
            }
            Fate::Unreadable => {
                writer.write(row, content, &columns.empty())?;
                summary.unreadable += 1;
            }
        }
    }
    // Of whole windows: after a resumption some of these texts were written before.
    summary.unread.add(&window.unread);
    summary.half_empty += window.half_empty;
    writer.flush()
}

/// Refuses a window with logits that are not finite, naming the first such row.
fn check_finite(LabelledWindow { rows, fates, logits, .. }: &LabelledWindow, file: &Path) -> Result<()> {
    let is_bad = |fate: &Fate| match *fate {
        Fate::Answered(example) => logits.row(example).iter().any(|logit| !logit.is_finite()),
        Fate::Empty | Fate::Unreadable => false,
    };
    match rows.iter().zip(fates).find(|(_, fate)| is_bad(fate)) {
        Some((row, _)) => {
            Err(Error::failure("the logits are not finite").file(file).row(row.number).line(row.line).hint(NOT_FINITE))
        }
        None => Ok(()),
    }
}
