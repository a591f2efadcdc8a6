//! `rehead convert`: PyTorch's weights to safetensors. Prints the file that it wrote, alone on standard output.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::output::{print, unwritable};
use crate::cli::ConvertArgs;
use crate::console::{Console, units};
use crate::error::{Error, Result};
use crate::files::extension;
use crate::model::pytorch::{self, SAFETENSORS};

/// Reads, tells what it found, and writes.
///
/// # Errors
/// The file asks for more than tensors, is damaged, or is of another kind; the output is there already or cannot be
/// written.
pub fn run(args: &ConvertArgs) -> Result<()> {
    let weights = pytorch::sources(&args.input)?;
    let output = output(args, &weights.directory);
    if !args.overwrite && output.symlink_metadata().is_ok() {
        return Err(Error::request("the file is there already")
            .file(output)
            .hint("--overwrite replaces it; --out names another place"));
    }
    if let Some(directory) = output.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(|error| unwritable(error, directory, "--out"))?;
    }
    let console = Console::new(args.quiet);
    for note in weights.notes() {
        console.note(note);
    }
    for warning in weights.warnings() {
        console.warn(warning);
    }
    let types: BTreeSet<String> = weights.tensors().map(|(_, _, tensor)| format!("{:?}", tensor.dtype)).collect();
    let bytes = weights.tensors().map(|(_, _, tensor)| (tensor.elements() * tensor.width()) as u64).sum();
    let count = units::counted(weights.tensors().count() as u64, "tensor");
    let types = types.into_iter().collect::<Vec<_>>().join(", ");
    pytorch::write(&weights, &output)?;
    console.note(format!("{count} ({types}), {}", units::bytes(bytes)));
    if !output.parent().unwrap_or(Path::new("")).join("config.json").is_file() {
        console.note("a model directory also needs config.json and, for texts, the tokenizer's files");
    }
    print(&output.display().to_string())
}

fn output(args: &ConvertArgs, directory: &Path) -> PathBuf {
    match &args.out {
        Some(file) if extension(file) == "safetensors" && !file.is_dir() => file.clone(),
        out => out.as_deref().unwrap_or(directory).join(SAFETENSORS),
    }
}
