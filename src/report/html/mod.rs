//! Pages for people: one HTML file each, complete in itself, that asks for nothing from elsewhere and runs no script.
//!
//! Markup is written with `maud`, which escapes every text; the page's own policy forbids scripts and foreign content
//! besides, so no label or text of the data can become more than text. Light and dark follow the reader's setting.
//!
//! Scores are shown in per cent with one decimal. What the pages compute from predictions comes from
//! [`outcomes`](super::outcomes), so that the page of a run and that of a comparison mean the same by it.

pub mod comparison;
pub mod explanation;
mod figures;
mod next_steps;
mod page;
mod plot;
pub mod run;
mod text;
mod thumbnail;
