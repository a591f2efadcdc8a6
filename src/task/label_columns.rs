//! The columns of single-label classification: from the logits of a row to what is written of it.

use crate::data::{Labels, OutputValue};
use crate::evaluation::{argmax, softmax};
use crate::task::contract::{Answer, ColumnOptions, OutputColumns, Unknown};
use crate::task::shares::six_digits;

/// The predicted label with its confidence, the most probable labels, and every label's probability.
pub struct LabelColumns {
    names: Vec<String>,
    options: ColumnOptions,
}

impl LabelColumns {
    /// For labels of these `names`.
    pub fn new(names: &Labels, options: ColumnOptions) -> Self {
        let names = names.names().to_vec();
        Self { options: ColumnOptions { top: options.top.min(names.len()), ..options }, names }
    }

    /// The row's typicality as it is written, and whether that is too little; nothing where it is not asked for.
    fn typicality(&self, logits: &[f32]) -> Option<(f64, bool)> {
        let Unknown { typical, share } = self.options.unknown.as_ref()?;
        let typicality = (typical.share_of(logits) * 1e6).round() / 1e6;
        Some((typicality, typicality <= *share))
    }

    fn name(&self, class: usize) -> OutputValue {
        self.names.get(class).map_or(OutputValue::Empty, |name| OutputValue::Text(name.clone()))
    }
}

impl OutputColumns for LabelColumns {
    fn names(&self) -> Vec<String> {
        let mut names = vec!["predicted_label".to_owned(), "confidence".to_owned()];
        names.extend(self.options.unknown.as_ref().map(|_| "typicality".to_owned()));
        for rank in 1..=self.options.top {
            names.extend([format!("label_{rank}"), format!("confidence_{rank}")]);
        }
        if self.options.probabilities {
            names.extend(self.names.iter().map(|label| format!("p_{label}")));
        }
        names
    }

    fn answer(&self, logits: &[f32]) -> Answer {
        let class = argmax(logits);
        let probabilities = six_digits(&softmax(logits));
        // As it is written: a row must not show the confidence that was asked for and no label.
        let confidence = probabilities.get(class).copied().unwrap_or(f64::NAN);
        let is_confident = self.options.min_confidence.get(class).is_none_or(|&least| confidence >= least);
        let typicality = self.typicality(logits);
        let is_unusual = typicality.is_some_and(|(_, is_unusual)| is_unusual);
        let is_labelled = is_confident && !is_unusual;
        let label = match &self.options.unknown_label {
            _ if is_labelled => self.name(class),
            Some(unknown) => OutputValue::Text(unknown.clone()),
            None => OutputValue::Empty,
        };
        let mut values = vec![label, OutputValue::Number(confidence)];
        values.extend(typicality.map(|(typicality, _)| OutputValue::Number(typicality)));
        if self.options.top > 0 {
            let mut order: Vec<usize> = (0..probabilities.len()).collect();
            order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b)));
            for &class in order.iter().take(self.options.top) {
                values.extend([self.name(class), OutputValue::Number(probabilities[class])]);
            }
        }
        if self.options.probabilities {
            values.extend(probabilities.iter().map(|&p| OutputValue::Number(p)));
        }
        Answer { labels: is_labelled.then_some(class).into_iter().collect(), is_unusual, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Typical;

    #[test]
    fn columns_are_as_many_as_their_names() {
        let names = Labels::in_order(vec!["a".into(), "b".into(), "c".into()]).unwrap();
        let options =
            ColumnOptions { probabilities: true, top: 9, min_confidence: vec![0.9; 3], ..ColumnOptions::default() };
        let columns = LabelColumns::new(&names, options.clone());
        assert_eq!(columns.names().len(), 2 + 2 * 3 + 3);
        let Answer { labels, values, .. } = columns.answer(&[0.0, 1.0, 0.5]);
        assert_eq!(values.len(), columns.names().len());
        assert!(labels.is_empty() && values[0] == OutputValue::Empty, "less confident than asked");
        assert!(matches!(&values[2], OutputValue::Text(name) if name == "b"));
        assert_eq!(columns.empty().len(), values.len());
        let columns = LabelColumns::new(&names, ColumnOptions { unknown_label: Some("?".into()), ..options });
        assert_eq!(columns.answer(&[0.0, 1.0, 0.5]).values[0], OutputValue::Text("?".into()));
        assert_eq!(columns.answer(&[0.0, 9.0, 0.5]).labels, [1]);
    }

    #[test]
    fn an_unusual_row_has_no_label_however_sure_it_is() {
        let names = Labels::in_order(vec!["a".into(), "b".into()]).unwrap();
        let usual: Vec<f32> = (0..99).flat_map(|row| [5.0 + row as f32 / 20.0, 0.0]).collect();
        let unknown = Some(Unknown { typical: Typical::of(&usual, 2), share: 0.05 });
        let columns = LabelColumns::new(&names, ColumnOptions { unknown, ..ColumnOptions::default() });
        assert_eq!(columns.names(), ["predicted_label", "confidence", "typicality"]);
        let unusual = columns.answer(&[3.0, -1.0]);
        assert!(unusual.labels.is_empty() && unusual.is_unusual && unusual.values[2] == OutputValue::Number(0.01));
        let usual = columns.answer(&[8.0, 0.0]);
        assert_eq!((usual.labels, usual.is_unusual), (vec![0], false));
    }
}
