//! From examples to logits or features, batch by batch: the one path that validation, evaluation, labelling and the
//! feature cache share, so that a reported score and a written label come from the same code.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use crate::batch::{Batch, ExampleSet, Pooled, Windows, sampler};
use crate::error::{Error, Result};
use crate::inference::activations::Activations;
use crate::inference::rows::{Partial, Rows, to_vec};
use crate::interrupt;
use crate::model::{Classifier, Pass, Pooling};

/// Runs a classifier in evaluation mode over whole example sets.
pub struct Inference<'a> {
    /// Its labels say how many logits an example has.
    pub classifier: &'a Classifier,
    /// The kind that activations are computed in.
    pub compute: Kind,
    /// Tokens per batch.
    pub batch_tokens: usize,
    /// The examples' activations after the first stages, when these need not be run.
    pub lower_layers: Option<&'a Activations>,
}

/// What a classifier makes of examples.
pub struct Outputs {
    /// As [`Inference::logits`] gives them.
    pub logits: Rows,
    /// As [`Inference::features`] gives them.
    pub features: Rows,
}

impl Inference<'_> {
    /// Logits of every example. `watch` is called with the examples and tokens of each batch that is done.
    pub fn logits(&self, set: &dyn ExampleSet, watch: &mut dyn FnMut(usize, usize)) -> Result<Rows> {
        if pools_features(set) {
            let mut features = Partial::new(set.len(), self.classifier.feature_width().max(0) as usize);
            self.features(&mut features, set, watch)?;
            return self.logits_of(&features.rows);
        }
        let mut result = Partial::new(set.len(), self.classifier.labels.len());
        self.fill(&mut result, set, watch, |batch, set| {
            let (from, activations) = self.start(batch, set)?;
            self.classifier.logits_from(from, batch, activations, self.pass())
        })?;
        Ok(result.rows)
    }

    /// The input of the head's output layer for every example, `feature_width` values each. What `partial` already
    /// holds is not computed again; after an interruption it holds what was computed.
    pub fn features(
        &self,
        partial: &mut Partial,
        set: &dyn ExampleSet,
        watch: &mut dyn FnMut(usize, usize),
    ) -> Result<()> {
        self.fill(partial, set, watch, |batch, set| {
            let (from, activations) = self.start(batch, set)?;
            self.classifier.penultimate_from(from, batch, activations, self.pass())
        })
    }

    /// Logits and features of every example, from one pass.
    pub fn outputs(&self, set: &dyn ExampleSet, watch: &mut dyn FnMut(usize, usize)) -> Result<Outputs> {
        let Classifier { head, labels, .. } = self.classifier;
        let widths = [labels.len(), self.classifier.feature_width().max(0) as usize];
        let mut result = Partial::new(set.len(), widths.iter().sum());
        self.fill(&mut result, set, watch, |batch, set| {
            let (from, activations) = self.start(batch, set)?;
            let seen = self.classifier.penultimate_from(from, batch, activations, self.pass())?;
            Ok(Tensor::f_cat(&[head.output(&seen, self.pass())?, seen.f_to_kind(Kind::Float)?], 1)?)
        })?;
        let [mut logits, features] = result.rows.divided(widths);
        if pools_features(set) {
            logits = self.logits_of(&features)?;
        }
        Ok(Outputs { logits, features })
    }

    /// The answers of the head's output layer to these features.
    fn logits_of(&self, features: &Rows) -> Result<Rows> {
        let Classifier { head, labels, device, .. } = self.classifier;
        if features.is_empty() {
            return Ok(Rows { values: Vec::new(), width: labels.len() });
        }
        let seen = features.to_tensor()?.f_to_device(*device)?;
        let logits = tch::no_grad(|| head.output(&seen, self.pass()))?;
        Ok(Rows { values: to_vec::<f32>(&logits)?, width: labels.len() })
    }

    /// The mean over each example's tokens of the activations after every stage, from one pass: the stages' features
    /// side by side, `stage_width` values each.
    pub fn stage_features(&self, set: &dyn ExampleSet, watch: &mut dyn FnMut(usize, usize)) -> Result<Rows> {
        let backbone = &self.classifier.backbone;
        let stages = backbone.stages().len();
        let width = (0..stages).map(|stage| backbone.stage_width(stage)).sum::<i64>();
        let mut result = Partial::new(set.len(), width.max(0) as usize);
        self.fill(&mut result, set, watch, |batch, _| {
            let mut x = None;
            let mut pooled = Vec::with_capacity(stages);
            for stage in 0..stages {
                let after = backbone.run(stage..stage + 1, batch, x, self.pass())?;
                pooled.push(backbone.pool(&after, batch, Pooling::Mean)?);
                x = Some(after);
            }
            Ok(Tensor::f_cat(&pooled, 1)?)
        })?;
        Ok(result.rows)
    }

    /// The pooled activations after stage `stage` of every example, `pooled_width` values each: after the last stage
    /// the feature vectors, which the head has not seen.
    pub fn pooled(
        &self,
        stage: usize,
        pooling: Pooling,
        set: &dyn ExampleSet,
        watch: &mut dyn FnMut(usize, usize),
    ) -> Result<Rows> {
        let backbone = &self.classifier.backbone;
        let mut result = Partial::new(set.len(), backbone.pooled_width(stage, pooling).max(0) as usize);
        self.fill(&mut result, set, watch, |batch, _| {
            if stage + 1 == backbone.stages().len() {
                return backbone.features(0, batch, None, pooling, self.pass());
            }
            let activations = backbone.run(0..stage + 1, batch, None, self.pass())?;
            backbone.layout(stage + 1).pool(&activations, batch, pooling)
        })?;
        Ok(result.rows)
    }

    /// The stage that a batch begins with, and what it begins from.
    fn start(&self, batch: &Batch, set: &dyn ExampleSet) -> Result<(usize, Option<Tensor>)> {
        match self.lower_layers {
            Some(cached) => Ok((cached.stages, Some(cached.of(batch, set, self.classifier, self.classifier.device)?))),
            None => Ok((0, None)),
        }
    }

    fn pass(&self) -> Pass<'static> {
        Pass::evaluation(self.compute)
    }

    /// Computes each distinct example once, and puts the results in the examples' order. `compute` is given each batch
    /// with the set that it is of.
    fn fill(
        &self,
        partial: &mut Partial,
        set: &dyn ExampleSet,
        watch: &mut dyn FnMut(usize, usize),
        compute: impl Fn(&Batch, &dyn ExampleSet) -> Result<Tensor>,
    ) -> Result<()> {
        let Partial { rows: Rows { values: rows, width }, done } = &mut *partial;
        let width = *width;
        if rows.len() != set.len() * width || done.len() != set.len() {
            return Err(Error::failure("the rows belong to another example set"));
        }
        let representatives = set.representatives();
        let todo: Vec<usize> =
            (0..set.len()).filter(|&index| representatives[index] == index && !done[index]).collect();
        match set.windows() {
            Some(windows) => self.fill_from_windows(partial, &todo, set, &windows, watch, &compute)?,
            None => self.run(&todo, set, width, watch, &compute, &mut |example, row| {
                rows[example * width..(example + 1) * width].copy_from_slice(row);
                done[example] = true;
            })?,
        }
        let Partial { rows: Rows { values: rows, .. }, done } = partial;
        for (index, &representative) in representatives.iter().enumerate() {
            if index != representative {
                rows.copy_within(representative * width..(representative + 1) * width, index * width);
                done[index] = true;
            }
        }
        Ok(())
    }

    /// Computes the windows of these texts, some texts after others, and pools the rows of each.
    fn fill_from_windows(
        &self,
        Partial { rows: Rows { values: rows, width }, done }: &mut Partial,
        todo: &[usize],
        texts: &dyn ExampleSet,
        windows: &Windows,
        watch: &mut dyn FnMut(usize, usize),
        compute: &dyn Fn(&Batch, &dyn ExampleSet) -> Result<Tensor>,
    ) -> Result<()> {
        let (width, most) = (*width, self.batch_tokens.saturating_mul(BATCHES_OF_WINDOWS));
        let mut left = todo;
        while !left.is_empty() {
            let mut cost = 0;
            let within = left.iter().take_while(|&&text| {
                cost += texts.cost(text);
                cost <= most
            });
            let (some, others) = left.split_at(within.count().max(1));
            let of_some: Vec<usize> = some.iter().flat_map(|&text| windows.of(text)).collect();
            let place_of: HashMap<usize, usize> =
                of_some.iter().enumerate().map(|(place, &window)| (window, place)).collect();
            let mut found = vec![0.0; of_some.len() * width];
            let mut advance = |_: usize, tokens: usize| watch(0, tokens);
            self.run(&of_some, &*windows.set, width, &mut advance, compute, &mut |window, row| {
                if let Some(place) = place_of.get(&window) {
                    found[place * width..(place + 1) * width].copy_from_slice(row);
                }
            })?;
            let mut rest = found.as_slice();
            for &text in some {
                let (own, after) = rest.split_at(windows.of(text).len() * width);
                rows[text * width..(text + 1) * width].copy_from_slice(&windows.pool(own, width));
                done[text] = true;
                rest = after;
            }
            watch(some.len(), 0);
            left = others;
        }
        Ok(())
    }

    /// Sorts these examples of `set` by length, computes them in batches, and hands over each one's row.
    fn run(
        &self,
        todo: &[usize],
        set: &dyn ExampleSet,
        width: usize,
        watch: &mut dyn FnMut(usize, usize),
        compute: &dyn Fn(&Batch, &dyn ExampleSet) -> Result<Tensor>,
        take: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<()> {
        for examples in sampler::by_length(todo, |index| set.cost(index), self.batch_tokens) {
            if interrupt::requested() {
                return Err(Error::interrupted("not all examples are computed"));
            }
            let batch = set.batch(&examples, self.classifier.device)?;
            let result = tch::no_grad(|| compute(&batch, set))?;
            if result.numel() != batch.len() * width {
                let size = result.size();
                return Err(Error::failure(format!("a batch gave {size:?} instead of {width} numbers per example")));
            }
            let values = to_vec::<f32>(&result)?;
            for (row, &example) in values.chunks_exact(width.max(1)).zip(&batch.examples) {
                take(example, row);
            }
            watch(batch.len(), batch.examples.iter().map(|&index| set.cost(index)).sum());
        }
        Ok(())
    }
}

/// Texts that are read in windows are computed so many batches at a time: what is interrupted loses no more.
const BATCHES_OF_WINDOWS: usize = 32;

/// Whether what the output layer reads is pooled, and not what it answers.
fn pools_features(set: &dyn ExampleSet) -> bool {
    set.windows().is_some_and(|windows| windows.pooled == Pooled::Features)
}
