//! What `rehead train` makes of data files together: rows and classes after the cleaning of labels, found by the code
//! that trains.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::cli::{InspectArgs, TrainingLabelArgs};
use crate::commands::inputs::label_rules;
use crate::config::OnBadInput;
use crate::data::inspect::modality;
use crate::data::{Modality, ReadOptions, Summary, load_labelled};
use crate::error::{Error, Result};
use crate::task;

/// The training data as a run would get them.
#[derive(Serialize)]
pub struct TrainingReport {
    /// Rows, classes and what is odd about them; `None` where training refuses.
    summary: Option<Summary>,
    /// What is done to the labels.
    notes: Vec<String>,
    /// What may not have been meant.
    warnings: Vec<String>,
    /// Why training refuses the data.
    refusal: Option<String>,
}

impl TrainingReport {
    /// Whether anything is asked that the report on one file does not say.
    pub fn is_asked_for(args: &InspectArgs) -> bool {
        let TrainingLabelArgs { on_empty_label, label_map, merge_labels, min_rows_per_label, other } = &args.labels;
        args.paths.len() > 1
            || *on_empty_label == OnBadInput::Skip
            || *merge_labels
            || label_map.is_some()
            || min_rows_per_label.is_some()
            || other.is_some()
    }

    /// Whether training takes the data and warns of nothing.
    pub fn is_fine(&self) -> bool {
        self.refusal.is_none() && self.warnings.is_empty()
    }

    /// Loads the files as training loads them.
    ///
    /// # Errors
    /// The options do not go together, or the file of new names cannot be used.
    pub fn of(args: &InspectArgs) -> Result<Self> {
        let TrainingLabelArgs { on_empty_label, label_map, merge_labels, min_rows_per_label, other } = &args.labels;
        if other.is_some() && min_rows_per_label.is_none() {
            return Err(Error::request("there are no labels for it: it is the name of those with too few rows")
                .key("data.other")
                .hint("say how few with --min-rows-per-label N"));
        }
        let rules =
            label_rules(*on_empty_label, label_map.as_deref(), *merge_labels, *min_rows_per_label, other.as_ref())?;
        let options = ReadOptions { label_rules: rules, ..args.columns.read_options(OnBadInput::Skip) };
        let is_images = args.paths.iter().all(|path| modality(path, &options) == Modality::Image);
        let options = ReadOptions { modality: if is_images { Modality::Image } else { Modality::Text }, ..options };
        Ok(Self::loaded(&args.paths, &options).unwrap_or_else(|error| Self {
            summary: None,
            notes: Vec::new(),
            warnings: Vec::new(),
            refusal: Some(match error.hint_text() {
                Some(hint) => format!("{error} (hint: {hint})"),
                None => error.to_string(),
            }),
        }))
    }

    fn loaded(paths: &[PathBuf], options: &ReadOptions) -> Result<Self> {
        let set = load_labelled(paths, options, None)?;
        task::task(None)?.names(&set.labels).map_err(|error| set.columns.at_label_column(error))?;
        let findings = set.summary.findings.sentences();
        let warnings = set.reading_warnings.into_iter().chain(set.warnings).chain(findings).collect();
        Ok(Self { summary: Some(set.summary), notes: set.notes, warnings, refusal: None })
    }
}

impl fmt::Display for TrainingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(refusal) = &self.refusal {
            return writeln!(f, "`rehead train` refuses: {refusal}");
        }
        if let Some(summary) = &self.summary {
            writeln!(f, "`rehead train` gets {summary}")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "  - {warning}"))
    }
}
