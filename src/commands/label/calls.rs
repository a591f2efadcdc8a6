//! Several inputs into a folder: an output for each, by the input's name. Each is labelled as a call of its own would.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::cli::{LabelArgs, is_stream};
use crate::data::column_choice::LabelColumn;
use crate::data::reader::NamedType;
use crate::data::writer::output_format;
use crate::data::{FileLayout, ReadOptions, RowReader, resolve};
use crate::error::{Error, Result};

/// Whether the output is a folder that gets a file for each input.
pub fn is_folder(output: &Path) -> bool {
    !is_stream(output) && (output.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/"))
}

/// A call for each of the inputs, which writes into the folder of `args`. All inputs are looked at.
///
/// # Errors
/// An input cannot be read or lacks the columns, or two outputs would have one name.
pub fn calls(args: &LabelArgs, options: &ReadOptions) -> Result<Vec<LabelArgs>> {
    let mut taken: HashMap<PathBuf, &PathBuf> = HashMap::new();
    let mut calls = Vec::new();
    for input in &args.input {
        if is_stream(input) {
            return Err(Error::request("standard input has no name for an output in a folder")
                .file(&args.output)
                .hint("name a file with --output"));
        }
        let rows = RowReader::open(input, options)?;
        resolve(rows.layout(), options, LabelColumn::Optional)?;
        let output = args.output.join(name_of(input, rows.layout())?);
        if let Some(other) = taken.insert(output.clone(), input) {
            return Err(Error::request(format!("the output of {} would have this name too", input.display()))
                .file(output)
                .hint(format!("label {} into another folder", other.display())));
        }
        let call = LabelArgs { input: vec![input.clone()], output, ..args.clone() };
        call.check()?;
        calls.push(call);
    }
    Ok(calls)
}

/// The input's name, with another extension where its kind of file is not written.
fn name_of(input: &Path, layout: &FileLayout) -> Result<PathBuf> {
    let name = input.canonicalize().map_err(|error| Error::io(error, input))?;
    let name = PathBuf::from(input.file_name().or(name.file_name()).unwrap_or_default());
    if input.is_dir() {
        let mut name = name.into_os_string();
        name.push(".csv");
        return Ok(name.into());
    }
    let is_compressed = NamedType::of(input)?.is_compressed();
    let name = if is_compressed { name.with_extension("") } else { name };
    Ok(match output_format(&name, layout) {
        Ok(_) => name,
        Err(_) => name.with_extension(layout.format.written_whole().first().copied().unwrap_or("csv")),
    })
}
