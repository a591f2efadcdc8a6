//! The training rows of a run as folds: each row is held out in one of them and trained on in the others.

use std::collections::HashSet;

use super::data::Data;
use super::split::{PreparedSplit, SplitPreparation};
use crate::console::Console;
use crate::console::units::counted;
use crate::data::folds::ShortLabel;
use crate::data::row_groups::Ties;
use crate::data::{Folds, Labels, Origins};
use crate::error::Result;
use crate::task::Dataset;
use crate::transform::Purpose;

/// Every training row as it is when it is held out.
pub struct FoldedRows {
    /// In the order of the data. Images are not augmented.
    pub rows: PreparedSplit,
    /// The folds of these rows.
    pub folds: Folds,
}

impl FoldedRows {
    /// Deals the training examples of `data`, which `train` was made of, into `count` folds. Equal rows and rows of one
    /// group are in one fold. `views`: of each training image, where they are fixed.
    pub fn of(
        data: &Data,
        train: &PreparedSplit,
        (count, seed): (usize, u64),
        views: usize,
        preparation: SplitPreparation,
    ) -> Result<Self> {
        let rows = match views {
            0 => train.as_held_out(&data.train, preparation)?,
            // Training sees several views of an image, and prediction the image as it is.
            _ => PreparedSplit::of(&data.train, Purpose::Inference, preparation)?,
        };
        let examples = || rows.indices.iter().map(|&index| data.train.get(index));
        let mut ties = Ties::new(rows.indices.len());
        ties.tie(examples().map(|example| example.map(|example| &example.input)));
        let contents = (0..rows.indices.len()).map(|row| rows.dataset.examples.content(row));
        ties.tie(contents);
        if let Some(groups) = &data.groups {
            ties.tie(rows.indices.iter().map(|&index| groups.get(index).copied().flatten()));
        }
        let groups = ties.groups(rows.dataset.targets.answers());
        let folds = Folds::deal(&groups, count, seed)?;
        warn_of_short_labels(&folds, preparation.values, data.groups.is_some(), preparation.console);
        Ok(Self { rows, folds })
    }

    /// What is trained on while `fold` is held out, of the examples of `train`, and what is held out.
    pub fn parts(&self, train: &PreparedSplit, fold: usize) -> Result<(Dataset, Dataset)> {
        let rows = self.rows.indices.iter().zip(&self.folds.of);
        let held_out: HashSet<usize> = rows.filter(|(_, of)| **of == fold).map(|(&index, _)| index).collect();
        let trained = train.indices.iter().enumerate().filter(|(_, index)| !held_out.contains(index));
        let trained = trained.map(|(example, _)| example).collect();
        Ok((train.dataset.part(trained)?, self.rows.dataset.part(self.held_out(fold))?))
    }

    /// What the rows are in their files, with the fold of each from 1.
    pub fn origins(&self, origins: &Origins) -> Origins {
        let mut origins = origins.clone();
        origins.add_folds(&self.folds.of);
        origins
    }

    /// The rows of a fold.
    pub fn held_out(&self, fold: usize) -> Vec<usize> {
        (0..self.folds.of.len()).filter(|&row| self.folds.of.get(row) == Some(&fold)).collect()
    }
}

/// Says which labels have fewer rows than there are folds, as scikit-learn does.
fn warn_of_short_labels(folds: &Folds, labels: &Labels, by_group: bool, console: &Console) {
    const SHOWN: usize = 5;
    if folds.short.is_empty() {
        return;
    }
    let name = |short: &ShortLabel| {
        let rows = counted(short.rows as u64, "row");
        let groups = match by_group && short.groups < short.rows {
            true => format!(" in {}", counted(short.groups as u64, "group")),
            false => String::new(),
        };
        format!("`{}` ({rows}{groups})", labels.name(short.label))
    };
    let named: Vec<String> = folds.short.iter().take(SHOWN).map(name).collect();
    let more = folds.short.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let lost = folds.short.iter().filter(|short| short.groups == 1).count();
    let lost = match lost {
        0 => String::new(),
        _ => "; a label whose rows are all in one fold is never predicted for them".to_owned(),
    };
    console.warn(format!(
        "fewer rows than the {} folds: {}{more}: some folds have no row of them{lost}",
        folds.count,
        named.join(", "),
    ));
}
