//! The scores of multi-label classification: every number of `metrics.json` for one split, from its logits. A label is
//! given to a row where its probability, the sigmoid of its logit, reaches the label's threshold.
//!
//! scikit-learn's numbers on indicator matrices. Averages over labels leave out those that neither the rows have nor
//! the network gives, as `f1_score(…, average="macro", zero_division=np.nan)` does; a row without labels that is given
//! none has a sample F1 of 1 (`zero_division=1`).

use serde::{Deserialize, Serialize};

use super::classification::NOT_FINITE;
use super::f1::{ClassScores, Counts, macro_f1};
use super::interval::Interval;
use super::ranking::curves;
use crate::error::{Error, Result};

/// What `metrics.json` holds for one split of a multi-label task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiLabel {
    /// Examples evaluated.
    pub rows: u64,
    /// F1 of all decisions, one for each row and label, together. Higher is better.
    pub micro_f1: f64,
    /// Its 95 % interval for other rows, from the jackknife over rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_f1_interval: Option<Interval>,
    /// Of the labels given, the fraction that the rows have.
    pub micro_precision: f64,
    /// Of the labels that the rows have, the fraction given.
    pub micro_recall: f64,
    /// Mean F1 over the labels that occur as truth or as prediction. Higher is better.
    pub macro_f1: f64,
    /// Mean F1 over the rows, each between its labels and those it was given. Higher is better.
    pub sample_f1: f64,
    /// Fraction of rows that were given exactly their labels (subset accuracy). Higher is better.
    pub exact_match: f64,
    /// Mean over the labels that have rows of their average precision, whatever the thresholds. Higher is better.
    /// `None` where no label has rows.
    pub mean_average_precision: Option<f64>,
    /// Mean binary cross-entropy over rows and labels. Lower is better.
    pub loss: f64,
    /// Labels that a row has, on average.
    pub labels_per_row: f64,
    /// Labels that a row is given, on average.
    pub given_per_row: f64,
    /// The scores of each label, in label order; in JSON an object.
    #[serde(rename = "per_class", with = "super::object_in_order")]
    pub per_label: Vec<(String, LabelScores)>,
    /// The names of the labels, in their order.
    pub labels: Vec<String>,
}

/// How well one label is recognised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelScores {
    /// At its threshold.
    #[serde(flatten)]
    pub scores: ClassScores,
    /// At all thresholds; `None` where no row has the label.
    pub average_precision: Option<f64>,
    /// The least probability at which the label is given.
    pub threshold: f64,
}

/// The probability that a row has a label, by its logit.
pub fn sigmoid(logit: f32) -> f64 {
    let logit = f64::from(logit);
    // Of a large negative number the exponential would be infinite.
    if logit >= 0.0 {
        1.0 / (1.0 + (-logit).exp())
    } else {
        let exp = logit.exp();
        exp / (1.0 + exp)
    }
}

/// The probability that a row has a label, in millionths: as it is written.
pub fn millionths(logit: f32) -> u64 {
    (sigmoid(logit) * 1e6).round() as u64
}

/// Whether a label with this logit is given at `threshold`. Probabilities count as they are written, with six digits,
/// so that no row shows the threshold's probability and not the label.
pub fn is_given(logit: f32, threshold: f64) -> bool {
    millionths(logit) as f64 / 1e6 >= threshold
}

/// Scores the logits of a split.
///
/// * `logits`: row-major `[rows, labels.len()]`, in the order of `truth`.
/// * `truth`: the indices of each row's labels, increasing.
/// * `labels`: label names by index, and `thresholds` the least probability of each.
///
/// # Errors
/// When there are no rows, shapes disagree, or a logit is not finite (the row is named).
pub fn evaluate_multi_label(
    logits: &[f32],
    truth: &[Vec<u32>],
    labels: &[String],
    thresholds: &[f64],
) -> Result<MultiLabel> {
    let (rows, width) = (truth.len(), labels.len());
    if rows == 0 {
        return Err(Error::request("there are no rows to evaluate"));
    }
    if rows.checked_mul(width) != Some(logits.len()) || thresholds.len() != width || width == 0 {
        let found = logits.len();
        return Err(Error::failure(format!("{found} logits are not those of {rows} rows and {width} labels")));
    }
    let mut counts = vec![Counts::default(); width];
    let mut of_rows = Vec::with_capacity(rows);
    let mut loss = 0.0;
    for (index, (row, own)) in logits.chunks_exact(width).zip(truth).enumerate() {
        if row.iter().any(|logit| !logit.is_finite()) {
            let number = index + 1;
            return Err(Error::failure(format!("the logits of row {number} (of {rows} evaluated) are not finite"))
                .hint(NOT_FINITE));
        }
        let mut of_row = Counts::default();
        for (label, ((&logit, &threshold), of_label)) in row.iter().zip(thresholds).zip(&mut counts).enumerate() {
            let has = own.binary_search(&(label as u32)).is_ok();
            loss += cross_entropy(logit, has);
            for counts in [of_label, &mut of_row] {
                match (has, is_given(logit, threshold)) {
                    (true, true) => counts.true_positive += 1,
                    (false, true) => counts.false_positive += 1,
                    (true, false) => counts.false_negative += 1,
                    (false, false) => {}
                }
            }
        }
        of_rows.push(of_row);
    }
    let all = sum(&counts);
    let precisions = average_precisions(logits, truth, width);
    let defined: Vec<f64> = precisions.iter().flatten().copied().collect();
    let per_row = |count: u64| count as f64 / rows as f64;
    let scores = all.scores();
    let each = counts.iter().zip(precisions).zip(thresholds).map(|((counts, average_precision), &threshold)| {
        LabelScores { scores: counts.scores(), average_precision, threshold }
    });
    Ok(MultiLabel {
        rows: rows as u64,
        micro_f1: scores.f1,
        micro_f1_interval: micro_f1_interval(&of_rows, all),
        micro_precision: scores.precision,
        micro_recall: scores.recall,
        macro_f1: macro_f1(&counts),
        sample_f1: of_rows.iter().map(|row| if row.occurs() { row.scores().f1 } else { 1.0 }).sum::<f64>()
            / rows as f64,
        exact_match: per_row(of_rows.iter().filter(|row| row.false_positive + row.false_negative == 0).count() as u64),
        mean_average_precision: (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64),
        loss: loss / (rows * width) as f64,
        labels_per_row: per_row(all.true_positive + all.false_negative),
        given_per_row: per_row(all.true_positive + all.false_positive),
        per_label: labels.iter().cloned().zip(each).collect(),
        labels: labels.to_vec(),
    })
}

/// -ln of the probability of what is right of one label.
fn cross_entropy(logit: f32, has: bool) -> f64 {
    let wrong = if has { -f64::from(logit) } else { f64::from(logit) };
    // ln(1 + e^wrong), without overflow.
    wrong.max(0.0) + (-wrong.abs()).exp().ln_1p()
}

fn sum(counts: &[Counts]) -> Counts {
    counts.iter().fold(Counts::default(), |sum, of| Counts {
        true_positive: sum.true_positive + of.true_positive,
        false_positive: sum.false_positive + of.false_positive,
        false_negative: sum.false_negative + of.false_negative,
    })
}

/// By label; `None` where no row has it.
fn average_precisions(logits: &[f32], truth: &[Vec<u32>], width: usize) -> Vec<Option<f64>> {
    let of_label = |label: usize| {
        let rows = logits.chunks_exact(width).zip(truth);
        let mut scored: Vec<(f64, bool)> = rows
            .map(|(row, own)| {
                let logit = row.get(label).copied().map_or(f64::NEG_INFINITY, f64::from);
                (logit, own.binary_search(&(label as u32)).is_ok())
            })
            .collect();
        scored.iter().any(|(_, positive)| *positive).then(|| curves(&mut scored).1)
    };
    (0..width).map(of_label).collect()
}

/// Micro-F1 plus and minus 1.96 standard errors, by leaving out each row in turn; `None` with a single row.
fn micro_f1_interval(rows: &[Counts], all: Counts) -> Option<Interval> {
    let count = rows.len() as f64;
    if rows.len() < 2 {
        return None;
    }
    let without = |row: &Counts| {
        let left = Counts {
            true_positive: all.true_positive - row.true_positive,
            false_positive: all.false_positive - row.false_positive,
            false_negative: all.false_negative - row.false_negative,
        };
        left.scores().f1
    };
    let values: Vec<f64> = rows.iter().map(without).collect();
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = (squares * (count - 1.0) / count).sqrt();
    let score = all.scores().f1;
    Some(Interval { low: (score - 1.96 * error).max(0.0), high: (score + 1.96 * error).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    // z = (np.random.default_rng(7).normal(-0.8, 1.5, (8, 4)) + 1.2 * y).round(1); q = 1 / (1 + np.exp(-z))
    // p = q >= [0.3, 0.2, 0.1, 0.4]
    #[rustfmt::skip]
    const LOGITS: [f32; 32] = [
        0.4, 0.8, -1.2, -2.1, -1.5, -2.3, -0.7, 2.4,
        -1.5, -1.7, -0.1, -0.3, -0.6, -1.0, -0.8, 1.4,
        -1.6, -1.5, -2.5, -1.5, -3.6, 0.0, -2.7, -0.4,
        -0.6, 0.1, -3.4, -1.6, 0.3, -0.6, -3.1, -1.5,
    ];

    fn truth() -> Vec<Vec<u32>> {
        vec![vec![0, 1], vec![3], vec![], vec![1, 3], vec![0, 2, 3], vec![1], vec![1, 2], vec![0]]
    }

    fn labels() -> Vec<String> {
        ["a", "b", "c", "d"].map(str::to_owned).to_vec()
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn every_number_is_scikit_learns() {
        let scores = evaluate_multi_label(&LOGITS, &truth(), &labels(), &[0.3, 0.2, 0.1, 0.4]).unwrap();
        // f1_score(y, p, average="micro"), and so on
        close(scores.micro_f1, 0.5517241379310345);
        close(scores.micro_precision, 0.47058823529411764);
        close(scores.micro_recall, 0.6666666666666666);
        close(scores.macro_f1, 0.5079365079365079);
        // f1_score(y, p, average="samples", zero_division=1)
        close(scores.sample_f1, 0.4958333333333333);
        // accuracy_score(y, p)
        close(scores.exact_match, 0.0);
        // average_precision_score(y, z)
        close(scores.mean_average_precision.unwrap(), 0.7044642857142858);
        // np.mean([log_loss(y[:, j], q[:, j], labels=[0, 1]) for j in range(4)])
        close(scores.loss, 0.6081197568648377);
        // precision_recall_fscore_support(y, p), average_precision_score(y, z, average=None)
        let expected = [
            (0.5, 0.6666666666666666, 0.5714285714285714, 3, 0.8095238095238095),
            (0.8, 1.0, 0.8888888888888888, 4, 0.95),
            (0.0, 0.0, 0.0, 2, 0.225),
            (0.5, 0.6666666666666666, 0.5714285714285714, 3, 0.8333333333333333),
        ];
        for ((_, of), (precision, recall, f1, support, average_precision)) in scores.per_label.iter().zip(expected) {
            close(of.scores.precision, precision);
            close(of.scores.recall, recall);
            close(of.scores.f1, f1);
            assert_eq!(of.scores.support, support);
            close(of.average_precision.unwrap(), average_precision);
        }
        assert_eq!((scores.rows, scores.labels_per_row, scores.given_per_row), (8, 1.5, 2.125));
    }

    #[test]
    fn a_row_without_labels_is_right_when_it_is_given_none() {
        let scores = evaluate_multi_label(&[-1.0, -2.0], &[vec![]], &labels()[..2], &[0.5; 2]).unwrap();
        assert_eq!((scores.exact_match, scores.sample_f1, scores.micro_f1), (1.0, 1.0, 0.0));
        assert_eq!((scores.mean_average_precision, scores.micro_f1_interval), (None, None));
        let json = serde_json::to_string(&scores).unwrap();
        assert_eq!(serde_json::from_str::<crate::evaluation::Evaluation>(&json).unwrap(), scores.into());
    }

    #[test]
    fn logits_that_cannot_be_scored_are_refused() {
        let of = |logits: &[f32]| evaluate_multi_label(logits, &[vec![0]], &labels()[..2], &[0.5; 2]);
        assert!(of(&[1.0]).is_err());
        assert!(of(&[1.0, f32::NAN]).unwrap_err().to_string().contains("row 1 (of 1 evaluated)"));
        let extreme = of(&[1e30, -1e30]).unwrap();
        assert_eq!((extreme.loss, extreme.exact_match), (0.0, 1.0));
    }

    #[test]
    fn the_interval_is_the_jackknifes() {
        let scores = evaluate_multi_label(&LOGITS, &truth(), &labels(), &[0.5; 4]).unwrap();
        let interval = scores.micro_f1_interval.unwrap();
        assert!(interval.low < scores.micro_f1 && scores.micro_f1 < interval.high, "{interval:?}");
        // Twice the rows: the interval is narrower by about the root of two.
        let (twice, truth_twice) = ([LOGITS, LOGITS].concat(), [truth(), truth()].concat());
        let again = evaluate_multi_label(&twice, &truth_twice, &labels(), &[0.5; 4]).unwrap();
        close(again.micro_f1, scores.micro_f1);
        let (narrow, wide) = (again.micro_f1_interval.unwrap(), interval);
        let ratio = (wide.high - wide.low) / (narrow.high - narrow.low);
        assert!((1.3..1.65).contains(&ratio), "{ratio}");
    }
}
