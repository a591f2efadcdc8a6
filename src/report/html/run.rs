//! `report.html` of a run: how good it is, how sure one can be of that, where it errs, and how it came about.

use std::path::Path;

use maud::{Markup, html};

use super::figures::{
    confidence_histogram, confusion, confusion_note, confusions, coverage_plot, coverage_table, legend_entry,
    reliability_figure,
};
use super::plot::{Plot, Scale, Size, Strip, Unit};
use super::thumbnail::thumbnail;
use super::{
    Predictions, counted, data, figure, label, long_text, percent, percent_bare, percent_range, section, shown,
    skeleton,
};
use crate::console::units;
use crate::data::Modality;
use crate::evaluation::comparison::{self, compare};
use crate::evaluation::coverage::{Coverage, Point};
use crate::evaluation::label_errors::{Suspect, suspected};
use crate::evaluation::{ClassScores, Evaluation, Interval, wilson};
use crate::report::RunMetrics;
use crate::training::history::{EvaluationRecord, Record, StepRecord};

/// Labels shown at once; the others are to be opened.
const LABELS_SHOWN: usize = 12;
/// Rows listed, and how many of them without being opened.
const MOST_ROWS: usize = 20;
const ROWS_SHOWN: usize = 8;
/// Rows below which shapes of curves are mostly chance.
const FEW_ROWS: u64 = 200;

/// What the page of a run shows.
pub struct RunReport<'a> {
    pub title: &'a str,
    pub metrics: &'a RunMetrics,
    /// `rehead.toml`.
    pub settings: &'a str,
    pub history: &'a [Record],
    /// What is in the data: name, value.
    pub data: &'a [(String, String)],
    pub splits: &'a [ScoredSplit<'a>],
}

/// A split with what the trained network said of it.
pub struct ScoredSplit<'a> {
    /// `valid` or `test`.
    pub name: &'a str,
    pub evaluation: &'a Evaluation,
    /// The index of each row's label.
    pub truth: &'a [u32],
    /// Row-major, in the order of `truth`.
    pub probabilities: &'a [f32],
    /// The rows' texts, or the paths of their images; empty where they have none.
    pub texts: &'a [String],
    pub modality: Modality,
}

impl ScoredSplit<'_> {
    fn called(&self) -> &str {
        if self.name == "valid" { "validation" } else { self.name }
    }

    fn labels(&self) -> Vec<String> {
        self.evaluation.per_class.iter().map(|(label, _)| label.clone()).collect()
    }
}

/// A split with what follows from its predictions.
struct Scored<'a> {
    split: &'a ScoredSplit<'a>,
    labels: Vec<String>,
    predictions: Predictions,
}

impl<'a> Scored<'a> {
    fn of(split: &'a ScoredSplit<'a>) -> Self {
        let labels = split.labels();
        let predictions = Predictions::of(split.truth, split.probabilities, labels.len());
        Self { split, labels, predictions }
    }

    fn label(&self, index: u32) -> Markup {
        label(self.labels.get(index as usize).map_or("?", String::as_str))
    }

    /// The probability that a row gives a label.
    fn probability(&self, row: usize, label: u32) -> f64 {
        let at = row * self.labels.len() + label as usize;
        self.split.probabilities.get(at).map_or(f64::NAN, |&probability| f64::from(probability))
    }

    fn text(&self, row: usize) -> Markup {
        match self.split.texts.get(row) {
            Some(text) if text.trim().is_empty() => html! { blockquote.soft { "(empty)" } },
            Some(file) if self.split.modality == Modality::Image => html! {
                figure.thumbnail {
                    @if let Some(address) = thumbnail(Path::new(file)) { img src=(address) alt=(file); }
                    figcaption { code { (file) } }
                }
            },
            Some(text) => long_text(text),
            None => html! { blockquote.soft { "row " (row + 1) " of the " (self.split.called()) " data" } },
        }
    }
}

/// The whole page.
pub fn page(report: &RunReport) -> String {
    let scored: Vec<Scored> = report.splits.iter().map(Scored::of).collect();
    // The test data judge; validation does where there are none.
    let first = scored.iter().position(|scored| scored.split.name == "test").unwrap_or(0);
    let main = scored.get(first);
    let others: Vec<&Scored> = scored.iter().enumerate().filter(|(index, _)| *index != first).map(|(_, s)| s).collect();
    let body = html! {
        (header(report))
        (result(report, main, &others))
        (training(report))
        @if let Some(main) = main {
            (labels(main, ""))
            (confused(main, ""))
            (confidence(main, ""))
            (thresholds(main, ""))
            (mistakes(main, ""))
            (suspects(&scored))
        }
        @for other in others {
            @let prefix = format!("{}-", other.split.name);
            details.group {
                summary { "The same for the " (other.split.called()) " data" }
                (labels(other, &prefix))
                (confused(other, &prefix))
                (confidence(other, &prefix))
                (thresholds(other, &prefix))
                (mistakes(other, &prefix))
            }
        }
        (data(report.data))
        (settings(report))
    };
    skeleton("run", report.title, body)
}

/// The page of one split, of which only a model and data are known. `data`: name, value.
pub fn evaluation_page(title: &str, split: &ScoredSplit, data: &[(String, String)]) -> String {
    let scored = [Scored::of(split)];
    let body = html! {
        header { h1 { (shown(title)) } }
        @for scored in &scored {
            (section("result", "Result", html! {}, headline(None, scored)))
            (labels(scored, ""))
            (confused(scored, ""))
            (confidence(scored, ""))
            (thresholds(scored, ""))
            (mistakes(scored, ""))
        }
        (suspects(&scored))
        (self::data(data))
    };
    skeleton("run", title, body)
}

fn header(report: &RunReport) -> Markup {
    let metrics = report.metrics;
    html! {
        header {
            h1 { (shown(report.title)) }
            p.facts {
                (shown(&metrics.model)) " · strategy " (metrics.strategy) " · "
                (counted(metrics.train_rows, "training row", "training rows"))
                " · " (counted(u64::from(metrics.epochs), "epoch", "epochs")) " · seed " (metrics.seed)
            }
        }
        nav aria-label="Sections" {
            a href="#training" { "Training" }
            @if !report.splits.is_empty() {
                a href="#labels" { "Labels" } a href="#confusions" { "Confusions" }
                a href="#confidence" { "Confidence" } a href="#thresholds" { "Thresholds" }
                a href="#mistakes" { "Mistakes" } a href="#suspects" { "Suspects" }
            }
            a href="#data" { "Data" } a href="#settings" { "Settings" }
        }
    }
}

fn result(report: &RunReport, main: Option<&Scored>, others: &[&Scored]) -> Markup {
    let note = html! {
        @if main.is_some() {
            p {
                "The 95 % interval: where the score over endlessly many rows of this kind may lie, as far as a set "
                "of this size can tell. Another training run would differ besides."
            }
        }
    };
    let content = html! {
        @match main {
            Some(main) => { (headline(Some(report.metrics), main)) },
            None => { p.lead { "Nothing was evaluated." } (costs(report.metrics)) },
        }
        @if !others.is_empty() { (splits(main.into_iter().chain(others.iter().copied()))) }
    };
    section("result", "Result", note, content)
}

fn headline(metrics: Option<&RunMetrics>, main: &Scored) -> Markup {
    let evaluation = main.split.evaluation;
    let (interval, rows) = (evaluation.accuracy_interval(), evaluation.rows);
    let right = (evaluation.accuracy * rows as f64).round() as u64;
    let majority = majority(evaluation);
    let macro_interval = main.macro_f1_interval();
    html! {
        dl.tiles {
            div.wide {
                dt { (capitalised(main.split.called())) " accuracy" }
                dd.value { (percent(evaluation.accuracy)) }
                dd { "95 % interval " (percent_range(interval)) }
                dd { (headline_strip(evaluation.accuracy, interval, majority.map(|(_, share)| share))) }
            }
            div {
                dt { "Macro-F1" }
                dd.value { (percent(evaluation.macro_f1)) }
                @if let Some(interval) = macro_interval { dd { (percent_range(interval)) } }
                dd { "mean over the labels" }
            }
            div {
                dt { "Calibration error" }
                dd.value { (percent(evaluation.ece)) }
                dd { "confidence against accuracy" }
            }
            div {
                dt { "Cross-entropy" }
                dd.value { (format!("{:.3}", evaluation.loss)) }
                dd { "nats a row" }
            }
        }
        p.lead {
            "Of " (counted(rows, "row", "rows")) " of the " (main.split.called()) " data "
            @if right == rows { "all " } @else { (units::count(right)) " " }
            (if right == 1 { "was" } else { "were" }) " labelled rightly. "
            @if let Some((name, share)) = majority {
                "Always answering " (label(name)) ", the most frequent label (the grey mark), would be right for "
                (percent(share))
                @if interval.low > share { "." }
                @else { ": this set does not show that the network does better than that." }
            }
        }
        @if main.split.name == "valid" {
            p {
                "There were no test data. The validation data also served to choose what was kept of the training, "
                "so a score on them flatters a little."
            }
        }
        @if rows < FEW_ROWS {
            p { "With so few rows every score on this page is rough: mind the intervals." }
        }
        @if let Some(metrics) = metrics { (costs(metrics)) }
    }
}

impl Scored<'_> {
    fn macro_f1_interval(&self) -> Option<Interval> {
        let predictions = vec![self.predictions.predicted.as_slice()];
        let alone = comparison::Contender { name: "", predictions, seconds: 0.0, baseline: false };
        let compared = compare(&self.predictions.truth, self.labels.len(), &[alone]).ok()?;
        compared.standings.first().map(|standing| Interval { low: standing.macro_f1.low, high: standing.macro_f1.high })
    }
}

/// The accuracy on the whole scale, with what the most frequent label alone would reach.
fn headline_strip(accuracy: f64, interval: Interval, majority: Option<f64>) -> Markup {
    let mut strip = Strip::new(Scale::new(0.0, 1.0, Unit::Percent)).interval("c0 wide", interval.low, interval.high);
    strip = strip.rule("c0 strong", accuracy);
    if let Some(share) = majority {
        strip = strip.rule("quiet", share);
    }
    let text =
        format!("On a scale from 0 to 100 per cent: {}, interval {}", percent(accuracy), percent_range(interval));
    strip.finish(&text)
}

fn costs(metrics: &RunMetrics) -> Markup {
    html! {
        p.facts {
            span { "Trained in " (units::seconds(metrics.train_seconds)) }
            @if let Some(rate) = metrics.tokens_per_second { " · " span { (units::rate(rate, "tokens")) } }
            " · " span {
                (units::count(metrics.trainable_parameters)) " of " (units::count(metrics.total_parameters))
                " parameters trained"
            }
            " · " span { "at most " (units::bytes(metrics.peak_memory_bytes)) " of memory" }
        }
    }
}

/// The most frequent label and its share of the rows.
fn majority(evaluation: &Evaluation) -> Option<(&str, f64)> {
    let (name, scores) = evaluation.per_class.iter().max_by_key(|(_, scores)| scores.support)?;
    (evaluation.rows > 0).then(|| (name.as_str(), scores.support as f64 / evaluation.rows as f64))
}

fn splits<'a>(scored: impl Iterator<Item = &'a Scored<'a>>) -> Markup {
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        th.word scope="col" { "data" } th scope="col" { "rows" } th scope="col" { "accuracy" }
                        th.word scope="col" { "95 % interval" } th scope="col" { "macro-F1" }
                        th scope="col" { "calibration error" } th scope="col" { "cross-entropy" }
                    }
                }
                tbody {
                    @for scored in scored {
                        @let evaluation = scored.split.evaluation;
                        tr {
                            td.word { (scored.split.called()) }
                            td { (units::count(evaluation.rows)) }
                            td { (percent(evaluation.accuracy)) }
                            td.word { span.interval { (percent_range(evaluation.accuracy_interval())) } }
                            td { (percent(evaluation.macro_f1)) }
                            td { (percent(evaluation.ece)) }
                            td { (format!("{:.3}", evaluation.loss)) }
                        }
                    }
                }
            }
        }
    }
}

fn training(report: &RunReport) -> Markup {
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
    let curves = Curves { steps, valid, best: report.metrics.best_epoch };
    let note = html! {
        @if curves.steps.len() > 1 {
            p {
                "Where validation stops getting better while the training loss still falls, the network learns its "
                "rows by heart."
            }
        }
    };
    let content = html! {
        @if curves.steps.len() < 2 && curves.valid.len() < 2 {
            p {
                @if report.metrics.strategy == "frozen" {
                    "The head was fitted in one go on the features of the frozen backbone: there is no curve to show."
                } @else { "Too little was logged to draw a curve." }
                @if let [only] = curves.valid.as_slice() {
                    " Validation: " (scores(only)) "."
                }
            }
        } @else {
            div.figures {
                (curves.loss())
                @if curves.valid.len() > 1 { (curves.scores()) }
            }
            @if let Some(best) = curves.best_record() {
                p {
                    "The weights of epoch " (best.epoch) " were kept. Validation: " (scores(best)) "."
                }
            }
        }
    };
    section("training", "How training went", note, content)
}

fn scores(record: &EvaluationRecord) -> String {
    let (accuracy, macro_f1) = (percent(record.accuracy), percent(record.macro_f1));
    format!("accuracy {accuracy}, macro-F1 {macro_f1}, cross-entropy {:.3}", record.loss)
}

struct Curves<'a> {
    steps: Vec<&'a StepRecord>,
    valid: Vec<&'a EvaluationRecord>,
    best: Option<u32>,
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
            plot.upright("quiet dashed", best.step as f64, "kept");
        }
        plot
    }

    fn loss(&self) -> Markup {
        let steps: Vec<(f64, f64)> = self.steps.iter().map(|step| (step.step as f64, step.loss)).collect();
        let valid: Vec<(f64, f64)> = self.valid.iter().map(|valid| (valid.step as f64, valid.loss)).collect();
        let values = [0.0].into_iter().chain(steps.iter().chain(&valid).map(|point| point.1));
        let mut plot = self.plot(values, Unit::Plain, "nats a row");
        plot.line("c7", &steps);
        plot.line("c1", &valid);
        for (record, &at) in self.valid.iter().zip(&valid) {
            plot.marker("c1", 1, at, &format!("epoch {}: {:.3}", record.epoch, record.loss));
        }
        let legend = html! {
            (legend_entry("c7", None, html! { "training" }))
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
        let (accuracy, f1) = (line(|valid| valid.accuracy), line(|valid| valid.macro_f1));
        let mut plot = self.plot(accuracy.iter().chain(&f1).map(|point| point.1), Unit::Percent, "");
        plot.line("c2 dashed", &f1);
        plot.line("c0", &accuracy);
        for (record, (&accuracy, &f1)) in self.valid.iter().zip(accuracy.iter().zip(&f1)) {
            plot.marker("c2", 3, f1, &format!("epoch {}: macro-F1 {}", record.epoch, percent(record.macro_f1)));
            plot.marker("c0", 0, accuracy, &format!("epoch {}: accuracy {}", record.epoch, percent(record.accuracy)));
        }
        let legend = html! {
            (legend_entry("c0", Some(0), html! { "accuracy" }))
            (legend_entry("c2 dashed", Some(3), html! { "macro-F1" }))
        };
        let reached = self.valid.iter().map(|valid| valid.accuracy).fold(0.0, f64::max);
        let description = format!("The highest accuracy is {}", percent(reached));
        figure(html! { "Validation scores" }, legend, plot.finish("Validation scores by optimizer step", &description))
    }
}

fn labels(scored: &Scored, prefix: &str) -> Markup {
    let mut classes: Vec<&(String, ClassScores)> = scored.split.evaluation.per_class.iter().collect();
    // Labels without rows have an F1 of 0 for want of data, not of skill, and come last.
    classes.sort_by(|(_, a), (_, b)| (a.support == 0).cmp(&(b.support == 0)).then(a.f1.total_cmp(&b.f1)));
    let (shown, more) = classes.split_at(if classes.len() > LABELS_SHOWN + 3 { LABELS_SHOWN } else { classes.len() });
    let note = html! {
        p {
            "By F1, the worst first. Precision: of the rows given this label, those that have it. Recall: of the "
            "rows that have it, those given it."
        }
        p { "Drawn: recall as a dot with its 95 % interval, precision as a ring." }
    };
    let content = html! {
        (class_table(shown))
        @if !more.is_empty() {
            details {
                summary { "The other " (more.len()) " labels" }
                (class_table(more))
            }
        }
    };
    section(&format!("{prefix}labels"), "By label", note, content)
}

fn class_table(classes: &[&(String, ClassScores)]) -> Markup {
    html! {
        table.full {
            thead {
                tr {
                    th.word scope="col" { "label" } th scope="col" { "rows" } th.hide-narrow scope="col" { "precision" }
                    th.hide-narrow scope="col" { "recall" } th scope="col" { "F1" }
                    th.draw scope="col" { span { "0" } span { "50" } span { "100 %" } }
                }
            }
            tbody {
                @for (name, scores) in classes {
                    tr {
                        td.word { (label(name)) }
                        td { (units::count(scores.support)) }
                        td.hide-narrow { (percent_bare(scores.precision)) }
                        td.hide-narrow { (percent_bare(scores.recall)) }
                        td { (percent_bare(scores.f1)) }
                        td.draw { (class_strip(scores)) }
                    }
                }
            }
        }
    }
}

fn class_strip(scores: &ClassScores) -> Markup {
    let recalled = (scores.recall * scores.support as f64).round() as u64;
    let interval = wilson(recalled, scores.support);
    let strip = Strip::new(Scale::new(0.0, 1.0, Unit::Percent));
    let text = format!(
        "precision {}, recall {}, interval {}",
        percent(scores.precision),
        percent(scores.recall),
        percent_range(interval)
    );
    match scores.support {
        0 => strip.finish("no rows"),
        _ => strip
            .interval("c0", interval.low, interval.high)
            .dot("c0 hollow", scores.precision)
            .dot("c0", scores.recall)
            .finish(&text),
    }
}

fn confused(scored: &Scored, prefix: &str) -> Markup {
    let most = confusions(&scored.predictions);
    let content = html! {
        @if let Some(most) = most.first() {
            p {
                "Most often " (scored.label(most.truth as u32)) " is taken for "
                (scored.label(most.predicted as u32)) ": " (units::count(most.rows)) " of its "
                (counted(most.support, "row", "rows")) " (" (percent(most.share())) ")."
            }
        }
        (confusion(&scored.split.evaluation.confusion, &scored.labels, &scored.predictions))
    };
    let note = confusion_note(scored.labels.len());
    section(&format!("{prefix}confusions"), "What is taken for what", note, content)
}

fn confidence(scored: &Scored, prefix: &str) -> Markup {
    let predictions = &scored.predictions;
    let evaluation = scored.split.evaluation;
    let distance = predictions.mean_confidence() - predictions.accuracy();
    let content = html! {
        p {
            "The mean confidence is " (percent(predictions.mean_confidence())) ", the accuracy "
            (percent(predictions.accuracy())) ": on the whole the network is "
            @if distance.abs() < 0.01 { "about as sure as it is right." }
            @else if distance > 0.0 { "surer than it is right." }
            @else { "less sure than it could be." }
            " The expected calibration error is " (percent(evaluation.ece)) "."
            @if evaluation.rows < FEW_ROWS {
                " With " (counted(evaluation.rows, "row", "rows")) " much of that is chance."
            }
        }
        div.figures {
            (reliability_figure(Size::Plain, html! { "Accuracy at each confidence" }, "c0", predictions))
            (confidence_histogram(predictions))
        }
    };
    let note = html! {
        p {
            "Confidence is the probability that the network gives to the label it answers. On the dashed line it "
            "means what it says: of the rows with 80 % confidence, 80 % are right."
        }
        p { "Thin uprights: 95 % intervals." }
    };
    section(&format!("{prefix}confidence"), "How far to trust the confidence", note, content)
}

fn thresholds(scored: &Scored, prefix: &str) -> Markup {
    let coverage = Coverage::of(&scored.predictions.confidence, &scored.predictions.correct);
    let content = html! {
        @if let Some(point) = worthwhile(&coverage, scored.predictions.accuracy()) {
            p {
                "With " code { "--min-confidence " (point.threshold) } ", " (percent(1.0 - point.coverage()))
                " of these rows are left without a label; of the others "
                (percent(point.accuracy().unwrap_or(0.0))) " are labelled rightly."
            }
        }
        div.figures {
            (coverage_plot("Accuracy of what is labelled", &coverage))
            (coverage_table(&coverage))
        }
    };
    let note = html! {
        p {
            code { "rehead label --min-confidence P" } " leaves rows of less confidence without a label, for people "
            "to decide."
        }
        p { "The band is the 95 % interval." }
    };
    section(&format!("{prefix}thresholds"), "Labelling only what is sure", note, content)
}

/// A threshold that removes a good part of the errors and leaves a good part of the rows labelled.
fn worthwhile(coverage: &Coverage, accuracy: f64) -> Option<Point> {
    const GOALS: [f64; 6] = [0.8, 0.9, 0.95, 0.98, 0.99, 0.995];
    const FEWEST_ROWS: u64 = 50;
    let goal = GOALS.into_iter().find(|goal| 1.0 - goal < 0.7 * (1.0 - accuracy))?;
    let reached = coverage.reaching(goal)?;
    let point = coverage.at((reached.threshold * 1000.0).ceil() / 1000.0);
    (point.rows >= FEWEST_ROWS && point.coverage() >= 0.2).then_some(point)
}

fn mistakes(scored: &Scored, prefix: &str) -> Markup {
    let predictions = &scored.predictions;
    let mut wrong: Vec<usize> = (0..predictions.rows()).filter(|&row| !predictions.correct[row]).collect();
    wrong.sort_by(|&a, &b| predictions.confidence[b].total_cmp(&predictions.confidence[a]));
    let content = html! {
        @if wrong.is_empty() {
            p { "No row is labelled wrongly." }
        } @else {
            p {
                (counted(wrong.len() as u64, "row is" , "rows are" )) " labelled wrongly"
                @if wrong.len() > MOST_ROWS { "; these are the " (MOST_ROWS) " of the highest confidence" } "."
            }
            (rows(&wrong, |&row| {
                let (truth, predicted) = (predictions.truth[row], predictions.predicted[row]);
                html! {
                    p {
                        span { b { (percent(predictions.confidence[row])) } " " (scored.label(predicted)) }
                        span { "labelled " (scored.label(truth)) " (" (percent(scored.probability(row, truth))) ")" }
                    }
                    (scored.text(row))
                }
            }))
        }
    };
    let note = html! {
        p {
            "First what the network answers and how sure it is, then the label in the data and the probability that the "
            "network gives it."
        }
    p { "Look for a pattern: a kind of text that is missing from the training data, or labels that are not clear." } };
    section(&format!("{prefix}mistakes"), "The most confident mistakes", note, content)
}

fn suspects(scored: &[Scored]) -> Markup {
    let found: Vec<(&Scored, Vec<Suspect>)> = scored
        .iter()
        .map(|scored| (scored, suspected(scored.split.probabilities, scored.split.truth, scored.labels.len())))
        .collect();
    let content = html! {
        @for (scored, suspects) in &found {
            h3 {
                (capitalised(scored.split.called())) " data: " (units::count(suspects.len() as u64)) " of "
                (counted(scored.predictions.rows() as u64, "row" , "rows" ))
            }
            @if suspects.is_empty() {
                p { "No label stands out as doubtful." }
            } @else {
                (rows(suspects, |suspect| {
                    let probability = |label| percent(scored.probability(suspect.row, label));
                    html! {
                        p {
                            span { "labelled " (scored.label(suspect.given)) " (" (probability(suspect.given)) ")" }
                            span {
                                "perhaps " (scored.label(suspect.likeliest)) " (" (probability(suspect.likeliest)) ")?"
                            }
                        }
                        (scored.text(suspect.row))
                    }
                }))
            }
        }
    };
    let note = html! {
        p {
            "Rows whose label the network, which was not trained on them, contradicts more firmly than is usual for "
            "these labels (confident learning; Northcutt and others, 2021)."
        }
        p {
            "A list of what to look at, not of errors: a hard or unusual row looks the same. Rows that share the "
            "fault of the training data are not found."
        }
    };
    section("suspects", "Labels to look at again", note, content)
}

/// The first of some rows of the data, a few at once and more to be opened.
fn rows<T>(all: &[T], row: impl Fn(&T) -> Markup) -> Markup {
    let listed = &all[..all.len().min(MOST_ROWS)];
    let (shown, more) = listed.split_at(if listed.len() > ROWS_SHOWN + 2 { ROWS_SHOWN } else { listed.len() });
    html! {
        ol.texts { @for item in shown { li { (row(item)) } } }
        @if !more.is_empty() {
            details {
                summary { (more.len()) " more" }
                ol.texts start=(shown.len() + 1) { @for item in more { li { (row(item)) } } }
            }
        }
    }
}

fn settings(report: &RunReport) -> Markup {
    let metrics = report.metrics;
    let choices: Vec<[&str; 3]> = metrics
        .choices
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|choice| {
            let text = |name| choice.get(name).and_then(serde_json::Value::as_str);
            Some([text("key")?, text("value")?, text("reason")?])
        })
        .collect();
    let content = html! {
        @if !choices.is_empty() {
            table {
                caption { "What was not asked for and therefore chosen." }
                thead {
                    tr {
                        th.word scope="col" { "setting" } th.word scope="col" { "chosen" }
                        th.word scope="col" { "because" }
                    }
                }
                tbody {
                    @for [key, value, reason] in choices {
                        tr { td.word { code { (shown(key)) } } td.word { (shown(value)) } td.word { (shown(reason)) } }
                    }
                }
            }
        }
        details {
            summary { "All settings (rehead.toml)" }
            pre tabindex="0" { (shown(report.settings)) }
        }
    };
    let note = html! { p { "To run it again: " code { "rehead train --config rehead.toml --out NEW" } } };
    section("settings", "Settings", note, content)
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::evaluate;

    const HOSTILE: &str = "<script>alert(1)</script>";

    /// Six rows of three labels; the fourth is labelled wrongly with much confidence, the fifth with little.
    const TRUTH: [u32; 6] = [0, 1, 2, 0, 1, 2];
    #[rustfmt::skip]
    const PROBABILITIES: [f32; 18] = [
        0.9, 0.05, 0.05,  0.1, 0.8, 0.1,  0.2, 0.1, 0.7,
        0.01, 0.98, 0.01, 0.4, 0.35, 0.25, 0.0, 0.0, 1.0,
    ];

    fn evaluation() -> Evaluation {
        let logits: Vec<f32> = PROBABILITIES.iter().map(|probability| probability.max(1e-6).ln()).collect();
        evaluate(&logits, &TRUTH, &["food", HOSTILE, "sport"].map(str::to_owned)).unwrap()
    }

    fn history() -> Vec<Record> {
        let step = |step: u64| {
            let (epoch, loss) = (step.div_ceil(4) as u32, 1.0 / step as f64);
            Record::Step(StepRecord {
                epoch,
                step,
                loss,
                lr: 1e-5,
                grad_norm: None,
                tokens_per_second: None,
                images_per_second: None,
                seconds: 1.0,
            })
        };
        let valid = |epoch: u32| {
            Record::Evaluation(EvaluationRecord::new("valid", epoch, u64::from(4 * epoch), &evaluation(), 1.0))
        };
        (1..=8).map(step).chain((1..=2).map(valid)).collect()
    }

    /// The page of a run with these splits.
    fn drawn(splits: &[&str], history: &[Record], strategy: &str) -> String {
        let evaluation = evaluation();
        let texts: Vec<String> = (0..6).map(|row| format!("text {row} {HOSTILE}")).collect();
        let split = |name| ScoredSplit {
            name,
            evaluation: &evaluation,
            truth: &TRUTH,
            probabilities: &PROBABILITIES,
            texts: &texts,
            modality: Modality::Text,
        };
        let splits: Vec<ScoredSplit> = splits.iter().map(|&name| split(name)).collect();
        let metrics = RunMetrics {
            model: "bert".to_owned(),
            strategy: strategy.to_owned(),
            seed: 7,
            train_rows: 100,
            train_seconds: 12.0,
            prepare_seconds: 0.5,
            tokens_per_second: None,
            images_per_second: None,
            trainable_parameters: 10,
            total_parameters: 20,
            peak_memory_bytes: 1 << 30,
            valid: None,
            test: None,
            best_epoch: Some(2),
            epochs: 2,
            choices: serde_json::json!([{ "key": "lr", "value": HOSTILE, "reason": "usual" }]),
            rehead_version: RunMetrics::VERSION.to_owned(),
        };
        let data = [("training data".to_owned(), HOSTILE.to_owned())];
        page(&RunReport { title: HOSTILE, metrics: &metrics, settings: HOSTILE, history, data: &data, splits: &splits })
    }

    #[test]
    fn every_section_is_there_whatever_the_run_was() {
        for (splits, history, strategy) in [
            (&["valid", "test"][..], history(), "full"),
            (&["valid"], history(), "full"),
            (&["test"], history()[8..9].to_vec(), "frozen"),
            (&["valid", "test"], Vec::new(), "full"),
        ] {
            let page = drawn(splits, &history, strategy);
            for id in [
                "result",
                "training",
                "labels",
                "confusions",
                "confidence",
                "thresholds",
                "mistakes",
                "suspects",
                "data",
                "settings",
            ] {
                assert!(page.contains(&format!("<section id=\"{id}\"")), "{id} of {splits:?}");
            }
            assert!(!page.contains("<script") && !page.contains("NaN"), "{splits:?}");
            assert_eq!(page.contains("id=\"valid-labels\""), splits.len() == 2, "{splits:?}");
        }
        let page = drawn(&[], &[], "full");
        assert!(page.contains("Nothing was evaluated") && !page.contains("href=\"#labels\""));
    }

    #[test]
    fn the_headline_says_what_was_found_in_words() {
        let page = drawn(&["valid", "test"], &history(), "full");
        assert!(page.contains("Of 6 rows of the test data 4 were labelled rightly."), "{page}");
        assert!(page.contains("30.0 to 90.3\u{202f}%") && page.contains("this set does not show"));
        assert!(page.contains("With so few rows"));
        assert!(drawn(&["valid"], &history(), "full").contains("There were no test data"));
    }

    #[test]
    fn curves_are_drawn_where_there_are_any() {
        let page = drawn(&["test"], &history(), "full");
        assert!(page.contains("aria-label=\"Loss by optimizer step. Training from 1.000 to 0.125"), "{page}");
        assert!(page.contains("The weights of epoch 2 were kept"));
        let page = drawn(&["test"], &history()[8..9], "frozen");
        assert!(page.contains("fitted in one go") && !page.contains("Loss by optimizer step"));
    }

    #[test]
    fn the_most_confident_mistake_comes_first() {
        let page = drawn(&["test"], &[], "full");
        let (_, mistakes) = page.split_once("<section id=\"mistakes\"").unwrap();
        let (mistakes, suspects) = mistakes.split_once("<section id=\"suspects\"").unwrap();
        let place = |row: usize| mistakes.find(&format!("text {row} "));
        assert!(place(3) < place(4) && place(3).is_some() && place(0).is_none());
        assert!(suspects.contains("text 3 ") && suspects.contains("Test data: "));
    }

    #[test]
    fn of_many_labels_the_worst_stand_first() {
        let labels: Vec<String> = (0..30).map(|label| format!("l{label}")).collect();
        let truth: Vec<u32> = (0..30).collect();
        let probabilities: Vec<f32> =
            (0..900).map(|at| f32::from(u8::from(at / 30 == at % 30 || (at / 30 == 9 && at % 30 < 9)))).collect();
        let evaluation = evaluate(&probabilities, &truth, &labels).unwrap();
        let split = ScoredSplit {
            name: "test",
            evaluation: &evaluation,
            truth: &truth,
            probabilities: &probabilities,
            texts: &[],
            modality: Modality::Text,
        };
        let drawn = self::labels(&Scored::of(&split), "").into_string();
        let (shown, more) = drawn.split_once("<summary>The other 18 labels").unwrap();
        assert!(shown.contains(">l9<") && shown.contains(">l0<") && more.contains(">l29<"), "{drawn}");
    }

    #[test]
    fn a_threshold_is_recommended_where_it_pays() {
        let confidence: Vec<f64> = (0..200).map(|row| f64::from(row) / 200.0).collect();
        let correct: Vec<bool> = (0..200).map(|row| row > 100 || row % 2 == 0).collect();
        let coverage = Coverage::of(&confidence, &correct);
        let point = worthwhile(&coverage, 0.75).unwrap();
        assert!(point.accuracy().is_some_and(|accuracy| accuracy > 0.89) && point.coverage() > 0.5, "{point:?}");
        assert_eq!(worthwhile(&Coverage::of(&[0.9; 5], &[true; 5]), 0.75), None);
    }
}
