//! Pages for people: one HTML file each, complete in itself, that asks for nothing from elsewhere and runs no script.
//!
//! Markup is written with `maud`, which escapes every text; the page's own policy forbids scripts and foreign content
//! besides, so no label or text of the data can become more than text. Light and dark follow the reader's setting.
//!
//! Scores are shown in per cent with one decimal. What the pages compute from predictions comes from [`Predictions`], so
//! that the page of a run and that of a comparison mean the same by it.

pub mod comparison;
mod figures;
mod plot;
pub mod run;
mod thumbnail;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::evaluation::argmax;
use crate::evaluation::interval::Interval;
use crate::report::RunMetrics;

/// The narrow space that no line breaks at.
const THIN: char = '\u{202f}';

/// Nothing but the page itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A whole page. `kind` says what it is a page of.
fn skeleton(kind: &str, title: &str, body: Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content={ "rehead " (RunMetrics::VERSION) };
                title { (shown(title)) " · " (kind) }
                link rel="icon" href="data:,";
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main { (body) }
                footer { "Made by rehead " (RunMetrics::VERSION) ". One file: it can be sent and kept as it is." }
            }
        }
    };
    page.into_string()
}

/// A part of a page: its heading with what one should know to read it, and its content.
fn section(id: &str, heading: &str, note: Markup, content: Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-heading" } {
            div.side {
                h2 id={ (id) "-heading" } { (heading) }
                div.aside { (note) }
            }
            div.content { (content) }
        }
    }
}

/// What is known of the data: name, value.
fn data(lines: &[(String, String)]) -> Markup {
    let content = html! {
        @if lines.is_empty() { p { "Nothing was noted." } } @else {
            table {
                tbody {
                    @for (name, value) in lines {
                        tr { th.word scope="row" { (shown(name)) } td.word { (shown(value)) } }
                    }
                }
            }
        }
    };
    section("data", "Data", html! {}, content)
}

/// A plot with its caption and, for several series, its legend.
fn figure(caption: Markup, legend: Markup, drawing: Markup) -> Markup {
    html! {
        figure {
            figcaption { (caption) }
            @if !legend.0.is_empty() { div.legend { (legend) } }
            (drawing)
        }
    }
}

/// What the data say, without the characters that no page may hold (control characters but tab and line feed).
fn shown(text: &str) -> String {
    text.chars().map(|char| if char.is_control() && !matches!(char, '\t' | '\n') { '\u{fffd}' } else { char }).collect()
}

/// A label in running text: set apart, in its own writing direction. Names such as `card_arrival` break where their
/// words do.
fn label(name: &str) -> Markup {
    let name = shown(name);
    html! {
        bdi.label {
            @if name.is_empty() { "(empty)" }
            @for part in name.split_inclusive(['_', '/']) { (part) wbr; }
        }
    }
}

/// A text of the data: short ones whole, of long ones the beginning, with the rest to be opened.
fn long_text(text: &str) -> Markup {
    /// In characters.
    const BEGINNING: usize = 320;
    const MOST: usize = 6000;
    let text = shown(text.trim());
    let cut = |at: usize| text.char_indices().nth(at).map(|(index, _)| index);
    // A few characters more are not worth a click.
    if cut(BEGINNING + 80).is_none() {
        return html! { blockquote dir="auto" { (text) } };
    }
    let at = cut(BEGINNING).unwrap_or(text.len());
    let at = text[..at].rfind(char::is_whitespace).filter(|word| *word > at / 2).unwrap_or(at);
    let (beginning, rest) = text.split_at(at);
    let end = rest.char_indices().nth(MOST).map_or(rest.len(), |(index, _)| index);
    let left_out = rest[end..].chars().count();
    html! {
        details.long {
            summary { blockquote dir="auto" { (beginning) " …" } }
            blockquote dir="auto" {
                "… " (rest[..end].trim_start())
                @if left_out > 0 { " … (" (crate::console::units::count(left_out as u64)) " more characters)" }
            }
        }
    }
}

/// `88.7 %`.
fn percent(fraction: f64) -> String {
    format!("{}{THIN}%", percent_bare(fraction))
}

/// `88.7`, for columns whose header says `%`.
fn percent_bare(fraction: f64) -> String {
    if fraction.is_finite() { format!("{:.1}", fraction * 100.0) } else { "–".to_owned() }
}

/// `87.2 to 90.1 %`.
fn percent_range(interval: Interval) -> String {
    format!("{} to {}", percent_bare(interval.low), percent(interval.high))
}

/// `1 row`, `2 rows`.
fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", crate::console::units::count(number), if number == 1 { one } else { many })
}

/// A coordinate or length, as short as a drawing allows.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if matches!(short, "-0" | "") { "0".to_owned() } else { short.to_owned() }
}

/// What a network said of the rows of a split, beside what is true.
struct Predictions {
    truth: Vec<u32>,
    predicted: Vec<u32>,
    confidence: Vec<f64>,
    correct: Vec<bool>,
}

impl Predictions {
    fn new(truth: &[u32], predicted: &[u32], confidence: &[f32]) -> Self {
        let rows = truth.len().min(predicted.len()).min(confidence.len());
        let correct = truth.iter().zip(predicted).take(rows).map(|(a, b)| a == b).collect();
        Self {
            truth: truth[..rows].to_vec(),
            predicted: predicted[..rows].to_vec(),
            confidence: confidence[..rows].iter().map(|&confidence| f64::from(confidence)).collect(),
            correct,
        }
    }

    /// From row-major probabilities.
    fn of(truth: &[u32], probabilities: &[f32], classes: usize) -> Self {
        let rows = probabilities.chunks_exact(classes.max(1));
        let predicted: Vec<u32> = rows.clone().map(|row| argmax(row) as u32).collect();
        let largest = rows.map(|row| row.iter().copied().fold(0.0, f32::max));
        Self::new(truth, &predicted, &largest.collect::<Vec<f32>>())
    }

    fn rows(&self) -> usize {
        self.correct.len()
    }

    fn mean_confidence(&self) -> f64 {
        self.confidence.iter().sum::<f64>() / self.rows().max(1) as f64
    }

    fn accuracy(&self) -> f64 {
        self.correct.iter().filter(|correct| **correct).count() as f64 / self.rows().max(1) as f64
    }
}

/// The predictions of several runs over the same rows, together.
impl std::iter::Sum for Predictions {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let nothing = Self { truth: Vec::new(), predicted: Vec::new(), confidence: Vec::new(), correct: Vec::new() };
        all.fold(nothing, |mut sum, one| {
            sum.truth.extend(one.truth);
            sum.predicted.extend(one.predicted);
            sum.confidence.extend(one.confidence);
            sum.correct.extend(one.correct);
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_stay_text() {
        let hostile = "<script>alert(\"1\")</script>\u{0}\u{1b}[31m & 'q'";
        let drawn = html! { p title=(shown(hostile)) { (label(hostile)) (long_text(hostile)) } }.into_string();
        assert!(!drawn.contains("<script") && !drawn.contains('\u{0}') && !drawn.contains('\u{1b}'), "{drawn}");
        assert!(drawn.contains("title=\"&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;\u{fffd}"), "{drawn}");
    }

    #[test]
    fn a_page_forbids_what_is_not_in_it() {
        let page = skeleton("run", "a </title> b", html! { p { "hello" } });
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"));
        assert!(page.contains("default-src 'none'") && page.contains("a &lt;/title&gt; b · run"));
        for foreign in ["http:", "https:", "<script", "@import", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_words_and_lose_nothing() {
        assert!(!long_text("short").into_string().contains("details"));
        let text: String = (0..200).map(|word| format!("word{word} ")).collect();
        let drawn = long_text(&text).into_string();
        let (summary, rest) = drawn.split_once("</summary>").unwrap();
        assert!(summary.ends_with(" …</blockquote>") && rest.contains("… word"), "{drawn}");
        assert!(
            (0..200).all(|word| drawn.contains(&format!("word{word} ")) || drawn.contains(&format!("word{word}<")))
        );
        // Without a space to cut at, and with letters of several bytes.
        let drawn = long_text(&"日".repeat(10_000)).into_string();
        assert!(drawn.contains("(3,680 more characters)"), "{}", &drawn[drawn.len() - 200..]);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, -0.001, 1.5, 100.0, 0.126].map(number), ["0", "0", "1.5", "100", "0.13"]);
        assert_eq!(percent(0.8866), "88.7\u{202f}%");
        assert_eq!(percent_bare(f64::NAN), "–");
        assert_eq!((counted(1, "row", "rows"), counted(1200, "row", "rows")), ("1 row".into(), "1,200 rows".into()));
    }

    #[test]
    fn predictions_of_unequal_length_are_cut() {
        let predictions = Predictions::of(&[0, 1, 1], &[0.9, 0.1, 0.6, 0.4], 2);
        assert_eq!((predictions.rows(), predictions.accuracy()), (2, 0.5));
        assert!((predictions.mean_confidence() - 0.75).abs() < 1e-6);
        assert_eq!(Predictions::of(&[], &[], 0).accuracy(), 0.0);
    }
}
