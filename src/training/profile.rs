//! Where the time of training goes, for `rehead train --profile`: what an optimizer step consists of, by kind of
//! operation, and what happens between steps.

use std::time::Instant;

use crate::console::{Column, Table};
use crate::native::profiler;

/// Kinds of operation, and how the names of libtorch's and our own operations tell them; the first that fits counts.
const KINDS: [(&str, &[&str]); 9] = [
    ("attention", &["Attend", "rehead::attention", "flash_attention", "softmax"]),
    ("dropout, residual, layer norm", &["AddNorm", "Dropout", "rehead::add_norm", "layer_norm", "dropout"]),
    ("activation", &["Activate", "rehead::gelu", "gelu", "tanh", "relu", "silu"]),
    ("optimizer", &["adamw", "rehead::global_norm", "norm", "clamp"]),
    ("matrix products", &["mm", "linear", "matmul"]),
    ("embeddings", &["embedding", "index_select", "coalesce", "index_add", "sort"]),
    ("loss", &["cross_entropy", "nll_loss"]),
    ("casts and copies", &["copy", "aten::to", "clone", "contiguous", "cat"]),
    ("fills and sums", &["fill", "zero", "aten::sum", "aten::add", "empty", "ones"]),
];
const OTHER: &str = "other operations";
const OUTSIDE: &str = "loading batches, and time outside operations";

/// Follows a run; does nothing unless it was asked for.
pub struct Profile {
    on: bool,
    steps: u64,
    step_seconds: f64,
    evaluation_seconds: f64,
    snapshot_seconds: f64,
}

impl Profile {
    /// Measures only where `on` is true.
    pub fn new(on: bool) -> Self {
        Self { on, steps: 0, step_seconds: 0.0, evaluation_seconds: 0.0, snapshot_seconds: 0.0 }
    }

    /// Runs an optimizer step.
    pub fn step<T>(&mut self, step: impl FnOnce() -> T) -> T {
        if !self.on {
            return step();
        }
        let began = Instant::now();
        profiler::run();
        let result = step();
        profiler::pause();
        self.steps += 1;
        self.step_seconds += began.elapsed().as_secs_f64();
        result
    }

    /// Runs an evaluation of the validation data and adds its time.
    pub fn evaluation<T>(&mut self, evaluation: impl FnOnce() -> T) -> T {
        timed(&mut self.evaluation_seconds, evaluation)
    }

    /// Runs what saves a snapshot when one is due, and adds its time.
    pub fn snapshot<T>(&mut self, snapshot: impl FnOnce() -> T) -> T {
        timed(&mut self.snapshot_seconds, snapshot)
    }

    /// The split as a table, when it was asked for. `seconds`: all the time of this session's training.
    pub fn table(&self, seconds: f64) -> Option<Table> {
        if !self.on {
            return None;
        }
        let mut parts: Vec<(&str, f64, u64)> = KINDS.iter().map(|(kind, _)| (*kind, 0.0, 0)).collect();
        parts.push((OTHER, 0.0, 0));
        for operation in profiler::take() {
            let kind = kind_of(&operation.name);
            if let Some(part) = parts.iter_mut().find(|(name, ..)| *name == kind) {
                part.1 += operation.seconds;
                part.2 += operation.calls;
            }
        }
        let outside = self.step_seconds - parts.iter().map(|(_, seconds, _)| seconds).sum::<f64>();
        parts.push((OUTSIDE, outside.max(0.0), 0));
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));

        let steps = self.steps.max(1) as f64;
        let mut table = Table::new([
            Column::left("where the time goes"),
            Column::right("share"),
            Column::right("seconds"),
            Column::right("ms per step"),
            Column::right("calls per step"),
        ]);
        let mut row = |name: &str, part: f64, steps: Option<f64>, calls: u64| {
            let a_step = steps.map_or(String::new(), |steps| format!("{:.2}", part * 1e3 / steps));
            let calls =
                steps.filter(|_| calls > 0).map_or(String::new(), |steps| format!("{:.0}", calls as f64 / steps));
            let share = format!("{:.1} %", 100.0 * part / seconds.max(1e-9));
            table.row([name.to_owned(), share, format!("{part:.2}"), a_step, calls]);
        };
        row(&format!("{} optimizer steps", self.steps), self.step_seconds, Some(steps), 0);
        for (name, part, calls) in parts.into_iter().filter(|(_, part, _)| *part > 0.0) {
            row(&format!("  {name}"), part, Some(steps), calls);
        }
        row("evaluation", self.evaluation_seconds, None, 0);
        row("snapshots", self.snapshot_seconds, None, 0);
        let rest = seconds - self.step_seconds - self.evaluation_seconds - self.snapshot_seconds;
        row("everything else", rest.max(0.0), None, 0);
        Some(table)
    }
}

fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = work();
    *seconds += began.elapsed().as_secs_f64();
    result
}

fn kind_of(operation: &str) -> &'static str {
    let fits = |(_, marks): &&(&str, &[&str])| marks.iter().any(|mark| operation.contains(mark));
    KINDS.iter().find(fits).map_or(OTHER, |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_fall_under_what_they_do() {
        for (operation, kind) in [
            ("aten::addmm", "matrix products"),
            ("aten::mkldnn_linear", "matrix products"),
            ("torch::autograd::CppNode<(anonymous namespace)::Attend>", "attention"),
            ("torch::autograd::CppNode<(anonymous namespace)::AddNorm>", "dropout, residual, layer norm"),
            ("aten::_fused_adamw_", "optimizer"),
            ("aten::linalg_vector_norm", "optimizer"),
            ("aten::_to_copy", "casts and copies"),
            ("aten::nll_loss_backward", "loss"),
            ("aten::t", OTHER),
        ] {
            assert_eq!(kind_of(operation), kind, "{operation}");
        }
    }
}
