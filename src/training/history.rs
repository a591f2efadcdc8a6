//! `history.jsonl`: one line per logged step or evaluation, for plots and the report.
//!
//! A run whose training collapsed and was begun again has the steps of both attempts, with a line of the kind
//! `restart` between them. Every line is flushed when written, so a run can be followed and an interrupted one keeps
//! its past. Resuming drops what the lost steps had written, so that an interrupted run's file equals an uninterrupted
//! one's apart from times.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::evaluation::Evaluation;
use crate::files::{self, write_atomically};
use crate::training::collapse::Restart;

/// A line of the file. In JSON the field `kind` says which it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// `"kind": "step"`, every `log_every` steps.
    Step(StepRecord),
    /// `"kind": "evaluation"`, one for each scored split.
    Evaluation(EvaluationRecord),
    /// `"kind": "restart"`: what stands before it counts no more, and steps begin again at 1.
    Restart(Restart),
}

/// A logged optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The running epoch, from 1.
    pub epoch: u32,
    /// Optimizer steps finished, this one included.
    pub step: u64,
    /// Mean training loss since the last logged step.
    pub loss: f64,
    /// The learning rate of this step.
    pub lr: f64,
    /// The gradient's norm before clipping; left out where it is not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grad_norm: Option<f64>,
    /// Left out where there are no tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// Left out where there are no images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_per_second: Option<f64>,
    /// Training time since the run began, in seconds.
    pub seconds: f64,
}

/// An evaluation of a split during or after training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// `valid` or `test`.
    pub split: String,
    /// The epoch after which it took place.
    pub epoch: u32,
    /// Optimizer steps finished by then.
    pub step: u64,
    /// Fraction of the split's rows that are predicted correctly; left out where rows have several labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// F1 of all decisions together; left out where rows have one label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_f1: Option<f64>,
    /// Fraction: the plain mean of F1 over the labels that occur; not a number, and left out, where rows have numbers.
    #[serde(default = "not_a_number", skip_serializing_if = "is_not_a_number")]
    pub macro_f1: f64,
    /// The share of the variance that is explained; left out where rows have labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
    /// Loss (cross-entropy), the mean over the rows; of several labels over them too.
    pub loss: f64,
    /// How long the evaluation took, in seconds.
    pub seconds: f64,
}

fn not_a_number() -> f64 {
    f64::NAN
}

fn is_not_a_number(number: &f64) -> bool {
    number.is_nan()
}

impl EvaluationRecord {
    /// The record of `evaluation`, made after epoch `epoch` (from 1), `step` steps and in so many `seconds`.
    pub fn new(split: &str, epoch: u32, step: u64, evaluation: &Evaluation, seconds: f64) -> Self {
        Self {
            split: split.to_owned(),
            epoch,
            step,
            accuracy: evaluation.single_label().map(|scores| scores.accuracy),
            micro_f1: evaluation.multi_label().map(|scores| scores.micro_f1),
            macro_f1: evaluation.macro_f1(),
            r2: evaluation.regression().and_then(|scores| scores.r2),
            loss: evaluation.loss(),
            seconds,
        }
    }

    /// The score of the task that comes first, with its name.
    pub fn main(&self) -> (&'static str, f64) {
        match (self.accuracy, self.micro_f1) {
            _ if self.macro_f1.is_nan() => self.usual(),
            (Some(accuracy), _) => ("accuracy", accuracy),
            (None, micro_f1) => ("micro-F1", micro_f1.unwrap_or(f64::NAN)),
        }
    }

    /// The score by which epochs are chosen unless another is asked for.
    pub fn usual(&self) -> (&'static str, f64) {
        match self.micro_f1 {
            _ if self.macro_f1.is_nan() => ("R²", self.r2.unwrap_or(-self.loss)),
            Some(micro_f1) => ("micro-F1", micro_f1),
            None => ("macro-F1", self.macro_f1),
        }
    }
}

/// Appends records to `history.jsonl`.
#[derive(Debug)]
pub struct HistoryWriter {
    path: PathBuf,
    file: File,
    /// The evaluations kept on resuming, as (split, step).
    kept: Vec<(String, u64)>,
}

impl HistoryWriter {
    /// Begins a new history; an older file at `path` is emptied.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = files::create(path)?;
        Ok(Self { path: path.to_owned(), file, kept: Vec::new() })
    }

    /// Continues the history of a run resumed after `step` finished steps, since it was begun again if `restart` says
    /// so: later lines go, and so does what cannot be read (the torn last line of a run that was killed). Without a
    /// file it is a new one. A run that has just been begun again gets its line.
    pub fn resume(path: impl AsRef<Path>, restart: Option<&Restart>, step: u64) -> Result<Self> {
        let path = path.as_ref();
        let old = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => files::create(path).map(|_| Vec::new())?,
            Err(error) => return Err(Error::io(error, path)),
        };
        // Steps of the attempt before have the same numbers.
        let mut missing = restart;
        let mut past = Vec::with_capacity(old.len());
        let mut kept = Vec::new();
        for line in old.split(|&byte| byte == b'\n') {
            let Ok(value) = serde_json::from_slice::<serde_json::Value>(line) else {
                continue;
            };
            let at = value.get("step").and_then(serde_json::Value::as_u64);
            if value.get("kind").is_some_and(|kind| kind == "restart") {
                if missing.take().is_none() {
                    break;
                }
            } else if missing.is_none() && at.is_some_and(|at| at > step) {
                continue;
            }
            let split = value.get("split").and_then(serde_json::Value::as_str);
            if let (None, Some(at), Some(split)) = (missing, at, split) {
                kept.push((split.to_owned(), at));
            }
            past.extend_from_slice(line);
            past.push(b'\n');
        }
        if past != old {
            write_atomically(path, &past)?;
        }
        let file = files::append(path)?;
        let mut history = Self { path: path.to_owned(), file, kept };
        match missing {
            Some(restart) => history.append(&Record::Restart(restart.clone())).map(|()| history),
            None => Ok(history),
        }
    }

    /// Appends a step's line.
    pub fn step(&mut self, record: StepRecord) -> Result<()> {
        self.append(&Record::Step(record))
    }

    /// An evaluation that the interrupted run had already written is not written again, so it does not matter
    /// whether the snapshot was taken before or after it.
    pub fn evaluation(&mut self, record: EvaluationRecord) -> Result<()> {
        if self.kept.iter().any(|(split, step)| *split == record.split && *step == record.step) {
            return Ok(());
        }
        self.append(&Record::Evaluation(record))
    }

    fn append(&mut self, record: &Record) -> Result<()> {
        let mut line =
            serde_json::to_vec(record).map_err(|error| Error::failure(error.to_string()).file(&self.path))?;
        line.push(b'\n');
        // One write per line: a reader that follows the file meets whole lines.
        self.file.write_all(&line).and_then(|()| self.file.flush()).map_err(|error| Error::io(error, &self.path))
    }
}

/// The records of a history, after a restart those since then; lines of unknown kinds and a torn last line are passed
/// over.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<Record>> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|error| Error::io(error, path))?;
    let lines = bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let mut records: Vec<Record> = lines.collect();
    match records.iter().rposition(|record| matches!(record, Record::Restart(_))) {
        Some(restart) => Ok(records.split_off(restart + 1)),
        None => Ok(records),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::collapse::Collapse;

    fn step(step: u64) -> StepRecord {
        let epoch = (step as u32).div_ceil(2);
        StepRecord {
            epoch,
            step,
            loss: 0.1,
            lr: 1e-5,
            grad_norm: None,
            tokens_per_second: Some(7000.0),
            images_per_second: None,
            seconds: 1.5,
        }
    }

    fn valid(step: u64) -> EvaluationRecord {
        let split = "valid".to_owned();
        EvaluationRecord {
            split,
            epoch: 1,
            step,
            accuracy: Some(0.9),
            micro_f1: None,
            macro_f1: 0.8,
            r2: None,
            loss: 0.3,
            seconds: 2.0,
        }
    }

    fn write(history: &mut HistoryWriter, steps: std::ops::RangeInclusive<u64>) {
        for number in steps {
            history.step(step(number)).unwrap();
            if number % 2 == 0 {
                history.evaluation(valid(number)).unwrap();
            }
        }
    }

    #[test]
    fn a_line_says_its_kind_and_leaves_out_what_was_not_measured() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        write(&mut HistoryWriter::create(&path).unwrap(), 2..=2);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                concat!(
                    r#"{"kind":"step","epoch":1,"step":2,"loss":0.1,"lr":0.00001,"#,
                    r#""tokens_per_second":7000.0,"seconds":1.5}"#
                ),
                concat!(
                    r#"{"kind":"evaluation","split":"valid","epoch":1,"step":2,"#,
                    r#""accuracy":0.9,"macro_f1":0.8,"loss":0.3,"seconds":2.0}"#
                )
            ]
        );
        assert_eq!(read(&path).unwrap(), [Record::Step(step(2)), Record::Evaluation(valid(2))]);
    }

    #[test]
    fn interrupted_equals_uninterrupted() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
        write(&mut HistoryWriter::create(&whole).unwrap(), 1..=6);
        // Killed while writing step 6; the snapshot was of step 4.
        write(&mut HistoryWriter::create(&broken).unwrap(), 1..=5);
        files::append(&broken).unwrap().write_all(b"{\"kind\":\"step\",\"epo\xff").unwrap();
        let mut history = HistoryWriter::resume(&broken, None, 4).unwrap();
        history.evaluation(valid(4)).unwrap();
        write(&mut history, 5..=6);
        assert_eq!(std::fs::read_to_string(broken).unwrap(), std::fs::read_to_string(whole).unwrap());
    }

    #[test]
    fn resuming_without_a_file_begins_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        write(&mut HistoryWriter::resume(&path, None, 4).unwrap(), 5..=5);
        assert_eq!(read(&path).unwrap().len(), 1);
    }

    #[test]
    fn both_attempts_stay_and_the_last_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
        let restart = Collapse::SameAnswer { epoch: 1, loss: 0.7, constant: 0.69 }.restart(3, 1e-3);
        write(&mut HistoryWriter::create(&whole).unwrap(), 1..=3);
        write(&mut HistoryWriter::resume(&whole, Some(&restart), 0).unwrap(), 1..=4);
        assert_eq!(read(&whole).unwrap().len(), 6);
        let text = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!(text(&whole).lines().count(), 4 + 1 + 6);

        write(&mut HistoryWriter::create(&broken).unwrap(), 1..=3);
        write(&mut HistoryWriter::resume(&broken, Some(&restart), 0).unwrap(), 1..=3);
        // Resumed from a snapshot of the second attempt,
        write(&mut HistoryWriter::resume(&broken, Some(&restart), 2).unwrap(), 3..=3);
        // and from one of the first, whose collapse comes again.
        write(&mut HistoryWriter::resume(&broken, None, 1).unwrap(), 2..=3);
        write(&mut HistoryWriter::resume(&broken, Some(&restart), 0).unwrap(), 1..=4);
        assert_eq!(text(&broken), text(&whole));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = HistoryWriter::create("/no/such/folder/history.jsonl").unwrap_err();
        assert!(error.to_string().starts_with("/no/such/folder/history.jsonl: "), "{error}");
    }
}
