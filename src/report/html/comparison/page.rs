//! The page of a comparison, section by section.

use maud::{Markup, html};

use super::confusions::confusions;
use super::costs::costs;
use super::coverage::coverage;
use super::curves::curves;
use super::differences::differences;
use super::reliability::reliability;
use super::result::result;
use super::standings::standings;
use super::view::{ComparisonReport, Series, ranked, series};
use crate::console::units::counted;
use crate::evaluation::comparison::Comparison;
use crate::report::html::next_steps::next_steps;
use crate::report::html::page::{data_table, section, skeleton};
use crate::report::html::text::{shown, split_name};

/// The whole page.
pub fn page(report: &ComparisonReport) -> String {
    let mut all = series(report);
    all.sort_by_key(Series::is_constant);
    let drawn = &all[..all.partition_point(|one| !one.is_constant())];
    let body = html! {
        (header(report))
        (next_steps(report.next))
        (result(report))
        (standings(report, &all))
        (differences(report))
        (costs(report, drawn))
        (curves(drawn))
        (coverage(drawn))
        (reliability(&ranked(report, drawn)))
        (confusions(report, drawn))
        (data(report))
    };
    skeleton("comparison", report.title, body)
}

fn header(report: &ComparisonReport) -> Markup {
    let Comparison { rows, seeds, classes, .. } = *report.comparison;
    html! {
        header {
            h1 { (shown(report.title)) }
            p.facts {
                (report.contenders.len()) " strategies and baselines on the same " (counted(rows as u64, "row")) " of "
                (split_name(report.split)) " data · "
                (counted(classes as u64, "label")) " · " (counted(seeds as u64, "seed"))
            }
        }
        nav aria-label="Sections" {
            a href="#standings" { "Scores" } a href="#differences" { "Differences" } a href="#costs" { "Costs" }
            a href="#curves" { "Learning curves" } a href="#coverage" { "Thresholds" }
            a href="#reliability" { "Confidence" } a href="#confusions" { "Confusions" } a href="#data" { "Data" }
        }
    }
}

/// What was compared and how.
fn data(report: &ComparisonReport) -> Markup {
    let content = html! {
        (data_table(report.data))
        h3 { "Command" }
        pre.command tabindex="0" { (shown(report.command)) }
        @for (file, settings) in report.settings {
            details { summary { "All settings: " code { (shown(file)) } } pre tabindex="0" { (shown(settings)) } }
        }
    };
    let note = html! { p { "Runs of one strategy differ in the seed alone." } };
    section("data", "Data", note, content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::comparison::{self, compare};
    use crate::evaluation::{Classification, evaluate};
    use crate::report::html::comparison::{Contender, ContenderRun};
    use crate::report::verdict::verdict;
    use crate::training::history::{EvaluationRecord, Record};

    const HOSTILE: &str = "<script>alert(1)</script>";

    /// The page of so many seeds of four contenders, of which each knows less than the one before.
    fn drawn(classes: usize, seeds: usize, split: &str) -> String {
        let labels: Vec<String> = (0..classes).map(|class| format!("{HOSTILE} {class}")).collect();
        let truth: Vec<u32> = (0..120).map(|row| (row % classes) as u32).collect();
        let names = ["full", "frozen", "bag-of-words", "majority"];
        let predicted = |contender: usize, seed: usize| -> Vec<u32> {
            let wrong = |row: usize| contender == 3 || (row * 7 + seed) % 40 < [1, 3, 14, 0][contender];
            truth.iter().enumerate().map(|(row, &label)| if wrong(row) { 0 } else { label }).collect()
        };
        let runs: Vec<Vec<Vec<u32>>> =
            (0..4).map(|one| (0..seeds).map(|seed| predicted(one, seed)).collect()).collect();
        let scored = |predicted: &[u32]| {
            let logits = predicted
                .iter()
                .flat_map(|&label| (0..classes).map(move |class| f32::from(u8::from(class == label as usize))));
            evaluate(&logits.collect::<Vec<_>>(), &truth, &labels).unwrap()
        };
        let evaluations: Vec<Vec<Classification>> =
            runs.iter().map(|runs| runs.iter().map(|run| scored(run)).collect()).collect();
        let confidence: Vec<f32> = (0..120).map(|row| 0.5 + row as f32 / 300.0).collect();
        let history: Vec<Record> = (1..=3)
            .map(|epoch| {
                Record::Evaluation(EvaluationRecord::new("valid", epoch, 10, &evaluations[0][0].clone().into(), 1.0))
            })
            .collect();
        let compared: Vec<comparison::Contender> = (0..4)
            .map(|one| {
                let predictions = runs[one].iter().map(Vec::as_slice).collect();
                comparison::Contender {
                    name: names[one],
                    predictions,
                    seconds: 60.0 / (1 + 20 * one) as f64,
                    baseline: one > 1,
                }
            })
            .collect();
        let contenders: Vec<Contender> = (0..4)
            .map(|one| Contender {
                name: names[one],
                is_baseline: one > 1,
                seconds: compared[one].seconds,
                trainable: 770,
                total: if one > 1 { 0 } else { 22_713_986 },
                peak_memory: 1 << 30,
                saved_bytes: 0,
                runs: (0..seeds)
                    .map(|seed| ContenderRun {
                        seed: 42 + seed as u64,
                        evaluation: &evaluations[one][seed],
                        predicted: &runs[one][seed],
                        confidence: if one == 3 { &[] } else { &confidence },
                        history: if one == 0 { &history } else { &history[..usize::from(one == 1)] },
                        report: (one < 2).then(|| format!("{}/seed-{}/report.html", names[one], 42 + seed).into()),
                    })
                    .collect(),
            })
            .collect();
        let comparison = compare(&truth, classes, &compared).unwrap();
        page(&ComparisonReport {
            title: HOSTILE,
            comparison: &comparison,
            verdict: &verdict(&comparison, split),
            split,
            labels: &labels,
            truth: &truth,
            contenders: &contenders,
            data: &[("training data".to_owned(), HOSTILE.to_owned())],
            settings: &[("full/rehead.toml".to_owned(), HOSTILE.to_owned())],
            command: HOSTILE,
            next: &[],
        })
    }

    #[test]
    fn every_section_is_there_whatever_is_compared() {
        for (classes, seeds, split) in [(2, 3, "test"), (2, 1, "valid"), (5, 2, "test"), (77, 2, "test")] {
            let page = drawn(classes, seeds, split);
            for id in [
                "result",
                "standings",
                "differences",
                "costs",
                "curves",
                "coverage",
                "reliability",
                "confusions",
                "data",
            ] {
                assert!(page.contains(&format!("<section id=\"{id}\"")), "{id} with {classes} labels");
            }
            assert!(!page.contains("<script") && !page.contains("NaN"), "{classes} labels");
            assert_eq!(page.contains("There were no test data"), split == "valid");
        }
    }

    #[test]
    fn the_table_stands_in_order_and_a_lone_run_has_no_spread() {
        let page = drawn(2, 3, "test");
        let (_, table) = page.split_once("<section id=\"standings\"").unwrap();
        let (table, _) = table.split_once("</table>").unwrap();
        let place = |name: &str| table.find(&format!(">{name}<")).or_else(|| table.find(name));
        assert!(place("full") < place("frozen") && place("frozen") < place("majority"), "{table}");
        assert!(table.contains(" ± ") && table.contains("22.7\u{202f}M") && table.contains("baseline"));
        assert!(!drawn(2, 1, "test").contains(" ± "));
        assert!(table.contains("href=\"full/seed-42/report.html\"") && !table.contains("href=\"majority"), "{table}");
        // A constant answer is a number to beat; no plot has it.
        let (_, plots) = page.split_once("<section id=\"costs\"").unwrap();
        assert!(plots.contains("bag-of-words") && !plots.contains("majority"), "{plots}");
    }

    #[test]
    fn a_pair_is_shown_with_the_better_one_first() {
        let page = drawn(2, 3, "test");
        let (_, differences) = page.split_once("<section id=\"differences\"").unwrap();
        let (differences, _) = differences.split_once("</section>").unwrap();
        let (first, _) = differences.split_once("</tr><tr>").unwrap();
        assert!(first.find("full") < first.find("frozen"), "{first}");
        assert!(differences.contains("class=\"mark ink\""), "zero is drawn: {differences}");
        assert!(differences.contains("McNemar") && differences.contains("<td>44</td>"), "{differences}");
    }
}
