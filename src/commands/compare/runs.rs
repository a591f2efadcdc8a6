//! What finished runs have left in their directories, by strategy.

use std::path::{Path, PathBuf};

use crate::console::units;
use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, comparison};
use crate::report::verdict::split_name;
use crate::report::{Predictions, RunMetrics};
use crate::training::history::{self, Record};

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

/// The split that runs are compared on: the test data, or the validation data when there are none.
pub fn compared<'a>(metrics: &'a RunMetrics, run: &Path) -> Result<(&'static str, &'a Evaluation)> {
    match (&metrics.test, &metrics.valid) {
        (Some(test), _) => Ok(("test", test)),
        (None, Some(valid)) => Ok(("valid", valid)),
        (None, None) => Err(Error::request("the run was not scored").file(run)),
    }
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
