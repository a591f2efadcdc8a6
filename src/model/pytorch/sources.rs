//! Which files hold the weights of what a person named, a file or a model directory, and their tensors together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use serde_json::Value;

use super::read::{PyTorchWeights, StoredTensor, read};
use crate::error::{Error, Result, listed};
use crate::files::extension;
use crate::json;

/// What the weights are called in a model directory.
pub const SAFETENSORS: &str = "model.safetensors";
const SINGLE: &str = "pytorch_model.bin";
const INDEX: &str = "pytorch_model.bin.index.json";
const INCOMPLETE: &str = "download the missing file, or the whole model again";
/// Names by themselves say little: what has these endings may be weights.
const ENDINGS: [&str; 4] = ["bin", "pt", "pth", "ckpt"];
/// With these names Python's trainer keeps other things.
const OTHERS: [&str; 5] = ["training_args.bin", "optimizer.pt", "scheduler.pt", "optimizer.bin", "scheduler.bin"];

/// The weights of all files.
pub struct Weights {
    files: Vec<Source>,
    /// The directory in which [`SAFETENSORS`] belongs.
    pub directory: PathBuf,
}

struct Source {
    path: PathBuf,
    map: Mmap,
    weights: PyTorchWeights,
}

impl Weights {
    /// Each tensor with its name and the bytes that hold it.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[u8], &StoredTensor)> {
        self.files.iter().flat_map(|source| {
            source
                .weights
                .tensors
                .iter()
                .map(|(name, tensor)| (name.as_str(), source.map.get(tensor.bytes.clone()).unwrap_or_default(), tensor))
        })
    }

    /// What a person should know of the files, with the file's name where there are several.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.told(|weights| &weights.notes)
    }

    /// What may be wrong with the files.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.told(|weights| &weights.warnings)
    }

    fn told(&self, of: impl Fn(&PyTorchWeights) -> &Vec<String>) -> impl Iterator<Item = String> {
        self.files.iter().flat_map(move |source| {
            let name = source.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            of(&source.weights).iter().map(move |line| format!("{name}: {line}")).collect::<Vec<_>>()
        })
    }
}

/// Reads the weights of a file, or of a directory with `pytorch_model.bin`, its shards or another file of weights.
///
/// # Errors
/// There are none, several could be meant, or a file cannot be read ([`read`]).
pub fn sources(path: &Path) -> Result<Weights> {
    let metadata = fs::metadata(path).map_err(|error| Error::io(error, path))?;
    let directory = match metadata.is_dir() {
        true => path.to_owned(),
        false => path.parent().unwrap_or(Path::new("")).to_owned(),
    };
    let index = directory.join(INDEX);
    let is_index = path.file_name().is_some_and(|name| name == INDEX);
    let single = directory.join(SINGLE);
    let (paths, wanted) = match metadata.is_dir() {
        true if single.is_file() => (vec![single], None),
        true if !index.is_file() => (vec![only_file(path)?], None),
        false if !is_index => (vec![path.to_owned()], None),
        _ => {
            let shards = shards(&index)?;
            (
                shards.values().collect::<BTreeSet<_>>().into_iter().map(|name| directory.join(name)).collect(),
                Some(shards),
            )
        }
    };
    let files = paths.into_iter().map(open).collect::<Result<Vec<Source>>>()?;
    let mut found = BTreeMap::new();
    for source in &files {
        for name in source.weights.tensors.keys() {
            if let Some(other) = found.insert(name.as_str(), &source.path) {
                let message = format!("the tensor is there twice, also in {}", other.display());
                return Err(Error::request(message).file(&source.path).key(name.clone()).hint("keep one of the two"));
            }
        }
    }
    if let Some(missing) = wanted.iter().flat_map(BTreeMap::keys).find(|name| !found.contains_key(name.as_str())) {
        let message = "no shard holds this tensor, which the index names";
        return Err(Error::request(message).file(&index).key(missing.clone()).hint(INCOMPLETE));
    }
    Ok(Weights { files, directory })
}

fn open(path: PathBuf) -> Result<Source> {
    let foreign = match extension(&path).as_str() {
        "h5" | "hdf5" => Some("TensorFlow or Keras"),
        "msgpack" => Some("Flax"),
        "onnx" => Some("ONNX"),
        "gguf" | "ggml" => Some("llama.cpp"),
        "ot" => Some("rust-bert"),
        _ => None,
    };
    if let Some(library) = foreign {
        let message = format!("a file of {library} is not converted, only PyTorch's files are");
        let hint = "use the model's pytorch_model.bin or model.safetensors, or let Python's transformers load this one \
                    and save it with save_pretrained";
        return Err(Error::request(message).file(path).hint(hint));
    }
    if extension(&path) == "safetensors" {
        let hint = "give the directory, or the file, to --model";
        return Err(Error::request("the file is safetensors already").file(path).hint(hint));
    }
    let failed = |error| Error::io(error, &path);
    let file = File::open(&path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Error::request("is not a regular file").file(path));
    }
    // SAFETY: the file is only read; one that another program truncates while we run would end us, as it would any
    // program that maps it.
    let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
    let weights = read(&map).map_err(|error| error.file(&path))?;
    if weights.tensors.is_empty() {
        return Err(Error::request("the file holds no tensors").file(path));
    }
    Ok(Source { path, map, weights })
}

/// The one file of a directory that may be weights.
fn only_file(directory: &Path) -> Result<PathBuf> {
    let failed = |error| Error::io(error, directory);
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ending = extension(&path);
        if !path.is_file() || OTHERS.contains(&name.as_str()) {
            continue;
        }
        if ENDINGS.contains(&ending.as_str()) {
            found.push(name);
        } else if ["h5", "msgpack", "onnx", "gguf", "ot", "safetensors"].contains(&ending.as_str()) {
            others.push(path);
        }
    }
    found.sort();
    others.sort();
    match (found.as_slice(), others.pop()) {
        ([one], _) => Ok(directory.join(one)),
        // What it is says more than that there is nothing.
        ([], Some(other)) => Ok(other),
        ([], None) => Err(Error::request("there is no PyTorch file here")
            .file(directory)
            .hint(format!("a model directory has {SINGLE}, or {INDEX} and its shards"))),
        (several, _) => Err(Error::request(format!("several files may be the weights: {}", listed(several)))
            .file(directory)
            .hint("name one of them")),
    }
}

/// In which file each tensor is.
fn shards(index: &Path) -> Result<BTreeMap<String, String>> {
    let value = json::read(index)?.unwrap_or_default();
    let map = value.get("weight_map").and_then(Value::as_object).filter(|map| !map.is_empty()).ok_or_else(|| {
        Error::request("must be an object that names a file for each tensor")
            .file(index)
            .key("weight_map")
            .hint(INCOMPLETE)
    })?;
    let shard = |(tensor, file): (&String, &Value)| {
        // A plain name beside the index: nothing outside the directory is read.
        let name = file.as_str().filter(|name| !name.contains(['/', '\\']) && name.ends_with(".bin"));
        let name = name.ok_or_else(|| {
            Error::request(format!("{file} is not the name of a PyTorch file beside it"))
                .file(index)
                .key(tensor.clone())
                .hint(INCOMPLETE)
        })?;
        Ok((tensor.clone(), name.to_owned()))
    };
    map.iter().map(shard).collect()
}
