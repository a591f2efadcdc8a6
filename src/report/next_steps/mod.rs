//! What to do next: what a result asks of the person who got it, the most important first, each with the command or
//! option that does it. A page opens with this list, and the terminal ends with it.
//!
//! A list is made by whoever knows the result; here is what it consists of and how a terminal shows it.

pub mod facts;
pub mod run;

use std::path::Path;

use crate::console::Console;

/// Steps beyond this number are not shown: a long list is not read.
pub const MOST_STEPS: usize = 5;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    /// A sentence or two: what was found, and what to do about it. Names stand between backquotes.
    pub text: String,
    /// The command that does it, to be copied; without backquotes.
    pub command: Option<String>,
}

impl NextStep {
    /// A step that is told in words alone.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), command: None }
    }

    /// The same with the command that does it.
    pub fn command(self, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..self }
    }
}

/// The steps as a part of a run's output on the terminal; nothing where there are none.
pub fn print(steps: &[NextStep], console: &Console) {
    if steps.is_empty() {
        return;
    }
    console.section("what to do next");
    for (number, step) in (1..).zip(steps) {
        console.note(format!("{number}. {}", step.text));
        if let Some(command) = &step.command {
            command.lines().for_each(|line| console.note(format!("     {line}")));
        }
    }
}

/// A name of the data as part of a step's text: between backquotes, of which it then has none itself.
pub fn named(name: &str) -> String {
    format!("`{}`", name.replace('`', "'"))
}

/// A path as a word of a command, quoted where a shell would take it apart.
pub fn shell_word(path: &Path) -> String {
    crate::error::shell_word(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_command() {
        let word = |text: &str| shell_word(Path::new(text));
        assert_eq!(word("runs/a-1.csv"), "runs/a-1.csv");
        assert_eq!(word("my runs/it's"), r"'my runs/it'\''s'");
        assert_eq!(word(""), "''");
    }
}
