//! The frame of every page, with its style and its content policy, and the parts that pages are made of.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::text::shown;
use crate::report::RunMetrics;

/// Nothing but the page itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A whole page. `kind` says what it is a page of.
pub(super) fn skeleton(kind: &str, title: &str, body: Markup) -> String {
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
pub(super) fn section(id: &str, heading: &str, note: Markup, content: Markup) -> Markup {
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
pub(super) fn data(lines: &[(String, String)]) -> Markup {
    section("data", "Data", html! {}, data_table(lines))
}

/// The same without a heading.
pub(super) fn data_table(lines: &[(String, String)]) -> Markup {
    html! {
        @if lines.is_empty() { p { "No description of the data was saved." } } @else {
            table {
                tbody {
                    @for (name, value) in lines {
                        tr { th.word scope="row" { (shown(name)) } td.word { (shown(value)) } }
                    }
                }
            }
        }
    }
}

/// A plot with its caption and, for several series, its legend.
pub(super) fn figure(caption: Markup, legend: Markup, drawing: Markup) -> Markup {
    html! {
        figure {
            figcaption { (caption) }
            @if !legend.0.is_empty() { div.legend { (legend) } }
            (drawing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_forbids_what_is_not_in_it() {
        let page = skeleton("run", "a </title> b", html! { p { "hello" } });
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"));
        assert!(page.contains("default-src 'none'") && page.contains("a &lt;/title&gt; b · run"));
        for foreign in ["http:", "https:", "<script", "@import", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }
}
