//! How training went: loss and validation scores by step.

use maud::{Markup, html};

use super::view::RunReport;
use crate::config::KeepBest;
use crate::report::html::page::{figure, section};
use crate::report::html::plot::{Plot, Scale, Unit, legend_entry};
use crate::report::html::text::{percent, quoted};
use crate::report::verdict::capitalised;
use crate::training::history::{EvaluationRecord, Record, StepRecord};
use crate::training::stopping;

pub(super) fn training(report: &RunReport) -> Markup {
    let steps: Vec<&StepRecord> = report
        .history
        .iter()
        .filter_map(|record| if let Record::Step(step) = record { Some(step) } else { None })
        .collect();
    let valid: Vec<&EvaluationRecord> = report
        .history
        .iter()
        .filter_map(|record| if let Record::Evaluation(evaluation) = record { Some(evaluation) } else { None })
        .filter(|evaluation| evaluation.split == "valid")
        .collect();
    let is_focal = report.metrics.focal_gamma.is_some();
    let of_training = if is_focal { "training (focal loss)" } else { "training" };
    let curves = Curves { steps, valid, best: report.metrics.best_epoch, of_training };
    let note = html! {
        @if curves.steps.len() > 1 {
            p {
                "Where the validation scores stop improving while the training loss still falls, the network overfits: "
                "it memorises the training rows."
            }
        }
    };
    let content = html! {
        @if let Some(restart) = &report.metrics.restart {
            p { "What is shown is the second attempt: " (restart.sentence()) "." }
        }
        @if let Some(ended) = &report.metrics.ended {
            p { (capitalised(&ended.sentence(report.metrics.epochs, report.metrics.best_epoch))) "." }
        }
        @if curves.steps.len() < 2 && curves.valid.len() < 2 {
            p {
                @if report.metrics.strategy == "frozen" {
                    "The head was fitted directly on the features of the frozen backbone, so there is no curve to show."
                } @else if report.metrics.without_model {
                    "Every fold was a training of its own; their curves are not kept."
                } @else { "Too few steps were logged to draw a curve." }
                @if let [only] = curves.valid.as_slice() {
                    " Validation: " (scores(only))
                    @if report.metrics.temperature.is_some() { " (before temperature scaling)" }
                    "."
                }
            }
        } @else {
            div.figures {
                (curves.loss())
                @if curves.valid.len() > 1 { (curves.scores()) }
            }
            @if let Some(best) = curves.best_record() {
                p {
                    @if report.metrics.refit.is_some() { "Epoch " (best.epoch) " was chosen" }
                    @else { "The weights of epoch " (best.epoch) " were kept" }
                    @match &report.metrics.keep_best {
                        Some(KeepBest::Latest) => { ", the " (stopping::best(&KeepBest::Latest, best.usual().0)) }
                        Some(score) => { " for the " (quoted(&stopping::best(score, best.usual().0))) }
                        None => {}
                    }
                    ". Validation: " (scores(best))
                    @if report.metrics.temperature.is_some() { " (before temperature scaling)" }
                    "."
                }
            }
        }
    };
    section("training", "How training went", note, content)
}

fn scores(record: &EvaluationRecord) -> String {
    if has_numbers(record) {
        let (name, r2) = record.usual();
        return format!("{name} {r2:.3}, mean squared error {:.4}", record.loss);
    }
    let ((name, main), macro_f1) = (record.main(), percent(record.macro_f1));
    format!("{name} {}, macro-F1 {macro_f1}, loss {:.3}", percent(main), record.loss)
}

/// Whether its rows have numbers and no labels.
fn has_numbers(record: &EvaluationRecord) -> bool {
    record.macro_f1.is_nan()
}

struct Curves<'a> {
    steps: Vec<&'a StepRecord>,
    valid: Vec<&'a EvaluationRecord>,
    best: Option<u32>,
    /// What the curve of training shows.
    of_training: &'static str,
}

impl Curves<'_> {
    fn best_record(&self) -> Option<&EvaluationRecord> {
        let best = self.best?;
        self.valid.iter().find(|record| record.epoch == best).copied()
    }

    fn plot(&self, values: impl Iterator<Item = f64>, unit: Unit, y: &str) -> Plot {
        let steps = self.steps.iter().map(|step| step.step).chain(self.valid.iter().map(|valid| valid.step));
        let last = steps.max().unwrap_or(1) as f64;
        let mut plot =
            Plot::new((Scale::new(0.0, last, Unit::Plain), "optimizer steps"), (Scale::around(values, unit), y));
        if let Some(best) = self.best_record() {
            plot.vertical_line("quiet dashed", best.step as f64, "kept");
        }
        plot
    }

    fn loss(&self) -> Markup {
        let steps: Vec<(f64, f64)> = self.steps.iter().map(|step| (step.step as f64, step.loss)).collect();
        // The training loss of numbers has another unit: standard deviations of the training rows.
        let comparable = self.valid.iter().filter(|record| !has_numbers(record));
        let valid: Vec<(f64, f64)> = comparable.map(|valid| (valid.step as f64, valid.loss)).collect();
        let unit = match self.valid.first() {
            Some(record) if has_numbers(record) => "loss of standardised numbers",
            _ => "cross-entropy per row",
        };
        let values = [0.0].into_iter().chain(steps.iter().chain(&valid).map(|point| point.1));
        let mut plot = self.plot(values, Unit::Plain, unit);
        plot.line("c7", &steps);
        plot.line("c1", &valid);
        for (record, &at) in self.valid.iter().zip(&valid) {
            plot.marker("c1", 1, at, &format!("epoch {}: {:.3}", record.epoch, record.loss));
        }
        let legend = html! {
            (legend_entry("c7", None, html! { (self.of_training) }))
            @if !valid.is_empty() { (legend_entry("c1", Some(1), html! { "validation" })) }
        };
        let ends = |points: &[(f64, f64)]| match points {
            [first, .., last] => format!("from {:.3} to {:.3}", first.1, last.1),
            _ => "not drawn".to_owned(),
        };
        let description = format!("Training {}, validation {}", ends(&steps), ends(&valid));
        figure(html! { "Loss" }, legend, plot.finish("Loss by optimizer step", &description))
    }

    fn scores(&self) -> Markup {
        let line = |score: fn(&EvaluationRecord) -> f64| -> Vec<(f64, f64)> {
            self.valid.iter().map(|valid| (valid.step as f64, score(valid))).collect()
        };
        let (main, f1) = (line(|valid| valid.main().1), line(|valid| valid.macro_f1));
        let name = self.valid.first().map_or("accuracy", |valid| valid.main().0);
        let mut plot = self.plot(main.iter().chain(&f1).map(|point| point.1), Unit::Percent, "");
        plot.line("c2 dashed", &f1);
        plot.line("c0", &main);
        for (record, (&main, &f1)) in self.valid.iter().zip(main.iter().zip(&f1)) {
            plot.marker("c2", 3, f1, &format!("epoch {}: macro-F1 {}", record.epoch, percent(record.macro_f1)));
            let score = percent(record.main().1);
            plot.marker("c0", 0, main, &format!("epoch {}: {name} {score}", record.epoch));
        }
        let legend = html! {
            (legend_entry("c0", Some(0), html! { (name) }))
            @if self.valid.iter().any(|record| !has_numbers(record)) {
                (legend_entry("c2 dashed", Some(3), html! { "macro-F1" }))
            }
        };
        let reached = self.valid.iter().map(|valid| valid.main().1).fold(0.0, f64::max);
        let description = format!("The highest {name} is {}", percent(reached));
        figure(html! { "Validation scores" }, legend, plot.finish("Validation scores by optimizer step", &description))
    }
}
