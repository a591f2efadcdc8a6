//! The settings shared with every tool that uses the hub, read from the environment variables they all know.
//!
//! Nothing here opens a connection or writes a file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

const ENDPOINT: &str = "https://huggingface.co";

/// Where the hub and its cache are, and how to speak with them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `HF_ENDPOINT`, without a slash at the end.
    pub endpoint: String,
    /// The directory of the cache (`HF_HUB_CACHE`, `$HF_HOME/hub`, …), absolute.
    pub cache: PathBuf,
    /// The person's access token, if there is one.
    pub token: Option<Token>,
    /// `HF_HUB_OFFLINE`: no connection may be opened.
    pub offline: bool,
    /// How long to wait for the hub to answer a question (`HF_HUB_ETAG_TIMEOUT`).
    pub answer_timeout: Duration,
    /// How long a download may stand still (`HF_HUB_DOWNLOAD_TIMEOUT`).
    pub download_timeout: Duration,
}

/// An access token and where it was found. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct Token {
    pub secret: String,
    /// `HF_TOKEN`, or the file it was read from, for messages.
    pub source: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token from {}", self.source)
    }
}

impl Settings {
    /// Reads the environment. Fails if an address or a token in it cannot be meant so.
    pub fn from_environment() -> Result<Self> {
        Self::from_variables(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let text = |name: &str| variable(name).map(|value| value.to_string_lossy().trim().to_owned());
        let path = |name: &str| variable(name).map(|value| expand(&value, &variable));
        let home = match (path("HF_HOME"), path("XDG_CACHE_HOME"), std::env::home_dir()) {
            (Some(home), _, _) => Some(home),
            (None, Some(caches), _) => Some(caches.join("huggingface")),
            (None, None, Some(person)) => Some(person.join(".cache").join("huggingface")),
            (None, None, None) => None,
        };
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let Some(cache) = cache.or_else(|| home.as_ref().map(|home| home.join("hub"))) else {
            return Err(Error::request("there is no home directory to keep the models in").hint("set HF_HOME"));
        };
        let cache = std::path::absolute(&cache).map_err(|error| Error::io(error, &cache))?;

        let endpoint = text("HF_ENDPOINT")
            .unwrap_or_else(|| ENDPOINT.to_owned())
            .trim_end_matches('/')
            .to_owned();
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            return Err(
                Error::request(format!("HF_ENDPOINT is `{endpoint}`, which is no web address"))
                    .hint(format!("unset it, or write it like {ENDPOINT}")),
            );
        }
        let seconds = |name: &str| {
            let given = text(name)
                .and_then(|value| value.parse::<u64>().ok())
                .filter(|seconds| *seconds > 0);
            Duration::from_secs(given.unwrap_or(10))
        };
        Ok(Self {
            endpoint,
            cache,
            token: find_token(
                &text,
                path("HF_TOKEN_PATH").or_else(|| home.map(|home| home.join("token"))),
            )?,
            offline: text("HF_HUB_OFFLINE")
                .or_else(|| text("TRANSFORMERS_OFFLINE"))
                .is_some_and(|value| is_true(&value)),
            answer_timeout: seconds("HF_HUB_ETAG_TIMEOUT"),
            download_timeout: seconds("HF_HUB_DOWNLOAD_TIMEOUT"),
        })
    }
}

fn is_true(value: &str) -> bool {
    ["1", "true", "yes", "on"].contains(&value.to_lowercase().as_str())
}

/// A leading `~` is the home directory and `$NAME` a variable, as Python's side of the cache has it.
fn expand(value: &OsString, variable: &impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let path = Path::new(value);
    let home = || variable("HOME").map(PathBuf::from).or_else(std::env::home_dir);
    let mut expanded = PathBuf::new();
    for (index, part) in path.components().enumerate() {
        let text = part.as_os_str().to_str().unwrap_or_default();
        let named = text
            .strip_prefix('$')
            .map(|name| name.trim_start_matches('{').trim_end_matches('}'));
        match named.and_then(variable) {
            Some(value) => expanded.push(value),
            None if index == 0 && text == "~" => expanded.push(home().unwrap_or_else(|| PathBuf::from("~"))),
            None => expanded.push(part),
        }
    }
    expanded
}

/// The token of the environment goes before the one that a login has left in a file.
fn find_token(text: &impl Fn(&str) -> Option<String>, file: Option<PathBuf>) -> Result<Option<Token>> {
    let token = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].into_iter().find_map(|name| {
        text(name).map(|secret| Token {
            secret,
            source: name.to_owned(),
        })
    });
    let token = match token {
        Some(token) => Some(token),
        None if text("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(|value| is_true(&value)) => None,
        None => file.and_then(|file| {
            let secret = std::fs::read_to_string(&file).ok()?.trim().to_owned();
            (!secret.is_empty()).then(|| Token {
                secret,
                source: file.display().to_string(),
            })
        }),
    };
    match token {
        Some(token) if !token.secret.chars().all(|c| c.is_ascii_graphic()) => Err(Error::request(format!(
            "the token in {} has characters that no token has",
            token.source
        ))
        .hint("copy it again, or remove it: public models need none")),
        token => Ok(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::from_variables(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_most_telling_variable_decides_on_the_cache() {
        let cache = |variables: &[_]| with(variables).unwrap().cache;
        assert_eq!(cache(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")]), Path::new("/c"));
        assert_eq!(
            cache(&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")]),
            Path::new("/old")
        );
        assert_eq!(
            cache(&[("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/x")]),
            Path::new("/h/hub")
        );
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
        assert_eq!(cache(&[("HF_HOME", "~/hf"), ("HOME", "/me")]), Path::new("/me/hf/hub"));
        assert_eq!(
            cache(&[("HF_HOME", "/data/$USER/hf"), ("USER", "me")]),
            Path::new("/data/me/hf/hub")
        );
    }

    #[test]
    fn tokens_come_from_the_environment_then_from_the_login_and_never_show() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().to_str().unwrap();
        std::fs::write(directory.path().join("token"), "hf_login\n").unwrap();
        let both = with(&[("HF_HOME", home), ("HF_TOKEN", "hf_variable")]).unwrap();
        assert_eq!(both.token.as_ref().unwrap().secret, "hf_variable");
        assert!(!format!("{both:?}").contains("hf_variable"));
        assert_eq!(with(&[("HF_HOME", home)]).unwrap().token.unwrap().secret, "hf_login");
        assert!(
            with(&[("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")])
                .unwrap()
                .token
                .is_none()
        );
        assert!(with(&[("HF_HOME", home), ("HF_TOKEN", "two\nlines")]).is_err());
    }

    #[test]
    fn offline_and_endpoint() {
        let home = ("HF_HOME", "/none");
        for (value, offline) in [
            ("1", true),
            ("TRUE", true),
            ("yes", true),
            ("on", true),
            ("0", false),
            ("no", false),
        ] {
            assert_eq!(
                with(&[home, ("HF_HUB_OFFLINE", value)]).unwrap().offline,
                offline,
                "{value}"
            );
        }
        assert_eq!(
            with(&[home, ("HF_ENDPOINT", "https://mirror.example/")])
                .unwrap()
                .endpoint,
            "https://mirror.example"
        );
        assert!(with(&[home, ("HF_ENDPOINT", "mirror.example")]).is_err());
    }
}
