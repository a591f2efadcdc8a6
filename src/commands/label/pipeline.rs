//! Three threads overlap: one reads rows and tokenises them, one computes, one writes.
//!
//! Rows go through in windows: within one, texts are sorted by length and identical ones computed once; between them,
//! order and memory stay as they are whatever the file's length.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::commands::label::output::{GrowingOutput, LabelWriter};
use crate::commands::label::summary::Summary;
use crate::commands::loaded_model::LoadedModel;
use crate::commands::reading::{Fate, PreparedWindow, Reading, check_finite};
use crate::console::{Console, Progress, units};
use crate::data::{InputRows, Row};
use crate::error::{Error, Result};
use crate::inference::Rows;
use crate::task::OutputColumns;
use crate::transform::Unread;

pub struct Pipeline<'a> {
    pub reading: Reading<'a>,
    pub model: &'a LoadedModel,
    pub output_columns: &'a dyn OutputColumns,
    pub bar: &'a Progress,
    pub console: &'a Console,
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
    pub fn run(&self, rows: InputRows, output: GrowingOutput, summary: Summary) -> Result<Summary> {
        let GrowingOutput { writer, files, .. } = output;
        let done = writer.rows();
        // Windows begin where they would have begun, since what is computed together decides the last digits: the rows
        // of the window in which an earlier call ended are computed again, and written once.
        let again = done - self.reading.windows.begin_of(done);
        let columns = self.output_columns;
        let reading = &self.reading;
        let (to_compute, windows) = sync_channel::<Result<PreparedWindow>>(1);
        let (to_write, labelled) = sync_channel::<LabelledWindow>(1);

        let (written, computed) = std::thread::scope(|scope| {
            scope.spawn(move || reading.read(rows, done, &to_compute));
            let writing = scope.spawn(move || write_windows(writer, columns, labelled, again, summary));
            let computed = self.compute(windows, to_write);
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
    fn compute(&self, windows: Receiver<Result<PreparedWindow>>, to_write: SyncSender<LabelledWindow>) -> Result<()> {
        for window in windows {
            let PreparedWindow { rows, fates, contents, prepared, half_empty, share } = window?;
            let mut work = 0;
            let logits = self.model.inference().logits(&*prepared.set, &mut |_, cost| work += cost as u64)?;
            let unread = prepared.unread;
            let window = LabelledWindow { rows, fates, contents, logits, unread, half_empty, share };
            check_finite(&window.rows, &window.fates, &window.logits, self.reading.input_columns)?;
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
                summary.count(&answer.labels, answer.is_unusual);
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
