//! `predictions/SPLIT.csv` of a run: every row of a split as it is in the data, with its number there, the true label
//! and the network's predictions; and `predictions/mistakes.csv`, the wrong ones of these, the most confident first.
//! `rehead compare` pairs runs by these rows, and reports show them. Rows of several labels are in `label_sets.rs`.

use std::path::{Path, PathBuf};

use crate::data::Origins;
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

    /// Saves them for the split `name` of a run, beside what its rows are in the data.
    pub fn write(&self, run: &Path, name: &str, labels: &[String], origins: &Origins) -> Result<()> {
        let file = predictions_file(run, name);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io(error, folder))?;
        }
        let (predicted, confidence) = (self.predicted(), self.confidence());
        self.write_rows(&file, 0..self.truth.len(), labels, origins)?;
        let mut wrong: Vec<usize> = (0..self.truth.len()).filter(|&row| predicted[row] != self.truth[row]).collect();
        wrong.sort_by(|&a, &b| confidence[b].total_cmp(&confidence[a]));
        self.write_rows(&predictions_file(run, MISTAKES), wrong, labels, origins)
    }

    /// Writes the rows of these indices as CSV.
    fn write_rows(
        &self,
        file: &Path,
        indices: impl IntoIterator<Item = usize>,
        labels: &[String],
        origins: &Origins,
    ) -> Result<()> {
        let name_of = |label: usize| labels.get(label).map_or("", String::as_str);
        let rows: Vec<&[f32]> = self.rows().collect();
        let own = ["label", "prediction", "confidence"].into_iter().map(str::to_owned).chain(of_labels(labels));
        write_table(file, origins, own, indices, |index| {
            let (row, truth) = (rows.get(index)?, *self.truth.get(index)?);
            let best = argmax(row);
            let names = [name_of(truth as usize).to_owned(), name_of(best).to_owned()];
            Some(names.into_iter().chain(row.get(best).into_iter().chain(*row).map(f32::to_string)).collect())
        })
    }

    /// Reads what [`write`](Self::write) saved, to the last bit.
    ///
    /// # Errors
    /// The file is not there, or not one of these labels'.
    pub fn read(run: &Path, name: &str, labels: &[String]) -> Result<Self> {
        let file = predictions_file(run, name);
        let bytes = std::fs::read(&file).map_err(|error| Error::io(error, &file))?;
        let bad = |row: usize, message: &str| not_predictions(&file, row, message);
        let mut predictions = Self::default();
        let index = |name: &str| labels.iter().position(|label| label == name);
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let header = reader.headers().map_err(|error| bad(0, &error.to_string()))?.clone();
        let column = |name: &str| header.iter().position(|column| column == name);
        let truth_column = column("label").ok_or_else(|| bad(0, "no column `label`"))?;
        let of_labels: Vec<usize> = of_labels(labels).filter_map(|name| column(&name)).collect();
        for (row, record) in reader.records().enumerate() {
            let record = record.map_err(|error| bad(row + 1, &error.to_string()))?;
            let truth = record.get(truth_column).and_then(index).ok_or_else(|| bad(row + 1, "unknown label"))?;
            let number = |&column: &usize| record.get(column)?.parse().ok();
            let numbers: Vec<f32> = of_labels.iter().filter_map(number).collect();
            if numbers.len() != labels.len() {
                return Err(bad(row + 1, "a probability is missing"));
            }
            predictions.truth.push(truth as u32);
            predictions.probabilities.extend(numbers);
        }
        Ok(predictions)
    }
}

/// Writes the rows of `indices` as CSV: what they are in the data, then their `own` columns with what `cells` gives.
pub(super) fn write_table(
    file: &Path,
    origins: &Origins,
    own: impl IntoIterator<Item = String>,
    indices: impl IntoIterator<Item = usize>,
    cells: impl Fn(usize) -> Option<Vec<String>>,
) -> Result<()> {
    let failed = |error: csv::Error| Error::failure(error.to_string()).file(file);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let file_column = (!origins.files.is_empty()).then_some("file");
    let before = ["row"].into_iter().chain(file_column).chain(origins.columns.iter().map(String::as_str));
    writer.write_record(before.map(str::to_owned).chain(own)).map_err(failed)?;
    for index in indices {
        let Some(cells) = cells(index) else { continue };
        let number = origins.rows.get(index).map_or(index as u64 + 1, |&row| row).to_string();
        let known = std::iter::once(number)
            .chain(origins.files.get(index).cloned())
            .chain(origins.values.get(index).into_iter().flatten().cloned());
        writer.write_record(known.chain(cells)).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::failure(error.to_string()).file(file))?;
    write_atomically(file, &bytes)
}

/// The error for a file that is not what a run has written.
pub(super) fn not_predictions(file: &Path, row: usize, message: &str) -> Error {
    Error::request(format!("not the predictions of a run: {message}"))
        .file(file)
        .row(row as u64)
        .hint("delete the run's folder, and it is trained again")
}

/// The columns that are not the data's own. `several`: rows may have several labels; `numbers`: they have a number.
pub fn own_columns(labels: &[String], several: bool, numbers: bool) -> Vec<String> {
    let (of_task, labels): (&[&str], _) = match (several, numbers) {
        (_, true) => (&["label", "error"], [].as_slice()),
        (true, _) => (&["labels"], labels),
        _ => (&["label", "confidence"], labels),
    };
    ["row", "file", "prediction"].iter().chain(of_task).map(|&name| name.to_owned()).chain(of_labels(labels)).collect()
}

/// The columns of the labels' probabilities.
pub(super) fn of_labels(labels: &[String]) -> impl Iterator<Item = String> {
    labels.iter().map(|label| format!("p_{label}"))
}

/// As a split would be called.
pub(super) const MISTAKES: &str = "mistakes";

pub(super) fn predictions_file(run: &Path, name: &str) -> PathBuf {
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
        let columns = vec!["id".to_owned(), "text".to_owned()];
        let values = vec![vec!["x1".to_owned(), "a\nb".to_owned()], vec!["x2".to_owned(), String::new()]];
        let origins = Origins { rows: vec![7, 3], files: vec![], columns, values };
        written.write(folder.path(), "test", &labels, &origins).unwrap();
        let read = Predictions::read(folder.path(), "test", &labels).unwrap();
        assert_eq!(read, written);
        assert_eq!(read.predicted(), [1, 0]);
        assert!(read.confidence().iter().zip([0.865_f32, 0.473]).all(|(a, b)| (a - b).abs() < 1e-2));
        let text = std::fs::read_to_string(predictions_file(folder.path(), "test")).unwrap();
        assert!(
            text.starts_with("row,id,text,label,prediction,confidence,\"p_a, \"\"b\"\"\",p_c,p_ü\n7,x1,\"a\nb\",ü,c,")
        );
        // What earlier versions wrote.
        let before = "row,label,predicted_label,confidence,p_x,p_y\n1,y,x,0.75,0.75,0.25\n";
        std::fs::write(predictions_file(folder.path(), "old"), before).unwrap();
        let old = Predictions::read(folder.path(), "old", &["x".to_owned(), "y".to_owned()]).unwrap();
        assert_eq!((old.truth, old.probabilities), (vec![1], vec![0.75, 0.25]));
        assert!(Predictions::read(folder.path(), "test", &labels[..2]).is_err());
        assert!(Predictions::read(folder.path(), "valid", &labels).is_err());
    }
}
