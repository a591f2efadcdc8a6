//! The training on all rows (`--refit`, `--folds`), after trainings on a part of them have chosen for how long.
//!
//! What chose is recorded in the run directory until the run is finished. The final training begins with the same
//! network and head, takes as many epochs of the same schedule, and is scored on no validation rows, since it has seen
//! them: the scores of the run, and the temperature, stay those of what chose.

use std::path::PathBuf;

use super::folds;
use super::outcome::SavedTraining;
use super::prepare::{Run, Stage};
use crate::console::units::counted;
use crate::error::{Error, Result};
use crate::files::{remove_all, write_atomically};
use crate::report::Refit;
use crate::strategy::{Chosen, Guide, plan};
use crate::training::TrainPlan;
use crate::training::collapse::Restart;
use crate::training::snapshot::{Snapshots, of_another_run};

/// Chooses and trains, or continues where an earlier session ended. The run's classifier is then the final one, unless
/// the session ends with the folds.
pub fn train(run: Run) -> Result<(Run, SavedTraining)> {
    let (run, first) = match first_of_earlier_session(&run)? {
        Some(first) => (run, first),
        None => choose(run)?,
    };
    if run.ends_with_folds() {
        return Ok((run, first));
    }
    let epochs = first.best_epoch.unwrap_or(first.epochs);
    let chosen = Chosen { epochs, penalty: first.penalty, lower_rates: first.restart.is_some() };
    let mut run = run.with_fresh_network()?;
    let train = run.splits.train.dataset.clone();
    run.console.section(format!("training on all {}", counted(run.train_rows(), "row")));
    if first.best_epoch.is_some() {
        let who = if first.folds.is_some() { "the folds" } else { "the validation rows" };
        run.console.note(format!("for {}, as {who} have chosen", counted(chosen.epochs.into(), "epoch")));
    }
    let plan = plan::of_training(&run.plan, &format!("{chosen:?}"), &[&train]);
    let optimizer = if chosen.lower_rates { Restart::lower(plan.optimizer) } else { plan.optimizer };
    let plan = TrainPlan { optimizer, ..plan };
    let guide = Guide::Chosen(chosen);
    let folder = folder(&run);
    std::fs::create_dir_all(&folder).map_err(|error| Error::io(error, &folder))?;
    let stage = Stage { train: &train, guide, plan: &plan, folder: &folder, watch: None, counts_shared: false };
    let last = run.train(&stage)?;
    first.calibration.apply(&mut run.classifier)?;
    let mut outcome = first;
    (outcome.seconds, outcome.tokens) = (outcome.seconds + last.seconds, outcome.tokens + last.tokens);
    outcome.restart = outcome.restart.or(last.restart);
    outcome.trainable_parameters = last.trainable_parameters;
    match run.splits.folded {
        // No other training is the run's.
        Some(_) => keep_history(&run)?,
        None => {
            outcome.refit = Some(Refit { rows_before: run.rows_of(run.splits.choosing()), epochs: last.epochs });
        }
    }
    Ok((run, outcome))
}

/// Trains on a part of the rows, or on several parts in turn, and records what they chose.
fn choose(mut run: Run) -> Result<(Run, SavedTraining)> {
    let first;
    if run.splits.folded.is_some() {
        (run, first) = folds::choose(run)?;
    } else {
        first = SavedTraining::of_training(&mut run)?;
    }
    first.record_choice(&run)?;
    Ok((run, first))
}

/// What chose, if an earlier session has ended it.
fn first_of_earlier_session(run: &Run) -> Result<Option<SavedTraining>> {
    if !run.session.resume {
        return Ok(None);
    }
    let Some(first) = Snapshots::new(run.out())?.choosing_record::<SavedTraining>()? else { return Ok(None) };
    if !first.is_of(run) {
        return Err(of_another_run(run.out()));
    }
    run.console.note("the epochs are chosen");
    first.with_predictions(run).map(Some)
}

/// The history of the final training becomes the run's.
fn keep_history(run: &Run) -> Result<()> {
    let file = folder(run).join("history.jsonl");
    let history = std::fs::read(&file).map_err(|error| Error::io(error, &file))?;
    write_atomically(run.out().join("history.jsonl"), &history)
}

/// What only an unfinished run needs is deleted.
pub fn remove(run: &Run) -> Result<()> {
    remove_all(&folder(run))?;
    folds::remove(run)
}

/// Where the final training keeps its state.
fn folder(run: &Run) -> PathBuf {
    run.out().join("checkpoints/refit")
}
