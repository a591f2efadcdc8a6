//! AdamW: fused over many tensors, and on single rows of an embedding table.

use std::ffi::c_char;
use std::ptr::null_mut;

use tch::{Device, Kind, Tensor};

use super::tensors::{Pointer, check, pointer, pointers};
use crate::error::{Error, Result};

unsafe extern "C" {
    fn rehead_fused_adamw(
        parameters: *const Pointer,
        gradients: *const Pointer,
        exp_avg: *const Pointer,
        exp_avg_sq: *const Pointer,
        steps: *const Pointer,
        count: usize,
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
        weight_decay: f64,
        divisor: Pointer,
    ) -> *mut c_char;
    fn rehead_adamw_rows(
        parameter: Pointer,
        exp_avg: Pointer,
        exp_avg_sq: Pointer,
        last: *mut u32,
        rows: *const i64,
        count: usize,
        gradient: Pointer,
        divisor: f64,
        coefficients: *const AdamwCoefficients,
        first_step: u32,
        step: u32,
    ) -> *mut c_char;
}

/// The hyperparameters of one AdamW step, the same for all tensors that it updates.
#[derive(Debug, Clone, Copy)]
pub struct AdamwStep {
    /// How far a parameter moves.
    pub learning_rate: f64,
    /// The decay of the average of gradients.
    pub beta1: f64,
    /// The decay of the average of their squares.
    pub beta2: f64,
    /// What keeps the divisor from 0.
    pub epsilon: f64,
    /// The decoupled decay, as a share of the learning rate.
    pub weight_decay: f64,
}

/// One fused AdamW step in place over parallel lists: parameters, gradients, averages of gradients and of their
/// squares, and step counts (one-element fp32 tensors). `divisor`, a one-element fp32 tensor, divides every gradient
/// first.
pub fn fused_adamw(
    parameters: &[Tensor],
    gradients: &[Tensor],
    exp_avg: &[Tensor],
    exp_avg_sq: &[Tensor],
    steps: &[Tensor],
    step: AdamwStep,
    divisor: Option<&Tensor>,
) -> Result<()> {
    let count = parameters.len();
    if [gradients.len(), exp_avg.len(), exp_avg_sq.len(), steps.len()] != [count; 4] {
        return Err(Error::failure("the optimizer's lists differ in length"));
    }
    // SAFETY: five lists of `count` valid tensors each, checked above.
    check(unsafe {
        rehead_fused_adamw(
            pointers(parameters).as_ptr(),
            pointers(gradients).as_ptr(),
            pointers(exp_avg).as_ptr(),
            pointers(exp_avg_sq).as_ptr(),
            pointers(steps).as_ptr(),
            count,
            step.learning_rate,
            step.beta1,
            step.beta2,
            step.epsilon,
            step.weight_decay,
            divisor.map_or(null_mut(), pointer),
        )
    })
}

/// The hyperparameters and bias corrections of one AdamW step on rows of a table, laid out as in kernels.h.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct AdamwCoefficients {
    learning_rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weight_decay: f32,
    correction1: f32,
    correction2_root: f32,
}

impl AdamwStep {
    /// The coefficients of step `step`, counted from 1: these hyperparameters and the bias corrections.
    pub fn coefficients(self, step: u64) -> AdamwCoefficients {
        let power = step.min(i32::MAX as u64) as i32;
        AdamwCoefficients {
            learning_rate: self.learning_rate as f32,
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            epsilon: self.epsilon as f32,
            weight_decay: self.weight_decay as f32,
            correction1: (1.0 - self.beta1.powi(power)) as f32,
            correction2_root: (1.0 - self.beta2.powi(power)).sqrt() as f32,
        }
    }
}

/// A table on the CPU whose rows are updated one by one: its optimizer state, and the steps that each row has had.
pub struct TableState<'a> {
    /// The weights, `[rows, width]` in fp32.
    pub parameter: &'a Tensor,
    /// The running average of gradients, of the same shape.
    pub exp_avg: &'a Tensor,
    /// The running average of their squares, of the same shape.
    pub exp_avg_sq: &'a Tensor,
    /// The steps that each row has had.
    pub steps: &'a mut [u32],
}

/// AdamW on some rows of a table. Steps a row has missed are done as steps without a gradient, up to and with `step`;
/// with `gradient` (a row for each of `rows`, divided by the divisor beside it), `step` itself is done with that.
/// `coefficients` has those of the steps from `first_step` on. `rows` is put in order and rid of what is there twice.
pub fn adamw_rows(
    table: TableState,
    rows: &mut Vec<i64>,
    gradient: Option<(&Tensor, f64)>,
    coefficients: &[AdamwCoefficients],
    first_step: u32,
    step: u32,
) -> Result<()> {
    rows.sort_unstable();
    rows.dedup();
    let TableState { parameter, exp_avg, exp_avg_sq, steps } = table;
    let size = parameter.size();
    let [height, width] = size[..] else {
        return Err(Error::failure(format!("the embedding table has the shape {size:?}, not two dimensions")));
    };
    let listed = |row: &i64| (0..height).contains(row);
    let known = |row: &i64| steps.get(*row as usize).is_some_and(|&had| had + 1 >= first_step || had >= step);
    let plain = |tensor: &Tensor| {
        tensor.size() == size
            && tensor.kind() == Kind::Float
            && tensor.device() == Device::Cpu
            && tensor.is_contiguous()
    };
    let all_there = steps.len() == height as usize
        && rows.iter().all(|row| listed(row) && known(row))
        && [parameter, exp_avg, exp_avg_sq].into_iter().all(plain)
        && gradient.is_none_or(|(gradient, _)| gradient.size() == [rows.len() as i64, width])
        && (coefficients.len() as u64 + u64::from(first_step) > u64::from(step));
    if !all_there {
        return Err(Error::failure("the optimizer's table and rows do not belong together"));
    }
    // SAFETY: three contiguous fp32 tables of one size, row numbers within them and none twice, a gradient row for
    // each, and coefficients for every step that is made up for: all checked above.
    check(unsafe {
        rehead_adamw_rows(
            pointer(parameter),
            pointer(exp_avg),
            pointer(exp_avg_sq),
            steps.as_mut_ptr(),
            rows.as_ptr(),
            rows.len(),
            gradient.map_or(null_mut(), |(gradient, _)| pointer(gradient)),
            gradient.map_or(1.0, |(_, divisor)| divisor),
            coefficients.as_ptr(),
            first_step,
            step,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::testing::random;

    /// torch.optim.AdamW with lr 0.1, betas (0.9, 0.999), eps 1e-8, weight_decay 0.01 on p = [1, -2], g = [0.5, 1]:
    /// two steps give [0.7981, -2.1959] (python: `p = torch.tensor([1., -2.]); o = torch.optim.AdamW([p], lr=0.1,
    /// weight_decay=0.01)`).
    #[test]
    fn two_adamw_steps_equal_torch() -> Result<()> {
        let zeros = || vec![Tensor::zeros([2], (Kind::Float, Device::Cpu))];
        let (parameter, gradient) = (vec![Tensor::from_slice(&[1f32, -2.0])], vec![Tensor::from_slice(&[0.5f32, 1.0])]);
        let (exp_avg, exp_avg_sq) = (zeros(), zeros());
        let steps = vec![Tensor::zeros([1], (Kind::Float, Device::Cpu))];
        let step = AdamwStep { learning_rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 };
        for count in 1..=2 {
            let _ = steps[0].shallow_clone().fill_(count as f64);
            fused_adamw(&parameter, &gradient, &exp_avg, &exp_avg_sq, &steps, step, None)?;
        }
        let values: Vec<f32> = Vec::try_from(&parameter[0]).map_err(Error::from)?;
        for (value, expected) in values.iter().zip([0.798_101, -2.195_902]) {
            assert!((value - expected).abs() < 2e-4, "{values:?}");
        }
        Ok(())
    }

    /// A row that catches up on the steps it missed is where it would be had it had them one by one.
    #[test]
    fn rows_of_a_table_may_be_updated_late() -> Result<()> {
        let step = AdamwStep { learning_rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 };
        let coefficients: Vec<AdamwCoefficients> = (1..=6).map(|at| step.coefficients(at)).collect();
        let run = |every_step: bool| -> Result<[Tensor; 3]> {
            let table = [
                random(&[5, 19], 1),
                Tensor::zeros([5, 19], (Kind::Float, Device::Cpu)),
                Tensor::zeros([5, 19], (Kind::Float, Device::Cpu)),
            ];
            let mut steps = vec![0u32; 5];
            for at in 1..=6u32 {
                let read = vec![1i64, i64::from(at) % 5];
                let (mut before, mut all) = (read.clone(), (0..5).collect());
                let rows = if every_step { &mut all } else { &mut before };
                let [parameter, exp_avg, exp_avg_sq] = table.each_ref();
                adamw_rows(
                    TableState { parameter, exp_avg, exp_avg_sq, steps: &mut steps },
                    rows,
                    None,
                    &coefficients,
                    1,
                    at - 1,
                )?;
                let mut rows = read;
                rows.sort_unstable();
                rows.dedup();
                let gradient = random(&[rows.len() as i64, 19], i64::from(at));
                adamw_rows(
                    TableState { parameter, exp_avg, exp_avg_sq, steps: &mut steps },
                    &mut rows,
                    Some((&gradient, 2.0)),
                    &coefficients,
                    1,
                    at,
                )?;
            }
            let [parameter, exp_avg, exp_avg_sq] = table.each_ref();
            adamw_rows(
                TableState { parameter, exp_avg, exp_avg_sq, steps: &mut steps },
                &mut (0..5).collect(),
                None,
                &coefficients,
                1,
                6,
            )?;
            Ok(table)
        };
        for (late, at_once) in run(false)?.iter().zip(run(true)?) {
            assert_eq!(late, &at_once);
        }
        Ok(())
    }
}
