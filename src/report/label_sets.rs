//! `predictions/SPLIT.csv` of a run whose rows may have several labels, as `predictions.rs` writes it of one label per
//! row, and which of the two a task has.

use std::path::Path;

use super::predicted_numbers::PredictedNumbers;
use super::predictions::{MISTAKES, Predictions, not_predictions, of_labels, predictions_file, write_table};
use crate::data::{Origins, USUAL_SEPARATOR};
use crate::error::{Error, Result};
use crate::evaluation::{is_given, label_thresholds, sigmoid};
use crate::inference::Rows;
use crate::task::Targets;

/// What a network predicted for the rows of a split, beside what is true, whatever the task.
#[derive(Debug, Clone, PartialEq)]
pub enum SplitPredictions {
    /// Each row has one label.
    SingleLabel(Predictions),
    /// Each row has any number of labels.
    MultiLabel(LabelSets),
    /// Each row has a number.
    Regression(PredictedNumbers),
}

impl Default for SplitPredictions {
    fn default() -> Self {
        Self::SingleLabel(Predictions::default())
    }
}

/// A split's true labels and predictions, where a row may have several.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelSets {
    /// The indices of each row's true labels, increasing.
    pub truth: Vec<Vec<u32>>,
    /// Of those that it is given, in the same order.
    pub given: Vec<Vec<u32>>,
    /// Row-major, `[rows, labels]`: the probability of each label for itself.
    pub probabilities: Vec<f32>,
}

impl SplitPredictions {
    /// From logits, one row for each of `targets`. `thresholds`: the least probability of each label, where the task
    /// has such.
    pub fn of_logits(logits: &Rows, targets: &Targets, thresholds: Option<&[f64]>) -> Self {
        match targets {
            Targets::Numbers(truth) => Self::Regression(PredictedNumbers::of_logits(logits, truth)),
            Targets::Sets(truth) => {
                let usual = vec![label_thresholds::USUAL; logits.width];
                Self::MultiLabel(LabelSets::of_logits(logits, truth, thresholds.unwrap_or(&usual)))
            }
            Targets::Classes(_) => Self::SingleLabel(Predictions::of_logits(logits, targets)),
        }
    }

    /// Those of a task of one label per row.
    pub fn single_label(&self) -> Option<&Predictions> {
        match self {
            Self::SingleLabel(predictions) => Some(predictions),
            Self::MultiLabel(_) | Self::Regression(_) => None,
        }
    }

    /// Those of a task of a number per row.
    pub fn regression(&self) -> Option<&PredictedNumbers> {
        match self {
            Self::Regression(predictions) => Some(predictions),
            Self::SingleLabel(_) | Self::MultiLabel(_) => None,
        }
    }

    /// Those of a task of several labels per row.
    pub fn multi_label(&self) -> Option<&LabelSets> {
        match self {
            Self::MultiLabel(predictions) => Some(predictions),
            Self::SingleLabel(_) | Self::Regression(_) => None,
        }
    }

    /// Saves them for the split `name` of a run, beside what its rows are in the data.
    pub fn write(&self, run: &Path, name: &str, labels: &[String], origins: &Origins) -> Result<()> {
        match self {
            Self::SingleLabel(predictions) => predictions.write(run, name, labels, origins),
            Self::MultiLabel(predictions) => predictions.write(run, name, labels, origins),
            Self::Regression(predictions) => predictions.write(run, name, origins),
        }
    }

    /// Reads what [`write`](Self::write) saved of rows with these `targets`, to the last bit.
    ///
    /// # Errors
    /// The file is not there, or not one of these labels'.
    pub fn read(
        run: &Path,
        name: &str,
        labels: &[String],
        targets: &Targets,
        thresholds: Option<&[f64]>,
    ) -> Result<Self> {
        match thresholds {
            _ if matches!(targets, Targets::Numbers(_)) => PredictedNumbers::read(run, name).map(Self::Regression),
            None => Predictions::read(run, name, labels).map(Self::SingleLabel),
            Some(_) => LabelSets::read(run, name, labels).map(Self::MultiLabel),
        }
    }
}

impl LabelSets {
    fn of_logits(logits: &Rows, truth: &[Vec<u32>], thresholds: &[f64]) -> Self {
        let given = |row: &[f32]| {
            let labels = (0u32..).zip(row.iter().zip(thresholds));
            labels.filter(|(_, (logit, threshold))| is_given(**logit, **threshold)).map(|(label, _)| label).collect()
        };
        Self {
            truth: truth.to_vec(),
            given: logits.values.chunks_exact(logits.width.max(1)).map(given).collect(),
            probabilities: logits.values.iter().map(|&logit| sigmoid(logit) as f32).collect(),
        }
    }

    /// The probabilities of a row's labels.
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        let labels = self.probabilities.len().checked_div(self.truth.len())?;
        self.probabilities.get(index * labels..(index + 1) * labels)
    }

    /// Rows that are given other labels than they have, those first whose labels are the least probable: the mean
    /// cross-entropy of the row decides.
    pub fn mistakes(&self) -> Vec<usize> {
        let rows = (0..self.truth.len()).filter(|&row| self.truth.get(row) != self.given.get(row));
        let mut wrong: Vec<(usize, f64)> = rows.map(|row| (row, self.surprise(row))).collect();
        wrong.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        wrong.into_iter().map(|(row, _)| row).collect()
    }

    /// -ln of the probability of a row's labels, and of no others.
    fn surprise(&self, index: usize) -> f64 {
        let (Some(row), Some(truth)) = (self.row(index), self.truth.get(index)) else { return 0.0 };
        let of_label = |(label, &probability): (u32, &f32)| {
            let probability = f64::from(probability).clamp(1e-12, 1.0 - 1e-12);
            if truth.binary_search(&label).is_ok() { -probability.ln() } else { -(-probability).ln_1p() }
        };
        (0u32..).zip(row).map(of_label).sum()
    }

    fn write(&self, run: &Path, name: &str, labels: &[String], origins: &Origins) -> Result<()> {
        let file = predictions_file(run, name);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io(error, folder))?;
        }
        self.write_rows(&file, 0..self.truth.len(), labels, origins)?;
        self.write_rows(&predictions_file(run, MISTAKES), self.mistakes(), labels, origins)
    }

    fn write_rows(
        &self,
        file: &Path,
        indices: impl IntoIterator<Item = usize>,
        labels: &[String],
        origins: &Origins,
    ) -> Result<()> {
        let joined = |of: &[u32]| {
            let names = of.iter().filter_map(|&label| labels.get(label as usize).map(String::as_str));
            names.collect::<Vec<_>>().join(USUAL_SEPARATOR)
        };
        let own = ["labels", "prediction"].into_iter().map(str::to_owned).chain(of_labels(labels));
        write_table(file, origins, own, indices, |index| {
            let sets = [joined(self.truth.get(index)?), joined(self.given.get(index)?)];
            Some(sets.into_iter().chain(self.row(index)?.iter().map(f32::to_string)).collect())
        })
    }

    fn read(run: &Path, name: &str, labels: &[String]) -> Result<Self> {
        let file = predictions_file(run, name);
        let bytes = std::fs::read(&file).map_err(|error| Error::io(error, &file))?;
        let bad = |row: usize, message: &str| not_predictions(&file, row, message);
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let header = reader.headers().map_err(|error| bad(0, &error.to_string()))?.clone();
        // The data's own columns, which may have these names too, stand before.
        let column =
            |name: &str| header.iter().enumerate().filter(|(_, column)| *column == name).map(|(at, _)| at).last();
        let (Some(truth), Some(given)) = (column("labels"), column("prediction")) else {
            return Err(bad(0, "no columns `labels` and `prediction`"));
        };
        let numbers: Vec<usize> = of_labels(labels).filter_map(|name| column(&name)).collect();
        let mut sets = Self::default();
        for (row, record) in reader.records().enumerate() {
            let record = record.map_err(|error| bad(row + 1, &error.to_string()))?;
            let set = |column: usize| indices(record.get(column)?, labels);
            let (Some(truth), Some(given)) = (set(truth), set(given)) else {
                return Err(bad(row + 1, "unknown label"));
            };
            let probabilities: Vec<f32> =
                numbers.iter().filter_map(|&column| record.get(column)?.parse().ok()).collect();
            if probabilities.len() != labels.len() {
                return Err(bad(row + 1, "a probability is missing"));
            }
            sets.truth.push(truth);
            sets.given.push(given);
            sets.probabilities.extend(probabilities);
        }
        Ok(sets)
    }
}

/// The indices of joined labels; `None` where one is none of `labels`. A name may hold the separator.
fn indices(joined: &str, labels: &[String]) -> Option<Vec<u32>> {
    if joined.is_empty() {
        return Some(Vec::new());
    }
    let mut left = joined;
    let mut found = Vec::new();
    loop {
        let fits = |label: &&String| left.strip_prefix(label.as_str()).is_some_and(is_end);
        // They are in the order of their indices, and the longest name is meant.
        let from = found.last().map_or(0, |last| *last as usize + 1);
        let (index, label) = labels
            .iter()
            .enumerate()
            .skip(from)
            .filter(|(_, label)| fits(label))
            .max_by_key(|(_, label)| label.len())?;
        found.push(index as u32);
        left = &left[label.len()..];
        match left.strip_prefix(USUAL_SEPARATOR) {
            Some(rest) => left = rest,
            None => return Some(found),
        }
    }
}

fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(USUAL_SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_the_worst_are_first() {
        let folder = tempfile::tempdir().unwrap();
        let labels = ["a".to_owned(), "a|b".to_owned(), "ü, \"".to_owned()];
        let logits = Rows { values: vec![3.0, -1.0, 0.2, -4.0, 2.0, -0.3, -1.0, -2.0, -3.0], width: 3 };
        let truth = vec![vec![0, 1], vec![0], vec![]];
        let thresholds = [0.5; 3];
        let written = SplitPredictions::of_logits(&logits, &Targets::Sets(truth.clone()), Some(&thresholds));
        let origins = Origins { rows: vec![7, 3, 4], files: vec![], columns: vec![], values: vec![vec![]; 3] };
        written.write(folder.path(), "test", &labels, &origins).unwrap();
        let targets = Targets::Sets(truth.clone());
        let read_as = |split: &str, labels: &[String]| {
            SplitPredictions::read(folder.path(), split, labels, &targets, Some(&thresholds))
        };
        let read = read_as("test", &labels).unwrap();
        assert_eq!(read, written);
        let sets = read.multi_label().unwrap();
        assert_eq!((&sets.truth, &sets.given), (&truth, &vec![vec![0, 2], vec![1], vec![]]));
        assert_eq!(sets.mistakes(), [1, 0]);
        let text = std::fs::read_to_string(predictions_file(folder.path(), "test")).unwrap();
        assert!(
            text.starts_with("row,labels,prediction,p_a,p_a|b,\"p_ü, \"\"\"\n7,a|a|b,\"a|ü, \"\"\",0.95"),
            "{text}"
        );
        assert!(read_as("test", &labels[..2]).is_err());
        assert!(read_as("valid", &labels).is_err());
    }
}
