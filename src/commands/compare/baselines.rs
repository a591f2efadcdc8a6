//! The baselines of a comparison, fitted and evaluated on the rows of the runs.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rayon::prelude::*;

use super::baseline_rows::{HeldOut, Rows, SplitInputs, held_out, score, stop_if_asked};
use super::runs::{FinishedRun, compared};
use crate::commands::origin::Origin;
use crate::commands::origins::origins;
use crate::commands::train::data::Data;
use crate::config::{Choices, OnBadInput, RunConfig};
use crate::console::Console;
use crate::data::{Example, Input, Modality, Origins, Place};
use crate::error::{Error, Result};
use crate::hardware::Hardware;
use crate::image::{Limits, decode_for};
use crate::interrupt;
use crate::report::verdict::split_name;
use crate::report::{Predictions, RunMetrics};

/// The baselines, fitted on the same rows as the strategies; each in a directory of its own, where it is found again if
/// it was made from the same data (`content`) and settings. `folds`: that of each training row, where there are any.
pub fn baselines(
    shared: &RunConfig,
    modality: Modality,
    folds: Option<Vec<usize>>,
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
    let rows =
        Rows { train: SplitInputs::of(&data.train), held_out: held_out(&data, folds)?, classes: data.labels.len() };
    let (split, examples) = match (&data.test, &data.valid) {
        (Some(test), _) => ("test", test),
        (None, Some(valid)) => ("valid", valid),
        (None, None) => ("folds", &data.train),
    };
    let scored = SplitInputs::of(examples);
    let mut origins = origins_of(examples, &data);
    if let (HeldOut::Folds(folds), "folds") = (&rows.held_out, split) {
        origins.add_folds(&folds.of);
    }

    let mut finished = Vec::new();
    for (&name, run) in names.iter().zip(&folders) {
        let began = Instant::now();
        let (probabilities, parameters, train_seconds) = match &rows.held_out {
            HeldOut::Folds(folds) if split == "folds" => {
                let (probabilities, parameters) = rows.out_of_fold(name, folds)?;
                (probabilities, parameters, began.elapsed().as_secs_f64())
            }
            _ => {
                let baseline = rows.fit(name)?;
                let train_seconds = began.elapsed().as_secs_f64();
                (baseline.predict(&scored.inputs)?.probabilities, baseline.parameters(), train_seconds)
            }
        };
        let evaluation = score(&probabilities, &scored.labels, data.labels.names())?;
        console.note(format!("{name}: {} {}", split_name(split), evaluation.summary()));
        let metrics = RunMetrics {
            model: "none".to_owned(),
            strategy: name.to_owned(),
            seed: shared.training.seed,
            train_rows: data.train.len() as u64,
            train_seconds,
            trainable_parameters: parameters,
            total_parameters: parameters,
            epochs: 1,
            rehead_version: RunMetrics::VERSION.to_owned(),
            folds: rows.fold_scores(split, &evaluation, &probabilities, data.labels.names())?,
            valid: (split == "valid").then(|| evaluation.clone().into()),
            test: (split == "test").then(|| evaluation.into()),
            ..RunMetrics::default()
        };
        std::fs::create_dir_all(run).map_err(|error| Error::io(error, run))?;
        let predictions = Predictions { truth: scored.labels.clone(), probabilities };
        predictions.write(run, split, data.labels.names(), &origins)?;
        origin.write(run)?;
        metrics.write(run.join("metrics.json"))?;
        finished.push(FinishedRun::read(metrics, run)?);
    }
    Ok(finished)
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

/// Leaves out the images that the runs have left out: they are scored on the same rows.
fn keep_readable(examples: &mut Vec<Example>) -> Result<()> {
    let limits = Limits::default();
    let is_readable = |example: &Example| match &example.input {
        Input::Image(file) => interrupt::requested() || decode_for(file, &limits, |_| Ok(())).is_ok(),
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
