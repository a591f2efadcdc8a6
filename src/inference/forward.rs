//! From examples to logits or features, batch by batch: the one path that validation, evaluation, labelling and the
//! feature cache share, so that a reported score and a written label come from the same code.

use tch::{Kind, Tensor};

use crate::batch::{Batch, ExampleSet, sampler};
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
        let mut result = Partial::new(set.len(), self.classifier.labels.len());
        self.fill(&mut result, set, watch, |batch| {
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
        self.fill(partial, set, watch, |batch| {
            let (from, activations) = self.start(batch, set)?;
            self.classifier.penultimate_from(from, batch, activations, self.pass())
        })
    }

    /// Logits and features of every example, from one pass.
    pub fn outputs(&self, set: &dyn ExampleSet, watch: &mut dyn FnMut(usize, usize)) -> Result<Outputs> {
        let Classifier { head, labels, .. } = self.classifier;
        let widths = [labels.len(), self.classifier.feature_width().max(0) as usize];
        let mut result = Partial::new(set.len(), widths.iter().sum());
        self.fill(&mut result, set, watch, |batch| {
            let (from, activations) = self.start(batch, set)?;
            let seen = self.classifier.penultimate_from(from, batch, activations, self.pass())?;
            Ok(Tensor::f_cat(&[head.output(&seen, self.pass())?, seen.f_to_kind(Kind::Float)?], 1)?)
        })?;
        let [logits, features] = result.rows.divided(widths);
        Ok(Outputs { logits, features })
    }

    /// The mean over each example's tokens of the activations after every stage, from one pass: the stages' features
    /// side by side, `stage_width` values each.
    pub fn stage_features(&self, set: &dyn ExampleSet, watch: &mut dyn FnMut(usize, usize)) -> Result<Rows> {
        let backbone = &self.classifier.backbone;
        let stages = backbone.stages().len();
        let width = (0..stages).map(|stage| backbone.stage_width(stage)).sum::<i64>();
        let mut result = Partial::new(set.len(), width.max(0) as usize);
        self.fill(&mut result, set, watch, |batch| {
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
        self.fill(&mut result, set, watch, |batch| {
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

    /// Sorts by length, computes each distinct example once, and puts the results back in the examples' order.
    fn fill(
        &self,
        partial: &mut Partial,
        set: &dyn ExampleSet,
        watch: &mut dyn FnMut(usize, usize),
        compute: impl Fn(&Batch) -> Result<Tensor>,
    ) -> Result<()> {
        let Partial { rows: Rows { values: rows, width }, done } = partial;
        let width = *width;
        if rows.len() != set.len() * width || done.len() != set.len() {
            return Err(Error::failure("the rows belong to another example set"));
        }
        let representatives = set.representatives();
        let todo: Vec<usize> =
            (0..set.len()).filter(|&index| representatives[index] == index && !done[index]).collect();
        for examples in sampler::by_length(&todo, |index| set.cost(index), self.batch_tokens) {
            if interrupt::requested() {
                return Err(Error::interrupted("not all examples are computed"));
            }
            let batch = set.batch(&examples, self.classifier.device)?;
            let result = tch::no_grad(|| compute(&batch))?;
            if result.numel() != batch.len() * width {
                let size = result.size();
                return Err(Error::failure(format!("a batch gave {size:?} instead of {width} numbers per example")));
            }
            let values = to_vec::<f32>(&result)?;
            for (row, &example) in values.chunks_exact(width.max(1)).zip(&batch.examples) {
                rows[example * width..(example + 1) * width].copy_from_slice(row);
                done[example] = true;
            }
            watch(batch.len(), batch.examples.iter().map(|&index| set.cost(index)).sum());
        }
        for (index, &representative) in representatives.iter().enumerate() {
            if index != representative {
                rows.copy_within(representative * width..(representative + 1) * width, index * width);
                done[index] = true;
            }
        }
        Ok(())
    }
}
