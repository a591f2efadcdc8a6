//! Validation scores by epoch.

use maud::{Markup, html};

use super::view::{ContenderRun, Series};
use crate::report::html::page::{figure, section};
use crate::report::html::plot::{Plot, Scale, Unit};
use crate::report::html::text::shown;
use crate::training::history::{EvaluationRecord, Record};

pub(super) fn curves(all: &[Series]) -> Markup {
    type Line = (Vec<(f64, f64)>, Vec<Vec<(f64, f64)>>);
    let line = |one: &Series, score: fn(&EvaluationRecord) -> f64| -> Line {
        let of_run = |run: &ContenderRun| {
            let valid = run.history.iter().filter_map(|record| match record {
                Record::Evaluation(evaluation) if evaluation.split == "valid" => Some(evaluation),
                _ => None,
            });
            valid.map(|valid| (f64::from(valid.epoch), score(valid))).collect::<Vec<_>>()
        };
        let seeds: Vec<Vec<(f64, f64)>> = one.contender.runs.iter().map(of_run).collect();
        // The mean goes as far as all runs do: beyond, it would jump as runs stop early.
        let epochs = seeds.iter().map(Vec::len).min().unwrap_or(0);
        let mean = (0..epochs).filter_map(|epoch| {
            let at: Vec<(f64, f64)> = seeds.iter().filter_map(|seed| seed.get(epoch).copied()).collect();
            Some((at.first()?.0, at.iter().map(|point| point.1).sum::<f64>() / at.len() as f64))
        });
        (mean.collect(), seeds)
    };
    let plot = |caption: &str, unit: Unit, score: fn(&EvaluationRecord) -> f64| {
        let lines: Vec<(&Series, Line)> =
            all.iter().map(|one| (one, line(one, score))).filter(|(_, line)| !line.0.is_empty()).collect();
        let last = lines.iter().flat_map(|(_, line)| line.1.iter().flatten()).map(|point| point.0).fold(1.0, f64::max);
        let values = lines.iter().flat_map(|(_, line)| line.1.iter().flatten().map(|point| point.1));
        let mut plot = Plot::new((Scale::new(1.0, last, Unit::Whole), "epoch"), (Scale::around(values, unit), ""));
        for (one, (mean, seeds)) in &lines {
            if let [only] = mean.as_slice() {
                plot.line(&format!("{} dotted", one.class), &[(1.0, only.1), (last, only.1)]);
                plot.marker(&one.class, one.shape, (last, only.1), &shown(one.contender.name));
                continue;
            }
            if seeds.len() > 1 {
                seeds.iter().for_each(|seed| plot.line(&format!("{} faint thinner", one.class), seed));
            }
            plot.line(&one.class, mean);
            for &at in mean {
                plot.marker(&one.class, one.shape, at, &shown(&format!("{}, epoch {}", one.contender.name, at.0)));
            }
        }
        let legend = html! { @for (one, _) in &lines { (one.legend()) } };
        let names: Vec<&str> = lines.iter().map(|(one, _)| one.contender.name).collect();
        figure(html! { (caption) }, legend, plot.finish(caption, &shown(&format!("By epoch: {}", names.join(", ")))))
    };
    let any = all.iter().any(|one| line(one, |valid| valid.main().1).0.len() > 1);
    let content = html! {
        @if any {
            div.figures {
                (plot("Validation accuracy", Unit::Percent, |valid| valid.main().1))
                (plot("Validation loss (cross-entropy)", Unit::Plain, |valid| valid.loss))
            }
        } @else { p { "No run was validated more than once, so there are no curves." } }
    };
    let note = html! {
        p {
            "Mean over seeds, with each seed in a lighter line. A head that is fitted directly, without epochs, is a "
            "level dotted line."
        }
    };
    section("curves", "Learning curves", note, content)
}
