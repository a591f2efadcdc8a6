//! What a run was trained on: the files, the rows of each label, and the command that did it.

use maud::{Markup, html};

use super::view::RunReport;
use crate::console::units;
use crate::report::html::page::{data_table, section};
use crate::report::html::text::{label, number, shown};

/// Labels shown at once; the others are to be opened.
const LABELS_SHOWN: usize = 20;

pub(super) fn data(report: &RunReport) -> Markup {
    let mut classes: Vec<&(String, u64)> = report.classes.iter().collect();
    classes.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    let most = classes.first().map_or(1, |(_, rows)| *rows).max(1);
    let (first, more) = classes.split_at(if classes.len() > LABELS_SHOWN + 3 { LABELS_SHOWN } else { classes.len() });
    let content = html! {
        (data_table(report.data))
        @if !classes.is_empty() {
            h3 { "Training rows of each label" }
            (class_bars(first, most))
            @if !more.is_empty() {
                details { summary { "The other " (more.len()) " labels" } (class_bars(more, most)) }
            }
        }
        h3 { "Command" }
        p.soft { (report.provenance.date) }
        pre.command tabindex="0" { (shown(&report.provenance.command)) }
    };
    let note = html! {
        @if report.classes.len() > 1 {
            p {
                "Rows of each label as they are in the training data"
                @if report.holds_out { ", before validation rows were held out" }
                "."
            }
        }
    };
    section("data", "Data", note, content)
}

/// Each label with its rows, as a bar on the scale of the most frequent one.
fn class_bars(classes: &[&(String, u64)], most: u64) -> Markup {
    html! {
        table.full.bars {
            tbody {
                @for (name, rows) in classes {
                    @let share = *rows as f64 / most as f64;
                    tr {
                        th.word scope="row" { (label(name)) }
                        td { (units::count(*rows)) }
                        td.draw { div.length style={ "width:" (number(100.0 * share)) "%" } {} }
                    }
                }
            }
        }
    }
}
