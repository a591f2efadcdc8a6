//! HTTP requests: direct, or through the proxy that the environment names, unless `NO_PROXY` exempts the host.
//!
//! `ureq` knows neither exemptions nor a choice for each hop of a redirect, so redirects are followed here.

use std::time::Duration;

use ureq::{Agent, AgentBuilder, Request, Response};
use url::Url;

use crate::hub::error::HubError;
use crate::hub::settings::{HubSettings, Token};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MOST_REDIRECTS: u32 = 10;

/// Makes requests. Creating it opens no connection.
#[derive(Clone)]
pub struct Network {
    direct: Agent,
    /// The same as `direct` where no proxy is named.
    proxied: Agent,
    no_proxy: Vec<String>,
    token: Option<Token>,
}

impl Network {
    pub fn new(settings: &HubSettings) -> Self {
        let agent = |by_proxy| {
            AgentBuilder::new()
                .try_proxy_from_env(by_proxy)
                .user_agent(concat!("rehead/", env!("CARGO_PKG_VERSION")))
                .timeout_connect(CONNECT_TIMEOUT)
                .timeout_read(settings.download_timeout)
                .redirects(0)
                .build()
        };
        let (no_proxy, token) = (settings.no_proxy.clone(), settings.token.clone());
        Self { direct: agent(false), proxied: agent(true), no_proxy, token }
    }

    /// Asks once; the answer may be a redirect. The hub's token goes along: `url` must be the hub's.
    pub fn head(&self, url: &str) -> Result<Response, HubError> {
        let url = parsed(url)?;
        Ok(self.with_token(self.agent(&url).request_url("HEAD", &url)).set("accept-encoding", "identity").call()?)
    }

    /// Fetches, following redirects. The token goes to the host of `url`, the hub, and to no other. `prepare` completes
    /// the request of each hop.
    pub fn get(&self, url: &str, prepare: impl Fn(Request) -> Request) -> Result<Response, HubError> {
        let first = parsed(url)?;
        let mut url = first.clone();
        for _ in 0..=MOST_REDIRECTS {
            let request = prepare(self.agent(&url).request_url("GET", &url));
            let request = if url.origin() == first.origin() { self.with_token(request) } else { request };
            let response = request.call()?;
            let Some(location) = response.header("location").filter(|_| (300..400).contains(&response.status())) else {
                return Ok(response);
            };
            let next =
                url.join(location).map_err(|error| HubError::NotAHub(format!("a redirect to {location}: {error}")))?;
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(HubError::NotAHub(format!("a redirect from https to {next}")));
            }
            url = next;
        }
        Err(HubError::NotAHub(format!("more than {MOST_REDIRECTS} redirects")))
    }

    fn with_token(&self, request: Request) -> Request {
        match &self.token {
            Some(token) => request.set("authorization", &format!("Bearer {}", token.secret)),
            None => request,
        }
    }

    fn agent(&self, url: &Url) -> &Agent {
        let host = url.host_str().unwrap_or_default();
        if is_exempt(host, url.port_or_known_default(), &self.no_proxy) { &self.direct } else { &self.proxied }
    }
}

fn parsed(url: &str) -> Result<Url, HubError> {
    Url::parse(url).map_err(|error| HubError::NotAHub(format!("{url}: {error}")))
}

/// Whether `NO_PROXY` names the host: `*`, a host with or without port, or a domain for all below it.
fn is_exempt(host: &str, port: Option<u16>, no_proxy: &[String]) -> bool {
    let host = host.trim_matches(['[', ']']).to_lowercase();
    no_proxy.iter().any(|entry| {
        let (name, only) = match entry.rsplit_once(':') {
            // More colons than one are an IPv6 address.
            Some((name, only)) if !name.contains(':') => (name, only.parse().ok()),
            _ => (entry.as_str(), None),
        };
        let name = name.trim_start_matches("*.").trim_start_matches('.').trim_matches(['[', ']']).to_lowercase();
        let below = || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'));
        (only.is_none() || only == port) && !name.is_empty() && (name == "*" || name == host || below())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_exempts_hosts_and_domains() {
        let exempt = |host: &str, list: &[&str]| {
            is_exempt(host, Some(443), &list.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>())
        };
        for list in
            [&["hub.example"][..], &["a", ".example"], &["*.example"], &["EXAMPLE"], &["*"], &["hub.example:443"]]
        {
            assert!(exempt("hub.example", list), "{list:?}");
        }
        for list in [&[][..], &[""], &["ub.example"], &["hub.example.org"], &["hub.example:80"], &["x.hub.example"]] {
            assert!(!exempt("hub.example", list), "{list:?}");
        }
        assert!(exempt("127.0.0.1", &["localhost", "127.0.0.1"]));
        assert!(exempt("[::1]", &["::1"]));
    }
}
