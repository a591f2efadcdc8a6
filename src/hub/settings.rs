//! The settings shared with every tool that uses the hub, read from the environment variables they all know.
//!
//! Wider than what `hf-hub` reads (`HF_HOME`, `HF_ENDPOINT`). Nothing here opens a connection or writes a file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use hf_hub::Cache;

use crate::error::{Error, Result};

const ENDPOINT: &str = "https://huggingface.co";

/// Where the hub and its cache are, and how to speak with them.
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// `HF_ENDPOINT`, without a slash at the end.
    pub endpoint: String,
    /// `HF_HUB_CACHE` (formerly `HUGGINGFACE_HUB_CACHE`), or `hub` in `HF_HOME`; absolute.
    pub cache: Cache,
    /// The person's access token, if there is one and `HF_HUB_DISABLE_IMPLICIT_TOKEN` does not keep it here.
    pub token: Option<Token>,
    /// `HF_HUB_OFFLINE`: no connection may be opened.
    pub offline: bool,
    /// Hosts that are reached without the proxy (`NO_PROXY`).
    pub no_proxy: Vec<String>,
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

impl HubSettings {
    /// Reads the environment. Fails if an address or a token in it cannot be meant so.
    pub fn from_environment() -> Result<Self> {
        Self::from_variables(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let text = |name: &str| variable(name).map(|value| value.to_string_lossy().trim().to_owned());
        let person = std::env::home_dir();
        let path = |name: &str| {
            let path = PathBuf::from(variable(name)?);
            match (path.strip_prefix("~"), &person) {
                (Ok(rest), Some(person)) => Some(person.join(rest)),
                _ => Some(path),
            }
        };
        let caches = path("XDG_CACHE_HOME").or_else(|| person.as_ref().map(|person| person.join(".cache")));
        let home = path("HF_HOME").or_else(|| caches.map(|caches| caches.join("huggingface")));
        let hub = home.map(|home| Cache::new(home.join("hub")));
        let named = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let Some(cache) = named.or_else(|| hub.as_ref().map(|hub| hub.path().clone())) else {
            return Err(Error::request("there is no home directory to keep the models in").hint("set HF_HOME"));
        };
        let cache = std::path::absolute(&cache).map_err(|error| Error::io(error, &cache))?;

        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            return Err(Error::request(format!("HF_ENDPOINT is `{endpoint}`, which is not a web address"))
                .hint(format!("unset it, or write it like {ENDPOINT}")));
        }
        // The token of the environment goes before the one that a login has left in a file.
        let given = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].into_iter().find_map(|name| {
            let secret = text(name).filter(|secret| !secret.is_empty())?;
            Some(Token { secret, source: name.to_owned() })
        });
        let token_file = path("HF_TOKEN_PATH").or_else(|| hub.map(|hub| hub.token_path()));
        let token = given.or_else(|| {
            let file = token_file?;
            let secret = std::fs::read_to_string(&file).ok()?.trim().to_owned();
            Some(Token { secret, source: file.display().to_string() }).filter(|token| !token.secret.is_empty())
        });
        if let Some(Token { secret, source }) = &token
            && !secret.chars().all(|c| c.is_ascii_graphic())
        {
            return Err(Error::request(format!("the token in {source} has characters that do not occur in tokens"))
                .hint("copy it again, or remove it: public models need none"));
        }
        let is_on = |value: String| ["1", "true", "yes", "on"].contains(&&*value.to_lowercase());
        // A token that nobody asked for by name on the command line is an implicit one, and rehead has no other.
        let token = token.filter(|_| !text("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(is_on));
        let offline = text("HF_HUB_OFFLINE").or_else(|| text("TRANSFORMERS_OFFLINE"));
        let seconds = text("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|value| value.parse().ok());
        let no_proxy = text("NO_PROXY").or_else(|| text("no_proxy")).unwrap_or_default();
        Ok(Self {
            endpoint,
            no_proxy: no_proxy.split([',', ' ']).filter(|host| !host.is_empty()).map(str::to_owned).collect(),
            cache: Cache::new(cache),
            token,
            offline: offline.is_some_and(is_on),
            download_timeout: Duration::from_secs(seconds.filter(|seconds| *seconds > 0).unwrap_or(10)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<HubSettings> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        HubSettings::from_variables(|name| find(name).map(|(_, value)| OsString::from(value)))
    }

    #[test]
    fn the_most_telling_variable_decides_on_the_cache() {
        let cache = |variables: &[_]| with(variables).unwrap().cache.path().display().to_string();
        assert_eq!(cache(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")]), "/c");
        assert_eq!(cache(&[("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), "/h/hub");
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")]), "/x/huggingface/hub");
        assert_eq!(cache(&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")]), "/old");
    }

    #[test]
    fn tokens_come_from_the_environment_then_from_the_login_and_never_show() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().to_str().unwrap();
        std::fs::write(directory.path().join("token"), "hf_login\n").unwrap();
        let both = with(&[("HF_HOME", home), ("HF_TOKEN", "hf_variable")]).unwrap();
        assert_eq!(both.token.as_ref().unwrap().secret, "hf_variable");
        assert!(!format!("{both:?}").contains("hf_variable"));
        let login = with(&[("HF_HOME", home), ("HF_HUB_CACHE", "/elsewhere")]).unwrap();
        assert_eq!(login.token.unwrap().secret, "hf_login");
        let file = directory.path().join("token").to_string_lossy().into_owned();
        let named = with(&[("HF_HOME", "/none"), ("HF_TOKEN_PATH", &file)]).unwrap();
        assert_eq!(named.token.unwrap().secret, "hf_login");
        assert!(with(&[("HF_HOME", home), ("HF_TOKEN", "two\nlines")]).is_err());
        for (value, kept) in [("1", true), ("YES", true), ("0", false)] {
            let settings = with(&[("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", value)]).unwrap();
            assert_eq!(settings.token.is_none(), kept, "{value}");
        }
    }

    #[test]
    fn offline_and_endpoint() {
        let home = ("HF_HOME", "/none");
        for (value, offline) in [("1", true), ("TRUE", true), ("on", true), ("0", false), ("no", false)] {
            assert_eq!(with(&[home, ("HF_HUB_OFFLINE", value)]).unwrap().offline, offline, "{value}");
        }
        let mirror = with(&[home, ("HF_ENDPOINT", "https://mirror.example/")]).unwrap();
        assert_eq!(mirror.endpoint, "https://mirror.example");
        assert!(with(&[home, ("HF_ENDPOINT", "mirror.example")]).is_err());
    }
}
