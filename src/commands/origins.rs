//! What the rows of predictions are in their files, so that predictions can be joined with the data.

use crate::console::Console;
use crate::data::{Origins, Place, ReadOptions, Sources};
use crate::report::predictions::own_columns;

/// The rows at `places` with all columns of their files; their numbers alone where a file has changed since it was
/// read, which is said. `texts` are what the examples were, in the same order.
pub fn origins(sources: &Sources, places: &[Place], texts: &[String], labels: &[String], console: &Console) -> Origins {
    let mut origins = sources.origins(places, texts).unwrap_or_else(|error| {
        console.warn(format!("{error}; predictions have the numbers of rows and no other column of this file"));
        sources.numbers(places)
    });
    let ReadOptions { label_separator, numbers, .. } = &sources.options;
    for (name, instead) in origins.rename_columns(&own_columns(labels, label_separator.is_some(), *numbers)) {
        console.note(format!("the data's column `{name}` is called `{instead}` in the predictions"));
    }
    origins
}
