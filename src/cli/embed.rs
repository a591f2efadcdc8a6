//! `rehead embed`: its flags and its help.

use std::path::PathBuf;

use clap::Args;

use super::settings::setting_flags;
use super::shared::{InferenceArgs, InputFormArgs, check_none_is, has_stream, input_files, is_stream};
use crate::config::accepts::Whole;
use crate::config::{OnBadInput, Pooling};
use crate::error::{Error, Result};
use crate::files;

const EMBED_EXAMPLES: &str = "\
A .npy file holds one line of fp32 numbers for each row of the input, in order; in a table every column of the input is
kept, and the features are added: in .parquet and .jsonl as one list in the column `features`, in .csv, .tsv and .xlsx
as the columns feature_0, feature_1, …
A model of sentence-transformers is pooled and normalised as its own files say.

Examples:
  rehead embed --model sentence-transformers/all-MiniLM-L6-v2 --input new.csv --output new.npy
  rehead embed --model runs/reviews --input new.csv --output new.parquet --normalise
  rehead embed --model bert-base-uncased --input new.jsonl --output new.jsonl --stage 8 --pooling mean";

/// The extension of an array of NumPy's.
const NPY: &str = "npy";
/// Those of all that can be written.
const FORMATS: [&str; 9] = [NPY, "parquet", "arrow", "feather", "jsonl", "ndjson", "csv", "tsv", "xlsx"];

/// The flags of `rehead embed`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EMBED_EXAMPLES)]
pub struct EmbedArgs {
    /// Rows to embed: .csv, .tsv, .jsonl or .txt (also .gz, .zst), .xlsx, .parquet, a folder of images, or `-` for
    /// standard input (CSV, JSON Lines or one text per line); several, or quoted patterns such as 'part-*.csv', are
    /// read one after the other
    #[arg(long, value_name = "FILE|DIR|-", num_args = 1.., required = true, help_heading = "Data")]
    pub input: Vec<PathBuf>,

    /// How the rows are read.
    #[command(flatten)]
    pub form: InputFormArgs,

    /// What happens when one cannot be, and how token vectors are pooled.
    #[command(flatten)]
    pub rows: EmbedRowArgs,

    /// The model: a run directory, any model directory, or a hub id
    #[arg(long, value_name = "RUN|DIR|ID", help_heading = "Model")]
    pub model: String,

    /// Take the features after stage N: 0 is the embeddings, N the N-th layer or block
    #[arg(
        long,
        value_name = "N",
        value_parser = Whole { min: 0, max: 10_000 }.parser::<usize>(),
        allow_negative_numbers = true,
        help_heading = "Model"
    )]
    pub stage: Option<usize>,

    /// Scale each row's features to length 1, so that their products are cosines
    #[arg(long, visible_alias = "normalize", help_heading = "Output")]
    pub normalise: bool,

    /// File for the features (.npy, .parquet, .jsonl, .csv, .tsv, .xlsx)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub output: PathBuf,

    /// Begin the names of added columns with PREFIX
    #[arg(long, value_name = "PREFIX", help_heading = "Output")]
    pub column_prefix: Option<String>,

    /// Continue an interrupted output after its last complete row
    #[arg(long, help_heading = "Output")]
    pub resume: bool,

    /// Print nothing but warnings and errors
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,

    /// How the model is run.
    #[command(flatten)]
    pub inference: InferenceArgs,

    /// Rows to compute together and then keep; more are faster, need more memory and are lost together when interrupted
    /// [default: growing from 512 to 8192, of images from 64 to 512]
    #[arg(
        long,
        value_name = "ROWS",
        value_parser = Whole { min: 1, max: 10_000_000 }.parser::<usize>(),
        allow_negative_numbers = true,
        help_heading = "Hardware"
    )]
    pub window: Option<usize>,
}

setting_flags! {
    /// What happens when a row to embed cannot be read, and how token vectors are pooled.
    EmbedRowArgs {
        on_bad_input: OnBadInput = "data.on_bad_input" {
            help: "Stop when a row or an image cannot be read, or leave its features empty (or the row out) and say so",
        },
        pooling: Pooling = "model.pooling" {
            default: "as the model's own files say, else mean of text tokens",
        },
    }
}

impl EmbedArgs {
    /// Whether standard input is read.
    pub fn has_stream(&self) -> bool {
        has_stream(&self.input)
    }

    /// Whether the output is an array alone, without the input's columns.
    pub fn is_npy(&self) -> bool {
        files::extension(&self.output) == NPY
    }

    /// The name in the output of an added column.
    pub fn added_column(&self, name: &str) -> String {
        format!("{}{name}", self.column_prefix.as_deref().unwrap_or_default())
    }

    /// What no single flag can tell: the output is a file of a known kind, and not the input; a stream is not resumed.
    pub fn check(&self) -> Result<()> {
        if is_stream(&self.output) {
            return Err(Error::request("features are written to a file, not to standard output")
                .key("output")
                .hint("name one: --output features.npy"));
        }
        let extension = files::extension(&self.output);
        if !FORMATS.contains(&extension.as_str()) {
            return Err(Error::request("features are not written in this format")
                .file(&self.output)
                .hint("write .npy, .parquet, .arrow, .jsonl, .csv, .tsv or .xlsx"));
        }
        if has_stream(&self.input) {
            return match self.resume {
                true => {
                    Err(Error::request("--resume needs a file as --input, not `-`").hint("keep the input in a file"))
                }
                false if extension == NPY => Ok(()),
                false => {
                    Err(Error::request("a table needs the input twice, and standard input is gone when it was read")
                        .file(&self.output)
                        .hint("write .npy, or keep the input in a file"))
                }
            };
        }
        check_none_is(&self.input, &self.output)
    }

    /// The same with the files that patterns stand for.
    pub fn with_files(&self) -> Result<Self> {
        Ok(Self { input: input_files(&self.input)?, ..self.clone() })
    }
}
