//! A comparison's verdict in words: what was found, what it rests on, and what the data do not allow to tell.

use crate::console::units;
use crate::error::listed;
use crate::evaluation::comparison::{Comparison, Difference, More, Pair, Standing, Verdict};

/// A split's name in a sentence: `validation`, `test`.
pub fn split_name(split: &str) -> &str {
    match split {
        "valid" => "validation",
        "folds" => "out-of-fold",
        other => other,
    }
}

/// The same with a capital.
pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The verdict in a few sentences, for people who have never met a confidence interval. `split` is that of the rows:
/// `test` or `valid`.
pub fn verdict(comparison: &Comparison, split: &str) -> String {
    let split = split_name(split);
    let ranked = comparison.ranked();
    let mut sentences = match &comparison.verdict {
        Verdict::Winner { name } => winner(comparison, split, name, &ranked),
        Verdict::Equal { names, cheapest } => equal(comparison, split, names, cheapest, &ranked),
    };
    sentences.extend(by_macro_f1(comparison, &ranked));
    if comparison.seeds == 1 {
        sentences.push(format!(
            "Only one seed was run, so this covers the choice of {split} rows but not the randomness of training: \
             another seed may say otherwise. Run three or more (--seeds 3)."
        ));
    }
    sentences.join(" ")
}

fn winner(comparison: &Comparison, split: &str, name: &str, ranked: &[&Standing]) -> Vec<String> {
    let mut sentences = Vec::new();
    if let [first, second, rest @ ..] = ranked {
        let by = comparison.between(name, &second.name).map_or_else(String::new, |(accuracy, _)| points(&accuracy));
        let all = if rest.is_empty() { "" } else { ", and clearly better than every other too" };
        sentences.push(format!(
            "`{name}` is best: {split} accuracy {:.3}, {by} above `{}`{}{all}.",
            first.accuracy.mean,
            second.name,
            if rest.is_empty() { "" } else { ", the next" },
        ));
        if first.baseline {
            sentences.push(
                "It is a baseline, made without the pretrained network: there is no evidence yet that fine-tuning \
                 beats it on these data."
                    .to_owned(),
            );
        }
    }
    sentences
}

fn equal(comparison: &Comparison, split: &str, names: &[String], cheapest: &str, ranked: &[&Standing]) -> Vec<String> {
    let among = |standing: &&&Standing| names.contains(&standing.name);
    if let [only] = names {
        // Alone at the top without being the winner: nobody else was there.
        return vec![format!("`{only}` was not compared with anything.")];
    }
    let data = measured_on(comparison, split);
    let between = if names.len() == 2 { "between" } else { "among" };
    let mut sentences =
        vec![format!("No winner: there is no statistically clear difference {between} {} on {data}.", listed(names))];
    if names.len() < ranked.len() {
        let worse = ranked.iter().filter(|standing| !among(standing)).map(|standing| &standing.name);
        sentences.push(format!("Less accurate: {}.", listed(worse)));
    }
    let seconds =
        ranked.iter().find(|standing| standing.name == cheapest).map_or(f64::NAN, |standing| standing.seconds);
    sentences.push(format!("The cheapest of them to train is `{cheapest}` ({}).", units::seconds(seconds)));
    let baselines: Vec<&str> =
        ranked.iter().filter(among).filter(|s| s.baseline).map(|standing| standing.name.as_str()).collect();
    if !baselines.is_empty() {
        let (is, them) = if baselines.len() == 1 { ("is a baseline", "it") } else { ("are baselines", "them") };
        sentences.push(format!(
            "{} {is}: there is no evidence yet that fine-tuning beats {them} on these data.",
            listed(baselines)
        ));
    }
    sentences.extend(unnoticed(comparison, split, names));
    sentences
}

/// What could go unnoticed: a difference as large as half of the widest interval between the first and another; and
/// what would narrow that interval.
fn unnoticed(comparison: &Comparison, split: &str, names: &[String]) -> Option<String> {
    let first = names.first()?;
    let half = |pair: &Pair| (pair.accuracy.high - pair.accuracy.low) / 2.0;
    let with_first = |pair: &&Pair| {
        [(&pair.a, &pair.b), (&pair.b, &pair.a)].iter().any(|(one, other)| *one == first && names.contains(other))
    };
    let (clear, unclear): (Vec<&Pair>, Vec<&Pair>) = comparison
        .pairs
        .iter()
        .filter(with_first)
        .partition(|pair| pair.accuracy.low > 0.0 || pair.accuracy.high < 0.0);
    // The list allows for the number of comparisons, the intervals of the pairs do not.
    let alone = clear.iter().map(|pair| {
        format!(
            "The 95 % interval of the difference between `{}` and `{}` alone leaves out zero; with {} compared, that \
             much can be chance.",
            pair.a,
            pair.b,
            comparison.standings.len()
        )
    });
    let alone = alone.collect::<Vec<_>>().join(" ");
    let Some(widest) = unclear.into_iter().max_by(|one, other| half(one).total_cmp(&half(other))) else {
        return (!alone.is_empty()).then_some(alone);
    };
    let narrower = match widest.more {
        More::Rows if split == "out-of-fold" => "more rows".to_owned(),
        More::Rows => format!("more {split} rows"),
        More::Seeds => "more seeds".to_owned(),
    };
    let points = 100.0 * half(widest);
    let of = if names.len() > 2 { format!(" between `{}` and `{}`", widest.a, widest.b) } else { String::new() };
    let hidden = (points > 0.0).then(|| {
        format!(
            "A true difference of {points:.1} points{of} could go unnoticed with this much data; {narrower} would show \
             smaller ones."
        )
    });
    let said: Vec<String> = (!alone.is_empty()).then_some(alone).into_iter().chain(hidden).collect();
    (!said.is_empty()).then(|| said.join(" "))
}

/// Where macro-F1 clearly tells what accuracy does not: it prefers one that is less accurate, or a network to a
/// baseline. Whoever is above the same ones is named together, the best by macro-F1 first.
fn by_macro_f1(comparison: &Comparison, ranked: &[&Standing]) -> Vec<String> {
    let mut by_macro_f1 = ranked.to_vec();
    by_macro_f1.sort_by(|a, b| b.macro_f1.mean.total_cmp(&a.macro_f1.mean));
    let mut groups: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    for better in by_macro_f1 {
        let is_news = |worse: &&&Standing| {
            comparison.between(&better.name, &worse.name).is_some_and(|(accuracy, macro_f1)| {
                let disagrees = accuracy.mean < 0.0 || (worse.baseline && !better.baseline && accuracy.low <= 0.0);
                macro_f1.low > 0.0 && disagrees
            })
        };
        let below: Vec<&str> = ranked.iter().filter(is_news).map(|worse| worse.name.as_str()).collect();
        match groups.iter_mut().find(|(_, others)| *others == below) {
            _ if below.is_empty() => {}
            Some((above, _)) => above.push(&better.name),
            None => groups.push((vec![&better.name], below)),
        }
    }
    let sentence = |(number, (above, below)): (usize, &(Vec<&str>, Vec<&str>))| {
        let by = match number {
            0 => "By macro-F1, in which rare classes count as much as frequent ones,",
            _ => "By macro-F1 also",
        };
        match (above.as_slice(), below.as_slice()) {
            ([better], [worse]) => {
                let (_, difference) = comparison.between(better, worse)?;
                Some(format!("{by} `{better}` is {} above `{worse}`.", points(&difference)))
            }
            _ => {
                let are = if above.len() == 1 { "is" } else { "are" };
                Some(format!("{by} {} {are} clearly above {}.", listed(above), listed(below)))
            }
        }
    };
    groups.iter().enumerate().filter_map(sentence).collect()
}

/// `1,821 test rows and 3 seeds`.
fn measured_on(comparison: &Comparison, split: &str) -> String {
    let [rows, seeds] = [comparison.rows, comparison.seeds].map(|count| count as u64);
    format!("{} and {}", units::counted(rows, &format!("{split} row")), units::counted(seeds, "seed"))
}

/// `2.1 points (95 % interval 0.8 to 3.4)`.
fn points(difference: &Difference) -> String {
    let Difference { mean, low, high } = difference;
    format!("{:.1} points (95 % interval {:.1} to {:.1})", 100.0 * mean, 100.0 * low, 100.0 * high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::comparison::{Contender, compare};

    /// Predictions for 200 rows of two classes (the second every tenth), wrong in those named.
    fn list(wrong: impl Fn(usize) -> bool) -> Vec<u32> {
        (0..200).map(|row| u32::from((row % 10 == 9) != wrong(row))).collect()
    }

    fn words(contenders: &[(&str, f64, &[Vec<u32>])]) -> String {
        let contenders: Vec<Contender> = contenders
            .iter()
            .map(|&(name, seconds, lists)| Contender {
                name,
                predictions: lists.iter().map(Vec::as_slice).collect(),
                seconds,
                baseline: ["majority", "tf-idf"].contains(&name),
            })
            .collect();
        verdict(&compare(&list(|_| false), 2, &contenders).unwrap(), "test")
    }

    #[test]
    fn a_winner_is_named_with_its_lead() {
        let good: Vec<Vec<u32>> = (0..3).map(|seed| list(|row| row % 41 == seed)).collect();
        let poor: Vec<Vec<u32>> = (0..3).map(|seed| list(|row| row % 5 == seed)).collect();
        let majority = [vec![0; 200]];
        assert_eq!(
            words(&[("frozen", 2.0, &poor), ("full", 60.0, &good), ("majority", 0.0, &majority)]),
            "`full` is best: test accuracy 0.975, 7.5 points (95 % interval 2.6 to 12.4) above `majority`, the next, \
             and clearly better than every other too. By macro-F1, in which rare classes count as much as frequent \
             ones, `frozen` is 21.4 points (95 % interval 13.0 to 29.8) above `majority`."
        );
        assert_eq!(
            words(&[("full", 60.0, &poor), ("tf-idf", 1.0, &good)]),
            "`tf-idf` is best: test accuracy 0.975, 17.5 points (95 % interval 12.0 to 23.0) above `full`. It is a \
             baseline, made without the pretrained network: there is no evidence yet that fine-tuning beats it on \
             these data."
        );
    }

    #[test]
    fn without_a_winner_the_cheapest_is_named_and_what_would_show_smaller_differences() {
        let lists = |start: usize| -> Vec<Vec<u32>> {
            (0..3).map(|seed| list(|row| (row + start) % 9 == seed && row % 4 < 2 + seed)).collect()
        };
        let (full, lora, majority) = (lists(0), lists(4), [vec![1; 200]]);
        let tfidf = [list(|row| row % 12 == 0)];
        assert_eq!(
            words(&[
                ("full", 60.0, &full),
                ("lora", 42.0, &lora),
                ("tf-idf", 0.5, &tfidf),
                ("majority", 0.0, &majority)
            ]),
            "No winner: there is no statistically clear difference among `lora`, `tf-idf` and `full` on 200 test \
             rows and 3 seeds. Less accurate: `majority`. The cheapest of them to train is `tf-idf` (500 ms). `tf-idf` \
             is a baseline: there is no evidence yet that fine-tuning beats it on these data. A true difference of 6.5 \
             points between `full` and `lora` could go unnoticed with this much data; more seeds would show smaller \
             ones."
        );
    }

    #[test]
    fn a_single_seed_is_admitted_and_macro_f1_may_disagree() {
        let cautious = [list(|row| row % 10 == 9)];
        let bold = [list(|row| row % 10 != 9 && row % 7 == 1)];
        assert_eq!(
            words(&[("frozen", 2.0, &cautious), ("full", 60.0, &bold)]),
            "No winner: there is no statistically clear difference between `frozen` and `full` on 200 test rows and 1 \
             seed. The cheapest of them to train is `frozen` (2.0 s). A true difference of 6.8 points could go \
             unnoticed with this much data; more test rows would show smaller ones. By macro-F1, in which rare classes \
             count as much as frequent ones, `full` is 29.0 points (95 % interval 19.8 to 38.2) above `frozen`. Only \
             one seed was run, so this covers the choice of test rows but not the randomness of training: another seed \
             may say otherwise. Run three or more (--seeds 3)."
        );
        assert!(words(&[("full", 60.0, &bold)]).starts_with("`full` was not compared with anything."));
    }
}
