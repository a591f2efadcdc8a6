//! Markers of points, and the sample of a series that stands in a legend.

use maud::{Markup, html};

use crate::report::html::text::number;

/// The shapes of markers, so that colour is never the only difference.
const SHAPES: usize = 6;

/// A marker at a place of the drawing.
pub(super) fn marker(class: &str, shape: usize, x: f64, y: f64, tip: &str) -> Markup {
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

/// A name beside the sample of its line.
pub fn legend_entry(class: &str, shape: Option<usize>, name: Markup) -> Markup {
    html! { span { (sample(class, shape)) (name) } }
}
