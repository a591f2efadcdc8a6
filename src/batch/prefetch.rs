//! Batches that are loaded while the ones before them are computed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use tch::Device;

use crate::batch::contract::{Batch, ExampleSet, Loaded, View};
use crate::error::{Error, Result};

/// How many loaded batches wait at most.
const DEPTH: usize = 2;

/// The batches of an epoch in order. A set that loads slowly is loaded by a thread of its own, which ends when the
/// prefetcher is dropped; the batches are the same either way.
pub struct Prefetcher {
    set: Arc<dyn ExampleSet>,
    view: View,
    device: Device,
    loaded: Option<Receiver<Result<Loaded>>>,
}

impl Prefetcher {
    /// `batches` are the examples of each batch that will be asked for, in that order.
    pub fn of<'a>(
        set: &Arc<dyn ExampleSet>,
        batches: impl Iterator<Item = &'a Vec<usize>>,
        view: View,
        device: Device,
    ) -> Self {
        let loaded = set.is_slow_to_load().then(|| {
            let (sender, receiver) = sync_channel(DEPTH);
            let set = Arc::clone(set);
            let batches: Vec<Vec<usize>> = batches.cloned().collect();
            std::thread::spawn(move || {
                for examples in batches {
                    // Nobody takes any more: training has stopped.
                    if sender.send(set.load(&examples, view)).is_err() {
                        return;
                    }
                }
            });
            receiver
        });
        Self { set: Arc::clone(set), view, device, loaded }
    }

    /// The next batch, which is that of `examples`.
    pub fn next(&mut self, examples: &[usize]) -> Result<Batch> {
        let loaded = match &self.loaded {
            Some(loaded) => {
                loaded.recv().map_err(|_| Error::failure("the thread that loads batches ended unexpectedly"))??
            }
            None => self.set.load(examples, self.view)?,
        };
        loaded.onto(self.device)
    }
}
