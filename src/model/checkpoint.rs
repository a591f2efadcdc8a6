//! safetensors in and out: tensors by name, shapes checked exactly, every name accounted for.
//!
//! A [`Checkpoint`] is a directory in the Hugging Face layout. Its tensors are memory-mapped and converted one at a
//! time. Which names a network wants is the network's affair (`encoder/`, `head.rs`); where a model id is found is the
//! hub's.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::stored;
use crate::error::{Error, Result, listed, shell_word};
use crate::json::{self, COMPLETE};

/// A model directory: its configuration and its tensors.
pub struct Checkpoint {
    /// Where it was opened: a directory, or a single file of weights.
    pub directory: PathBuf,
    /// `config.json`.
    pub config: Value,
    /// All tensors of `model.safetensors` or of its shards.
    pub weights: Weights,
}

impl Checkpoint {
    /// `config.json`'s path, for messages.
    pub fn config_file(&self) -> PathBuf {
        self.directory.join("config.json")
    }
}

/// Reads `config.json`, which must be an object.
pub fn read_config(directory: &Path) -> Result<Value> {
    let file = directory.join("config.json");
    match json::read(&file)? {
        Some(config) if config.is_object() => Ok(config),
        Some(_) => Err(Error::request("must be a JSON object").file(file).hint(COMPLETE)),
        None => Err(Error::request("there is no config.json here")
            .file(directory)
            .hint("a model directory holds config.json, model.safetensors and tokenizer.json (or vocab.txt)")),
    }
}

/// One tensor's place in a mapped file.
struct Entry {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: std::ops::Range<usize>,
    /// The name as the file has it.
    stored: String,
}

/// The tensors of a checkpoint by name. What has been asked for is remembered, so that the rest can be listed.
pub struct Weights {
    directory: PathBuf,
    shards: Vec<(PathBuf, Mmap)>,
    entries: HashMap<String, Entry>,
    taken: RefCell<BTreeSet<String>>,
    device: Device,
}

/// What stands in a repository in place of a large file.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

impl Weights {
    /// Maps the checkpoint's safetensors files and checks their headers.
    pub fn open(directory: &Path, device: Device) -> Result<Self> {
        let mut weights = Self {
            directory: directory.to_owned(),
            shards: Vec::new(),
            entries: HashMap::new(),
            taken: RefCell::default(),
            device,
        };
        for file in weight_files(directory)? {
            weights.add(file)?;
        }
        Ok(weights)
    }

    /// Maps one safetensors file by itself.
    pub fn open_file(file: &Path, device: Device) -> Result<Self> {
        let directory = file.parent().unwrap_or(Path::new(".")).to_owned();
        let mut weights =
            Self { directory, shards: Vec::new(), entries: HashMap::new(), taken: RefCell::default(), device };
        weights.add(file.to_owned())?;
        Ok(weights)
    }

    fn add(&mut self, file: PathBuf) -> Result<()> {
        let handle = File::open(&file).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::io(error, &file).fallback_hint(COMPLETE),
            _ => Error::io(error, &file),
        })?;
        // SAFETY: the file is only read; a checkpoint that another program truncates while we run would end us, as it
        // would any program that maps it.
        let map = unsafe { Mmap::map(&handle) }.map_err(|error| Error::io(error, &file))?;
        let tensors = SafeTensors::deserialize(&map).map_err(|error| {
            let invalid = Error::request(format!("not a valid safetensors file: {error}")).file(&file);
            match map.starts_with(LFS_POINTER) {
                true => invalid.hint("this is a pointer of Git LFS: fetch the file itself with `git lfs pull`"),
                false => invalid.fallback_hint(COMPLETE),
            }
        })?;
        let shard = self.shards.len();
        let base = map.as_ptr() as usize;
        let mut found = Vec::new();
        for (stored, view) in tensors.iter() {
            let start = view.data().as_ptr() as usize - base;
            found.push(Entry {
                shard,
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                bytes: start..start + view.data().len(),
                stored: stored.to_owned(),
            });
        }
        drop(tensors);
        for entry in found {
            let name = modern_name(&entry.stored);
            if let Some(other) = self.entries.get(&name) {
                let other = format!("`{}` is there twice, also as `{}`", entry.stored, other.stored);
                return Err(Error::request(other).file(&file).hint("keep one of the two"));
            }
            self.entries.insert(name, entry);
        }
        self.shards.push((file, map));
        Ok(())
    }

    /// Has every tensor under another name: `names_of` gives, for the one that it has, those of its equal parts along
    /// dimension 0; one for most.
    ///
    /// # Errors
    /// Two tensors would have the same name, or one cannot be divided.
    pub fn rename(&mut self, names_of: impl Fn(&str) -> Vec<String>) -> Result<()> {
        for (name, entry) in std::mem::take(&mut self.entries) {
            let refused = |message: String| Error::request(message).file(&self.directory).key(&entry.stored);
            let names = names_of(&name);
            let (parts, rows) = (names.len().max(1), entry.shape.first().copied().unwrap_or(1));
            if rows % parts != 0 {
                return Err(refused(format!("{rows} rows cannot be divided into {parts} parts")));
            }
            let size = entry.bytes.len() / parts;
            for (index, name) in names.into_iter().enumerate() {
                let start = entry.bytes.start + index * size;
                let mut shape = entry.shape.clone();
                if let Some(first) = shape.first_mut() {
                    *first = rows / parts;
                }
                let part = Entry {
                    shard: entry.shard,
                    dtype: entry.dtype,
                    shape,
                    bytes: start..start + size,
                    stored: entry.stored.clone(),
                };
                if let Some(other) = self.entries.insert(name, part) {
                    return Err(refused(format!("it means the same as `{}`", other.stored)).hint("keep one of the two"));
                }
            }
        }
        Ok(())
    }

    /// Gives the tensor `name` a shape without the ones that it begins with, where it is there.
    pub fn drop_leading_ones(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            let ones = entry.shape.iter().take_while(|&&size| size == 1).count();
            entry.shape.drain(..ones);
        }
    }

    /// The files, as they are mapped.
    pub(super) fn mapped(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.shards.iter().map(|(file, map)| (file.as_path(), &map[..]))
    }

    /// Whether a tensor of this name is there.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The shape of a tensor, when it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Numbers in the parameters, and in the buffers: statistics of batch norms and positions, which are not learned.
    pub fn elements(&self) -> (u64, u64) {
        const BUFFERS: [&str; 4] = ["running_mean", "running_var", "num_batches_tracked", "position_ids"];
        let is_buffer = |name: &str| name.rsplit('.').next().is_some_and(|last| BUFFERS.contains(&last));
        self.entries.iter().fold((0, 0), |(parameters, buffers), (name, entry)| {
            let elements = entry.shape.iter().product::<usize>() as u64;
            if is_buffer(name) { (parameters, buffers + elements) } else { (parameters + elements, buffers) }
        })
    }

    /// The tensor `name`, of exactly `shape`, as a fresh leaf on the device.
    ///
    /// # Errors
    /// Missing, of another shape, of a type that is not floating point, or with values that are not finite.
    pub fn take(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let (entry, file, bytes) = self.find(name, shape)?;
        let kind = match entry.dtype {
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::F64 => Kind::Double,
            other => {
                return Err(Error::request(format!("the tensor's type is {other:?}; weights must be floating point"))
                    .file(file)
                    .key(&entry.stored)
                    .hint("quantised checkpoints cannot be fine-tuned; use the original one"));
            }
        };
        let tensor = Tensor::f_from_data_size(bytes, shape, kind)?.f_to_kind(Kind::Float)?;
        if !is_finite(&tensor)? {
            // Attention may hide them: what comes out then looks like an answer.
            return Err(Error::request("the tensor holds values that are not finite numbers")
                .file(file)
                .key(&entry.stored)
                .fallback_hint("its training diverged, or the file is damaged: use another checkpoint"));
        }
        let tensor = tensor.f_to_device(self.device)?;
        self.taken.borrow_mut().insert(name.to_owned());
        Ok(tensor)
    }

    /// The whole number `name`, of shape `[]`.
    ///
    /// # Errors
    /// Missing, of another shape, or no 64-bit integer.
    pub fn take_integer(&self, name: &str) -> Result<i64> {
        let (entry, file, bytes) = self.find(name, &[])?;
        let bytes = (entry.dtype == Dtype::I64).then(|| bytes.try_into().ok()).flatten().ok_or_else(|| {
            Error::request(format!("the number's type is {:?}; it must be I64", entry.dtype))
                .file(file)
                .key(&entry.stored)
        })?;
        self.taken.borrow_mut().insert(name.to_owned());
        Ok(i64::from_le_bytes(bytes))
    }

    /// The entry `name`, which must be of exactly `shape`, its file and its bytes.
    fn find(&self, name: &str, shape: &[i64]) -> Result<(&Entry, &Path, &[u8])> {
        let Some(entry) = self.entries.get(name) else {
            let near = crate::error::nearest(name, self.entries.keys().map(String::as_str));
            let error = Error::request("the checkpoint lacks this tensor").file(&self.directory).key(name);
            return Err(match near {
                Some(near) => {
                    error.fallback_hint(format!("it has `{near}`; does config.json belong to these weights?"))
                }
                None => error.fallback_hint("does config.json belong to these weights?"),
            });
        };
        let (file, map) = &self.shards[entry.shard];
        let found: Vec<i64> = entry.shape.iter().map(|&size| size as i64).collect();
        if found != shape {
            return Err(Error::request(format!("the tensor's shape is {found:?}, config.json asks for {shape:?}"))
                .file(file)
                .key(&entry.stored)
                .fallback_hint("config.json and the weights must be of the same model"));
        }
        Ok((entry, file, map.get(entry.bytes.clone()).unwrap_or_default()))
    }

    /// The tensors that have not been taken, in the order of the names that they are stored under: those, and the ones
    /// they were looked up by.
    pub fn leftovers(&self) -> Vec<(&str, &str)> {
        let taken = self.taken.borrow();
        let left = self.entries.iter().filter(|(name, _)| !taken.contains(*name));
        let mut names: Vec<_> = left.map(|(name, entry)| (entry.stored.as_str(), name.as_str())).collect();
        names.sort_unstable();
        // One that means several is left over once.
        names.dedup_by_key(|(stored, _)| *stored);
        names
    }

    /// All names, as looked up.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
}

/// The sum of finite values is finite unless it overflows; only then every value is looked at.
fn is_finite(tensor: &Tensor) -> Result<bool> {
    if tensor.f_sum(Kind::Float)?.f_double_value(&[])?.is_finite() {
        return Ok(true);
    }
    Ok(tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? == 1)
}

/// TensorFlow-era checkpoints call a layer norm's parameters gamma and beta. Elsewhere these are names of their own, as
/// that of ConvNeXt's layer scale.
fn modern_name(stored: &str) -> String {
    let Some((module, parameter)) = stored.rsplit_once('.') else { return stored.to_owned() };
    let last = module.rsplit('.').next().unwrap_or(module);
    if !["LayerNorm", "layer_norm", "layernorm"].iter().any(|norm| last.contains(norm)) {
        return stored.to_owned();
    }
    match parameter {
        "gamma" => format!("{module}.weight"),
        "beta" => format!("{module}.bias"),
        _ => stored.to_owned(),
    }
}

/// The safetensors files of a model directory: one, or the shards that its index names.
pub fn weight_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let single = directory.join(SINGLE);
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = directory.join(INDEX);
    if let Some(value) = json::read(&index)? {
        let map = value.get("weight_map").and_then(Value::as_object).ok_or_else(|| {
            Error::request("must be an object that names a file for each tensor")
                .file(&index)
                .key("weight_map")
                .hint(COMPLETE)
        })?;
        let mut files = BTreeSet::new();
        for (tensor, file) in map {
            // A shard is a plain file name beside the index: nothing outside the directory is read.
            let name = file.as_str().filter(|name| !name.contains(['/', '\\']) && name.ends_with(".safetensors"));
            let name = name.ok_or_else(|| {
                Error::request(format!("{file} is not the name of a safetensors file beside it"))
                    .file(&index)
                    .key(tensor)
                    .hint(COMPLETE)
            })?;
            files.insert(directory.join(name));
        }
        return Ok(files.into_iter().collect());
    }
    let pickled = ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth"];
    if let Some(pickle) = pickled.iter().find(|name| directory.join(name).is_file()) {
        return Err(Error::request("pickled checkpoints can run code when they are read, so they are refused")
            .file(directory.join(pickle))
            .hint(format!(
                "convert it once to safetensors, which runs nothing: rehead convert {}",
                shell_word(&directory.display().to_string())
            )));
    }
    Err(Error::request(format!("there is neither {SINGLE} nor {INDEX} here"))
        .file(directory)
        .hint("a model directory holds config.json, model.safetensors and tokenizer.json (or vocab.txt)"))
}

/// What loading found besides what it used.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct LoadReport {
    /// Tensors that the network has and the checkpoint lacks: newly initialised.
    pub missing: Vec<String>,
    /// Weights of an old head, or of parts that classification does not use.
    pub unused: Vec<String>,
    /// The head of another job, which is not used: what it does, for people.
    pub other_head: Option<String>,
    /// What a person should know before trusting the labels.
    pub warnings: Vec<String>,
}

/// What a tensor is that the network has not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// Of an old head, or of a part that is not used: reported.
    Unused,
    /// Of no interest: not reported.
    Ignored,
    /// The weights are of another network than the configuration.
    Unexpected,
}

impl LoadReport {
    /// Accounts for every tensor that was not taken; `leftover_of` says by one of its names what it is.
    ///
    /// # Errors
    /// One is unexpected; `network` is what has no place for it.
    pub fn account(
        &mut self,
        checkpoint: &Checkpoint,
        network: &str,
        leftover_of: impl Fn(&str) -> Leftover,
    ) -> Result<()> {
        let mut unexpected = Vec::new();
        for (stored, name) in checkpoint.weights.leftovers() {
            let found = match leftover_of(stored) {
                Leftover::Unexpected => leftover_of(name),
                expected => expected,
            };
            match found {
                Leftover::Unused => self.unused.push(stored.to_owned()),
                Leftover::Ignored => {}
                Leftover::Unexpected => unexpected.push(stored),
            }
        }
        let Some(first) = unexpected.first().copied() else { return Ok(()) };
        let names = listed(unexpected.iter().copied());
        Err(Error::request(format!("the checkpoint has tensors that {network} has no place for: {names}"))
            .file(&checkpoint.directory)
            .key(first)
            .hint("config.json and the weights must be of the same model (is the number of layers right?)"))
    }

    /// Lines for people; none when everything matched.
    pub fn lines(&self) -> Vec<String> {
        let named = |names: &[String]| match names.len() {
            0..=6 => listed(names),
            count => format!(
                "{} and {} more",
                names[..5].iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", "),
                count - 5
            ),
        };
        let mut lines = Vec::new();
        for (what, names) in [("newly initialised", &self.missing), ("unused", &self.unused)] {
            if !names.is_empty() {
                lines.push(format!("{what}: {}", named(names)));
            }
        }
        lines.extend(self.other_head.iter().map(|head| format!("not used: the head of {head}")));
        lines
    }
}

/// Writes tensors as a safetensors file that Python's transformers loads, whole or not at all.
pub fn save_tensors(file: &Path, tensors: impl IntoIterator<Item = (String, Tensor)>) -> Result<()> {
    stored::write(file, &stored::of(tensors)?, None)
}

#[cfg(test)]
mod tests {
    use super::modern_name;

    #[test]
    fn gamma_is_a_weight_in_layer_norms_alone() {
        for (stored, name) in [
            ("bert.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"),
            ("encoder.layer.0.output.LayerNorm.beta", "encoder.layer.0.output.LayerNorm.bias"),
            ("encoder.0.attention_layer_norm.gamma", "encoder.0.attention_layer_norm.weight"),
            ("blocks.0.ls1.gamma", "blocks.0.ls1.gamma"),
            ("stages.0.blocks.1.gamma", "stages.0.blocks.1.gamma"),
            ("stages.0.blocks.1.grn.beta", "stages.0.blocks.1.grn.beta"),
            ("gamma", "gamma"),
        ] {
            assert_eq!(modern_name(stored), name);
        }
    }
}
