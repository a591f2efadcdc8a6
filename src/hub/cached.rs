//! What is in the model cache: ids, revisions, sizes, and what a snapshot lacks. File names alone are looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use walkdir::WalkDir;

use crate::error::{Error, Result};
use crate::hub::lookup::{first_missing, usable};
use crate::hub::settings::HubSettings;

/// One version of a model in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedModel {
    /// `org/name`, or `name`.
    pub id: String,
    /// Branches and tags that are at this version. None of a version that no name leads to any more.
    pub revisions: Vec<String>,
    /// Git's name of the version.
    pub commit: String,
    /// Where its files are: with the hub's conversion to safetensors, those of the conversion.
    pub directory: PathBuf,
    /// Of its files, those that other versions share with it included.
    pub bytes: u64,
    /// When one of its files was last read, as far as the file system notes it.
    pub last_used: Option<SystemTime>,
    /// The file without which it is of no use, where one is missing.
    pub missing: Option<String>,
    /// Whether a download was interrupted, which the next one continues.
    pub is_interrupted: bool,
    /// Whether there are weights as PyTorch saves them.
    pub has_pickles: bool,
}

/// The models in the cache, by id and version; what belongs to no model is passed over. With the cache's folder.
///
/// # Errors
/// The environment names no usable cache, or it cannot be read. One that is not there yet is empty.
pub fn cached_models() -> Result<(PathBuf, Vec<CachedModel>)> {
    let settings = HubSettings::from_environment()?;
    let cache = settings.cache.path().clone();
    let entries = match fs::read_dir(&cache) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((cache, Vec::new())),
        Err(error) => return Err(Error::io(error, &cache)),
    };
    let mut models = Vec::new();
    for folder in entries.flatten().map(|entry| entry.path()) {
        let name = folder.file_name().and_then(|name| name.to_str());
        if let Some(id) = name.and_then(|name| name.strip_prefix("models--")) {
            versions(&id.replace("--", "/"), &folder, &mut models);
        }
    }
    let rank = |model: &CachedModel| (model.id.to_lowercase(), !model.is_main(), model.revisions.clone());
    models.sort_by_cached_key(|model| (rank(model), model.commit.clone()));
    Ok((cache, models))
}

impl CachedModel {
    /// Whether it is what the id alone means.
    pub fn is_main(&self) -> bool {
        self.revisions.iter().any(|revision| revision == "main")
    }

    /// What is written after `--model` for it: the id, with a revision where it needs one.
    pub fn name(&self) -> String {
        match self.revisions.first() {
            _ if self.is_main() => self.id.clone(),
            Some(revision) => format!("{}@{revision}", self.id),
            None => format!("{}@{}", self.id, self.commit),
        }
    }
}

/// Adds the versions in the folder of one model.
fn versions(id: &str, folder: &Path, models: &mut Vec<CachedModel>) {
    let mut names = references(folder);
    let blobs = fs::read_dir(folder.join("blobs")).into_iter().flatten().flatten();
    let is_interrupted = blobs.map(|blob| blob.path()).any(|blob| blob.extension() == Some("incomplete".as_ref()));
    let Ok(snapshots) = fs::read_dir(folder.join("snapshots")) else { return };
    for snapshot in snapshots.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let Some(commit) = snapshot.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        let revisions = names.remove(&commit).unwrap_or_default().into_iter().collect();
        let directory = usable(snapshot, folder);
        // Links are followed: what they lead to takes the space. Two names for one content count once.
        let files = WalkDir::new(&directory).into_iter().flatten().filter_map(|entry| {
            let content = fs::canonicalize(entry.path()).ok()?;
            Some((content.clone(), fs::metadata(content).ok().filter(fs::Metadata::is_file)?))
        });
        let files: BTreeMap<PathBuf, fs::Metadata> = files.collect();
        let missing = first_missing(&directory);
        let pickles = ["pytorch_model.bin", "pytorch_model.bin.index.json"];
        models.push(CachedModel {
            id: id.to_owned(),
            revisions,
            commit,
            bytes: files.values().map(fs::Metadata::len).sum(),
            last_used: files.values().filter_map(|file| file.accessed().ok()).max(),
            missing,
            is_interrupted,
            has_pickles: pickles.iter().any(|name| directory.join(name).exists()),
            directory,
        });
    }
}

/// The names that lead to each commit.
fn references(folder: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let refs = folder.join("refs");
    let mut names = BTreeMap::<String, BTreeSet<String>>::new();
    for file in WalkDir::new(&refs).into_iter().flatten().filter(|entry| entry.file_type().is_file()) {
        let (Ok(name), Ok(commit)) = (file.path().strip_prefix(&refs), fs::read_to_string(file.path())) else {
            continue;
        };
        // A note of a conversion is nobody's revision.
        if !name.starts_with("converted") {
            let name = name.to_string_lossy().replace('\\', "/");
            names.entry(commit.trim().to_owned()).or_default().insert(name);
        }
    }
    names
}
