//! Whether the network's confidence can be trusted: its calibration.

use maud::{Markup, html};

use super::view::SplitView;
use crate::console::units::counted;
use crate::evaluation::calibration::BINS;
use crate::report::html::figures::{confidence_histogram, reliability_figure};
use crate::report::html::page::section;
use crate::report::html::plot::Size;
use crate::report::html::text::percent;

pub(super) fn confidence(scored: &SplitView, prefix: &str) -> Markup {
    let predictions = &scored.predictions;
    let evaluation = scored.split.evaluation;
    let accuracy = predictions.accuracy();
    let distance = predictions.mean_confidence() - accuracy;
    let chance = 2.0 * (accuracy * (1.0 - accuracy) / (evaluation.rows as f64).max(1.0)).sqrt();
    let content = html! {
        p {
            "The mean confidence is " (percent(predictions.mean_confidence())) ", the accuracy "
            (percent(predictions.accuracy())) ": on the whole the network is "
            @if distance.abs() < 0.01 { "well calibrated." }
            @else if distance > 0.0 { "overconfident." }
            @else { "underconfident." }
            " The expected calibration error is " (percent(evaluation.ece))
            @if let Some(before) = evaluation.ece_before {
                "; before temperature scaling it was " (percent(before))
            }
            "."
            @if distance.abs() >= 0.01 && distance.abs() < chance {
                " With " (counted(evaluation.rows, "row")) " a gap between confidence and accuracy as large as this "
                "may be due to chance."
            }
        }
        div.figures {
            (reliability_figure(Size::Plain, html! { "Accuracy at each confidence" }, "c0", predictions))
            (confidence_histogram(predictions))
        }
    };
    let note = html! {
        p {
            "Confidence is the probability that the network gives to the label it predicts. On the dashed line it is "
            "calibrated: of the rows with 80\u{202f}% confidence, 80\u{202f}% are correct. The expected calibration "
            "error is the mean distance from it, over " (BINS) " bins of equal width."
        }
        @if evaluation.ece_before.is_some() {
            p {
                "Temperature scaling: after training, the output layer was divided by one number, fitted on the "
                "validation data. It changes how confident the predictions are, not which label is predicted."
            }
        }
        p { "Vertical bars: 95\u{202f}% intervals. The larger a dot, the more rows it represents." }
    };
    section(&format!("{prefix}confidence"), "How far to trust the confidence", note, content)
}
