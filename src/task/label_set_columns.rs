//! The columns of multi-label classification: from the logits of a row to what is written of it.

use crate::data::{Labels, OutputValue};
use crate::evaluation::{is_given, label_thresholds, sigmoid};
use crate::task::contract::{Answer, ColumnOptions, OutputColumns};

/// The labels that a row is given, joined, the most probable ones with their probabilities, and every label's
/// probability.
pub struct LabelSetColumns {
    names: Vec<String>,
    thresholds: Vec<f64>,
    options: ColumnOptions,
}

impl LabelSetColumns {
    /// For labels of these `names`.
    pub fn new(names: &Labels, options: ColumnOptions) -> Self {
        let names = names.names().to_vec();
        let thresholds = options.thresholds.clone().unwrap_or_else(|| vec![label_thresholds::USUAL; names.len()]);
        Self { options: ColumnOptions { top: options.top.min(names.len()), ..options }, thresholds, names }
    }

    fn name(&self, label: usize) -> &str {
        self.names.get(label).map_or("", String::as_str)
    }
}

/// The column of the labels.
pub const LABELS: &str = "predicted_labels";

impl OutputColumns for LabelSetColumns {
    fn names(&self) -> Vec<String> {
        let mut names = vec![LABELS.to_owned()];
        for rank in 1..=self.options.top {
            names.extend([format!("label_{rank}"), format!("confidence_{rank}")]);
        }
        if self.options.probabilities {
            names.extend(self.names.iter().map(|label| format!("p_{label}")));
        }
        names
    }

    fn answer(&self, logits: &[f32]) -> Answer {
        let probability = |label: usize| {
            let probability = sigmoid(logits.get(label).copied().unwrap_or(f32::NAN));
            (probability * 1e6).round() / 1e6
        };
        let thresholds = logits.iter().zip(&self.thresholds).enumerate();
        let given = thresholds.filter(|(_, (logit, threshold))| is_given(**logit, **threshold));
        let labels: Vec<usize> = given.map(|(label, _)| label).collect();
        let joined: Vec<&str> = labels.iter().map(|&label| self.name(label)).collect();
        let text = match &self.options.unknown_label {
            Some(unknown) if labels.is_empty() => unknown.clone(),
            _ => joined.join(&self.options.label_separator),
        };
        let mut values = vec![OutputValue::Text(text)];
        if self.options.top > 0 {
            let mut order: Vec<usize> = (0..logits.len()).collect();
            order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
            for &label in order.iter().take(self.options.top) {
                values
                    .extend([OutputValue::Text(self.name(label).to_owned()), OutputValue::Number(probability(label))]);
            }
        }
        if self.options.probabilities {
            values.extend((0..self.names.len()).map(|label| OutputValue::Number(probability(label))));
        }
        Answer { labels, is_unusual: false, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_from_their_thresholds_on_are_joined() {
        let names = Labels::in_order(["a", "b", "c"].map(str::to_owned).to_vec()).unwrap();
        let options = ColumnOptions {
            probabilities: true,
            top: 2,
            thresholds: Some(vec![0.5, 0.3, 0.9]),
            label_separator: "|".into(),
            ..ColumnOptions::default()
        };
        let columns = LabelSetColumns::new(&names, options.clone());
        let expected = ["predicted_labels", "label_1", "confidence_1", "label_2", "confidence_2", "p_a", "p_b", "p_c"];
        assert_eq!(columns.names(), expected);
        let text = |value: &OutputValue| match value {
            OutputValue::Text(text) => text.clone(),
            OutputValue::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let Answer { labels, values, .. } = columns.answer(&[0.0, -0.5, 1.0]);
        assert_eq!(labels, [0, 1]);
        let shown: Vec<String> = values.iter().map(text).collect();
        assert_eq!(shown, ["a|b", "c", "0.731059", "a", "0.5", "0.5", "0.377541", "0.731059"]);
        let none = columns.answer(&[-9.0; 3]);
        assert!(none.labels.is_empty() && none.values[0] == OutputValue::Text(String::new()));
        let named = ColumnOptions { unknown_label: Some("none".into()), ..options };
        let none = LabelSetColumns::new(&names, named).answer(&[-9.0; 3]);
        assert_eq!(none.values[0], OutputValue::Text("none".into()));
    }
}
