//! `rehead convert`: its flags and its help.

use std::path::PathBuf;

use clap::Args;

const CONVERT_EXAMPLES: &str = "\
Nothing in the file is executed: of a pickle, what describes tensors is read, and everything else is refused by name.

Examples:
  rehead convert models/my-bert
  rehead convert checkpoint.pt --out models/my-bert";

/// The flags of `rehead convert`.
#[derive(Debug, Args)]
#[command(after_help = CONVERT_EXAMPLES)]
pub struct ConvertArgs {
    /// A model directory with pytorch_model.bin (or its shards), or a file of torch.save: .bin, .pt, .pth
    #[arg(value_name = "DIR|FILE")]
    pub input: PathBuf,

    /// Where to write: a directory, or a file that ends in .safetensors [default: model.safetensors beside the input]
    #[arg(long, short, value_name = "PATH", help_heading = "Output")]
    pub out: Option<PathBuf>,

    /// Replace a file that is there already
    #[arg(long, help_heading = "Output")]
    pub overwrite: bool,

    /// Print nothing but warnings and errors
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
}
