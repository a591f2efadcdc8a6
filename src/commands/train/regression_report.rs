//! What a run whose rows have numbers leaves for people: its page and its model card.

use super::card;
use super::outcome::SavedTraining;
use super::prepare::Run;
use super::report::{html, next_steps, origins};
use crate::error::Result;
use crate::files::write_atomically;
use crate::report::html::run::{NumberSplit, numbers_page};
use crate::report::next_steps::run::number_steps;
use crate::report::{NextStep, Origin, RunMetrics, SplitPredictions};
use crate::training::history;

/// Writes both. Returns what is to be done next.
pub fn write(
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
