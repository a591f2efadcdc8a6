//! What a run leaves for programs and people in its directory: predictions, metrics, the report and the model card.

use std::path::Path;

use super::card;
use super::outcome::SavedTraining;
use super::prepare::Run;
use super::split::PreparedSplit;
use crate::commands::mistakes::{self, Asked};
use crate::commands::saved_confidence::SavedConfidence;
use crate::config::setting::Setting;
use crate::config::{self, Strategy, given_settings};
use crate::data::{Modality, Place};
use crate::error::{Error, Result};
use crate::evaluation::thresholds::{PredictedRows, Thresholds};
use crate::evaluation::{Evaluation, MultiLabel};
use crate::files::write_atomically;
use crate::model::checkpoint::read_config;
use crate::report::html::run::{NumberSplit, RunReport, numbers_page, page};
use crate::report::next_steps::facts::{RunFacts, Training};
use crate::report::next_steps::run::{number_steps, run_steps};
use crate::report::next_steps::shell_word;
use crate::report::provenance::Provenance;
use crate::report::verdict::split_name;
use crate::report::{
    Explained, LabelSets, NextStep, Origin, RunMetrics, ScoredSets, ScoredSplit, SplitPredictions, row_origins,
};
use crate::task::Evaluated;
use crate::training::history::{self, Record};
use crate::training::stopping::EndReason;
use crate::transform::LanguageFit;

/// Writes predictions, metrics and the report. Returns the metrics and what the report says is to be done next.
pub fn write(run: &Run, outcome: &SavedTraining, test: Option<&Evaluated>) -> Result<(RunMetrics, Vec<NextStep>)> {
    let test_predictions = write_test_predictions(run, test)?;
    let metrics = metrics(run, outcome, test);
    if !run.ends_with_folds() {
        let (typical, thresholds) = (outcome.typical.clone(), metrics.thresholds.clone());
        SavedConfidence::of(&run.classifier, typical, thresholds)?.write(run.out())?;
    }
    metrics.write(run.out().join("metrics.json"))?;
    if run.task.name() == config::Task::Regression {
        let next = write_of_numbers(run, outcome, &metrics, test_predictions.as_ref())?;
        return Ok((metrics, next));
    }
    let judged = metrics.valid.as_ref().or_else(|| metrics.folds.as_ref().map(|folds| &folds.all));
    let (name, rows) = run.splits.judging().unzip();
    let splits = [
        (name, judged, Some(&outcome.predictions), rows),
        (Some("test"), metrics.test.as_ref(), test_predictions.as_ref(), run.splits.test.as_ref()),
    ];
    let scored: Vec<_> = splits
        .into_iter()
        .filter_map(|(name, evaluation, predictions, split)| {
            Some((name?, evaluation?.single_label()?, predictions?.single_label()?, split?))
        })
        .collect();
    let origins: Vec<Vec<Origin>> = scored.iter().map(|(.., split)| origins(run, split)).collect();
    let mut splits: Vec<ScoredSplit> = scored
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
            explained: None,
        })
        .collect();
    let sets = scored_sets(run, outcome, judged, &test_predictions, test);
    let sets: Vec<ScoredSets> = sets.iter().map(SetsOfSplit::as_scored).collect();
    // That of a run with folds is its final training's.
    let history = if run.ends_with_folds() { Vec::new() } else { history::read(run.out().join("history.jsonl"))? };
    let next = match run.ends_with_folds() {
        true => vec![train_on_all_rows(run.out())],
        false => next_steps(run, &metrics, &history, &splits, run_steps)?,
    };
    let write_report = |splits: &[ScoredSplit]| {
        write_atomically(
            run.out().join("report.html"),
            html(run, &metrics, &history, (splits, &sets), &next, page)?.as_bytes(),
        )
    };
    write_report(&splits)?;
    if !run.ends_with_folds() {
        card::write(run, &metrics)?;
    }
    // When everything is stored: what is explained is an addition to the report.
    let explained = scored.last().and_then(|(.., split)| explained(run, splits.last()?, split));
    if let (Some(explained), Some(last)) = (&explained, splits.last_mut()) {
        last.explained = Some(explained);
        write_report(&splits)?;
    }
    Ok((metrics, next))
}

/// Why the model was wrong about rows of the split that judges it; nothing where it has not judged them itself, for
/// they were held out of another training.
fn explained(run: &Run, scored: &ScoredSplit, split: &PreparedSplit) -> Option<Explained> {
    let is_its_own = scored.name == "test" || !run.config.training.refit && run.splits.folded.is_none();
    if !is_its_own || run.ends_with_folds() {
        return None;
    }
    let asked = Asked { transform: &run.transform, count: run.config.run.explain_mistakes, is_int8: run.hardware.int8 };
    let input_of = |row: usize| split.input(row, run.transform.modality());
    mistakes::explain(scored, &run.inference(), asked, &input_of, run.console)
}

/// A split of a run whose rows may have several labels.
struct SetsOfSplit<'a> {
    name: &'static str,
    evaluation: &'a MultiLabel,
    predictions: &'a LabelSets,
    split: &'a PreparedSplit,
    modality: Modality,
    origins: Vec<Origin>,
}

impl SetsOfSplit<'_> {
    fn as_scored(&self) -> ScoredSets<'_> {
        ScoredSets {
            name: self.name,
            evaluation: self.evaluation,
            chose_thresholds: self.name != "test",
            predictions: self.predictions,
            texts: &self.split.texts,
            modality: self.modality,
            origins: &self.origins,
            seen: self.split.seen.as_ref(),
        }
    }
}

/// The splits of a run whose rows may have several labels; none of another.
fn scored_sets<'a>(
    run: &'a Run,
    outcome: &'a SavedTraining,
    judged: Option<&'a Evaluation>,
    test_predictions: &'a Option<SplitPredictions>,
    test: Option<&'a Evaluated>,
) -> Vec<SetsOfSplit<'a>> {
    let (name, rows) = run.splits.judging().unzip();
    let splits = [
        (name, judged, Some(&outcome.predictions), rows),
        (Some("test"), test.map(|test| &test.evaluation), test_predictions.as_ref(), run.splits.test.as_ref()),
    ];
    let of_sets = splits.into_iter().filter_map(|(name, evaluation, predictions, split)| {
        let (evaluation, predictions) = (evaluation?.multi_label()?, predictions?.multi_label()?);
        let (name, split, modality) = (name?, split?, run.transform.modality());
        Some(SetsOfSplit { name, evaluation, predictions, split, modality, origins: origins(run, split) })
    });
    of_sets.collect()
}

/// Writes the page and the model card of a run whose rows have numbers. Returns what is to be done next.
fn write_of_numbers(
    run: &Run,
    outcome: &SavedTraining,
    metrics: &RunMetrics,
    test: Option<&SplitPredictions>,
) -> Result<Vec<NextStep>> {
    let (name, rows) = run.splits.judging().unzip();
    let splits = [
        (name, metrics.valid.as_ref(), Some(&outcome.predictions), rows),
        (Some("test"), metrics.test.as_ref(), test, run.splits.test.as_ref()),
    ];
    let scored: Vec<_> = splits
        .into_iter()
        .filter_map(|(name, scores, predictions, split)| {
            Some((name?, scores?.regression()?, predictions?.regression()?, split?))
        })
        .collect();
    let origins: Vec<Vec<Origin>> = scored.iter().map(|(.., split)| origins(run, split)).collect();
    let splits: Vec<NumberSplit> = scored
        .iter()
        .zip(&origins)
        .map(|(&(name, evaluation, predictions, split), origins)| NumberSplit {
            name,
            evaluation,
            predictions,
            texts: &split.texts,
            modality: run.transform.modality(),
            origins,
            seen: split.seen.as_ref(),
        })
        .collect();
    let history = history::read(run.out().join("history.jsonl"))?;
    let next = next_steps(run, metrics, &history, &[], number_steps)?;
    let page = html(run, metrics, &history, (&[], &[]), &next, |report| numbers_page(report, &splits))?;
    write_atomically(run.out().join("report.html"), page.as_bytes())?;
    card::write(run, metrics)?;
    Ok(next)
}

/// Where the rows of a split come from.
fn origins(run: &Run, split: &PreparedSplit) -> Vec<Origin> {
    let file = |place: &Place| run.sources.files.get(place.file as usize).filter(|file| !file.is_dir()).cloned();
    row_origins(run.origins(split), |row| split.places.get(row).and_then(file))
}

/// What follows folds that were not followed by it.
fn train_on_all_rows(out: &Path) -> NextStep {
    NextStep::new("There is no model yet. Train it on all rows, for the epochs that the folds chose:")
        .command(format!("rehead train --resume --out {}", shell_word(out)))
}

/// How many epochs a run had whose last was its best, with a validation loss clearly below that of every other, and
/// with something left to learn from the training rows.
fn unfinished_epochs(metrics: &RunMetrics, history: &[Record]) -> Option<u32> {
    let loss = |record: &Record| match record {
        Record::Evaluation(evaluation) if evaluation.split == "valid" => Some(evaluation.loss),
        _ => None,
    };
    let losses: Vec<f64> = history.iter().filter_map(loss).collect();
    let (last, earlier) = losses.split_last()?;
    let lowest = earlier.iter().copied().reduce(f64::min)?;
    let still_fell = *last < 0.95 * lowest && lowest - last > 0.01;
    let is_learned = metrics.ended.is_some_and(|ended| ended.reason == EndReason::Fitted);
    (still_fell && !is_learned && metrics.best_epoch == Some(metrics.epochs)).then_some(metrics.epochs)
}

/// What is to be done next, as `steps` makes it of what is known.
fn next_steps(
    run: &Run,
    metrics: &RunMetrics,
    history: &[Record],
    splits: &[ScoredSplit],
    steps: impl Fn(&RunFacts) -> Vec<NextStep>,
) -> Result<Vec<NextStep>> {
    let is_folder = run.config.data.train.iter().all(|path| path.is_dir());
    Ok(steps(&RunFacts {
        is_folder,
        model: run.out(),
        modality: run.transform.modality(),
        training: Some(&Training {
            summary: &run.training,
            options: data_options(run)?,
            reading: reading_options(run)?,
            pretrained: &metrics.model,
            is_frozen: run.config.strategy.name == Strategy::Frozen,
            is_whole: matches!(run.config.strategy.name, Strategy::Full | Strategy::Gradual),
            has_collapsed: metrics.ended.is_some_and(|ended| ended.reason == EndReason::Collapsed),
            unfinished_epochs: unfinished_epochs(metrics, history),
            has_module: read_config(run.out())?.get("auto_map").is_some(),
        }),
        splits,
        languages: &run.language.iter().flat_map(LanguageFit::warnings).collect::<Vec<_>>(),
        remarks: &run.splits.train.remarks,
    }))
}

fn write_test_predictions(run: &Run, test: Option<&Evaluated>) -> Result<Option<SplitPredictions>> {
    let (Some(scored), Some(split)) = (test, &run.splits.test) else { return Ok(None) };
    let thresholds = run.classifier.label_thresholds.as_deref();
    let predictions = SplitPredictions::of_logits(&scored.logits, &split.dataset.targets, thresholds);
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
        train_rows: run.train_rows(),
        train_seconds: outcome.seconds,
        unreadable_images: run
            .splits
            .left_out()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| (name.to_owned(), count))
            .collect(),
        data_warnings: run.warnings.clone(),
        prepare_seconds: train.seconds + run.splits.valid.as_ref().map_or(0.0, |valid| valid.seconds),
        tokens_per_second: rate("tokens"),
        images_per_second: rate("images"),
        trainable_parameters: outcome.trainable_parameters,
        total_parameters: run.classifier.total_parameters(),
        peak_memory_bytes: run.hardware.peak_memory_bytes(),
        valid: outcome.valid.clone(),
        test: test.map(|scored| scored.evaluation.clone()),
        best_epoch: outcome.best_epoch,
        temperature: outcome.calibration.temperature,
        folds: outcome.folds.clone(),
        without_model: run.ends_with_folds(),
        refit: outcome.refit,
        thresholds: thresholds(run, &outcome.predictions),
        focal_gamma: run.plan.loss.focal_gamma,
        keep_best: outcome.best_epoch.map(|_| run.plan.keep_best.clone()),
        epochs: outcome.epochs,
        ended: outcome.ended,
        restart: outcome.restart.clone(),
        language: serde_json::to_value(&run.language).unwrap_or_default(),
        choices: serde_json::to_value(&run.choices).unwrap_or_default(),
        rehead_version: RunMetrics::VERSION.to_owned(),
    }
}

/// The confidence thresholds that are asked for, chosen on predictions of rows that were not trained on.
fn thresholds(run: &Run, predictions: &SplitPredictions) -> Option<Thresholds> {
    let predictions = predictions.single_label()?;
    let (target, per_label) = (run.config.training.target_accuracy?, run.config.training.thresholds_per_label);
    let confidence: Vec<f64> = predictions.confidence().into_iter().map(f64::from).collect();
    let (truth, predicted) = (&predictions.truth, &predictions.predicted());
    let name = run.splits.judging().map_or("validation", |(name, _)| split_name(name));
    let rows = PredictedRows { name, truth, predicted, confidence: &confidence };
    Some(Thresholds::choose(&rows, run.labels.names(), target, per_label))
}

/// The options that name the data and how they are read, for a command that takes the same.
fn data_options(run: &Run) -> Result<String> {
    let is_image = run.transform.modality() == Modality::Image;
    let data = &run.config.data;
    let mut words = Vec::new();
    let of_model = given_settings(&run.config, "model", &run.choices)?;
    let init = of_model.into_iter().filter(|(setting, _)| setting.name() == "init");
    for (setting, value) in given_settings(&run.config, "data", &run.choices)?.into_iter().chain(init) {
        // The usual names are found again. A column has a flag of its own, since its name may hold a comma.
        let is_left_out = match setting.name() {
            "text" => data.text.as_deref().is_some_and(|names| *names == ["text"]),
            "label" => data.label.as_deref() == Some("label"),
            _ => false,
        };
        words.extend((!is_left_out).then(|| as_flag(setting, value, is_image)));
    }
    Ok(words.join(" "))
}

/// The options that say how files are read which are like the training data, each after a space.
fn reading_options(run: &Run) -> Result<String> {
    const READING: [&str; 5] = ["delimiter", "quote", "no_header", "encoding", "sheet"];
    let given = given_settings(&run.config, "data", &run.choices)?.into_iter();
    let given = given.filter(|(setting, _)| READING.contains(&setting.name()));
    Ok(given.map(|(setting, value)| format!(" {}", as_flag(setting, value, false))).collect())
}

fn as_flag(setting: &Setting, value: Option<String>, is_image: bool) -> String {
    let flag = match setting.alias {
        Some(alias) if is_image => format!("--{alias}"),
        _ => setting.flag().to_owned(),
    };
    flag + &value.map_or(String::new(), |value| format!(" {}", shell_word(Path::new(&value))))
}

/// `report.html`, as `page` makes it of what is known.
fn html(
    run: &Run,
    metrics: &RunMetrics,
    history: &[Record],
    (splits, sets): (&[ScoredSplit], &[ScoredSets]),
    next: &[NextStep],
    page: impl Fn(&RunReport) -> String,
) -> Result<String> {
    let file = config::saved_settings(run.out());
    let settings = std::fs::read_to_string(&file).map_err(|error| Error::io(error, &file))?;
    Ok(page(&RunReport {
        title: &run.out().display().to_string(),
        metrics,
        settings: &settings,
        history,
        data: &run.summary,
        classes: &run.training.classes,
        holds_out: run.splits.valid.is_some() && run.config.data.valid.is_none(),
        splits,
        sets,
        next,
        provenance: &Provenance::now(),
    }))
}
