//! Accuracy against training time.

use maud::{Markup, html};

use super::view::{ComparisonReport, Series, accuracy_scale, ranked};
use crate::console::units;
use crate::report::html::page::{figure, section};
use crate::report::html::plot::{Plot, Scale, Unit};
use crate::report::html::text::{label, percent, shown};

pub(super) fn costs(report: &ComparisonReport, all: &[Series]) -> Markup {
    let y = accuracy_scale(all);
    let (drawn, far): (Vec<&Series>, Vec<&Series>) =
        all.iter().partition(|one| (0.0..=1.0).contains(&y.position(one.standing.accuracy.mean)));
    // A baseline may take no time that a clock shows.
    let seconds = |one: &Series| one.contender.seconds.max(0.01);
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
                "Too low to be drawn on this scale: " @for (index, one) in far.iter().enumerate() { @if index > 0 { ", "
                } (label(one.contender.name)) " (" (percent(one.standing.accuracy.mean)) ")" } "."
            }
        }
    };
    let note = html! {
        p { "Vertical bars: 95\u{202f}% intervals. A strategy to the left of another and no lower is better value." }
    };
    section("costs", "Score against time", note, content)
}
