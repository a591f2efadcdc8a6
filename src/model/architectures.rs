//! What the `architectures` of a `config.json` say that a checkpoint's head does. The names are transformers' classes:
//! a family's, then what it is for.

use std::fmt;

use serde_json::Value;

use crate::error::Error;

/// How transformers' names of classes end, and what such a model does.
const OTHER_HEADS: &[(&str, &str)] = &[
    ("ForTokenClassification", "a token classifier: it gives each word a label, as for named entities"),
    ("ForQuestionAnswering", "a question-answering model: it marks the answer in a text"),
    ("ForMaskedLM", "a masked language model: it fills in missing words"),
    ("ForPreTraining", "a pretrained model without a classifier: it fills in missing words"),
    ("ForCausalLM", "a language model: it continues a text"),
    ("LMHeadModel", "a language model: it continues a text"),
    ("ForConditionalGeneration", "a text generator"),
    ("ForMultipleChoice", "a multiple-choice model: it picks one of several texts"),
    ("ForNextSentencePrediction", "a next-sentence model: it says whether one text follows another"),
    ("ForMaskedImageModeling", "a pretrained model without a classifier: it fills in missing parts of images"),
    ("ForSemanticSegmentation", "a segmentation model: it gives each pixel a label"),
    ("ForObjectDetection", "an object detector: it finds things in an image"),
];

/// What classifies whole inputs.
const CLASSIFIERS: [&str; 2] = ["ForSequenceClassification", "ForImageClassification"];

/// A head that does not classify whole inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherHead<'a> {
    /// transformers' class.
    pub class: &'a str,
    /// What such a model does, for people.
    pub does: &'static str,
}

/// The head of another job that `config.json` names; `None` where it names none, or a classifier.
pub fn other_head(config: &Value) -> Option<OtherHead<'_>> {
    let names =
        || config.get("architectures").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    if names().any(|class| CLASSIFIERS.iter().any(|end| class.ends_with(end))) {
        return None;
    }
    names().find_map(|class| {
        OTHER_HEADS.iter().find(|(end, _)| class.ends_with(end)).map(|&(_, does)| OtherHead { class, does })
    })
}

impl fmt::Display for OtherHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (`{}`)", self.does, self.class)
    }
}

impl OtherHead<'_> {
    /// The error for a command that needs a classifier.
    pub fn refused(&self) -> Error {
        Error::request(format!("this is {self}, not a classifier of whole inputs"))
            .key("architectures")
            .hint("give its backbone a head for your labels: rehead train --model … --train … --out RUN")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn classifiers_and_bare_backbones_have_no_other_head() {
        for names in [json!(["BertForSequenceClassification"]), json!(["ViTModel"]), json!([]), json!(null), json!(3)] {
            assert_eq!(other_head(&json!({ "architectures": names })), None, "{names}");
        }
        let config = json!({ "architectures": ["RobertaForTokenClassification"] });
        assert_eq!(other_head(&config).unwrap().class, "RobertaForTokenClassification");
        let both = json!({ "architectures": ["BertForMaskedLM", "BertForSequenceClassification"] });
        assert_eq!(other_head(&both), None);
    }
}
