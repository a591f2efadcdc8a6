//! Which examples share a batch, and in which order batches come: a pure function of costs, seed and epoch.
//!
//! Training shuffles, then groups by length within chunks of many batches, so that batches are even in length and their
//! order stays random. Inference sorts by length. Neither looks at what an example is, only at its cost (tokens).

use crate::random::Random;

/// How many examples make a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// A fixed number of examples.
    Examples(usize),
    /// As many examples as fit this many tokens (at least one).
    Tokens(usize),
}

/// A chunk of this many batches is sorted by length before it is cut into batches, as Hugging Face's length-grouped
/// sampler does with its "mega-batches".
const BATCHES_PER_CHUNK: usize = 50;

/// The batches of a training epoch: every example once, in an order that depends on (`seed`, `epoch`) alone.
pub fn training_epoch(costs: &[usize], size: BatchSize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let mut random = Random::of(&[seed, epoch]);
    let mut order: Vec<usize> = (0..costs.len()).collect();
    random.shuffle(&mut order);

    let mut batches = Vec::new();
    for chunk in order.chunks_mut(examples_per_batch(costs, size) * BATCHES_PER_CHUNK) {
        chunk.sort_by_key(|&index| costs[index]); // stable: equal lengths stay shuffled
        batches.extend(cut(chunk, costs, size));
    }
    random.shuffle(&mut batches);
    batches
}

/// Batches for inference over `examples`: sorted by length, longest first (what needs most memory comes first).
pub fn by_length(examples: &[usize], costs: impl Fn(usize) -> usize, tokens: usize) -> Vec<Vec<usize>> {
    let mut sorted: Vec<(usize, usize)> = examples.iter().map(|&index| (costs(index), index)).collect();
    sorted.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut used = usize::MAX;
    for (cost, index) in sorted {
        match batches.last_mut() {
            Some(batch) if used.saturating_add(cost) <= tokens => {
                batch.push(index);
                used += cost;
            }
            _ => {
                batches.push(vec![index]);
                used = cost;
            }
        }
    }
    batches
}

/// Splits a step's examples into micro-batches of at most `tokens` each, which are computed one after another.
pub fn micro_batches(step: &[usize], costs: &[usize], tokens: usize) -> Vec<Vec<usize>> {
    let mut sorted = step.to_vec();
    sorted.sort_by_key(|&index| costs[index]);
    cut(&sorted, costs, BatchSize::Tokens(tokens))
}

fn examples_per_batch(costs: &[usize], size: BatchSize) -> usize {
    match size {
        BatchSize::Examples(examples) => examples.max(1),
        BatchSize::Tokens(tokens) => {
            let mean = costs.iter().sum::<usize>() as f64 / costs.len().max(1) as f64;
            ((tokens as f64 / mean.max(1.0)) as usize).max(1)
        }
    }
}

fn cut(sorted: &[usize], costs: &[usize], size: BatchSize) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut used = 0;
    for &index in sorted {
        let fits = match (batches.last(), size) {
            (None, _) => false,
            (Some(batch), BatchSize::Examples(examples)) => batch.len() < examples,
            (Some(_), BatchSize::Tokens(tokens)) => used + costs[index] <= tokens,
        };
        match batches.last_mut() {
            Some(batch) if fits => {
                batch.push(index);
                used += costs[index];
            }
            _ => {
                batches.push(vec![index]);
                used = costs[index];
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs() -> Vec<usize> {
        (0..1000).map(|i| 3 + (i * 7919) % 60).collect()
    }

    #[test]
    fn an_epoch_holds_every_example_once_and_stays_within_the_budget() {
        let costs = costs();
        let batches = training_epoch(&costs, BatchSize::Tokens(256), 1, 0);
        let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
        assert!(batches.iter().all(|batch| batch.iter().map(|&i| costs[i]).sum::<usize>() <= 256));
    }

    #[test]
    fn the_order_is_a_function_of_seed_and_epoch() {
        let costs = costs();
        let epoch = |seed, epoch| training_epoch(&costs, BatchSize::Examples(32), seed, epoch);
        assert_eq!(epoch(1, 0), epoch(1, 0));
        assert_ne!(epoch(1, 0), epoch(1, 1));
        assert_ne!(epoch(1, 0), epoch(2, 0));
    }

    #[test]
    fn lengths_within_a_batch_are_near_each_other() {
        let costs = costs();
        let batches = training_epoch(&costs, BatchSize::Examples(16), 1, 0);
        let spread: usize = batches
            .iter()
            .map(|batch| {
                let lengths = batch.iter().map(|&i| costs[i]);
                lengths.clone().max().unwrap_or(0) - lengths.min().unwrap_or(0)
            })
            .sum();
        assert!(spread / batches.len() <= 2, "mean spread {}", spread / batches.len());
    }

    #[test]
    fn an_example_above_the_budget_has_a_batch_of_its_own() {
        assert_eq!(by_length(&[0, 1, 2], |i| [5, 100, 6][i], 20), vec![vec![1], vec![2, 0]]);
        assert_eq!(micro_batches(&[0, 1, 2], &[5, 100, 6], 20), vec![vec![0, 2], vec![1]]);
    }
}
