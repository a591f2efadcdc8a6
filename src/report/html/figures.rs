//! The figures that the page of a run and that of a comparison share: confusions, reliability, coverage.

use maud::{Markup, html};

use super::plot::{Plot, Scale, Size, Unit, sample};
use super::{Predictions, counted, figure, label, percent, percent_bare, percent_range, shown};
use crate::console::units;
use crate::evaluation::coverage::Coverage;
use crate::evaluation::{Interval, reliability, wilson};

/// Matrices of more labels serve nobody on a page; their largest confusions are listed.
const LARGEST_MATRIX: usize = 20;
/// Columns have names when there are at most so many of at most so many characters, numbers otherwise.
const NAMED_COLUMNS: (usize, usize) = (6, 14);
const MOST_CONFUSIONS: usize = 20;

/// Rows of one label taken for another.
#[derive(Debug, PartialEq)]
pub struct Confusion {
    pub truth: usize,
    pub predicted: usize,
    pub rows: u64,
    /// Rows that have the true label.
    pub support: u64,
}

impl Confusion {
    /// The share of the rows that have the true label.
    pub fn share(&self) -> f64 {
        self.rows as f64 / self.support.max(1) as f64
    }
}

/// What is taken for what, the most frequent first.
pub fn confusions(predictions: &Predictions) -> Vec<Confusion> {
    let mut counts = std::collections::BTreeMap::<(u32, u32), u64>::new();
    let mut support = std::collections::BTreeMap::<u32, u64>::new();
    for (&truth, &predicted) in predictions.truth.iter().zip(&predictions.predicted) {
        *support.entry(truth).or_default() += 1;
        if truth != predicted {
            *counts.entry((truth, predicted)).or_default() += 1;
        }
    }
    let mut found: Vec<Confusion> = counts
        .into_iter()
        .map(|((truth, predicted), rows)| Confusion {
            truth: truth as usize,
            predicted: predicted as usize,
            rows,
            support: support.get(&truth).copied().unwrap_or(0),
        })
        .collect();
    found.sort_by_key(|confusion| std::cmp::Reverse(confusion.rows));
    found
}

/// The matrix as a heat map; of many labels the most frequent confusions as a table.
pub fn confusion(matrix: &[Vec<u64>], labels: &[String], predictions: &Predictions) -> Markup {
    match matrix.len() {
        1..=LARGEST_MATRIX => self::matrix(matrix, labels),
        _ => most_frequent(labels, predictions),
    }
}

fn matrix(matrix: &[Vec<u64>], labels: &[String]) -> Markup {
    let name = |index: usize| shown(labels.get(index).map_or("?", String::as_str));
    let short = labels.iter().all(|label| label.chars().count() <= NAMED_COLUMNS.1);
    let named = matrix.len() <= NAMED_COLUMNS.0 && short;
    html! {
        div.scroll {
            table.matrix.few[named] {
                thead {
                    tr {
                        td style="background:none" {}
                        @for column in 0..matrix.len() {
                            th scope="col" title=(name(column)) {
                                @if named { (label(&name(column))) } @else { (column + 1) }
                            }
                        }
                    }
                }
                tbody {
                    @for (truth, row) in matrix.iter().enumerate() {
                        @let support = row.iter().sum::<u64>();
                        tr {
                            th scope="row" title=(name(truth)) {
                                @if !named { span.quiet { (truth + 1) " " } }
                                (label(&name(truth)))
                            }
                            @for (predicted, &rows) in row.iter().enumerate() {
                                (cell((truth, predicted), rows, support, &name))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell((truth, predicted): (usize, usize), rows: u64, support: u64, name: &dyn Fn(usize) -> String) -> Markup {
    let share = rows as f64 / support.max(1) as f64;
    // Confusions are few beside what is right: the root of their share keeps them visible.
    let (class, shade) = match (rows, truth == predicted) {
        (0, _) => ("none", None),
        (_, true) => ("right", Some(share)),
        (_, false) => ("wrong", Some(share.sqrt())),
    };
    let tip =
        format!("{} of {} rows of “{}” labelled “{}”: {}", rows, support, name(truth), name(predicted), percent(share));
    html! {
        td class=(class) style=[shade.map(|shade| format!("--shade:{shade:.3}"))] title=(tip) {
            @if rows == 0 { "·" } @else { (units::count(rows)) }
        }
    }
}

fn most_frequent(labels: &[String], predictions: &Predictions) -> Markup {
    let found = confusions(predictions);
    if found.is_empty() {
        return html! { p { "Every row is labelled rightly." } };
    }
    let name = |index: usize| label(labels.get(index).map_or("?", String::as_str));
    html! {
        table.full {
            caption {
                "The most frequent of the " (units::count(found.len() as u64)) " pairs of labels that are confused."
            }
            thead {
                tr {
                    th.word scope="col" { "true label" } th.word scope="col" { "taken for" }
                    th scope="col" { "rows" } th scope="col" { "of the true label" }
                }
            }
            tbody {
                @for confusion in found.iter().take(MOST_CONFUSIONS) {
                    tr {
                        td.word { (name(confusion.truth)) }
                        td.word { (name(confusion.predicted)) }
                        td { (units::count(confusion.rows)) }
                        td { (percent(confusion.share())) }
                    }
                }
            }
        }
    }
}

/// The scale of confidences that a split has. With two labels none is below a half: half of the plot would be empty.
fn confidence_scale(predictions: &Predictions) -> Scale {
    let least = predictions.confidence.iter().copied().fold(1.0, f64::min);
    Scale::new(if least >= 0.4 { 0.4 } else { 0.0 }, 1.0, Unit::Percent)
}

/// The reliability diagram: accuracy against confidence, in bins.
pub fn reliability_figure(size: Size, caption: Markup, class: &str, predictions: &Predictions) -> Markup {
    let bins = reliability(&predictions.confidence, &predictions.correct);
    let x = confidence_scale(predictions);
    let low = x.low();
    let y = Scale::new(0.0, 1.0, Unit::Percent);
    let mut plot = Plot::of_size(size, (x, "confidence"), (y, "rightly labelled"));
    plot.line("quiet dashed thinner", &[(low, low), (1.0, 1.0)]);
    if size == Size::Plain {
        plot.note("quiet", (low + (1.0 - low) * 0.03, 0.93), false, "says less than it knows");
        plot.note("quiet", (1.0 - (1.0 - low) * 0.02, 0.05), true, "says more than it knows");
    }
    let filled = || bins.iter().filter_map(|bin| Some((bin, bin.mean_confidence()?, bin.accuracy()?)));
    for (bin, confidence, _) in filled() {
        let interval = wilson(bin.correct, bin.rows);
        plot.whisker(&format!("{class} thin"), confidence, interval.low, interval.high);
    }
    plot.line(class, &filled().map(|(_, confidence, accuracy)| (confidence, accuracy)).collect::<Vec<_>>());
    for (bin, confidence, accuracy) in filled() {
        let tip = format!(
            "confidence about {}: {} of {} right ({})",
            percent(confidence),
            bin.correct,
            counted(bin.rows, "row", "rows"),
            percent(accuracy)
        );
        plot.marker(class, 0, (confidence, accuracy), &tip);
    }
    let description = format!(
        "Accuracy against confidence in bins; mean confidence {}, accuracy {}",
        percent(predictions.mean_confidence()),
        percent(predictions.accuracy())
    );
    figure(caption, html! {}, plot.finish("Reliability diagram", &description))
}

/// How many rows there are of each confidence.
pub fn confidence_histogram(predictions: &Predictions) -> Markup {
    let bins = reliability(&predictions.confidence, &predictions.correct);
    let edges = |bin: usize| (bin as f64 / bins.len() as f64, (bin + 1) as f64 / bins.len() as f64);
    let x = confidence_scale(predictions);
    let rows = predictions.rows().max(1) as f64;
    let share = |bin: usize| bins[bin].rows as f64 / rows;
    let largest = (0..bins.len()).map(share).fold(0.0, f64::max);
    let y = Scale::around([0.0, largest], Unit::Percent);
    let mut histogram = Plot::new((x, "confidence"), (y, "share of the rows"));
    for (index, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.rows > 0) {
        let (from, to) = edges(index);
        let tip = format!(
            "{} with a confidence of {} to {}",
            counted(bin.rows, "row", "rows"),
            percent_bare(from),
            percent(to)
        );
        histogram.bar("c0", (from.max(x.low()), to), share(index), &tip);
    }
    let histogram = histogram.finish("Histogram of confidence", "The share of the rows in each bin of confidence");
    figure(html! { "Rows at each confidence" }, html! {}, histogram)
}

/// The number and the share of labelled rows below which an accuracy is not worth drawing.
const FEWEST_DRAWN: (u64, u64) = (10, 50);

/// A point of a coverage plot.
pub struct Covered {
    /// The share of the rows that is labelled.
    pub share: f64,
    pub accuracy: f64,
    interval: Interval,
}

/// The line of a coverage plot, without its first stretch, where there are too few rows.
pub fn coverage_line(coverage: &Coverage) -> Vec<Covered> {
    let points = coverage.points();
    let fewest = points.last().map_or(0, |last| FEWEST_DRAWN.0.max(last.rows / FEWEST_DRAWN.1).min(last.rows / 2));
    let drawn = points.iter().filter(|point| point.labelled >= fewest).filter_map(|point| {
        let interval = wilson(point.correct, point.labelled);
        Some(Covered { share: point.coverage(), accuracy: point.accuracy()?, interval })
    });
    drawn.collect()
}

/// Accuracy against the share of the rows that is labelled, for one set of predictions.
pub fn coverage_plot(caption: &str, coverage: &Coverage) -> Markup {
    let line = coverage_line(coverage);
    let y = Scale::around(line.iter().flat_map(|point| [point.interval.low, point.interval.high]), Unit::Percent);
    let mut plot =
        Plot::new((Scale::new(0.0, 1.0, Unit::Percent), "rows that get a label"), (y, "of these rightly labelled"));
    let band: Vec<_> = line.iter().map(|point| (point.share, point.interval.low, point.interval.high)).collect();
    plot.band("c0", &band);
    plot.line("c0", &line.iter().map(|point| (point.share, point.accuracy)).collect::<Vec<_>>());
    let description = "Accuracy of the surest rows against their share of all rows, with its 95 per cent interval";
    figure(html! { (caption) }, html! {}, plot.finish("Coverage against accuracy", description))
}

/// What `--min-confidence` does at round thresholds.
pub fn coverage_table(coverage: &Coverage) -> Markup {
    const THRESHOLDS: [f64; 10] = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99];
    let points: Vec<_> = THRESHOLDS.iter().map(|&threshold| coverage.at(threshold)).collect();
    // Thresholds that change nothing say nothing.
    let all = points.iter().take_while(|point| point.labelled == point.rows).count();
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        th.word scope="col" { code { "--min-confidence" } }
                        th scope="col" { "rows that get a label" }
                        th scope="col" { "of these rightly" }
                        th.word scope="col" { span.interval { "95 % interval" } }
                    }
                }
                tbody {
                    tr { td.word { "none" } (coverage_cells(&coverage.at(0.0))) }
                    @for point in points.iter().skip(all) {
                        tr { td.word { (point.threshold) } (coverage_cells(point)) }
                    }
                }
            }
        }
    }
}

fn coverage_cells(point: &crate::evaluation::coverage::Point) -> Markup {
    html! {
        td { (percent(point.coverage())) }
        td { @match point.accuracy() { Some(accuracy) => (percent(accuracy)), None => "–" } }
        td.word { span.interval { @if point.labelled > 0 { (percent_range(wilson(point.correct, point.labelled))) } } }
    }
}

/// How a matrix, or what stands in its place, is to be read.
pub fn confusion_note(labels: usize) -> Markup {
    html! {
        @if labels <= LARGEST_MATRIX {
            p { "Rows: the true label. Columns: the predicted one." }
            p {
                span.key style="background:var(--good)" {} "rightly labelled, " span.key style="background:var(--bad)" {}
                "wrongly. The stronger the shade, the greater the share of the true label’s rows."
            }
        } @else {
            p { "Labels that are often confused may need clearer examples, or be one label in truth." }
        }
    }
}

/// A name beside the sample of its line.
pub fn legend_entry(class: &str, shape: Option<usize>, name: Markup) -> Markup {
    html! { span { (sample(class, shape)) (name) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions() -> Predictions {
        Predictions::new(&[0, 0, 0, 1, 1, 2], &[0, 1, 1, 1, 0, 2], &[0.9, 0.8, 0.6, 0.7, 0.55, 1.0])
    }

    #[test]
    fn confusions_are_listed_most_frequent_first() {
        let found = confusions(&predictions());
        assert_eq!(
            found,
            [
                Confusion { truth: 0, predicted: 1, rows: 2, support: 3 },
                Confusion { truth: 1, predicted: 0, rows: 1, support: 2 },
            ]
        );
    }

    #[test]
    fn few_labels_are_a_matrix_and_many_a_list() {
        let labels = ["a", "b", "<c>"].map(str::to_owned);
        let matrix = vec![vec![1, 2, 0], vec![1, 1, 0], vec![0, 0, 1]];
        let drawn = confusion(&matrix, &labels, &predictions()).into_string();
        assert!(
            drawn.contains("2 of 3 rows of “a” labelled “b”: 66.7\u{202f}%") && drawn.contains("&lt;c&gt;"),
            "{drawn}"
        );
        let many: Vec<String> = (0..50).map(|class| format!("class {class}")).collect();
        let drawn = confusion(&vec![vec![0; 50]; 50], &many, &predictions()).into_string();
        assert!(drawn.contains("class 1") && !drawn.contains("class 40"), "{drawn}");
        // Beyond the largest matrix that is kept there is none at all.
        assert!(confusion(&[], &many, &predictions()).into_string().contains("taken for"));
    }

    #[test]
    fn thresholds_that_change_nothing_are_left_out() {
        let predictions = predictions();
        let drawn = coverage_table(&Coverage::of(&predictions.confidence, &predictions.correct)).into_string();
        assert!(
            !drawn.contains("<td class=\"word\">0.5</td>") && drawn.contains("<td class=\"word\">0.6</td>"),
            "{drawn}"
        );
    }

    #[test]
    fn figures_of_nothing_are_empty_not_wrong() {
        let nothing = Predictions::new(&[], &[], &[]);
        for drawn in [
            reliability_figure(Size::Plain, html! {}, "c0", &nothing),
            confidence_histogram(&nothing),
            coverage_plot("", &Coverage::of(&[], &[])),
        ] {
            assert!(!drawn.into_string().contains("NaN"));
        }
    }
}
