//! The hub's own conversion of a model that has only PyTorch files: a pull request of its bot that adds safetensors.
//!
//! As `transformers/safetensors_conversion.py` finds it: opened by `SFconvertbot` and by nobody else, under its fixed
//! title, and made from the very commit that is wanted. No conversion is asked for here; what exists is found.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::files::write_atomically;
use crate::hub::error::{HubError, retry};
use crate::hub::name::{ModelId, is_commit};
use crate::hub::network::Network;

const BOT: &str = "SFconvertbot";
const TITLE: &str = "Adding `safetensors` variant of this model";

#[derive(Deserialize)]
struct Discussions {
    discussions: Vec<Discussion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discussion {
    num: u64,
    title: String,
    status: String,
    is_pull_request: bool,
    author: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    name: String,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
}

/// The revision `refs/pr/N` that has the commit `commit` of a model and its weights as safetensors beside it, if the
/// hub's bot has made one.
///
/// # Errors
/// The hub cannot be reached. One that knows no discussions (a mirror) has no conversions.
pub fn conversion(network: &Network, endpoint: &str, id: &str, commit: &str) -> Result<Option<ModelId>, HubError> {
    let api = format!("{endpoint}/api/models/{id}");
    let by_bot = format!("{api}/discussions?p=0&type=pull_request&status=open&author={BOT}");
    let Some(found) = ask::<Discussions>(network, &by_bot)? else { return Ok(None) };
    let is_conversion = |discussion: &&Discussion| {
        let by_bot = discussion.author.as_ref().is_some_and(|author| author.name == BOT);
        by_bot && discussion.is_pull_request && discussion.status == "open" && discussion.title == TITLE
    };
    for discussion in found.discussions.iter().filter(is_conversion) {
        let history = format!("{api}/commits/refs%2Fpr%2F{}?p=0", discussion.num);
        let commits = ask::<Vec<Commit>>(network, &history)?.unwrap_or_default();
        // The newest is the bot's; the one before it is what was converted.
        if commits.get(1).is_some_and(|parent| parent.id == commit) {
            return Ok(Some(ModelId { id: id.to_owned(), revision: format!("refs/pr/{}", discussion.num) }));
        }
    }
    Ok(None)
}

fn ask<T: DeserializeOwned>(network: &Network, url: &str) -> Result<Option<T>, HubError> {
    let answer = retry(|_| network.get(url, |request| request));
    match answer {
        Ok(response) => Ok(response.into_json().ok()),
        Err(HubError::Refused { status: 401..=404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Notes which snapshot has the conversion of a commit, as a reference, so that it is found without the network.
///
/// # Errors
/// The cache cannot be written.
pub fn remember(folder: &Path, commit: &str, converted: &str) -> io::Result<()> {
    let reference = reference(folder, commit);
    fs::create_dir_all(reference.parent().unwrap_or(folder))?;
    write_atomically(&reference, converted.as_bytes()).map_err(|error| io::Error::other(error.to_string()))
}

/// The snapshot that has the conversion of a commit, if one was fetched.
pub fn remembered(folder: &Path, commit: &str) -> Option<PathBuf> {
    let converted = fs::read_to_string(reference(folder, commit)).ok()?;
    let converted = converted.trim();
    Some(folder.join("snapshots").join(converted)).filter(|snapshot| is_commit(converted) && snapshot.is_dir())
}

fn reference(folder: &Path, commit: &str) -> PathBuf {
    folder.join("refs/converted").join(commit)
}
