//! What a run leaves for programs and people: predictions, metrics and the report in its directory, and the result on
//! the terminal.

use super::outcome::SavedTraining;
use super::prepare::Run;
use crate::config;
use crate::console::units;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::report::html::run::{RunReport, ScoredSplit, page};
use crate::report::{Predictions, RunMetrics};
use crate::task::Evaluated;
use crate::training::history;

/// Writes predictions, metrics and the report, and prints the result.
pub fn write(run: &Run, outcome: &SavedTraining, test: Option<&Evaluated>) -> Result<RunMetrics> {
    let test_predictions = write_test_predictions(run, test)?;
    let metrics = metrics(run, outcome, test);
    metrics.write(run.out().join("metrics.json"))?;
    let page = html(run, &metrics, &outcome.valid_predictions, test_predictions.as_ref())?;
    write_atomically(run.out().join("report.html"), page.as_bytes())?;
    Ok(metrics)
}

fn write_test_predictions(run: &Run, test: Option<&Evaluated>) -> Result<Option<Predictions>> {
    let (Some(scored), Some(split)) = (test, &run.splits.test) else { return Ok(None) };
    let predictions = Predictions::of_logits(&scored.logits, &split.dataset.targets);
    predictions.write(run.out(), "test", run.labels.names(), &run.origins(split))?;
    Ok(Some(predictions))
}

fn metrics(run: &Run, outcome: &SavedTraining, test: Option<&Evaluated>) -> RunMetrics {
    let train = &run.splits.train;
    let unit = train.dataset.examples.unit();
    let rate = |of: &str| (unit == of).then(|| outcome.tokens as f64 / outcome.seconds.max(1e-9));
    RunMetrics {
        model: run.config.model.model.clone(),
        strategy: run.config.strategy.name.to_string(),
        seed: run.config.training.seed,
        train_rows: (train.dataset.targets.len() / run.views.max(1)) as u64,
        train_seconds: outcome.seconds,
        prepare_seconds: train.seconds + run.splits.valid.seconds,
        tokens_per_second: rate("tokens"),
        images_per_second: rate("images"),
        trainable_parameters: outcome.trainable_parameters,
        total_parameters: run.classifier.total_parameters(),
        peak_memory_bytes: run.hardware.peak_memory_bytes(),
        valid: Some(outcome.valid.clone()),
        test: test.map(|scored| scored.evaluation.clone()),
        best_epoch: outcome.best_epoch,
        epochs: outcome.epochs,
        choices: serde_json::to_value(&run.choices).unwrap_or_default(),
        rehead_version: RunMetrics::VERSION.to_owned(),
    }
}

/// `report.html`.
fn html(run: &Run, metrics: &RunMetrics, valid: &Predictions, test: Option<&Predictions>) -> Result<String> {
    let file = config::saved_settings(run.out());
    let settings = std::fs::read_to_string(&file).map_err(|error| Error::io(error, &file))?;
    let history = history::read(run.out().join("history.jsonl"))?;
    let splits: Vec<ScoredSplit> = [
        ("valid", &metrics.valid, Some(valid), Some(&run.splits.valid)),
        ("test", &metrics.test, test, run.splits.test.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, evaluation, predictions, split)| {
        let (evaluation, predictions, split) = (evaluation.as_ref()?, predictions?, split?);
        Some(ScoredSplit {
            name,
            evaluation,
            truth: &predictions.truth,
            probabilities: &predictions.probabilities,
            texts: &split.texts,
            modality: run.transform.modality(),
        })
    })
    .collect();
    Ok(page(&RunReport {
        title: &run.out().display().to_string(),
        metrics,
        settings: &settings,
        history: &history,
        data: &run.summary,
        splits: &splits,
    }))
}

/// Prints the result.
pub fn print(run: &Run, metrics: &RunMetrics) {
    run.console.section("result");
    for (split, evaluation) in [("validation", &metrics.valid), ("test", &metrics.test)] {
        if let Some(evaluation) = evaluation {
            run.console.note(format!("{split}: {evaluation}"));
            if let Some(warning) = evaluation.warning() {
                run.console.warn(format!("{split}: {warning}"));
            }
        }
    }
    let seconds = units::seconds(metrics.train_seconds);
    run.console.summary(format!("{} trained in {seconds}: {}", metrics.strategy, run.out().display()));
}
