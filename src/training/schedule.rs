//! The learning rate over a run, as a factor on the rate asked for: a pure function of the step.
//!
//! The three schedules are those of transformers (`get_linear_schedule_with_warmup`,
//! `get_cosine_schedule_with_warmup`, `get_constant_schedule_with_warmup`), to the last bit but for the cosine's
//! library. Applying the factor to parameter groups is the optimizer's business.

pub use crate::config::Schedule;

impl Schedule {
    /// The factor, from 0 to 1, for the optimizer step that follows `step` finished ones (so the first step asks for
    /// 0).
    ///
    /// Over the first [`warmup_steps`] the factor rises evenly from 0; with any warm-up at all the first step
    /// therefore does nothing, as in transformers. At `total_steps` and beyond, linear and cosine give 0.
    pub fn factor(self, step: u64, total_steps: u64, warmup_ratio: f64) -> f64 {
        let warmup = warmup_steps(total_steps, warmup_ratio);
        if step < warmup {
            return step as f64 / warmup as f64;
        }
        let decay = total_steps.saturating_sub(warmup).max(1) as f64;
        match self {
            Self::Linear => total_steps.saturating_sub(step) as f64 / decay,
            Self::Cosine => {
                // Past the end the cosine would rise again.
                let progress = ((step - warmup) as f64 / decay).min(1.0);
                (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0)
            }
            Self::Constant => 1.0,
        }
    }
}

/// The number of warm-up steps: the ratio (0 to 1) of all steps, rounded up.
pub fn warmup_steps(total_steps: u64, warmup_ratio: f64) -> u64 {
    // The cast saturates and takes NaN for 0.
    ((total_steps as f64 * warmup_ratio).ceil() as u64).min(total_steps)
}

/// A step's place in the schedule, which counts as many steps in every epoch as in the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulePosition {
    /// Steps of the schedule before this one.
    pub step: u64,
    /// Steps of the schedule in all.
    pub total: u64,
}

/// Which stages of the backbone are frozen at a step: the first so many, in evaluation mode and without gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfreezing {
    /// The same stages throughout.
    Never {
        /// How many, from the embeddings on; 0 trains all.
        frozen: usize,
    },
    /// Gradual unfreezing (Howard & Ruder 2018) from the last stage on: the head alone at first, then one stage more at
    /// a time, evenly over the first half of all steps; the second half trains all of them.
    OneByOne {
        /// How many the backbone has.
        stages: usize,
    },
}

impl Unfreezing {
    /// The number of frozen stages in the step that follows `step` finished ones.
    pub fn frozen(self, step: u64, total_steps: u64) -> usize {
        match self {
            Self::Never { frozen } => frozen,
            Self::OneByOne { stages } => {
                // Stage k from the end joins at the start of the k-th of `stages + 1` even parts.
                let parts = stages as u128 + 1;
                let joined = u128::from(step) * 2 * parts / u128::from(total_steps.max(1));
                stages - (joined.min(stages as u128) as usize)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(schedule: Schedule) -> Vec<f64> {
        (0..11).map(|step| schedule.factor(step, 10, 0.21)).collect()
    }

    // o = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    // l = transformers.get_linear_schedule_with_warmup(o, 3, 10)
    // (cosine alike; get_constant_schedule_with_warmup(o, 3))
    // for _ in range(11): print(l.get_last_lr()[0]); o.step(); l.step()
    #[test]
    #[rustfmt::skip]
    fn equals_transformers() {
        let third = [0.0, 0.3333333333333333, 0.6666666666666666];
        assert_eq!(factors(Schedule::Linear)[..3], third);
        assert_eq!(factors(Schedule::Linear)[3..], [1.0, 0.8571428571428571, 0.7142857142857143, 0.5714285714285714,
            0.42857142857142855, 0.2857142857142857, 0.14285714285714285, 0.0]);
        assert_eq!(factors(Schedule::Cosine)[..3], third);
        let cosine = [1.0, 0.9504844339512095, 0.8117449009293668, 0.6112604669781572, 0.38873953302184283,
            0.18825509907063326, 0.04951556604879048, 0.0];
        for (found, expected) in factors(Schedule::Cosine)[3..].iter().zip(cosine) {
            assert!((found - expected).abs() < 1e-15, "{found} is not {expected}");
        }
        assert_eq!(factors(Schedule::Constant)[..3], third);
        assert_eq!(factors(Schedule::Constant)[3..], [1.0; 8]);
    }

    #[test]
    fn warm_up_is_rounded_up_as_in_transformers() {
        // transformers.TrainingArguments(warmup_steps=ratio).get_warmup_steps(total)
        for (total, ratio, expected) in
            [(10, 0.1, 1), (3, 0.1, 1), (650, 0.06, 39), (10, 0.3, 3), (70, 0.1, 7), (0, 0.1, 0)]
        {
            assert_eq!(warmup_steps(total, ratio), expected, "{ratio} of {total}");
        }
    }

    #[test]
    fn odd_arguments_stay_between_0_and_1() {
        for schedule in [Schedule::Linear, Schedule::Cosine, Schedule::Constant] {
            for ratio in [f64::NAN, -1.0, 0.0, 1.0, 7.0, f64::INFINITY] {
                for (step, total) in [(0, 0), (5, 0), (5, 5), (u64::MAX, 10), (0, u64::MAX)] {
                    let factor = schedule.factor(step, total, ratio);
                    assert!(
                        (0.0..=1.0).contains(&factor),
                        "{schedule} at {step} of {total}, warm-up {ratio}: {factor}"
                    );
                }
            }
        }
    }

    #[test]
    fn stages_join_one_at_a_time_until_half_of_the_steps() {
        let unfreezing = Unfreezing::OneByOne { stages: 3 };
        let frozen: Vec<usize> = (0..16).map(|step| unfreezing.frozen(step, 16)).collect();
        assert_eq!(frozen, [3, 3, 2, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(unfreezing.frozen(0, 0), 3);
        assert_eq!(Unfreezing::OneByOne { stages: 0 }.frozen(5, 9), 0);
        assert_eq!(Unfreezing::Never { frozen: 4 }.frozen(9, 9), 4);
    }
}
