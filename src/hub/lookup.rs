//! From what a person wrote after `--model` to a directory with the model's files, of which the missing ones are
//! fetched.
//!
//! Of these files it reads only the index that names the parts of a large checkpoint; what they mean is the checkpoint
//! reader's business.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::console::DownloadEvent;
use crate::error::{Error, Result, listed};
use crate::files::similar;
use crate::hub::client;
use crate::hub::conversion;
use crate::hub::download::{Download, unwritable};
use crate::hub::error::HubError;
use crate::hub::name::{self, Location, ModelId, is_commit};
use crate::hub::network::Network;
use crate::hub::settings::HubSettings;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
/// Names the parts of a checkpoint that is split into several files.
const WEIGHTS_INDEX: &str = "model.safetensors.index.json";

/// Weights as PyTorch's `torch.save` writes them, whole or in parts that the index names. They are fetched on demand
/// alone.
const PICKLE: &str = "pytorch_model.bin";
const PICKLE_INDEX: &str = "pytorch_model.bin.index.json";

/// Fetched where the model has them. Weights in other formats are never fetched.
const OPTIONAL: [&str; 15] = [
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "tokenizer.model",
    "added_tokens.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
    "modules.json",
    "1_Pooling/config.json",
    // Says under which licence.
    "README.md",
];

/// The directory of the model that `model` names: a directory, or a hub id `[org/]name[@revision]`.
///
/// An id is looked up in the hub cache; missing files are downloaded. Where the cache has the whole model, the hub is
/// asked briefly for something newer, and if it cannot be asked, or `HF_HUB_OFFLINE` is set, the cache suffices.
///
/// # Errors
/// A wrong request (exit status 2): no such directory or model, no access to it, no safetensors in it, not in the cache
/// while offline. A failure (exit status 1): no network, a problem at the hub, an interrupted download, a full disk.
pub fn locate(model: &str, hooks: Hooks) -> Result<PathBuf> {
    locate_revision(model, None, hooks)
}

/// What a caller has to say while a model is looked up.
#[derive(Clone, Copy)]
pub struct Hooks<'a> {
    /// Told of what happens.
    pub report: &'a dyn Fn(DownloadEvent),
    /// Judges a model by its `config.json`, before anything else of it is fetched.
    pub check: &'a dyn Fn(&Path) -> Result<()>,
    /// Whether PyTorch's own files are fetched where there are no others, to be converted.
    pub pickles: bool,
}

/// As [`locate`], with the revision (branch, tag or commit) apart from the name.
pub fn locate_revision(model: &str, revision: Option<&str>, hooks: Hooks) -> Result<PathBuf> {
    match name::interpret(model, revision)? {
        Location::Directory(directory) => Ok(directory),
        Location::Hub(wanted) => snapshot(&wanted, &HubSettings::from_environment()?, hooks),
    }
}

/// The directory in the cache of the model that `model` names, whole or in part; no connection is opened. `None` where
/// it is not there, or `model` is no id.
pub fn cached(model: &str) -> Option<PathBuf> {
    match name::interpret(model, None).ok()? {
        Location::Directory(_) => None,
        Location::Hub(wanted) => cached_snapshot(&wanted, &HubSettings::from_environment().ok()?),
    }
}

/// The id that `model` names, without its revision; `None` of a directory.
pub fn id_of(model: &str) -> Option<String> {
    match name::interpret(model, None).ok()? {
        Location::Directory(_) => None,
        Location::Hub(wanted) => Some(wanted.id),
    }
}

fn cached_snapshot(wanted: &ModelId, settings: &HubSettings) -> Option<PathBuf> {
    let folder = settings.cache.path().join(wanted.repo().folder_name());
    let snapshot = if is_commit(&wanted.revision) {
        Some(folder.join("snapshots").join(&wanted.revision)).filter(|snapshot| snapshot.is_dir())
    } else {
        let config = settings.cache.repo(wanted.repo()).get(CONFIG);
        config.and_then(|config| Some(config.parent()?.to_owned()))
    };
    snapshot.map(|snapshot| usable(snapshot, &folder))
}

/// The snapshot directory of a model in the cache, made complete.
fn snapshot(wanted: &ModelId, settings: &HubSettings, hooks: Hooks) -> Result<PathBuf> {
    let folder = settings.cache.path().join(wanted.repo().folder_name());
    let cached = cached_snapshot(wanted, settings);
    if settings.offline {
        return offline_snapshot(&wanted.id, cached, &folder);
    }
    let complete = cached.filter(|snapshot| first_missing(snapshot).is_none());
    match update(wanted, settings, &folder, complete.is_some(), hooks) {
        Ok(snapshot) => Ok(snapshot),
        Err(HubError::Local(error)) => Err(error),
        Err(error) => {
            let error = error.explain(wanted, settings);
            let Some(snapshot) = complete else { return Err(error) };
            (hooks.report)(DownloadEvent::Note(&format!("using the copy of `{}` in the cache: {error}", wanted.id)));
            Ok(snapshot)
        }
    }
}

/// A snapshot, or that of the hub's conversion of it to safetensors, where that was fetched in its place.
pub(super) fn usable(snapshot: PathBuf, folder: &Path) -> PathBuf {
    if first_missing(&snapshot).is_none() {
        return snapshot;
    }
    let commit = snapshot.file_name().and_then(|name| name.to_str());
    let converted = commit.and_then(|commit| conversion::remembered(folder, commit));
    converted.filter(|converted| first_missing(converted).is_none()).unwrap_or(snapshot)
}

fn offline_snapshot(id: &str, cached: Option<PathBuf>, folder: &Path) -> Result<PathBuf> {
    let missing = match cached {
        None => format!("`{id}` is not in the model cache at this revision"),
        Some(snapshot) => match first_missing(&snapshot) {
            None => return Ok(snapshot),
            Some(missing) => format!("`{id}` is in the model cache without its {missing}"),
        },
    };
    Err(Error::request(format!("{missing}, and HF_HUB_OFFLINE forbids fetching it")).file(folder).hint(format!(
        "{}unset HF_HUB_OFFLINE and run `rehead fetch {id}`, or give a model directory (there is none called `{id}` \
         here)",
        similar(Path::new(id)).map(|near| format!("did you mean {}? Else ", near.display())).unwrap_or_default()
    )))
}

/// Asks the hub what the model consists of, and fetches what is missing from the snapshot.
fn update(
    wanted: &ModelId,
    settings: &HubSettings,
    folder: &Path,
    quick: bool,
    hooks: Hooks,
) -> Result<PathBuf, HubError> {
    let (network, api) = (Network::new(settings), client::addresses(settings)?);
    let description = client::describe(&network, &api, wanted, quick)?;
    let ModelId { id, .. } = wanted;
    let commit = description.sha.as_str();
    let snapshot = folder.join("snapshots").join(commit);
    let files: Vec<&str> = description.siblings.iter().map(|file| file.rfilename.as_str()).collect();
    if !files.contains(&CONFIG) {
        return Err(Error::request(format!("`{id}` has no {CONFIG}, so its architecture is unknown"))
            .hint("only models in the Hugging Face layout (config.json, model.safetensors) can be used")
            .into());
    }
    let at_commit = ModelId { id: id.clone(), revision: commit.to_owned() };
    let download = Download::new(settings, &network, api.repo(at_commit.repo()), folder, commit, hooks.report);
    let changed = Cell::new(false);
    let fetch = |files: &[&str]| {
        // `exists` follows the link: one that leads to a deleted blob is fetched again.
        let missing: Vec<&str> = files.iter().copied().filter(|file| !snapshot.join(file).exists()).collect();
        changed.set(changed.get() || !missing.is_empty());
        download.fetch(&missing)
    };
    // The small files first: a model that one may not have, or of another family, is refused before the large download
    // begins.
    fetch(&[CONFIG])?;
    (hooks.check)(&snapshot.join(CONFIG))?;
    let weights = match weights_among(&files, id) {
        Ok(weights) => weights,
        // Converted in the cache by `rehead convert`.
        Err(_) if snapshot.join(WEIGHTS).is_file() => WEIGHTS,
        Err(_) if hooks.pickles && files.contains(&PICKLE) => PICKLE,
        Err(_) if hooks.pickles && files.contains(&PICKLE_INDEX) => PICKLE_INDEX,
        Err(error) => {
            let converted = convert(wanted, commit, settings, folder, &network, hooks)?.ok_or(error)?;
            note_revision(wanted, commit, settings, folder, true)?;
            return Ok(converted);
        }
    };
    let optional: Vec<&str> = OPTIONAL.into_iter().filter(|file| files.contains(file)).collect();
    fetch(&optional)?;
    fetch(&[weights])?;
    if [WEIGHTS_INDEX, PICKLE_INDEX].contains(&weights) {
        let index = snapshot.join(weights);
        let shards = shards(&index)?;
        if let Some(shard) = shards.iter().find(|shard| !files.contains(&shard.as_str())) {
            return Err(Error::request(format!("it names `{shard}`, which the model does not have"))
                .file(index)
                .into());
        }
        fetch(&shards.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    note_absent(folder, commit, &files);
    // Noted last: until then offline use finds the earlier, complete version.
    note_revision(wanted, commit, settings, folder, changed.get())?;
    Ok(snapshot)
}

/// Notes which files the model does not have, as Python does, so that it need not ask for them. Nothing depends on it,
/// so a cache that cannot be written is none of its concern.
fn note_absent(folder: &Path, commit: &str, files: &[&str]) {
    let absent = folder.join(".no_exist").join(commit);
    for file in OPTIONAL.into_iter().filter(|file| !files.contains(file)) {
        let note = absent.join(file);
        if !note.exists() && fs::create_dir_all(note.parent().unwrap_or(&absent)).is_ok() {
            let _ = fs::write(note, b"");
        }
    }
}

/// Fetches the hub's own conversion of the weights at `commit`, whose revision has all files of the model. `None` where
/// there is none.
fn convert(
    wanted: &ModelId,
    commit: &str,
    settings: &HubSettings,
    folder: &Path,
    network: &Network,
    hooks: Hooks,
) -> Result<Option<PathBuf>, HubError> {
    let known = conversion::remembered(folder, commit).filter(|snapshot| first_missing(snapshot).is_none());
    if known.is_some() {
        return Ok(known);
    }
    let Some(converted) = conversion::conversion(network, &settings.endpoint, &wanted.id, commit)? else {
        return Ok(None);
    };
    (hooks.report)(DownloadEvent::Note(&format!(
        "`{}` has only PyTorch files: using the hub's own conversion to safetensors ({})",
        wanted.id, converted.revision
    )));
    let snapshot = update(&converted, settings, folder, false, hooks)?;
    let name = snapshot.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    conversion::remember(folder, commit, name).map_err(|error| unwritable(error, &folder.join("refs")))?;
    Ok(Some(snapshot))
}

/// Notes in the cache which commit a branch or tag is at. A cache that others fill may be read-only; if nothing was
/// `changed`, what was found in it is no worse for that.
fn note_revision(
    wanted: &ModelId,
    commit: &str,
    settings: &HubSettings,
    folder: &Path,
    changed: bool,
) -> Result<(), HubError> {
    let config = folder.join("snapshots").join(commit).join(CONFIG);
    let cache = settings.cache.repo(wanted.repo());
    if is_commit(&wanted.revision) || cache.get(CONFIG).as_deref() == Some(&config) {
        return Ok(());
    }
    match cache.create_ref(commit) {
        Err(error) if changed => Err(unwritable(error, &folder.join("refs").join(&wanted.revision)).into()),
        _ => Ok(()),
    }
}

/// Which file holds the weights, or names the files that do.
///
/// # Errors
/// There are no safetensors; the message says what there is instead, and the hint how to convert it.
fn weights_among(files: &[&str], id: &str) -> Result<&'static str> {
    if let Some(found) = [WEIGHTS, WEIGHTS_INDEX].into_iter().find(|name| files.contains(name)) {
        return Ok(found);
    }
    let ending = |endings: &[&str]| -> Vec<&str> {
        files.iter().copied().filter(|file| endings.iter().any(|ending| file.ends_with(ending))).take(3).collect()
    };
    let pickled = ending(&[".bin", ".pt", ".pth", ".ckpt", ".pkl"]);
    if !pickled.is_empty() {
        return Err(Error::request(format!(
            "`{id}` has no {WEIGHTS}, only {}; such files are pickles, which run code when they are read",
            listed(pickled)
        ))
        .hint(format!(
            "fetch them and convert them in the cache, which runs nothing in them:\n\
             rehead convert \"$(rehead fetch {id} --pytorch)\""
        )));
    }
    let others = ending(&[".safetensors", ".h5", ".msgpack", ".onnx", ".gguf", ".ot", ".tflite"]);
    let error = match others.is_empty() {
        true => Error::request(format!("`{id}` has no weights: neither {WEIGHTS} nor any other known format")),
        false => Error::request(format!("`{id}` has no {WEIGHTS}, only {}", listed(others))),
    };
    Err(error.hint(format!("only safetensors are read; look for another model, or save this one as {WEIGHTS}")))
}

/// The files that an index spreads the tensors over.
fn shards(index: &Path) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = fs::read_to_string(index).map_err(|error| Error::io(error, index))?;
    let parsed: Index = serde_json::from_str(&text)
        .map_err(|error| Error::request(format!("not an index of safetensors: {error}")).file(index))?;
    let shards: BTreeSet<String> = parsed.weight_map.into_values().collect();
    let ending = if index.ends_with(PICKLE_INDEX) { ".bin" } else { ".safetensors" };
    let odd = |shard: &&String| {
        !shard.ends_with(ending)
            || shard.contains(|c: char| !c.is_ascii_alphanumeric() && !"._-/".contains(c))
            || shard.split('/').any(|part| part.is_empty() || part == "..")
    };
    if let Some(shard) = shards.iter().find(odd) {
        return Err(Error::request(format!("`{shard}` is not the name of a part of the checkpoint")).file(index));
    }
    Ok(shards.into_iter().collect())
}

/// The first file without which the model is of no use, if one is missing.
pub(super) fn first_missing(snapshot: &Path) -> Option<String> {
    let is_missing = |file: &str| !snapshot.join(file).exists();
    if is_missing(CONFIG) {
        return Some(CONFIG.to_owned());
    }
    if !is_missing(WEIGHTS) {
        return None;
    }
    if is_missing(WEIGHTS_INDEX) {
        return Some(WEIGHTS.to_owned());
    }
    match shards(&snapshot.join(WEIGHTS_INDEX)) {
        Ok(shards) => shards.into_iter().find(|shard| is_missing(shard)),
        Err(_) => Some(WEIGHTS_INDEX.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_of_safetensors_goes_before_several() {
        assert_eq!(weights_among(&[WEIGHTS_INDEX, WEIGHTS, "pytorch_model.bin"], "a/b").unwrap(), WEIGHTS);
        assert_eq!(weights_among(&[WEIGHTS_INDEX, "model-00001-of-00002.safetensors"], "a/b").unwrap(), WEIGHTS_INDEX);
    }

    #[test]
    fn pickles_are_refused_with_the_command_that_converts_them() {
        let error = weights_among(&["config.json", "pytorch_model.bin"], "org/name").unwrap_err();
        assert_eq!(error.exit_status(), 2);
        assert!(error.to_string().contains("run code"));
        let hint = error.hint_text().unwrap();
        assert!(hint.contains("rehead convert \"$(rehead fetch org/name --pytorch)\""), "{hint}");
        let error = weights_among(&["config.json", "tf_model.h5"], "org/name").unwrap_err();
        assert!(error.to_string().contains("tf_model.h5"));
    }

    #[test]
    fn a_snapshot_is_complete_with_its_last_shard() {
        let directory = tempfile::tempdir().unwrap();
        let snapshot = directory.path();
        assert_eq!(first_missing(snapshot).as_deref(), Some(CONFIG));
        fs::write(snapshot.join(CONFIG), "{}").unwrap();
        assert_eq!(first_missing(snapshot).as_deref(), Some(WEIGHTS));
        let index = r#"{"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors", "c": "m-1.safetensors"}}"#;
        fs::write(snapshot.join(WEIGHTS_INDEX), index).unwrap();
        fs::write(snapshot.join("m-1.safetensors"), "").unwrap();
        assert_eq!(first_missing(snapshot).as_deref(), Some("m-2.safetensors"));
        fs::write(snapshot.join("m-2.safetensors"), "").unwrap();
        assert_eq!(first_missing(snapshot), None);
    }

    #[test]
    fn an_index_cannot_lead_out_of_the_model() {
        let directory = tempfile::tempdir().unwrap();
        let index = directory.path().join(WEIGHTS_INDEX);
        for shard in ["../x.safetensors", "/etc/x.safetensors", "x.bin", "a/../../x.safetensors"] {
            fs::write(&index, format!(r#"{{"weight_map": {{"a": "{shard}"}}}}"#)).unwrap();
            assert!(shards(&index).is_err(), "{shard}");
        }
        fs::write(&index, "<html>").unwrap();
        assert!(shards(&index).is_err());
    }
}
