//! A split of the data as the network reads it: tokenised or decoded once, and with what a person should know about it.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::batch::{ExampleSet, Subset};
use crate::commands::inputs::{half_empty, prepare};
use crate::commands::trained_rows::{self, TrainedRows};
use crate::config::OnBadInput;
use crate::console::Console;
use crate::data::{Example, Input, Labels, Modality, Origins, Place, overlap};
use crate::error::{Error, ErrorKind, Result};
use crate::inference::cache::{Cache, Examples};
use crate::report::Seen;
use crate::task::{Dataset, Task};
use crate::transform::{Purpose, Transform};

/// A dataset, and what is to be known of it.
pub struct PreparedSplit {
    pub dataset: Dataset,
    /// Of the examples' sizes.
    pub statistics: String,
    /// What a person should know of them before trusting the results.
    pub remarks: Rc<[String]>,
    /// Images that cannot be read.
    pub left_out: usize,
    /// What making the examples took.
    pub seconds: f64,
    /// Of each example of `dataset` the index among the examples that the split was made of.
    pub indices: Rc<[usize]>,
    /// As people read them, for the report; none of the training examples.
    pub texts: Vec<String>,
    /// Where in `texts` the first text of a pair ends; nothing of others.
    pub pair_at: Vec<usize>,
    /// Where they stand in the data; none of the training examples.
    pub places: Vec<Place>,
    /// What they are in their files, once somebody has asked.
    pub origins: OnceCell<Origins>,
    /// Of images, their files, each once; without those that cannot be read.
    pub files: Vec<PathBuf>,
    /// Digests of the examples.
    pub digests: TrainedRows,
    /// The rows that also stand among the training examples.
    pub seen: Option<Seen>,
}

/// How splits are prepared: the same for all of a run.
#[derive(Clone, Copy)]
pub struct SplitPreparation<'a> {
    pub task: &'a dyn Task,
    /// The distinct values of the label column.
    pub values: &'a Labels,
    /// The names of the head's outputs.
    pub names: &'a Labels,
    pub transform: &'a Transform,
    pub on_bad_input: OnBadInput,
    pub cache: &'a Cache,
    pub console: &'a Console,
}

impl PreparedSplit {
    /// Makes the examples, or takes them from the cache.
    pub fn of(examples: &[Example], purpose: Purpose, preparation: SplitPreparation) -> Result<Self> {
        let SplitPreparation { transform, on_bad_input, cache, console, .. } = preparation;
        let inputs: Vec<&Input> = examples.iter().map(|example| &example.input).collect();
        let Examples { set, places, statistics, remarks, seconds } =
            cache.examples(transform.key(&inputs, purpose), || {
                let began = Instant::now();
                let prepared = prepare(transform, &inputs, purpose, on_bad_input, console)
                    .map_err(|error| at_split(error, transform, purpose))?;
                let usable = prepared.usable(inputs.len());
                // As often as the set has each of them.
                let views = prepared.set.len() / usable.len().max(1);
                let (places, seconds) = (usable.repeat(views).into(), began.elapsed().as_secs_f64());
                let remarks = prepared.unread.remarks().into_iter().chain(half_empty(inputs.iter().copied())).collect();
                Ok(Examples { set: prepared.set, places, statistics: prepared.statistics, remarks, seconds })
            })?;
        Ok(Self { statistics, remarks, seconds, ..Self::new(set, places, examples, purpose, preparation)? })
    }

    /// The part of this split that was made of the examples at `chosen` among the `examples` that it was made of.
    pub fn part(
        &self,
        examples: &[Example],
        chosen: &[usize],
        purpose: Purpose,
        preparation: SplitPreparation,
    ) -> Result<Self> {
        let place_of: HashMap<usize, usize> = chosen.iter().enumerate().map(|(place, &index)| (index, place)).collect();
        let own = || self.indices.iter().enumerate().filter_map(|(at, index)| Some((at, *place_of.get(index)?)));
        let set = Subset::new(Arc::clone(&self.dataset.examples), own().map(|(at, _)| at).collect())?;
        let indices = own().map(|(_, place)| place).collect();
        let examples: Vec<Example> = chosen.iter().filter_map(|&index| examples.get(index).cloned()).collect();
        Self::new(Arc::new(set), indices, &examples, purpose, preparation)
    }

    /// The same examples as those of a split that is only scored. `examples`: what this split was made of.
    pub fn as_held_out(&self, examples: &[Example], preparation: SplitPreparation) -> Result<Self> {
        let (set, indices) = (Arc::clone(&self.dataset.examples), Rc::clone(&self.indices));
        Self::new(set, indices, examples, Purpose::Inference, preparation)
    }

    fn new(
        set: Arc<dyn ExampleSet>,
        indices: Rc<[usize]>,
        examples: &[Example],
        purpose: Purpose,
        preparation: SplitPreparation,
    ) -> Result<Self> {
        let SplitPreparation { task, values, names, .. } = preparation;
        let usable: Vec<&Example> = indices.iter().filter_map(|&place| examples.get(place)).collect();
        let left_out = examples.len() - indices.iter().collect::<HashSet<_>>().len();
        let digests = trained_rows::digests(usable.iter().map(|example| &example.input), &*set);
        let held_out = if purpose == Purpose::Training { &[][..] } else { &usable[..] };
        Ok(Self {
            texts: held_out.iter().map(|example| example.input.to_string()).collect(),
            pair_at: held_out.iter().filter_map(|example| example.input.first_of_pair()).collect(),
            places: held_out.iter().map(|example| example.place()).collect(),
            origins: OnceCell::new(),
            files: usable.iter().take(examples.len() - left_out).filter_map(|e| image_file(&e.input)).collect(),
            digests: TrainedRows::new(digests),
            seen: None,
            dataset: Dataset { targets: task.parse(&usable, values, names)?, examples: set },
            indices,
            statistics: String::new(),
            remarks: Rc::new([]),
            left_out,
            seconds: 0.0,
        })
    }

    /// What the network was shown of a row.
    pub fn input(&self, row: usize, modality: Modality) -> Option<Input> {
        let text = self.texts.get(row)?;
        Some(match (modality, self.pair_at.get(row)) {
            (Modality::Image, _) => Input::Image(text.into()),
            (Modality::Text, Some(&at)) => Input::pair_at(text, at)?,
            (Modality::Text, None) => Input::Text(text.clone()),
        })
    }

    /// The images of another split that are copies of this one's; the names of both. (Texts are compared when they are
    /// loaded.)
    pub fn copies_in(&self, own_name: &str, other: &Self, name: &str) -> Option<Seen> {
        let file = |split: &Self, row: usize| split.files.get(row).map_or(String::new(), |f| f.display().to_string());
        let shared = overlap(self.contents(), other.contents());
        let are = |copies: u64| match copies {
            1 => format!("1 of the {name} images is a copy of a {own_name} image"),
            _ => format!("{copies} of the {name} images are copies of {own_name} images"),
        };
        let pair = |row, first| format!("{} against {}", file(other, row), file(self, first));
        let warning = shared.in_words(are, "scores are too optimistic", pair)?;
        Some(Seen { rows: shared.rows, warning })
    }

    /// What is the same for equal images, with their labels, in the order of `files`; nothing of texts.
    pub fn contents(&self) -> impl Iterator<Item = (&str, &[u32])> {
        let Dataset { examples, targets } = &self.dataset;
        let one_view = targets.answers().take(self.files.len());
        one_view.enumerate().filter_map(|(index, labels)| Some((examples.content(index)?, labels)))
    }
}

fn image_file(input: &Input) -> Option<PathBuf> {
    match input {
        Input::Image(file) => Some(file.clone()),
        Input::Text(_) | Input::Pair(..) => None,
    }
}

/// Which images the numbers in the error count.
fn at_split(error: Error, transform: &Transform, purpose: Purpose) -> Error {
    match (transform, error.kind()) {
        (_, ErrorKind::Interrupted) | (Transform::Text(_), _) => error,
        _ if purpose == Purpose::Training => error.context("among the images to train on"),
        _ => error.context("among the validation or test images"),
    }
}
