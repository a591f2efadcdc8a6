//! What `rehead train` says at its end: how good the model is, which weights were kept, where the report is, and what
//! to do next.

use std::path::Path;

use crate::config::{KeepBest, Strategy};
use crate::console::{Console, units};
use crate::evaluation::Evaluation;
use crate::report::RunMetrics;
use crate::report::next_steps::{self, NextStep};
use crate::training::history::{self, EvaluationRecord, Record};
use crate::training::stopping;

/// The whole ending, for a run that was asked for alone.
pub fn print(metrics: &RunMetrics, out: &Path, next: &[NextStep], console: &Console) {
    console.section("result");
    let mut scored = metrics.scored();
    if let Some((split, main)) = scored.next() {
        console.summary(main.sentence(split));
        console.note(main.table(console.is_terminal()));
        let further = main.further().join(", ");
        if !further.is_empty() {
            console.note(further);
        }
        warn(split, main, console);
    }
    for (split, other) in scored {
        console.note(other.sentence(split));
        warn(split, other, console);
    }
    if let Some(folds) = &metrics.folds {
        console.note(folds.spread());
    }
    if let Some(kept) = kept_epoch(metrics, &history::read(out.join("history.jsonl")).unwrap_or_default()) {
        console.note(kept);
    }
    if let Some(ended) = &metrics.ended {
        console.note(ended.sentence(metrics.epochs, metrics.best_epoch));
    }
    if let Some(restart) = &metrics.restart {
        console.note(restart.sentence());
    }
    if let Some(said) = metrics.refitted() {
        console.note(said);
    }
    if let Some(calibration) = calibration(metrics) {
        console.note(calibration);
    }
    if let Some(thresholds) = &metrics.thresholds {
        match thresholds.shown.is_empty() {
            true => console.warn(thresholds.sentence()),
            false => console.note(thresholds.sentence()),
        }
    }
    let seconds = units::seconds(metrics.train_seconds);
    console.note(format!("model: {} ({}, trained in {seconds})", out.display(), metrics.strategy));
    console.summary(format!("report: {}", out.join("report.html").display()));
    next_steps::print(next, console);
}

/// One line, for a run among others: what they say together is the comparison's affair.
pub fn print_line(metrics: &RunMetrics, console: &Console) {
    if let Some((split, main)) = metrics.scored().next() {
        let seconds = units::seconds(metrics.train_seconds);
        console.note(format!("{} trained in {seconds}: {}", metrics.strategy, main.sentence(split)));
    }
}

fn warn(split: &str, evaluation: &Evaluation, console: &Console) {
    if let Some(warning) = evaluation.warning() {
        console.warn(format!("{split}: {warning}"));
    }
}

/// `calibration error on test rows: 0.031 (0.084 before temperature scaling by 1.37)`; nothing where both are much the
/// same.
fn calibration(metrics: &RunMetrics) -> Option<String> {
    let (split, main) = metrics.scored().next()?;
    let main = main.single_label()?;
    let (before, temperature) = (main.ece_before?, metrics.temperature?);
    ((main.ece - before).abs() >= 0.005).then(|| {
        let after = main.ece;
        format!(
            "calibration error on {split} rows: {after:.3} ({before:.3} before temperature scaling by {temperature:.2})"
        )
    })
}

/// `weights kept: epoch 2 of 3 (best macro-F1 on validation: 0.781)`; nothing where there were no epochs to choose
/// from.
fn kept_epoch(metrics: &RunMetrics, history: &[Record]) -> Option<String> {
    let (epoch, valid) = (metrics.best_epoch?, metrics.valid.as_ref()?);
    if metrics.strategy == Strategy::Frozen.to_string() {
        return None;
    }
    let by = metrics.keep_best.as_ref().unwrap_or(&KeepBest::Latest);
    let what = if metrics.refit.is_some() { "chosen" } else { "weights kept" };
    if *by == KeepBest::Latest {
        return Some(format!("{what}: epoch {epoch} of {} ({})", metrics.epochs, latest(epoch, valid, history)));
    }
    let (best, value) = (stopping::best(by, valid.usual().0), stopping::value(by, valid));
    let decided = decided(by, epoch, history);
    Some(format!("{what}: epoch {epoch} of {} ({best} on validation: {value:.3}{decided})", metrics.epochs))
}

/// `macro-F1 on validation 0.753; within the noise of the best, 0.781 in epoch 6`.
fn latest(kept: u32, valid: &Evaluation, history: &[Record]) -> String {
    let (name, kept_score) = valid.usual();
    let of_valid = evaluations(history).map(|record| (record.usual().1, record.epoch));
    let best = of_valid.reduce(|best, next| if next.0 > best.0 { next } else { best });
    match best {
        Some((score, epoch)) if epoch != kept && score > kept_score => {
            format!("{name} on validation {kept_score:.3}; within the noise of the best, {score:.3} in epoch {epoch}")
        }
        _ => format!("best {name} on validation: {kept_score:.3}"),
    }
}

/// What decided between epochs of the same score: `, as in epoch 1, but a lower loss`. Of scores that the history has.
fn decided(by: &KeepBest, kept: u32, history: &[Record]) -> String {
    let score = |record: &EvaluationRecord| match by {
        KeepBest::MacroF1 => Some(record.macro_f1),
        KeepBest::MicroF1 => record.micro_f1.or(record.accuracy),
        KeepBest::Accuracy => record.accuracy,
        KeepBest::Latest | KeepBest::Loss | KeepBest::Mcc | KeepBest::Spearman | KeepBest::F1(_) => None,
    };
    let epochs = || evaluations(history);
    let Some(best) = epochs().find(|record| record.epoch == kept) else { return String::new() };
    let equal =
        epochs().filter(|record| record.epoch != kept && score(record).is_some() && score(record) == score(best));
    let (same_loss, higher_loss): (Vec<_>, Vec<_>) = equal.partition(|record| record.loss == best.loss);
    let named = |records: &[&EvaluationRecord]| {
        let epochs: Vec<String> = records.iter().map(|record| record.epoch.to_string()).collect();
        format!("{} {}", if epochs.len() == 1 { "epoch" } else { "epochs" }, epochs.join(", "))
    };
    match (higher_loss.as_slice(), same_loss.as_slice()) {
        ([], []) => String::new(),
        ([], same) => format!(", as with the same loss in {}", named(same)),
        (higher, _) => format!(", as in {}, but with a lower loss", named(higher)),
    }
}

/// The evaluations of the validation data.
fn evaluations(history: &[Record]) -> impl Iterator<Item = &EvaluationRecord> {
    history.iter().filter_map(|record| match record {
        Record::Evaluation(record) if record.split == "valid" => Some(record),
        _ => None,
    })
}
