//! The report of a comparison.

use std::path::Path;

use super::outcome::ComparisonOutcome;
use super::runs::{Contender, FinishedRun, compared};
use crate::config::{self, RunConfig, Strategy};
use crate::console::units;
use crate::error::{Error, Result};
use crate::report::NextStep;
use crate::report::html::comparison as page;
use crate::report::provenance::Provenance;

/// The whole page.
///
/// # Errors
/// The settings of a run cannot be read.
pub fn html(
    shared: &RunConfig,
    contenders: &[Contender],
    result: &ComparisonOutcome,
    next: &[NextStep],
) -> Result<String> {
    let first = contenders.first().and_then(|contender| contender.finished.first());
    let shown: Vec<page::Contender> = contenders
        .iter()
        .zip(&result.contenders)
        .map(|(contender, entry)| page::Contender {
            name: &contender.name,
            is_baseline: contender.baseline,
            seconds: contender.mean_seconds(),
            trainable: entry.trainable_parameters,
            total: entry.total_parameters,
            peak_memory: entry.peak_memory_bytes,
            saved_bytes: entry.saved_bytes,
            runs: contender
                .finished
                .iter()
                .filter_map(|run| {
                    let (_, evaluation) = compared(&run.metrics, &run.run).ok()?;
                    let FinishedRun { predicted, confidence, history, metrics, .. } = run;
                    let report = run.run.join("report.html");
                    let report =
                        report.is_file().then(|| report.strip_prefix(&shared.run.out).ok().map(Path::to_owned));
                    let report = report.flatten();
                    Some(page::ContenderRun { seed: metrics.seed, evaluation, predicted, confidence, history, report })
                })
                .collect(),
        })
        .collect();
    let labels = first.and_then(|run| compared(&run.metrics, &run.run).ok()).map(|(_, found)| &found.labels);
    Ok(page::page(&page::ComparisonReport {
        title: &format!("Comparison: {}", shared.run.out.display()),
        comparison: &result.comparison,
        verdict: &result.verdict,
        split: result.split,
        labels: labels.map_or(&[], Vec::as_slice),
        truth: first.map_or(&[], |run| &run.predictions.truth),
        contenders: &shown,
        data: &data(shared, contenders, result),
        settings: &settings(contenders)?,
        // Without a date: the same comparison again leaves the same page.
        command: &Provenance::now().command,
        next,
    }))
}

/// What was compared, on what: name, value.
fn data(shared: &RunConfig, contenders: &[Contender], result: &ComparisonOutcome) -> Vec<(String, String)> {
    let runs = || contenders.iter().filter(|contender| !contender.baseline).flat_map(|contender| &contender.finished);
    let held_out = || format!("{} of the training rows held out", shared.data.valid_fraction.unwrap_or(0.1));
    let valid = shared.data.valid.as_ref().map_or_else(held_out, |file| file.display().to_string());
    let valid = shared.data.folds.map_or(valid, |count| format!("every training row in one of {count} folds"));
    let test = match (&shared.data.test, shared.data.folds) {
        (Some(file), _) => file.display().to_string(),
        (None, Some(_)) => "training data, out of fold".to_owned(),
        (None, None) => "validation data".to_owned(),
    };
    let rows = runs().next().map_or(0, |run| run.metrics.train_rows);
    let epochs: Vec<String> = runs()
        .filter(|run| run.metrics.strategy != Strategy::Frozen.to_string())
        .map(|run| format!("{} with seed {}: {}", run.metrics.strategy, run.metrics.seed, run.metrics.epochs))
        .collect();
    let mut lines = vec![
        ("training data", shared.data.train.to_string()),
        ("training rows", units::count(rows)),
        ("validation data", valid),
        ("compared on", format!("{test} ({})", units::counted(result.comparison.rows as u64, "row"))),
        ("network", shared.model.model.clone()),
    ];
    if !epochs.is_empty() {
        lines.push(("epochs trained", epochs.join(", ")));
    }
    lines.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The saved settings of each network's first run.
fn settings(contenders: &[Contender]) -> Result<Vec<(String, String)>> {
    let networks = contenders.iter().filter(|contender| !contender.baseline);
    let first = networks.filter_map(|contender| contender.finished.first());
    let read = |run: &FinishedRun| {
        let file = config::saved_settings(&run.run);
        let settings = std::fs::read_to_string(&file).map_err(|error| Error::io(error, &file))?;
        Ok((file.display().to_string(), settings))
    };
    first.map(read).collect()
}
