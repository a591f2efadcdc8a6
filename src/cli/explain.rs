//! `rehead explain`: its flags and its help.

use std::path::PathBuf;

use clap::Args;

use super::shared::{InferenceArgs, InputFormArgs, check_none_is, input_files};
use crate::config::accepts::Whole;
use crate::error::{Error, Result};
use crate::files;

const EXPLAIN_EXAMPLES: &str = "\
Of a text it says what each word adds to the log odds of the label, or takes from it (integrated gradients, from the
same text with all words masked); of an image, which places speak for the label (Grad-CAM). Computed in fp32, and
slowly: 32 passes forth and back for each text.

Examples:
  rehead explain --model runs/reviews --input new.csv --rows 3
  rehead explain --model runs/reviews --input runs/reviews/predictions/mistakes.csv --output why.html
  rehead explain --model runs/photos --input new-photos --label cat --output why.html";

/// The flags of `rehead explain`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub struct ExplainArgs {
    /// Rows to explain: .csv, .tsv, .jsonl or .txt (also .gz, .zst), .xlsx, .parquet, a folder of images, or `-` for
    /// standard input; several, or quoted patterns, are read one after the other
    #[arg(long, value_name = "FILE|DIR|-", num_args = 1.., required = true, help_heading = "Data")]
    pub input: Vec<PathBuf>,

    /// Explain the first N rows
    #[arg(
        long = "rows",
        value_name = "N",
        default_value_t = 20,
        value_parser = Whole { min: 1, max: 100_000 }.parser::<usize>(),
        allow_negative_numbers = true,
        help_heading = "Data"
    )]
    pub rows: usize,

    /// How the rows are read.
    #[command(flatten)]
    pub form: InputFormArgs,

    /// The model: a run directory, any model directory with a classification head, or a hub id
    #[arg(long, value_name = "RUN|DIR|ID", help_heading = "Model")]
    pub model: String,

    /// Explain what speaks for NAME, and not for the predicted label
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    pub label: Option<String>,

    /// File for the explanations: .html to look at, .jsonl to compute with [default: printed]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// Print nothing but warnings and errors
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,

    /// How the model is run.
    #[command(flatten)]
    pub inference: InferenceArgs,
}

impl ExplainArgs {
    /// What no single flag can tell: the output is of a known kind, and not the input.
    pub fn check(&self) -> Result<()> {
        let Some(output) = &self.output else { return Ok(()) };
        if !["html", "jsonl"].contains(&files::extension(output).as_str()) {
            return Err(Error::request("explanations are not written in this format")
                .file(output)
                .hint("write .html or .jsonl, or leave out --output to have them printed"));
        }
        check_none_is(&self.input, output)
    }

    /// The same with the files that patterns stand for.
    pub fn with_files(&self) -> Result<Self> {
        Ok(Self { input: input_files(&self.input)?, ..self.clone() })
    }
}
