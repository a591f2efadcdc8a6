//! Whether each contender's confidence can be trusted.

use maud::{Markup, html};

use super::view::Series;
use crate::evaluation::calibration::BINS;
use crate::report::html::figures::reliability_figure;
use crate::report::html::page::section;
use crate::report::html::plot::Size;
use crate::report::html::text::{label, percent};

pub(super) fn reliability(all: &[&Series]) -> Markup {
    let with: Vec<&Series> = all.iter().copied().filter(|one| one.has_confidence()).collect();
    let ece = |one: &Series| {
        let runs = &one.contender.runs;
        runs.iter().map(|run| run.evaluation.ece).sum::<f64>() / runs.len().max(1) as f64
    };
    let content = html! {
        @if with.is_empty() { p { "No contender gives a confidence." } } @else {
            div.figures.small {
                @for one in with {
                    @let caption = html! { (label(one.contender.name)) span.quiet { ", error " (percent(ece(one))) } };
                    (reliability_figure(Size::Small, caption, &one.class, &one.predictions))
                }
            }
        }
    };
    let note = html! {
        p {
            "On the dashed line confidence is calibrated: of the rows with 80\u{202f}% confidence, 80\u{202f}% are "
            "correct. Error: the expected calibration error over " (BINS) " bins of equal width, mean over seeds."
        }
        p { "Thin vertical bars: 95\u{202f}% intervals. All seeds together." }
    };
    section("reliability", "How far to trust the confidence", note, content)
}
