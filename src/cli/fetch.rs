//! `rehead fetch`: its flags and its help.

use clap::Args;

const FETCH_EXAMPLES: &str = "\
Examples:
  rehead fetch bert-base-uncased
  rehead fetch sentence-transformers/all-MiniLM-L6-v2 --revision main
  rehead convert \"$(rehead fetch org/old-model --pytorch)\"";

/// The flags of `rehead fetch`.
#[derive(Debug, Args)]
#[command(after_help = FETCH_EXAMPLES)]
pub struct FetchArgs {
    /// The model's id on the hub, such as bert-base-uncased or BAAI/bge-small-en-v1.5, or an architecture such
    /// as resnet50
    #[arg(value_name = "ID")]
    pub id: String,

    /// Branch, tag or commit [default: main]
    #[arg(long, value_name = "REV", help_heading = "Model")]
    pub revision: Option<String>,

    /// Where the model has no safetensors, fetch PyTorch's own files (pytorch_model.bin) for `rehead convert`, which
    /// reads them without running what is in them
    #[arg(long, help_heading = "Model")]
    pub pytorch: bool,

    /// Print nothing but warnings and errors
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
}
