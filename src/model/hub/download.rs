//! One file of a model, from the hub into the cache: resumed, verified, and only then given its name.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::Event;
use super::cache::{ModelCache, unwritable};
use super::client::{Client, Content, Trouble, patiently};

/// Makes `file` at `commit` appear in the snapshot, with as few bytes from the network as possible.
///
/// # Errors
/// The hub refuses or breaks off, the content does not match its name, or the cache cannot be written.
pub fn fetch_file(
    client: &Client,
    cache: &ModelCache,
    id: &str,
    commit: &str,
    file: &str,
    report: &dyn Fn(Event),
) -> Result<(), Trouble> {
    let content = client.content(id, commit, file)?;
    let etag = content.etag.as_str();
    let blob = cache.blob(etag);
    if !blob.exists() {
        let waiting = format!("waiting for another process that is fetching {file}");
        let lock = cache.lock(etag, || report(Event::Note(&waiting)))?;
        // The other process may have fetched it meanwhile.
        if !blob.exists() {
            let incomplete = cache.incomplete_blob(etag, &lock);
            let collected = patiently(|reached| {
                let outcome = collect(client, id, commit, file, &content, &incomplete, report);
                *reached = fs::metadata(&incomplete).map_or(0, |metadata| metadata.len());
                outcome
            });
            if collected.is_err() && !lock.is_held() {
                let _ = fs::remove_file(&incomplete);
            }
            collected?;
            fs::rename(&incomplete, &blob).map_err(|error| unwritable(error, &blob))?;
        }
    }
    Ok(cache.link(commit, file, etag)?)
}

/// One try at completing `incomplete`, from where the last one stopped. On success the file is whole and verified.
fn collect(
    client: &Client,
    id: &str,
    commit: &str,
    file: &str,
    content: &Content,
    incomplete: &Path,
    report: &dyn Fn(Event),
) -> Result<(), Trouble> {
    let fault = |error| Trouble::Here(unwritable(error, incomplete));
    let mut output = OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(incomplete)
        .map_err(fault)?;
    let mut present = output.metadata().map_err(fault)?.len();
    if content.bytes.is_some_and(|bytes| present > bytes) {
        output.set_len(0).map_err(fault)?;
        present = 0;
    }
    let mut hasher = content.sha256().map(|_| Sha256::new());
    let started = Instant::now();

    let mut received = 0;
    if content.bytes != Some(present) || present == 0 {
        let mut download = match client.download(id, commit, file, present) {
            // What is here is more than the server has.
            Err(Trouble::Refused { status: 416, .. }) => {
                output.set_len(0).map_err(fault)?;
                return Err(Trouble::Damaged(format!("`{file}` could not be continued")));
            }
            download => download?,
        };
        if download.start == 0 {
            output.set_len(0).map_err(fault)?;
        }
        let total = content.bytes.or(download.total);
        report(Event::Start {
            file,
            total,
            present: download.start,
        });
        // Moves to the end of what is there, through the hasher.
        let start = hash_file(&mut output, hasher.as_mut()).map_err(fault)?;
        let outcome = copy(
            download.body.as_reader(),
            &mut output,
            hasher.as_mut(),
            &fault,
            |bytes| {
                received += bytes;
                report(Event::Advance { bytes })
            },
        );
        output.flush().map_err(fault)?;
        let arrived = start + received;
        match total {
            Some(total) if arrived > total => {
                output.set_len(0).map_err(fault)?;
                return Err(Trouble::Damaged(format!("`{file}` has more than its {total} bytes")));
            }
            Some(total) if arrived < total => {
                // A disk's fault is told as such; any other reason for coming short is the network's.
                return Err(match outcome {
                    Err(here @ Trouble::Here(_)) => here,
                    _ => Trouble::Damaged(format!("`{file}` broke off after {arrived} of {total} bytes")),
                });
            }
            _ => outcome?,
        }
    } else {
        report(Event::Start {
            file,
            total: content.bytes,
            present,
        });
        hash_file(&mut output, hasher.as_mut()).map_err(fault)?;
    }

    if let (Some(expected), Some(hasher)) = (content.sha256(), hasher) {
        let found = format!("{:x}", hasher.finalize());
        if !found.eq_ignore_ascii_case(expected) {
            output.set_len(0).map_err(fault)?;
            return Err(Trouble::Damaged(format!(
                "the checksum of `{file}` is {found}, not {expected}"
            )));
        }
    }
    // On the disk before it has its name: a power cut must not leave an empty file that looks complete.
    output.sync_all().map_err(fault)?;
    report(Event::Done {
        file,
        received,
        seconds: started.elapsed().as_secs_f64(),
    });
    Ok(())
}

/// Copies a body to its end; the two sides' errors are told apart.
fn copy(
    mut from: impl Read,
    to: &mut File,
    mut hasher: Option<&mut Sha256>,
    fault: &impl Fn(std::io::Error) -> Trouble,
    mut advance: impl FnMut(u64),
) -> Result<(), Trouble> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Trouble::Unreachable(ureq::Error::from(error))),
        };
        let Some(bytes) = buffer.get(..length) else { continue };
        to.write_all(bytes).map_err(fault)?;
        if let Some(hasher) = hasher.as_mut() {
            hasher.update(bytes);
        }
        advance(length as u64);
    }
}

/// Feeds what the file holds to the hasher and leaves the position at its end; returns its length.
fn hash_file(file: &mut File, hasher: Option<&mut Sha256>) -> std::io::Result<u64> {
    use std::io::{Seek, SeekFrom};
    if let Some(hasher) = hasher {
        file.seek(SeekFrom::Start(0))?;
        std::io::copy(file, hasher)?;
    }
    file.seek(SeekFrom::End(0))
}
