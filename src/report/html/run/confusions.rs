//! The confusion matrix of a split.

use maud::{Markup, html};

use super::view::SplitView;
use crate::console::units::{self, counted};
use crate::report::html::figures::{confusion, confusion_note, confusions};
use crate::report::html::page::section;
use crate::report::html::text::percent;

pub(super) fn confusion_matrix(scored: &SplitView, prefix: &str) -> Markup {
    let most = confusions(&scored.predictions);
    let content = html! {
        @if let Some(most) = most.first() {
            p {
                "Most often " (scored.label(most.truth as u32)) " is predicted as "
                (scored.label(most.predicted as u32)) ": " (units::count(most.rows)) " of its "
                (counted(most.support, "row")) " (" (percent(most.share())) ")."
            }
        }
        (confusion(&scored.split.evaluation.confusion, &scored.labels, &scored.predictions))
    };
    let note = confusion_note(scored.labels.len());
    section(&format!("{prefix}confusions"), "Confusion matrix: what gets mixed up", note, content)
}
