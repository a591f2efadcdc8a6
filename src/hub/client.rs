//! Asks the hub which commit and which files a model has.
//!
//! The addresses are `hf-hub`'s; the time limits are ours. Nothing here touches the disk.

use std::io::ErrorKind;
use std::sync::mpsc;
use std::time::Duration;

use hf_hub::api::RepoInfo;
use hf_hub::api::sync::{Api, ApiBuilder};

use crate::error::Error;
use crate::hub::error::{HubError, retry};
use crate::hub::name::{ModelId, is_commit};
use crate::hub::network::Network;
use crate::hub::settings::HubSettings;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// When the cache has everything, asking whether there is something newer may take this long and no longer.
const QUICK_TIMEOUT: Duration = Duration::from_secs(3);

/// The hub's addresses.
pub fn addresses(settings: &HubSettings) -> Result<Api, Error> {
    ApiBuilder::from_cache(settings.cache.clone())
        .with_endpoint(settings.endpoint.clone())
        .build()
        .map_err(|error| Error::failure(format!("no connection to the hub can be made: {error}")))
}

/// The commit and files of a model. `quick` asks once and with a short time limit, for
/// when the cache would do as well.
pub fn describe(network: &Network, api: &Api, model: &ModelId, quick: bool) -> Result<RepoInfo, HubError> {
    let limit = if quick { QUICK_TIMEOUT } else { ANSWER_TIMEOUT };
    let ask = |_: &mut u64| {
        let (network, url) = (network.clone(), api.repo(model.repo()).info_request().url().to_owned());
        let (send, receive) = mpsc::channel();
        // In a thread, which is abandoned after the limit: the request's own limit does not cover finding the host.
        std::thread::spawn(move || {
            let answer = network.get(&url, |request| request.timeout(limit)).and_then(|response| {
                response.into_json::<RepoInfo>().map_err(|error| match error.kind() {
                    ErrorKind::InvalidData => {
                        HubError::NotAHub("the model's description is not in its format".to_owned())
                    }
                    _ => HubError::from(&error),
                })
            });
            send.send(answer)
        });
        let late = |_| HubError::Unreachable { reason: "no answer in time".to_owned(), transient: false };
        let description = receive.recv_timeout(limit).map_err(late)??;
        // It becomes a name in the cache, which must not lead out of it.
        if !is_commit(&description.sha) {
            return Err(HubError::NotAHub("the description of the model has no commit".to_owned()));
        }
        Ok(description)
    };
    if quick { ask(&mut 0) } else { retry(ask) }
}
