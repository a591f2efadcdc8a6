//! What a result was made from: the content of the data and, in a comparison, of the model, and the settings. Each run
//! and baseline keeps it in its directory; one that was made from something else is never continued, nor shown as a
//! result of a comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::commands::train::data::Data;
use crate::config::{self, Choices, RunConfig};
use crate::console::Console;
use crate::data::{Input, Modality};
use crate::error::{Error, ErrorKind, Result};
use crate::files::checksum::{Sealed, damaged, read_sealed, write_sealed};
use crate::fingerprint::Fingerprint;
use crate::interrupt;

/// The file in the directory of a run or baseline.
const ORIGIN: &str = "origin.json";

/// Settings whose content counts, not the path.
const PATHS: [&str; 5] = ["data.train", "data.valid", "data.test", "data.label_map", "model.model"];

/// A setting that may name a file.
pub const CLASS_WEIGHTS: &str = "training.class_weights";

/// The content of the images that tables name.
const IMAGES: &str = "the images";

/// Kinds of model files that decide what a network computes.
const MODEL_FILES: [&str; 4] = ["json", "safetensors", "txt", "model"];

/// What decides a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// By name (`the training data`, …) the fingerprint of the content.
    content: BTreeMap<String, String>,
    /// By key, as they were asked for. Paths are not among them: their content is.
    settings: BTreeMap<String, String>,
}

impl Origin {
    /// That of a run, or of all runs of a comparison, without their own settings. `model`: where the network is, where
    /// its content counts.
    pub fn of_content(shared: &RunConfig, model: Option<&Path>, modality: Modality) -> Result<Self> {
        let data = &shared.data;
        let mut content = BTreeMap::new();
        let train: Vec<&Path> = data.train.iter().map(PathBuf::as_path).collect();
        content.insert("the training data".to_owned(), fingerprint(&train, usize::MAX, |_| true)?);
        let weights = shared.training.class_weights.file();
        for (name, file) in [
            ("the validation data", data.valid.as_deref()),
            ("the test data", data.test.as_deref()),
            ("the label map", data.label_map.as_deref()),
            ("the class weights", weights),
        ] {
            if let Some(file) = file {
                content.insert(name.to_owned(), fingerprint(&[file], usize::MAX, |_| true)?);
            }
        }
        let files = data.train.iter().chain(&data.valid).chain(&data.test);
        if modality == Modality::Image && files.clone().any(|file| file.is_file()) {
            content.insert(IMAGES.to_owned(), of_images(shared)?);
        }
        if let Some(model) = model {
            let is_part = |file: &Path| file.extension().is_some_and(|kind| MODEL_FILES.iter().any(|&one| kind == one));
            content.insert("the model".to_owned(), fingerprint(&[model], 1, is_part)?);
        }
        Ok(Self { content, settings: BTreeMap::new() })
    }

    /// The same with the settings of one run.
    pub fn of_run(&self, run: &RunConfig) -> Result<Self> {
        let mut settings = config::decisive_settings(run)?;
        let has_file = run.training.class_weights.file().is_some();
        settings.retain(|key, _| !(PATHS.contains(&key.as_str()) || has_file && key == CLASS_WEIGHTS));
        Ok(Self { content: self.content.clone(), settings })
    }

    /// The same with the settings that the baselines heed: how the data are read and divided.
    pub fn of_baselines(&self, shared: &RunConfig) -> Result<Self> {
        let mut origin = self.of_run(shared)?;
        origin.content.retain(|name, _| !["the model", "the class weights"].contains(&name.as_str()));
        origin.settings.retain(|key, _| key.starts_with("data.") || key == "training.seed");
        Ok(origin)
    }

    /// What is saved in the directory of a run or baseline; `None` where nothing is, or nothing that can be read.
    ///
    /// # Errors
    /// It is not as it was written.
    fn saved(folder: &Path) -> Result<Option<Self>> {
        let file = folder.join(ORIGIN);
        match read_sealed(&file) {
            Ok(Some(Sealed::Intact(text))) => Ok(serde_json::from_str(&text).ok()),
            // Earlier versions wrote no checksum.
            Ok(Some(Sealed::Without(bytes))) => Ok(serde_json::from_slice(&bytes).ok()),
            Ok(Some(Sealed::Damaged)) => Err(damaged(&file)
                .hint("put it back as it was, or delete it: data and settings are then not compared with it")),
            _ => Ok(None),
        }
    }

    /// Saves it in the directory of a run or baseline.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_sealed(&folder.join(ORIGIN), self)
    }

    /// By the name of the data (`the training data`, …) the fingerprint of their content, as the run in `folder` began.
    pub fn fingerprints(folder: &Path) -> BTreeMap<String, String> {
        Self::saved(folder).ok().flatten().map(|saved| saved.content).unwrap_or_default()
    }

    /// The names of the data (`the training data`, …) whose content is not what it was when the run in `config.run.out`
    /// began; none where that is not recorded.
    pub fn changed_data(config: &RunConfig) -> Result<Vec<String>> {
        let Some(mut saved) = Self::saved(&config.run.out)? else { return Ok(Vec::new()) };
        let modality = if saved.content.contains_key(IMAGES) { Modality::Image } else { Modality::Text };
        let now = Self::of_content(config, None, modality)?.content;
        Ok(now
            .into_iter()
            .filter(|(name, found)| saved.content.remove(name).is_none_or(|was| was != *found))
            .map(|(name, _)| name)
            .collect())
    }

    /// In what the result in `folder` differs, in words; `None` where it was made from this.
    pub fn difference(&self, folder: &Path) -> Option<String> {
        let saved = match Self::saved(folder) {
            Ok(Some(saved)) => saved,
            Ok(None) => return Some("it is not recorded which data it was made from".to_owned()),
            Err(error) => return Some(error.to_string()),
        };
        let names = self.content.keys().chain(saved.content.keys().filter(|name| !self.content.contains_key(*name)));
        let of_content = names.filter(|name| self.content.get(*name) != saved.content.get(*name));
        let mut differences: Vec<String> = of_content.map(|name| format!("{name} changed")).collect();
        for (key, now) in &self.settings {
            // What another version did not know yet has its default.
            if let Some(was) = saved.settings.get(key).filter(|was| *was != now) {
                differences.push(format!("`{key}` was {was}, now {now}"));
            }
        }
        (!differences.is_empty()).then(|| differences.join("; "))
    }
}

/// That what is in the directories of `runs`, with the origins they have now, was made from the same.
///
/// # Errors
/// Names each run that was made from something else.
pub fn check<'a>(out: &Path, runs: impl IntoIterator<Item = (&'a RunConfig, &'a Origin)>) -> Result<()> {
    let stale: Vec<String> = runs
        .into_iter()
        .filter(|(run, _)| run.run.out.join("rehead.toml").is_file())
        .filter_map(|(run, origin)| Some(format!("{} ({})", run.run.out.display(), origin.difference(&run.run.out)?)))
        .collect();
    match stale.as_slice() {
        [] => Ok(()),
        [only] => Err(Error::request(format!("a run there was made from something else: {only}"))),
        [first, rest @ ..] => {
            Err(Error::request(format!("runs there were made from something else: {first} and {} more", rest.len())))
        }
    }
    .map_err(|error| {
        let out = out.display();
        error
            .file(&*out.to_string())
            .hint(format!("give a new directory to --out, or delete {out} to train all runs again"))
    })
}

/// Of the content of files, and of the files that are so deep below folders, with their names there; of these those
/// that `is_part` of it.
fn fingerprint(paths: &[&Path], depth: usize, is_part: impl Fn(&Path) -> bool) -> Result<String> {
    let mut hash = Fingerprint::default();
    for path in paths {
        for entry in walkdir::WalkDir::new(path).max_depth(depth).follow_links(true).sort_by_file_name() {
            let entry = match entry {
                // A link back to a folder above holds nothing new, and one to nothing is an image like others that
                // cannot be read: refused or left out where the run reads it.
                Err(error) if error.loop_ancestor().is_some() => continue,
                Err(error) if error.depth() > 0 && error.io_error().is_some_and(is_missing) => continue,
                Err(error) => return Err(Error::io(error.into(), path)),
                Ok(entry) => entry,
            };
            let file = entry.path();
            if entry.file_type().is_file() && (path.is_file() || is_part(file)) {
                let name = file.strip_prefix(path).unwrap_or(file).to_string_lossy();
                hash.bytes(format!("{}:{name}", name.len()));
                match add_content(&mut hash, file) {
                    Err(error) if path.is_dir() && error.kind() != ErrorKind::Interrupted => hash.bytes("unreadable"),
                    added => added?,
                }
            }
        }
    }
    Ok(hash.finish())
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Of the images that the data name, each read once. A table's own bytes say nothing of them.
fn of_images(shared: &RunConfig) -> Result<String> {
    let data = Data::load(&mut shared.clone(), Modality::Image, &mut Choices::default(), &Console::new(true).brief())?;
    let examples = data.train.iter().chain(data.valid.iter().flatten()).chain(data.test.iter().flatten());
    let images: BTreeSet<&Path> = examples
        .filter_map(|example| match &example.input {
            Input::Image(file) => Some(file.as_path()),
            Input::Text(_) | Input::Pair(..) => None,
        })
        .collect();
    let mut hash = Fingerprint::default();
    for image in images {
        let name = image.to_string_lossy();
        hash.bytes(format!("{}:{name}", name.len()));
        // What is not there is refused or left out where the run reads it.
        if image.is_file() {
            add_content(&mut hash, image)?;
        }
    }
    Ok(hash.finish())
}

fn add_content(hash: &mut Fingerprint, file: &Path) -> Result<()> {
    let failed = |error| Error::io(error, file);
    let opened = File::open(file).map_err(failed)?;
    let size = opened.metadata().map_err(failed)?.len();
    hash.bytes(format!(":{size}:"));
    let mut content = BufReader::with_capacity(1 << 20, opened);
    loop {
        if interrupt::requested() {
            return Err(Error::interrupted("while reading the data"));
        }
        let bytes = content.fill_buf().map_err(failed)?;
        let read = bytes.len();
        if read == 0 {
            return Ok(());
        }
        hash.bytes(bytes);
        content.consume(read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(content: &[(&str, &str)], settings: &[(&str, &str)]) -> Origin {
        let map = |of: &[(&str, &str)]| of.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Origin { content: map(content), settings: map(settings) }
    }

    #[test]
    fn every_difference_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let now = origin(&[("the training data", "1")], &[("training.lr", "unset"), ("data.quote", "\"none\"")]);
        assert!(now.difference(folder.path()).unwrap().contains("not recorded"));
        for (saved, expected) in [
            (now.clone(), None),
            (origin(&[("the training data", "2")], &[]), Some("the training data changed")),
            (
                origin(&[("the training data", "1"), ("the test data", "1")], &[("training.lr", "0.1")]),
                Some("the test data changed; `training.lr` was 0.1, now unset"),
            ),
        ] {
            saved.write(folder.path()).unwrap();
            assert_eq!(now.difference(folder.path()).as_deref(), expected);
        }
    }

    #[test]
    fn the_fingerprint_is_of_names_and_content() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
        let found =
            || fingerprint(&[folder.path()], 1, |file| file.extension().is_some_and(|kind| kind == "csv")).unwrap();
        write("a.csv", "1");
        let first = found();
        write("b.txt", "2");
        assert_eq!(found(), first);
        write("a.csv", "3");
        let second = found();
        assert_ne!(second, first);
        std::fs::rename(folder.path().join("a.csv"), folder.path().join("c.csv")).unwrap();
        let third = found();
        assert!(third != second && third != first);
        std::fs::create_dir(folder.path().join("below")).unwrap();
        write("below/a.csv", "4");
        assert_eq!(found(), third, "deeper than asked for");
    }
}
