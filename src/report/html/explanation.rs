//! The page of `rehead explain`: each row with its label and what speaks for it. Words are shaded by what they add,
//! images by how much each place counts.

use maud::{Markup, html};

use super::page::{section, skeleton};
use super::text::{BEGINNING, WORTH_A_CLICK, label, long, number, percent, shown};
use super::thumbnail::as_seen;
use crate::console::units;
use crate::report::why::{Piece, SeenImage, Why};

/// A page of explanations.
pub struct ExplanationPage<'a> {
    /// The model, as it was named.
    pub model: &'a str,
    /// The input, as it was named.
    pub input: &'a str,
    /// In their order.
    pub rows: &'a [ExplainedRow],
}

/// A row, and why it gets its label.
pub struct ExplainedRow {
    /// Its file, where rows of several are explained.
    pub of: Option<String>,
    /// Its number in the input, from 1.
    pub row: u64,
    /// The label that the model gives it.
    pub predicted: String,
    /// The probability of the predicted label.
    pub confidence: f64,
    /// The label that is explained.
    pub label: String,
    /// What speaks for that label.
    pub why: Why,
}

/// The page as HTML.
pub fn explanation_page(page: &ExplanationPage) -> String {
    let of_images = page.rows.iter().any(|row| matches!(row.why, Why::Image(_)));
    let note = html! {
        @if of_images {
            p { "Yellow places speak for the label, the brightest the most; the others do not. What the network does \
                 not see of an image is not shown." }
        } @else {
            p {
                "Words in " span.why { mark.for style="--shade:.8" { "this colour" } } " speak for the label, \
                 words in "
                span.why { mark.against style="--shade:.8" { "this one" } } " against it. Rest the pointer on a word \
                 to see what it adds to the log odds."
            }
            p { "A score says what the network did with the word here, not what the word means." }
        }
    };
    let rows = html! { ol.texts { @for row in page.rows { li { (explained(row)) } } } };
    let body = html! {
        header {
            h1 { "Why these labels" }
            p.facts { (shown(page.model)) " · " (shown(page.input)) " · "
                (units::counted(page.rows.len() as u64, "row")) }
        }
        (section("rows", "Rows", note, rows))
    };
    skeleton("explanation", page.model, body)
}

fn explained(row: &ExplainedRow) -> Markup {
    html! {
        p {
            span { @if let Some(file) = &row.of { (shown(file)) " · " } "row " (units::count(row.row)) }
            " "
            span { (label(&row.predicted)) " " (percent(row.confidence)) }
            @if row.label != row.predicted { " " span { "what speaks for " (label(&row.label)) } }
        }
        @match &row.why {
            Why::Texts(texts) => @for text in texts { blockquote.why dir="auto" { (pieces(text, largest(texts))) } },
            Why::Image(image) => { p { (shown(&image.file.display().to_string())) } div.why { (map(image)) } },
        }
    }
}

/// What spoke for an answer, among other rows: of a long text first the beginning.
pub(super) fn why(why: &Why) -> Markup {
    match why {
        Why::Texts(texts) => html! {
            @for text in texts {
                @let (beginning, rest) = divided(text);
                @let whole = |part: &[Piece]| pieces(part, largest(texts));
                (long(whole(&beginning), (!rest.is_empty()).then(|| whole(&rest)), "why"))
            }
        },
        Why::Image(image) => html! { div.why { (map(image)) } },
    }
}

/// A text's beginning, and what follows it where that is long.
fn divided(text: &[Piece]) -> (Vec<Piece>, Vec<Piece>) {
    let mut chars = 0;
    let is_beginning = |piece: &&Piece| {
        chars += piece.text.chars().count();
        chars <= BEGINNING
    };
    let at = text.iter().take_while(is_beginning).count().max(1).min(text.len());
    let rest = text.get(at..).unwrap_or_default();
    let left: usize = rest.iter().map(|piece| piece.text.chars().count()).sum();
    // A few characters more are not worth a click.
    if left <= WORTH_A_CLICK { (text.to_vec(), Vec::new()) } else { (text[..at].to_vec(), rest.to_vec()) }
}

/// The largest score, without sign: the darkest shade.
fn largest(texts: &[Vec<Piece>]) -> f64 {
    texts.iter().flatten().filter_map(|piece| piece.score).map(f64::abs).fold(f64::MIN_POSITIVE, f64::max)
}

fn pieces(text: &[Piece], largest: f64) -> Markup {
    html! {
        @for piece in text {
            @match piece.score {
                None => (shown(&piece.text)),
                Some(score) => mark class=(if score < 0.0 { "against" } else { "for" })
                    style={ "--shade:" (number(score.abs() / largest)) }
                    title={ (signed(score)) } { (shown(&piece.text)) },
            }
        }
    }
}

/// `+0.12`.
pub fn signed(score: f64) -> String {
    format!("{score:+.2}")
}

fn map(image: &SeenImage) -> Markup {
    let (height, width) = image.preprocessing.crop;
    let (tall, wide) = (f64::from(height) / image.rows.max(1) as f64, f64::from(width) / image.columns.max(1) as f64);
    let places = image.values.iter().enumerate().filter(|(_, value)| **value >= 0.01);
    html! {
        svg viewBox={ "0 0 " (width) " " (height) } role="img"
            aria-label="the image, with the places that count shaded" {
            @if let Some(pixels) = as_seen(&image.file, &image.preprocessing) {
                image href=(pixels) width=(width) height=(height) {}
            }
            @for (place, value) in places {
                rect x=(number((place % image.columns) as f64 * wide)) y=(number((place / image.columns) as f64 * tall))
                    width=(number(wide)) height=(number(tall)) opacity=(number(value * 0.65)) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_shaded_by_the_largest_score_and_stay_text() {
        let piece = |text: &str, score| Piece { text: text.to_owned(), score };
        let text = vec![piece("<b>", Some(2.0)), piece(" ", None), piece("no", Some(-0.5))];
        let row = ExplainedRow {
            of: None,
            row: 3,
            predicted: "a".to_owned(),
            confidence: 0.9,
            label: "b".to_owned(),
            why: Why::Texts(vec![text]),
        };
        let page = explanation_page(&ExplanationPage { model: "run", input: "in.csv", rows: &[row] });
        assert!(page.contains("--shade:1\" title=\"+2.00\">&lt;b&gt;</mark> <mark"), "{page}");
        assert!(page.contains("class=\"against\" style=\"--shade:0.25\" title=\"-0.50\">no</mark>"), "{page}");
        assert!(page.contains("what speaks for <bdi class=\"label\">b</bdi>") && page.contains("row 3"));
    }
}
