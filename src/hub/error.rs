//! Why a request to the hub did not succeed: whether to try again, and what to tell the person.

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::files::similar;
use crate::hub::name::ModelId;
use crate::hub::settings::HubSettings;

/// Tries without any progress before giving up.
const TRIES: u32 = 4;
/// The wait before the second try; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait that a busy server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Why a request to the hub did not succeed.
#[derive(Debug)]
pub enum HubError {
    /// The hub answered with an error. `code` and `message` are its own words, often empty.
    Refused { status: u16, code: String, message: String, retry_after: Option<Duration> },
    /// No answer: no network, no such host, a time-out, a broken connection.
    Unreachable { reason: String, transient: bool },
    /// The content was cut short or has the wrong checksum.
    Damaged(String),
    /// An answer that no hub gives, for instance a login page of the local network.
    NotAHub(String),
    /// The cause is on this machine: the disk, the settings.
    Local(Error),
}

impl From<ureq::Error> for HubError {
    fn from(error: ureq::Error) -> Self {
        use ureq::ErrorKind::{
            BadHeader, BadStatus, ConnectionFailed, Dns, InvalidUrl, TooManyRedirects, UnknownScheme,
        };
        let transport = match error {
            ureq::Error::Status(status, response) => {
                let said = |name: &str| response.header(name).unwrap_or_default().trim().to_owned();
                return Self::Refused {
                    status,
                    code: said("x-error-code"),
                    message: said("x-error-message"),
                    retry_after: wait(&said("retry-after"), SystemTime::now()),
                };
            }
            ureq::Error::Transport(transport) => transport,
        };
        let cause = transport.source().and_then(|source| source.downcast_ref::<io::Error>());
        match (transport.kind(), cause) {
            (Dns, _) => Self::Unreachable { reason: "the host's name cannot be resolved".to_owned(), transient: false },
            (TooManyRedirects | BadStatus | BadHeader | InvalidUrl | UnknownScheme, _) => {
                Self::NotAHub(transport.to_string())
            }
            (kind, Some(cause)) => match Self::from(cause) {
                // Nobody listens there, so asking again would not help.
                Self::Unreachable { reason, .. } if kind == ConnectionFailed => {
                    Self::Unreachable { reason, transient: false }
                }
                other => other,
            },
            (_, None) => Self::Unreachable { reason: transport.to_string(), transient: false },
        }
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How long a server asks to wait: a number of seconds, or a date as HTTP writes it (`Wed, 21 Oct 2015 07:28:00 GMT`,
/// RFC 9110). None where it says neither; a date that is past asks for nothing.
fn wait(asked: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (_, date) = asked.split_once(", ")?;
    let [day, month, year, time, "GMT"] = date.split(' ').collect::<Vec<_>>()[..] else { return None };
    let number = |text: &str| text.parse::<u64>().ok();
    let (day, year) = (number(day)?, number(year).filter(|year| (1970..10_000).contains(year))?);
    let month = MONTHS.iter().position(|name| *name == month)?;
    let [hours, minutes, seconds] = time.split(':').map(number).collect::<Option<Vec<_>>>()?[..] else { return None };
    if !(1..=31).contains(&day) || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let years: u64 = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum();
    let months = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month] + u64::from(month > 1 && is_leap(year));
    let then = (((years + months + day - 1) * 24 + hours) * 60 + minutes) * 60 + seconds;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Duration::from_secs(then).saturating_sub(now))
}

/// An error of the connection, not of the disk.
impl From<&io::Error> for HubError {
    fn from(error: &io::Error) -> Self {
        let (reason, transient) = match error.kind() {
            ErrorKind::ConnectionRefused => ("connection refused".to_owned(), false),
            ErrorKind::TimedOut | ErrorKind::WouldBlock => ("no answer in time".to_owned(), true),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => {
                ("the connection broke off".to_owned(), true)
            }
            kind => (error.to_string(), matches!(kind, ErrorKind::BrokenPipe | ErrorKind::Interrupted)),
        };
        Self::Unreachable { reason, transient }
    }
}

impl From<Error> for HubError {
    fn from(error: Error) -> Self {
        Self::Local(error)
    }
}

impl HubError {
    /// Whether the same request may succeed a moment later.
    fn is_transient(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Self::Unreachable { transient, .. } => *transient,
            Self::Damaged(_) => true,
            Self::NotAHub(_) | Self::Local(_) => false,
        }
    }

    /// The message for a person who asked for `wanted`.
    pub fn explain(self, wanted: &ModelId, settings: &HubSettings) -> Error {
        let ModelId { id, revision } = wanted;
        let endpoint = &settings.endpoint;
        let source = settings.token.as_ref().map(|token| token.source.as_str());
        let (status, code, message) = match self {
            Self::Local(error) => return error,
            Self::Unreachable { reason, .. } => {
                let hint = if reason.contains("certificate") || reason.contains("UnknownIssuer") {
                    "certificates come from the system (package ca-certificates) or, behind a proxy with its own, \
                     from the file named in SSL_CERT_FILE"
                        .to_owned()
                } else {
                    let near = similar(Path::new(id)).map(|near| format!("did you mean {}? ", near.display()));
                    format!(
                        "{}`{id}` was looked up on the hub: check the network (HTTPS_PROXY, HF_ENDPOINT), or give a \
                         model directory",
                        near.unwrap_or_default()
                    )
                };
                return Error::failure(format!(
                    "there is no directory `{id}` here, and the hub at {endpoint} cannot be reached: {reason}"
                ))
                .hint(hint);
            }
            Self::Damaged(what) => {
                return Error::failure(format!("downloading `{id}`: {what}, {TRIES} times in a row"))
                    .hint("run the same command again later: what has arrived is kept");
            }
            Self::NotAHub(what) => {
                return Error::failure(format!("{endpoint} does not answer as a model hub does: {what}"))
                    .hint("check HF_ENDPOINT, and whether the network asks for a login");
            }
            Self::Refused { status, code, message, .. } => (status, code, message),
        };
        let said = if message.is_empty() { String::new() } else { format!(": {message}") };
        match (status, code.as_str(), source) {
            (_, "RevisionNotFound", _) => Error::request(format!("model `{id}` has no revision `{revision}`"))
                .hint(format!("its branches and tags are listed on {endpoint}/{id}/tree/main")),
            (_, "GatedRepo", _) => Error::request(format!(
                "model `{id}` is gated: it is open to those who accept its conditions"
            ))
            .hint(match source {
                None => format!("accept them on {endpoint}/{id} and set HF_TOKEN to your access token"),
                Some(source) => format!(
                    "accept them on {endpoint}/{id} with the account of the token in {source}; approval may \
                             take a while"
                ),
            }),
            (_, "EntryNotFound", _) => {
                Error::failure(format!("a file of `{id}` is listed but cannot be fetched{said}"))
                    .hint("the model may just have changed: run the same command again")
            }
            _ if message.contains("resource is disabled") => {
                Error::request(format!("the hub has disabled model `{id}`")).hint(format!("see {endpoint}/{id}"))
            }
            (401, "", Some(source)) if message.contains("nvalid") => {
                Error::request(format!("the hub refuses the access token in {source}{said}"))
                    .hint("replace it, or remove it: public models need none")
            }
            (401 | 404, _, _) | (_, "RepoNotFound", _) => Error::request(format!(
                "no model `{id}` on {endpoint}, and no directory of that name here"
            ))
            .hint(match source {
                None => "check the spelling; a private model needs an access token in HF_TOKEN".to_owned(),
                Some(source) => {
                    format!("check the spelling; if the model is private, the token in {source} has no access to it")
                }
            }),
            (403, _, _) => Error::request(format!("the hub denies access to `{id}` (403){said}")).hint(match source {
                None => "an access token in HF_TOKEN may be needed".to_owned(),
                Some(source) => format!("the token in {source} may lack the right to read it"),
            }),
            (429, _, _) => Error::failure(format!("the hub says there are too many requests (429){said}"))
                .hint("wait a few minutes; with an access token in HF_TOKEN more are allowed"),
            (500..=599, _, _) => Error::failure(format!("the hub has a problem ({status}){said}"))
                .hint("try again later; what is in the cache already is kept"),
            _ => Error::failure(format!("the hub answered with status {status}{said}")),
        }
    }
}

/// Repeats `step` while its error is transient, with growing waits. `step` says how far it got; progress resets the
/// count of tries.
pub fn retry<T>(mut step: impl FnMut(&mut u64) -> Result<T, HubError>) -> Result<T, HubError> {
    let (mut tries, mut furthest) = (0, 0);
    loop {
        let mut reached = 0;
        let error = match step(&mut reached) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if reached > furthest {
            (tries, furthest) = (0, reached);
        }
        tries += 1;
        if tries >= TRIES || !error.is_transient() {
            return Err(error);
        }
        let asked = match &error {
            HubError::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        std::thread::sleep(asked.max(FIRST_WAIT * 2u32.pow(tries - 1)).min(LONGEST_WAIT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_how_long_or_until_when_to_wait() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_440);
        let wait = |asked: &str| wait(asked, now).map(|wait| wait.as_secs());
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(40));
        assert_eq!(wait("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800 - 1_445_412_440));
        assert_eq!(wait("Fri, 01 Mar 2024 00:00:00 GMT"), Some(1_709_251_200 - 1_445_412_440));
        assert_eq!(wait("Wed, 21 Oct 2015 07:27:00 GMT"), Some(0), "it is past");
        for nothing in ["", "soon", "Wed, 21 Okt 2015 07:28:00 GMT", "Wed, 99 Oct 2015 07:28:00 GMT", "1, 1 1 1 1 1"] {
            assert_eq!(wait(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn tries_end_without_progress_and_are_renewed_by_it() {
        let mut calls = 0;
        let refused = retry(|_| {
            calls += 1;
            Err::<(), _>(HubError::NotAHub(String::new()))
        });
        assert!(refused.is_err());
        assert_eq!(calls, 1, "a plain no is not asked again");

        let mut calls = 0;
        let slow = retry(|reached| {
            calls += 1;
            *reached = calls;
            if calls > u64::from(TRIES) { Ok(calls) } else { Err(HubError::Damaged("cut short".to_owned())) }
        });
        assert_eq!(slow.unwrap(), u64::from(TRIES) + 1);
    }
}
