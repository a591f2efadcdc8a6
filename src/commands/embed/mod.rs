//! `rehead embed`: the features of an input's rows, as a file of numbers. [`vectors`] says which features: after which
//! stage, pooled and scaled how; [`growing`] keeps them as they are computed, so that an interrupted call can be
//! continued; [`table`] and [`npy`] make the output of them.

mod growing;
mod npy;
mod origin;
mod table;
mod vectors;

use std::sync::Once;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use self::growing::Growing;
use self::table::Output;
use self::vectors::Vectors;
use super::label::check_folder;
use super::loaded_model::LoadedNetwork;
use super::reading::{Fate, PreparedWindow, Reading, open};
use super::windows::Windows;
use crate::cli::EmbedArgs;
use crate::console::{Console, Progress, units};
use crate::data::{InputColumns, InputRows, Modality, Together};
use crate::error::{Error, Result};
use crate::files;
use crate::interrupt;
use crate::transform::Unread;

/// Writes the features of the input's rows.
///
/// # Errors
/// The model, the input or the output cannot be used, or interrupted.
pub fn run(args: &EmbedArgs) -> Result<()> {
    let console = Console::new(args.quiet);
    let args = &args.with_files()?;
    args.check()?;
    check_folder(&files::followed(&args.output))?;
    let mut network = vectors::load(args, &console)?;
    let vectors = Vectors::of(args, &mut network, &console)?;
    let options = network.read_options(args.form.read_options(args.rows.on_bad_input));
    let together = if args.is_npy() { Together::Read } else { Together::Written };
    let (rows, columns) = open(&args.input, together, &options, &["text"], &mut network.choices, &console)?;
    let output = Output::of(args, &options, rows.layout(), rows.row_count(), vectors.width)?;
    let log = rows.log();

    interrupt::listen();
    let origin = origin::of(args, &network, &vectors, rows.layout())?;
    let mut growing = Growing::open(args, &output.path, origin, vectors.width, &options)?;
    let done = growing.rows();
    if done > 0 {
        console.note(format!("continuing after row {}", units::count(done)));
    }
    let unit = if network.modality == Modality::Image { "images" } else { "tokens" };
    let bar = console.progress("embedding", rows.row_count(), "rows").rate_in(unit).starting_at(done);
    let embedding =
        Embedding { args, network: &network, vectors: &vectors, columns: &columns, bar: &bar, console: &console };
    let began = Instant::now();
    let counts = match embedding.run(rows, &mut growing) {
        Ok(counts) => counts,
        Err(error) => return Err(growing.keep(error, &console)),
    };
    bar.finish();
    log.take_warnings().iter().for_each(|warning| console.warn(warning));
    log.notes().iter().for_each(|note| console.note(note));
    growing.complete(&output, &console)?;
    counts.say(done, &vectors, &output, began, &console);
    Ok(())
}

/// What it takes to embed rows.
struct Embedding<'a> {
    args: &'a EmbedArgs,
    network: &'a LoadedNetwork,
    vectors: &'a Vectors,
    columns: &'a InputColumns,
    bar: &'a Progress,
    console: &'a Console,
}

impl Embedding<'_> {
    /// Reads in a thread of its own, computes, and keeps what is computed.
    fn run(&self, rows: InputRows, growing: &mut Growing) -> Result<Counts> {
        let log = rows.log();
        let reading = Reading {
            input_columns: self.columns,
            transform: &self.network.transform,
            on_bad_input: self.args.rows.on_bad_input,
            windows: Windows::new(self.args.window, &self.network.transform),
            language: Once::new(),
            console: self.console,
            log: &log,
        };
        let done = growing.rows();
        // Windows begin where they would have begun, since what is computed together decides the last digits.
        let again = done - reading.windows.begin_of(done);
        let (to_compute, windows) = sync_channel::<Result<PreparedWindow>>(1);
        std::thread::scope(|scope| {
            let reading = &reading;
            scope.spawn(move || reading.read(rows, done, &to_compute));
            self.compute(windows, again as usize, growing)
        })
    }

    fn compute(
        &self,
        windows: Receiver<Result<PreparedWindow>>,
        mut again: usize,
        growing: &mut Growing,
    ) -> Result<Counts> {
        let mut counts = Counts::default();
        for window in windows {
            let window = window?;
            let mut work = 0;
            let set = &*window.prepared.set;
            let features = self.vectors.compute(self.network, set, &mut |_, cost| work += cost as u64)?;
            let known = again.min(window.rows.len());
            again -= known;
            for (index, (row, fate)) in window.rows.iter().zip(&window.fates).enumerate().skip(known) {
                let values = match *fate {
                    Fate::Answered(example) => {
                        let values = features.row(example);
                        if values.iter().any(|value| !value.is_finite()) {
                            let failed = Error::failure("the features are not finite").file(self.columns.file_of(row));
                            return Err(failed
                                .row(row.number)
                                .line(row.line)
                                .hint("compute in another number format: --precision fp32"));
                        }
                        Some(values)
                    }
                    Fate::Empty => {
                        counts.empty += 1;
                        None
                    }
                    Fate::Unreadable => {
                        counts.unreadable += 1;
                        None
                    }
                };
                growing.add(row, window.contents.get(index).map(String::as_str), values)?;
            }
            growing.flush()?;
            counts.rows += (window.rows.len() - known) as u64;
            counts.unread.add(&window.prepared.unread);
            counts.half_empty += window.half_empty;
            if let Some(share) = window.share {
                self.bar.message(format!("{} of the input", units::percent(share)));
            }
            self.bar.advance_with(window.rows.len() as u64, work);
            if interrupt::requested() {
                return Err(Error::interrupted(""));
            }
        }
        Ok(counts)
    }
}

/// Counts over the rows that this call has computed.
#[derive(Default)]
struct Counts {
    rows: u64,
    empty: u64,
    unreadable: u64,
    half_empty: u64,
    unread: Unread,
}

impl Counts {
    /// Tells them; `before` rows are an earlier call's.
    fn say(&self, before: u64, vectors: &Vectors, output: &Output, began: Instant, console: &Console) {
        let since = if before > 0 { format!("after row {}: ", units::count(before)) } else { String::new() };
        self.unread.remarks().into_iter().for_each(|remark| console.warn(since.clone() + &remark));
        if self.half_empty > 0 {
            console.warn(format!("{since}one text is empty in {}", units::counted(self.half_empty, "pair")));
        }
        let left = if output.is_npy() { "NaN" } else { "empty" };
        for (count, why) in [(self.empty, "without a text"), (self.unreadable, "that could not be read")] {
            if count > 0 {
                console.warn(format!("{since}{} {why}: the features are {left}", units::counted(count, "row")));
            }
        }
        let rows = units::counted(before + self.rows, "row");
        let rate = match self.rows {
            0 | 1 => String::new(),
            own => format!(" ({})", units::rate(own as f64 / began.elapsed().as_secs_f64(), "rows")),
        };
        let features = units::counted(vectors.width as u64, "feature");
        console.summary(format!("{rows} of {features}{rate}: {}", output.path.display()));
    }
}
