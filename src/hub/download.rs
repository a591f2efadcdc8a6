//! One file of a model, from the hub into the cache: resumed, verified, and only then given its name.
//!
//! The addresses are `hf-hub`'s; the transfer is our own, because its `download` waits without limit for a connection
//! that stands still, shows the token to the storage, appends to what is there when a server ignores the range,
//! verifies nothing, and notes the revision as fetched after the first file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
#[cfg(unix)]
use std::os::unix::fs::symlink;
#[cfg(windows)]
use std::os::windows::fs::symlink_file as symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hf_hub::api::sync::ApiRepo;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use ureq::Request;

use crate::console::{DownloadEvent, units};
use crate::error::{self, Error, Result};
use crate::files;
use crate::hub::error::{HubError, retry};
use crate::hub::network::Network;
use crate::hub::settings::HubSettings;

const MOST_REDIRECTS: u32 = 10;
/// Of a hash by SHA-1, in hexadecimal.
const SHA1_DIGITS: usize = 40;
const ROOM: &str = "free space there, or set HF_HOME to a directory on another disk";

/// Brings files of one model at one commit into its folder of the cache.
pub struct Download<'a> {
    settings: &'a HubSettings,
    network: &'a Network,
    /// At the commit, so that all files are of one version.
    repo: ApiRepo,
    /// `<cache>/models--org--name`
    folder: &'a Path,
    commit: &'a str,
    report: &'a dyn Fn(DownloadEvent),
}

/// What a file's content is called, and how long it is.
struct Content {
    /// The name of the blob: the SHA-256 of a large file, git's hash of a small one.
    etag: String,
    bytes: Option<u64>,
}

impl<'a> Download<'a> {
    pub fn new(
        settings: &'a HubSettings,
        network: &'a Network,
        repo: ApiRepo,
        folder: &'a Path,
        commit: &'a str,
        report: &'a dyn Fn(DownloadEvent),
    ) -> Self {
        Self { settings, network, repo, folder, commit, report }
    }

    /// Makes `files` appear in the snapshot, with as few bytes from the network as possible.
    ///
    /// # Errors
    /// There is no room for what is missing of them, the hub refuses or breaks off, a content does not match its name,
    /// or the cache cannot be written.
    pub fn fetch(&self, files: &[&str]) -> Result<(), HubError> {
        let contents = files.iter().map(|file| retry(|_| self.content(file))).collect::<Result<Vec<_>, _>>()?;
        self.check_space(&contents)?;
        files.iter().zip(&contents).try_for_each(|(file, content)| self.fetch_content(file, content))
    }

    /// That the disk has room for what is still to come.
    fn check_space(&self, contents: &[Content]) -> Result<()> {
        let blobs = self.folder.join("blobs");
        let length = |name: &str| fs::metadata(blobs.join(name)).map(|metadata| metadata.len());
        let missing = |content: &Content| match length(&content.etag) {
            Ok(_) => 0,
            Err(_) => {
                let present = length(&format!("{}.incomplete", content.etag)).unwrap_or(0);
                content.bytes.unwrap_or(0).saturating_sub(present)
            }
        };
        let needed = contents.iter().map(missing).fold(0, u64::saturating_add);
        match files::free_space(&blobs) {
            Some(free) if free < needed => Err(Error::failure(format!(
                "the download needs {}, and the disk of the model cache has {} free",
                units::bytes(needed),
                units::bytes(free)
            ))
            .file(self.settings.cache.path())
            .hint(ROOM)),
            _ => Ok(()),
        }
    }

    fn fetch_content(&self, file: &str, content: &Content) -> Result<(), HubError> {
        let blobs = self.folder.join("blobs");
        let blob = blobs.join(&content.etag);
        if !blob.exists() {
            fs::create_dir_all(&blobs).map_err(|error| unwritable(error, &blobs))?;
            let lock = self.lock(file, &content.etag);
            // Another process may have fetched it meanwhile.
            if !blob.exists() {
                // Under the lock the name is shared, so that the next attempt resumes it.
                let incomplete = blobs.join(match &lock {
                    Some(_) => format!("{}.incomplete", content.etag),
                    None => format!("{}.{}.incomplete", content.etag, std::process::id()),
                });
                let collected = retry(|reached| {
                    let outcome = self.collect(file, content, &incomplete);
                    *reached = fs::metadata(&incomplete).map_or(0, |metadata| metadata.len());
                    outcome
                });
                if collected.is_err() && lock.is_none() {
                    let _ = fs::remove_file(&incomplete);
                }
                collected?;
                files::rename(&incomplete, &blob).map_err(|error| unwritable(error, &blob))?;
            }
        }
        Ok(self.link(file, &content.etag)?)
    }

    /// Asks what the content is called: the redirect to the storage of large files is where the hub says it. One try.
    fn content(&self, file: &str) -> Result<Content, HubError> {
        let mut url = self.repo.url(file);
        for _ in 0..MOST_REDIRECTS {
            let response = self.network.head(&url)?;
            let redirects = response.status() >= 300;
            let stated = |linked, own| response.header(linked).or_else(|| response.header(own).filter(|_| !redirects));
            if let Some(etag) = stated("x-linked-etag", "etag") {
                let etag = etag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
                let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                // It becomes a file's name, which must not lead elsewhere.
                if etag.is_empty() || etag.len() > 128 || etag.starts_with('.') || !etag.chars().all(plain) {
                    return Err(HubError::NotAHub(format!("the etag of `{file}` is {etag:?}")));
                }
                let bytes = stated("x-linked-size", "content-length").and_then(|bytes| bytes.parse().ok());
                return Ok(Content { etag, bytes });
            }
            // Only within the hub, which alone may see the token.
            match response.header("location") {
                Some(path) if redirects && path.starts_with('/') && !path.starts_with("//") => {
                    let origin: Vec<&str> = url.splitn(4, '/').take(3).collect();
                    url = format!("{}{path}", origin.join("/"));
                }
                _ => break,
            }
        }
        Err(HubError::NotAHub(format!("`{file}` comes without an etag")))
    }

    /// Waits until no other process fetches this blob. `None` where the file system has no locks: two processes may
    /// then both fetch it, which only costs time.
    fn lock(&self, file: &str, etag: &str) -> Option<File> {
        let locks = self.settings.cache.path().join(".locks").join(self.folder.file_name()?);
        fs::create_dir_all(&locks).ok()?;
        files::lock(&locks.join(format!("{etag}.lock")), || {
            (self.report)(DownloadEvent::Note(&format!("waiting for another process that is fetching {file}")));
        })
    }

    /// One try at completing `incomplete`, from where the last one stopped. On success it is whole and verified.
    fn collect(&self, file: &str, content: &Content, incomplete: &Path) -> Result<(), HubError> {
        let fault = |error| HubError::Local(unwritable(error, incomplete));
        let mut output = OpenOptions::new().create(true).read(true).append(true).open(incomplete).map_err(fault)?;
        let clear = |output: &File, why: String| match output.set_len(0) {
            Ok(()) => HubError::Damaged(why),
            Err(error) => fault(error),
        };
        let mut present = output.metadata().map_err(fault)?.len();
        let started = Instant::now();
        let mut body: Box<dyn Read> = Box::new(io::empty());
        if present == 0 || content.bytes != Some(present) {
            // Compressed on the way, the content would not be as long as the hub says.
            let prepare = |request: Request| match present {
                0 => request.set("accept-encoding", "identity"),
                _ => request.set("accept-encoding", "identity").set("range", &format!("bytes={present}-")),
            };
            let response = self.network.get(&self.repo.url(file), prepare).map_err(|error| match error {
                // What is here is more than the server has.
                HubError::Refused { status: 416, .. } => clear(&output, format!("`{file}` could not be continued")),
                error => error,
            })?;
            let range = response.header("content-range").unwrap_or_default();
            if response.status() != 206 || !range.starts_with(&format!("bytes {present}-")) {
                output.set_len(0).map_err(fault)?;
                present = 0;
                if response.status() == 206 {
                    return Err(HubError::Damaged(format!("`{file}` was not continued where it had stopped")));
                }
            }
            body = response.into_reader();
        }
        (self.report)(DownloadEvent::Start { file, total: content.bytes, present });

        let mut hasher = Sha256::new();
        output.seek(SeekFrom::Start(0)).and_then(|_| io::copy(&mut output, &mut hasher)).map_err(fault)?;
        let mut arrived = present;
        let mut buffer = vec![0; 256 * 1024];
        let broken = loop {
            match body.read(&mut buffer) {
                Ok(0) => break None,
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    output.write_all(bytes).map_err(fault)?;
                    hasher.update(bytes);
                    arrived += length as u64;
                    (self.report)(DownloadEvent::Advance { bytes: length as u64 });
                    if content.bytes.is_some_and(|total| arrived > total) {
                        break None;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
        };
        match (content.bytes, broken) {
            (Some(total), _) if arrived > total => {
                return Err(clear(&output, format!("`{file}` has more than its {total} bytes")));
            }
            (Some(total), _) if arrived < total => {
                return Err(HubError::Damaged(format!("`{file}` broke off after {arrived} of {total} bytes")));
            }
            (None, Some(error)) => return Err(HubError::from(&error)),
            _ => {}
        }
        let found = match content.etag.len() {
            SHA1_DIGITS => git_hash(&mut output, &content.etag).map_err(fault)?,
            _ => format!("{:x}", hasher.finalize()),
        };
        if content.etag.len() == found.len() && !content.etag.eq_ignore_ascii_case(&found) {
            return Err(clear(&output, format!("the checksum of `{file}` is {found}, not {}", content.etag)));
        }
        (self.report)(DownloadEvent::Done {
            file,
            received: arrived - present,
            seconds: started.elapsed().as_secs_f64(),
        });
        Ok(())
    }

    /// Gives a blob its name in the snapshot, as a relative link, so that the cache can be moved.
    fn link(&self, file: &str, etag: &str) -> Result<()> {
        let pointer = self.folder.join("snapshots").join(self.commit).join(file);
        let target = PathBuf::from(format!("{}blobs/{etag}", "../".repeat(2 + file.matches('/').count())));
        let linked = fs::create_dir_all(pointer.parent().unwrap_or(self.folder)).and_then(|()| {
            symlink(&target, &pointer).or_else(|error| match error.kind() {
                ErrorKind::AlreadyExists if pointer.exists() => Ok(()),
                // A link to a blob that was deleted.
                ErrorKind::AlreadyExists => fs::remove_file(&pointer).and_then(|()| symlink(&target, &pointer)),
                // No links here (Windows without the privilege, some file systems): the snapshot holds the file itself.
                _ => files::rename(&self.folder.join("blobs").join(etag), &pointer),
            })
        });
        linked.map_err(|error| unwritable(error, &pointer))
    }
}

/// The hash by which git knows the content of a small file. A mirror may name it by the plain SHA-1 of its bytes: that
/// is returned where it is what is `stated`.
fn git_hash(content: &mut File, stated: &str) -> io::Result<String> {
    let length = content.metadata()?.len();
    let (mut git, mut plain) = (Sha1::new_with_prefix(format!("blob {length}\0")), Sha1::new());
    content.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = content.read(&mut buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        git.update(bytes);
        plain.update(bytes);
    }
    let plain = format!("{:x}", plain.finalize());
    Ok(if plain.eq_ignore_ascii_case(stated) { plain } else { format!("{:x}", git.finalize()) })
}

/// An error while writing to the cache, with what can be done about it.
pub fn unwritable(error: io::Error, path: &Path) -> Error {
    use ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let full = matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge);
    let error = Error::io(error, path).context("the model cache cannot be written");
    match error.kind() {
        _ if full => error.hint(ROOM),
        error::ErrorKind::Request => error.hint("set HF_HOME to a directory that you may write to"),
        _ => error,
    }
}
