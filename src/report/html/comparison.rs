//! `report.html` of a comparison: which strategy is best as far as the test rows and seeds can tell, and what each costs.

use maud::{Markup, html};

use super::figures::{Covered, confusion, confusion_note, coverage_line, legend_entry, reliability_figure};
use super::plot::{Plot, Scale, Size, Strip, Unit, sample};
use super::{Predictions, counted, data, figure, label, percent, percent_bare, section, shown, skeleton};
use crate::console::units;
use crate::evaluation::comparison::{Comparison, Difference, Pair, Standing, Summary};
use crate::evaluation::coverage::Coverage;
use crate::evaluation::{Evaluation, confusion as confusion_matrix};
use crate::report::verdict::verdict;
use crate::training::history::{EvaluationRecord, Record};

/// Of many pairs those with the best are shown, the others are to be opened.
const PAIRS_SHOWN: usize = 8;
/// Colours for strategies; the last of the style sheet is the baselines'.
const COLOURS: usize = 7;

/// What the page of a comparison shows.
pub struct ComparisonReport<'a> {
    pub title: &'a str,
    pub comparison: &'a Comparison,
    /// `test`, or `valid` when no test data were given.
    pub split: &'a str,
    pub labels: &'a [String],
    /// The index of each row's label.
    pub truth: &'a [u32],
    /// In the order of the comparison's standings.
    pub contenders: &'a [Contender<'a>],
    /// What was compared on: name, value.
    pub data: &'a [(String, String)],
}

/// A strategy or baseline with what it costs.
pub struct Contender<'a> {
    pub name: &'a str,
    pub is_baseline: bool,
    /// Training time, mean over seeds.
    pub seconds: f64,
    pub trainable: u64,
    pub total: u64,
    pub peak_memory: u64,
    /// Size of what is saved.
    pub saved_bytes: u64,
    pub runs: Vec<ContenderRun<'a>>,
}

/// A contender's run with one seed.
pub struct ContenderRun<'a> {
    pub seed: u64,
    pub evaluation: &'a Evaluation,
    pub predicted: &'a [u32],
    /// The probability of each prediction; empty where there are none.
    pub confidence: &'a [f32],
    pub history: &'a [Record],
}

/// A contender with its look in every plot, and all its runs' predictions together.
struct Shown<'a> {
    contender: &'a Contender<'a>,
    standing: &'a Standing,
    class: String,
    shape: usize,
    predictions: Predictions,
}

impl Shown<'_> {
    fn has_confidence(&self) -> bool {
        self.predictions.rows() > 0
    }

    fn legend(&self) -> Markup {
        legend_entry(&self.class, Some(self.shape), html! { (shown(self.contender.name)) })
    }
}

/// Percentage points with a sign: `+1.6`.
fn points(difference: f64) -> String {
    let text = format!("{:+.1}", difference * 100.0).replace('-', "−");
    if matches!(text.as_str(), "+0.0" | "−0.0") { "0.0".to_owned() } else { text }
}

/// The whole page.
pub fn page(report: &ComparisonReport) -> String {
    let shown = looks(report);
    let body = html! {
        (header(report))
        (result(report))
        (standings(report, &shown))
        (differences(report))
        (costs(report, &shown))
        (curves(&shown))
        (coverage(&shown))
        (reliability(&ranked(report, &shown)))
        (confusions(report, &shown))
        (data(report.data))
    };
    skeleton("comparison", report.title, body)
}

fn looks<'a>(report: &'a ComparisonReport) -> Vec<Shown<'a>> {
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
            let together =
                contender.runs.iter().map(|run| Predictions::new(report.truth, run.predicted, run.confidence));
            Shown { contender, standing, class, shape, predictions: together.sum() }
        })
        .collect()
}

/// Contenders, the most accurate first.
fn ranked<'a, 'b>(report: &ComparisonReport, shown: &'b [Shown<'a>]) -> Vec<&'b Shown<'a>> {
    let find = |standing: &Standing| shown.iter().find(|shown| shown.standing.name == standing.name);
    report.comparison.ranked().into_iter().filter_map(find).collect()
}

/// A scale for accuracies: that of the strategies, and of such baselines as do not squeeze them together.
fn accuracy_scale(shown: &[Shown]) -> Scale {
    let ends = |shown: &Shown| [shown.standing.accuracy.low, shown.standing.accuracy.high];
    let strategies: Vec<f64> = shown.iter().filter(|shown| !shown.contender.is_baseline).flat_map(ends).collect();
    let low = strategies.iter().copied().fold(1.0, f64::min);
    let high = strategies.iter().copied().fold(0.0, f64::max);
    let near = |shown: &&Shown| strategies.is_empty() || shown.standing.accuracy.low >= low - 2.0 * (high - low);
    Scale::around(shown.iter().filter(near).flat_map(ends), Unit::Percent)
}

fn called(split: &str) -> &str {
    if split == "valid" { "validation" } else { split }
}

fn header(report: &ComparisonReport) -> Markup {
    let Comparison { rows, seeds, classes, .. } = *report.comparison;
    html! {
        header {
            h1 { (shown(report.title)) }
            p.facts {
                (report.contenders.len()) " ways to label on the same " (counted(rows as u64, "row", "rows")) " of "
                (called(report.split)) " data · "
                (counted(classes as u64, "label", "labels")) " · " (counted(seeds as u64, "seed", "seeds"))
            }
        }
        nav aria-label="Sections" {
            a href="#standings" { "Scores" } a href="#differences" { "Differences" } a href="#costs" { "Costs" }
            a href="#curves" { "Learning curves" } a href="#coverage" { "Thresholds" }
            a href="#reliability" { "Confidence" } a href="#confusions" { "Confusions" } a href="#data" { "Data" }
        }
    }
}

fn result(report: &ComparisonReport) -> Markup {
    let verdict = verdict(report.comparison);
    let (first, more) = verdict.split_once(". ").unwrap_or((&verdict, ""));
    let content = html! {
        p.lead { (quoted(first)) @if !more.is_empty() { "." } }
        @if !more.is_empty() { p { (quoted(more)) } }
        @if report.split == "valid" {
            p {
                "There were no test data: these are the validation rows, which also served to choose what was kept of each "
                "training, so scores on them flatter a little."
            }
        }
    };
    let note = html! {
        p {
            "A winner is named when it is ahead of every other by more than its 95 % interval: wrongly so in at most 5 of "
            "100 comparisons of equals."
        }
    };
    section("result", "Verdict", note, content)
}

/// Text with names between backquotes set as names.
fn quoted(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { (label(part)) } @else { (part) }
        }
    }
}

fn standings(report: &ComparisonReport, all: &[Shown]) -> Markup {
    let scale = accuracy_scale(all);
    let (low, high) = scale.ends();
    let content = html! {
        div.scroll {
            table.full.standings {
                thead {
                    tr {
                        th.word scope="col" { "strategy" } th scope="col" { (called(report.split)) " accuracy" }
                        th.draw.ends.hide-narrow scope="col" { span { (low) } span { (high) } }
                        th scope="col" { "macro-F1" } th scope="col" { "training" }
                        th scope="col" { "parameters trained" } th scope="col" { "memory" } th scope="col" { "saved" }
                    }
                }
                tbody { @for one in ranked(report, all) { (standing(one, scale)) } }
            }
        }
    };
    let note = html! {
        @if report.comparison.seeds > 1 {
            p {
                "The most accurate first. Mean over seeds ± their standard deviation; below, and drawn, the 95 % interval "
                "for other rows and other seeds."
            }
        } @else {
            p { "The most accurate first. Below, and drawn, the 95 % interval for other rows." }
        }
        p { "Training: seconds of one run. Memory: the most that the process held." }
    };
    section("standings", "Scores and costs", note, content)
}

fn standing(one: &Shown, scale: Scale) -> Markup {
    let Contender { name, is_baseline, seconds, trainable, total, peak_memory, saved_bytes, .. } = *one.contender;
    let accuracy = &one.standing.accuracy;
    let text = format!(
        "accuracy {}, interval {} to {}",
        percent(accuracy.mean),
        percent_bare(accuracy.low),
        percent(accuracy.high)
    );
    let strip = Strip::new(scale).interval(&one.class, accuracy.low, accuracy.high).dot(&one.class, accuracy.mean);
    let several = one.contender.runs.len() > 1;
    let known = |bytes: u64| if bytes == 0 { "–".to_owned() } else { units::bytes(bytes) };
    html! {
        tr {
            th.word scope="row" {
                (sample(&one.class, Some(one.shape))) (label(name))
                @if is_baseline { div.interval { "baseline" } }
            }
            td { (summary(accuracy, several)) }
            td.draw.hide-narrow { (strip.finish(&text)) }
            td { (summary(&one.standing.macro_f1, several)) }
            td { (units::seconds(seconds)) }
            td {
                @if total == 0 { "–" } @else { (short_count(trainable)) div.interval { "of " (short_count(total)) } }
            }
            td { (known(peak_memory)) }
            td { (known(saved_bytes)) }
        }
    }
}

/// A score; its spread where it comes from several seeds.
fn summary(score: &Summary, several: bool) -> Markup {
    html! {
        strong { (percent_bare(score.mean)) }
        @if let Some(spread) = score.spread.filter(|_| several) { " ± " (percent_bare(spread)) }
        div.interval { (percent_bare(score.low)) " to " (percent_bare(score.high)) }
    }
}

/// `770`, `86.3 k`, `22.7 M`.
fn short_count(number: u64) -> String {
    match number {
        0..10_000 => units::count(number),
        10_000..1_000_000 => format!("{:.1}\u{202f}k", number as f64 / 1e3),
        _ => format!("{:.1}\u{202f}M", number as f64 / 1e6),
    }
}

/// A pair as it is shown: the better one first.
struct Gap<'a> {
    ahead: &'a str,
    behind: &'a str,
    accuracy: Difference,
    macro_f1: Difference,
    pair: &'a Pair,
}

impl<'a> Gap<'a> {
    fn of(pair: &'a Pair) -> Self {
        let Pair { a, b, accuracy, macro_f1, .. } = pair;
        match accuracy.mean < 0.0 {
            true => Self { ahead: b, behind: a, accuracy: accuracy.reversed(), macro_f1: macro_f1.reversed(), pair },
            false => Self { ahead: a, behind: b, accuracy: *accuracy, macro_f1: *macro_f1, pair },
        }
    }
}

fn differences(report: &ComparisonReport) -> Markup {
    let ranked = report.comparison.ranked();
    let rank = |name: &str| ranked.iter().position(|standing| standing.name == name);
    let mut gaps: Vec<Gap> = report.comparison.pairs.iter().map(Gap::of).collect();
    gaps.sort_by_key(|gap| (rank(gap.ahead), rank(gap.behind)));
    let with_best = gaps.iter().take_while(|gap| rank(gap.ahead) == Some(0)).count();
    let (shown, more) = gaps.split_at(if gaps.len() > PAIRS_SHOWN { with_best } else { gaps.len() });
    // One scale for all pairs of strategies; baselines may be off it.
    let is_baseline = |name: &str| ranked.iter().any(|standing| standing.baseline && standing.name == name);
    let scale = |difference: fn(&Gap) -> Difference| {
        let of_strategies = |gap: &&Gap| !is_baseline(gap.ahead) && !is_baseline(gap.behind);
        let strategies = gaps.iter().filter(of_strategies).map(difference);
        let all = gaps.iter().map(difference).filter(|_| !gaps.iter().any(|gap| of_strategies(&gap)));
        Scale::around(strategies.chain(all).flat_map(|gap| [gap.low, gap.high]).chain([0.0]), Unit::Points)
    };
    let accuracy = |gap: &Gap| gap.accuracy;
    let macro_f1 = |gap: &Gap| gap.macro_f1;
    let content = html! {
        @if gaps.is_empty() { p { "There is nothing to compare." } } @else {
            (forest(shown, accuracy, scale(accuracy)))
            @if !more.is_empty() {
                details { summary { "The other " (more.len()) " pairs" } (forest(more, accuracy, scale(accuracy))) }
            }
            details { summary { "The same for macro-F1" } (forest(&gaps, macro_f1, scale(macro_f1))) }
            details { summary { "McNemar’s test, seed by seed" } (mcnemar(report, &gaps)) }
        }
    };
    let note = html! {
        p {
            "How many points of accuracy the first is ahead of the second, on the same rows and seeds. Where the 95 "
            "% interval holds zero, the difference may be chance."
        }
        p { "An interval of a single pair does not allow for how many pairs there are." }
    };
    section("differences", "Differences", note, content)
}

fn forest(gaps: &[Gap], difference: fn(&Gap) -> Difference, scale: Scale) -> Markup {
    let (low, high) = scale.ends();
    html! {
        table.full {
            thead {
                tr {
                    th.word scope="col" { "ahead, and of what" } th scope="col" { "points" }
                    th.draw.ends scope="col" { span { (low) } span { (high) } }
                }
            }
            tbody {
                @for gap in gaps {
                    @let Difference { mean, low, high } = difference(gap);
                    @let class = if low > 0.0 || high < 0.0 { "c0" } else { "quiet" };
                    @let strip = Strip::new(scale).rule("quiet", 0.0).interval(class, low, high).dot(class, mean);
                    @let text = format!("{} points, interval {} to {}", points(mean), points(low), points(high));
                    tr {
                        td.word { (label(gap.ahead)) span.soft { " – " } (label(gap.behind)) }
                        td { strong { (points(mean)) } div.interval { (points(low)) " to " (points(high)) } }
                        td.draw { (strip.finish(&text)) }
                    }
                }
            }
        }
    }
}

fn mcnemar(report: &ComparisonReport, gaps: &[Gap]) -> Markup {
    let seed = |index: usize| {
        let run =
            report.contenders.iter().max_by_key(|contender| contender.runs.len()).and_then(|most| most.runs.get(index));
        run.map_or(index as u64, |run| run.seed)
    };
    html! {
        p.soft {
            "Rows that only one of two got right, and the probability of so uneven a division or a more uneven one "
            "if both were equally good. It speaks of two trained networks, not of other seeds."
        }
        div.scroll {
            table {
                thead {
                    tr {
                        th.word scope="col" { "a" } th.word scope="col" { "b" } th scope="col" { "seed" }
                        th scope="col" { "only a" } th scope="col" { "only b" } th scope="col" { "p" }
                    }
                }
                tbody {
                    @for gap in gaps {
                        @for test in &gap.pair.mcnemar {
                            @let turned = gap.pair.a != gap.ahead;
                            @let (a, b) = if turned { (test.only_b, test.only_a) } else { (test.only_a, test.only_b) };
                            tr {
                                td.word { (label(gap.ahead)) } td.word { (label(gap.behind)) } td { (seed(test.seed)) }
                                td { (units::count(a)) } td { (units::count(b)) }
                                td { @if test.p < 0.001 { "< 0.001" } @else { (format!("{:.3}", test.p)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn costs(report: &ComparisonReport, all: &[Shown]) -> Markup {
    let y = accuracy_scale(all);
    let (drawn, far): (Vec<&Shown>, Vec<&Shown>) =
        all.iter().partition(|one| (0.0..=1.0).contains(&y.place(one.standing.accuracy.mean)));
    // A baseline may take no time that a clock shows.
    let seconds = |one: &Shown| one.contender.seconds.max(0.01);
    let x = Scale::around_magnitudes(drawn.iter().map(|one| seconds(one)), Unit::Seconds);
    let mut plot = Plot::new(
        (x, if x.is_logarithmic() { "training time, logarithmic" } else { "training time" }),
        (y, "accuracy"),
    );
    for one in &drawn {
        plot.whisker(
            &one.class.replace(" dashed", ""),
            seconds(one),
            one.standing.accuracy.low,
            one.standing.accuracy.high,
        );
    }
    for one in &drawn {
        let tip = format!(
            "{}: {} in {}",
            one.contender.name,
            percent(one.standing.accuracy.mean),
            units::seconds(one.contender.seconds)
        );
        plot.marker(&one.class, one.shape, (seconds(one), one.standing.accuracy.mean), &shown(&tip));
    }
    let title = "Accuracy against training time";
    let legend = html! { @for one in &drawn { (one.legend()) } };
    let description = ranked(report, all)
        .iter()
        .map(|one| {
            format!(
                "{} {} in {}",
                one.contender.name,
                percent(one.standing.accuracy.mean),
                units::seconds(one.contender.seconds)
            )
        })
        .collect::<Vec<_>>()
        .join(", ");
    let content = html! {
        div.figures.one { (figure(html! { (title) }, legend, plot.finish(title, &shown(&description)))) }
        @if !far.is_empty() {
            p.soft {
                "Far below and not drawn: " @for (index, one) in far.iter().enumerate() { @if index > 0 { ", "
                } (label(one.contender.name)) " (" (percent(one.standing.accuracy.mean)) ")" } "."
            }
        }
    };
    let note =
        html! { p { "Uprights: 95 % intervals. What stands to the left of another and no lower is the better buy." } };
    section("costs", "Score against time", note, content)
}

fn curves(all: &[Shown]) -> Markup {
    type Line = (Vec<(f64, f64)>, Vec<Vec<(f64, f64)>>);
    let line = |one: &Shown, score: fn(&EvaluationRecord) -> f64| -> Line {
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
        let lines: Vec<(&Shown, Line)> =
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
    let any = all.iter().any(|one| line(one, |valid| valid.accuracy).0.len() > 1);
    let content = html! {
        @if any {
            div.figures {
                (plot("Validation accuracy", Unit::Percent, |valid| valid.accuracy))
                (plot("Validation loss, nats a row", Unit::Plain, |valid| valid.loss))
            }
        } @else { p { "Nothing was validated more than once: there are no curves." } }
    };
    let note =
        html! { p { "Mean over seeds, and each seed faintly. What is fitted in one go is a level dotted line." } };
    section("curves", "Learning curves", note, content)
}

fn coverage(all: &[Shown]) -> Markup {
    let lines: Vec<(&Shown, Vec<Covered>)> = all
        .iter()
        .map(|one| (one, coverage_line(&Coverage::of(&one.predictions.confidence, &one.predictions.correct))))
        .filter(|(_, line)| line.len() > 1)
        .collect();
    let strategies = lines.iter().filter(|(one, _)| !one.contender.is_baseline).flat_map(|(_, line)| line);
    let low = strategies.map(|point| point.accuracy).fold(1.0, f64::min);
    let near = |line: &[Covered]| line.iter().all(|point| point.accuracy >= low - 2.0 * (1.0 - low));
    let drawn: Vec<_> = lines.iter().filter(|(_, line)| near(line)).collect();
    let y = Scale::around(drawn.iter().flat_map(|(_, line)| line.iter().map(|point| point.accuracy)), Unit::Percent);
    let mut plot =
        Plot::new((Scale::new(0.0, 1.0, Unit::Percent), "rows that get a label"), (y, "of these rightly labelled"));
    for (one, line) in &drawn {
        plot.line(&one.class, &line.iter().map(|point| (point.share, point.accuracy)).collect::<Vec<_>>());
    }
    let legend =
        html! { @for (one, _) in &drawn { (legend_entry(&one.class, None, html! { (shown(one.contender.name)) })) } };
    let title = "Accuracy of what is labelled";
    let description = "Accuracy of the surest rows against their share of all rows, a line a strategy";
    let content = html! {
        @if drawn.is_empty() { p { "No contender gives a confidence." } } @else {
            div.figures.one { (figure(html! { (title) }, legend, plot.finish(title, description))) }
        }
    };
    let note = html! {
        p {
            code { "rehead label --min-confidence P" } " leaves rows of less confidence without a label. The higher "
            "the line, the better a strategy knows what it knows. All seeds together."
        }
    };
    section("coverage", "Labelling only what is sure", note, content)
}

fn reliability(all: &[&Shown]) -> Markup {
    let with: Vec<&Shown> = all.iter().copied().filter(|one| one.has_confidence()).collect();
    let ece = |one: &Shown| {
        let runs = &one.contender.runs;
        runs.iter().map(|run| run.evaluation.ece).sum::<f64>() / runs.len().max(1) as f64
    };
    let content = html! {
        @if with.is_empty() { p { "No contender gives a confidence." } } @else {
            div.figures.small {
                @for one in with {
                    @let caption = html! { (label(one.contender.name)) span.quiet { ", error " (percent(ece(one))) } };
                    (reliability_figure(Size::Small, caption, &one.class, &one.predictions))
                }
            }
        }
    };
    let note = html! {
        p {
            "On the dashed line confidence means what it says: of the rows with 80 % confidence, 80 % are right. "
            "Error: the expected calibration error, mean over seeds."
        }
        p { "Thin uprights: 95 % intervals. All seeds together." }
    };
    section("reliability", "How far to trust the confidence", note, content)
}

fn confusions(report: &ComparisonReport, all: &[Shown]) -> Markup {
    let matrix = |one: &Shown| {
        let (truth, predicted): (Vec<u32>, Vec<u32>) =
            one.contender.runs.iter().flat_map(|run| report.truth.iter().zip(run.predicted)).unzip();
        let matrix = confusion_matrix::confusion(&predicted, &truth, report.labels.len());
        confusion(&matrix, report.labels, &Predictions::new(&truth, &predicted, &vec![0.0; truth.len()]))
    };
    let small = report.labels.len() <= 3;
    let content = html! {
        @if small {
            div.matrices {
                @for one in ranked(report, all) { div { h3 { (shown(one.contender.name)) } (matrix(one)) } }
            }
        } @else {
            @for (index, one) in ranked(report, all).into_iter().enumerate() {
                details open[index == 0] { summary { (shown(one.contender.name)) } (matrix(one)) }
            }
        }
    };
    let note = html! {
        (confusion_note(report.labels.len()))
        @if report.comparison.seeds > 1 { p { "The rows of all seeds together." } }
    };
    section("confusions", "What is taken for what", note, content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::comparison::{self, compare};
    use crate::evaluation::evaluate;

    const HOSTILE: &str = "<script>alert(1)</script>";

    /// The page of so many seeds of four contenders, of which each knows less than the one before.
    fn drawn(classes: usize, seeds: usize, split: &str) -> String {
        let labels: Vec<String> = (0..classes).map(|class| format!("{HOSTILE} {class}")).collect();
        let truth: Vec<u32> = (0..120).map(|row| (row % classes) as u32).collect();
        let names = ["full", "frozen", "bag-of-words", "majority"];
        let predicted = |contender: usize, seed: usize| -> Vec<u32> {
            let wrong = |row: usize| contender == 3 || (row * 7 + seed) % 40 < [1, 3, 14, 0][contender];
            truth.iter().enumerate().map(|(row, &label)| if wrong(row) { 0 } else { label }).collect()
        };
        let runs: Vec<Vec<Vec<u32>>> =
            (0..4).map(|one| (0..seeds).map(|seed| predicted(one, seed)).collect()).collect();
        let scored = |predicted: &[u32]| {
            let logits = predicted
                .iter()
                .flat_map(|&label| (0..classes).map(move |class| f32::from(u8::from(class == label as usize))));
            evaluate(&logits.collect::<Vec<_>>(), &truth, &labels).unwrap()
        };
        let evaluations: Vec<Vec<Evaluation>> =
            runs.iter().map(|runs| runs.iter().map(|run| scored(run)).collect()).collect();
        let confidence: Vec<f32> = (0..120).map(|row| 0.5 + row as f32 / 300.0).collect();
        let history: Vec<Record> = (1..=3)
            .map(|epoch| Record::Evaluation(EvaluationRecord::new("valid", epoch, 10, &evaluations[0][0], 1.0)))
            .collect();
        let compared: Vec<comparison::Contender> = (0..4)
            .map(|one| {
                let predictions = runs[one].iter().map(Vec::as_slice).collect();
                comparison::Contender {
                    name: names[one],
                    predictions,
                    seconds: 60.0 / (1 + 20 * one) as f64,
                    baseline: one > 1,
                }
            })
            .collect();
        let contenders: Vec<Contender> = (0..4)
            .map(|one| Contender {
                name: names[one],
                is_baseline: one > 1,
                seconds: compared[one].seconds,
                trainable: 770,
                total: if one > 1 { 0 } else { 22_713_986 },
                peak_memory: 1 << 30,
                saved_bytes: 0,
                runs: (0..seeds)
                    .map(|seed| ContenderRun {
                        seed: 42 + seed as u64,
                        evaluation: &evaluations[one][seed],
                        predicted: &runs[one][seed],
                        confidence: if one == 3 { &[] } else { &confidence },
                        history: if one == 0 { &history } else { &history[..usize::from(one == 1)] },
                    })
                    .collect(),
            })
            .collect();
        let comparison = compare(&truth, classes, &compared).unwrap();
        page(&ComparisonReport {
            title: HOSTILE,
            comparison: &comparison,
            split,
            labels: &labels,
            truth: &truth,
            contenders: &contenders,
            data: &[("training data".to_owned(), HOSTILE.to_owned())],
        })
    }

    #[test]
    fn every_section_is_there_whatever_is_compared() {
        for (classes, seeds, split) in [(2, 3, "test"), (2, 1, "valid"), (5, 2, "test"), (77, 2, "test")] {
            let page = drawn(classes, seeds, split);
            for id in [
                "result",
                "standings",
                "differences",
                "costs",
                "curves",
                "coverage",
                "reliability",
                "confusions",
                "data",
            ] {
                assert!(page.contains(&format!("<section id=\"{id}\"")), "{id} with {classes} labels");
            }
            assert!(!page.contains("<script") && !page.contains("NaN"), "{classes} labels");
            assert_eq!(page.contains("There were no test data"), split == "valid");
        }
    }

    #[test]
    fn the_table_stands_in_order_and_a_lone_run_has_no_spread() {
        let page = drawn(2, 3, "test");
        let (_, table) = page.split_once("<section id=\"standings\"").unwrap();
        let (table, _) = table.split_once("</table>").unwrap();
        let place = |name: &str| table.find(&format!(">{name}<")).or_else(|| table.find(name));
        assert!(place("full") < place("frozen") && place("frozen") < place("majority"), "{table}");
        assert!(table.contains(" ± ") && table.contains("22.7\u{202f}M") && table.contains("baseline"));
        assert!(!drawn(2, 1, "test").contains(" ± "));
    }

    #[test]
    fn a_pair_is_shown_with_the_better_one_first() {
        let page = drawn(2, 3, "test");
        let (_, differences) = page.split_once("<section id=\"differences\"").unwrap();
        let (differences, _) = differences.split_once("</section>").unwrap();
        let (first, _) = differences.split_once("</tr><tr>").unwrap();
        assert!(first.find("full") < first.find("frozen"), "{first}");
        assert!(differences.contains("McNemar") && differences.contains("<td>44</td>"), "{differences}");
    }

    #[test]
    fn points_have_signs() {
        assert_eq!([0.0164, -0.004, 0.0, -0.0001].map(points), ["+1.6", "−0.4", "0.0", "0.0"]);
        assert_eq!([770, 31_000, 22_713_986].map(short_count), ["770", "31.0\u{202f}k", "22.7\u{202f}M"]);
    }
}
