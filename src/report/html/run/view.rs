//! What the page of a run is given, and what its sections share.

use std::path::Path;

use maud::{Markup, html};

use crate::console::units;
use crate::data::Modality;
use crate::report::html::text::{label, long_text, shown};
use crate::report::html::thumbnail::copies;
use crate::report::outcomes::Outcomes;
use crate::report::provenance::Provenance;
use crate::report::{NextStep, Origin, RunMetrics, ScoredSets, ScoredSplit};
use crate::training::history::Record;

/// With fewer rows than this, the shape of a curve is mostly chance.
pub(super) const FEW_ROWS: u64 = 200;

/// What the page of a run shows.
pub struct RunReport<'a> {
    /// Heading of the page and of the browser's tab.
    pub title: &'a str,
    /// What `metrics.json` holds.
    pub metrics: &'a RunMetrics,
    /// `rehead.toml`.
    pub settings: &'a str,
    /// Steps and evaluations in order, those of earlier sessions included.
    pub history: &'a [Record],
    /// What is in the data: name, value.
    pub data: &'a [(String, String)],
    /// Each label with its rows in the training data, validation rows included.
    pub classes: &'a [(String, u64)],
    /// Whether validation rows were held out of the training data.
    pub holds_out: bool,
    /// Validation data first, then test data where there are any.
    pub splits: &'a [ScoredSplit<'a>],
    /// The same where rows may have several labels.
    pub sets: &'a [ScoredSets<'a>],
    /// What to do next, the most important first.
    pub next: &'a [NextStep],
    /// When and how the run was made.
    pub provenance: &'a Provenance,
}

/// A split with what follows from its predictions.
pub(super) struct SplitView<'a> {
    pub split: &'a ScoredSplit<'a>,
    pub labels: Vec<String>,
    pub predictions: Outcomes,
}

impl<'a> SplitView<'a> {
    pub fn of(split: &'a ScoredSplit<'a>) -> Self {
        Self { split, labels: split.labels(), predictions: split.outcomes() }
    }

    pub fn label(&self, index: u32) -> Markup {
        label(self.labels.get(index as usize).map_or("?", String::as_str))
    }

    /// The probability that a row gives a label.
    pub fn probability(&self, row: usize, label: u32) -> f64 {
        let at = row * self.labels.len() + label as usize;
        self.split.probabilities.get(at).map_or(f64::NAN, |&probability| f64::from(probability))
    }

    /// The file's row, and its id where it has one.
    pub fn origin(&self, row: usize) -> Markup {
        origin(self.split.origins, row)
    }

    /// The row's text, or its image, which opens larger under the name `id`.
    pub fn text(&self, row: usize, id: &str) -> Markup {
        content(self.split.texts.get(row), self.split.modality, row, id)
    }
}

/// The file's row of an example, and its id where it has one.
pub(super) fn origin(origins: &[Origin], row: usize) -> Markup {
    let Some(origin) = origins.get(row) else { return html! {} };
    let file = |path: &Path| path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    html! {
        @if let Some(path) = &origin.file {
            span title=(shown(&path.display().to_string())) {
                "row " (units::count(origin.row)) " of " span.name { (shown(&file(path))) }
            }
        }
        @if let Some((column, value)) = &origin.id { span { (shown(column)) " " b { (shown(value)) } } }
    }
}

/// The text of a row, or its image, which opens larger under the name `id`.
pub(super) fn content(text: Option<&String>, modality: Modality, row: usize, id: &str) -> Markup {
    match text {
        Some(text) if text.trim().is_empty() => html! { blockquote.soft { "(empty)" } },
        Some(file) if modality == Modality::Image => picture(Path::new(file), id),
        Some(text) => long_text(text),
        None => html! { blockquote.soft { "row " (row + 1) " of the data" } },
    }
}

/// A small copy of an image that opens a larger one above the page, which Escape or a click closes.
fn picture(file: &Path, id: &str) -> Markup {
    let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let (name, path) = (shown(&name), shown(&file.display().to_string()));
    html! {
        figure.picture {
            @if let Some(copies) = copies(file) {
                button type="button" popovertarget=(id) title="Open larger" { img src=(copies.small) alt=(name); }
                div.large popover id=(id) {
                    button type="button" popovertarget=(id) title="Close" { img src=(copies.large) alt=(path); }
                    p { (path) }
                }
            }
            figcaption title=(path) { (name) }
        }
    }
}
