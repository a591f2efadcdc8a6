//! What the accuracies allow to say: a winner, or those without a statistically clear difference from the best.

use super::anova::{ALPHA, CrossedVariance};
use super::result::{Comparison, More, Standing, Verdict};

/// The verdict, and what would narrow the deciding interval; `variances` are those of the pairs' differences in
/// accuracy.
pub fn judge(comparison: &Comparison, variances: &[CrossedVariance]) -> (Verdict, More) {
    let ranked = comparison.ranked();
    let Some((first, others)) = ranked.split_first() else {
        return (Verdict::Equal { names: Vec::new(), cheapest: String::new() }, More::Rows);
    };
    // How far the best is ahead of another.
    let lead_over = |other: &Standing| {
        comparison.pairs.iter().zip(variances).find_map(|(pair, variance)| match (&pair.a, &pair.b) {
            (a, b) if *a == first.name && *b == other.name => Some(*variance),
            (a, b) if *a == other.name && *b == first.name => Some(variance.reversed()),
            _ => None,
        })
    };
    // Whether the interval of that lead, of confidence 1 - `alpha`, leaves out zero.
    let is_clearly_worse = |other: &Standing, alpha: f64| {
        lead_over(other).is_some_and(|lead| lead.rows > 1 && lead.mean > lead.half_width(alpha))
    };
    // Each of the others may displace the best by chance: the chance of that error is divided among them.
    let alpha = ALPHA.min(2.0 * ALPHA / others.len().max(1) as f64);
    let more = others.first().and_then(|second| lead_over(second)).map_or(More::Rows, |lead| lead.more());
    let verdict = if !others.is_empty() && others.iter().all(|other| is_clearly_worse(other, ALPHA)) {
        Verdict::Winner { name: first.name.clone() }
    } else {
        let equal: Vec<&&Standing> =
            std::iter::once(first).chain(others.iter().filter(|other| !is_clearly_worse(other, alpha))).collect();
        let cheapest = equal.iter().min_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap_or(&first);
        Verdict::Equal {
            names: equal.iter().map(|standing| standing.name.clone()).collect(),
            cheapest: cheapest.name.clone(),
        }
    };
    (verdict, more)
}
