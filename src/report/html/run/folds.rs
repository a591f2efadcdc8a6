//! What cross-validation found, fold by fold.

use maud::{Markup, html};

use crate::console::units;
use crate::report::FoldScores;
use crate::report::html::text::{percent, shown};
use crate::report::verdict::capitalised;

/// The scores of each fold, and how far they lie apart.
pub(super) fn folds(scores: &FoldScores) -> Markup {
    let has_epochs = scores.by_fold.iter().any(|fold| fold.best_epoch.is_some());
    html! {
        h3 { "Fold by fold" }
        p { (shown(&capitalised(&scores.spread()))) "." }
        div.scroll {
            table {
                thead {
                    tr {
                        th.word scope="col" { "fold" } th scope="col" { "rows" } th scope="col" { "accuracy" }
                        th scope="col" { "macro-F1" } th scope="col" { "loss" }
                        @if has_epochs { th scope="col" { "epoch of its own choice" } }
                    }
                }
                tbody {
                    @for fold in &scores.by_fold {
                        tr {
                            td.word { (fold.fold) }
                            td { (units::count(fold.rows)) }
                            td { (percent(fold.accuracy)) }
                            td { (percent(fold.macro_f1)) }
                            td { (format!("{:.3}", fold.loss)) }
                            @if has_epochs { td { @if let Some(epoch) = fold.best_epoch { (epoch) } } }
                        }
                    }
                }
            }
        }
    }
}
