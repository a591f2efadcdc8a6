//! A list of rows of the data, for people to read.

use maud::{Markup, html};

/// Rows listed, and how many of them without being opened.
pub(super) const MOST_ROWS: usize = 20;
const ROWS_SHOWN: usize = 8;

/// The first of some rows of the data, a few at once and more to be opened.
pub(super) fn rows<T>(all: &[T], row: impl Fn(&T) -> Markup) -> Markup {
    let listed = &all[..all.len().min(MOST_ROWS)];
    let (shown, more) = listed.split_at(if listed.len() > ROWS_SHOWN + 2 { ROWS_SHOWN } else { listed.len() });
    html! {
        ol.texts { @for item in shown { li { (row(item)) } } }
        @if !more.is_empty() {
            details {
                summary { (more.len()) " more" }
                ol.texts start=(shown.len() + 1) { @for item in more { li { (row(item)) } } }
            }
        }
    }
}
