//! The command line: a file for each command, with its flags and its help.
//!
//! What stands here is what was typed. The settings of a training run are flags made from the table of settings, and
//! become a checked [`crate::config::RunConfig`] in [`TrainArgs::resolve`] and [`CompareArgs::resolve`], where the
//! configuration file and `--set` join them; the other commands have no configuration file, and their flags are checked
//! as they are read.

mod advise;
mod compare;
mod completions;
mod convert;
mod embed;
mod evaluate;
mod explain;
mod fetch;
mod first_screen;
mod inspect;
mod label;
mod man;
mod models;
mod settings;
#[cfg(test)]
mod settings_page;
mod shared;
mod suggest;
mod train;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use advise::{AdviseArgs, AdviseSettings};
pub use compare::CompareArgs;
pub use completions::CompletionsArgs;
pub use convert::ConvertArgs;
pub use embed::EmbedArgs;
pub use evaluate::EvaluateArgs;
pub use explain::ExplainArgs;
pub use fetch::FetchArgs;
pub use inspect::InspectArgs;
pub use label::{LabelArgs, MinConfidence};
pub use man::ManArgs;
pub use models::ModelsArgs;
pub use shared::{ColumnArgs, InferenceArgs, InputFormArgs, LabelRuleArgs, OnBadInputArgs, RunArgs, TrainingLabelArgs};
pub use shared::{is_stream, named};
pub use suggest::{MOST_SUGGESTED, SuggestArgs};
pub use train::TrainArgs;

/// Give a pretrained network a new head and fine-tune it.
#[derive(Debug, Parser)]
#[command(name = "rehead", version, max_term_width = 100, after_help = EXIT_STATUS)]
pub struct Cli {
    /// What is to be done, with its flags.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands. The comment on each is the line that `--help` shows for it.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fine-tune a pretrained network on labelled examples
    Train(Box<TrainArgs>),
    /// Label the rows of a file, or the images of a folder
    Label(LabelArgs),
    /// Choose the unlabelled rows that are most worth a label
    Suggest(SuggestArgs),
    /// Write the features of rows or images, for search, clusters or models of one's own
    Embed(EmbedArgs),
    /// Evaluate a model on labelled examples
    Evaluate(EvaluateArgs),
    /// Show why rows get their labels: what each word adds, which places of an image count
    Explain(ExplainArgs),
    /// Train with several strategies and seeds, and say which strategy to use
    Compare(Box<CompareArgs>),
    /// Say how much of the network to retrain, from measurements of it as it is
    Advise(Box<AdviseArgs>),
    /// Show what is in a data file or a model directory, and what looks wrong
    Inspect(InspectArgs),
    /// Download a model from the hub into the standard hub cache
    Fetch(FetchArgs),
    /// List the models in the hub cache, and which of them can be used
    Models(ModelsArgs),
    /// Convert PyTorch's files of weights to safetensors, without running what is in them
    Convert(ConvertArgs),
    /// Print a script that completes commands and flags when Tab is pressed in a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write one for each command
    Man(ManArgs),
}

impl Cli {
    /// What was typed. Ends the process with help or a message where there is nothing to run.
    pub fn typed() -> Self {
        Self::from_arg_matches(&definition().get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// All commands and flags, with the help of each divided into `-h` and `--help`.
pub fn definition() -> clap::Command {
    first_screen::arrange(Cli::command())
}

const EXIT_STATUS: &str = "\
Data goes to standard output, everything else to standard error.
Exit status: 0 done, 1 something failed, 2 the request was wrong, 130 interrupted, state saved.

Examples:
  rehead inspect reviews.csv
  rehead train --train reviews.csv --model bert-base-uncased --out runs/reviews
  rehead label --model runs/reviews --input new.csv --output labelled.csv

`rehead COMMAND -h` shows what most people need of a command, `rehead COMMAND --help` everything.";

#[cfg(test)]
mod tests {
    use super::*;

    pub fn parse(line: &str) -> Result<Command, clap::Error> {
        let matches = definition().try_get_matches_from(line.split(' '))?;
        Cli::from_arg_matches(&matches).map(|cli| cli.command)
    }

    pub fn help(command: &str) -> String {
        definition().find_subcommand_mut(command).unwrap().render_long_help().to_string()
    }

    fn refused(line: &str) -> String {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn wrong_flags_are_named() {
        for (line, part) in [
            ("rehead train --lr fast", "'--lr <X>': expected a number above 0"),
            ("rehead train --epochs -1", "'--epochs <N>': expected a whole number from 1 to 10000"),
            ("rehead train --valid-fraction 1", "'--valid-fraction <FRACTION>': expected a number above 0 and below 1"),
            ("rehead train --valid a --valid-fraction 0.1", "cannot be used with"),
            ("rehead train --batch-size 1 --batch-tokens 1", "cannot be used with"),
            ("rehead train --precision bf17", "did you mean `bf16`?"),
            ("rehead train --seed 9223372036854775808", "'--seed <N>'"),
            ("rehead train --overwrite", "unexpected argument '--overwrite'"),
            ("rehead label --model m --input a", "--output"),
            (
                "rehead label --model m --input a --output b --min-confidence nan",
                "expected a number from 0 and up to 1",
            ),
            ("rehead compare --strategies frozen,last", "'--strategies"),
            ("rehead compare --seeds 0", "'--seeds <K>'"),
            ("rehead fetch", "<ID>"),
        ] {
            let message = refused(line);
            assert!(message.contains(part), "{line}\n{message}");
        }
    }
}
