//! Rows of the data for people to look at: a list of texts, or a gallery of images that open larger.

use maud::{Markup, html};

use super::view::SplitView;
use crate::data::Modality;
use crate::report::html::page::section;
use crate::report::html::text::percent;

/// Rows listed, and how many of them without being opened.
pub(super) const MOST_ROWS: usize = 20;
const ROWS_SHOWN: usize = 8;
/// Correct images shown, in all and of a label.
const MOST_CORRECT: usize = 12;
const MOST_OF_A_LABEL: usize = 3;

/// The first of some rows of the data, a few at once and more to be opened.
pub(super) fn rows<T>(modality: Modality, all: &[T], row: impl Fn(&T) -> Markup) -> Markup {
    let class = if modality == Modality::Image { "gallery" } else { "texts" };
    let listed = &all[..all.len().min(MOST_ROWS)];
    let (shown, more) = listed.split_at(if listed.len() > ROWS_SHOWN + 2 { ROWS_SHOWN } else { listed.len() });
    html! {
        ol class=(class) { @for item in shown { li { (row(item)) } } }
        @if !more.is_empty() {
            details {
                summary { (more.len()) " more" }
                ol class=(class) start=(shown.len() + 1) { @for item in more { li { (row(item)) } } }
            }
        }
    }
}

/// Images that are predicted correctly, those of the highest confidence of each label; nothing of texts.
pub(super) fn correct_images(scored: &SplitView, prefix: &str) -> Markup {
    if scored.split.modality != Modality::Image {
        return html! {};
    }
    let predictions = &scored.predictions;
    let mut correct: Vec<usize> = (0..predictions.rows()).filter(|&row| predictions.correct[row]).collect();
    correct.sort_by(|&a, &b| predictions.confidence[b].total_cmp(&predictions.confidence[a]));
    let each = (MOST_CORRECT / scored.labels.len().max(1)).clamp(1, MOST_OF_A_LABEL);
    let mut taken = vec![0; scored.labels.len()];
    correct.retain(|&row| {
        let taken = &mut taken[predictions.truth[row] as usize];
        *taken += 1;
        *taken <= each
    });
    correct.truncate(MOST_CORRECT);
    correct.sort_by_key(|&row| predictions.truth[row]);
    let content = html! {
        @if correct.is_empty() { p { "No image is predicted correctly." } }
        @else {
            (rows(scored.split.modality, &correct, |&row| html! {
                p { span { b { (percent(predictions.confidence[row])) } " " (scored.label(predictions.truth[row])) } }
                (scored.text(row, &format!("{prefix}correct-{row}")))
            }))
        }
    };
    let note = html! { p { "The images of each label of which the network is most confident, and correct." } };
    section(&format!("{prefix}examples"), "Correct examples", note, content)
}
