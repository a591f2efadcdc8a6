//! Plots as inline SVG, drawn for the width of a phone: text keeps its size there, and two stand side by side on a desk.
//!
//! Colours are the style sheet's: a layer names a class, which sets `color`, and is drawn in `currentColor`, so plots follow
//! light and dark mode. Every plot has a title and a description for those who do not see it. Values that are not
//! finite are not drawn.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::number;
use crate::console::units;

/// Drawn sizes, of which text is a fixed part: small ones are for several abreast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Size {
    Plain,
    Small,
}

impl Size {
    fn width(self) -> f64 {
        if self == Self::Plain { 420.0 } else { 300.0 }
    }

    fn height(self) -> f64 {
        if self == Self::Plain { 280.0 } else { 220.0 }
    }
}

const LEFT: f64 = 44.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 38.0;
/// Lines with more points than this are thinned before they are drawn.
const MOST_POINTS: usize = 300;

/// How an axis writes its ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unit {
    Plain,
    /// Fractions, written as per cent.
    Percent,
    /// Differences of fractions, written as percentage points.
    Points,
    /// Numbers without parts.
    Whole,
    Seconds,
}

/// From data to a place between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    unit: Unit,
}

impl Scale {
    pub fn new(low: f64, high: f64, unit: Unit) -> Self {
        Self { low, high: if high > low { high } else { low + 1.0 }, logarithmic: false, unit }
    }

    /// A scale with round ends that holds all values.
    pub fn around(values: impl IntoIterator<Item = f64>, unit: Unit) -> Self {
        let (low, high) = range(values).unwrap_or((0.0, 1.0));
        let widened =
            if high > low { (low, high) } else { (low - low.abs() * 0.1 - 1e-3, high + high.abs() * 0.1 + 1e-3) };
        let step = step(widened.1 - widened.0, unit);
        let (low, high) = ((widened.0 / step).floor() * step, (widened.1 / step).ceil() * step);
        // Shares and counts do not leave their range.
        let low = if range_is_positive(widened.0) { low.max(0.0) } else { low };
        Self::new(low, if unit == Unit::Percent { high.min(1.0) } else { high }, unit)
    }

    /// As [`Scale::around`], logarithmic when the largest value is more than eight times the smallest.
    pub fn around_magnitudes(values: impl IntoIterator<Item = f64>, unit: Unit) -> Self {
        match range(values) {
            Some((low, high)) if low > 0.0 && high > 8.0 * low => {
                Self { low: low / 1.4, high: high * 1.4, logarithmic: true, unit }
            }
            found => Self::around(found.into_iter().flat_map(|(_, high)| [0.0, high]), unit),
        }
    }

    /// Where a value lies; outside 0 to 1 for values beyond the ends.
    pub fn place(&self, value: f64) -> f64 {
        match self.logarithmic {
            true => (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        }
    }

    pub fn low(&self) -> f64 {
        self.low
    }

    pub fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// What stands at its ends.
    pub fn ends(&self) -> (String, String) {
        (self.tick_text(self.low), self.tick_text(self.high))
    }

    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            return self.logarithmic_ticks();
        }
        let step = step(self.high - self.low, self.unit);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last.min(first + 20)).map(|tick| tick as f64 * step).collect()
    }

    fn logarithmic_ticks(&self) -> Vec<f64> {
        const TIMES: [f64; 16] = [
            0.01, 0.1, 1.0, 3.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 10_800.0, 36_000.0, 86_400.0,
            259_200.0, 864_000.0,
        ];
        let decades = || (-12..=18).flat_map(|power| [1.0, 3.0].map(|digit| digit * 10f64.powi(power)));
        let candidates: Vec<f64> = if self.unit == Unit::Seconds { TIMES.to_vec() } else { decades().collect() };
        let mut ticks: Vec<f64> = candidates.into_iter().filter(|tick| (self.low..=self.high).contains(tick)).collect();
        while ticks.len() > 6 {
            ticks = ticks.into_iter().step_by(2).collect();
        }
        ticks
    }

    fn tick_text(&self, tick: f64) -> String {
        let step = if self.logarithmic { tick } else { step(self.high - self.low, self.unit) };
        match self.unit {
            Unit::Percent => format!("{}\u{202f}%", fixed(tick * 100.0, step * 100.0)),
            Unit::Points if tick > step / 2.0 => format!("+{}", fixed(tick * 100.0, step * 100.0)),
            Unit::Points => fixed(tick * 100.0, step * 100.0),
            Unit::Whole => units::count(tick as u64),
            Unit::Seconds if tick == 0.0 => "0".to_owned(),
            Unit::Seconds => short_time(tick),
            Unit::Plain if tick.abs() >= 1000.0 && tick.fract() == 0.0 => {
                format!("{}{}", if tick < 0.0 { "−" } else { "" }, units::count(tick.abs() as u64))
            }
            Unit::Plain => fixed(tick, step),
        }
    }
}

fn range_is_positive(low: f64) -> bool {
    low >= 0.0
}

/// `1.2 s` where the console would say `1.2 s`, but `10 s` for ten seconds and not `10.0 s`.
fn short_time(seconds: f64) -> String {
    if (1.0..10.0).contains(&seconds) && seconds.fract() == 0.0 {
        return format!("{seconds:.0}\u{202f}s");
    }
    units::seconds(seconds).replace(' ', "\u{202f}")
}

/// The smallest and the largest of the finite values.
fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// A round distance between ticks: about five of them in `span`.
fn step(span: f64, unit: Unit) -> f64 {
    let raw = span / 5.0;
    if unit == Unit::Seconds && raw > 10.0 {
        const ROUND: [f64; 14] = [
            15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 43_200.0,
            86_400.0,
        ];
        return ROUND.into_iter().find(|step| *step >= raw).unwrap_or((raw / 86_400.0).ceil() * 86_400.0);
    }
    let raw = if unit == Unit::Whole { raw.max(1.0) } else { raw };
    let magnitude = 10f64.powf(raw.log10().floor());
    let digit = raw / magnitude;
    magnitude
        * if digit <= 1.0 {
            1.0
        } else if digit <= 2.0 {
            2.0
        } else if digit <= 5.0 {
            5.0
        } else {
            10.0
        }
}

/// As many decimals as tell ticks apart that are `step` apart.
fn fixed(value: f64, step: f64) -> String {
    let decimals = (-(step.abs().log10() + 1e-9).floor()).clamp(0.0, 8.0) as usize;
    let text = format!("{value:.decimals$}");
    let zero = text.trim_start_matches('-').chars().all(|char| matches!(char, '0' | '.'));
    if zero { text.trim_start_matches('-').to_owned() } else { text.replace('-', "−") }
}

/// The shapes of markers, so that colour is never the only difference.
const SHAPES: usize = 6;

/// A plot under construction: axes, then layers in the order in which they are drawn.
pub struct Plot {
    width: f64,
    height: f64,
    x: Scale,
    y: Scale,
    x_label: String,
    y_label: String,
    layers: Vec<Markup>,
}

impl Plot {
    pub fn new(x: (Scale, &str), y: (Scale, &str)) -> Self {
        Self::of_size(Size::Plain, x, y)
    }

    pub fn of_size(size: Size, x: (Scale, &str), y: (Scale, &str)) -> Self {
        let (width, height) = (size.width(), size.height());
        Self { width, height, x: x.0, y: y.0, x_label: x.1.to_owned(), y_label: y.1.to_owned(), layers: Vec::new() }
    }

    fn at_x(&self, x: f64) -> f64 {
        LEFT + self.x.place(x) * (self.width - LEFT - RIGHT)
    }

    fn at_y(&self, y: f64) -> f64 {
        self.height - BOTTOM - self.y.place(y) * (self.height - TOP - BOTTOM)
    }

    /// A line through the points in their order.
    pub fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let points = thinned(&finite(points));
        let path = self.path(&points);
        if points.len() > 1 {
            self.layers.push(html! { path class={ "line " (class) } d=(path) {} });
        }
    }

    /// The area between two lines, given as (x, low, high).
    pub fn band(&mut self, class: &str, edges: &[(f64, f64, f64)]) {
        let low: Vec<(f64, f64)> = edges.iter().map(|edge| (edge.0, edge.1)).collect();
        let high: Vec<(f64, f64)> = edges.iter().map(|edge| (edge.0, edge.2)).collect();
        let mut around = thinned(&finite(&high));
        around.extend(thinned(&finite(&low)).into_iter().rev());
        if around.len() > 2 {
            let path = self.path(&around);
            self.layers.push(html! { path class={ "band " (class) } d={ (path) "Z" } {} });
        }
    }

    /// A point, with what it is as its tooltip. `shape` counts from 0 and begins again when there are no more.
    pub fn marker(&mut self, class: &str, shape: usize, at: (f64, f64), tip: &str) {
        if at.0.is_finite() && at.1.is_finite() {
            let (x, y) = (self.at_x(at.0), self.at_y(at.1));
            self.layers.push(marker(class, shape, x, y, tip));
        }
    }

    /// An upright interval.
    pub fn whisker(&mut self, class: &str, x: f64, low: f64, high: f64) {
        if [x, low, high].into_iter().all(f64::is_finite) {
            let (x, low, high) = (self.at_x(x), self.at_y(low), self.at_y(high));
            let (x, low, high) = (number(x), number(low), number(high));
            self.layers.push(html! { line class={ "whisker " (class) } x1=(x) x2=(x) y1=(low) y2=(high) {} });
        }
    }

    /// A bar on the axis, from `from` to `to`.
    pub fn bar(&mut self, class: &str, (from, to): (f64, f64), value: f64, tip: &str) {
        let (left, right, top, bottom) = (self.at_x(from), self.at_x(to), self.at_y(value), self.at_y(0.0));
        let (width, height) = (number((right - left - 1.0).max(0.5)), number((bottom - top).max(0.0)));
        self.layers.push(html! {
            rect class={ "bar " (class) } x=(number(left + 0.5)) y=(number(top)) width=(width) height=(height) {
                title { (tip) }
            }
        });
    }

    /// A rule from the bottom to the top, with a word at its foot.
    pub fn upright(&mut self, class: &str, x: f64, word: &str) {
        let x = self.at_x(x);
        let (anchor, beside) = if x > self.width / 2.0 { ("end", x - 5.0) } else { ("start", x + 5.0) };
        let (x, top, bottom) = (number(x), number(TOP), number(self.height - BOTTOM));
        let foot = number(self.height - BOTTOM - 6.0);
        self.layers.push(html! {
            line class={ "mark " (class) } x1=(x) x2=(x) y1=(top) y2=(bottom) {}
            text class={ "note " (class) } x=(number(beside)) y=(foot) text-anchor=(anchor) { (word) }
        });
    }

    /// Words in the plot, beginning (or, with `end`, ending) at a place.
    pub fn note(&mut self, class: &str, at: (f64, f64), end: bool, words: &str) {
        let anchor = if end { "end" } else { "start" };
        let (x, y) = (number(self.at_x(at.0)), number(self.at_y(at.1)));
        self.layers.push(html! { text class={ "note " (class) } x=(x) y=(y) text-anchor=(anchor) { (words) } });
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let mut path = String::with_capacity(points.len() * 12);
        for (index, &(x, y)) in points.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{} {}", number(self.at_x(x)), number(self.at_y(y)));
        }
        path
    }

    /// The finished drawing. `title` says what it shows, `description` what is to be seen in it.
    pub fn finish(self, title: &str, description: &str) -> Markup {
        let (bottom, right) = (self.height - BOTTOM, self.width - RIGHT);
        html! {
            svg class="plot" viewBox={ "0 0 " (self.width) " " (self.height) } role="img"
                aria-label={ (title) ". " (description) } {
                @for tick in self.y.ticks() {
                    @let y = self.at_y(tick);
                    line class="grid" x1=(number(LEFT)) x2=(number(right)) y1=(number(y)) y2=(number(y)) {}
                    text class="tick" x=(number(LEFT - 6.0)) y=(number(y + 4.0)) text-anchor="end" {
                        (self.y.tick_text(tick))
                    }
                }
                line class="axis" x1=(number(LEFT)) x2=(number(right)) y1=(number(bottom)) y2=(number(bottom)) {}
                @for tick in thin(self.x.ticks(), self.width) {
                    @let x = self.at_x(tick);
                    line class="axis" x1=(number(x)) x2=(number(x)) y1=(number(bottom)) y2=(number(bottom + 4.0)) {}
                    text class="tick" x=(number(x)) y=(number(bottom + 16.0)) text-anchor="middle" {
                        (self.x.tick_text(tick))
                    }
                }
                text class="name" x=(number(right)) y=(number(self.height - 4.0)) text-anchor="end" { (self.x_label) }
                text class="name" x="0" y="11" { (self.y_label) }
                @for layer in &self.layers { (layer) }
            }
        }
    }
}

/// Every other tick where there is no room for all.
fn thin(ticks: Vec<f64>, width: f64) -> Vec<f64> {
    let crowded = ticks.len() as f64 * 60.0 > width;
    ticks.into_iter().step_by(if crowded { 2 } else { 1 }).collect()
}

fn finite(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    points.iter().copied().filter(|point| point.0.is_finite() && point.1.is_finite()).collect()
}

/// At most [`MOST_POINTS`] points: means of neighbours, the last point as it is.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let mean = |values: &[(f64, f64)]| {
        let rows = values.len() as f64;
        let (x, y) = values.iter().fold((0.0, 0.0), |sum, value| (sum.0 + value.0, sum.1 + value.1));
        (x / rows, y / rows)
    };
    let mut thinned: Vec<(f64, f64)> = points.chunks(points.len().div_ceil(MOST_POINTS)).map(mean).collect();
    thinned.extend(points.last());
    thinned
}

/// A marker at a place of the drawing.
fn marker(class: &str, shape: usize, x: f64, y: f64, tip: &str) -> Markup {
    let at = |dx: f64, dy: f64| format!("{} {}", number(x + dx), number(y + dy));
    let corners = |corners: &[(f64, f64)]| {
        let places: Vec<String> = corners.iter().map(|corner| at(corner.0, corner.1)).collect();
        format!("M{}Z", places.join("L"))
    };
    let path = match shape % SHAPES {
        0 => format!("M{}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", at(-4.0, 0.0)),
        1 => corners(&[(-3.6, -3.6), (3.6, -3.6), (3.6, 3.6), (-3.6, 3.6)]),
        2 => corners(&[(0.0, -4.8), (4.6, 3.6), (-4.6, 3.6)]),
        3 => corners(&[(0.0, -5.2), (5.2, 0.0), (0.0, 5.2), (-5.2, 0.0)]),
        4 => corners(&[(0.0, 4.8), (4.6, -3.6), (-4.6, -3.6)]),
        _ => {
            format!("M{}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Zm2.4 0a1.6 1.6 0 1 1 3.2 0a1.6 1.6 0 1 1 -3.2 0Z", at(-4.0, 0.0))
        }
    };
    html! { path class={ "marker " (class) } d=(path) { title { (tip) } } }
}

/// The sample of a series in a legend: its line and, with `shape`, its marker.
pub fn sample(class: &str, shape: Option<usize>) -> Markup {
    html! {
        svg class="sample" viewBox="0 0 28 12" aria-hidden="true" {
            line class={ "line " (class) } x1="1" x2="27" y1="6" y2="6" {}
            @if let Some(shape) = shape { (marker(class, shape, 14.0, 6.0, "")) }
        }
    }
}

/// A strip as wide as its cell: an interval and marks on a scale, for tables.
pub struct Strip {
    scale: Scale,
    layers: Vec<Markup>,
}

impl Strip {
    pub fn new(scale: Scale) -> Self {
        Self { scale, layers: Vec::new() }
    }

    fn at(&self, value: f64) -> String {
        format!("{}%", number(self.scale.place(value).clamp(0.0, 1.0) * 100.0))
    }

    pub fn interval(mut self, class: &str, low: f64, high: f64) -> Self {
        let (low, high) = (self.at(low), self.at(high));
        self.layers.push(html! { line class={ "whisker " (class) } x1=(low) x2=(high) y1="50%" y2="50%" {} });
        self
    }

    /// A dot; where the value lies beyond an end, an arrow towards it.
    pub fn dot(mut self, class: &str, value: f64) -> Self {
        let x = self.at(value);
        self.layers.push(match self.scale.place(value) {
            ..0.0 => html! { text class={ "note " (class) } x="0" y="50%" dy=".35em" { "◂" } },
            1.0.. if value > self.scale.high => {
                html! { text class={ "note " (class) } x="100%" y="50%" dy=".35em" text-anchor="end" { "▸" } }
            }
            _ => html! { circle class={ "dot " (class) } cx=(x) cy="50%" r="4" {} },
        });
        self
    }

    /// An upright rule.
    pub fn rule(mut self, class: &str, value: f64) -> Self {
        let x = self.at(value);
        self.layers.push(html! { line class={ "mark " (class) } x1=(x) x2=(x) y1="0" y2="100%" {} });
        self
    }

    pub fn finish(self, description: &str) -> Markup {
        html! {
            svg class="strip" role="img" aria-label=(description) {
                line class="grid" x1="0" x2="100%" y1="50%" y2="50%" {}
                @for layer in &self.layers { (layer) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scale: Scale) -> Vec<String> {
        scale.ticks().into_iter().map(|tick| scale.tick_text(tick)).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            texts(Scale::new(0.0, 1.0, Unit::Percent)),
            ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"].map(|t| t.replace(' ', "\u{202f}"))
        );
        assert_eq!(texts(Scale::new(0.0, 647.0, Unit::Plain)), ["0", "200", "400", "600"]);
        assert_eq!(texts(Scale::new(0.0, 6000.0, Unit::Plain)), ["0", "2,000", "4,000", "6,000"]);
        assert_eq!(texts(Scale::new(-0.02, 0.03, Unit::Plain)), ["−0.02", "−0.01", "0.00", "0.01", "0.02", "0.03"]);
        assert_eq!(
            texts(Scale::new(0.0, 300.0, Unit::Seconds)),
            ["0", "1\u{202f}min", "2\u{202f}min", "3\u{202f}min", "4\u{202f}min", "5\u{202f}min"]
        );
    }

    #[test]
    fn a_scale_holds_all_its_values() {
        let scale = Scale::around([0.853, 0.8796, f64::NAN], Unit::Percent);
        assert!(scale.place(0.853) >= 0.0 && scale.place(0.8796) <= 1.0, "{scale:?}");
        assert!(scale.low > 0.84 && scale.high < 0.89, "{scale:?}");
        assert_eq!(Scale::around([0.97, 1.0], Unit::Percent).high, 1.0);
        for lonely in [0.0, 0.5, 1.0, -3.0, 1e9] {
            let place = Scale::around([lonely], Unit::Plain).place(lonely);
            assert!((0.0..=1.0).contains(&place), "{lonely}: {place}");
        }
        assert!(Scale::around([], Unit::Plain).ticks().len() > 2);
    }

    #[test]
    fn magnitudes_far_apart_are_shown_logarithmically() {
        let near = Scale::around_magnitudes([60.0, 100.0], Unit::Seconds);
        assert_eq!((near.logarithmic, near.low), (false, 0.0));
        let far = Scale::around_magnitudes([0.02, 6.8, 577.0], Unit::Seconds);
        assert!(far.logarithmic);
        assert_eq!(texts(far), ["100\u{202f}ms", "3\u{202f}s", "30\u{202f}s", "3\u{202f}min"]);
        assert!(!Scale::around_magnitudes([0.0, 577.0], Unit::Seconds).logarithmic);
    }

    #[test]
    fn long_lines_are_thinned_and_keep_their_end() {
        let points: Vec<(f64, f64)> = (0..100_000).map(|x| (f64::from(x), f64::from(x % 2))).collect();
        let thinned = thinned(&points);
        assert!(thinned.len() <= MOST_POINTS + 1);
        assert_eq!(thinned.last(), points.last());
        assert_eq!(thinned[0].1, 0.5);
    }

    #[test]
    fn what_is_not_finite_is_not_drawn() {
        let mut plot = Plot::new((Scale::new(0.0, 1.0, Unit::Plain), "x"), (Scale::new(0.0, 1.0, Unit::Plain), "y"));
        plot.line("c0", &[(0.0, f64::NAN), (0.5, 0.5), (1.0, f64::INFINITY), (1.0, 1.0)]);
        plot.marker("c0", 0, (f64::NAN, 0.0), "");
        plot.whisker("c0", 0.0, f64::NEG_INFINITY, 1.0);
        let drawn = plot.finish("title", "description").into_string();
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        assert!(drawn.contains("aria-label=\"title. description\""));
    }
}
