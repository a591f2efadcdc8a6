//! A finished output that images are sorted by: a note stays beside it, so that an interrupted sorting is only
//! continued by the same call, over the same images, and that the list of images which were moved is not replaced.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::commands::label::origin::Origin;
use crate::commands::label::progress::Record;
use crate::error::{Error, Result, shell_word};
use crate::files::{self, write_atomically};
use crate::fingerprint::Fingerprint;

/// What is known of a finished output.
#[derive(Serialize, Deserialize)]
pub struct Finished {
    #[serde(skip)]
    note: PathBuf,
    origin: Origin,
    /// Digest of the output.
    output: String,
    /// Tells this labelling from others of the same images.
    pub labelling: String,
    /// Whether images were moved by it, so that the input no longer holds what it lists.
    pub has_moved: bool,
    /// Where they were moved to.
    #[serde(default)]
    moved_into: Option<PathBuf>,
    /// Digests of the input's rows and images.
    pub records: Vec<Record>,
}

impl Finished {
    /// Writes the note of an output, which is still called `whole`.
    ///
    /// # Errors
    /// The output cannot be read, or the note not be written.
    pub fn begin(output: &Path, whole: &Path, origin: Origin, records: &[Record]) -> Result<()> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut labelling = Fingerprint::default();
        labelling.bytes(format!("{} {}", time.as_nanos(), std::process::id()));
        let labelling = format!("n{:.12}", labelling.finish());
        let note = note_name(output);
        let records = records.to_vec();
        Self { note, origin, output: digest(whole)?, labelling, has_moved: false, moved_into: None, records }.write()
    }

    fn write(&self) -> Result<()> {
        let json = serde_json::to_string(self)
            .map_err(|error| Error::failure(format!("cannot be written: {error}")).file(&self.note))?;
        write_atomically(&self.note, (json + "\n").as_bytes())
    }

    /// Removes the note of an output that is replaced by one that nothing is sorted by.
    pub fn forget(output: &Path) {
        let _ = std::fs::remove_file(note_name(output));
    }

    /// Reads the note of an output, which must be as it was written.
    ///
    /// # Errors
    /// There is no such note, or the output has changed since.
    pub fn read(output: &Path) -> Result<Self> {
        let output = &files::followed(output);
        let refused = |message: &str| {
            let hint = "label again, without --resume: into another --output, or delete it first";
            Err(Error::request(message).file(output).hint(hint))
        };
        let Some(found) = Self::of(output) else {
            return refused("there is nothing to resume: nothing is recorded of what this output was made from");
        };
        if digest(output)? != found.output {
            return refused("the output has changed since it was written");
        }
        Ok(found)
    }

    fn of(output: &Path) -> Option<Self> {
        let note = note_name(output);
        let text = std::fs::read_to_string(&note).ok()?;
        Some(Self { note, ..serde_json::from_str(&text).ok()? })
    }

    /// That the output is that of the call whose origin is `now`.
    ///
    /// # Errors
    /// It is that of another call.
    pub fn check_origin(&self, now: &Origin, output: &Path) -> Result<()> {
        self.origin.check(now, "output", output, &format!("give the same options, or {}", self.other_way()))
    }

    /// What to do where the output is not what this call would write.
    pub fn other_way(&self) -> &'static str {
        match self.has_moved {
            true => "label again, without --resume and into another --output",
            false => "label again, without --resume",
        }
    }

    /// Notes that images are about to be moved into a folder.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn begin_moving(&mut self, into: &Path) -> Result<()> {
        if self.has_moved {
            return Ok(());
        }
        self.has_moved = true;
        self.moved_into = std::path::absolute(into).ok();
        self.write()
    }

    /// That images which were moved, were moved into this folder: the others are not found in the input any more.
    ///
    /// # Errors
    /// They were moved into another.
    pub fn check_folder(&self, into: &Path) -> Result<()> {
        let Some(before) = &self.moved_into else { return Ok(()) };
        let whole = |folder: &Path| folder.canonicalize().or_else(|_| std::path::absolute(folder)).ok();
        if whole(before) == whole(into) {
            return Ok(());
        }
        Err(Error::request(format!("the images were moved into another folder, {}", before.display()))
            .file(into)
            .key("sort-into")
            .hint(format!("continue there: --sort-into {} --move --resume", shell_word(&before.display().to_string()))))
    }

    /// That labelling again would not replace the list of images that were moved out of the input.
    ///
    /// # Errors
    /// It would.
    pub fn check_replaceable(output: &Path) -> Result<()> {
        if !output.exists() || !Self::of(output).is_some_and(|found| found.has_moved) {
            return Ok(());
        }
        Err(Error::request("the images that this output lists were moved: labelling again would replace the list")
            .file(output)
            .hint("--resume moves those that are left; to label other images, name another file with --output"))
    }
}

fn digest(file: &Path) -> Result<String> {
    let digested = || {
        let mut digest = Sha256::new();
        io::copy(&mut std::fs::File::open(file)?, &mut digest)?;
        Ok(digest)
    };
    let digest = digested().map_err(|error: io::Error| Error::io(error, file))?;
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `out.csv.origin.json`.
fn note_name(output: &Path) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(".origin.json");
    name.into()
}
