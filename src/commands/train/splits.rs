//! The splits of a run: what is trained on, what chooses the epoch, what tests the result, and which rows they share.

use std::path::PathBuf;

use super::data::{Data, SeenRows};
use super::folded_rows::FoldedRows;
use super::split::{PreparedSplit, SplitPreparation};
use crate::config::RunConfig;
use crate::console::{Console, units};
use crate::data::{Example, Summary, repeats};
use crate::error::Result;
use crate::strategy::plan;
use crate::task::Dataset;
use crate::training::TrainPlan;
use crate::transform::Purpose;

/// The splits of a run.
pub struct Splits {
    /// What the final model is trained on.
    pub train: PreparedSplit,
    /// Chooses the epoch.
    pub valid: Option<PreparedSplit>,
    /// Tests the result.
    pub test: Option<PreparedSplit>,
    /// Those of `train` that are no validation rows, where it has these too (`--refit`).
    pub first: Option<PreparedSplit>,
    /// Every row of `train` as it is held out in one of several folds (`--folds`).
    pub folded: Option<FoldedRows>,
}

/// How validation rows come to be.
#[derive(Debug, Clone, Copy)]
pub struct Validation {
    /// Whether the final model is trained on them too.
    pub refit: bool,
    /// So many folds, dealt by this seed.
    pub folds: Option<(usize, u64)>,
    /// Views of each training image, where they are fixed; otherwise 0.
    pub views: usize,
}

impl Validation {
    pub fn of(config: &RunConfig, views: usize) -> Self {
        let seed = config.data.split_seed.unwrap_or(config.training.seed);
        Self { refit: config.training.refit, folds: config.data.folds.map(|count| (count, seed)), views }
    }
}

impl Splits {
    /// Prepares the examples of all splits, and says what is to be known of them.
    pub fn of(data: &Data, validation: Validation, preparation: SplitPreparation) -> Result<Self> {
        let console = preparation.console;
        let split = |examples: &[Example], purpose| PreparedSplit::of(examples, purpose, preparation);
        let mut splits = match (&data.valid, validation.folds) {
            (Some(valid), _) if validation.refit => Self::of_one_set(data, valid, validation.views, preparation)?,
            (valid, folds) => {
                let train = split(&data.train, Purpose::Training)?;
                let valid = valid.as_deref().map(|valid| split(valid, Purpose::Inference)).transpose()?;
                let folded = folds.map(|folds| FoldedRows::of(data, &train, folds, validation.views, preparation));
                let folded = folded.transpose()?;
                Self { train, valid, test: None, first: None, folded }
            }
        };
        splits.test = data.test.as_deref().map(|examples| split(examples, Purpose::Inference)).transpose()?;
        console.note(format!("training data: {}", splits.train.statistics));
        let named =
            [("training", Some(&splits.train)), ("validation", splits.valid.as_ref()), ("test", splits.test.as_ref())];
        for (name, split) in named {
            for remark in split.into_iter().flat_map(|split| split.remarks.iter()) {
                console.warn(format!("{name} data: {remark}"));
            }
        }
        splits.find_shared_rows(&data.seen, console);
        Ok(splits)
    }

    /// Training and validation rows as parts of one set: what is computed once for it serves every training of the run.
    fn of_one_set(data: &Data, valid: &[Example], views: usize, preparation: SplitPreparation) -> Result<Self> {
        let all: Vec<Example> = data.train.iter().chain(valid).cloned().collect();
        let (first, held_out): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(|&row| row < data.train.len());
        let train = PreparedSplit::of(&all, Purpose::Training, preparation)?;
        // Of images in several views, validation sees the images as they are.
        let plain = (views > 0).then(|| PreparedSplit::of(&all, Purpose::Inference, preparation)).transpose()?;
        let valid = plain.as_ref().unwrap_or(&train).part(&all, &held_out, Purpose::Inference, preparation)?;
        let first = train.part(&all, &first, Purpose::Training, preparation)?;
        Ok(Self { train, valid: Some(valid), test: None, first: Some(first), folded: None })
    }

    /// Says which validation and test rows stand among others too, and notes it of their splits.
    fn find_shared_rows(&mut self, seen: &SeenRows, console: &Console) {
        let Self { train, valid, test, first, .. } = self;
        let first = first.as_ref().unwrap_or(train);
        let of_valid = ("validation", valid.as_mut(), first, &seen.valid);
        let of_test = ("test", test.as_mut(), &*train, &seen.test);
        for (name, split, trained, seen) in [of_valid, of_test] {
            let Some(split) = split else { continue };
            let copies = trained.copies_in("training", split, name);
            copies.iter().for_each(|copies| console.warn(&copies.warning));
            split.seen = copies.or_else(|| seen.clone());
        }
        let (Some(valid), Some(test)) = (valid, test) else { return };
        if let Some(copies) = valid.copies_in("validation", test, "test") {
            console.warn(&copies.warning);
        }
    }

    /// The rows that choose the epoch, and what their predictions are called: `valid`, or those of all folds.
    pub fn judging(&self) -> Option<(&'static str, &PreparedSplit)> {
        match (&self.valid, &self.folded) {
            (Some(valid), _) => Some(("valid", valid)),
            (None, Some(folded)) => Some(("folds", &folded.rows)),
            (None, None) => None,
        }
    }

    /// What is trained on while the epoch is chosen.
    pub fn choosing(&self) -> &Dataset {
        &self.first.as_ref().unwrap_or(&self.train).dataset
    }

    /// What `plan_on` plans for the rows that the epoch is chosen on; the plan of folds is one of these folds.
    pub fn plan(&self, plan_on: &mut dyn FnMut(&[&Dataset]) -> Result<TrainPlan>) -> Result<TrainPlan> {
        let Some(folded) = &self.folded else {
            let valid = self.valid.as_ref().map(|valid| &valid.dataset);
            return plan_on(&[Some(self.choosing()), valid].into_iter().flatten().collect::<Vec<_>>());
        };
        let plan = plan_on(&[&self.train.dataset])?;
        Ok(plan::of_training(&plan, &format!("{:?}", folded.folds), &[]))
    }

    /// By split, how many of its images cannot be read.
    pub fn left_out(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let train = self.first.as_ref().unwrap_or(&self.train);
        let splits = [("training", Some(train)), ("validation", self.valid.as_ref()), ("test", self.test.as_ref())];
        splits.into_iter().filter_map(|(name, split)| Some((name, split?.left_out)))
    }

    /// Puts into what was said of the rows that are held out how many of them can be used.
    pub fn correct_held_out(&self, summary: &mut [(String, String)]) {
        let Some(valid) = self.valid.as_ref().filter(|valid| valid.left_out > 0) else { return };
        if let Some((_, said)) = summary.iter_mut().find(|(name, _)| name == "validation") {
            let used = valid.dataset.targets.len();
            said.push_str(&format!(": {used} used, {} that cannot be read", valid.left_out));
        }
    }

    /// What a person should know of the validation and test data: images left out, and rows that training sees too.
    pub fn warnings(&self) -> Vec<String> {
        // Those of training are in the statistics.
        let unread = self.left_out().filter(|(name, count)| *name != "training" && *count > 0);
        let unread = unread.map(|(name, count)| {
            format!("{} left out, which cannot be read", units::counted(count as u64, &format!("{name} image")))
        });
        let seen = [self.valid.as_ref(), self.test.as_ref()].into_iter().filter_map(|split| split?.seen.as_ref());
        unread.chain(seen.map(|seen| seen.warning.clone())).collect()
    }

    /// Counts the images of the training data that repeat others, validation images among them where they were held
    /// out; in words. Texts were counted when they were loaded.
    pub fn repeated_images(&self, training: &mut Summary, held_out: bool) -> Vec<String> {
        if !training.images {
            return Vec::new();
        }
        let train = if held_out { &self.train } else { self.first.as_ref().unwrap_or(&self.train) };
        let valid = self.valid.as_ref().filter(|_| held_out && self.first.is_none());
        let splits = || [Some(train), valid].into_iter().flatten();
        let files: Vec<&PathBuf> = splits().flat_map(|split| &split.files).collect();
        let name = |_: &Summary, row: usize| files.get(row).map_or(String::new(), |file| file.display().to_string());
        training.set_repeats(&repeats(splits().flat_map(PreparedSplit::contents)), name);
        training.repeated()
    }
}
