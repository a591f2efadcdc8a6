//! The settings of a run: what was chosen automatically and why, and the whole configuration.

use std::path::Path;

use maud::{Markup, html};

use super::view::RunReport;
use crate::report::html::page::section;
use crate::report::html::text::shown;
use crate::report::next_steps::shell_word;

pub(super) fn settings(report: &RunReport) -> Markup {
    let metrics = report.metrics;
    let choices: Vec<[&str; 3]> = metrics
        .choices
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|choice| {
            let text = |name| choice.get(name).and_then(serde_json::Value::as_str);
            Some([text("key")?, text("value")?, text("reason")?])
        })
        .collect();
    let content = html! {
        @if !choices.is_empty() {
            table {
                caption { "Chosen automatically, because they were not set." }
                thead {
                    tr {
                        th.word scope="col" { "setting" } th.word scope="col" { "chosen" }
                        th.word scope="col" { "reason" }
                    }
                }
                tbody {
                    @for [key, value, reason] in choices {
                        tr { td.word { code { (shown(key)) } } td.word { (shown(value)) } td.word { (shown(reason)) } }
                    }
                }
            }
        }
        details {
            summary { "All settings (rehead.toml)" }
            pre tabindex="0" { (shown(report.settings)) }
        }
    };
    let saved = Path::new(report.title).join("rehead.toml");
    let again = format!("rehead train --config {} --out NEW", shell_word(&saved));
    let note = html! { p { "To run it again, in the folder where it was run: " code { (shown(&again)) } } };
    section("settings", "Settings", note, content)
}
