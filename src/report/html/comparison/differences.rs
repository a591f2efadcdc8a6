//! The differences between contenders, pair by pair.

use maud::{Markup, html};

use super::view::ComparisonReport;
use crate::console::units;
use crate::evaluation::comparison::{Difference, Pair};
use crate::report::html::page::section;
use crate::report::html::plot::{Scale, Strip, Unit};
use crate::report::html::text::label;

/// Of many pairs those with the best contender are shown, and the others can be opened.
const PAIRS_SHOWN: usize = 8;

/// Percentage points with a sign: `+1.6`.
fn points(difference: f64) -> String {
    let text = format!("{:+.1}", difference * 100.0).replace('-', "−");
    if matches!(text.as_str(), "+0.0" | "−0.0") { "0.0".to_owned() } else { text }
}

/// A pair as it is shown: the better one first.
struct OrderedPair<'a> {
    better: &'a str,
    worse: &'a str,
    accuracy: Difference,
    macro_f1: Difference,
    pair: &'a Pair,
}

impl<'a> OrderedPair<'a> {
    fn of(pair: &'a Pair) -> Self {
        let Pair { a, b, accuracy, macro_f1, .. } = pair;
        match accuracy.mean < 0.0 {
            true => Self { better: b, worse: a, accuracy: accuracy.reversed(), macro_f1: macro_f1.reversed(), pair },
            false => Self { better: a, worse: b, accuracy: *accuracy, macro_f1: *macro_f1, pair },
        }
    }
}

pub(super) fn differences(report: &ComparisonReport) -> Markup {
    let ranked = report.comparison.ranked();
    let rank = |name: &str| ranked.iter().position(|standing| standing.name == name);
    let mut gaps: Vec<OrderedPair> = report.comparison.pairs.iter().map(OrderedPair::of).collect();
    gaps.sort_by_key(|gap| (rank(gap.better), rank(gap.worse)));
    let with_best = gaps.iter().take_while(|gap| rank(gap.better) == Some(0)).count();
    let (shown, more) = gaps.split_at(if gaps.len() > PAIRS_SHOWN { with_best } else { gaps.len() });
    // One scale for all pairs of strategies; baselines may be off it.
    let is_baseline = |name: &str| ranked.iter().any(|standing| standing.baseline && standing.name == name);
    let scale = |difference: fn(&OrderedPair) -> Difference| {
        let of_strategies = |gap: &&OrderedPair| !is_baseline(gap.better) && !is_baseline(gap.worse);
        let strategies = gaps.iter().filter(of_strategies).map(difference);
        let all = gaps.iter().map(difference).filter(|_| !gaps.iter().any(|gap| of_strategies(&gap)));
        around_zero(strategies.chain(all).flat_map(|gap| [gap.low, gap.high]))
    };
    let accuracy = |gap: &OrderedPair| gap.accuracy;
    let macro_f1 = |gap: &OrderedPair| gap.macro_f1;
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
            "The accuracy of the first minus that of the second, in percentage points, on the same rows and seeds. "
            "Where the 95\u{202f}% interval includes zero, the vertical line, the difference may be due to chance."
        }
        @if report.comparison.seeds > 1 {
            p { "How much seeds differ is estimated from all strategies together: a few seeds of one say little." }
        }
        p { "The intervals are not corrected for the number of pairs." }
    };
    section("differences", "Differences", note, content)
}

/// A scale that holds all values, and zero with some room on either side: what all intervals are read against.
fn around_zero(values: impl Iterator<Item = f64>) -> Scale {
    let values: Vec<f64> = values.collect();
    let room = 0.08 * values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    Scale::around(values.into_iter().chain([-room, room]), Unit::Points)
}

fn forest(gaps: &[OrderedPair], difference: fn(&OrderedPair) -> Difference, scale: Scale) -> Markup {
    let (low, high) = scale.ends();
    html! {
        table.full {
            thead {
                tr {
                    th.word scope="col" { "difference" } th scope="col" { "points" }
                    th.draw.ends scope="col" { span { (low) } span { (high) } }
                }
            }
            tbody {
                @for gap in gaps {
                    @let Difference { mean, low, high } = difference(gap);
                    @let class = if low > 0.0 || high < 0.0 { "c0" } else { "quiet" };
                    @let strip = Strip::new(scale).rule("ink", 0.0).interval(class, low, high).dot(class, mean);
                    @let text = format!("{} points, interval {} to {}", points(mean), points(low), points(high));
                    tr {
                        td.word { (label(gap.better)) span.soft { " – " } (label(gap.worse)) }
                        td { strong { (points(mean)) } div.interval { (points(low)) " to " (points(high)) } }
                        td.draw { (strip.finish(&text)) }
                    }
                }
            }
        }
    }
}

fn mcnemar(report: &ComparisonReport, gaps: &[OrderedPair]) -> Markup {
    let seed = |index: usize| {
        let run =
            report.contenders.iter().max_by_key(|contender| contender.runs.len()).and_then(|most| most.runs.get(index));
        run.map_or(index as u64, |run| run.seed)
    };
    html! {
        p.soft {
            "Rows that only one of the two predicts correctly, and the probability (p) of a division this uneven or "
            "more if both were equally good. It compares two trained networks and says nothing about other seeds."
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
                            @let turned = gap.pair.a != gap.better;
                            @let (a, b) = if turned { (test.only_b, test.only_a) } else { (test.only_a, test.only_b) };
                            tr {
                                td.word { (label(gap.better)) } td.word { (label(gap.worse)) } td { (seed(test.seed)) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_never_at_the_edge() {
        for values in [[0.1, 0.3], [0.28, 0.31], [-0.2, -0.1], [-0.1, 0.2], [0.0, 0.0]] {
            let scale = around_zero(values.into_iter());
            assert!((0.03..=0.97).contains(&scale.position(0.0)), "{values:?}: {scale:?}");
            assert!(values.iter().all(|&value| (0.0..=1.0).contains(&scale.position(value))), "{values:?}: {scale:?}");
        }
    }

    #[test]
    fn points_have_signs() {
        assert_eq!([0.0164, -0.004, 0.0, -0.0001].map(points), ["+1.6", "−0.4", "0.0", "0.0"]);
    }
}
