//! The report on a data file as text for people.

use std::fmt;

use super::DetectedSetting;
use super::inspect::{DataReport, Distribution};
use super::label_text::visible;
use super::language::LanguageReport;
use crate::console::units::{counted, percent};
use crate::error::listed;

impl fmt::Display for DataReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.format)?;
        if let Some(delimiter) = &self.delimiter {
            write!(f, ", delimiter {delimiter}")?;
        }
        writeln!(f, ", {}", counted(self.rows, "row"))?;
        writeln!(f, "\ncolumns")?;
        for column in &self.columns {
            let role = if self.text.contains(&column.name) {
                if self.images { " [image]" } else { " [text]" }
            } else if self.label.as_ref() == Some(&column.name) {
                " [label]"
            } else {
                ""
            };
            let examples: Vec<String> = column.examples.iter().map(|value| format!("{value:?}")).collect();
            writeln!(f, "  {}{role}: {}", visible(&column.name), examples.join(", "))?;
        }
        for choice in &self.choices {
            let DetectedSetting { setting, value, reason } = choice;
            let what = match *setting {
                "text" if self.images => "image column",
                "text" => "text column",
                "label" => "label column",
                other => other,
            };
            writeln!(f, "  {what}: {} ({})", visible(value), visible(reason))?;
        }
        if self.label.is_none() && !self.text.is_empty() {
            writeln!(f, "  no label column found: enough to label; to train or to score, name one with --label COL")?;
        }
        if !self.classes.is_empty() {
            writeln!(f, "\nclasses ({})", self.classes.len())?;
            let shown = 20;
            for class in self.classes.iter().take(shown) {
                writeln!(f, "  {:>8}  {:>5.1} %  {}", class.rows, 100.0 * class.share, visible(&class.label))?;
            }
            if self.classes.len() > shown {
                writeln!(f, "  and {} smaller ones", self.classes.len() - shown)?;
            }
        }
        if let (Some(characters), Some(words)) = (&self.characters, &self.words) {
            writeln!(f, "\n{:<18}{:>8}{:>8}{:>8}{:>8}{:>8}", "text length", "min", "median", "mean", "p95", "max")?;
            for (name, lengths) in [("characters", characters), ("words", words)] {
                let Distribution { min, median, mean, p95, max } = lengths;
                writeln!(f, "  {name:<16}{min:>8}{median:>8}{mean:>8.1}{p95:>8}{max:>8}")?;
            }
        }
        for LanguageReport { language, share, models } in &self.languages {
            let models = listed(models);
            writeln!(f, "\nlanguage: {} of the texts in {language}; models that know it: {models}", percent(*share))?;
        }
        if !self.problems.is_empty() {
            writeln!(f, "\nwhat looks wrong")?;
        }
        for problem in &self.problems {
            writeln!(f, "  - {}", visible(problem))?;
        }
        Ok(())
    }
}
