//! AdamW, fused over all parameters of a group, with a state that can be saved and restored exactly. What is trained
//! when is the scope's business, and the learning rate the schedule's.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::model::checkpoint::Weights;
use crate::model::parameter::{Parameter, ParameterLocation, Role};
use crate::native::{self, AdamwCoefficients, AdamwStep};

/// The numbers of AdamW (Loshchilov & Hutter 2019), with transformers' defaults for the moments.
#[derive(Debug, Clone, Copy)]
pub struct AdamwSettings {
    /// Peak rate of the backbone (and of what the checkpoint brought of the head).
    pub learning_rate: f64,
    /// Peak rate of the new head.
    pub head_learning_rate: f64,
    /// The last stage's rate is this times the backbone's, the one before has this times that, and so on (Clark et al.
    /// 2020); 1 gives all the same.
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
    fn rate(&self, location: ParameterLocation) -> f64 {
        match location {
            ParameterLocation::Head => self.head_learning_rate,
            ParameterLocation::PretrainedHead => self.learning_rate,
            ParameterLocation::Stage(stage) => {
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

/// A parameter is trained while at most so many stages are frozen.
fn unfreeze_at(location: ParameterLocation) -> usize {
    match location {
        ParameterLocation::Stage(stage) => stage,
        ParameterLocation::PretrainedHead | ParameterLocation::Head => usize::MAX,
    }
}

/// Parameters that share a rate and a decay and are trained from the same step on, with their moments.
struct ParameterGroup {
    rate: f64,
    decays: bool,
    /// Trained while no more stages than this are frozen.
    unfreeze_at: usize,
    /// Steps taken by this group; none before it is trained.
    steps_taken: u64,
    trained: bool,
    names: Vec<String>,
    parameters: Vec<Tensor>,
    /// Running means of the gradients, and of their squares.
    exp_avg: Vec<Tensor>,
    exp_avg_sq: Vec<Tensor>,
    /// One and the same tensor for all: libtorch wants one for each.
    steps: Vec<Tensor>,
}

/// A large table of which a step reads few rows. A row is updated when it is read again or when the whole table is
/// wanted ([`Adamw::flush`]): every step that it missed is then taken with that step's coefficients, so the result is
/// bit-equal to updating all rows in every step.
struct SparseTable {
    name: String,
    rate: f64,
    unfreeze_at: usize,
    trained: bool,
    steps_taken: u64,
    parameter: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    /// The steps that each row has had.
    steps: Vec<u32>,
    /// The coefficients of the steps from `since` on.
    coefficients: Vec<AdamwCoefficients>,
    since: u32,
}

/// The optimizer of a run.
pub struct Adamw {
    settings: AdamwSettings,
    groups: Vec<ParameterGroup>,
    /// The first table among the parameters, whose rows are updated as they are read. Further ones are updated whole.
    table: Option<SparseTable>,
}

impl Adamw {
    /// An optimizer over `trainable`. Which of them are trained, and get gradients,
    /// [`unfreeze_after`](Self::unfreeze_after) says.
    pub fn new<'a>(trainable: impl IntoIterator<Item = &'a Parameter>, settings: AdamwSettings) -> Result<Self> {
        let mut groups: Vec<ParameterGroup> = Vec::new();
        let mut table = None;
        for parameter in trainable {
            if parameter.role == Role::Table && table.is_none() {
                table = Some(SparseTable::new(parameter, settings.rate(parameter.location))?);
                continue;
            }
            let (rate, decays) = (settings.rate(parameter.location), parameter.decays());
            let unfreeze_at = unfreeze_at(parameter.location);
            let like =
                |group: &ParameterGroup| (group.rate, group.decays, group.unfreeze_at) == (rate, decays, unfreeze_at);
            match groups.iter_mut().find(|group| like(group)) {
                Some(group) => group.add(parameter)?,
                None => {
                    let mut group = ParameterGroup::new(rate, decays, unfreeze_at);
                    group.add(parameter)?;
                    groups.push(group);
                }
            }
        }
        Ok(Self { settings, groups, table })
    }

    /// From now on all parameters after the first `frozen` stages are trained: they get gradients and take part in
    /// steps. What is trained already stays so.
    pub fn unfreeze_after(&mut self, frozen: usize) -> Result<()> {
        for group in self.groups.iter_mut().filter(|group| !group.trained && group.unfreeze_at >= frozen) {
            group.trained = true;
            for parameter in &group.parameters {
                let _ = parameter.f_set_requires_grad(true)?;
            }
        }
        if let Some(table) = self.table.as_mut().filter(|table| !table.trained && table.unfreeze_at >= frozen) {
            table.trained = true;
            let _ = table.parameter.f_set_requires_grad(true)?;
        }
        Ok(())
    }

    /// Brings those rows of the table up to date that the next batch reads. Some may be listed twice.
    pub fn catch_up(&mut self, rows: Vec<i64>) -> Result<()> {
        match &mut self.table {
            Some(table) => table.catch_up(rows),
            None => Ok(()),
        }
    }

    /// Brings all parameters up to date. It must be called before they are used for anything but the next step.
    pub fn flush(&mut self) -> Result<()> {
        match &mut self.table {
            Some(table) => table.flush(),
            None => Ok(()),
        }
    }

    /// One step with `rate` times the peak rates, on the gradients as they are, which are dropped afterwards. Returns
    /// the gradients' norm before clipping, a one-element tensor on the device: reading it waits for the device.
    pub fn step(&mut self, rate: f64) -> Result<Tensor> {
        let mut groups: Vec<&mut ParameterGroup> = self.groups.iter_mut().filter(|group| group.trained).collect();
        let mut table = self.table.as_mut().filter(|table| table.trained);
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
            let step = self.settings.step(rate * group.rate, group.decays);
            let ParameterGroup { parameters, exp_avg, exp_avg_sq, steps, .. } = &mut **group;
            native::fused_adamw(parameters, gradients, exp_avg, exp_avg_sq, steps, step, Some(&divisor))?;
            native::clear_gradients(parameters)?;
        }
        if let Some(table) = &mut table {
            let step = self.settings.step(rate * table.rate, true);
            table.step(rows, step, divisor.f_double_value(&[])?)?;
        }
        Ok(norm)
    }

    /// The moments of every parameter, with the steps they have had; those of the table as of the last
    /// [`flush`](Self::flush).
    fn moments(&mut self) -> impl Iterator<Item = Moments<'_>> {
        let of_groups = self.groups.iter_mut().flat_map(|group| {
            let ParameterGroup { names, exp_avg, exp_avg_sq, steps_taken, .. } = group;
            let steps_taken = *steps_taken;
            let both = exp_avg.iter_mut().zip(exp_avg_sq.iter_mut());
            names.iter().zip(both).map(move |(name, (exp_avg, exp_avg_sq))| Moments {
                name,
                exp_avg,
                exp_avg_sq,
                steps_taken,
            })
        });
        let of_table = self.table.iter_mut().map(|table| Moments {
            name: &table.name,
            exp_avg: &mut table.exp_avg,
            exp_avg_sq: &mut table.exp_avg_sq,
            steps_taken: table.steps_taken,
        });
        of_groups.chain(of_table)
    }

    /// The moments and step counts by name, to be saved; those of the table as of the last [`flush`](Self::flush).
    pub fn state(&mut self) -> Result<Vec<(String, Tensor)>> {
        let mut state = Vec::new();
        for Moments { name, exp_avg, exp_avg_sq, steps_taken } in self.moments() {
            state.push((format!("exp_avg.{name}"), exp_avg.shallow_clone()));
            state.push((format!("exp_avg_sq.{name}"), exp_avg_sq.shallow_clone()));
            // Saved numbers are read in fp32, which holds two halves of 16 bits exactly.
            let halves = [(steps_taken >> 16) as f32, (steps_taken & 0xffff) as f32];
            state.push((format!("steps.{name}"), Tensor::f_from_slice(&halves)?));
        }
        Ok(state)
    }

    /// Restores what [`state`](Self::state) gave.
    pub fn restore(&mut self, state: &Weights) -> Result<()> {
        for Moments { name, exp_avg, exp_avg_sq, .. } in self.moments() {
            for (prefix, moment) in [("exp_avg", exp_avg), ("exp_avg_sq", exp_avg_sq)] {
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

/// The moments of one parameter.
struct Moments<'a> {
    name: &'a str,
    exp_avg: &'a mut Tensor,
    exp_avg_sq: &'a mut Tensor,
    steps_taken: u64,
}

impl ParameterGroup {
    fn new(rate: f64, decays: bool, unfreeze_at: usize) -> Self {
        Self {
            rate,
            decays,
            unfreeze_at,
            steps_taken: 0,
            trained: false,
            names: Vec::new(),
            parameters: Vec::new(),
            exp_avg: Vec::new(),
            exp_avg_sq: Vec::new(),
            steps: Vec::new(),
        }
    }

    fn add(&mut self, parameter: &Parameter) -> Result<()> {
        let tensor = parameter.tensor.shallow_clone();
        self.names.push(parameter.name().to_owned());
        self.exp_avg.push(tensor.f_zeros_like()?.f_detach()?);
        self.exp_avg_sq.push(tensor.f_zeros_like()?.f_detach()?);
        let shared = self.steps.first().map(Tensor::shallow_clone);
        self.steps.push(shared.map_or_else(|| Tensor::f_zeros([1], (Kind::Float, tensor.device())), Ok)?);
        self.parameters.push(tensor);
        Ok(())
    }
}

impl SparseTable {
    fn new(parameter: &Parameter, rate: f64) -> Result<Self> {
        let tensor = parameter.tensor.shallow_clone();
        let rows = tensor.size().first().copied().unwrap_or(0).max(0) as usize;
        Ok(Self {
            name: parameter.name().to_owned(),
            rate,
            unfreeze_at: unfreeze_at(parameter.location),
            trained: false,
            steps_taken: 0,
            exp_avg: tensor.f_zeros_like()?.f_detach()?,
            exp_avg_sq: tensor.f_zeros_like()?.f_detach()?,
            parameter: tensor,
            steps: vec![0; rows],
            coefficients: Vec::new(),
            since: 1,
        })
    }

    /// The rows that the step's backward passes have reached, in order and each once, and their gradients.
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
        self.coefficients.push(step.coefficients(self.steps_taken));
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

    /// All rows have had all steps: nobody will ask for the coefficients of earlier ones.
    fn forget(&mut self) -> Result<()> {
        self.coefficients.clear();
        self.since = step_number(self.steps_taken + 1)?;
        Ok(())
    }

    fn update(&mut self, mut rows: Vec<i64>, gradient: Option<(&Tensor, f64)>) -> Result<()> {
        let step = step_number(self.steps_taken)?;
        let Self { parameter, exp_avg, exp_avg_sq, steps, .. } = self;
        let table = native::TableState { parameter, exp_avg, exp_avg_sq, steps };
        native::adamw_rows(table, &mut rows, gradient, &self.coefficients, self.since, step)
    }
}

fn step_number(steps: u64) -> Result<u32> {
    u32::try_from(steps).map_err(|_| Error::failure("more than 4,294,967,295 steps"))
}

/// The gradients of a group; zeros where the loss did not reach a parameter. A further table's is made dense: the fused
/// kernel knows no sparse ones.
fn gradients(group: &ParameterGroup) -> Result<Vec<Tensor>> {
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
            if gradient.is_sparse() {
                return Ok(gradient.f_to_dense(None, false)?);
            }
            Ok(gradient)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tch::Device;

    use super::*;
    use crate::model::checkpoint::save_tensors;

    const STEPS: u64 = 60;
    /// Steps before the first stage is trained.
    const LATE: u64 = 7;

    fn settings() -> AdamwSettings {
        AdamwSettings {
            learning_rate: 1e-2,
            head_learning_rate: 2e-2,
            layer_decay: 0.5,
            stages: 2,
            weight_decay: 0.05,
            max_grad_norm: 1.0,
        }
    }

    /// tests/fixtures/make_adamw.py has the same.
    fn numbers(shape: &[i64], seed: u64, scale: f64) -> Tensor {
        let count = shape.iter().product::<i64>() as u64;
        let value = |index| ((index * 7919 + seed * 104_729) % 1009) as f64 / 1009.0 - 0.5;
        let values: Vec<f32> = (0..count).map(|index| (value(index) * scale) as f32).collect();
        Tensor::from_slice(&values).view(shape)
    }

    fn rows_read(height: i64, step: u64) -> Vec<i64> {
        (0..3).map(|read| (step as i64 * 5 + 2 * read) % height).collect()
    }

    fn parameters() -> Vec<Parameter> {
        let shapes: [(&str, &[i64], ParameterLocation); 5] = [
            ("words", &[9, 4], ParameterLocation::Stage(0)),
            ("positions", &[6, 4], ParameterLocation::Stage(0)),
            ("matrix", &[4, 5], ParameterLocation::Stage(1)),
            ("bias", &[5], ParameterLocation::Stage(1)),
            ("head", &[3, 5], ParameterLocation::Head),
        ];
        let parameter = |(at, (name, shape, place)): (usize, (&str, &[i64], ParameterLocation))| {
            let role = if at < 2 { Role::Table } else { Role::Weight };
            Parameter::new(name, numbers(shape, at as u64, 2.0), place, role)
        };
        shapes.into_iter().enumerate().map(parameter).collect()
    }

    /// A loss with the fixture's gradients: of tables those of the rows that are read, sparse.
    fn backward(parameters: &[Parameter], step: u64) -> Result<()> {
        let scale = if step.is_multiple_of(3) { 0.2 } else { 3.0 };
        for (at, parameter) in parameters.iter().enumerate().filter(|(_, one)| one.tensor.requires_grad()) {
            let size = parameter.tensor.size();
            let seed = 31 * step + at as u64;
            let loss = if parameter.role == Role::Table {
                let rows = Tensor::from_slice(&rows_read(size[0], step));
                Tensor::f_embedding(&parameter.tensor, &rows, -1, false, true)? * numbers(&[3, size[1]], seed, scale)
            } else {
                &parameter.tensor * numbers(&size, seed, scale)
            };
            loss.f_sum(Kind::Float)?.f_backward()?;
        }
        Ok(())
    }

    /// The steps `steps` of the fixture. Returns the gradients' norms.
    fn train(optimizer: &mut Adamw, parameters: &[Parameter], steps: std::ops::Range<u64>) -> Result<Vec<f64>> {
        steps
            .map(|step| {
                let frozen = usize::from(step < LATE);
                optimizer.unfreeze_after(frozen)?;
                if frozen == 0 {
                    optimizer.catch_up(rows_read(9, step))?;
                }
                backward(parameters, step)?;
                Ok(optimizer.step(1.0 - step as f64 / STEPS as f64)?.f_double_value(&[])?)
            })
            .collect()
    }

    fn values(parameter: &Parameter) -> Vec<f64> {
        Vec::try_from(parameter.tensor.detach().to_kind(Kind::Double).view([-1])).expect("a vector")
    }

    /// Clipping, groups with and without decay, layer-wise rates, stages that are unfrozen late, a table whose rows are
    /// updated as they are read, and a second table.
    #[test]
    fn sixty_steps_equal_torch() -> Result<()> {
        let expected: Value =
            serde_json::from_str(include_str!("../../tests/fixtures/adamw.json")).expect("the fixture is JSON");
        let floats = |value: &Value| -> Vec<f64> {
            value.as_array().expect("numbers").iter().map(|value| value.as_f64().expect("a number")).collect()
        };
        let parameters = parameters();
        let mut optimizer = Adamw::new(&parameters, settings())?;
        let norms = train(&mut optimizer, &parameters, 0..STEPS)?;
        optimizer.flush()?;
        let expected_norms = floats(&expected["norms"]);
        assert_eq!(norms.len(), expected_norms.len());
        for (step, (found, expected)) in norms.iter().zip(expected_norms).enumerate() {
            assert!((found / expected - 1.0).abs() < 1e-5, "norm of step {step}: {found}, torch has {expected}");
        }
        for parameter in &parameters {
            let name = parameter.name();
            for (found, expected) in values(parameter).iter().zip(floats(&expected["parameters"][name])) {
                assert!((found - expected).abs() < 2e-6, "{name}: {found}, torch has {expected}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_restored_optimizer_continues_to_the_same_bits() -> Result<()> {
        let whole = parameters();
        let mut optimizer = Adamw::new(&whole, settings())?;
        train(&mut optimizer, &whole, 0..STEPS)?;
        optimizer.flush()?;
        for interrupted_after in [3, LATE, 31] {
            let resumed = parameters();
            let mut optimizer = Adamw::new(&resumed, settings())?;
            train(&mut optimizer, &resumed, 0..interrupted_after)?;
            optimizer.flush()?;
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("state.safetensors");
            save_tensors(&file, optimizer.state()?)?;
            let mut optimizer = Adamw::new(&resumed, settings())?;
            optimizer.restore(&Weights::open_file(&file, Device::Cpu)?)?;
            train(&mut optimizer, &resumed, interrupted_after..STEPS)?;
            optimizer.flush()?;
            for (whole, resumed) in whole.iter().zip(&resumed) {
                assert_eq!(values(whole), values(resumed), "{} after step {interrupted_after}", whole.name());
            }
        }
        Ok(())
    }
}
