//! Plots as inline SVG, drawn for the width of a phone: text keeps its size there, and two stand side by side on a
//! desk.
//!
//! Colours are the style sheet's: a layer names a class, which sets `color`, and is drawn in `currentColor`, so plots
//! follow light and dark mode. Every plot has a title and a description for those who do not see it. Values that are
//! not finite are not drawn.

mod axes;
mod marker;
mod scale;
mod strip;

pub use axes::{Plot, Size};
pub use marker::{legend_entry, sample};
pub use scale::{Scale, Unit};
pub use strip::Strip;
