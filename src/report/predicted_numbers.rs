//! `predictions/SPLIT.csv` of a regression: every row with its number, the predicted one and the error; and
//! `predictions/mistakes.csv`, the rows with the largest errors first.

use std::path::Path;

use super::predictions::{MISTAKES, not_predictions, predictions_file, write_table};
use crate::data::Origins;
use crate::error::{Error, Result};
use crate::inference::Rows;

/// A split's right numbers and the predicted ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PredictedNumbers {
    /// Of each row.
    pub truth: Vec<f64>,
    /// In the same order.
    pub predicted: Vec<f32>,
}

/// Rows in the file of the largest errors.
const MOST_MISTAKES: usize = 100;

impl PredictedNumbers {
    pub(super) fn of_logits(logits: &Rows, truth: &[f64]) -> Self {
        Self { truth: truth.to_vec(), predicted: logits.values.clone() }
    }

    /// How much more is predicted than is right.
    pub fn error(&self, row: usize) -> f64 {
        let (predicted, truth) = (self.predicted.get(row), self.truth.get(row));
        predicted.zip(truth).map_or(f64::NAN, |(predicted, truth)| f64::from(*predicted) - truth)
    }

    /// The rows of the largest errors, the largest first.
    pub fn mistakes(&self) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.truth.len()).collect();
        rows.sort_by(|&a, &b| self.error(b).abs().total_cmp(&self.error(a).abs()));
        rows.truncate(MOST_MISTAKES);
        rows
    }

    pub(super) fn write(&self, run: &Path, name: &str, origins: &Origins) -> Result<()> {
        let file = predictions_file(run, name);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io(error, folder))?;
        }
        self.write_rows(&file, 0..self.truth.len(), origins)?;
        self.write_rows(&predictions_file(run, MISTAKES), self.mistakes(), origins)
    }

    fn write_rows(&self, file: &Path, indices: impl IntoIterator<Item = usize>, origins: &Origins) -> Result<()> {
        let own = ["label", "prediction", "error"].map(str::to_owned);
        write_table(file, origins, own, indices, |row| {
            let (truth, predicted) = (self.truth.get(row)?, self.predicted.get(row)?);
            Some(vec![truth.to_string(), predicted.to_string(), (self.error(row) as f32).to_string()])
        })
    }

    pub(super) fn read(run: &Path, name: &str) -> Result<Self> {
        let file = predictions_file(run, name);
        let bytes = std::fs::read(&file).map_err(|error| Error::io(error, &file))?;
        let bad = |row: usize, message: &str| not_predictions(&file, row, message);
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let header = reader.headers().map_err(|error| bad(0, &error.to_string()))?.clone();
        // The columns of the data stand before them.
        let column =
            |name: &str| header.iter().enumerate().filter(|(_, column)| *column == name).last().map(|(at, _)| at);
        let (Some(label), Some(prediction)) = (column("label"), column("prediction")) else {
            return Err(bad(0, "no columns `label` and `prediction`"));
        };
        let mut numbers = Self::default();
        for (row, record) in reader.records().enumerate() {
            let record = record.map_err(|error| bad(row + 1, &error.to_string()))?;
            let truth = record.get(label).and_then(|cell| cell.parse().ok());
            let predicted = record.get(prediction).and_then(|cell| cell.parse().ok());
            let (Some(truth), Some(predicted)) = (truth, predicted) else {
                return Err(bad(row + 1, "a number is missing"));
            };
            numbers.truth.push(truth);
            numbers.predicted.push(predicted);
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_the_largest_errors_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let logits = Rows { values: vec![0.1, 2.0, 1.0 / 3.0], width: 1 };
        let written = PredictedNumbers::of_logits(&logits, &[0.1, 1e-7, 4.0]);
        let values = ["x", "y", "z"].map(|text| vec![text.to_owned()]).to_vec();
        let origins = Origins { rows: vec![7, 3, 9], files: vec![], columns: vec!["text".to_owned()], values };
        written.write(folder.path(), "test", &origins).unwrap();
        assert_eq!(PredictedNumbers::read(folder.path(), "test").unwrap(), written);
        assert_eq!(written.mistakes(), [2, 1, 0]);
        let text = std::fs::read_to_string(predictions_file(folder.path(), MISTAKES)).unwrap();
        assert!(text.starts_with("row,text,label,prediction,error\n9,z,4,0.33333334,-3.66666"), "{text}");
        assert!(PredictedNumbers::read(folder.path(), "valid").is_err());
    }
}
