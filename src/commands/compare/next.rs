//! Which run to continue with after a comparison, and the commands that do.

use std::path::PathBuf;

use serde::Serialize;

use super::runs::{Contender, FinishedRun, judged};
use crate::evaluation::comparison::{Comparison, Verdict};
use crate::report::NextStep;
use crate::report::next_steps::{named, shell_word};

/// So much accuracy may a cheaper strategy have less, where no difference is clear.
const A_POINT: f64 = 0.01;

/// The run to continue with.
#[derive(Debug, Clone, Serialize)]
pub struct Recommendation {
    pub strategy: String,
    pub seed: u64,
    pub run: PathBuf,
    /// Of the run, on the validation data or out of fold, by which it was chosen among its strategy's seeds.
    pub valid_accuracy: Option<f64>,
    /// Whether it was judged by folds alone, and its model is still to be trained.
    pub without_model: bool,
    /// Why this strategy, in words that follow its name.
    pub reason: String,
    /// Why this seed; nothing where there is one.
    pub seed_reason: Option<String>,
}

/// The recommended strategy's best run on the validation data. The strategy is the winner; or the cheapest to train of
/// those that are not clearly worse than the best, and by no more than a point of accuracy. A baseline leaves no model:
/// the best network is named then. Runs that give every row the same label are left out, unless all do.
pub fn recommend(contenders: &[Contender], comparison: &Comparison) -> Option<Recommendation> {
    let ranked = comparison.ranked();
    let networks = || contenders.iter().filter(|contender| !contender.baseline);
    let all_are_constant = networks().all(|contender| varied(&contender.finished).is_empty());
    let usable = |contender: &&Contender| all_are_constant || !varied(&contender.finished).is_empty();
    let is_network = |name: &str| networks().filter(usable).any(|contender| contender.name == name);
    let best_network = ranked.iter().find(|standing| is_network(&standing.name))?;
    let (name, reason) = match &comparison.verdict {
        Verdict::Winner { name } if is_network(name) => (name, "the best"),
        Verdict::Winner { name } if networks().any(|contender| contender.name == *name) => {
            (&best_network.name, "the best of the networks that tell labels apart")
        }
        Verdict::Winner { .. } => (&best_network.name, "the best of the networks, though a baseline is better"),
        Verdict::Equal { .. } if networks().count() == 1 => (&best_network.name, "the only network"),
        Verdict::Equal { .. } if networks().filter(usable).count() == 1 => {
            (&best_network.name, "the only network that tells labels apart")
        }
        Verdict::Equal { names, .. } => {
            let equal = ranked.iter().filter(|standing| names.contains(&standing.name) && is_network(&standing.name));
            let near = equal.filter(|standing| standing.accuracy.mean >= best_network.accuracy.mean - A_POINT);
            match near.min_by(|a, b| a.seconds.total_cmp(&b.seconds)) {
                None => (&best_network.name, "the best of the networks, though a baseline is better"),
                Some(near) if near.name == best_network.name => {
                    (&near.name, "the most accurate network, though not by a statistically clear difference")
                }
                Some(near) => (&near.name, "the cheapest to train of those as accurate as the best, to a point"),
            }
        }
    };
    let contender = contenders.iter().find(|contender| contender.name == *name)?;
    let (run, seed_reason) = best_on_validation(&contender.finished)?;
    Some(Recommendation {
        strategy: name.clone(),
        seed: run.metrics.seed,
        run: run.run.clone(),
        valid_accuracy: judged(&run.metrics).map(|(_, valid)| valid.accuracy),
        without_model: run.metrics.without_model,
        reason: reason.to_owned(),
        seed_reason,
    })
}

/// Whether two runs predict the same with the same confidence.
fn agree(one: &FinishedRun, other: &FinishedRun) -> bool {
    let loss = |run: &FinishedRun| judged(&run.metrics).map(|(_, valid)| (valid.accuracy, valid.loss));
    one.predicted == other.predicted && one.confidence == other.confidence && loss(one) == loss(other)
}

/// The runs that do not give every row the same label.
fn varied(runs: &[FinishedRun]) -> Vec<&FinishedRun> {
    runs.iter().filter(|run| run.only_answer().is_none()).collect()
}

/// The most accurate run on the validation data, of equals that with the lower loss, then the earlier one; and of
/// several what decided.
fn best_on_validation(runs: &[FinishedRun]) -> Option<(&FinishedRun, Option<String>)> {
    let varied = varied(runs);
    let candidates = if varied.is_empty() { runs.iter().collect() } else { varied };
    let score = |run: &FinishedRun| judged(&run.metrics).map_or((0.0, f64::INFINITY), |(_, v)| (v.accuracy, v.loss));
    let best = candidates.iter().copied().reduce(|best, run| {
        let ((accuracy, loss), (best_accuracy, best_loss)) = (score(run), score(best));
        if accuracy > best_accuracy || (accuracy == best_accuracy && loss < best_loss) { run } else { best }
    })?;
    if runs.len() > 1 && runs.windows(2).all(|runs| matches!(runs, [one, other] if agree(one, other))) {
        return Some((best, Some(format!("its {} seeds give the same", runs.len()))));
    }
    let seeds = |of: &dyn Fn(&FinishedRun) -> bool| -> Vec<String> {
        let others = runs.iter().filter(|run| run.metrics.seed != best.metrics.seed && of(run));
        others.map(|run| run.metrics.seed.to_string()).collect()
    };
    let is_candidate = |run: &FinishedRun| candidates.iter().any(|other| other.metrics.seed == run.metrics.seed);
    let (accuracy, loss) = score(best);
    let equal = seeds(&|run| is_candidate(run) && score(run).0 == accuracy);
    let wholly_equal = seeds(&|run| is_candidate(run) && score(run) == (accuracy, loss));
    let constant = seeds(&|run| !is_candidate(run));
    let decided = match (equal.len(), wholly_equal.is_empty()) {
        (0, _) => String::new(),
        (_, true) => format!(", as with {}, but a lower loss", equal.join(", ")),
        (_, false) => format!(" and loss, as with {}", wholly_equal.join(", ")),
    };
    let left_out = match constant.is_empty() {
        true => String::new(),
        false => format!("; with {} every row gets the same label", constant.join(", ")),
    };
    let seed = best.metrics.seed;
    let reason = judged(&best.metrics).filter(|_| runs.len() > 1).map(|(split, _)| {
        let (count, where_best) = (runs.len(), if split == "folds" { "out of fold" } else { "on the validation rows" });
        format!("of its {count} seeds, {seed} is best {where_best} (accuracy {accuracy:.3}{decided}{left_out})")
    });
    Some((best, reason))
}

impl Recommendation {
    /// ``Recommended run: `both/full/seed-43`. `full` is the best; of its 3 seeds, 43 is best …``.
    pub fn in_words(&self) -> String {
        let Self { strategy, run, reason, seed_reason, .. } = self;
        let run = named(&run.display().to_string());
        let of_seeds = seed_reason.as_ref().map_or(String::new(), |reason| format!("; {reason}"));
        format!("Recommended run: {run}. `{strategy}` is {reason}{of_seeds}.")
    }
}

/// What to do after a comparison; `input` stands for what is to be labelled.
pub fn steps(recommended: Option<&Recommendation>, comparison: &Comparison, split: &str, input: &str) -> Vec<NextStep> {
    let mut steps = Vec::new();
    if let Some(recommended) = recommended {
        let run = shell_word(&recommended.run);
        if recommended.without_model {
            let words = format!("{} Its model is still to be trained, on all rows:", recommended.in_words());
            steps.push(NextStep::new(words).command(format!("rehead train --resume --out {run}")));
        }
        let then = match recommended.without_model {
            true => "Then label with it:".to_owned(),
            false => format!("{} Label with it:", recommended.in_words()),
        };
        steps.push(
            NextStep::new(then).command(format!("rehead label --model {run} --input {input} --output labelled.csv")),
        );
    }
    if comparison.seeds == 1 {
        steps.push(NextStep::new(
            "Only one seed was run, so the randomness of training is not covered: run the same command with \
             `--seeds 3`. Finished runs are kept.",
        ));
    }
    if split == "valid" {
        steps.push(NextStep::new(
            "There are no test data: the scores are those of the validation rows, which also chose the weights. Give \
             labelled rows that no run has seen with `--test`.",
        ));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::comparison::compare;
    use crate::evaluation::evaluate;
    use crate::report::{Predictions, RunMetrics};

    /// Contenders on 400 rows: name, baseline, wrong rows, seconds and validation accuracy of two seeds.
    fn recommended(of: &[(&str, bool, usize, f64, [f64; 2])]) -> Recommendation {
        let truth = vec![0; 400];
        let labels: Vec<String> = ["a", "b"].map(str::to_owned).to_vec();
        let finished = |&(name, _, wrong, seconds, valid): &(&str, bool, usize, f64, [f64; 2])| -> Vec<FinishedRun> {
            let run = |(seed, accuracy): (usize, f64)| {
                let predicted: Vec<u32> = (0..400).map(|row| u32::from((row + seed) % 400 < wrong)).collect();
                let logits = |row: u32| if f64::from(row) < accuracy * 100.0 { [1.0, 0.0] } else { [0.0, 1.0] };
                let valid = evaluate(&(0..100).flat_map(logits).collect::<Vec<f32>>(), &[0; 100], &labels).unwrap();
                let metrics = serde_json::json!({
                    "model": "m", "strategy": name, "seed": seed, "train_rows": 9, "train_seconds": seconds,
                    "tokens_per_second": null, "trainable_parameters": 1, "total_parameters": 1,
                    "peak_memory_bytes": 1, "valid": valid,
                });
                let metrics: RunMetrics = serde_json::from_value(metrics).unwrap();
                FinishedRun {
                    run: format!("{name}/seed-{seed}").into(),
                    metrics,
                    predictions: Predictions { truth: truth.clone(), probabilities: Vec::new() },
                    predicted,
                    confidence: Vec::new(),
                    history: Vec::new(),
                    saved_bytes: 0,
                }
            };
            valid.into_iter().enumerate().map(run).collect()
        };
        let contenders: Vec<Contender> = of
            .iter()
            .map(|one| Contender { name: one.0.to_owned(), baseline: one.1, finished: finished(one) })
            .collect();
        let compared: Vec<_> = contenders.iter().map(Contender::as_compared).collect();
        recommend(&contenders, &compare(&truth, 2, &compared).unwrap()).unwrap()
    }

    #[test]
    fn the_best_seed_of_the_best_or_nearly_best_strategy_is_recommended() {
        let majority = ("majority", true, 200, 0.0, [0.5, 0.5]);
        for (contenders, run, reason) in [
            // A winner, and its better seed.
            (
                vec![("frozen", false, 100, 1.0, [0.8, 0.9]), ("full", false, 4, 60.0, [0.9, 0.95])],
                "full/seed-1",
                "the best",
            ),
            // As good to half a point: the cheaper one.
            (
                vec![("frozen", false, 22, 1.0, [0.9, 0.8]), ("full", false, 20, 60.0, [0.9, 0.9])],
                "frozen/seed-0",
                "cheapest",
            ),
            // More than a point worse, if not clearly: the more accurate one.
            (
                vec![("frozen", false, 25, 1.0, [0.9, 0.8]), ("full", false, 20, 60.0, [0.9, 0.9])],
                "full/seed-0",
                "most accurate",
            ),
            (
                vec![("tf-idf", true, 2, 1.0, [0.9, 0.9]), ("full", false, 80, 60.0, [0.7, 0.8])],
                "full/seed-1",
                "baseline is better",
            ),
        ] {
            let found = recommended(&[contenders, vec![majority]].concat());
            assert_eq!(found.run.display().to_string(), run, "{found:?}");
            assert!(found.reason.contains(reason), "{found:?}");
        }
    }
}
