//! How texts, labels and numbers of the data are written on a page.

use maud::{Markup, html};

use crate::console::units;
use crate::evaluation::interval::Interval;
pub(super) use crate::report::verdict::{capitalised, split_name};

/// The narrow space that no line breaks at.
const THIN: char = '\u{202f}';

/// What the data say, without the characters that no page may hold (control characters but tab and line feed).
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|char| if char.is_control() && !matches!(char, '\t' | '\n') { '\u{fffd}' } else { char }).collect()
}

/// A label in running text: set apart, in its own writing direction. Names such as `card_arrival` break where their
/// words do.
pub(super) fn label(name: &str) -> Markup {
    let name = shown(name);
    html! {
        bdi.label {
            @if name.is_empty() { "(empty)" }
            @for (index, part) in name.split_inclusive(['_', '/']).enumerate() {
                @if index > 0 { wbr; }
                (part)
            }
        }
    }
}

/// Our own text, with names between backquotes set as names, and options and commands as code.
pub(super) fn quoted(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 0 { (part) }
            @else if part.starts_with("--") || part.starts_with("rehead ") { code { (shown(part)) } }
            @else { (label(part)) }
        }
    }
}

/// The beginning of a long text, in characters, and how many more are not worth a click.
pub(super) const BEGINNING: usize = 320;
pub(super) const WORTH_A_CLICK: usize = 80;

/// A text of the data: short ones whole, of long ones the beginning, with the rest to be opened.
pub(super) fn long_text(text: &str) -> Markup {
    /// In characters.
    const MOST: usize = 6000;
    let text = shown(text.trim());
    let cut = |at: usize| text.char_indices().nth(at).map(|(index, _)| index);
    if cut(BEGINNING + WORTH_A_CLICK).is_none() {
        return long(html! { (text) }, None, "");
    }
    let at = cut(BEGINNING).unwrap_or(text.len());
    let at = text[..at].rfind(char::is_whitespace).filter(|word| *word > at / 2).unwrap_or(at);
    let (beginning, rest) = text.split_at(at);
    let end = rest.char_indices().nth(MOST).map_or(rest.len(), |(index, _)| index);
    let left_out = rest[end..].chars().count();
    let rest = html! {
        (rest[..end].trim_start())
        @if left_out > 0 { " … (" (units::count(left_out as u64)) " more characters)" }
    };
    long(html! { (beginning) }, Some(rest), "")
}

/// A text, of which the rest, if there is one, is to be opened. `class`: of the quotation.
pub(super) fn long(beginning: Markup, rest: Option<Markup>, class: &str) -> Markup {
    let class = (!class.is_empty()).then_some(class);
    match rest {
        None => html! { blockquote class=[class] dir="auto" { (beginning) } },
        Some(rest) => html! {
            details.long {
                summary { blockquote class=[class] dir="auto" { (beginning) " …" } }
                blockquote class=[class] dir="auto" { "… " (rest) }
            }
        },
    }
}

/// `88.7 %`.
pub(super) fn percent(fraction: f64) -> String {
    format!("{}{THIN}%", percent_bare(fraction))
}

/// `88.7`, for columns whose header says `%`.
pub(super) fn percent_bare(fraction: f64) -> String {
    if fraction.is_finite() { format!("{:.1}", fraction * 100.0) } else { "–".to_owned() }
}

/// `87.2 to 90.1 %`.
pub(super) fn percent_range(interval: Interval) -> String {
    format!("{} to {}", percent_bare(interval.low), percent(interval.high))
}

/// A coordinate or length, as short as a drawing allows.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if matches!(short, "-0" | "") { "0".to_owned() } else { short.to_owned() }
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
    }
}
