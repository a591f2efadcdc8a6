//! What `-h` shows of each command: the flags that most people need, a line each. `--help` shows all of them, with
//! the whole text of the table of settings.
//!
//! A flag that is not listed here is left out of `-h`, so a new one needs no entry.

use clap::{Arg, Command};

/// The first screen of a command.
struct FirstScreen {
    command: &'static str,
    /// Flags by their id (the path of a setting, otherwise the field's name), with what `-h` says of them.
    flags: &'static [(&'static str, &'static str)],
    /// The line that one types most often.
    example: &'static str,
}

const FIRST_SCREENS: &[FirstScreen] = &[
    FirstScreen {
        command: "train",
        flags: &[
            ("data.train", "Labelled rows to train on, or a folder of class folders"),
            ("data.valid", "Labelled rows to validate on"),
            ("data.valid_fraction", "Or: the fraction of the training rows to hold out [default: 0.1]"),
            ("data.folds", "Or: K folds, then all rows: for little data"),
            ("data.test", "Labelled rows to measure the finished model on"),
            ("data.text", "Text columns, or image paths [default: found]"),
            ("data.label", "Column of the label [default: found]"),
            ("data.merge_labels", "Merge labels that differ only in case or blanks"),
            ("model.model", "The pretrained network: a directory or a hub id"),
            ("strategy.name", "full, frozen, last:N, gradual, lora[:RANK] or bitfit [default: full]"),
            ("training.epochs", "Passes over the training data [default: by the strategy]"),
            ("training.seed", "Random seed of everything [default: 42]"),
            ("training.lr", "Learning rate [default: by the strategy]"),
            ("run.device", "auto, cpu or cuda[:N] [default: auto]"),
            ("run.precision", "auto, fp32 or bf16 [default: auto]"),
            ("run.out", "Directory for the results, new or empty"),
            ("resume", "Continue the interrupted run in --out"),
            ("config", "Settings file; flags win over it"),
            ("quiet", "Print nothing but warnings and errors"),
        ],
        example: "rehead train --train reviews.csv --model bert-base-uncased --out runs/reviews",
    },
    FirstScreen {
        command: "label",
        flags: &[
            ("input", "Rows to label, a folder of images, or `-` for standard input"),
            ("data.text", "Text columns, or image paths [default: as trained]"),
            ("model", "A run directory, any classifier's directory, or a hub id"),
            ("output", "File for the labelled rows, or `-`"),
            ("probabilities", "Add the probability of each label"),
            ("top", "Add the K most probable labels"),
            ("min_confidence", "Leave the label empty below this confidence, 0 to 1"),
            ("sort_into", "Copy each image into the folder DIR/LABEL"),
            ("resume", "Continue an interrupted output file"),
            ("quiet", "Print nothing but warnings and errors"),
            ("run.device", "auto, cpu or cuda[:N] [default: auto]"),
            ("run.precision", "auto, fp32, bf16 or int8 [default: auto]"),
        ],
        example: "rehead label --model runs/reviews --input new.csv --output labelled.csv",
    },
    FirstScreen {
        command: "suggest",
        flags: &[
            ("input", "Rows to choose from, a folder of images, or `-` for standard input"),
            ("labelled", "Rows that are labelled already, besides the training rows"),
            ("data.text", "Text columns, or image paths [default: as trained]"),
            ("model", "A run directory, any classifier's directory, or a hub id"),
            ("count", "Rows to suggest"),
            ("output", "File for the suggested rows, or `-`"),
            ("quiet", "Print nothing but warnings and errors"),
            ("run.device", "auto, cpu or cuda[:N] [default: auto]"),
        ],
        example: "rehead suggest --model runs/reviews --input new.csv --count 100 --output to-label.csv",
    },
    FirstScreen {
        command: "embed",
        flags: &[
            ("input", "Rows to embed, a folder of images, or `-` for standard input"),
            ("data.text", "Text columns, or image paths [default: found]"),
            ("model", "A run directory, any model directory, or a hub id"),
            ("stage", "Take the features after stage N [default: the last]"),
            ("model.pooling", "How token vectors are pooled: cls or mean [default: as the model says]"),
            ("normalise", "Scale each row's features to length 1"),
            ("output", "File for the features: .npy, .parquet, .jsonl, .csv"),
            ("resume", "Continue an interrupted output"),
            ("quiet", "Print nothing but warnings and errors"),
            ("run.device", "auto, cpu or cuda[:N] [default: auto]"),
        ],
        example: "rehead embed --model runs/reviews --input new.csv --output new.npy",
    },
    FirstScreen {
        command: "explain",
        flags: &[
            ("input", "Rows to explain, or a folder of images"),
            ("data.text", "Text columns, or image paths [default: as trained]"),
            ("rows", "Explain the first N rows [default: 20]"),
            ("model", "A run directory, any classifier's directory, or a hub id"),
            ("label", "Explain this label, and not the predicted one"),
            ("output", "File for the explanations: .html or .jsonl [default: printed]"),
            ("quiet", "Print nothing but warnings and errors"),
            ("run.device", "auto, cpu or cuda[:N] [default: auto]"),
        ],
        example: "rehead explain --model runs/reviews --input new.csv --output why.html",
    },
    FirstScreen {
        command: "evaluate",
        flags: &[
            ("data", "Labelled rows, or a folder of class folders"),
            ("data.text", "Text columns, or image paths [default: as trained]"),
            ("data.label", "Column of the label [default: found]"),
            ("model", "A run directory, any classifier's directory, or a hub id"),
            ("out", "Directory for metrics.json, report.html and predictions [default: only printed]"),
            ("json", "Print the metrics on standard output as JSON"),
            ("quiet", "Print nothing but warnings and errors"),
            ("run.device", "auto, cpu or cuda[:N] [default: auto]"),
        ],
        example: "rehead evaluate --model runs/reviews --data test.csv --out results",
    },
    FirstScreen {
        command: "compare",
        flags: &[
            ("data.train", "Labelled rows to train on, or a folder of class folders"),
            ("data.valid", "Labelled rows to validate on"),
            ("data.test", "Labelled rows to compare the finished models on"),
            ("data.text", "Text columns, or image paths [default: found]"),
            ("data.label", "Column of the label [default: found]"),
            ("model.model", "The pretrained network: a directory or a hub id"),
            ("strategies", "Such as frozen,last:2,lora,bitfit,full"),
            ("seeds", "Runs of each strategy"),
            ("training.epochs", "Passes over the training data [default: by the strategy]"),
            ("training.lr", "Learning rate [default: by the strategy]"),
            ("run.device", "auto, cpu or cuda[:N] [default: auto]"),
            ("run.out", "Directory for the runs and the report"),
            ("config", "Settings file; flags win over it"),
            ("verbose", "Print all that each run says, not a line per run"),
            ("quiet", "Print nothing but warnings and errors"),
        ],
        example: "rehead compare --train reviews.csv --test test.csv --model bert-base-uncased --out runs/comparison",
    },
    FirstScreen {
        command: "advise",
        flags: &[
            ("data.train", "Labelled rows, or a folder of class folders"),
            ("data.text", "Text columns, or image paths [default: found]"),
            ("data.label", "Column of the label [default: found]"),
            ("model.model", "The pretrained network: a directory or a hub id"),
            ("json", "Print the measurements and the advice on standard output as JSON"),
            ("quiet", "Print nothing but the advice, warnings and errors"),
            ("run.device", "auto, cpu or cuda[:N] [default: auto]"),
        ],
        example: "rehead advise --train reviews.csv --model bert-base-uncased",
    },
    FirstScreen {
        command: "inspect",
        flags: &[
            ("path", "A data file, a folder of class folders, or a model directory"),
            ("data.text", "Text columns, or image paths [default: found]"),
            ("data.label", "Column of the label [default: found]"),
            ("json", "Print the findings on standard output as JSON"),
        ],
        example: "rehead inspect reviews.csv",
    },
];

const EVERYTHING: &str = "--help shows everything.";

/// Divides the help of every command into `-h` and `--help`.
pub fn arrange(mut cli: Command) -> Command {
    for screen in FIRST_SCREENS {
        cli = cli.mut_subcommand(screen.command, |command| screen.arrange(command));
    }
    cli
}

impl FirstScreen {
    fn arrange(&self, command: Command) -> Command {
        let whole = command.get_after_help().cloned();
        let command = command
            .mut_args(|flag| self.arrange_flag(flag))
            .after_help(format!("Example: {}\n{EVERYTHING}", self.example));
        match whole {
            Some(text) => command.after_long_help(text),
            None => command,
        }
    }

    fn arrange_flag(&self, flag: Arg) -> Arg {
        let Some((_, short)) = self.flags.iter().find(|(id, _)| *id == flag.get_id()) else {
            return flag.hide_short_help(true);
        };
        match flag.get_long_help().or(flag.get_help()).cloned() {
            Some(long) => flag.help(*short).long_help(long),
            None => flag.help(*short),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_flag_that_is_listed_exists_and_is_said_in_one_line() {
        let cli = Cli::command();
        for screen in FIRST_SCREENS {
            let command = cli.find_subcommand(screen.command).unwrap();
            for (id, short) in screen.flags {
                assert!(command.get_arguments().any(|flag| flag.get_id() == id), "{}: {id}", screen.command);
                assert!(short.len() <= 85 && !short.ends_with('.'), "{}: {short}", screen.command);
            }
        }
    }
}
