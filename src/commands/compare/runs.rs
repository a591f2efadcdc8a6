//! What finished runs have left in their directories, by strategy.

use std::path::{Path, PathBuf};

use crate::console::units;
use crate::error::{Error, Result};
use crate::evaluation::{Classification, Evaluation, comparison};
use crate::report::verdict::split_name;
use crate::report::{Predictions, RunMetrics};
use crate::training::history::{self, Record};
use crate::training::snapshot::Snapshots;

/// One run of one contender.
pub struct FinishedRun {
    pub run: PathBuf,
    pub metrics: RunMetrics,
    /// Of the split that is compared.
    pub predictions: Predictions,
    pub predicted: Vec<u32>,
    pub confidence: Vec<f32>,
    pub history: Vec<Record>,
    pub saved_bytes: u64,
}

impl FinishedRun {
    /// What a finished run has left in its directory.
    pub fn read(metrics: RunMetrics, run: &Path) -> Result<Self> {
        let (split, evaluation) = compared(&metrics, run)?;
        if let Some(snapshots) = Snapshots::new_if_there(run) {
            snapshots.check_finished(|file| file.starts_with("predictions") || file == Path::new("history.jsonl"))?;
        }
        let predictions = Predictions::read(run, split, &evaluation.labels)?;
        let history = run.join("history.jsonl");
        Ok(Self {
            predicted: predictions.predicted(),
            confidence: predictions.confidence(),
            predictions,
            history: if history.is_file() { history::read(history)? } else { Vec::new() },
            saved_bytes: std::fs::metadata(run.join("model.safetensors")).map_or(0, |found| found.len()),
            run: run.to_owned(),
            metrics,
        })
    }

    /// The fold of each training row, from 0.
    pub fn folds(&self) -> Result<Vec<usize>> {
        let file = self.run.join("predictions/folds.csv");
        let bad = || Error::request("not the out-of-fold predictions of a run").file(&file);
        let bytes = std::fs::read(&file).map_err(|error| Error::io(error, &file))?;
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let header = reader.headers().map_err(|_| bad())?;
        // Columns of the data that are called so were given another name.
        let column = header.iter().position(|name| name == "fold").ok_or_else(bad)?;
        let fold = |record: csv::StringRecord| record.get(column)?.parse::<usize>().ok()?.checked_sub(1);
        reader.records().map(|record| record.ok().and_then(fold).ok_or_else(bad)).collect()
    }

    /// The label that every row gets, though the rows have several.
    pub fn only_answer(&self) -> Option<&str> {
        let (first, truth) = (self.predicted.first()?, &self.predictions.truth);
        let is_constant = self.predicted.iter().all(|label| label == first);
        let has_several = truth.iter().any(|label| Some(label) != truth.first());
        let (_, evaluation) = compared(&self.metrics, &self.run).ok()?;
        evaluation.labels.get(*first as usize).filter(|_| is_constant && has_several).map(String::as_str)
    }

    /// `frozen with seed 42: test accuracy 0.950, macro-F1 0.949, trained in 2.0 s: both/frozen/seed-42`.
    pub fn in_a_line(&self, was_there: bool) -> Result<String> {
        let (split, evaluation) = compared(&self.metrics, &self.run)?;
        let RunMetrics { strategy, seed, train_seconds, .. } = &self.metrics;
        let (accuracy, macro_f1) = (evaluation.accuracy, evaluation.macro_f1);
        let took = match was_there {
            true => "finished before".to_owned(),
            false => format!("trained in {}", units::seconds(*train_seconds)),
        };
        Ok(format!(
            "{strategy} with seed {seed}: {} accuracy {accuracy:.3}, macro-F1 {macro_f1:.3}, {took}: {}",
            split_name(split),
            self.run.display()
        ))
    }
}

/// The split that runs are compared on: the test data; where there are none, the training rows out of fold, or the
/// validation data.
pub fn compared<'a>(metrics: &'a RunMetrics, run: &Path) -> Result<(&'static str, &'a Classification)> {
    match (metrics.test.as_ref().and_then(Evaluation::single_label), judged(metrics)) {
        (Some(test), _) => Ok(("test", test)),
        (None, Some(judged)) => Ok(judged),
        (None, None) => Err(Error::request("the run was not scored").file(run)),
    }
}

/// The split that chose the epoch of a run: the training rows out of fold, or the validation data.
pub fn judged(metrics: &RunMetrics) -> Option<(&'static str, &Classification)> {
    let folds = metrics.folds.as_ref().map(|folds| ("folds", &folds.all));
    let (split, scores) = folds.or(metrics.valid.as_ref().map(|valid| ("valid", valid)))?;
    Some((split, scores.single_label()?))
}

/// All runs of a strategy, or a baseline.
pub struct Contender {
    pub name: String,
    pub baseline: bool,
    pub finished: Vec<FinishedRun>,
}

impl Contender {
    /// As its predictions are compared with others'.
    pub fn as_compared(&self) -> comparison::Contender<'_> {
        comparison::Contender {
            name: &self.name,
            predictions: self.finished.iter().map(|run| run.predicted.as_slice()).collect(),
            seconds: self.mean_seconds(),
            baseline: self.baseline,
        }
    }

    pub fn mean_seconds(&self) -> f64 {
        self.finished.iter().map(|run| run.metrics.train_seconds).sum::<f64>() / self.finished.len().max(1) as f64
    }
}

pub fn add(contenders: &mut Vec<Contender>, run: FinishedRun, baseline: bool) {
    let name = run.metrics.strategy.clone();
    match contenders.iter_mut().find(|contender| contender.name == name) {
        Some(contender) => contender.finished.push(run),
        None => contenders.push(Contender { name, baseline, finished: vec![run] }),
    }
}
