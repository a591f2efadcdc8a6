//! The hub's protocol over HTTP: what a model consists of, what a file's content is called, and its bytes.
//!
//! Follows redirects itself, because the hub describes a large file in the redirect that leads to its storage, and
//! because the token must not be shown to that storage. Retries belong to [`patiently`]; nothing here touches the disk.

use std::io::ErrorKind;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body, Timeout};

use super::cache::is_commit;
use super::name::ModelId;
use super::settings::{Settings, Token};
use crate::error::Error;

/// Tries without any progress before giving up.
const TRIES: u32 = 4;
/// The wait before the second try; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait that a busy server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// When the cache has everything, asking whether there is something newer may take this long and no longer.
const HURRIED_TIMEOUT: Duration = Duration::from_secs(3);
const MOST_REDIRECTS: usize = 10;
/// A model's description: ample for repositories of tens of thousands of files.
const LONGEST_DESCRIPTION: u64 = 32 << 20;

/// Why a step did not succeed, in a form that says whether to try again.
#[derive(Debug)]
pub enum Trouble {
    /// The hub answered, and the answer is no. `code` and `message` are its own words, often empty.
    Refused {
        status: u16,
        code: String,
        message: String,
        retry_after: Option<Duration>,
    },
    /// No answer: no network, no such host, a time-out, a broken connection.
    Unreachable(ureq::Error),
    /// The content came short or wrong.
    Damaged(String),
    /// An answer that no hub gives, for instance a login page of the local network.
    NotAHub(String),
    /// The fault is on this side: the disk, the settings.
    Here(Error),
}

impl From<ureq::Error> for Trouble {
    fn from(error: ureq::Error) -> Self {
        Self::Unreachable(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Here(error)
    }
}

impl Trouble {
    /// Whether the same request may succeed a moment later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Self::Damaged(_) => true,
            // Who is not there at all (refused, unknown, no route) is not asked again.
            Self::Unreachable(ureq::Error::Io(error)) => matches!(
                error.kind(),
                ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
                    | ErrorKind::TimedOut
                    | ErrorKind::Interrupted
            ),
            Self::Unreachable(ureq::Error::Timeout(timeout)) => !matches!(timeout, Timeout::Connect | Timeout::Resolve),
            Self::Unreachable(ureq::Error::Protocol(_)) => true,
            Self::Unreachable(_) | Self::NotAHub(_) | Self::Here(_) => false,
        }
    }

    /// The message for a person who asked for `wanted`.
    pub fn explain(self, wanted: &ModelId, settings: &Settings) -> Error {
        let ModelId { id, revision } = wanted;
        let endpoint = &settings.endpoint;
        let source = settings.token.as_ref().map(|token| token.source.as_str());
        match self {
            Self::Here(error) => error,
            Self::Unreachable(error) => {
                let reason = reason(&error);
                let hint = if reason.contains("certificate") {
                    "behind a proxy that has certificates of its own, name their file in SSL_CERT_FILE".to_owned()
                } else {
                    format!(
                        "`{id}` is no directory here and was taken for a hub id; check the network (HTTPS_PROXY, \
                         HF_ENDPOINT), or give a model directory"
                    )
                };
                Error::failure(format!("the hub at {endpoint} cannot be reached: {reason}")).hint(hint)
            }
            Self::Damaged(what) => Error::failure(format!("downloading `{id}`: {what}, {TRIES} times in a row"))
                .hint("run the same command again later: what has arrived is kept"),
            Self::NotAHub(what) => Error::failure(format!("{endpoint} does not answer as a model hub does: {what}"))
                .hint("check HF_ENDPOINT, and whether the network asks for a login"),
            Self::Refused {
                status, code, message, ..
            } => {
                let said = if message.is_empty() {
                    String::new()
                } else {
                    format!(": {message}")
                };
                match (status, code.as_str()) {
                    (_, "RevisionNotFound") => Error::request(format!("model `{id}` has no revision `{revision}`"))
                        .hint(format!("its branches and tags are listed on {endpoint}/{id}/tree/main")),
                    (_, "GatedRepo") => Error::request(format!(
                        "model `{id}` is gated: it is open to those who accept its conditions"
                    ))
                    .hint(match source {
                        None => format!("accept them on {endpoint}/{id} and set HF_TOKEN to your access token"),
                        Some(source) => format!(
                            "accept them on {endpoint}/{id} with the account of the token in {source}; \
                                     approval may take a while"
                        ),
                    }),
                    (_, "EntryNotFound") => {
                        Error::failure(format!("a file of `{id}` is listed but cannot be fetched{said}"))
                            .hint("the model may just have changed: run the same command again")
                    }
                    (_, _) if message.contains("resource is disabled") => {
                        Error::request(format!("the hub has disabled model `{id}`"))
                            .hint(format!("see {endpoint}/{id}"))
                    }
                    (401, "") if source.is_some() && message.contains("nvalid") => Error::request(format!(
                        "the hub refuses the access token in {}{said}",
                        source.unwrap_or_default()
                    ))
                    .hint("replace it, or remove it: public models need none"),
                    (401 | 404, _) | (_, "RepoNotFound") => {
                        let error = Error::request(format!(
                            "no model `{id}` on {endpoint}, and no directory of that name here"
                        ));
                        error.hint(match source {
                            None => "check the spelling; a private model needs an access token in HF_TOKEN".to_owned(),
                            Some(source) => format!(
                                "check the spelling; if the model is private, the token in {source} has no access to it"
                            ),
                        })
                    }
                    (403, _) => {
                        Error::request(format!("the hub denies access to `{id}` (403){said}")).hint(match source {
                            None => "an access token in HF_TOKEN may be needed".to_owned(),
                            Some(source) => format!("the token in {source} may lack the right to read it"),
                        })
                    }
                    (429, _) => Error::failure(format!("the hub says there are too many requests (429){said}"))
                        .hint("wait a few minutes; with an access token in HF_TOKEN more are allowed"),
                    (500..=599, _) => Error::failure(format!("the hub has trouble of its own ({status}){said}"))
                        .hint("try again later; what is in the cache already is kept"),
                    _ => Error::failure(format!("the hub answered with status {status}{said}")),
                }
            }
        }
    }
}

/// A network error in plain words.
fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "the host's name cannot be resolved".to_owned(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            ErrorKind::TimedOut => "no answer in time".to_owned(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => {
                "the connection broke off".to_owned()
            }
            _ => error.to_string(),
        },
        other => other.to_string(),
    }
}

/// Repeats `step` while its trouble may pass, with growing waits. `step` says how far it got; progress renews patience.
pub fn patiently<T>(mut step: impl FnMut(&mut u64) -> Result<T, Trouble>) -> Result<T, Trouble> {
    let (mut tries, mut furthest) = (0, 0);
    loop {
        let mut reached = 0;
        let trouble = match step(&mut reached) {
            Ok(value) => return Ok(value),
            Err(trouble) => trouble,
        };
        if reached > furthest {
            (tries, furthest) = (0, reached);
        }
        tries += 1;
        if tries >= TRIES || !trouble.may_pass() {
            return Err(trouble);
        }
        let asked = match &trouble {
            Trouble::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        std::thread::sleep(asked.max(FIRST_WAIT * 2u32.pow(tries - 1)).min(LONGEST_WAIT));
    }
}

/// What the hub says of a model at a revision.
#[derive(Debug, Deserialize)]
pub struct Description {
    /// The commit that the revision stands at.
    #[serde(rename = "sha")]
    pub commit: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Description {
    /// The paths of all its files.
    pub fn files(&self) -> Vec<&str> {
        self.siblings.iter().map(|sibling| sibling.rfilename.as_str()).collect()
    }
}

/// What a file's content is called, and how long it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The name of the blob: the SHA-256 of a large file, git's hash of a small one.
    pub etag: String,
    pub bytes: Option<u64>,
}

impl Content {
    /// The SHA-256 that the content must have, where the hub states one.
    pub fn sha256(&self) -> Option<&str> {
        (self.etag.len() == 64 && self.etag.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(&*self.etag)
    }
}

/// Content on its way: from byte `start` to the end.
pub struct Download {
    pub start: u64,
    /// The length of the whole content, where the server states it.
    pub total: Option<u64>,
    pub body: Body,
}

/// A connection to the hub.
pub struct Client<'a> {
    settings: &'a Settings,
    agent: Agent,
}

impl<'a> Client<'a> {
    /// Opens no connection yet. Fails if `SSL_CERT_FILE` or its like names a file that is of no use.
    pub fn new(settings: &'a Settings) -> Result<Self, Error> {
        let config = Agent::config_builder()
            .user_agent(concat!("rehead/", env!("CARGO_PKG_VERSION")))
            // Compressed on the way, a body's length would not be the file's.
            .accept_encoding("identity")
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_resolve(Some(settings.answer_timeout))
            .timeout_connect(Some(settings.answer_timeout))
            .timeout_recv_response(Some(settings.answer_timeout.max(settings.download_timeout)))
            .timeout_per_read(Some(settings.download_timeout))
            .tls_config(TlsConfig::builder().root_certs(root_certificates()?).build());
        Ok(Self {
            settings,
            agent: config.build().into(),
        })
    }

    /// The commit and files of a model. `hurried` asks once and waits little, for when the cache would do as well.
    pub fn describe(&self, model: &ModelId, hurried: bool) -> Result<Description, Trouble> {
        let url = format!(
            "{}/api/models/{}/revision/{}",
            self.settings.endpoint,
            model.id,
            percent_encoded(&model.revision, "")
        );
        let ask = |_: &mut u64| {
            let mut response = self.send("GET", &url, &[], true, hurried)?;
            let text = response
                .body_mut()
                .with_config()
                .limit(LONGEST_DESCRIPTION)
                .read_to_string()?;
            serde_json::from_str::<Description>(&text)
                .ok()
                .filter(|description| is_commit(&description.commit))
                .ok_or_else(|| Trouble::NotAHub("the description of the model is not in its format".to_owned()))
        };
        if hurried { ask(&mut 0) } else { patiently(ask) }
    }

    /// What the content of a file at a commit is called, and how long it is.
    pub fn content(&self, id: &str, commit: &str, file: &str) -> Result<Content, Trouble> {
        let url = self.file_url(id, commit, file);
        patiently(|_| {
            // The redirect to the storage of large files is the answer itself: only the hub names the content.
            let response = self.send("HEAD", &url, &[], false, false)?;
            let headers = response.headers();
            let etag = header(headers, "x-linked-etag")
                .or_else(|| header(headers, "etag"))
                .map(plain_etag);
            let Some(etag) = etag.filter(|etag| is_plain_name(etag)) else {
                return Err(Trouble::NotAHub(format!("`{file}` comes without an etag")));
            };
            let stated = match response.status().is_redirection() {
                true => header(headers, "x-linked-size"),
                false => header(headers, "x-linked-size").or_else(|| header(headers, "content-length")),
            };
            Ok(Content {
                etag: etag.to_owned(),
                bytes: stated.and_then(|bytes| bytes.parse().ok()),
            })
        })
    }

    /// Opens a file at a commit from byte `start`; the server may begin at 0 all the same. One try.
    pub fn download(&self, id: &str, commit: &str, file: &str, start: u64) -> Result<Download, Trouble> {
        let range = format!("bytes={start}-");
        let headers: &[(&str, &str)] = if start > 0 { &[("range", &range)] } else { &[] };
        let response = self.send("GET", &self.file_url(id, commit, file), headers, true, false)?;
        let stated = |name: &str| header(response.headers(), name);
        let (start, total) = if response.status() == 206 {
            // `bytes 100-199/200`
            let range = stated("content-range").unwrap_or_default().trim_start_matches("bytes ");
            let (span, total) = range.split_once('/').unwrap_or((range, ""));
            let begin = span.split('-').next().and_then(|begin| begin.parse().ok());
            let Some(begin) = begin.filter(|begin| *begin == start) else {
                return Err(Trouble::Damaged(format!(
                    "`{file}` was not continued where it had stopped"
                )));
            };
            (begin, total.parse().ok())
        } else {
            (0, stated("content-length").and_then(|bytes| bytes.parse().ok()))
        };
        Ok(Download {
            start,
            total,
            body: response.into_body(),
        })
    }

    fn file_url(&self, id: &str, commit: &str, file: &str) -> String {
        format!(
            "{}/{id}/resolve/{commit}/{}",
            self.settings.endpoint,
            percent_encoded(file, "/")
        )
    }

    /// Sends a request and follows redirects: all of them, or only those that stay with the hub.
    fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        leave_hub: bool,
        hurried: bool,
    ) -> Result<Response<Body>, Trouble> {
        let mut url = url.to_owned();
        for _ in 0..MOST_REDIRECTS {
            let mut request = if method == "HEAD" {
                self.agent.head(&url)
            } else {
                self.agent.get(&url)
            };
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if let Some(Token { secret, .. }) = &self.settings.token
                && origin(&url) == origin(&self.settings.endpoint)
            {
                request = request.header("authorization", format!("Bearer {secret}"));
            }
            let response = match hurried {
                true => request.config().timeout_global(Some(HURRIED_TIMEOUT)).build().call()?,
                false => request.call()?,
            };
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if !status.is_redirection() {
                return Err(refusal(response));
            }
            let Some(location) = header(response.headers(), "location") else {
                return Err(Trouble::NotAHub(format!("a redirect ({status}) leads nowhere")));
            };
            let next = joined(&url, location);
            if !leave_hub && origin(&next) != origin(&url) {
                return Ok(response);
            }
            url = next;
        }
        Err(Trouble::NotAHub(format!(
            "more than {MOST_REDIRECTS} redirects in a row"
        )))
    }
}

fn refusal(response: Response<Body>) -> Trouble {
    let said = |name: &str| header(response.headers(), name).unwrap_or_default().to_owned();
    Trouble::Refused {
        status: response.status().as_u16(),
        code: said("x-error-code"),
        message: said("x-error-message"),
        retry_after: said("retry-after").parse().ok().map(Duration::from_secs),
    }
}

/// The authorities that vouch for the hub: those of the browsers, or those in the file a person names.
fn root_certificates() -> Result<RootCerts, Error> {
    let named = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
        .into_iter()
        .find_map(|name| Some((name, std::env::var_os(name).filter(|file| !file.is_empty())?)));
    let Some((name, file)) = named else {
        return Ok(RootCerts::WebPki);
    };
    let pem = std::fs::read(&file).map_err(|error| Error::io(error, &file).context(format!("reading {name}")))?;
    let certificates: Vec<_> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(Error::request(format!("{name} names a file without certificates")).file(&file));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get(name)?
        .to_str()
        .ok()
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// `W/"abc"` is `abc`.
fn plain_etag(etag: &str) -> &str {
    etag.trim_start_matches("W/").trim_matches('"')
}

/// An etag becomes a file's name: it must not lead elsewhere.
fn is_plain_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url[host..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |length| host + length);
    &url[..path]
}

/// The address that `location` means when it stands in an answer from `base`.
fn joined(base: &str, location: &str) -> String {
    if location.contains("://") && !location.starts_with('/') {
        return location.to_owned();
    }
    let origin = origin(base);
    if location.starts_with("//") {
        let scheme = origin.split("//").next().unwrap_or_default();
        return format!("{scheme}{location}");
    }
    if location.starts_with('/') {
        return format!("{origin}{location}");
    }
    let path = base.split(['?', '#']).next().unwrap_or(base);
    let folder = path
        .rfind('/')
        .filter(|slash| *slash >= origin.len())
        .map_or(path, |slash| &path[..slash]);
    format!("{folder}/{location}")
}

/// Text as part of an address; the characters of `kept` stay as they are.
fn percent_encoded(text: &str, kept: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.as_bytes().contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_read_as_a_browser_would() {
        let base = "https://hub.example/org/name/resolve/main/config.json?x=1";
        assert_eq!(joined(base, "/api/other?a=b"), "https://hub.example/api/other?a=b");
        assert_eq!(joined(base, "https://cdn.example/f"), "https://cdn.example/f");
        assert_eq!(joined(base, "//cdn.example/f"), "https://cdn.example/f");
        assert_eq!(
            joined(base, "other.json"),
            "https://hub.example/org/name/resolve/main/other.json"
        );
        assert_eq!(
            joined(base, "/login?next=https://hub.example/"),
            "https://hub.example/login?next=https://hub.example/"
        );
        assert_eq!(origin("https://hub.example"), "https://hub.example");
        assert_eq!(origin("http://hub.example:8080/a/b"), "http://hub.example:8080");
    }

    #[test]
    fn revisions_and_etags() {
        assert_eq!(percent_encoded("refs/pr/1", ""), "refs%2Fpr%2F1");
        assert_eq!(percent_encoded("1_Pooling/config.json", "/"), "1_Pooling/config.json");
        assert_eq!(plain_etag("W/\"abc\""), "abc");
        assert!(is_plain_name("0a-1") && !is_plain_name("../x") && !is_plain_name("") && !is_plain_name("a/b"));
    }

    #[test]
    fn patience_ends_without_progress_and_is_renewed_by_it() {
        let mut calls = 0;
        let endless = patiently(|_| {
            calls += 1;
            Err::<(), _>(Trouble::Refused {
                status: 404,
                code: String::new(),
                message: String::new(),
                retry_after: None,
            })
        });
        assert!(endless.is_err());
        assert_eq!(calls, 1, "a plain no is not asked again");

        let mut calls = 0;
        let slow = patiently(|reached| {
            calls += 1;
            *reached = calls;
            if calls > u64::from(TRIES) {
                Ok(calls)
            } else {
                Err(Trouble::Damaged("cut short".to_owned()))
            }
        });
        assert_eq!(slow.unwrap(), u64::from(TRIES) + 1);
    }
}
