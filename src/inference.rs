//! From examples to logits or features, batch by batch: the one path that validation, evaluation, labelling and the feature
//! cache share, so that a reported score and a written label come from the same code.

use tch::{Kind, Tensor};

use crate::batch::{Batch, ExampleSet, sampler};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::model::{Classifier, Pass};

/// Runs a classifier in evaluation mode over whole example sets.
pub struct Inference<'a> {
    pub classifier: &'a Classifier,
    /// The kind that activations are computed in.
    pub compute: Kind,
    /// Tokens a batch.
    pub batch_tokens: usize,
}

/// One row of numbers an example, in the examples' order.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Row-major.
    pub values: Vec<f32>,
    pub width: usize,
}

impl Rows {
    /// The numbers of example `index`.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// `[len, width]`, fp32, on the CPU.
    pub fn to_tensor(&self) -> Result<Tensor> {
        Ok(Tensor::f_from_slice(&self.values)?.f_view([self.len() as i64, self.width as i64])?)
    }
}

impl Inference<'_> {
    /// Logits of every example. `watch` is told the examples and tokens of each batch that is done.
    pub fn logits(&self, set: &dyn ExampleSet, watch: &mut dyn FnMut(usize, usize)) -> Result<Rows> {
        self.for_each_batch(set, self.classifier.labels.len(), watch, |batch| self.classifier.logits(batch, self.pass()))
    }

    /// What the head's linear layer would get to see for every example, `feature_width` numbers each.
    pub fn features(&self, set: &dyn ExampleSet, watch: &mut dyn FnMut(usize, usize)) -> Result<Rows> {
        let width = self.classifier.backbone.feature_width() as usize;
        self.for_each_batch(set, width, watch, |batch| {
            let features = self.classifier.backbone.features(0, batch, None, self.classifier.pooling, self.pass())?;
            self.classifier.head.penultimate(&features, self.pass())
        })
    }

    fn pass(&self) -> Pass<'static> {
        Pass::evaluation(self.compute)
    }

    /// Sorts by length, computes each distinct example once, and puts the results back in the examples' order.
    fn for_each_batch(
        &self,
        set: &dyn ExampleSet,
        width: usize,
        watch: &mut dyn FnMut(usize, usize),
        compute: impl Fn(&Batch) -> Result<Tensor>,
    ) -> Result<Rows> {
        let representatives = set.representatives();
        let distinct: Vec<usize> = (0..set.len()).filter(|&index| representatives[index] == index).collect();
        let mut rows = Rows { values: vec![0.0; set.len() * width], width };
        for examples in sampler::by_length(&distinct, |index| set.cost(index), self.batch_tokens) {
            if interrupt::requested() {
                return Err(Error::interrupted("interrupted"));
            }
            let batch = set.batch(&examples, self.classifier.device)?;
            let result = tch::no_grad(|| compute(&batch))?.f_to_kind(Kind::Float)?.f_to_device(tch::Device::Cpu)?;
            let result = result.f_contiguous()?;
            if result.numel() != batch.len() * width {
                return Err(Error::failure(format!("a batch gave {:?} instead of {width} numbers an example", result.size())));
            }
            let mut values = vec![0f32; result.numel()];
            result.f_copy_data(&mut values, result.numel())?;
            for (row, &example) in values.chunks_exact(width.max(1)).zip(&batch.examples) {
                rows.values[example * width..(example + 1) * width].copy_from_slice(row);
            }
            watch(batch.len(), batch.examples.iter().map(|&index| set.cost(index)).sum());
        }
        for (index, &representative) in representatives.iter().enumerate() {
            if index != representative {
                rows.values.copy_within(representative * width..(representative + 1) * width, index * width);
            }
        }
        Ok(rows)
    }
}
