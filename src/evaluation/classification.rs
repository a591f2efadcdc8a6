//! The scores of single-label classification: every number of `metrics.json` for one split, from its logits.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::accuracy::{accuracy, argmax};
use super::calibration::expected_calibration_error;
use super::comparison::{Contender, compare};
use super::f1::{ClassScores, macro_f1};
use super::interval::{Interval, wilson};
use super::matthews::matthews_correlation;
use super::ranking::Ranking;
use super::top_k::top_k_accuracy;
use super::{confusion, cross_entropy, f1};
use crate::error::{Error, Result};

/// What `metrics.json` holds for one split of a single-label task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// Examples evaluated.
    pub rows: u64,
    /// Fraction of rows whose largest logit is that of the true label. Higher is better.
    pub accuracy: f64,
    /// Its Wilson 95 % interval. `None` in files of versions that did not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_interval: Option<Interval>,
    /// Mean F1 over the labels that occur as truth or as prediction. Higher is better.
    pub macro_f1: f64,
    /// Its 95 % interval for other rows, from the jackknife over rows. `None` in files of versions that did not have
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1_interval: Option<Interval>,
    /// Mean cross-entropy. Lower is better.
    pub loss: f64,
    /// Expected calibration error over 15 bins, a fraction. Lower is better.
    pub ece: f64,
    /// The calibration error before a temperature was fitted; `None` where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ece_before: Option<f64>,
    /// The loss before a temperature was fitted; `None` where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_before: Option<f64>,
    /// Matthews correlation, from -1 to 1. Higher is better. `None` in files of versions that did not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcc: Option<f64>,
    /// Area under the ROC curve: of the second of two labels, otherwise the mean of each label against all others.
    /// Higher is better. `None` where a label has no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roc_auc: Option<f64>,
    /// Average precision of the same labels. Higher is better. `None` where a label has no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_precision: Option<f64>,
    /// Fraction of rows whose true label is among the three most probable; `None` with fewer than six labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top3_accuracy: Option<f64>,
    /// The same for five; `None` with fewer than ten labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top5_accuracy: Option<f64>,
    /// Precision, recall, F1 and support of each label, in label order; in JSON an object.
    #[serde(with = "super::object_in_order")]
    pub per_class: Vec<(String, ClassScores)>,
    /// The names of the rows and columns of `confusion`, in label order.
    #[serde(default)]
    pub labels: Vec<String>,
    /// `confusion[true label][predicted label]`, in rows of data. Left out beyond [`confusion::MOST_CLASSES`] labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<u64>>,
}

impl Classification {
    /// The Wilson 95 % interval of the accuracy: what a test set of this size can tell.
    pub fn accuracy_interval(&self) -> Interval {
        // The count is recovered exactly: correct / rows is within half a row of itself.
        wilson((self.accuracy * self.rows as f64).round() as u64, self.rows)
    }

    /// The most frequent label and its share of the rows.
    pub fn majority(&self) -> Option<(&str, f64)> {
        let (name, scores) = self.per_class.iter().max_by_key(|(_, scores)| scores.support)?;
        (self.rows > 0).then(|| (name.as_str(), scores.support as f64 / self.rows as f64))
    }

    /// The label that every row gets, though the rows have several. One that no row has is only found where there is a
    /// `confusion`.
    pub fn only_answer(&self) -> Option<&str> {
        let several = self.per_class.iter().filter(|(_, scores)| scores.support > 0).count() > 1;
        let is_only = |(class, (_, scores)): &(usize, &(String, ClassScores))| {
            let predicted: u64 = self.confusion.iter().filter_map(|row| row.get(*class)).sum();
            // All of its rows are found, and it is as precise as it is frequent.
            let by_scores = scores.recall == 1.0 && scores.precision == scores.support as f64 / self.rows as f64;
            several && (by_scores || predicted == self.rows)
        };
        self.per_class.iter().enumerate().find(is_only).map(|(_, (name, _))| name.as_str())
    }
}

/// What to do about logits that are not finite.
pub const NOT_FINITE: &str =
    "the weights have diverged or overflow: train with a lower --lr, or run with --precision fp32";

/// Scores the logits of a split.
///
/// * `logits`: row-major `[rows, labels.len()]`, in the order of `truth`.
/// * `truth`: the index of each row's true label.
/// * `labels`: label names by index.
///
/// # Errors
///
/// When there are no rows, shapes disagree, a label index or name is not usable, or a logit is not finite (the row is
/// named).
pub fn evaluate(logits: &[f32], truth: &[u32], labels: &[String]) -> Result<Classification> {
    let (rows, classes) = (truth.len(), labels.len());
    if rows == 0 {
        return Err(Error::request("there are no rows to evaluate"));
    }
    if classes == 0 {
        return Err(Error::request("there are no labels to evaluate against"));
    }
    if rows.checked_mul(classes) != Some(logits.len()) {
        let found = logits.len();
        return Err(Error::failure(format!(
            "{rows} rows of {classes} labels need {} logits, not {found}",
            rows.saturating_mul(classes)
        )));
    }
    let mut names = HashSet::new();
    if let Some(twice) = labels.iter().find(|label| !names.insert(label.as_str())) {
        return Err(Error::request(format!("two labels have the name `{twice}`"))
            .hint("give each label its own name (`id2label` in the model's config.json)"));
    }

    let mut predicted = Vec::with_capacity(rows);
    let mut confidence = Vec::with_capacity(rows);
    let mut normalisers = Vec::with_capacity(rows);
    let mut loss = 0.0;
    for (index, (row, &label)) in logits.chunks_exact(classes).zip(truth).enumerate() {
        let number = index + 1;
        if row.iter().any(|logit| !logit.is_finite()) {
            return Err(Error::failure(format!("the logits of row {number} (of {rows} evaluated) are not finite"))
                .hint(NOT_FINITE));
        }
        let Some(true_logit) = row.get(label as usize) else {
            return Err(Error::failure(format!(
                "row {number} has label number {label}, and there are {classes} labels"
            )));
        };
        let largest = argmax(row);
        let normaliser = cross_entropy::log_sum_exp(row);
        loss += normaliser - f64::from(*true_logit);
        confidence.push((f64::from(row[largest]) - normaliser).exp());
        predicted.push(largest as u32);
        normalisers.push(normaliser);
    }

    let counts = f1::counts(&predicted, truth, classes);
    let correct: Vec<bool> = predicted.iter().zip(truth).map(|(a, b)| a == b).collect();
    let ranking = Ranking::of(logits, &normalisers, truth, classes);
    let correctly = correct.iter().filter(|correct| **correct).count() as u64;
    Ok(Classification {
        rows: rows as u64,
        accuracy: accuracy(&predicted, truth),
        accuracy_interval: Some(wilson(correctly, rows as u64)),
        macro_f1: macro_f1(&counts),
        macro_f1_interval: macro_f1_interval(&predicted, truth, classes),
        loss: loss / rows as f64,
        ece: expected_calibration_error(&confidence, &correct),
        ece_before: None,
        loss_before: None,
        mcc: Some(matthews_correlation(&counts)),
        roc_auc: ranking.map(|ranking| ranking.roc_auc),
        average_precision: ranking.map(|ranking| ranking.average_precision),
        top3_accuracy: top_k_accuracy(logits, truth, classes, 3),
        top5_accuracy: top_k_accuracy(logits, truth, classes, 5),
        per_class: labels.iter().cloned().zip(counts.iter().map(f1::Counts::scores)).collect(),
        labels: labels.to_vec(),
        confusion: confusion::confusion(&predicted, truth, classes),
    })
}

fn macro_f1_interval(predicted: &[u32], truth: &[u32], classes: usize) -> Option<Interval> {
    let alone = Contender { name: "", predictions: vec![predicted], seconds: 0.0, baseline: false };
    let standing = compare(truth, classes, &[alone]).ok()?.standings.into_iter().next()?;
    let interval = Interval { low: standing.macro_f1.low, high: standing.macro_f1.high };
    (interval.low.is_finite() && interval.high.is_finite()).then_some(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    // z = np.random.default_rng(7).normal(0, 2, (12, 5)).round(1)
    // z[:, 4] -= 9; z[:, 2] -= 2; y = np.array([0,1,2,3,0,1,2,3,0,1,1,3]); z[np.arange(9), y[:9]] += 1.5
    // z = z.round(1).astype(np.float32); p = z.argmax(1)
    #[rustfmt::skip]
    const LOGITS: [f32; 60] = [
        1.5, 0.6, -2.5, -1.8, -9.9,   -2.0, 1.6, 0.7, -1.0, -10.2,   1.0, 0.7, -0.3, -1.9, -9.1,
        1.4, -2.7, -2.9, -2.3, -11.6, -2.2, -0.5, -4.5, 0.5, -8.7,   -0.4, -3.5, -3.1, -0.1, -8.8,
        -3.1, -1.0, -2.5, -1.6, -6.9, -1.6, -0.1, -0.2, 0.3, -9.2,   1.7, 0.1, -4.5, 0.2, -6.3,
        -3.1, 1.7, -1.8, -1.3, -5.0,  1.5, -2.4, -1.9, 1.2, -9.4,    1.4, -0.1, -0.7, 2.9, -10.4,
    ];
    const TRUTH: [u32; 12] = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 1, 3];

    fn labels() -> Vec<String> {
        ["a", "b", "never predicted", "d", "absent"].map(str::to_owned).to_vec()
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn every_number_is_scikit_learns() {
        let evaluation = evaluate(&LOGITS, &TRUTH, &labels()).unwrap();
        assert_eq!(evaluation.rows, 12);
        // accuracy_score(y, p)
        close(evaluation.accuracy, 0.5);
        // f1_score(y, p, average="macro", zero_division=0): label 4 is neither true nor predicted and is not averaged
        close(evaluation.macro_f1, 0.4107142857142857);
        // log_loss(y, scipy.special.softmax(z.astype(np.float64), axis=1), labels=range(5))
        close(evaluation.loss, 1.8211169017054487);
        // c = q.max(1); sum(abs((p == y)[m].mean() - c[m].mean()) * m.mean()
        //                   for b in range(15) if (m := (c > b/15) & (c <= (b+1)/15)).any())
        close(evaluation.ece, 0.3650059932018962);
        // precision_recall_fscore_support(y, p, labels=range(5), zero_division=0)
        let scores: Vec<_> = evaluation.per_class.iter().map(|(_, scores)| scores.clone()).collect();
        for (scores, expected) in scores.iter().zip([0.4, 2.0 / 3.0, 0.0, 0.5, 0.0]) {
            close(scores.precision, expected);
        }
        for (scores, expected) in scores.iter().zip([2.0 / 3.0, 0.5, 0.0, 2.0 / 3.0, 0.0]) {
            close(scores.recall, expected);
        }
        for (scores, expected) in scores.iter().zip([0.5, 0.5714285714285714, 0.0, 0.5714285714285714, 0.0]) {
            close(scores.f1, expected);
        }
        assert_eq!(scores.iter().map(|scores| scores.support).collect::<Vec<_>>(), [3, 4, 2, 3, 0]);
        // confusion_matrix(y, p, labels=range(5))
        let expected = [[2, 0, 0, 1, 0], [1, 2, 0, 1, 0], [1, 1, 0, 0, 0], [1, 0, 0, 2, 0], [0, 0, 0, 0, 0]];
        assert_eq!(evaluation.confusion, expected);
    }

    /// Logits of a formula, with ties, and labels of another; those of two labels differ in one logit alone.
    fn made_up(rows: usize, classes: usize) -> Classification {
        let truth: Vec<u32> = (0..rows).map(|i| ((i * i + i / 3) % classes) as u32).collect();
        let logit = |i: usize, j: usize| {
            let (number, is_true) = (i * 37 + j * 101 + i * j * 13, truth[i] as usize == j);
            match (classes, j) {
                (2, 0) => 0.0,
                (2, _) => (number % 16) as f32 / 4.0 - 2.0 + if is_true { 0.75 } else { -0.75 },
                _ => (number % 64) as f32 / 8.0 + if is_true { 1.5 } else { 0.0 },
            }
        };
        let logits: Vec<f32> =
            (0..rows).flat_map(|i| (0..classes).map(move |j| (i, j))).map(|(i, j)| logit(i, j)).collect();
        let labels: Vec<String> = (0..classes).map(|label| label.to_string()).collect();
        evaluate(&logits, &truth, &labels).unwrap()
    }

    /// scikit-learn 1.9.1 on the same logits z and labels y, p = scipy.special.softmax(z.astype(np.float64), axis=1):
    /// matthews_corrcoef(y, z.argmax(1)), roc_auc_score(y, p, multi_class="ovr"),
    /// average_precision_score(np.eye(classes)[y], p), top_k_accuracy_score(y, z, k=k); with two labels of p[:, 1].
    #[test]
    fn further_scores_are_scikit_learns() {
        let two = made_up(90, 2);
        close(two.mcc.unwrap(), 0.39129279043561477);
        close(two.roc_auc.unwrap(), 0.8172222222222223);
        close(two.average_precision.unwrap(), 0.7115534161802818);
        let four = made_up(120, 4);
        close(four.mcc.unwrap(), 0.3710471202969533);
        close(four.roc_auc.unwrap(), 0.7276874999999999);
        close(four.average_precision.unwrap(), 0.5498080174444108);
        assert_eq!((four.top3_accuracy, four.top5_accuracy), (None, None));
        let twelve = made_up(200, 12);
        close(twelve.mcc.unwrap(), 0.20055188560968784);
        close(twelve.roc_auc.unwrap(), 0.7169632249009351);
        close(twelve.average_precision.unwrap(), 0.3371526633013762);
        close(twelve.top3_accuracy.unwrap(), 0.445);
        close(twelve.top5_accuracy.unwrap(), 0.645);
        // A label without rows has no curve.
        let evaluation = evaluate(&LOGITS, &TRUTH, &labels()).unwrap();
        assert_eq!((evaluation.roc_auc, evaluation.average_precision), (None, None));
    }

    #[test]
    fn json_keeps_label_order_and_reads_back_equal() {
        let evaluation = evaluate(&LOGITS, &TRUTH, &["z", "y", "x", "w", "v"].map(str::to_owned)).unwrap();
        let json = serde_json::to_value(&evaluation).unwrap();
        assert_eq!(json["per_class"]["y"]["support"], 4);
        assert_eq!(json["confusion"][1][0], 1);
        let text = serde_json::to_string(&evaluation).unwrap();
        assert!(text.find("\"z\"") < text.find("\"v\""));
        let again: Classification = serde_json::from_str(&text).unwrap();
        assert_eq!(again.labels, evaluation.labels);
        assert_eq!(again.per_class.iter().map(|(label, _)| label.as_str()).collect::<String>(), "zyxwv");
        close(again.loss, evaluation.loss);
    }

    #[test]
    fn a_logit_that_is_not_finite_names_its_row() {
        let mut logits = LOGITS;
        logits[11] = f32::NAN;
        let error = evaluate(&logits, &TRUTH, &labels()).unwrap_err();
        assert!(error.to_string().contains("row 3 (of 12"), "{error}");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("--lr")));
    }

    #[test]
    fn what_cannot_be_scored_is_an_error() {
        assert!(evaluate(&[], &[], &labels()).is_err());
        assert!(evaluate(&[0.0], &[0], &[]).is_err());
        assert!(evaluate(&LOGITS[1..], &TRUTH, &labels()).is_err());
        assert!(evaluate(&LOGITS[..5], &[5], &labels()).is_err());
        assert!(evaluate(&[0.0, 1.0], &[0], &["same".to_owned(), "same".to_owned()]).is_err());
    }

    #[test]
    fn one_answer_to_everything_is_found_with_or_without_a_confusion() {
        let labels: Vec<String> = (0..confusion::MOST_CLASSES + 1).map(|label| label.to_string()).collect();
        for classes in [3, labels.len()] {
            let logits = |answers: [usize; 3]| -> Vec<f32> {
                let one = |answer| (0..classes).map(move |class| f32::from(u8::from(class == answer)));
                answers.into_iter().flat_map(one).collect()
            };
            let only = |answers, truth: [u32; 3]| {
                let found = evaluate(&logits(answers), &truth, &labels[..classes]).unwrap();
                assert_eq!(found.confusion.is_empty(), classes > 3);
                found.only_answer().map(str::to_owned)
            };
            assert_eq!(only([1, 1, 1], [0, 1, 1]).as_deref(), Some("1"));
            assert_eq!(only([1, 1, 0], [0, 1, 1]), None);
            assert_eq!(only([1, 1, 1], [1, 1, 1]), None);
            assert_eq!(only([2, 2, 2], [0, 1, 1]).as_deref(), (classes == 3).then_some("2"));
        }
    }

    #[test]
    fn the_interval_counts_whole_rows() {
        let evaluation = evaluate(&LOGITS, &TRUTH, &labels()).unwrap();
        assert_eq!(evaluation.accuracy_interval(), wilson(6, 12));
    }
}
