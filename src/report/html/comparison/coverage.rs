//! The accuracy of the rows that get a label, against how many get one.

use maud::{Markup, html};

use super::view::Series;
use crate::evaluation::coverage::Coverage;
use crate::report::html::figures::{CoveragePoint, coverage_line};
use crate::report::html::page::{figure, section};
use crate::report::html::plot::{Plot, Scale, Unit, legend_entry};
use crate::report::html::text::shown;

pub(super) fn coverage(all: &[Series]) -> Markup {
    let lines: Vec<(&Series, Vec<CoveragePoint>)> = all
        .iter()
        .map(|one| (one, coverage_line(&Coverage::of(&one.predictions.confidence, &one.predictions.correct))))
        .filter(|(_, line)| line.len() > 1)
        .collect();
    let strategies = lines.iter().filter(|(one, _)| !one.contender.is_baseline).flat_map(|(_, line)| line);
    let low = strategies.map(|point| point.accuracy).fold(1.0, f64::min);
    let near = |line: &[CoveragePoint]| line.iter().all(|point| point.accuracy >= low - 2.0 * (1.0 - low));
    let drawn: Vec<_> = lines.iter().filter(|(_, line)| near(line)).collect();
    let y = Scale::around(drawn.iter().flat_map(|(_, line)| line.iter().map(|point| point.accuracy)), Unit::Percent);
    let mut plot = Plot::new((Scale::new(0.0, 1.0, Unit::Percent), "rows that get a label"), (y, "accuracy of these"));
    for (one, line) in &drawn {
        plot.line(&one.class, &line.iter().map(|point| (point.share, point.accuracy)).collect::<Vec<_>>());
    }
    let legend =
        html! { @for (one, _) in &drawn { (legend_entry(&one.class, None, html! { (shown(one.contender.name)) })) } };
    let title = "Accuracy of the rows that get a label";
    let description = "Accuracy of the most confident rows against their share of all rows, one line per strategy";
    let content = html! {
        @if drawn.is_empty() { p { "No contender gives a confidence." } } @else {
            div.figures.one { (figure(html! { (title) }, legend, plot.finish(title, description))) }
        }
    };
    let note = html! {
        p {
            code { "rehead label --min-confidence P" } " leaves rows with less confidence without a label. The higher "
            "the line, the better the strategy’s confidence separates correct from wrong predictions. All seeds "
            "together."
        }
    };
    section("coverage", "Choosing a confidence threshold", note, content)
}
