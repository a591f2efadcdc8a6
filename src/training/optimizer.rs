//! AdamW with a state of its own, fused over all parameters, so that it is fast and can be saved and restored exactly.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::model::checkpoint::Weights;
use crate::model::parameters::{Parameter, Place};
use crate::native::{self, AdamwStep};

/// The numbers of AdamW (Loshchilov & Hutter 2019), with transformers' defaults for the moments.
#[derive(Debug, Clone, Copy)]
pub struct AdamwSettings {
    /// Peak rate of the backbone (and of what the checkpoint brought of the head).
    pub learning_rate: f64,
    /// Peak rate of the new head.
    pub head_learning_rate: f64,
    /// Decoupled decay of matrices; biases and norms have none.
    pub weight_decay: f64,
    /// The gradients' norm is clipped to this.
    pub max_grad_norm: f64,
}

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Parameters that share a rate and a decay, with their moments.
struct Group {
    head: bool,
    decay: bool,
    names: Vec<String>,
    parameters: Vec<Tensor>,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
    steps: Vec<Tensor>,
}

pub struct Adamw {
    settings: AdamwSettings,
    groups: Vec<Group>,
    steps_taken: u64,
}

impl Adamw {
    /// An optimizer over `trainable`, whose tensors get gradients from now on.
    pub fn new<'a>(trainable: impl IntoIterator<Item = &'a Parameter>, settings: AdamwSettings) -> Result<Self> {
        let mut groups: Vec<Group> = [(false, true), (false, false), (true, true), (true, false)]
            .into_iter()
            .map(|(head, decay)| Group {
                head,
                decay,
                names: Vec::new(),
                parameters: Vec::new(),
                first: Vec::new(),
                second: Vec::new(),
                steps: Vec::new(),
            })
            .collect();
        for parameter in trainable {
            let (head, decay) = (parameter.place == Place::Head, parameter.decays());
            let Some(group) = groups.iter_mut().find(|group| (group.head, group.decay) == (head, decay)) else {
                continue;
            };
            let tensor = parameter.tensor.f_set_requires_grad(true)?;
            group.names.push(parameter.name().to_owned());
            group.first.push(tensor.f_zeros_like()?.f_detach()?);
            group.second.push(tensor.f_zeros_like()?.f_detach()?);
            group.steps.push(Tensor::f_zeros([1], (Kind::Float, tensor.device()))?);
            group.parameters.push(tensor);
        }
        groups.retain(|group| !group.parameters.is_empty());
        Ok(Self { settings, groups, steps_taken: 0 })
    }

    /// Steps taken since the run began.
    pub fn steps_taken(&self) -> u64 {
        self.steps_taken
    }

    /// One step with `factor` times the peak rates, on the gradients as they are; drops them afterwards. Returns the
    /// gradients' norm before clipping, a one-element tensor on the device: reading it waits, so read it seldom.
    pub fn step(&mut self, factor: f64) -> Result<Tensor> {
        let gradients = self.groups.iter().map(gradients).collect::<Result<Vec<_>>>()?;
        let all: Vec<Tensor> = gradients.iter().flatten().map(Tensor::shallow_clone).collect();
        let norm = native::global_norm(&all)?;
        let divisor = norm.f_add_scalar(1e-6)?.f_div_scalar(self.settings.max_grad_norm)?.f_clamp_min(1.0)?;
        self.steps_taken += 1;
        for (group, gradients) in self.groups.iter_mut().zip(&gradients) {
            for step in &mut group.steps {
                let _ = step.f_fill_(self.steps_taken as f64)?;
            }
            let rate = if group.head { self.settings.head_learning_rate } else { self.settings.learning_rate };
            let step = AdamwStep {
                learning_rate: rate * factor,
                beta1: BETA1,
                beta2: BETA2,
                epsilon: EPSILON,
                weight_decay: if group.decay { self.settings.weight_decay } else { 0.0 },
            };
            let Group { parameters, first, second, steps, .. } = group;
            native::fused_adamw(parameters, gradients, first, second, steps, step, Some(&divisor))?;
            native::clear_gradients(parameters)?;
        }
        Ok(norm)
    }

    /// The moments by name, to be saved.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let of_group = |group: &Group| {
            group
                .names
                .iter()
                .zip(group.first.iter().zip(&group.second))
                .flat_map(|(name, (first, second))| {
                    [
                        (format!("first.{name}"), first.shallow_clone()),
                        (format!("second.{name}"), second.shallow_clone()),
                    ]
                })
                .collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(of_group).collect()
    }

    /// Restores what [`state`](Self::state) gave after `steps_taken` steps.
    pub fn restore(&mut self, state: &Weights, steps_taken: u64) -> Result<()> {
        for group in &mut self.groups {
            for (index, name) in group.names.iter().enumerate() {
                for (prefix, moments) in [("first", &mut group.first), ("second", &mut group.second)] {
                    let Some(moment) = moments.get_mut(index) else { continue };
                    let saved = state.take(&format!("{prefix}.{name}"), &moment.size())?;
                    tch::no_grad(|| moment.f_copy_(&saved))?;
                }
            }
        }
        self.steps_taken = steps_taken;
        Ok(())
    }
}

/// The gradients of a group; zeros where the loss did not reach a parameter.
fn gradients(group: &Group) -> Result<Vec<Tensor>> {
    group
        .parameters
        .iter()
        .zip(&group.names)
        .map(|(parameter, name)| {
            let gradient = parameter.f_grad()?;
            if !gradient.defined() {
                return Ok(parameter.f_zeros_like()?.f_detach()?);
            }
            if gradient.size() != parameter.size() {
                return Err(Error::failure("the gradient has another shape than its parameter").key(name));
            }
            Ok(gradient)
        })
        .collect()
}
