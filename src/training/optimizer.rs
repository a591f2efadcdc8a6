//! AdamW with a state of its own, fused over all parameters, so that it is fast and can be saved and restored exactly.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::model::checkpoint::Weights;
use crate::model::parameters::{Parameter, Place};
use crate::native::{self, AdamwNumbers, AdamwStep};

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

/// A large table of which a step reads some rows. Each row is updated when it is read again or when the whole is wanted
/// ([`Adamw::settle`]): every step that it missed is then done with the numbers of that step, so that the result is the same to
/// the last bit as if all rows had been updated every time.
struct Table {
    name: String,
    parameter: Tensor,
    first: Tensor,
    second: Tensor,
    /// The steps that each row has had.
    steps: Vec<u32>,
    /// The numbers of the steps from `since` on.
    numbers: Vec<AdamwNumbers>,
    since: u32,
}

pub struct Adamw {
    settings: AdamwSettings,
    groups: Vec<Group>,
    table: Option<Table>,
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
        let mut table = None;
        for parameter in trainable {
            if parameter.table && table.is_none() {
                table = Some(Table::new(parameter)?);
                continue;
            }
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
        Ok(Self { settings, groups, table, steps_taken: 0 })
    }

    /// Steps taken since the run began.
    pub fn steps_taken(&self) -> u64 {
        self.steps_taken
    }

    /// Brings the table's rows that the next batch reads up to date. Some may be listed twice.
    pub fn read(&mut self, rows: Vec<i64>) -> Result<()> {
        match &mut self.table {
            Some(table) => table.catch_up(rows, self.steps_taken),
            None => Ok(()),
        }
    }

    /// Brings all parameters up to date: to be called before they are used for anything but the next step.
    pub fn settle(&mut self) -> Result<()> {
        match &mut self.table {
            Some(table) => table.settle(self.steps_taken),
            None => Ok(()),
        }
    }

    /// One step with `factor` times the peak rates, on the gradients as they are; drops them afterwards. Returns the
    /// gradients' norm before clipping, a one-element tensor on the device: reading it waits, so read it seldom.
    pub fn step(&mut self, factor: f64) -> Result<Tensor> {
        let gradients = self.groups.iter().map(gradients).collect::<Result<Vec<_>>>()?;
        let mut all: Vec<Tensor> = gradients.iter().flatten().map(Tensor::shallow_clone).collect();
        let rows = self.table.as_ref().map(Table::gradient).transpose()?.flatten();
        all.extend(rows.as_ref().map(|(_, values)| values.shallow_clone()));
        let norm = native::global_norm(&all)?;
        let divisor = norm.f_add_scalar(1e-6)?.f_div_scalar(self.settings.max_grad_norm)?.f_clamp_min(1.0)?;
        self.steps_taken += 1;
        for (group, gradients) in self.groups.iter_mut().zip(&gradients) {
            for step in &mut group.steps {
                let _ = step.f_fill_(self.steps_taken as f64)?;
            }
            let step = numbers(&self.settings, factor, group.head, group.decay);
            let Group { parameters, first, second, steps, .. } = group;
            native::fused_adamw(parameters, gradients, first, second, steps, step, Some(&divisor))?;
            native::clear_gradients(parameters)?;
        }
        if let Some(table) = &mut self.table {
            let step = numbers(&self.settings, factor, false, true);
            table.step(rows, step, divisor.f_double_value(&[])?, self.steps_taken)?;
        }
        Ok(norm)
    }

    /// The moments by name, to be saved; of the table those as of the last [`settle`](Self::settle).
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let of_groups =
            self.groups.iter().flat_map(|group| group.names.iter().zip(group.first.iter().zip(&group.second)));
        let of_table = self.table.iter().map(|table| (&table.name, (&table.first, &table.second)));
        of_groups
            .chain(of_table)
            .flat_map(|(name, (first, second))| {
                [(format!("first.{name}"), first.shallow_clone()), (format!("second.{name}"), second.shallow_clone())]
            })
            .collect()
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
        if let Some(table) = &mut self.table {
            for (prefix, moment) in [("first", &mut table.first), ("second", &mut table.second)] {
                let saved = state.take(&format!("{prefix}.{}", table.name), &moment.size())?;
                tch::no_grad(|| moment.f_copy_(&saved))?;
            }
            table.steps.fill(step_number(steps_taken)?);
            table.forget(steps_taken)?;
        }
        self.steps_taken = steps_taken;
        Ok(())
    }
}

impl Table {
    fn new(parameter: &Parameter) -> Result<Self> {
        let tensor = parameter.tensor.f_set_requires_grad(true)?;
        let rows = tensor.size().first().copied().unwrap_or(0).max(0) as usize;
        Ok(Self {
            name: parameter.name().to_owned(),
            first: tensor.f_zeros_like()?.f_detach()?,
            second: tensor.f_zeros_like()?.f_detach()?,
            parameter: tensor,
            steps: vec![0; rows],
            numbers: Vec::new(),
            since: 1,
        })
    }

    /// The rows that the last backward passes reached, in order and each once, and their gradients.
    fn gradient(&self) -> Result<Option<(Vec<i64>, Tensor)>> {
        let gradient = self.parameter.f_grad()?;
        if !gradient.defined() {
            return Ok(None);
        }
        let gradient = gradient.f_coalesce()?;
        let rows = Vec::try_from(&gradient.f_indices()?.f_view([-1])?)?;
        Ok(Some((rows, gradient.f_values()?)))
    }

    fn step(&mut self, rows: Option<(Vec<i64>, Tensor)>, step: AdamwStep, divisor: f64, number: u64) -> Result<()> {
        self.numbers.push(step.numbers(number));
        if let Some((rows, gradient)) = rows {
            self.update(rows, Some((&gradient, divisor)), number)?;
        }
        native::clear_gradients(&[self.parameter.shallow_clone()])
    }

    fn catch_up(&mut self, rows: Vec<i64>, steps_taken: u64) -> Result<()> {
        self.update(rows, None, steps_taken)
    }

    fn settle(&mut self, steps_taken: u64) -> Result<()> {
        self.update((0..self.steps.len() as i64).collect(), None, steps_taken)?;
        self.forget(steps_taken)
    }

    /// All rows have had all steps: nobody will ask for the numbers of earlier ones.
    fn forget(&mut self, steps_taken: u64) -> Result<()> {
        self.numbers.clear();
        self.since = step_number(steps_taken + 1)?;
        Ok(())
    }

    fn update(&mut self, mut rows: Vec<i64>, gradient: Option<(&Tensor, f64)>, step: u64) -> Result<()> {
        let Self { parameter, first, second, steps, .. } = self;
        let table = native::Table { parameter, first, second, steps };
        native::adamw_rows(table, &mut rows, gradient, &self.numbers, self.since, step_number(step)?)
    }
}

fn step_number(steps: u64) -> Result<u32> {
    u32::try_from(steps).map_err(|_| Error::failure("more than four thousand million steps"))
}

/// The numbers of a step with `factor` times the peak rate.
fn numbers(settings: &AdamwSettings, factor: f64, head: bool, decay: bool) -> AdamwStep {
    AdamwStep {
        learning_rate: factor * if head { settings.head_learning_rate } else { settings.learning_rate },
        beta1: BETA1,
        beta2: BETA2,
        epsilon: EPSILON,
        weight_decay: if decay { settings.weight_decay } else { 0.0 },
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
