//! The baselines of a comparison, fitted and evaluated on the rows of the runs.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rayon::prelude::*;

use super::runs::{FinishedRun, compared};
use crate::baseline::{Baseline, LabelledInputs, Majority, Tfidf};
use crate::commands::origin::Origin;
use crate::commands::origins::origins;
use crate::commands::train::data::Data;
use crate::config::{Choices, OnBadInput, RunConfig};
use crate::console::Console;
use crate::data::{Example, Input, Modality, Origins, Place};
use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, evaluate};
use crate::hardware::Hardware;
use crate::image::{Limits, decode};
use crate::interrupt;
use crate::report::verdict::split_name;
use crate::report::{Predictions, RunMetrics};

/// The baselines, fitted on the same rows as the strategies; each in a directory of its own, where it is found again if
/// it was made from the same data (`content`) and settings.
pub fn baselines(
    shared: &RunConfig,
    modality: Modality,
    content: &Origin,
    console: &Console,
) -> Result<Vec<FinishedRun>> {
    let origin = content.of_baselines(shared)?;
    let names: &[&str] = match modality {
        Modality::Text => &["majority", "tf-idf"],
        Modality::Image => &["majority"],
    };
    let folders: Vec<PathBuf> = names.iter().map(|name| shared.run.out.join(name)).collect();
    if are_finished(&folders, &origin, console) {
        return folders.iter().map(|folder| read_finished(folder, console)).collect();
    }
    let mut config = shared.clone();
    let mut choices = Choices::default();
    Hardware::choose(config.run.device, config.run.precision, config.run.threads, &mut choices)?;
    let mut data = Data::load(&mut config, modality, &mut choices, &Console::new(true))?;
    if modality == Modality::Image && config.data.on_bad_input == OnBadInput::Skip {
        for examples in [Some(&mut data.train), data.valid.as_mut(), data.test.as_mut()].into_iter().flatten() {
            keep_readable(examples)?;
        }
    }
    let classes = data.labels.len();
    let valid = data.valid.as_ref().ok_or_else(|| Error::failure("there are no validation rows"))?;
    let (train, held_out) = (SplitInputs::of(&data.train), SplitInputs::of(valid));
    let (split, examples) = match &data.test {
        Some(test) => ("test", test),
        None => ("valid", valid),
    };
    let scored = SplitInputs::of(examples);
    let origins = origins_of(examples, &data);

    let mut finished = Vec::new();
    for (&name, run) in names.iter().zip(&folders) {
        let began = Instant::now();
        let baseline: Box<dyn Baseline> = match name {
            "majority" => Box::new(Majority::fit(&train.labelled(), classes)?),
            _ => Box::new(Tfidf::fit(&train.labelled(), &held_out.labelled(), classes, &mut stop_if_asked)?),
        };
        let train_seconds = began.elapsed().as_secs_f64();
        let found = baseline.predict(&scored.inputs)?;
        // Scores are made from logits: the logarithms of probabilities are such.
        let logits: Vec<f32> = found.probabilities.iter().map(|p| p.max(1e-30).ln()).collect();
        let evaluation = evaluate(&logits, &scored.labels, data.labels.names())?;
        console.note(format!("{}: {} {}", baseline.name(), split_name(split), evaluation.summary()));
        let rows = train.labels.len() as u64;
        let metrics = metrics(baseline.as_ref(), shared.training.seed, rows, train_seconds, (split, evaluation));
        std::fs::create_dir_all(run).map_err(|error| Error::io(error, run))?;
        let predictions = Predictions { truth: scored.labels.clone(), probabilities: found.probabilities };
        predictions.write(run, split, data.labels.names(), &origins)?;
        origin.write(run)?;
        metrics.write(run.join("metrics.json"))?;
        finished.push(FinishedRun::read(metrics, run)?);
    }
    Ok(finished)
}

/// The metrics of a baseline that was scored on a split.
fn metrics(
    baseline: &dyn Baseline,
    seed: u64,
    train_rows: u64,
    train_seconds: f64,
    (split, evaluation): (&str, Evaluation),
) -> RunMetrics {
    RunMetrics {
        model: "none".to_owned(),
        strategy: baseline.name().to_owned(),
        seed,
        train_rows,
        train_seconds,
        trainable_parameters: baseline.parameters(),
        total_parameters: baseline.parameters(),
        valid: (split == "valid").then(|| evaluation.clone()),
        test: (split == "test").then(|| evaluation.clone()),
        epochs: 1,
        rehead_version: RunMetrics::VERSION.to_owned(),
        ..RunMetrics::default()
    }
}

/// A baseline that is in its folder.
fn read_finished(folder: &Path, console: &Console) -> Result<FinishedRun> {
    let run = FinishedRun::read(RunMetrics::read(folder.join("metrics.json"))?, folder)?;
    let (split, evaluation) = compared(&run.metrics, folder)?;
    let (name, split) = (&run.metrics.strategy, split_name(split));
    console.note(format!("{name}: {split} {}, finished before", evaluation.summary()));
    Ok(run)
}

/// Whether all baselines are in their folders, made from `origin`. Of something else they are named.
fn are_finished(folders: &[PathBuf], origin: &Origin, console: &Console) -> bool {
    let finished = || folders.iter().filter(|folder| folder.join("metrics.json").is_file());
    let stale = finished().find_map(|folder| origin.difference(folder));
    if let Some(difference) = &stale {
        console.note(format!("the baselines there were made from something else ({difference}): made again"));
    }
    stale.is_none() && finished().count() == folders.len()
}

fn stop_if_asked() -> Result<()> {
    match interrupt::requested() {
        true => Err(Error::interrupted("the baselines are not fitted")
            .hint("continue with the same command: finished runs are kept")),
        false => Ok(()),
    }
}

/// Leaves out the images that the runs have left out: they are scored on the same rows.
fn keep_readable(examples: &mut Vec<Example>) -> Result<()> {
    let limits = Limits::default();
    let is_readable = |example: &Example| match &example.input {
        Input::Image(file) => interrupt::requested() || decode(file, &limits).is_ok(),
        Input::Text(_) | Input::Pair(..) => true,
    };
    *examples = std::mem::take(examples).into_par_iter().filter(is_readable).collect();
    stop_if_asked()
}

/// What the rows of examples are in the files of the data.
fn origins_of(examples: &[Example], data: &Data) -> Origins {
    let places: Vec<Place> = examples.iter().map(Example::place).collect();
    let texts: Vec<String> = examples.iter().map(|example| example.input.to_string()).collect();
    origins(&data.sources, &places, &texts, data.labels.names(), &Console::new(true))
}

/// Examples as baselines take them.
struct SplitInputs<'a> {
    inputs: Vec<&'a Input>,
    labels: Vec<u32>,
}

impl<'a> SplitInputs<'a> {
    fn of(examples: &'a [Example]) -> Self {
        Self {
            inputs: examples.iter().map(|example| &example.input).collect(),
            labels: examples.iter().map(|example| example.label).collect(),
        }
    }

    fn labelled(&self) -> LabelledInputs<'_> {
        LabelledInputs { inputs: &self.inputs, labels: &self.labels }
    }
}
