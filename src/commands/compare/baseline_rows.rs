//! The rows that baselines are fitted and scored on: a split with validation rows, or folds. Folds choose the penalty
//! together, as that of a frozen network's head.

use crate::baseline::{Baseline, LabelledInputs, Majority, Tfidf};
use crate::commands::train::data::Data;
use crate::data::{Example, Input};
use crate::error::{Error, Result};
use crate::evaluation::{Classification, evaluate};
use crate::interrupt;
use crate::report::{FoldScore, FoldScores};

/// The rows of a comparison's baselines.
pub struct Rows<'a> {
    pub train: SplitInputs<'a>,
    pub held_out: HeldOut<'a>,
    /// How many labels there are.
    pub classes: usize,
}

/// What chooses the penalty.
pub enum HeldOut<'a> {
    Validation(SplitInputs<'a>),
    Folds(FoldOfRows),
}

/// The fold of each training row, from 0.
pub struct FoldOfRows {
    pub of: Vec<usize>,
    count: usize,
}

/// The validation rows of `data`, or the folds of its training rows as the runs have dealt them.
pub fn held_out(data: &Data, folds: Option<Vec<usize>>) -> Result<HeldOut<'_>> {
    match (&data.valid, folds) {
        (Some(valid), _) => Ok(HeldOut::Validation(SplitInputs::of(valid))),
        (None, Some(of)) if of.len() == data.train.len() => {
            let count = of.iter().max().map_or(0, |fold| fold + 1);
            Ok(HeldOut::Folds(FoldOfRows { of, count }))
        }
        (None, _) => Err(Error::failure("the baselines have other training rows than the runs")),
    }
}

/// The scores of probabilities. They are made from logits: the logarithms of probabilities are such.
pub fn score(probabilities: &[f32], labels: &[u32], names: &[String]) -> Result<Classification> {
    let logits: Vec<f32> = probabilities.iter().map(|p| p.max(1e-30).ln()).collect();
    evaluate(&logits, labels, names)
}

/// Ends the work on baselines where the person has asked for it.
pub fn stop_if_asked() -> Result<()> {
    match interrupt::requested() {
        true => Err(Error::interrupted("the baselines are not fitted")
            .hint("continue with the same command: finished runs are kept")),
        false => Ok(()),
    }
}

impl Rows<'_> {
    /// The baseline of all training rows.
    pub fn fit(&self, name: &str) -> Result<Box<dyn Baseline>> {
        match (name, &self.held_out) {
            ("majority", _) => Ok(Box::new(Majority::fit(&self.train.labelled(), self.classes)?)),
            (_, HeldOut::Validation(valid)) => {
                let (train, valid) = (self.train.labelled(), valid.labelled());
                Ok(Box::new(Tfidf::fit(&train, &valid, self.classes, &mut stop_if_asked)?))
            }
            (_, HeldOut::Folds(folds)) => {
                let c = self.middle_c(folds)?;
                Ok(Box::new(Tfidf::fit_with(&self.train.labelled(), c, self.classes, &mut stop_if_asked)?))
            }
        }
    }

    /// The probabilities of all training rows, each by the baseline that was fitted on the other folds, and the most
    /// parameters that one of these has.
    pub fn out_of_fold(&self, name: &str, folds: &FoldOfRows) -> Result<(Vec<f32>, u64)> {
        let c = if name == "majority" { None } else { Some(self.middle_c(folds)?) };
        let (mut all, mut parameters) = (vec![0.0; folds.of.len() * self.classes], 0);
        for fold in 0..folds.count {
            let (train, held_out) = self.parts(folds, fold);
            let baseline: Box<dyn Baseline> = match c {
                None => Box::new(Majority::fit(&train.labelled(), self.classes)?),
                Some(c) => Box::new(Tfidf::fit_with(&train.labelled(), c, self.classes, &mut stop_if_asked)?),
            };
            parameters = parameters.max(baseline.parameters());
            let found = baseline.predict(&held_out.inputs)?.probabilities;
            let places = folds.of.iter().enumerate().filter(|(_, of)| **of == fold).map(|(row, _)| row);
            for (row, own) in places.zip(found.chunks_exact(self.classes.max(1))) {
                if let Some(place) = all.get_mut(row * self.classes..(row + 1) * self.classes) {
                    place.copy_from_slice(own);
                }
            }
        }
        Ok((all, parameters))
    }

    /// The middle one of the values of `C` that the folds choose; the stronger penalty of the middle two.
    fn middle_c(&self, folds: &FoldOfRows) -> Result<f64> {
        let mut chosen = Vec::with_capacity(folds.count);
        for fold in 0..folds.count {
            let (train, held_out) = self.parts(folds, fold);
            let fitted = Tfidf::fit(&train.labelled(), &held_out.labelled(), self.classes, &mut stop_if_asked)?;
            chosen.push(fitted.c());
        }
        chosen.sort_by(f64::total_cmp);
        let middle = chosen.len().saturating_sub(1) / 2;
        chosen.get(middle).copied().ok_or_else(|| Error::failure("there are no folds"))
    }

    /// What is fitted on while `fold` is held out, and what is held out.
    fn parts(&self, folds: &FoldOfRows, fold: usize) -> (SplitInputs<'_>, SplitInputs<'_>) {
        let part = |held_out: bool| self.train.part(|row| (folds.of.get(row) == Some(&fold)) == held_out);
        (part(false), part(true))
    }

    /// The scores as a run with folds has them; nothing where another split was scored.
    pub fn fold_scores(
        &self,
        split: &str,
        all: &Classification,
        probabilities: &[f32],
        names: &[String],
    ) -> Result<Option<FoldScores>> {
        let HeldOut::Folds(folds) = &self.held_out else { return Ok(None) };
        if split != "folds" {
            return Ok(None);
        }
        let of_fold = |fold: usize| {
            let is_own = |row: usize| folds.of.get(row) == Some(&fold);
            let rows = probabilities.chunks_exact(self.classes.max(1)).enumerate();
            let own: Vec<f32> = rows.filter(|(row, _)| is_own(*row)).flat_map(|(_, row)| row.iter().copied()).collect();
            let Classification { rows, accuracy, macro_f1, loss, .. } =
                score(&own, &self.train.part(is_own).labels, names)?;
            Ok(FoldScore { fold: fold + 1, rows, accuracy, macro_f1, loss, best_epoch: None })
        };
        let by_fold = (0..folds.count).map(of_fold).collect::<Result<Vec<_>>>()?;
        Ok(Some(FoldScores::new(all.clone().into(), by_fold, Vec::new())))
    }
}

/// Examples as baselines take them.
pub struct SplitInputs<'a> {
    pub inputs: Vec<&'a Input>,
    pub labels: Vec<u32>,
}

impl<'a> SplitInputs<'a> {
    pub fn of(examples: &'a [Example]) -> Self {
        Self {
            inputs: examples.iter().map(|example| &example.input).collect(),
            labels: examples.iter().filter_map(|example| example.truth.labels().first().copied()).collect(),
        }
    }

    fn part(&self, is_in: impl Fn(usize) -> bool) -> SplitInputs<'a> {
        let rows = || (0..self.labels.len()).filter(|&row| is_in(row));
        SplitInputs {
            inputs: rows().filter_map(|row| self.inputs.get(row).copied()).collect(),
            labels: rows().filter_map(|row| self.labels.get(row).copied()).collect(),
        }
    }

    fn labelled(&self) -> LabelledInputs<'_> {
        LabelledInputs { inputs: &self.inputs, labels: &self.labels }
    }
}
