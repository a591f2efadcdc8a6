//! docs/settings.md, written from the table of settings and from the flags of `rehead train`. The test holds the
//! committed page to what is written here:
//!
//! ```text
//! UPDATE_DOCS=1 cargo test --release --lib settings_page
//! ```

use std::fmt::Write;
use std::path::Path;

use clap::CommandFactory;

use super::Cli;
use crate::config::accepts::Accepts;
use crate::config::setting::{DefaultValue, Setting};
use crate::config::settings::{SECTIONS, find, of_section};

const OPENING: &str = "\
# Settings

A training run (`rehead train`, and every run of `rehead compare`) is described by these settings. Each is a key of the
configuration file and a flag. They come from four layers, of which a later one wins:

1. the defaults below;
2. the file of `--config` (with `--resume`, before it, the `rehead.toml` of the run that is continued);
3. `--set key=value`, with or without the section: `--set lr=1e-4`, `--set training.lr=1e-4`;
4. the flags.

A setting without a fixed default is chosen by rehead from the data, the model and the machine. The run directory's
`rehead.toml` holds all settings as they were resolved, with the reason for each that was chosen; `--config` reads it
again.

```toml
[data]
train = \"reviews.csv\"
valid_fraction = 0.1

[model]
model = \"bert-base-uncased\"

[training]
lr = 2e-5

[run]
out = \"runs/reviews\"
```

This page is generated from `src/config/settings.rs`; after a change there run
`UPDATE_DOCS=1 cargo test --release --lib settings_page`.
";

fn page() -> String {
    let mut page = OPENING.to_owned();
    for (section, about) in SECTIONS {
        let _ = write!(page, "\n## `[{section}]`: {about}\n\n");
        of_section(section).for_each(|setting| entry(&mut page, setting));
    }
    page.push_str("\n## Flags of `rehead train` that are not settings\n\n");
    let command = Cli::command();
    let train = command.find_subcommand("train").expect("the command");
    for flag in train.get_arguments().filter(|flag| find(flag.get_id().as_str()).is_none()) {
        let Some(long) = flag.get_long() else { continue };
        let value = match flag.get_value_names() {
            Some([name]) if flag.get_action().takes_values() => format!(" {name}"),
            _ => String::new(),
        };
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        page.push_str(&wrapped(&format!("- `--{long}{value}`: {help}.")));
    }
    page
}

fn entry(page: &mut String, setting: &Setting) {
    let mut text = format!("- **`{}`**, `{}`", setting.name(), setting.flag_and_value());
    if let Some(alias) = setting.alias {
        let _ = write!(text, " or `--{alias}`");
    }
    let _ = write!(text, ": {}.", setting.help);
    if let Accepts::Whole(_) | Accepts::Number(_) = setting.accepts {
        let _ = write!(text, " Accepts {}.", setting.accepts);
    }
    match (setting.default, setting.default_text()) {
        (DefaultValue::Required(_), _) => text.push_str(" Required."),
        (_, Some(default)) => drop(write!(text, " Default: {default}.")),
        (_, None) => {}
    }
    page.push_str(&wrapped(&text));
}

/// An entry of a list, in lines of at most 120 columns that do not break what is in backquotes.
fn wrapped(entry: &str) -> String {
    let mut lines = vec![String::new()];
    let mut inside = false;
    for word in entry.split(' ') {
        let last = lines.len() - 1;
        if !inside && lines[last].chars().count() + 1 + word.chars().count() > 120 {
            lines.push(format!("  {word}"));
        } else {
            let gap = if lines[last].is_empty() { "" } else { " " };
            lines[last].extend([gap, word]);
        }
        inside ^= word.matches('`').count() % 2 == 1;
    }
    lines.join("\n") + "\n"
}

#[test]
fn the_committed_page_is_what_the_table_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == page,
        "docs/settings.md differs from the table of settings: run \
         UPDATE_DOCS=1 cargo test --release --lib settings_page"
    );
}
