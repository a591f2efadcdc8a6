//! A plot with two axes: lines, bands, bars, intervals, markers and notes.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::marker::marker;
use super::scale::Scale;
use crate::report::html::text::number;

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
        LEFT + self.x.position(x) * (self.width - LEFT - RIGHT)
    }

    fn at_y(&self, y: f64) -> f64 {
        self.height - BOTTOM - self.y.position(y) * (self.height - TOP - BOTTOM)
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

    /// A dot whose area says how much it stands for. `radius`: in units of the drawing.
    pub fn dot(&mut self, class: &str, at: (f64, f64), radius: f64, tip: &str) {
        if at.0.is_finite() && at.1.is_finite() {
            let (x, y) = (number(self.at_x(at.0)), number(self.at_y(at.1)));
            self.layers.push(html! {
                circle class={ "marker " (class) } cx=(x) cy=(y) r=(number(radius)) { title { (tip) } }
            });
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
    pub fn vertical_line(&mut self, class: &str, x: f64, word: &str) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::plot::Unit;

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
