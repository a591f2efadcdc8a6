//! Compares contenders by their predictions for the same rows.

use std::collections::HashSet;

use super::anova::{SeedDispersion, difference, summary};
use super::entries::Entries;
use super::mcnemar::mcnemar;
use super::result::{Comparison, Contender, More, Pair, Standing, Verdict};
use super::verdict::judge;
use crate::error::{Error, Result};

/// Compares `contenders` by their predictions for rows whose true labels are `truth`, indices below `classes`.
///
/// # Errors
///
/// When there is nothing to compare, two have one name, lists differ in length or number, or a label is out of range.
pub fn compare(truth: &[u32], classes: usize, contenders: &[Contender]) -> Result<Comparison> {
    let seeds = check(truth, classes, contenders)?;
    let rows = truth.len();
    let scored: Vec<ScoredContender> =
        contenders.iter().map(|contender| ScoredContender::new(contender, truth, classes, seeds)).collect();

    let of_accuracy = SeedDispersion::pooled(scored.iter().map(|scored| scored.accuracy.as_slice()), rows);
    let of_macro_f1 = SeedDispersion::pooled(scored.iter().map(|scored| scored.macro_f1.as_slice()), rows);
    let standings = scored
        .iter()
        .map(|scored| Standing {
            name: scored.contender.name.to_owned(),
            baseline: scored.contender.baseline,
            seconds: scored.contender.seconds,
            accuracy: summary(&scored.accuracy, rows, of_accuracy),
            macro_f1: summary(&scored.macro_f1, rows, of_macro_f1),
        })
        .collect();

    let mut pairs = Vec::new();
    let mut variances = Vec::new();
    for (index, a) in scored.iter().enumerate() {
        for b in scored.iter().skip(index + 1) {
            let accuracy = difference(&a.accuracy, &b.accuracy, rows, of_accuracy);
            pairs.push(Pair {
                a: a.contender.name.to_owned(),
                b: b.contender.name.to_owned(),
                accuracy: accuracy.difference(),
                macro_f1: difference(&a.macro_f1, &b.macro_f1, rows, of_macro_f1).difference(),
                more: accuracy.more(),
                mcnemar: a
                    .accuracy
                    .iter()
                    .zip(&b.accuracy)
                    .enumerate()
                    .map(|(seed, (a, b))| mcnemar(seed, a, b))
                    .collect(),
            });
            variances.push(accuracy);
        }
    }
    let mut comparison = Comparison {
        rows,
        seeds,
        classes,
        standings,
        pairs,
        verdict: Verdict::Equal { names: Vec::new(), cheapest: String::new() },
        more: More::Rows,
    };
    (comparison.verdict, comparison.more) = judge(&comparison, &variances);
    Ok(comparison)
}

/// The number of seeds.
fn check(truth: &[u32], classes: usize, contenders: &[Contender]) -> Result<usize> {
    if truth.is_empty() {
        return Err(Error::request("there are no rows to compare on"));
    }
    let seeds = contenders.iter().map(|contender| contender.predictions.len()).max().unwrap_or(0);
    let out_of_range = |list: &[u32]| list.iter().position(|&label| label as usize >= classes);
    if let Some(row) = out_of_range(truth) {
        return Err(Error::failure(format!("row {} has a label beyond the {classes} there are", row + 1)));
    }
    let mut names = HashSet::new();
    for Contender { name, predictions, .. } in contenders {
        if !names.insert(*name) {
            return Err(Error::request(format!("`{name}` is compared twice")).hint("name each strategy once"));
        }
        if predictions.len() != seeds && predictions.len() != 1 {
            let found = predictions.len();
            return Err(Error::failure(format!("`{name}` has predictions of {found} seeds, others of {seeds}")));
        }
        for list in predictions {
            if list.len() != truth.len() {
                let (found, rows) = (list.len(), truth.len());
                return Err(Error::failure(format!("`{name}` has {found} predictions for {rows} rows")));
            }
            if let Some(row) = out_of_range(list) {
                let row = row + 1;
                return Err(Error::failure(format!("`{name}` predicts for row {row} a label beyond the {classes}")));
            }
        }
    }
    match seeds {
        0 => Err(Error::request("there are no predictions to compare")),
        seeds => Ok(seeds),
    }
}

/// A contender with its entries by seed.
struct ScoredContender<'a> {
    contender: &'a Contender<'a>,
    accuracy: Vec<Entries<'a>>,
    macro_f1: Vec<Entries<'a>>,
}

impl<'a> ScoredContender<'a> {
    fn new(contender: &'a Contender<'a>, truth: &'a [u32], classes: usize, seeds: usize) -> Self {
        let lists = contender.predictions.iter().cycle().take(seeds);
        Self {
            contender,
            accuracy: lists.clone().map(|list| Entries::of_accuracy(list, truth)).collect(),
            macro_f1: lists.map(|list| Entries::of_macro_f1(list, truth, classes)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::comparison::anova::quantile;
    use crate::evaluation::comparison::mcnemar::even_division;
    use crate::evaluation::comparison::{Difference, Summary};
    use crate::random::Random;

    /// Draws runs of strategies: rows differ in difficulty, classes in size, and a seed shifts a whole run.
    struct Simulation {
        rows: usize,
        seeds: usize,
        /// By contender: mean, spread over rows and spread over seeds of the log-odds of being right.
        contenders: Vec<(f64, f64, f64)>,
    }

    const CLASSES: usize = 4;
    /// Of 100 rows those of the first class, the first two, …
    const CUMULATIVE: [u64; CLASSES] = [60, 85, 95, 100];
    const ROW_SPREAD: f64 = 1.5;

    fn normal(random: &mut Random) -> f64 {
        (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos()
    }

    impl Simulation {
        fn draw(&self, random: &mut Random) -> (Vec<u32>, Vec<Vec<Vec<u32>>>) {
            let class = |draw: u64| CUMULATIVE.iter().take_while(|&&end| draw >= end).count() as u32;
            let truth: Vec<u32> = (0..self.rows).map(|_| class(random.below(100))).collect();
            let difficulty: Vec<f64> = truth.iter().map(|_| ROW_SPREAD * normal(random)).collect();
            let predictions = self
                .contenders
                .iter()
                .map(|&(mean, own, by_seed)| {
                    let own: Vec<f64> = truth.iter().map(|_| own * normal(random)).collect();
                    (0..self.seeds)
                        .map(|_| {
                            let run = mean + by_seed * normal(random);
                            let row = |((&truth, difficulty), own): ((&u32, &f64), &f64)| {
                                let right = 1.0 / (1.0 + (-(run + difficulty + own)).exp());
                                // A wrong answer is one of the others.
                                let other = (truth + 1 + random.below(CLASSES as u64 - 1) as u32) % CLASSES as u32;
                                if random.unit() < right { truth } else { other }
                            };
                            truth.iter().zip(&difficulty).zip(&own).map(row).collect()
                        })
                        .collect()
                })
                .collect();
            (truth, predictions)
        }

        fn compare(&self, random: &mut Random) -> Comparison {
            let (truth, predictions) = self.draw(random);
            let names: Vec<String> = (0..predictions.len()).map(|index| index.to_string()).collect();
            let contenders: Vec<Contender> =
                names.iter().zip(&predictions).map(|(name, lists)| contender(name, lists)).collect();
            compare(&truth, CLASSES, &contenders).unwrap()
        }
    }

    fn contender<'a>(name: &'a str, lists: &'a [Vec<u32>]) -> Contender<'a> {
        let predictions = lists.iter().map(Vec::as_slice).collect();
        Contender { name, predictions, seconds: 1.0, baseline: false }
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    const TRUTH: [u32; 10] = [0, 0, 0, 1, 1, 2, 2, 0, 1, 0];
    const A: [[u32; 10]; 3] =
        [[0, 0, 0, 1, 1, 2, 2, 0, 0, 1], [0, 0, 0, 1, 1, 2, 0, 0, 1, 0], [0, 0, 1, 1, 1, 2, 2, 0, 0, 0]];
    const B: [[u32; 10]; 3] =
        [[0, 1, 0, 1, 1, 0, 2, 2, 0, 1], [0, 1, 0, 0, 1, 2, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0, 2, 0, 0, 0]];

    fn lists(of: &[[u32; 10]]) -> Vec<Vec<u32>> {
        of.iter().map(|list| list.to_vec()).collect()
    }

    #[test]
    fn intervals_equal_an_analysis_of_variance_in_numpy() {
        // f1 = lambda y, p: f1_score(y, p, average="macro", zero_division=0)
        // def pseudo(p):
        //     v = np.array([n * f1(y, p) - (n - 1) * f1(np.delete(y, r), np.delete(p, r)) for r in range(n)])
        //     return v - v.mean() + f1(y, p)
        // def squares(d):  # d: rows x seeds; the mean squares of seeds and of the residual
        //     n, k = d.shape; r, s, g = d.mean(1), d.mean(0), d.mean()
        //     return n*((s - g)**2).sum()/(k - 1), ((d - r[:, None] - s + g)**2).sum()/((n - 1)*(k - 1))
        // def interval(d, extra, contenders):
        //     n, k = d.shape; r, g = d.mean(1), d.mean()
        //     ms_r = k*(((r - g)**2).sum() + extra)/(n - 1); ms_s, ms_e = squares(d)
        //     f = 2 + 2*(k - 1); q = (2*4 + sum((k - 1)*s/e for s, e in map(squares, contenders)))/f
        //     t_n, t_f, z = stats.t.ppf(0.975, n - 1), stats.t.ppf(0.975, f), stats.norm.ppf(0.975)
        //     seeds = max(t_n**2*ms_e, t_f**2*q*ms_e, z**2*ms_s)
        //     h = np.sqrt(t_n**2*max(ms_r - ms_e, 0)/(n*k) + seeds/(n*k))
        //     return g - h, g + h
        // ra, rb = (a == y).T, (b == y).T
        // pa, pb = [np.array([pseudo(p) for p in x]).T for x in (a, b)]
        // for a, b in ((ra.astype(float), rb.astype(float)), (pa, pb)):
        //     print((a - b).mean(), *interval(a - b, 2*((a - b)[ra != rb]**2).mean(), (a, b)))
        let (a, b) = (lists(&A), lists(&B));
        let comparison = compare(&TRUTH, 3, &[contender("a", &a), contender("b", &b)]).unwrap();
        let Pair { accuracy, macro_f1, .. } = &comparison.pairs[0];
        for (difference, expected) in [
            (accuracy, [0.3, -0.1382771647125745, 0.7382771647125745]),
            (macro_f1, [0.3016033349366683, -0.23995039496489207, 0.8431570648382287]),
        ] {
            close(difference.mean, expected[0]);
            close(difference.low, expected[1]);
            close(difference.high, expected[2]);
        }
        close(comparison.standings[0].accuracy.spread.unwrap(), 0.05773502691896258); // np.std([.8, .9, .8], ddof=1)
        let (accuracy, macro_f1) = comparison.between("b", "a").unwrap();
        assert!(accuracy == comparison.pairs[0].accuracy.reversed() && macro_f1.mean < 0.0);
    }

    #[test]
    fn mcnemar_equals_scipy() {
        // scipy.stats.binomtest(a, a + b, 0.5).pvalue, which is statsmodels' mcnemar(table, exact=True).pvalue
        let expected = [
            (0, 5, 0.0625),
            (6, 0, 0.03125),
            (3, 7, 0.34375),
            (5, 5, 1.0),
            (40, 65, 0.018740915408258018),
            (1300, 1200, 0.047681865221043444),
            (0, 0, 1.0),
        ];
        for (a, b, p) in expected {
            close(even_division(a, b), p);
        }
        let found = mcnemar(2, &Entries::of_accuracy(&A[0], &TRUTH), &Entries::of_accuracy(&B[0], &TRUTH));
        assert_eq!((found.seed, found.only_a, found.only_b, found.p), (2, 3, 0, even_division(3, 0)));
    }

    #[test]
    fn quantiles_equal_scipy() {
        // scipy.stats.t.ppf(1 - alpha / 2, freedom)
        for (freedom, alpha, expected) in [
            (1, 0.05, 12.706204736174694),
            (2, 0.05, 4.302652729749462),
            (2, 0.02, 6.9645567342832715),
            (1820, 0.05, 1.9612682827958658),
        ] {
            close(quantile(freedom, alpha), expected);
        }
        assert_eq!(quantile(0, 0.05), 0.0);
    }

    /// How often something holds of so many comparisons.
    fn rate(simulation: &Simulation, times: u64, holds: impl Fn(&Comparison) -> bool) -> f64 {
        let held = (0..times).filter(|&draw| holds(&simulation.compare(&mut Random::of(&[4, draw])))).count();
        held as f64 / times as f64
    }

    fn names_a_winner(comparison: &Comparison) -> bool {
        matches!(comparison.verdict, Verdict::Winner { .. })
    }

    /// One strategy under two names, or four. The percentile bootstrap over rows and seeds would name one of two in 30,
    /// 18 and 12 % (2, 3 and 5 seeds, 1,000 rows, a spread over seeds of 0.3).
    #[test]
    fn a_strategy_seldom_wins_against_itself() {
        for seeds in [2, 3, 5] {
            for (copies, times) in [(2, 1000), (4, 400)] {
                let simulation = Simulation { rows: 300, seeds, contenders: vec![(1.5, 0.0, 0.2); copies] };
                let winners = rate(&simulation, times, names_a_winner);
                assert!(winners <= 0.05, "{winners} with {seeds} seeds of {copies} copies");
            }
        }
    }

    /// The same of strategies that are equally good but do not fail on the same rows, some of them without chance.
    #[test]
    fn equals_of_unequal_chance_seldom_win() {
        // The variances over rows and seeds have the same sum, so all have a mean accuracy of 0.733.
        let contenders = vec![(1.5, 0.8, 0.0), (1.5, 0.8, 0.0), (1.5, 0.7, 0.39), (1.5, 0.7, 0.39)];
        for of in [&contenders[..2], &contenders[1..3], &contenders] {
            let simulation = Simulation { rows: 300, seeds: 3, contenders: of.to_vec() };
            let winners = rate(&simulation, 400, names_a_winner);
            assert!(winners <= 0.05, "{winners} of {of:?}");
        }
    }

    #[test]
    fn intervals_hold_what_they_promise() {
        // Mean of 1 / (1 + exp(-(m + s z))) over normal z, s² = 1.5² + 0.7² + the square of the spread over seeds.
        let (better, worse) = (0.7732, 0.7342);
        let promised = 0.92..=0.98;
        for seeds in [2, 3, 5] {
            let contenders = vec![(1.8, 0.7, 0.3), (1.5, 0.7, 0.3), (1.5, 0.7, 0.3)];
            let simulation = Simulation { rows: 500, seeds, contenders };
            let compared: Vec<Comparison> =
                (0..600).map(|draw| simulation.compare(&mut Random::of(&[7, draw]))).collect();
            let covered = |interval: &dyn Fn(&Comparison) -> (f64, f64), truth: f64| {
                let holds = |comparison: &&Comparison| {
                    let (low, high) = interval(comparison);
                    (low..=high).contains(&truth)
                };
                compared.iter().filter(holds).count() as f64 / compared.len() as f64
            };
            let of_difference = |Difference { low, high, .. }: Difference| (low, high);
            let found = [
                covered(&|comparison| of_difference(comparison.pairs[0].accuracy), better - worse),
                // Equally good, so that the true difference is known for macro-F1 too.
                covered(&|comparison| of_difference(comparison.pairs[2].macro_f1), 0.0),
                covered(
                    &|comparison| {
                        let Summary { low, high, .. } = comparison.standings[1].accuracy;
                        (low, high)
                    },
                    worse,
                ),
            ];
            assert!(found.iter().all(|covered| promised.contains(covered)), "{found:?} with {seeds} seeds");
        }
    }

    /// 98.4 % and 67.5 % on 300 rows, with two seeds each, of which one strategy's differ by much.
    #[test]
    fn two_seeds_tell_apart_what_is_far_apart() {
        let truth = vec![0; 300];
        let wrong = |of: &dyn Fn(usize) -> bool| -> Vec<u32> { (0..300).map(|row| u32::from(of(row))).collect() };
        let good = [wrong(&|row| row < 5), wrong(&|row| (2..7).contains(&row))];
        let poor = [wrong(&|row| row % 10 < 4), wrong(&|row| (row + 2) % 4 == 0)];
        let compared = compare(&truth, 2, &[contender("poor", &poor), contender("good", &good)]).unwrap();
        close(compared.standings[0].accuracy.mean, 0.675);
        close(compared.standings[1].accuracy.mean, 295.0 / 300.0);
        assert_eq!(compared.verdict, Verdict::Winner { name: "good".to_owned() });
        // What is left open comes from the seeds of the poor one.
        assert_eq!(compared.pairs[0].more, More::Seeds);
        let Difference { low, high, .. } = compared.pairs[0].accuracy;
        assert!(high - low < 0.6, "{low} to {high}");
        // A single strategy with chance has the prior alone to borrow from.
        let constant = [good[0].clone()];
        let compared = compare(&truth, 2, &[contender("poor", &poor), contender("good", &constant)]).unwrap();
        assert_eq!(compared.verdict, Verdict::Winner { name: "good".to_owned() });
    }

    #[test]
    fn a_true_difference_is_found() {
        let wins = |comparison: &Comparison| comparison.verdict == Verdict::Winner { name: "1".to_owned() };
        // Mean accuracies of 0.73, 0.82 and 0.67.
        let contenders = vec![(1.5, 0.7, 0.1), (2.2, 0.7, 0.1), (1.0, 0.7, 0.0)];
        for (seeds, least) in [(3, 0.7), (5, 0.95)] {
            let found = rate(&Simulation { rows: 500, seeds, contenders: contenders.clone() }, 200, wins);
            assert!(found >= least, "{found} with {seeds} seeds");
        }
    }

    #[test]
    fn contenders_without_chance_pay_nothing_for_few_seeds() {
        let (truth, drawn) = Simulation { rows: 400, seeds: 1, contenders: vec![(1.5, 0.7, 0.0), (1.9, 0.7, 0.0)] }
            .draw(&mut Random::new(5));
        let repeated: Vec<Vec<Vec<u32>>> = drawn.iter().map(|lists| vec![lists[0].clone(); 3]).collect();
        let compared =
            |of: &[Vec<Vec<u32>>]| compare(&truth, CLASSES, &[contender("a", &of[0]), contender("b", &of[1])]).unwrap();
        let (once, thrice) = (compared(&drawn), compared(&repeated));
        close(once.pairs[0].accuracy.low, thrice.pairs[0].accuracy.low);
        close(once.pairs[0].macro_f1.high, thrice.pairs[0].macro_f1.high);
        assert_eq!(thrice.standings[0].accuracy.spread, Some(0.0));
        let correct = (once.standings[0].accuracy.mean * 400.0).round() as u64;
        close(thrice.standings[0].accuracy.low, crate::evaluation::wilson(correct, 400).low);
        // One list stands for every seed.
        let mixed = compare(&truth, CLASSES, &[contender("a", &drawn[0]), contender("b", &repeated[1])]).unwrap();
        assert_eq!((mixed.seeds, &mixed.pairs), (3, &thrice.pairs));
    }

    #[test]
    fn a_handful_of_rows_is_judged_as_the_exact_test_does() {
        let truth = vec![0; 100];
        for (apart, wins) in [(0, false), (4, false), (5, false), (6, true)] {
            let worse: Vec<u32> = (0..100).map(|row| u32::from(row < apart)).collect();
            let (a, b) = ([truth.clone()], [worse]);
            let comparison = compare(&truth, 2, &[contender("b", &b), contender("a", &a)]).unwrap();
            assert_eq!(names_a_winner(&comparison), wins, "{apart}: {comparison:?}");
            assert_eq!(comparison.pairs[0].mcnemar[0].p < 0.05, wins);
        }
    }

    #[test]
    fn of_equals_the_cheapest_is_named_and_those_behind_are_not_among_them() {
        let simulation = Simulation { rows: 400, seeds: 3, contenders: vec![(2.0, 0.3, 0.1), (2.0, 0.3, 0.1)] };
        let (truth, drawn) = simulation.draw(&mut Random::new(11));
        let majority = [vec![0; 400]];
        let contenders = [
            Contender { baseline: true, seconds: 0.1, ..contender("majority", &majority) },
            Contender { seconds: 9.0, ..contender("full", &drawn[0]) },
            Contender { seconds: 3.0, ..contender("last:2", &drawn[1]) },
        ];
        let comparison = compare(&truth, CLASSES, &contenders).unwrap();
        let Verdict::Equal { names, cheapest } = &comparison.verdict else { panic!("{comparison:?}") };
        assert_eq!((names.len(), cheapest.as_str()), (2, "last:2"));
        assert!(!names.contains(&"majority".to_owned()));
        assert_eq!(names[0], comparison.ranked()[0].name);

        let json = serde_json::to_string(&comparison).unwrap();
        assert_eq!(serde_json::from_str::<Comparison>(&json).unwrap(), comparison);
        assert!(json.contains(r#""verdict":{"equal":{"names":["#), "{json}");
    }

    #[test]
    fn one_contender_or_one_row_decides_nothing() {
        let (a, b) = (lists(&A), lists(&B));
        let alone = compare(&TRUTH, 3, &[contender("a", &a)]).unwrap();
        assert_eq!(alone.verdict, Verdict::Equal { names: vec!["a".to_owned()], cheapest: "a".to_owned() });
        let (a, b) = ([vec![a[0][0]]], [vec![b[0][1]]]);
        let one = compare(&TRUTH[..1], 3, &[contender("a", &a), contender("b", &b)]).unwrap();
        assert!(!names_a_winner(&one) && one.pairs[0].accuracy.low == -1.0);
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        let (a, b) = (lists(&A), lists(&B));
        let refused = |truth: &[u32], classes: usize, contenders: &[Contender], why: &str| {
            let error = compare(truth, classes, contenders).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        refused(&[], 3, &[contender("a", &a)], "no rows");
        refused(&TRUTH, 3, &[], "no predictions");
        refused(&TRUTH, 2, &[contender("a", &a)], "row 6 has a label");
        refused(&TRUTH, 3, &[contender("a", &a), contender("a", &b)], "compared twice");
        refused(&TRUTH, 3, &[contender("a", &a), contender("b", &b[..2])], "predictions of 2 seeds, others of 3");
        refused(&TRUTH[..9], 3, &[contender("a", &a)], "10 predictions for 9");
        let wrong = [vec![7; 10]];
        refused(&TRUTH, 3, &[contender("a", &wrong)], "predicts for row 1 a label beyond");
    }
}
