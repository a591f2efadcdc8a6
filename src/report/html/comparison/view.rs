//! What the page of a comparison is given, and what its sections share: each contender with its look in every plot.

use std::path::PathBuf;

use maud::{Markup, html};

use crate::evaluation::Classification;
use crate::evaluation::comparison::{Comparison, Standing};
use crate::report::NextStep;
use crate::report::html::plot::{Scale, Unit, legend_entry};
use crate::report::html::text::shown;
use crate::report::outcomes::Outcomes;
use crate::training::history::Record;

/// Colours for strategies; the last of the style sheet is the baselines'.
const COLOURS: usize = 7;

/// What the page of a comparison shows.
pub struct ComparisonReport<'a> {
    /// Heading of the page and of the browser's tab.
    pub title: &'a str,
    /// Has a standing for every contender that is shown.
    pub comparison: &'a Comparison,
    /// What it says, in a few sentences.
    pub verdict: &'a str,
    /// `test`, or `valid` when no test data were given.
    pub split: &'a str,
    /// By index.
    pub labels: &'a [String],
    /// The index of each row's label.
    pub truth: &'a [u32],
    /// In the order of the comparison's standings.
    pub contenders: &'a [Contender<'a>],
    /// What was compared on: name, value.
    pub data: &'a [(String, String)],
    /// The file of settings of each strategy's first run, and its content.
    pub settings: &'a [(String, String)],
    /// The command with its options.
    pub command: &'a str,
    /// What to do next, the most important first.
    pub next: &'a [NextStep],
}

/// A strategy or baseline with what it costs.
pub struct Contender<'a> {
    /// As in the comparison's standings.
    pub name: &'a str,
    /// Whether it does without the pretrained network.
    pub is_baseline: bool,
    /// Training time, mean over seeds.
    pub seconds: f64,
    /// Numbers that were trained, the most of all seeds.
    pub trainable: u64,
    /// Numbers that there are, the most of all seeds.
    pub total: u64,
    /// Bytes, the most of all seeds; 0 where it was not measured (baselines).
    pub peak_memory: u64,
    /// Size of what is saved.
    pub saved_bytes: u64,
    /// One a seed.
    pub runs: Vec<ContenderRun<'a>>,
}

/// A contender's run with one seed.
pub struct ContenderRun<'a> {
    /// As in the run's settings.
    pub seed: u64,
    /// On the split of the comparison.
    pub evaluation: &'a Classification,
    /// The index of each row's predicted label, in the order of the truth.
    pub predicted: &'a [u32],
    /// The probability of each prediction; empty where there are none.
    pub confidence: &'a [f32],
    /// Steps and evaluations in order; empty for a baseline.
    pub history: &'a [Record],
    /// The run's own report, relative to the folder of this page.
    pub report: Option<PathBuf>,
}

/// A contender with its look in every plot, and all its runs' predictions together.
pub(super) struct Series<'a> {
    pub contender: &'a Contender<'a>,
    pub standing: &'a Standing,
    pub class: String,
    pub shape: usize,
    pub predictions: Outcomes,
}

impl Series<'_> {
    /// Always the most frequent label: a number to beat, without anything that a plot would show.
    pub fn is_constant(&self) -> bool {
        self.contender.is_baseline && self.contender.name == "majority"
    }

    pub fn has_confidence(&self) -> bool {
        self.predictions.rows() > 0
    }

    pub fn legend(&self) -> Markup {
        legend_entry(&self.class, Some(self.shape), html! { (shown(self.contender.name)) })
    }
}

/// The contenders in their order, each with a colour and a shape of its own.
pub(super) fn series<'a>(report: &'a ComparisonReport) -> Vec<Series<'a>> {
    let (mut strategies, mut baselines) = (0, 0);
    let named =
        |contender: &Contender| report.comparison.standings.iter().find(|standing| standing.name == contender.name);
    let pairs = report.contenders.iter().filter_map(|contender| Some((contender, named(contender)?)));
    pairs
        .map(|(contender, standing)| {
            let (class, shape) = match contender.is_baseline {
                true => (format!("c{COLOURS} dashed"), baselines),
                false => (format!("c{}", strategies % COLOURS), strategies),
            };
            *if contender.is_baseline { &mut baselines } else { &mut strategies } += 1;
            let together = contender.runs.iter().map(|run| Outcomes::new(report.truth, run.predicted, run.confidence));
            Series { contender, standing, class, shape, predictions: together.sum() }
        })
        .collect()
}

/// Contenders, the most accurate first.
pub(super) fn ranked<'a, 'b>(report: &ComparisonReport, shown: &'b [Series<'a>]) -> Vec<&'b Series<'a>> {
    let find = |standing: &Standing| shown.iter().find(|shown| shown.standing.name == standing.name);
    report.comparison.ranked().into_iter().filter_map(find).collect()
}

/// A scale for accuracies: that of the strategies, and of such baselines as do not squeeze them together.
pub(super) fn accuracy_scale(shown: &[Series]) -> Scale {
    let ends = |shown: &Series| [shown.standing.accuracy.low, shown.standing.accuracy.high];
    let strategies: Vec<f64> = shown.iter().filter(|shown| !shown.contender.is_baseline).flat_map(ends).collect();
    let low = strategies.iter().copied().fold(1.0, f64::min);
    let high = strategies.iter().copied().fold(0.0, f64::max);
    let near = |shown: &&Series| strategies.is_empty() || shown.standing.accuracy.low >= low - 2.0 * (high - low);
    Scale::around(shown.iter().filter(near).flat_map(ends), Unit::Percent)
}
