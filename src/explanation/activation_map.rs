//! Grad-CAM (Selvaraju et al. 2017): which places of an image speak for a class. The channels of the last activations
//! that still have places are weighted by how the answer changes with them, and what speaks against it is left out.

use tch::{Kind, Tensor};

use super::{Question, log_odds};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::inference::to_vec;
use crate::model::layout::Layout;
use crate::model::{Classifier, Pass};

/// How much each place of an image speaks for a class: from 0 to 1, the most telling one.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivationMap {
    /// Places from the top down.
    pub rows: usize,
    /// Places from left to right.
    pub columns: usize,
    /// Row by row.
    pub values: Vec<f64>,
}

/// The map of the one image of `batch`, in fp32.
///
/// # Errors
/// A network whose activations have no places.
pub fn activation_map(classifier: &Classifier, batch: &Batch, question: Question) -> Result<ActivationMap> {
    let backbone = &classifier.backbone;
    let all = backbone.stages().len();
    let (stages, layout) = last_with_places(classifier)?;
    let pass = Pass::evaluation(Kind::Float);
    let activations = tch::no_grad(|| backbone.run(0..stages, batch, None, pass))?;
    let activations = activations.f_detach()?.f_set_requires_grad(true)?;
    let features = match stages == all {
        true => layout.pool(&activations, batch, classifier.pooling)?,
        false => backbone.features(stages, batch, Some(activations.shallow_clone()), classifier.pooling, pass)?,
    };
    let odds = log_odds(&classifier.head.forward(&features, pass)?, question)?;
    let gradients = Tensor::f_run_backward(&[odds.f_sum(Kind::Float)?], &[activations.shallow_clone()], false, false)?;
    let gradient = gradients.first().ok_or_else(|| Error::failure("no gradient came back"))?;
    let ([rows, columns], [activations, gradient]) = match layout {
        Layout::Map { channels, height, width } => {
            let places = |x: &Tensor| -> Result<Tensor> {
                Ok(x.f_select(0, 0)?.f_permute([1i64, 2, 0])?.f_reshape([-1, channels])?)
            };
            ([height, width], [places(&activations)?, places(gradient)?])
        }
        Layout::ImageTokens { tokens, .. } => {
            let side = (tokens - 1).max(0).isqrt();
            let patches = |x: &Tensor| -> Result<Tensor> { Ok(x.f_narrow(0, tokens - side * side, side * side)?) };
            ([side, side], [patches(&activations)?, patches(gradient)?])
        }
        Layout::Tokens { .. } => return Err(Error::failure("texts have no map")),
    };
    let weights = gradient.f_mean_dim([0i64].as_slice(), true, Kind::Float)?;
    let map = activations.f_mul(&weights)?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?.f_relu()?;
    let mut values = to_vec::<f64>(&map)?;
    let most = values.iter().copied().fold(0.0, f64::max);
    if most > 0.0 {
        values.iter_mut().for_each(|value| *value /= most);
    }
    Ok(ActivationMap { rows: rows as usize, columns: columns as usize, values })
}

/// After how many stages there are places for the last time, and how the activations are laid out there. What reads one
/// token of an image looks at the others in its last stage, so that the place is before it.
fn last_with_places(classifier: &Classifier) -> Result<(usize, Layout)> {
    let backbone = &classifier.backbone;
    let all = backbone.stages().len();
    let found = (1..=all).rev().find_map(|stages| match backbone.layout(stages) {
        layout @ Layout::Map { height, width, .. } if height * width > 1 => Some((stages, layout)),
        layout @ Layout::ImageTokens { .. } if stages < all => Some((stages, layout)),
        _ => None,
    });
    found.ok_or_else(|| Error::request("this network has no activations with places, which a map is made of"))
}
