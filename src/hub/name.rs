//! What a person means by `--model`: a directory on this machine, or a model on the hub.
//!
//! Decides from the text and one look at the disk. It opens no connection and knows nothing of the cache.

use std::path::{Path, PathBuf};

use hf_hub::{Repo, RepoType};

use crate::error::{Error, Result};
use crate::files::similar;

/// The branch that is meant when no revision is named.
pub const DEFAULT_REVISION: &str = "main";

/// The longest model id that the hub allows.
const LONGEST_ID: usize = 96;

/// Where a model is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory that exists.
    Directory(PathBuf),
    /// A model on the hub, or in its cache.
    Hub(ModelId),
}

/// A model on the hub at a revision: `org/name` or, for a few old models, `name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelId {
    pub id: String,
    /// A branch, a tag or a commit.
    pub revision: String,
}

impl ModelId {
    /// The same in `hf-hub`'s terms.
    pub fn repo(&self) -> Repo {
        Repo::with_revision(self.id.clone(), RepoType::Model, self.revision.clone())
    }
}

/// A full git commit: 40 hexadecimal digits.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Reads `model` as a directory or as `[org/]name[@revision]`; what exists as a directory always is the directory.
///
/// # Errors
/// A wrong request if the text looks like a path and there is no such directory, or if it is no valid id either.
pub fn interpret(model: &str, revision: Option<&str>) -> Result<Location> {
    let path = Path::new(model);
    if path.is_dir() {
        return match revision {
            None => Ok(Location::Directory(path.to_owned())),
            Some(revision) => Err(Error::request(format!("a directory has no revision `{revision}`"))
                .file(path)
                .hint("leave the revision out, or give a hub id")),
        };
    }
    if path.is_file() {
        return Err(Error::request("is a file, where the model's directory is expected").file(path).hint(
            match path.parent().filter(|parent| !parent.as_os_str().is_empty() && holds_model(parent)) {
                Some(parent) => format!("give the directory: {}", parent.display()),
                None => "give the directory that holds config.json and model.safetensors".to_owned(),
            },
        ));
    }
    if let Some(id) = id_in_address(model) {
        return Err(Error::request(format!("`{model}` is the address of a page, not a model id"))
            .hint(format!("give the id alone: {id}")));
    }
    if looks_like_a_path(model) || is_beside_models(path) {
        return Err(no_such_directory(path));
    }

    let (id, suffix) = match model.split_once('@') {
        Some((id, suffix)) => (id, Some(suffix)),
        None => (model, None),
    };
    let revision = match (suffix, revision) {
        (Some(one), Some(other)) if one != other => {
            return Err(Error::request(format!("two revisions are asked for: `{one}` and `{other}`")));
        }
        (Some(revision), _) | (None, Some(revision)) => revision,
        (None, None) => DEFAULT_REVISION,
    };
    if let Err(reason) = check_id(id) {
        return Err(Error::request(format!("`{model}` is neither a directory nor a model id: {reason}"))
            .hint("give a model directory, or an id such as `sentence-transformers/all-MiniLM-L6-v2`"));
    }
    if let Err(reason) = check_revision(revision) {
        return Err(Error::request(format!("`{revision}` is not a revision: {reason}"))
            .hint("a revision is a branch, a tag or a commit, written `org/name@revision`"));
    }
    Ok(Location::Hub(ModelId { id: id.to_owned(), revision: revision.to_owned() }))
}

/// Text that nobody would write for a hub id: a hub id has at most one slash, and does not begin like a path.
fn looks_like_a_path(text: &str) -> bool {
    let before_revision = text.split('@').next().unwrap_or(text);
    let mut letters = text.chars();
    let drive = matches!((letters.next(), letters.next()), (Some(letter), Some(':')) if letter.is_ascii_alphabetic());
    text.starts_with(['.', '/', '~'])
        || text.ends_with('/')
        || text.contains('\\')
        || drive
        || before_revision.matches('/').count() > 1
}

/// The id in an address copied from a browser: `https://huggingface.co/org/name/tree/main`.
fn id_in_address(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let mut parts = rest.split('/').skip(1).filter(|part| !part.is_empty());
    let first = parts.next()?;
    let id = match parts.next() {
        Some(second) if !matches!(second, "tree" | "resolve" | "blob") => format!("{first}/{second}"),
        _ => first.to_owned(),
    };
    check_id(&id).is_ok().then_some(id)
}

/// Whether `folder/name`, which could be a hub id, is meant as a directory: the folder is one that runs or models are
/// kept in, by its name or by what is in it.
fn is_beside_models(path: &Path) -> bool {
    const USUAL: [&str; 9] = ["run", "runs", "model", "models", "checkpoints", "out", "output", "outputs", "results"];
    let Some(folder) = path.parent().filter(|folder| folder.components().count() == 1) else { return false };
    let entries = || std::fs::read_dir(folder).into_iter().flatten().flatten();
    folder.to_str().is_some_and(|name| USUAL.contains(&name)) || entries().any(|entry| holds_model(&entry.path()))
}

/// Whether a directory holds a part of a model or run.
fn holds_model(directory: &Path) -> bool {
    ["config.json", "rehead.toml", "model.safetensors"].iter().any(|name| directory.join(name).is_file())
}

fn no_such_directory(path: &Path) -> Error {
    let error = Error::request("no such directory, so no model and no run").file(path);
    match similar(path) {
        Some(near) => error.hint(format!("did you mean {}?", near.display())),
        None if path.starts_with("~") => error.hint("the shell expands `~` only where it is not quoted"),
        None => error.hint("give a directory that holds config.json and model.safetensors, or a hub id `org/name`"),
    }
}

/// The hub's own rules for a model's id.
fn check_id(id: &str) -> Result<(), String> {
    let parts: Vec<&str> = id.split('/').collect();
    if id.is_empty() {
        return Err("it is empty".to_owned());
    }
    if parts.len() > 2 {
        return Err("an id is `name` or `org/name`".to_owned());
    }
    if id.len() > LONGEST_ID {
        return Err(format!("an id has at most {LONGEST_ID} characters"));
    }
    if let Some(odd) = id.chars().find(|c| !c.is_ascii_alphanumeric() && !"._-/".contains(*c)) {
        return Err(format!("an id has letters, digits, `-`, `_` and `.`, not {odd:?}"));
    }
    if id.contains("--") || id.contains("..") {
        return Err("an id has neither `--` nor `..`".to_owned());
    }
    if parts.iter().any(|part| part.is_empty() || part.starts_with(['-', '.']) || part.ends_with(['-', '.'])) {
        return Err("its parts neither begin nor end with `-` or `.`, and are not empty".to_owned());
    }
    if id.ends_with(".git") {
        return Err("an id does not end in `.git`".to_owned());
    }
    Ok(())
}

/// Git's rules for the name of a branch or tag, as far as they keep a name from leaving the cache's `refs` folder, and
/// what would have to be escaped in an address.
fn check_revision(revision: &str) -> Result<(), String> {
    if revision.is_empty() {
        return Err("it is empty".to_owned());
    }
    if let Some(odd) = revision.chars().find(|c| c.is_control() || " ~^:?*[\\@#%".contains(*c)) {
        return Err(format!("it contains {odd:?}"));
    }
    if revision.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.contains("..")) {
        return Err("it is not a plain name".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(id: &str, revision: &str) -> Location {
        Location::Hub(ModelId { id: id.to_owned(), revision: revision.to_owned() })
    }

    #[test]
    fn ids_with_and_without_organisation_and_revision() {
        assert_eq!(interpret("gpt2", None).unwrap(), hub("gpt2", "main"));
        assert_eq!(interpret("org/na.me_1-x", None).unwrap(), hub("org/na.me_1-x", "main"));
        assert_eq!(interpret("org/name@v1.0", None).unwrap(), hub("org/name", "v1.0"));
        assert_eq!(interpret("org/name@refs/pr/1", None).unwrap(), hub("org/name", "refs/pr/1"));
        assert_eq!(interpret("org/name", Some("dev")).unwrap(), hub("org/name", "dev"));
        assert!(interpret("org/name@v1", Some("v2")).is_err());
    }

    #[test]
    fn a_directory_wins_over_an_id() {
        assert_eq!(interpret("src", None).unwrap(), Location::Directory("src".into()));
        assert!(interpret("src", Some("main")).is_err());
    }

    #[test]
    fn what_looks_like_a_path_is_never_taken_for_an_id() {
        for path in ["./model", "../no-model", "/no/model", "~/model", "model/", "a/b/c", ".\\model", "C:\\m", "C:/m"] {
            let error = interpret(path, None).unwrap_err();
            assert!(error.to_string().contains("no such directory"), "{path}: {error}");
            assert_eq!(error.exit_status(), 2);
        }
        for run in ["runs/absent", "models/absent"] {
            assert!(interpret(run, None).unwrap_err().to_string().contains("no such directory"), "{run}");
        }
        assert!(interpret("./sr", None).unwrap_err().hint_text().unwrap().contains("src"));
    }

    #[test]
    fn what_the_hub_would_refuse_is_refused_here() {
        let long = "x".repeat(97);
        for id in ["", "a b", "a--b", "a..b", "org/", "-a", "a-", "org/.name", "näme", "x.git", "a@", "a@../b", &long]
        {
            let error = interpret(id, None).unwrap_err();
            assert_eq!(error.exit_status(), 2, "{id}");
        }
        let pasted = interpret("https://huggingface.co/org/name/tree/main", None).unwrap_err();
        assert_eq!(pasted.hint_text(), Some("give the id alone: org/name"));
    }
}
