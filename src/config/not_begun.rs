//! Run directories of runs that were killed before they had begun. What stands in the files is not looked at.

use std::path::Path;

/// Whether the directory `run` holds nothing but what a run writes before its settings, with which it begins: one that
/// was killed in between can neither be continued nor be in the way.
pub fn has_not_begun(run: &Path) -> bool {
    let holds_only = |folder: &Path, names: &[&str]| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name())
            .all(|name| name.to_str().is_some_and(|name| name.starts_with(".rehead") || names.contains(&name)))
    };
    holds_only(run, &["checkpoints", "label_rules.json", "origin.json"])
        && holds_only(&run.join("checkpoints"), &["choices.json"])
}
