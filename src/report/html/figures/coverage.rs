//! Coverage: the accuracy of the rows that get a label, as a confidence threshold leaves out the others.

use maud::{Markup, html};

use crate::evaluation::coverage::{Coverage, Point};
use crate::evaluation::{Interval, wilson};
use crate::report::html::page::figure;
use crate::report::html::plot::{Plot, Scale, Unit};
use crate::report::html::text::{percent, percent_range};

/// The number and the share of labelled rows below which an accuracy is not worth drawing.
const FEWEST_DRAWN: (u64, u64) = (10, 50);

/// A point of a coverage plot.
pub struct CoveragePoint {
    /// The share of the rows that is labelled.
    pub share: f64,
    pub accuracy: f64,
    interval: Interval,
}

/// The line of a coverage plot, without its beginning, where there are too few rows.
pub fn coverage_line(coverage: &Coverage) -> Vec<CoveragePoint> {
    let points = coverage.points();
    let fewest = points.last().map_or(0, |last| FEWEST_DRAWN.0.max(last.rows / FEWEST_DRAWN.1).min(last.rows / 2));
    let drawn = points.iter().filter(|point| point.labelled >= fewest).filter_map(|point| {
        let interval = wilson(point.correct, point.labelled);
        Some(CoveragePoint { share: point.coverage(), accuracy: point.accuracy()?, interval })
    });
    drawn.collect()
}

/// Accuracy against the share of the rows that is labelled, for one set of predictions.
pub fn coverage_plot(caption: &str, coverage: &Coverage) -> Markup {
    let line = coverage_line(coverage);
    let y = Scale::around(line.iter().flat_map(|point| [point.interval.low, point.interval.high]), Unit::Percent);
    let mut plot = Plot::new((Scale::new(0.0, 1.0, Unit::Percent), "rows that get a label"), (y, "accuracy of these"));
    let band: Vec<_> = line.iter().map(|point| (point.share, point.interval.low, point.interval.high)).collect();
    plot.band("c0", &band);
    plot.line("c0", &line.iter().map(|point| (point.share, point.accuracy)).collect::<Vec<_>>());
    let description =
        "Accuracy of the most confident rows against their share of all rows, with its 95 per cent interval";
    figure(html! { (caption) }, html! {}, plot.finish("Coverage against accuracy", description))
}

/// What `--min-confidence` does at round thresholds, and at the one that is recommended.
pub fn coverage_table(coverage: &Coverage, recommended: Option<Point>) -> Markup {
    const THRESHOLDS: [f64; 10] = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99];
    let mut points: Vec<_> = THRESHOLDS.iter().map(|&threshold| coverage.at(threshold)).collect();
    points.extend(recommended);
    points.sort_by(|a, b| a.threshold.total_cmp(&b.threshold));
    points.dedup_by_key(|point| point.threshold);
    let is_recommended = |point: &Point| recommended.is_some_and(|best| best.threshold == point.threshold);
    // Thresholds that leave out no row are not listed, and of those that leave out every row only the first is.
    let without_effect = points.iter().take_while(|point| point.labelled == point.rows).count();
    let with_rows = points.iter().filter(|point| point.labelled > 0).count();
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        th.word scope="col" { code { "--min-confidence" } }
                        th scope="col" { "rows that get a label" }
                        th scope="col" { "accuracy of these" }
                        th.word scope="col" { span.interval { "95\u{202f}% interval" } }
                    }
                }
                tbody {
                    tr { td.word { "none" } (coverage_cells(&coverage.at(0.0))) }
                    @for point in points.iter().take(with_rows + 1).skip(without_effect) {
                        tr {
                            td.word { (point.threshold) @if is_recommended(point) { " (recommended)" } }
                            (coverage_cells(point))
                        }
                    }
                }
            }
        }
    }
}

fn coverage_cells(point: &Point) -> Markup {
    html! {
        td { (percent(point.coverage())) }
        td { @match point.accuracy() { Some(accuracy) => (percent(accuracy)), None => "–" } }
        td.word { span.interval { @if point.labelled > 0 { (percent_range(wilson(point.correct, point.labelled))) } } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_that_say_nothing_are_left_out() {
        let (confidence, correct) = ([0.9, 0.8, 0.6, 0.7, 0.55, 1.0], [true, false, false, true, false, true]);
        let drawn = coverage_table(&Coverage::of(&confidence, &correct), None).into_string();
        assert!(
            !drawn.contains("<td class=\"word\">0.5</td>") && drawn.contains("<td class=\"word\">0.6</td>"),
            "{drawn}"
        );
        let unsure = coverage_table(&Coverage::of(&[0.35, 0.45], &[true, true]), None).into_string();
        let listed = |threshold: &str| unsure.contains(&format!("<td class=\"word\">{threshold}</td>"));
        assert!(listed("0.4") && listed("0.5") && !listed("0.6"), "{unsure}");
        let coverage = Coverage::of(&confidence, &correct);
        let drawn = coverage_table(&coverage, Some(coverage.at(0.725))).into_string();
        assert!(drawn.find(">0.7<") < drawn.find(">0.725 (recommended)<"), "{drawn}");
        assert!(drawn.find(">0.725 (recommended)<") < drawn.find(">0.8<"), "{drawn}");
    }

    #[test]
    fn a_plot_of_nothing_is_empty_not_wrong() {
        assert!(!coverage_plot("", &Coverage::of(&[], &[])).into_string().contains("NaN"));
    }
}
