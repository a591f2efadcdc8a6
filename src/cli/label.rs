//! `rehead label`: its flags and its help.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};

use super::settings::setting_flags;
use super::shared::{InferenceArgs, InputFormArgs, check_none_is, has_stream, input_files, is_stream, named};
use crate::config::OnBadInput;
use crate::config::accepts::{FRACTION, RATIO, Whole};
use crate::error::{Error, Result};

const LABEL_EXAMPLES: &str = "\
Every row and column of the input is kept, in order; `predicted_label` and `confidence` are added.

Examples:
  rehead label --model runs/reviews --input new.csv --output labelled.csv
  rehead label --model runs/reviews --input new.jsonl.gz --output labelled.jsonl --probabilities
  rehead label --model runs/reviews --input big.csv --output out.csv --min-confidence 0.8 --resume
  rehead label --model runs/reviews --input 'parts/*.csv' --output labelled/
  cat texts.txt | rehead label --model runs/reviews --input - --output -";

/// The flags of `rehead label`.
#[derive(Debug, Clone, Args)]
#[command(after_help = LABEL_EXAMPLES, group = ArgGroup::new("doubt").multiple(true))]
pub struct LabelArgs {
    /// Rows to label: .csv, .tsv, .jsonl or .txt (also .gz, .zst), .xlsx, .parquet, a folder of images, or `-` for
    /// standard input (CSV, JSON Lines or one text per line); several, or quoted patterns such as 'part-*.csv', are
    /// read one after the other
    #[arg(long, value_name = "FILE|DIR|-", num_args = 1.., required = true, help_heading = "Data")]
    pub input: Vec<PathBuf>,

    /// How the rows are read.
    #[command(flatten)]
    pub form: InputFormArgs,

    /// What happens when one cannot be.
    #[command(flatten)]
    pub rows: LabelRowArgs,

    /// The model: a run directory, any model directory with a classification head, or a hub id
    #[arg(long, value_name = "RUN|DIR|ID", help_heading = "Model")]
    pub model: String,

    /// File for the labelled rows (.csv, .tsv, .jsonl, .xlsx, .parquet), `-` for standard output, or a folder for a
    /// file of each input
    #[arg(long, value_name = "FILE|DIR/|-", help_heading = "Output")]
    pub output: PathBuf,

    /// Add a column p_<label> with the probability of each label
    #[arg(long, help_heading = "Output")]
    pub probabilities: bool,

    /// Add the K most probable labels and their probabilities
    #[arg(
        long,
        value_name = "K",
        value_parser = Whole { min: 1, max: 10_000 }.parser::<usize>(),
        allow_negative_numbers = true,
        help_heading = "Output"
    )]
    pub top: Option<usize>,

    /// Leave the label of a row empty when its confidence is below P, 0 to 1; `auto`: below what the model was given by
    /// --target-accuracy
    #[arg(
        long,
        value_name = "P|auto",
        value_parser = MinConfidence::parse,
        allow_negative_numbers = true,
        group = "doubt",
        help_heading = "Output"
    )]
    pub min_confidence: Option<MinConfidence>,

    /// Leave the label empty where a row is more unusual than all but the share P of the validation rows, such as 0.05;
    /// adds the column typicality
    #[arg(
        long,
        value_name = "P",
        value_parser = FRACTION.parser(),
        allow_negative_numbers = true,
        group = "doubt",
        help_heading = "Output"
    )]
    pub unknown: Option<f64>,

    /// Write NAME as the label of such rows, instead of leaving it empty
    #[arg(long, value_name = "NAME", requires = "doubt", help_heading = "Output")]
    pub unknown_label: Option<String>,

    /// Then copy each image into the folder DIR/LABEL (below --min-confidence: DIR/unsure)
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub sort_into: Option<PathBuf>,

    /// Link the images instead of copying them
    #[arg(long, requires = "sort_into", conflicts_with = "move_images", help_heading = "Output")]
    pub link: bool,

    /// Move the images instead of copying them
    #[arg(long = "move", requires = "sort_into", help_heading = "Output")]
    pub move_images: bool,

    /// Begin the names of added columns with PREFIX, to label a file again or by another model
    #[arg(long, value_name = "PREFIX", help_heading = "Output")]
    pub column_prefix: Option<String>,

    /// In a .csv or .tsv output, put a ' before each field that a spreadsheet program would take as a formula
    #[arg(long, help_heading = "Output")]
    pub csv_safe: bool,

    /// Continue an interrupted output file after its last complete row
    #[arg(long, help_heading = "Output")]
    pub resume: bool,

    /// Print nothing but warnings and errors
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,

    /// How the model is run.
    #[command(flatten)]
    pub inference: InferenceArgs,

    /// Rows to compute together and then write; more are faster, need more memory and are lost together when
    /// interrupted [default: growing from 512 to 8192, of images from 64 to 512]
    #[arg(
        long,
        value_name = "ROWS",
        value_parser = Whole { min: 1, max: 10_000_000 }.parser::<usize>(),
        allow_negative_numbers = true,
        help_heading = "Hardware"
    )]
    pub window: Option<usize>,
}

/// The least confidence of a label that is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MinConfidence {
    /// The same for all labels.
    Of(f64),
    /// What the model's training chose for a target accuracy.
    Auto,
}

impl MinConfidence {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => RATIO.parser()(text).map(Self::Of).map_err(|expected| format!("{expected}, or `auto`")),
        }
    }
}

setting_flags! {
    /// What happens when a row to label cannot be read.
    LabelRowArgs {
        on_bad_input: OnBadInput = "data.on_bad_input" {
            help: "Stop when a row or an image cannot be read, or leave its label empty (or the row out) and say so",
        },
    }
}

impl LabelArgs {
    /// The input, as messages name it: `a.csv + b.csv`.
    pub fn input_named(&self) -> String {
        named(&self.input)
    }

    /// The first of the files, where there is only one.
    pub fn first_input(&self) -> &Path {
        self.input.first().map_or(Path::new(""), PathBuf::as_path)
    }

    /// Whether standard input is read.
    pub fn has_stream(&self) -> bool {
        has_stream(&self.input)
    }

    /// The name in the output of an added column.
    pub fn added_column(&self, name: &str) -> String {
        format!("{}{name}", self.column_prefix.as_deref().unwrap_or_default())
    }

    /// What no single flag can tell: a stream cannot be resumed, and a file cannot be labelled onto itself.
    pub fn check(&self) -> Result<()> {
        if self.resume && (is_stream(&self.output) || has_stream(&self.input)) {
            return Err(Error::request("--resume needs files as --input and --output, not `-`")
                .hint("keep the input in a file, and name one with --output"));
        }
        if self.sort_into.is_some() && self.input.len() > 1 {
            return Err(Error::request("images of one input are sorted at a time, and these are several")
                .key("sort-into")
                .hint("label each of them by itself"));
        }
        if is_stream(&self.output) { Ok(()) } else { check_none_is(&self.input, &self.output) }
    }

    /// The same with the files that patterns stand for.
    pub fn with_files(&self) -> Result<Self> {
        Ok(Self { input: input_files(&self.input)?, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::Command;
    use crate::cli::tests::parse;

    #[test]
    fn labelling_refuses_what_it_cannot_do() {
        let check = |line| match parse(line).unwrap() {
            Command::Label(args) => args.check(),
            _ => panic!(),
        };
        assert!(check("rehead label --model m --input - --output -").is_ok());
        assert!(check("rehead label --model m --input a.csv --output - --resume").is_err());
        assert!(check("rehead label --model m --input a.csv --output a.csv").is_err());
    }
}
