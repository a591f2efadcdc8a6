//! Activations after the frozen stages, computed once for every example: in memory, or in a file that is mapped into
//! memory when they are large or a later run is to find them.
//!
//! Frozen stages run in evaluation mode, and an example's activations do not depend on what shares its batch. Training
//! therefore reads the same bits from here as if it computed them in every step. Which of them are cached, and where,
//! is decided in [`cache`](super::cache).

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::batch::{Batch, ExampleSet, Inputs, sampler};
use crate::console::Console;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::interrupt;
use crate::model::Classifier;

/// The activations of an example set after the first stages of a network.
pub struct Activations {
    /// Stages that have been run.
    pub stages: usize,
    /// What computing them took, in seconds, whoever did it.
    pub seconds: f64,
    /// `[rows, width]`, the rows of an example (its tokens) one after another.
    rows: Tensor,
    /// By example: its first row.
    starts: Vec<i64>,
    /// Keeps what `rows` points into.
    mapped_file: Option<Rc<Mmap>>,
}

impl Activations {
    /// Those of a batch's examples, as the backbone would have computed them.
    pub fn of(&self, batch: &Batch, set: &dyn ExampleSet, classifier: &Classifier, device: Device) -> Result<Tensor> {
        let mut index: Vec<i64> = Vec::new();
        for &example in &batch.examples {
            let start = self.starts.get(example).copied().ok_or_else(foreign)?;
            index.extend(start..start + set.cost(example) as i64);
        }
        if let Inputs::Tokens(tokens) = &batch.inputs {
            // The rows of padding tokens are read by nobody.
            index.resize(tokens.ids.numel(), 0);
        }
        let index = Tensor::f_from_slice(&index)?.f_to_device(self.rows.device())?;
        classifier.backbone.layout(self.stages).from_rows(self.rows.f_index_select(0, &index)?.f_to_device(device)?)
    }

    /// Those of a part of the example set: the examples at `indices`, in this order. The rows are shared.
    pub fn part(&self, indices: &[usize]) -> Result<Self> {
        let starts = indices.iter().map(|&index| self.starts.get(index).copied().ok_or_else(foreign));
        Ok(Self {
            stages: self.stages,
            seconds: self.seconds,
            rows: self.rows.shallow_clone(),
            starts: starts.collect::<Result<_>>()?,
            mapped_file: self.mapped_file.clone(),
        })
    }

    /// None for a mapped file, whose memory the system may take back.
    pub(super) fn bytes_in_memory(&self) -> u64 {
        match self.mapped_file {
            Some(_) => 0,
            None => self.rows.numel() as u64 * self.rows.kind().elt_size_in_bytes() as u64,
        }
    }
}

fn foreign() -> Error {
    Error::failure("the activations belong to another example set")
}

/// Which activations are asked for: those of `set` after the first `stages` stages of a classifier's backbone.
pub struct ActivationRequest<'a> {
    /// Its first stages are run in evaluation mode.
    pub classifier: &'a Classifier,
    /// How many, from the embeddings on.
    pub stages: usize,
    /// Read in its plain view.
    pub set: &'a dyn ExampleSet,
    /// The kind that activations are computed and kept in.
    pub compute: Kind,
    /// Tokens (or images) of a batch without gradients.
    pub batch_tokens: usize,
    /// Stands for the weights of these stages, the kind, and the examples: equal keys, equal activations.
    pub key: &'a str,
}

/// Which batch computes what, and where its rows lie: a function of the examples alone.
pub(super) struct RowPlacement {
    pub stages: usize,
    batches: Vec<Vec<usize>>,
    starts: Vec<i64>,
    rows: i64,
    width: i64,
    kind: Kind,
}

/// What stands beside a file of activations.
#[derive(Serialize, Deserialize, PartialEq)]
struct FileRecord {
    key: String,
    rows: i64,
    width: i64,
    kind: String,
    seconds: f64,
    sha256: String,
}

impl RowPlacement {
    pub fn of(request: &ActivationRequest) -> Result<Self> {
        let set = request.set;
        let representatives = set.representatives();
        let distinct: Vec<usize> = (0..set.len()).filter(|&index| representatives[index] == index).collect();
        let batches = sampler::by_length(&distinct, |index| set.cost(index), request.batch_tokens);
        let mut starts = vec![0i64; set.len()];
        let mut rows = 0;
        for &example in batches.iter().flatten() {
            starts[example] = rows;
            rows += set.cost(example) as i64;
        }
        for (example, &representative) in representatives.iter().enumerate() {
            starts[example] = starts[representative];
        }
        let width = request.classifier.backbone.layout(request.stages).row_width();
        Ok(Self { stages: request.stages, batches, starts, rows, width, kind: request.compute })
    }

    pub fn bytes(&self) -> u64 {
        (self.rows * self.width) as u64 * self.kind.elt_size_in_bytes() as u64
    }

    /// Computes every batch and hands its examples' rows over, `[rows, width]`, in the order of `starts`.
    fn compute(
        &self,
        request: &ActivationRequest,
        console: &Console,
        take: &mut dyn FnMut(Tensor) -> Result<()>,
    ) -> Result<f64> {
        let began = Instant::now();
        let examples = self.batches.iter().map(Vec::len).sum::<usize>();
        let bar = console.progress("lower layers", Some(examples as u64), "examples").rate_in(request.set.unit());
        for examples in &self.batches {
            if interrupt::requested() {
                return Err(Error::interrupted(
                    "while computing the cached lower layers; nothing has been trained yet",
                ));
            }
            let batch = request.set.batch(examples, request.classifier.device)?;
            let backbone = &request.classifier.backbone;
            let x = backbone.run_frozen(self.stages, &batch, request.compute)?;
            let x = backbone.layout(self.stages).to_rows(x)?;
            // The batch has its own order; the rows go in the order of `examples`.
            let mut row = 0;
            let mut at = std::collections::HashMap::with_capacity(batch.examples.len());
            for &example in &batch.examples {
                at.insert(example, row);
                row += request.set.cost(example) as i64;
            }
            let mut index: Vec<i64> = Vec::with_capacity(row as usize);
            for &example in examples {
                let start = at.get(&example).copied().ok_or_else(foreign)?;
                index.extend(start..start + request.set.cost(example) as i64);
            }
            let index = Tensor::f_from_slice(&index)?.f_to_device(x.device())?;
            take(x.f_index_select(0, &index)?)?;
            bar.advance_with(examples.len() as u64, row as u64);
        }
        bar.finish();
        Ok(began.elapsed().as_secs_f64())
    }

    pub fn compute_in_memory(self, request: &ActivationRequest, console: &Console) -> Result<Activations> {
        let rows = Tensor::f_empty([self.rows, self.width], (self.kind, request.classifier.device))?;
        let mut done = 0;
        let seconds = self.compute(request, console, &mut |part| {
            let count = part.size().first().copied().unwrap_or(0);
            rows.f_narrow(0, done, count)?.f_copy_(&part)?;
            done += count;
            Ok(())
        })?;
        Ok(Activations { stages: self.stages, seconds, rows, starts: self.starts, mapped_file: None })
    }

    pub fn compute_into(self, file: &Path, request: &ActivationRequest, console: &Console) -> Result<Activations> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io(error, folder))?;
            crate::files::remove_old_temporaries(folder);
        }
        let mut hash = Fingerprint::default();
        let mut seconds = 0.0;
        let element = self.kind.elt_size_in_bytes();
        crate::files::write_atomically_with(file, |writer| {
            seconds = self.compute(request, console, &mut |part| {
                let part = part.f_to_device(Device::Cpu)?.f_contiguous()?;
                let mut bytes = vec![0u8; part.numel() * element];
                part.f_copy_data_u8(&mut bytes, part.numel())?;
                hash.bytes(&bytes);
                writer.write_all(&bytes).map_err(|error| Error::io(error, file))
            })?;
            Ok(())
        })?;
        let record = FileRecord {
            key: request.key.to_owned(),
            rows: self.rows,
            width: self.width,
            kind: format!("{:?}", self.kind),
            seconds,
            sha256: hash.finish(),
        };
        let text = serde_json::to_string_pretty(&record)
            .map_err(|error| Error::failure(format!("its record cannot be written: {error}")).file(file))?;
        crate::files::write_atomically(record_of(file), text.as_bytes())?;
        self.map(file, record.seconds)
    }

    /// When the file is whole and holds what is asked for: what computing it took.
    pub fn seconds_of(&self, file: &Path, key: &str) -> Result<Option<f64>> {
        let Ok(text) = std::fs::read(record_of(file)) else { return Ok(None) };
        let Ok(record) = serde_json::from_slice::<FileRecord>(&text) else { return Ok(None) };
        let expected = (key, self.rows, self.width, format!("{:?}", self.kind));
        if (record.key.as_str(), record.rows, record.width, record.kind.clone()) != expected {
            return Ok(None);
        }
        let Ok(mut opened) = File::open(file) else { return Ok(None) };
        let mut hash = Fingerprint::default();
        let mut buffer = vec![0u8; 1 << 20];
        let mut bytes = 0;
        loop {
            let count = opened.read(&mut buffer).map_err(|error| Error::io(error, file))?;
            if count == 0 {
                break;
            }
            bytes += count as u64;
            hash.bytes(buffer.get(..count).unwrap_or_default());
        }
        let whole = bytes == self.bytes() && hash.finish() == record.sha256;
        Ok(whole.then_some(record.seconds))
    }

    pub fn map(self, file: &Path, seconds: f64) -> Result<Activations> {
        let opened = File::open(file).map_err(|error| Error::io(error, file))?;
        // SAFETY: the file is ours: written whole under another name, renamed, and never written again.
        let map = unsafe { Mmap::map(&opened) }.map_err(|error| Error::io(error, file))?;
        if map.len() as u64 != self.bytes() {
            return Err(Error::failure("the file was changed while it was read").file(file));
        }
        // SAFETY: `map` has exactly these bytes, at an address aligned to a page, and lives as long as `rows`: both are
        // fields of one value, and rows are handed out as copies alone.
        let rows = unsafe {
            Tensor::f_from_blob(map.as_ptr(), &[self.rows, self.width], &[self.width, 1], self.kind, Device::Cpu)
        }?;
        Ok(Activations { stages: self.stages, seconds, rows, starts: self.starts, mapped_file: Some(Rc::new(map)) })
    }
}

fn record_of(file: &Path) -> PathBuf {
    file.with_extension("json")
}
