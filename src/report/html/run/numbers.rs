//! The pages of a run and of an evaluation whose rows have numbers: the scores, predicted against right numbers, the
//! errors, and the rows of the largest ones.

use maud::{Markup, html};

use super::data::data;
use super::examples::{MOST_ROWS, rows};
use super::page::header;
use super::result::costs;
use super::settings::settings;
use super::training::training;
use super::view::{FEW_ROWS, RunReport, content, origin};
use crate::console::units::counted;
use crate::data::Modality;
use crate::evaluation::regression::Regression;
use crate::report::html::figures::{residuals, scatter};
use crate::report::html::next_steps::next_steps;
use crate::report::html::page::{self, section, skeleton};
use crate::report::html::text::{capitalised, shown, split_name};
use crate::report::provenance::Provenance;
use crate::report::regression::number;
use crate::report::{NextStep, Origin, PredictedNumbers, RunMetrics, Seen};

/// A split with the numbers that a network predicts for it.
pub struct NumberSplit<'a> {
    /// `valid` or `test`.
    pub name: &'a str,
    /// The scores of these predictions.
    pub evaluation: &'a Regression,
    /// The numbers.
    pub predictions: &'a PredictedNumbers,
    /// The rows' texts, or the paths of their images.
    pub texts: &'a [String],
    /// What `texts` holds: texts, or paths of images.
    pub modality: Modality,
    /// Where each row comes from; empty where that is not known.
    pub origins: &'a [Origin],
    /// The rows that the network was trained on, where there are any.
    pub seen: Option<&'a Seen>,
}

/// The page of a run. The splits of `report` are left empty: `splits` has those that were scored.
pub fn numbers_page(report: &RunReport, splits: &[NumberSplit]) -> String {
    // The test data judge; validation does where there are none.
    let first = splits.iter().position(|split| split.name == "test").unwrap_or(0);
    let main = splits.get(first);
    let others = splits.iter().enumerate().filter(|(index, _)| *index != first).map(|(_, split)| split);
    let body = html! {
        (header(report))
        (next_steps(report.next))
        @match main {
            Some(main) => { (result(Some(report.metrics), main, "")) },
            None => { (section("result", "Result", html! {}, html! { p.lead { "Nothing was evaluated." } })) },
        }
        (training(report))
        @if let Some(main) = main { (errors(main, "")) (mistakes(main, "")) }
        @for other in others {
            @let prefix = format!("{}-", other.name);
            details.group {
                summary { "The same for the " (split_name(other.name)) " data" }
                (result(None, other, &prefix))
                (errors(other, &prefix))
                (mistakes(other, &prefix))
            }
        }
        (data(report))
        (settings(report))
    };
    skeleton("run", report.title, body)
}

/// The page of one split, of which only a model and data are known. `data`: name, value.
pub fn numbers_evaluation_page(
    title: &str,
    split: &NumberSplit,
    data: &[(String, String)],
    next: &[NextStep],
    provenance: &Provenance,
) -> String {
    let body = html! {
        header { h1 { (shown(title)) } p.facts { (provenance.date) } }
        (next_steps(next))
        (result(None, split, ""))
        (errors(split, ""))
        (mistakes(split, ""))
        (page::data(data))
    };
    skeleton("run", title, body)
}

fn result(metrics: Option<&RunMetrics>, split: &NumberSplit, prefix: &str) -> Markup {
    let scores = split.evaluation;
    let content = html! {
        p.lead { (scores.sentence(split_name(split.name))) "." }
        table {
            thead {
                tr {
                    th.word scope="col" { "score" } th scope="col" { "value" }
                    th.word scope="col" { "95\u{202f}% interval" }
                }
            }
            tbody {
                @for [name, value, interval] in scores.rows_of_scores() {
                    tr { th.word scope="row" { (name) } td { (value) } td.word { span.interval { (interval) } } }
                }
            }
        }
        p {
            "Always answering the mean of these rows, " (number(scores.truth_mean)) ", has an RMSE of "
            (number(scores.truth_deviation)) ": R² is the share of its square that the network takes away."
        }
        @if let Some(warning) = scores.warning() { p { b { (capitalised(&warning)) "." } } }
        @if let Some(seen) = split.seen { p { b { (shown(&capitalised(&seen.warning))) "." } } }
        @if split.name == "valid" && metrics.is_some_and(|metrics| metrics.refit.is_none()) {
            p {
                "There were no test data. The validation data also served to choose what was kept, so the scores on "
                "them are slightly optimistic."
            }
        }
        @if scores.rows < FEW_ROWS {
            p { "With so few rows every score on this page is rough: look at the intervals." }
        }
        @if let Some(said) = metrics.and_then(RunMetrics::refitted) { p { (shown(&capitalised(&said))) "." } }
        @if let Some(metrics) = metrics { (costs(metrics)) }
    };
    let note = html! {
        p {
            "The intervals show how much a score depends on which rows were drawn: those of the correlations by "
            "Fisher's z, the others by the jackknife."
        }
    };
    section(&format!("{prefix}result"), "Result", note, content)
}

fn errors(split: &NumberSplit, prefix: &str) -> Markup {
    let note = html! {
        p {
            "Right: points should lie around the line without a pattern. A slope says that the network answers too "
            "near to the mean; a fan that it errs more where numbers are large."
        }
    };
    let figures = html! { div.figures { (scatter(split.predictions)) (residuals(split.predictions)) } };
    section(&format!("{prefix}errors"), "Errors", note, figures)
}

fn mistakes(split: &NumberSplit, prefix: &str) -> Markup {
    let largest = split.predictions.mistakes();
    let listed = html! {
        p {
            "The rows of the largest errors, of " (counted(split.evaluation.rows, "row")) "."
            @if prefix.is_empty() { " More are in " code { "predictions/mistakes.csv" } "." }
        }
        (rows(split.modality, &largest[..largest.len().min(MOST_ROWS)], |&row| {
            let (predicted, truth) = (f64::from(split.predictions.predicted[row]), split.predictions.truth[row]);
            html! {
                p {
                    span { b { (number(predicted)) } " predicted" }
                    span { (number(truth)) " in the data" }
                    (origin(split.origins, row))
                }
                (content(split.texts.get(row), split.modality, row, &format!("{prefix}mistake-{row}")))
            }
        }))
    };
    let note = html! { p { "Numbers in the data that cannot be right are found here first." } };
    section(&format!("{prefix}mistakes"), "The largest errors", note, listed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::evaluate_regression;

    #[test]
    fn the_page_of_an_evaluation_has_its_figures_and_its_largest_errors() {
        let numbers = PredictedNumbers { truth: vec![1.0, 2.0, 4.0, 3.0], predicted: vec![1.5, 2.0, 3.0, 3.25] };
        let scores = evaluate_regression(&numbers.predicted, &numbers.truth, &["stars".to_owned()]).unwrap();
        let texts: Vec<String> = (0..4).map(|row| format!("text {row} <script>")).collect();
        let split = NumberSplit {
            name: "test",
            evaluation: &scores,
            predictions: &numbers,
            texts: &texts,
            modality: Modality::Text,
            origins: &[],
            seen: None,
        };
        let provenance = Provenance { date: "today".to_owned(), command: String::new() };
        let page = numbers_evaluation_page("<b>", &split, &[], &[], &provenance);
        for id in ["result", "errors", "mistakes", "data"] {
            assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
        }
        assert_eq!(page.matches("<circle").count(), 8);
        assert!(page.find("text 2 ") < page.find("text 0 ") && !page.contains("<script") && !page.contains("NaN"));
        assert!(page.contains("RMSE on 4 test rows"), "{page}");
    }
}
