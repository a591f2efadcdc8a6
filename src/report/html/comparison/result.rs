//! The verdict, in a few sentences.

use maud::{Markup, html};

use super::view::ComparisonReport;
use crate::console::units::counted;
use crate::report::html::page::section;
use crate::report::html::text::quoted;

pub(super) fn result(report: &ComparisonReport) -> Markup {
    let (first, more) = report.verdict.split_once(". ").unwrap_or((report.verdict, ""));
    let content = html! {
        p.lead { (quoted(first)) @if !more.is_empty() { "." } }
        @if !more.is_empty() { p { (quoted(more)) } }
        @if report.split == "valid" {
            p {
                "There were no test data: these are the validation rows, which also served to choose the weights that "
                "were kept, so scores on them are slightly optimistic."
            }
        }
        @if report.split == "folds" {
            p {
                "Out of fold, " (counted(report.comparison.rows as u64, "row")) ": every training row was predicted by "
                "a model that was not trained on it, in the same folds for all strategies and baselines. The models "
                "are trained on fewer rows than one of all rows is, and share most of these: the intervals are "
                "approximate."
            }
        }
    };
    let note = html! {
        p {
            "A winner is named when the 95\u{202f}% intervals of its differences to all the others lie above zero. Of "
            "100 comparisons of equally good strategies, about 5 name a winner by chance."
        }
    };
    section("result", "Verdict", note, content)
}
