//! The report of a comparison.

use std::path::Path;

use super::outcome::ComparisonOutcome;
use super::runs::{Contender, FinishedRun, compared};
use crate::config::RunConfig;
use crate::report::NextStep;
use crate::report::html::comparison as page;

pub fn html(shared: &RunConfig, contenders: &[Contender], result: &ComparisonOutcome, next: &[NextStep]) -> String {
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
    let data = [
        ("training data".to_owned(), shared.data.train.to_string()),
        ("training rows".to_owned(), first.map_or(0, |run| run.metrics.train_rows).to_string()),
        (
            "compared on".to_owned(),
            shared.data.test.as_ref().map_or(result.split.to_owned(), |file| file.display().to_string()),
        ),
        ("network".to_owned(), shared.model.model.clone()),
    ];
    page::page(&page::ComparisonReport {
        title: &format!("Comparison: {}", shared.run.out.display()),
        comparison: &result.comparison,
        verdict: &result.verdict,
        split: result.split,
        labels: labels.map_or(&[], Vec::as_slice),
        truth: first.map_or(&[], |run| &run.predictions.truth),
        contenders: &shown,
        data: &data,
        next,
    })
}
