//! Confidence against accuracy (the reliability diagram), and how many rows have which confidence.

use maud::{Markup, html};

use crate::console::units::counted;
use crate::evaluation::{reliability, wilson};
use crate::report::html::page::figure;
use crate::report::html::plot::{Plot, Scale, Size, Unit};
use crate::report::html::text::{percent, percent_bare};
use crate::report::outcomes::Outcomes;

/// A scale for the confidences of a split. With two labels none is below a half, and half of the plot would be empty.
fn confidence_scale(predictions: &Outcomes) -> Scale {
    let least = predictions.confidence.iter().copied().fold(1.0, f64::min);
    Scale::new(if least >= 0.4 { 0.4 } else { 0.0 }, 1.0, Unit::Percent)
}

/// The reliability diagram: accuracy against confidence, in bins.
pub fn reliability_figure(size: Size, caption: Markup, class: &str, predictions: &Outcomes) -> Markup {
    let bins = reliability(&predictions.confidence, &predictions.correct);
    let x = confidence_scale(predictions);
    let low = x.low();
    let y = Scale::new(0.0, 1.0, Unit::Percent);
    let mut plot = Plot::of_size(size, (x, "confidence"), (y, "accuracy"));
    plot.line("quiet dashed thinner", &[(low, low), (1.0, 1.0)]);
    let filled = || bins.iter().filter_map(|bin| Some((bin, bin.mean_confidence()?, bin.accuracy()?)));
    if size == Size::Plain {
        let at = |share: f64| low + share * (1.0 - low);
        // Each note stands in its corner, or beside it where the line passes through the corner.
        let passes = |from: f64, to: f64, height: std::ops::Range<f64>| {
            filled().any(|(bin, confidence, _)| {
                let interval = wilson(bin.correct, bin.rows);
                (at(from)..at(to)).contains(&confidence) && interval.high > height.start && interval.low < height.end
            })
        };
        let left = if passes(0.0, 0.35, 0.85..1.1) { 0.4 } else { 0.03 };
        let right = if passes(0.65, 1.1, -0.1..0.15) { 0.6 } else { 0.98 };
        plot.note("quiet", (at(left), 0.93), false, "underconfident");
        plot.note("quiet", (at(right), 0.05), true, "overconfident");
    }
    for (bin, confidence, _) in filled() {
        let interval = wilson(bin.correct, bin.rows);
        plot.whisker(&format!("{class} thin"), confidence, interval.low, interval.high);
    }
    plot.line(class, &filled().map(|(_, confidence, accuracy)| (confidence, accuracy)).collect::<Vec<_>>());
    let most = bins.iter().map(|bin| bin.rows).max().unwrap_or(1).max(1);
    for (bin, confidence, accuracy) in filled() {
        let tip = format!(
            "confidence about {}: {} of {} correct ({})",
            percent(confidence),
            bin.correct,
            counted(bin.rows, "row"),
            percent(accuracy)
        );
        // The area of a dot is in proportion to its rows.
        let radius = 2.5 + 6.5 * (bin.rows as f64 / most as f64).sqrt();
        plot.dot(class, (confidence, accuracy), if size == Size::Plain { radius } else { 0.7 * radius }, &tip);
    }
    let description = format!(
        "Accuracy against confidence in bins; mean confidence {}, accuracy {}",
        percent(predictions.mean_confidence()),
        percent(predictions.accuracy())
    );
    figure(caption, html! {}, plot.finish("Reliability diagram", &description))
}

/// How many rows there are of each confidence.
pub fn confidence_histogram(predictions: &Outcomes) -> Markup {
    let bins = reliability(&predictions.confidence, &predictions.correct);
    let edges = |bin: usize| (bin as f64 / bins.len() as f64, (bin + 1) as f64 / bins.len() as f64);
    let x = confidence_scale(predictions);
    let rows = predictions.rows().max(1) as f64;
    let share = |bin: usize| bins[bin].rows as f64 / rows;
    let largest = (0..bins.len()).map(share).fold(0.0, f64::max);
    let y = Scale::around([0.0, largest], Unit::Percent);
    let mut histogram = Plot::new((x, "confidence"), (y, "share of rows"));
    for (index, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.rows > 0) {
        let (from, to) = edges(index);
        let tip =
            format!("{} with a confidence of {} to {}", counted(bin.rows, "row"), percent_bare(from), percent(to));
        histogram.bar("c0", (from.max(x.low()), to), share(index), &tip);
    }
    let histogram = histogram.finish("Histogram of confidence", "The share of the rows in each bin of confidence");
    figure(html! { "Distribution of confidence" }, html! {}, histogram)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_nothing_are_empty_not_wrong() {
        let nothing = Outcomes::new(&[], &[], &[]);
        for drawn in [reliability_figure(Size::Plain, html! {}, "c0", &nothing), confidence_histogram(&nothing)] {
            assert!(!drawn.into_string().contains("NaN"));
        }
    }
}
