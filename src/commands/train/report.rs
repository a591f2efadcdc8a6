//! What a run leaves for programs and people in its directory: predictions, metrics and the report.

use std::path::Path;

use super::outcome::SavedTraining;
use super::prepare::Run;
use super::split::PreparedSplit;
use crate::config::{self, DataConfig, OnBadInput, Strategy};
use crate::data::Place;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::report::html::run::{RunReport, page};
use crate::report::next_steps::run::{RunFacts, Training, run_steps};
use crate::report::next_steps::shell_word;
use crate::report::provenance::Provenance;
use crate::report::{NextStep, Origin, Predictions, RunMetrics, ScoredSplit, row_origins};
use crate::task::Evaluated;
use crate::training::history;
use crate::transform::LanguageFit;

/// Writes predictions, metrics and the report. Returns the metrics and what the report says is to be done next.
pub fn write(run: &Run, outcome: &SavedTraining, test: Option<&Evaluated>) -> Result<(RunMetrics, Vec<NextStep>)> {
    let test_predictions = write_test_predictions(run, test)?;
    let metrics = metrics(run, outcome, test);
    metrics.write(run.out().join("metrics.json"))?;
    let splits = [
        ("valid", &metrics.valid, Some(&outcome.valid_predictions), Some(&run.splits.valid)),
        ("test", &metrics.test, test_predictions.as_ref(), run.splits.test.as_ref()),
    ];
    let scored: Vec<_> = splits
        .into_iter()
        .filter_map(|(name, evaluation, predictions, split)| Some((name, evaluation.as_ref()?, predictions?, split?)))
        .collect();
    let origins: Vec<Vec<Origin>> = scored.iter().map(|(.., split)| origins(run, split)).collect();
    let splits: Vec<ScoredSplit> = scored
        .iter()
        .zip(&origins)
        .map(|(&(name, evaluation, predictions, split), origins)| ScoredSplit {
            name,
            evaluation,
            truth: &predictions.truth,
            probabilities: &predictions.probabilities,
            texts: &split.texts,
            modality: run.transform.modality(),
            origins,
            seen: split.seen.as_ref(),
        })
        .collect();
    let next = next_steps(run, &metrics, &splits);
    write_atomically(run.out().join("report.html"), html(run, &metrics, &splits, &next)?.as_bytes())?;
    Ok((metrics, next))
}

/// Where the rows of a split come from.
fn origins(run: &Run, split: &PreparedSplit) -> Vec<Origin> {
    let file = |place: &Place| run.sources.files.get(place.file as usize).filter(|file| !file.is_dir()).cloned();
    row_origins(run.origins(split), |row| split.places.get(row).and_then(file))
}

fn next_steps(run: &Run, metrics: &RunMetrics, splits: &[ScoredSplit]) -> Vec<NextStep> {
    run_steps(&RunFacts {
        model: run.out(),
        modality: run.transform.modality(),
        training: Some(&Training {
            summary: &run.training,
            options: data_options(&run.config.data),
            pretrained: &metrics.model,
            is_frozen: run.config.strategy.name == Strategy::Frozen,
            is_whole: matches!(run.config.strategy.name, Strategy::Full | Strategy::Gradual),
            has_module: run.out().join("modeling_rehead.py").is_file(),
        }),
        splits,
        languages: &run.language.iter().flat_map(LanguageFit::warnings).collect::<Vec<_>>(),
        remarks: &run.splits.train.remarks,
    })
}

fn write_test_predictions(run: &Run, test: Option<&Evaluated>) -> Result<Option<Predictions>> {
    let (Some(scored), Some(split)) = (test, &run.splits.test) else { return Ok(None) };
    let predictions = Predictions::of_logits(&scored.logits, &split.dataset.targets);
    predictions.write(run.out(), "test", run.labels.names(), run.origins(split))?;
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
        unreadable_images: run
            .splits
            .left_out()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| (name.to_owned(), count))
            .collect(),
        data_warnings: run.warnings.clone(),
        prepare_seconds: train.seconds + run.splits.valid.seconds,
        tokens_per_second: rate("tokens"),
        images_per_second: rate("images"),
        trainable_parameters: outcome.trainable_parameters,
        total_parameters: run.classifier.total_parameters(),
        peak_memory_bytes: run.hardware.peak_memory_bytes(),
        valid: Some(outcome.valid.clone()),
        test: test.map(|scored| scored.evaluation.clone()),
        best_epoch: outcome.best_epoch,
        focal_gamma: run.plan.loss.focal_gamma,
        keep_best: outcome.best_epoch.map(|_| run.plan.keep_best.clone()),
        epochs: outcome.epochs,
        language: serde_json::to_value(&run.language).unwrap_or_default(),
        choices: serde_json::to_value(&run.choices).unwrap_or_default(),
        rehead_version: RunMetrics::VERSION.to_owned(),
    }
}

/// The options that name the data, for a command that takes the same.
fn data_options(data: &DataConfig) -> String {
    let mut words: Vec<String> = data.train.iter().map(|file| format!("--train {}", shell_word(file))).collect();
    for (option, file) in [("--valid", &data.valid), ("--test", &data.test)] {
        words.extend(file.as_ref().map(|file| format!("{option} {}", shell_word(file))));
    }
    // The usual names are found again. A column has a flag of its own, since its name may hold a comma.
    let flag = |flag: &str, name: &str| format!("--{flag} {}", shell_word(Path::new(name)));
    let text = data.text.as_deref().filter(|names| *names != ["text"]);
    words.extend(text.unwrap_or_default().iter().map(|name| flag("text", name)));
    words.extend(data.label.iter().filter(|name| *name != "label").map(|name| flag("label", name)));
    words.extend((data.on_empty_label == OnBadInput::Skip).then(|| "--on-empty-label skip".to_owned()));
    words.extend(data.label_map.as_ref().map(|map| format!("--label-map {}", shell_word(map))));
    words.extend(data.merge_labels.then(|| "--merge-labels".to_owned()));
    words.extend(data.min_rows_per_label.map(|rows| format!("--min-rows-per-label {rows}")));
    words.extend(data.other.iter().map(|name| flag("other", name)));
    words.join(" ")
}

/// `report.html`.
fn html(run: &Run, metrics: &RunMetrics, splits: &[ScoredSplit], next: &[NextStep]) -> Result<String> {
    let file = config::saved_settings(run.out());
    let settings = std::fs::read_to_string(&file).map_err(|error| Error::io(error, &file))?;
    let history = history::read(run.out().join("history.jsonl"))?;
    Ok(page(&RunReport {
        title: &run.out().display().to_string(),
        metrics,
        settings: &settings,
        history: &history,
        data: &run.summary,
        classes: &run.training.classes,
        splits,
        next,
        provenance: &Provenance::now(),
    }))
}
