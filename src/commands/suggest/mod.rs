//! `rehead suggest`: the rows of an input that are most worth a label. [`candidates`] keeps those that the model doubts
//! most while the input streams by, in bounded memory; [`crate::selection`] chooses among them; [`known`] says which
//! rows have a label already, [`output`] writes the choice.

mod candidates;
mod known;
mod output;

use std::sync::Once;
use std::sync::mpsc::{Receiver, sync_channel};

use tch::Tensor;

use self::candidates::{Candidate, Candidates};
use self::known::KnownRows;
use self::output::{Output, Suggestion};
use super::label::check_folder;
use super::loaded_model::LoadedModel;
use super::reading::{Fate, PreparedWindow, Reading, check_finite, open};
use super::trained_rows;
use super::windows::Windows;
use crate::cli::{SuggestArgs, named};
use crate::console::{Console, Progress, units};
use crate::data::format::{AddedColumn, ColumnKind};
use crate::data::{Input, InputColumns, InputRows, ReadOptions, Row, Together};
use crate::error::{Error, ErrorKind, Result};
use crate::evaluation::softmax;
use crate::files;
use crate::inference::Outputs;
use crate::interrupt;
use crate::selection::{Choice, choose};
use crate::task::{ColumnOptions, OutputColumns};

/// Writes the rows of the input that are most worth a label.
///
/// # Errors
/// The model, the input or the output cannot be used, no row is left to suggest, or interrupted.
pub fn run(args: &SuggestArgs) -> Result<()> {
    let console = Console::new(args.quiet);
    let args = &args.with_files()?;
    args.check()?;
    check_folder(&files::followed(&args.output))?;
    let mut model = LoadedModel::load(&args.model, &args.inference, args.quiet, &console)?;
    model.check_single_label("suggesting rows to label", "model")?;
    let form = args.form.read_options(args.rows.on_bad_input);
    let options = model.read_options(ReadOptions { label: args.rows.label.clone(), ..form });
    let (rows, columns) =
        open(&args.input, Together::Written, &options, &["text", "label"], &mut model.choices, &console)?;
    let answers = &*model.task.columns(&model.classifier.labels, ColumnOptions::default());
    let output = Output::prepare(args, &rows, &options, &answer_columns(answers, &model))?;
    interrupt::listen();
    let known = KnownRows::read(args, &model, &options, &console)?;
    let log = rows.log();
    let bar = console.progress("scoring", rows.row_count(), "rows");
    let scoring = Scoring { args, model: &model, columns: &columns, known: &known, bar: &bar, console: &console };
    let candidates = scoring.run(rows, answers)?;
    bar.finish();
    log.take_warnings().iter().for_each(|warning| console.warn(warning));
    log.notes().iter().for_each(|note| console.note(note));
    let passed = candidates.passed.clone();
    let suggestions = chosen(candidates, args)?;
    if suggestions.is_empty() {
        return Err(passed.nothing_left(&columns).file(named(&args.input)));
    }
    passed.say(&columns, &console);
    if suggestions.len() < args.count {
        let fewer = units::counted(suggestions.len() as u64, "row");
        console.warn(format!("{fewer} suggested, and not {}: there are no others", units::count(args.count as u64)));
    }
    let count = suggestions.len() as u64;
    output.write(&suggestions, &console)?;
    console.summary(format!(
        "{} of {} suggested: {}",
        units::count(count),
        units::counted(passed.rows, "row"),
        args.output.display()
    ));
    Ok(())
}

/// What an interruption leaves.
const UNFINISHED: &str = "nothing is written: which rows are worth a label is known once all are read";

/// What it takes to find the candidates among the rows.
struct Scoring<'a> {
    args: &'a SuggestArgs,
    model: &'a LoadedModel,
    columns: &'a InputColumns,
    known: &'a KnownRows,
    bar: &'a Progress,
    console: &'a Console,
}

impl Scoring<'_> {
    /// Reads in a thread of its own, and computes.
    fn run(&self, rows: InputRows, answers: &dyn OutputColumns) -> Result<Candidates> {
        let log = rows.log();
        let reading = Reading {
            input_columns: self.columns,
            transform: &self.model.transform,
            on_bad_input: self.args.rows.on_bad_input,
            windows: Windows::new(None, &self.model.transform),
            language: Once::new(),
            console: self.console,
            log: &log,
        };
        let (to_compute, windows) = sync_channel::<Result<PreparedWindow>>(1);
        std::thread::scope(|scope| {
            let reading = &reading;
            scope.spawn(move || reading.read(rows, 0, &to_compute));
            self.candidates(windows, answers)
        })
    }

    fn candidates(&self, windows: Receiver<Result<PreparedWindow>>, answers: &dyn OutputColumns) -> Result<Candidates> {
        let mut candidates = Candidates::new(self.args.count);
        for window in windows {
            let window = window?;
            let outputs = self.model.inference().outputs(&*window.prepared.set, &mut |_, _| {});
            let outputs = outputs.map_err(|error| match error.kind() {
                ErrorKind::Interrupted => Error::interrupted(UNFINISHED),
                _ => error,
            })?;
            check_finite(&window.rows, &window.fates, &outputs.logits, self.columns)?;
            let rows = window.rows.len() as u64;
            self.take(window, &outputs, answers, &mut candidates)?;
            self.bar.advance_with(rows, rows);
        }
        Ok(candidates)
    }

    /// What is no label that can be read is one all the same.
    fn has_label(&self, row: &Row) -> bool {
        self.columns.label_of(row).map_or(true, |label| label.is_some_and(|label| !label.name.is_empty()))
    }

    /// Adds the rows of a window to the candidates, or counts why they are none.
    fn take(
        &self,
        window: PreparedWindow,
        Outputs { logits, features }: &Outputs,
        answers: &dyn OutputColumns,
        candidates: &mut Candidates,
    ) -> Result<()> {
        let PreparedWindow { rows, fates, prepared, .. } = window;
        let is_answered = |fate: &Fate| matches!(fate, Fate::Answered(_));
        let answered = rows.iter().zip(&fates).filter(|(_, fate)| is_answered(fate));
        let inputs: Vec<Input> = answered.map(|(row, _)| self.columns.input_of(row)).collect::<Result<_>>()?;
        let digests = trained_rows::digests(&inputs, &*prepared.set);
        for (row, fate) in rows.into_iter().zip(fates) {
            candidates.passed.rows += 1;
            let example = match fate {
                Fate::Answered(example) => example,
                Fate::Empty | Fate::Unreadable => {
                    let passed = &mut candidates.passed;
                    *(if fate == Fate::Empty { &mut passed.empty } else { &mut passed.unreadable }) += 1;
                    continue;
                }
            };
            let digest = digests.get(example).copied().unwrap_or_default();
            if self.has_label(&row) {
                candidates.passed.labelled += 1;
            } else if self.known.has(digest) {
                candidates.passed.known += 1;
            } else if let Some(doubt) = candidates.admits(digest, (row.file, row.number), || doubt(logits.row(example)))
            {
                let values = answers.answer(logits.row(example)).values;
                let features = features.row(example).to_vec();
                candidates.add(Candidate { row: row.alone()?, values, features, doubt, digest });
            }
        }
        Ok(())
    }
}

/// The task's columns.
fn answer_columns(answers: &dyn OutputColumns, model: &LoadedModel) -> Vec<AddedColumn> {
    let example = answers.answer(&vec![0.0; model.classifier.labels.len()]).values;
    let columns = answers.names().into_iter().zip(&example);
    columns.map(|(name, value)| AddedColumn { name, kind: ColumnKind::of(value) }).collect()
}

/// How much a model doubts its answer: the probability of all other labels together.
fn doubt(logits: &[f32]) -> f64 {
    let mut probabilities = softmax(logits);
    probabilities.sort_by(f64::total_cmp);
    probabilities.pop();
    probabilities.iter().sum()
}

/// Chooses among the candidates.
fn chosen(candidates: Candidates, args: &SuggestArgs) -> Result<Vec<Suggestion>> {
    let mut candidates: Vec<Option<Candidate>> = candidates.into_sorted().into_iter().map(Some).collect();
    let features: Vec<f32> = candidates.iter().flatten().flat_map(|candidate| &candidate.features).copied().collect();
    let doubts: Vec<f64> = candidates.iter().flatten().map(|candidate| candidate.doubt).collect();
    if doubts.is_empty() {
        return Ok(Vec::new());
    }
    let width = (features.len() / doubts.len()) as i64;
    let features = Tensor::f_from_slice(&features)?.f_view([doubts.len() as i64, width])?;
    let choices = choose(&features, &doubts, args.count, args.rows.seed)?;
    let suggestion = |Choice { candidate, stands_for }: Choice| {
        let Candidate { row, values, .. } = candidates.get_mut(candidate)?.take()?;
        Some(Suggestion { row, answer: values, alike: stands_for as u64 - 1 })
    };
    Ok(choices.into_iter().filter_map(suggestion).collect())
}
