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
    /// The last stage's rate is this times the backbone's, the one before has this times that, and so on (Clark et al. 2020);
    /// 1 gives all the same.
    pub layer_decay: f64,
    /// How many stages the backbone has.
    pub stages: usize,
    /// Decoupled decay of matrices; biases and norms have none.
    pub weight_decay: f64,
    /// The gradients' norm is clipped to this.
    pub max_grad_norm: f64,
}

impl AdamwSettings {
    /// The peak rate of a parameter.
    fn rate(&self, place: Place) -> f64 {
        match place {
            Place::Head => self.head_learning_rate,
            Place::PretrainedHead => self.learning_rate,
            Place::Stage(stage) => {
                let depth = self.stages.saturating_sub(stage).min(i32::MAX as usize) as i32;
                self.learning_rate * self.layer_decay.powi(depth)
            }
        }
    }

    fn step(&self, rate: f64, decays: bool) -> AdamwStep {
        AdamwStep {
            learning_rate: rate,
            beta1: BETA1,
            beta2: BETA2,
            epsilon: EPSILON,
            weight_decay: if decays { self.weight_decay } else { 0.0 },
        }
    }
}

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The frozen prefix in which a parameter is trained: at most so many stages.
fn joins_below(place: Place) -> usize {
    match place {
        Place::Stage(stage) => stage,
        Place::PretrainedHead | Place::Head => usize::MAX,
    }
}

/// Parameters that share a rate and a decay and are trained from the same step on, with their moments.
struct Group {
    rate: f64,
    decays: bool,
    /// Trained while no more stages than this are frozen.
    joins_below: usize,
    /// Steps taken by this group; none before it has joined.
    steps_taken: u64,
    joined: bool,
    names: Vec<String>,
    parameters: Vec<Tensor>,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
    /// One and the same tensor for all: libtorch wants one for each.
    steps: Vec<Tensor>,
}

/// A large table of which a step reads some rows. Each row is updated when it is read again or when the whole is wanted
/// ([`Adamw::flush`]): every step that it missed is then done with the numbers of that step, so that the result is the same to
/// the last bit as if all rows had been updated every time.
struct Table {
    name: String,
    rate: f64,
    joins_below: usize,
    joined: bool,
    steps_taken: u64,
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
}

impl Adamw {
    /// An optimizer over `trainable`. Which of them are trained, and get gradients, [`unfreeze_after`](Self::unfreeze_after) says.
    pub fn new<'a>(trainable: impl IntoIterator<Item = &'a Parameter>, settings: AdamwSettings) -> Result<Self> {
        let mut groups: Vec<Group> = Vec::new();
        let mut table = None;
        for parameter in trainable {
            if parameter.table && table.is_none() {
                table = Some(Table::new(parameter, settings.rate(parameter.place))?);
                continue;
            }
            let (rate, decays) = (settings.rate(parameter.place), parameter.decays());
            let joins_below = joins_below(parameter.place);
            let like = |group: &Group| (group.rate, group.decays, group.joins_below) == (rate, decays, joins_below);
            match groups.iter_mut().find(|group| like(group)) {
                Some(group) => group.add(parameter)?,
                None => {
                    let mut group = Group::new(rate, decays, joins_below);
                    group.add(parameter)?;
                    groups.push(group);
                }
            }
        }
        Ok(Self { settings, groups, table })
    }

    /// From now on all parameters behind a prefix of `frozen` stages are trained: they get gradients and take part in
    /// steps. What has joined stays.
    pub fn unfreeze_after(&mut self, frozen: usize) -> Result<()> {
        for group in self.groups.iter_mut().filter(|group| !group.joined && group.joins_below >= frozen) {
            group.joined = true;
            for parameter in &group.parameters {
                let _ = parameter.f_set_requires_grad(true)?;
            }
        }
        if let Some(table) = self.table.as_mut().filter(|table| !table.joined && table.joins_below >= frozen) {
            table.joined = true;
            let _ = table.parameter.f_set_requires_grad(true)?;
        }
        Ok(())
    }

    /// Brings the table's rows that the next batch reads up to date. Some may be listed twice.
    pub fn catch_up(&mut self, rows: Vec<i64>) -> Result<()> {
        match &mut self.table {
            Some(table) => table.catch_up(rows),
            None => Ok(()),
        }
    }

    /// Brings all parameters up to date: to be called before they are used for anything but the next step.
    pub fn flush(&mut self) -> Result<()> {
        match &mut self.table {
            Some(table) => table.flush(),
            None => Ok(()),
        }
    }

    /// One step with `factor` times the peak rates, on the gradients as they are; drops them afterwards. Returns the
    /// gradients' norm before clipping, a one-element tensor on the device: reading it waits, so read it seldom.
    pub fn step(&mut self, factor: f64) -> Result<Tensor> {
        let mut groups: Vec<&mut Group> = self.groups.iter_mut().filter(|group| group.joined).collect();
        let mut table = self.table.as_mut().filter(|table| table.joined);
        let gradients = groups.iter().map(|group| gradients(group)).collect::<Result<Vec<_>>>()?;
        let mut all: Vec<Tensor> = gradients.iter().flatten().map(Tensor::shallow_clone).collect();
        let rows = table.as_ref().map(|table| table.gradient()).transpose()?.flatten();
        all.extend(rows.as_ref().map(|(_, values)| values.shallow_clone()));
        let norm = native::global_norm(&all)?;
        let divisor = norm.f_add_scalar(1e-6)?.f_div_scalar(self.settings.max_grad_norm)?.f_clamp_min(1.0)?;
        for (group, gradients) in groups.iter_mut().zip(&gradients) {
            group.steps_taken += 1;
            if let Some(shared) = group.steps.first_mut() {
                let _ = shared.f_fill_(group.steps_taken as f64)?;
            }
            let step = self.settings.step(factor * group.rate, group.decays);
            let Group { parameters, first, second, steps, .. } = &mut **group;
            native::fused_adamw(parameters, gradients, first, second, steps, step, Some(&divisor))?;
            native::clear_gradients(parameters)?;
        }
        if let Some(table) = &mut table {
            let step = self.settings.step(factor * table.rate, true);
            table.step(rows, step, divisor.f_double_value(&[])?)?;
        }
        Ok(norm)
    }

    /// Every moment, with the steps it has had, under its parameter's name; of the table as of the last
    /// [`flush`](Self::flush).
    fn moments(&mut self) -> impl Iterator<Item = Moments<'_>> {
        let of_groups = self.groups.iter_mut().flat_map(|group| {
            let Group { names, first, second, steps_taken, .. } = group;
            let taken = *steps_taken;
            let both = first.iter_mut().zip(second.iter_mut());
            names.iter().zip(both).map(move |(name, (first, second))| Moments { name, first, second, taken })
        });
        let of_table = self.table.iter_mut().map(|table| Moments {
            name: &table.name,
            first: &mut table.first,
            second: &mut table.second,
            taken: table.steps_taken,
        });
        of_groups.chain(of_table)
    }

    /// The moments and numbers of steps by name, to be saved; of the table those as of the last [`flush`](Self::flush).
    pub fn state(&mut self) -> Result<Vec<(String, Tensor)>> {
        let mut state = Vec::new();
        for Moments { name, first, second, taken } in self.moments() {
            state.push((format!("first.{name}"), first.shallow_clone()));
            state.push((format!("second.{name}"), second.shallow_clone()));
            // Saved numbers are read in fp32, which holds two halves of 16 bits exactly.
            state.push((
                format!("steps.{name}"),
                Tensor::f_from_slice(&[(taken >> 16) as f32, (taken & 0xffff) as f32])?,
            ));
        }
        Ok(state)
    }

    /// Restores what [`state`](Self::state) gave.
    pub fn restore(&mut self, state: &Weights) -> Result<()> {
        for Moments { name, first, second, .. } in self.moments() {
            for (prefix, moment) in [("first", first), ("second", second)] {
                let saved = state.take(&format!("{prefix}.{name}"), &moment.size())?;
                tch::no_grad(|| moment.f_copy_(&saved))?;
            }
        }
        let taken = |name: &str| -> Result<u64> {
            let halves = state.take(&format!("steps.{name}"), &[2])?;
            Ok(((halves.f_double_value(&[0])? as u64) << 16) + halves.f_double_value(&[1])? as u64)
        };
        for group in &mut self.groups {
            group.steps_taken = group.names.first().map_or(Ok(0), |name| taken(name))?;
        }
        if let Some(table) = &mut self.table {
            table.steps_taken = taken(&table.name)?;
            table.steps.fill(step_number(table.steps_taken)?);
            table.forget()?;
        }
        Ok(())
    }
}

/// What a parameter's moments are.
struct Moments<'a> {
    name: &'a str,
    first: &'a mut Tensor,
    second: &'a mut Tensor,
    taken: u64,
}

impl Group {
    fn new(rate: f64, decays: bool, joins_below: usize) -> Self {
        Self {
            rate,
            decays,
            joins_below,
            steps_taken: 0,
            joined: false,
            names: Vec::new(),
            parameters: Vec::new(),
            first: Vec::new(),
            second: Vec::new(),
            steps: Vec::new(),
        }
    }

    fn add(&mut self, parameter: &Parameter) -> Result<()> {
        let tensor = parameter.tensor.shallow_clone();
        self.names.push(parameter.name().to_owned());
        self.first.push(tensor.f_zeros_like()?.f_detach()?);
        self.second.push(tensor.f_zeros_like()?.f_detach()?);
        let shared = self.steps.first().map(Tensor::shallow_clone);
        self.steps.push(shared.map_or_else(|| Tensor::f_zeros([1], (Kind::Float, tensor.device())), Ok)?);
        self.parameters.push(tensor);
        Ok(())
    }
}

impl Table {
    fn new(parameter: &Parameter, rate: f64) -> Result<Self> {
        let tensor = parameter.tensor.shallow_clone();
        let rows = tensor.size().first().copied().unwrap_or(0).max(0) as usize;
        Ok(Self {
            name: parameter.name().to_owned(),
            rate,
            joins_below: joins_below(parameter.place),
            joined: false,
            steps_taken: 0,
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

    fn step(&mut self, rows: Option<(Vec<i64>, Tensor)>, step: AdamwStep, divisor: f64) -> Result<()> {
        self.steps_taken += 1;
        self.numbers.push(step.numbers(self.steps_taken));
        if let Some((rows, gradient)) = rows {
            self.update(rows, Some((&gradient, divisor)))?;
        }
        native::clear_gradients(&[self.parameter.shallow_clone()])
    }

    fn catch_up(&mut self, rows: Vec<i64>) -> Result<()> {
        self.update(rows, None)
    }

    fn flush(&mut self) -> Result<()> {
        self.update((0..self.steps.len() as i64).collect(), None)?;
        self.forget()
    }

    /// All rows have had all steps: nobody will ask for the numbers of earlier ones.
    fn forget(&mut self) -> Result<()> {
        self.numbers.clear();
        self.since = step_number(self.steps_taken + 1)?;
        Ok(())
    }

    fn update(&mut self, mut rows: Vec<i64>, gradient: Option<(&Tensor, f64)>) -> Result<()> {
        let step = step_number(self.steps_taken)?;
        let Self { parameter, first, second, steps, .. } = self;
        let table = native::Table { parameter, first, second, steps };
        native::adamw_rows(table, &mut rows, gradient, &self.numbers, self.since, step)
    }
}

fn step_number(steps: u64) -> Result<u32> {
    u32::try_from(steps).map_err(|_| Error::failure("more than four thousand million steps"))
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
