//! The metadata of a model card, as the hub reads them: YAML between two lines of `---`
//! (<https://huggingface.co/docs/hub/model-cards>).

use std::fmt;

use super::escape::yaml;
use super::{Library, ModelCard};
use crate::data::Modality;
use crate::evaluation::Evaluation;

impl ModelCard<'_> {
    pub(super) fn write_front_matter(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (task, title) = match self.modality {
            Modality::Text => ("text-classification", "Text classification"),
            Modality::Image => ("image-classification", "Image classification"),
        };
        writeln!(f, "---")?;
        if let Some(license) = &self.base.license {
            writeln!(f, "license: {}", yaml(license))?;
        }
        if let Some(name) = &self.base.license_name {
            writeln!(f, "license_name: {}", yaml(name))?;
        }
        if let Some(id) = &self.base.id {
            writeln!(f, "base_model: {}", yaml(id.split('@').next().unwrap_or(id)))?;
        }
        // Of a base model for many languages it is not known which of them the data are in.
        if let [language] = self.base.languages.as_slice() {
            writeln!(f, "language: {}", yaml(language))?;
        }
        let library = if self.library == Library::Timm { "timm" } else { "transformers" };
        writeln!(f, "library_name: {library}\npipeline_tag: {task}\ntags:\n- {task}\n- rehead")?;
        let metrics = match (self.is_multi_label(), self.is_regression()) {
            (true, _) => "- f1",
            (_, true) => "- mse\n- spearmanr",
            _ => "- accuracy\n- f1",
        };
        writeln!(f, "metrics:\n{metrics}")?;
        if let Some((split, scores)) = self.main_scores() {
            let files = yaml(&self.files_of(split));
            writeln!(f, "model-index:\n- name: {}\n  results:", yaml(self.name))?;
            writeln!(f, "  - task:\n      type: {task}\n      name: {title}")?;
            writeln!(f, "    dataset:\n      name: {files}\n      type: {files}\n      split: {split}")?;
            writeln!(f, "    metrics:")?;
            let macro_f1 = ("f1", "Macro F1", scores.macro_f1());
            let both = match scores {
                Evaluation::MultiLabel(scores) => [("f1", "Micro F1", scores.micro_f1), macro_f1],
                Evaluation::SingleLabel(scores) => [("accuracy", "Accuracy", scores.accuracy), macro_f1],
                Evaluation::Regression(scores) => {
                    let spearman = scores.spearman.unwrap_or(0.0);
                    [("mse", "Mean squared error", scores.loss), ("spearmanr", "Spearman correlation", spearman)]
                }
            };
            for (kind, name, value) in both {
                writeln!(f, "    - type: {kind}\n      name: {name}\n      value: {value:.6}")?;
            }
        }
        writeln!(f, "---\n")
    }
}
