//! What the runs of one process share: prepared examples, activations after frozen stages, and features, each computed
//! once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use crate::batch::ExampleSet;
use crate::console::{Console, units};
use crate::error::{Error, Result};
use crate::inference::activations::{ActivationRequest, Activations, RowPlacement};
use crate::inference::rows::Rows;

/// Where activations are kept, and how many in memory.
#[derive(Debug, Clone)]
pub struct CacheSettings {
    /// Bytes of memory for all of them; the rest goes to files.
    pub memory: u64,
    /// The folder of their files.
    pub folder: PathBuf,
    /// Whether they all go to files, and these stay for later runs.
    pub keep: bool,
}

impl CacheSettings {
    /// Removes the files that no later run is to find.
    pub fn clear(&self) -> Result<()> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Ok(()) };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with("activations-") {
                std::fs::remove_file(entry.path()).map_err(|error| Error::io(error, entry.path()))?;
            }
        }
        Ok(())
    }
}

/// What the runs of one process have in common: examples that were tokenised or decoded, activations, and features,
/// each computed once.
#[derive(Default)]
pub struct Cache {
    examples: RefCell<VecDeque<(String, Examples)>>,
    activations: RefCell<Vec<(String, Rc<Activations>)>>,
    features: RefCell<Vec<(String, Rc<Features>)>>,
}

/// The usable examples of a split.
#[derive(Clone)]
pub struct Examples {
    /// In the order of the inputs, without those that cannot be used.
    pub set: Arc<dyn ExampleSet>,
    /// Their indices among the inputs.
    pub places: Rc<[usize]>,
    /// Their sizes in words, for a person.
    pub statistics: String,
    /// What a person should know of them before trusting the results.
    pub remarks: Rc<[String]>,
    /// Seconds that preparing them took.
    pub seconds: f64,
}

/// As many sets of examples are kept as a comparison with the same seed wants: training data as they are and to be
/// augmented, validation and test data.
const SETS: usize = 4;

/// The inputs of the head's output layer for the examples of a set, and what computing them took.
pub struct Features {
    /// `[N, feature width]`, in the order of the examples.
    pub rows: Rows,
    /// In the session that completed them.
    pub seconds: f64,
}

/// Activations, and whether they had been computed before they were asked for.
pub struct CachedActivations {
    /// Shared with the cache.
    pub activations: Rc<Activations>,
    /// True where they were in memory, or in a file of an earlier run.
    pub was_cached: bool,
}

impl Cache {
    /// Finds the examples that `key` stands for, or makes them.
    pub fn examples(&self, key: String, make: impl FnOnce() -> Result<Examples>) -> Result<Examples> {
        let before = self.examples.borrow().iter().position(|(kept, _)| *kept == key);
        let found = match before.and_then(|place| self.examples.borrow_mut().remove(place)) {
            Some((_, found)) => found,
            None => {
                // Before, so that the memory is there for the new ones.
                self.examples.borrow_mut().truncate(SETS - 1);
                make()?
            }
        };
        self.examples.borrow_mut().push_front((key, found.clone()));
        Ok(found)
    }

    /// The features that were kept under `key`; None when there are none.
    pub fn features(&self, key: &str) -> Option<Rc<Features>> {
        self.features.borrow().iter().find(|(kept, _)| kept == key).map(|(_, features)| Rc::clone(features))
    }

    /// Keeps features for the later runs of this process, which find them under `key`.
    pub fn keep_features(&self, key: &str, features: Features) -> Rc<Features> {
        let features = Rc::new(features);
        self.features.borrow_mut().push((key.to_owned(), Rc::clone(&features)));
        features
    }

    /// Finds the activations or computes them.
    pub fn get(
        &self,
        request: &ActivationRequest,
        settings: &CacheSettings,
        console: &Console,
    ) -> Result<CachedActivations> {
        if let Some((_, kept)) = self.activations.borrow().iter().find(|(key, _)| key == request.key) {
            return Ok(CachedActivations { activations: Rc::clone(kept), was_cached: true });
        }
        let placement = RowPlacement::of(request)?;
        let used: u64 = self.activations.borrow().iter().map(|(_, kept)| kept.bytes_in_memory()).sum();
        let in_memory = !settings.keep && used + placement.bytes() <= settings.memory;
        let file = settings.folder.join(format!("activations-{}.bin", request.key.get(..16).unwrap_or(request.key)));
        if !in_memory && let Some(seconds) = placement.seconds_of(&file, request.key)? {
            console.note(format!("cached lower layers: found in {}", file.display()));
            return Ok(self.insert(request.key, placement.map(&file, seconds)?, true));
        }
        let size = units::bytes(placement.bytes());
        let place = if in_memory { format!("{size} in memory") } else { format!("{size} in {}", file.display()) };
        let stages = units::counted(request.stages as u64, "stage");
        console.note(format!("cached lower layers (the first {stages}): computed once, {place}"));
        let made = if in_memory {
            placement.compute_in_memory(request, console)?
        } else {
            placement.compute_into(&file, request, console)?
        };
        Ok(self.insert(request.key, made, false))
    }

    fn insert(&self, key: &str, activations: Activations, was_cached: bool) -> CachedActivations {
        let activations = Rc::new(activations);
        self.activations.borrow_mut().push((key.to_owned(), Rc::clone(&activations)));
        CachedActivations { activations, was_cached }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::TokenizedSet;

    #[test]
    fn examples_are_made_once_and_the_ones_not_asked_for_longest_make_way() -> Result<()> {
        let cache = Cache::default();
        let mut made = Vec::new();
        for key in ["train", "valid", "test", "train", "valid", "augmented", "train", "more", "test"] {
            cache.examples(key.to_owned(), || {
                made.push(key);
                let set = Arc::new(TokenizedSet::default());
                Ok(Examples { set, places: [].into(), statistics: String::new(), remarks: [].into(), seconds: 0.0 })
            })?;
        }
        // `test` made way for `more`.
        assert_eq!(made, ["train", "valid", "test", "augmented", "more", "test"]);
        Ok(())
    }
}
