//! The confusion matrix of every contender.

use maud::{Markup, html};

use super::view::{ComparisonReport, Series, ranked};
use crate::evaluation::confusion as confusion_matrix;
use crate::report::html::figures::{confusion, confusion_note};
use crate::report::html::page::section;
use crate::report::html::text::shown;
use crate::report::outcomes::Outcomes;

pub(super) fn confusions(report: &ComparisonReport, all: &[Series]) -> Markup {
    let matrix = |one: &Series| {
        let (truth, predicted): (Vec<u32>, Vec<u32>) =
            one.contender.runs.iter().flat_map(|run| report.truth.iter().zip(run.predicted)).unzip();
        let matrix = confusion_matrix::confusion(&predicted, &truth, report.labels.len());
        confusion(&matrix, report.labels, &Outcomes::new(&truth, &predicted, &vec![0.0; truth.len()]))
    };
    let small = report.labels.len() <= 3;
    let content = html! {
        @if small {
            div.matrices {
                @for one in ranked(report, all) { div { h3 { (shown(one.contender.name)) } (matrix(one)) } }
            }
        } @else {
            @for (index, one) in ranked(report, all).into_iter().enumerate() {
                details open[index == 0] { summary { (shown(one.contender.name)) } (matrix(one)) }
            }
        }
    };
    let note = html! {
        (confusion_note(report.labels.len()))
        @if report.comparison.seeds > 1 { p { "The rows of all seeds together." } }
    };
    section("confusions", "Confusion matrix: what gets mixed up", note, content)
}
