//! `predictions/SPLIT.csv` of a run: the true label of every row of a split and the network's predictions, in the order
//! of the data. `rehead compare` pairs runs by these rows, and reports show them.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::evaluation::{argmax, softmax};
use crate::files::write_atomically;
use crate::inference::Rows;
use crate::task::Targets;

/// A split's true labels and predictions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Predictions {
    /// The index of each row's true label.
    pub truth: Vec<u32>,
    /// Row-major, `[rows, labels]`.
    pub probabilities: Vec<f32>,
}

impl Predictions {
    /// From logits, one row for each of `targets`.
    pub fn of_logits(logits: &Rows, targets: &Targets) -> Self {
        let rows = logits.values.chunks_exact(logits.width.max(1));
        let probabilities = rows.flat_map(|row| softmax(row).into_iter().map(|p| p as f32)).collect();
        Self { truth: targets.classes().to_vec(), probabilities }
    }

    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        let classes = self.probabilities.len().checked_div(self.truth.len()).unwrap_or(0);
        self.probabilities.chunks_exact(classes.max(1))
    }

    /// The index of each row's most probable label.
    pub fn predicted(&self) -> Vec<u32> {
        self.rows().map(|row| argmax(row) as u32).collect()
    }

    /// The probability of each row's most probable label.
    pub fn confidence(&self) -> Vec<f32> {
        self.rows().map(|row| row.get(argmax(row)).copied().unwrap_or(f32::NAN)).collect()
    }

    /// Saves them for the split `name` of a run.
    pub fn write(&self, run: &Path, name: &str, labels: &[String]) -> Result<()> {
        let file = predictions_file(run, name);
        let failed = |error: csv::Error| Error::failure(error.to_string()).file(&file);
        let name_of = |label: usize| labels.get(label).map_or("", String::as_str);
        let mut writer = csv::Writer::from_writer(Vec::new());
        let fixed = ["row", "label", "predicted_label", "confidence"].map(str::to_owned);
        let header = fixed.into_iter().chain(labels.iter().map(|label| format!("p_{label}")));
        writer.write_record(header).map_err(failed)?;
        for (index, (row, &truth)) in self.rows().zip(&self.truth).enumerate() {
            let best = argmax(row);
            let known = [(index + 1).to_string(), name_of(truth as usize).to_owned(), name_of(best).to_owned()];
            let numbers = row.get(best).into_iter().chain(row).map(f32::to_string);
            writer.write_record(known.into_iter().chain(numbers)).map_err(failed)?;
        }
        let bytes = writer.into_inner().map_err(|error| Error::failure(error.to_string()).file(&file))?;
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io(error, folder))?;
        }
        write_atomically(&file, &bytes)
    }

    /// Reads what [`write`](Self::write) saved, to the last bit.
    ///
    /// # Errors
    /// The file is not there, or not one of these labels'.
    pub fn read(run: &Path, name: &str, labels: &[String]) -> Result<Self> {
        let file = predictions_file(run, name);
        let bytes = std::fs::read(&file).map_err(|error| Error::io(error, &file))?;
        let bad = |row: usize, message: &str| {
            Error::request(format!("not the predictions of a run: {message}"))
                .file(&file)
                .row(row as u64)
                .hint("delete the run's folder, and it is trained again")
        };
        let mut predictions = Self::default();
        let index = |name: &str| labels.iter().position(|label| label == name);
        for (row, record) in csv::Reader::from_reader(bytes.as_slice()).records().enumerate() {
            let record = record.map_err(|error| bad(row + 1, &error.to_string()))?;
            let truth = record.get(1).and_then(index).ok_or_else(|| bad(row + 1, "unknown label"))?;
            let numbers: Vec<f32> = record.iter().skip(4).filter_map(|number| number.parse().ok()).collect();
            if numbers.len() != labels.len() {
                return Err(bad(row + 1, "a probability is missing"));
            }
            predictions.truth.push(truth as u32);
            predictions.probabilities.extend(numbers);
        }
        Ok(predictions)
    }
}

fn predictions_file(run: &Path, name: &str) -> PathBuf {
    run.join("predictions").join(format!("{name}.csv"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let labels = ["a, \"b\"".to_owned(), "c".to_owned(), "ü".to_owned()];
        let logits = Rows { values: vec![0.1, 2.0, -3.0, 1.0, 0.0, 0.7], width: 3 };
        let written = Predictions::of_logits(&logits, &Targets::Classes(vec![2, 0]));
        written.write(folder.path(), "test", &labels).unwrap();
        let read = Predictions::read(folder.path(), "test", &labels).unwrap();
        assert_eq!(read, written);
        assert_eq!(read.predicted(), [1, 0]);
        assert!(read.confidence().iter().zip([0.865_f32, 0.473]).all(|(a, b)| (a - b).abs() < 1e-2));
        assert!(Predictions::read(folder.path(), "test", &labels[..2]).is_err());
        assert!(Predictions::read(folder.path(), "valid", &labels).is_err());
    }
}
