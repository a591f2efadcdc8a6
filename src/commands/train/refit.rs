//! `--refit`: what the validation rows have chosen is trained once more, on all rows.
//!
//! The first training is one like any other; its record is kept in the run directory until the run is finished. The
//! second begins with the same network and head, takes as many epochs of the same schedule, and is scored on no
//! validation rows, since it has seen them: the validation scores of the run stay those of the first, and the
//! temperature is that of the first too.

use std::path::PathBuf;

use super::outcome::SavedTraining;
use super::prepare::{Run, Stage};
use crate::console::units::counted;
use crate::error::{Error, Result};
use crate::files::remove_all;
use crate::report::Refit;
use crate::strategy::{Chosen, Guide, plan};
use crate::training::snapshot::{Snapshots, of_another_run};

/// Trains twice, or continues where an earlier session ended. The run's classifier is then the final one.
pub fn train(mut run: Run) -> Result<(Run, SavedTraining)> {
    let first = match first_of_earlier_session(&run)? {
        Some(first) => first,
        None => {
            let first = SavedTraining::of_training(&mut run)?;
            first.save_predictions(&run)?;
            Snapshots::new(run.out())?.chosen(&first)?;
            first
        }
    };
    let epochs = first.best_epoch.unwrap_or(first.epochs);
    let chosen = Chosen { epochs, penalty: first.penalty, lower_rates: first.restart.is_some() };
    let mut run = run.with_fresh_network()?;
    let train = run.splits.train.dataset.clone();
    let rows = run.train_rows();
    run.console.section(format!("training again on {}", counted(rows, "row")));
    if first.best_epoch.is_some() {
        run.console.note(format!("for {}, as the validation rows have chosen", counted(chosen.epochs.into(), "epoch")));
    }
    let plan = plan::of_all_rows(&run.plan, &train, chosen);
    let guide = Guide::Chosen(chosen);
    let folder = folder(&run);
    std::fs::create_dir_all(&folder).map_err(|error| Error::io(error, &folder))?;
    let last = run.train(&Stage { train: &train, guide, plan: &plan, folder: &folder, counts_shared: false })?;
    if let Some(temperature) = first.temperature {
        run.classifier.head.divide_output(temperature)?;
    }
    let refit = Refit { rows_before: run.rows_of(run.splits.choosing()), epochs: last.epochs };
    let mut outcome = first;
    (outcome.seconds, outcome.tokens) = (outcome.seconds + last.seconds, outcome.tokens + last.tokens);
    outcome.refit = Some(refit);
    outcome.restart = outcome.restart.or(last.restart);
    Ok((run, outcome))
}

/// What only an unfinished run needs is deleted.
pub fn remove(run: &Run) -> Result<()> {
    remove_all(&folder(run))
}

/// Where the second training keeps its state.
fn folder(run: &Run) -> PathBuf {
    run.out().join("checkpoints/refit")
}

/// The first training, if an earlier session has ended it.
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
