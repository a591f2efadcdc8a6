//! A plot as wide as a table's cell: an interval and marks on a scale.

use maud::{Markup, html};

use super::scale::Scale;
use crate::report::html::text::number;

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
        format!("{}%", number(self.scale.position(value).clamp(0.0, 1.0) * 100.0))
    }

    pub fn interval(mut self, class: &str, low: f64, high: f64) -> Self {
        let (low, high) = (self.at(low), self.at(high));
        self.layers.push(html! { line class={ "whisker " (class) } x1=(low) x2=(high) y1="50%" y2="50%" {} });
        self
    }

    /// A dot; where the value lies beyond an end, an arrow towards it.
    pub fn dot(mut self, class: &str, value: f64) -> Self {
        let x = self.at(value);
        self.layers.push(match self.scale.position(value) {
            ..0.0 => html! { text class={ "note " (class) } x="0" y="50%" dy=".35em" { "◂" } },
            1.0.. if value > self.scale.high() => {
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
