//! Scores and costs of every contender, the most accurate first.

use std::path::Path;

use maud::{Markup, html};

use super::view::{ComparisonReport, Contender, Series, accuracy_scale, ranked};
use crate::console::units;
use crate::evaluation::comparison::Summary;
use crate::report::html::page::section;
use crate::report::html::plot::{Scale, Strip, sample};
use crate::report::html::text::{label, percent, percent_bare, split_name};

pub(super) fn standings(report: &ComparisonReport, all: &[Series]) -> Markup {
    let scale = accuracy_scale(all);
    let (low, high) = scale.ends();
    let content = html! {
        div.scroll {
            table.full.standings {
                thead {
                    tr {
                        th.word scope="col" { "strategy" } th scope="col" { (split_name(report.split)) " accuracy" }
                        th.draw.ends.hide-narrow scope="col" { span { (low) } span { (high) } }
                        th scope="col" { "macro-F1" } th scope="col" { "training" }
                        th.hide-narrow scope="col" { "parameters trained" }
                        th.hide-narrow scope="col" { "memory" } th.hide-narrow scope="col" { "saved" }
                    }
                }
                tbody { @for one in ranked(report, all) { (standing(one, scale)) } }
            }
        }
    };
    let note = html! {
        @if report.comparison.seeds > 1 {
            p {
                "The most accurate first. Mean over seeds ± standard deviation. Below, and in the plot: the "
                "95\u{202f}% interval for other rows and other seeds."
            }
        } @else {
            p { "The most accurate first. Below, and in the plot: the 95\u{202f}% interval for other rows." }
        }
        p {
            "Seeds lead to the reports of their runs. Training: time of one run. Memory: the peak of the process, with "
            "what it keeps of the runs before; a run by itself may need less."
        }
    };
    section("standings", "Scores and costs", note, content)
}

fn standing(one: &Series, scale: Scale) -> Markup {
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
                @if is_baseline { div.interval { "baseline" } } @else { (reports(one.contender)) }
            }
            td { (summary(accuracy, several)) }
            td.draw.hide-narrow { (strip.finish(&text)) }
            td { (summary(&one.standing.macro_f1, several)) }
            td { (units::seconds(seconds)) }
            td.hide-narrow {
                @if total == 0 { "–" } @else { (short_count(trainable)) div.interval { "of " (short_count(total)) } }
            }
            td.hide-narrow { (known(peak_memory)) }
            td.hide-narrow { (known(saved_bytes)) }
        }
    }
}

/// Links to the runs' own reports.
fn reports(contender: &Contender) -> Markup {
    let linked: Vec<(u64, String)> =
        contender.runs.iter().filter_map(|run| Some((run.seed, link(run.report.as_deref()?)))).collect();
    html! {
        @if !linked.is_empty() {
            div.interval.seeds {
                @if linked.len() == 1 { "seed " } @else { "seeds " }
                @for (index, (seed, link)) in linked.iter().enumerate() {
                    @if index > 0 { ", " wbr; }
                    a href=(link) title={ "The report of the run with seed " (seed) } { (seed) }
                }
            }
        }
    }
}

/// A relative path as an address.
fn link(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let text = path.to_string_lossy();
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_addresses() {
        assert_eq!(link(Path::new("last-2/seed-42/report.html")), "last-2/seed-42/report.html");
        assert_eq!(link(Path::new("a b/ü#.html")), "a%20b/%C3%BC%23.html");
    }

    #[test]
    fn counts_are_short() {
        assert_eq!([770, 31_000, 22_713_986].map(short_count), ["770", "31.0\u{202f}k", "22.7\u{202f}M"]);
    }
}
