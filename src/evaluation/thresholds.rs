//! The confidence thresholds of a model, one for all labels or one for each predicted label, as they are stored with
//! it.
//! [`selection`](super::selection) says what they promise.

use serde::{Deserialize, Serialize};

use super::selection::{ERROR, Missed, Shown, fewest, select};

/// Thresholds and what they were chosen for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// The accuracy that labels at or above a threshold are to reach.
    pub target_accuracy: f64,
    /// How often the promise holds, over all sets of rows that a threshold may be chosen on.
    pub certainty: f64,
    /// Whether each predicted label has its own.
    pub per_label: bool,
    /// The rows that they were chosen on, such as `validation`.
    pub chosen_on: String,
    /// How many these were.
    pub rows: u64,
    /// Those that were shown to reach the target.
    pub shown: Vec<Threshold>,
    /// Labels for which none was shown; they are given to no row. All of them where there is none at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// About how many rows would be needed where none was shown; left out where more rows would not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_needed: Option<u64>,
}

/// The threshold of some labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Rows predicted as one of these.
    pub labels: Vec<String>,
    /// The least confidence.
    pub confidence: f64,
    /// The rows predicted as one of the labels.
    pub rows: u64,
    /// Those of them at or above the threshold.
    pub labelled: u64,
    /// Of these, the correct ones.
    pub correct: u64,
    /// The accuracy on other rows is at least this.
    pub accuracy_at_least: f64,
}

/// Rows with what was predicted of them, which must not have been trained on.
pub struct PredictedRows<'a> {
    /// What they are called: `validation`.
    pub name: &'a str,
    /// The index of each row's true label.
    pub truth: &'a [u32],
    /// The index of each row's most probable label.
    pub predicted: &'a [u32],
    /// Its probability.
    pub confidence: &'a [f64],
}

impl Thresholds {
    /// Chooses them for labels of these `names`.
    pub fn choose(rows: &PredictedRows, names: &[String], target_accuracy: f64, per_label: bool) -> Self {
        let count = rows.predicted.len() as u64;
        let groups = if per_label { groups(rows.predicted, names.len(), target_accuracy) } else { vec![all(names)] };
        let (mut shown, mut without, mut needed) = (Vec::new(), Vec::new(), Vec::new());
        for group in groups {
            let labels: Vec<String> = group.iter().filter_map(|&class| names.get(class)).cloned().collect();
            match of_group(rows, &group, target_accuracy) {
                Ok(Shown { point, at_least }) => shown.push(Threshold {
                    labels,
                    confidence: point.threshold,
                    rows: point.rows,
                    labelled: point.labelled,
                    correct: point.correct,
                    accuracy_at_least: at_least,
                }),
                Err(Missed { rows, needed: of_these }) => {
                    without.extend(labels);
                    // As many of all rows as give the group so many.
                    needed.extend(of_these.map(|needed| match rows {
                        0 => needed,
                        rows => (needed as f64 * count as f64 / rows as f64).ceil() as u64,
                    }));
                }
            }
        }
        let rows_needed = if shown.is_empty() { needed.into_iter().min() } else { None };
        let chosen_on = rows.name.to_owned();
        let certainty = 1.0 - ERROR;
        Self { target_accuracy, certainty, per_label, chosen_on, rows: count, shown, without, rows_needed }
    }

    /// The least confidence of each of `names`; infinite for a label that is not to be given.
    pub fn by_label(&self, names: &[String]) -> Vec<f64> {
        let of = |name: &String| self.shown.iter().find(|threshold| threshold.labels.contains(name));
        names.iter().map(|name| of(name).map_or(f64::INFINITY, |threshold| threshold.confidence)).collect()
    }

    /// Rows at or above the thresholds, and those of them that are correct.
    pub fn labelled(&self) -> (u64, u64) {
        self.shown
            .iter()
            .fold((0, 0), |(labelled, correct), threshold| (labelled + threshold.labelled, correct + threshold.correct))
    }
}

fn all(names: &[String]) -> Vec<usize> {
    (0..names.len()).collect()
}

/// The labels that have a threshold together: each on its own that enough rows are predicted as to show one, and the
/// others.
fn groups(predicted: &[u32], classes: usize, target: f64) -> Vec<Vec<usize>> {
    let count = |class: usize| predicted.iter().filter(|&&predicted| predicted as usize == class).count() as u64;
    let (own, rare): (Vec<_>, Vec<_>) = (0..classes).partition(|&class| count(class) >= fewest(target, ERROR));
    let rare = Some(rare).filter(|rare| !rare.is_empty());
    own.into_iter().map(|class| vec![class]).chain(rare).collect()
}

fn of_group(rows: &PredictedRows, group: &[usize], target: f64) -> Result<Shown, Missed> {
    let of_rows = rows.truth.iter().zip(rows.predicted).zip(rows.confidence);
    let (confidence, correct): (Vec<f64>, Vec<bool>) = of_rows
        .filter(|((_, predicted), _)| group.contains(&(**predicted as usize)))
        .map(|((truth, predicted), confidence)| (*confidence, truth == predicted))
        .unzip();
    select(&confidence, &correct, target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["a", "b", "c", "d"].map(str::to_owned).to_vec()
    }

    /// Rows predicted as a (all right), b (half right), c and d (few, all right).
    fn chosen(per_label: bool) -> Thresholds {
        let predicted: Vec<u32> = (0..300).map(|row| [0, 1, 0, 1, 0, 1, 0, 1, 2, 3][row % 10]).collect();
        let truth: Vec<u32> =
            (0..300).map(|row| if predicted[row] == 1 && row % 20 < 10 { 0 } else { predicted[row] }).collect();
        let confidence: Vec<f64> = (0..300).map(|row| 0.6 + row as f64 / 1000.0).collect();
        let rows = PredictedRows { name: "validation", truth: &truth, predicted: &predicted, confidence: &confidence };
        Thresholds::choose(&rows, &names(), 0.95, per_label)
    }

    #[test]
    fn rare_labels_share_a_threshold_and_wrong_ones_have_none() {
        let chosen = chosen(true);
        let labels: Vec<_> = chosen.shown.iter().map(|threshold| threshold.labels.join("+")).collect();
        assert_eq!(labels, ["a", "c+d"]);
        assert_eq!((chosen.without.as_slice(), chosen.rows_needed), (["b".to_owned()].as_slice(), None));
        let by_label = chosen.by_label(&names());
        assert!(by_label[0] < 0.61 && by_label[1].is_infinite() && by_label[2] == by_label[3], "{by_label:?}");
        assert_eq!(chosen.labelled(), (180, 180));
    }

    #[test]
    fn one_threshold_is_for_all_or_there_is_none() {
        let chosen = chosen(false);
        assert!(chosen.shown.is_empty() && chosen.without == names() && chosen.rows == 300);
        assert!(chosen.by_label(&names()).iter().all(|least| least.is_infinite()));
        let json = serde_json::to_string(&chosen).unwrap();
        assert_eq!(serde_json::from_str::<Thresholds>(&json).unwrap(), chosen);
    }
}
