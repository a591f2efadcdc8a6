//! The pages of a run and of an evaluation, section by section.

use maud::{Markup, html};

use super::confidence::confidence;
use super::confusions::confusion_matrix;
use super::data::data;
use super::examples::correct_images;
use super::label_errors::possible_label_errors;
use super::label_sets;
use super::labels::labels;
use super::mistakes::mistakes;
use super::result::{headline, of_sets, result};
use super::settings::settings;
use super::thresholds::thresholds;
use super::training::training;
use super::view::{RunReport, SplitView};
use crate::console::units::counted;
use crate::data::Modality;
use crate::report::html::next_steps::next_steps;
use crate::report::html::page::{self, section, skeleton};
use crate::report::html::text::shown;
use crate::report::provenance::Provenance;
use crate::report::{NextStep, ScoredSets, ScoredSplit};

/// The whole page.
pub fn page(report: &RunReport) -> String {
    let scored: Vec<SplitView> = report.splits.iter().map(SplitView::of).collect();
    // The test data judge; validation does where there are none.
    let first = scored.iter().position(|scored| scored.split.name == "test").unwrap_or(0);
    let main = scored.get(first);
    let others: Vec<&SplitView> =
        scored.iter().enumerate().filter(|(index, _)| *index != first).map(|(_, s)| s).collect();
    let body = html! {
        (header(report))
        (next_steps(report.next))
        (result(report, main, &others))
        (training(report))
        @if let Some(main) = main {
            (labels(main, ""))
            (confusion_matrix(main, ""))
            (confidence(main, ""))
            (thresholds(main, "", report.metrics.thresholds.as_ref()))
            (mistakes(main, ""))
            (possible_label_errors(&scored))
            (correct_images(main, ""))
        }
        @if let Some((main, others)) = of_sets(report) {
            (label_sets::labels(main, ""))
            (label_sets::mistakes(main, ""))
            @for other in others {
                @let prefix = format!("{}-", other.name);
                details.group {
                    summary { "The same for the " (other.called()) " data" }
                    (label_sets::labels(other, &prefix))
                    (label_sets::mistakes(other, &prefix))
                }
            }
        }
        @for other in others {
            @let prefix = format!("{}-", other.split.name);
            details.group {
                summary { "The same for the " (other.split.called()) " data" }
                (labels(other, &prefix))
                (confusion_matrix(other, &prefix))
                (confidence(other, &prefix))
                (thresholds(other, &prefix, report.metrics.thresholds.as_ref()))
                (mistakes(other, &prefix))
            }
        }
        (data(report))
        (settings(report))
    };
    skeleton("run", report.title, body)
}

/// The page of one split, of which only a model and data are known. `data`: name, value.
pub fn evaluation_page(
    title: &str,
    split: &ScoredSplit,
    data: &[(String, String)],
    next: &[NextStep],
    provenance: &Provenance,
) -> String {
    let scored = [SplitView::of(split)];
    let body = html! {
        header { h1 { (shown(title)) } p.facts { (provenance.date) } }
        (next_steps(next))
        @for scored in &scored {
            (section("result", "Result", html! {}, headline(None, scored)))
            (labels(scored, ""))
            (confusion_matrix(scored, ""))
            (confidence(scored, ""))
            (thresholds(scored, "", None))
            (mistakes(scored, ""))
        }
        (possible_label_errors(&scored))
        @for scored in &scored { (correct_images(scored, "")) }
        (page::data(data))
    };
    skeleton("run", title, body)
}

/// As [`evaluation_page`], where rows may have several labels.
pub fn sets_page(
    title: &str,
    scored: &ScoredSets,
    data: &[(String, String)],
    next: &[NextStep],
    provenance: &Provenance,
) -> String {
    let body = html! {
        header { h1 { (shown(title)) } p.facts { (provenance.date) } }
        (next_steps(next))
        (section("result", "Result", html! {}, label_sets::headline(scored, html! {})))
        (label_sets::labels(scored, ""))
        (label_sets::mistakes(scored, ""))
        (page::data(data))
    };
    skeleton("run", title, body)
}

pub(super) fn header(report: &RunReport) -> Markup {
    let metrics = report.metrics;
    html! {
        header {
            h1 { (shown(report.title)) }
            p.facts {
                (shown(&metrics.model)) " · strategy " (metrics.strategy) " · "
                (counted(metrics.train_rows, "training row"))
                " · " (counted(u64::from(metrics.epochs), "epoch")) " · seed " (metrics.seed)
                " · " (report.provenance.date)
            }
        }
        nav aria-label="Sections" {
            a href="#training" { "Training" }
            @if !report.splits.is_empty() {
                a href="#labels" { "Labels" } a href="#confusions" { "Confusions" }
                a href="#confidence" { "Confidence" } a href="#thresholds" { "Thresholds" }
                a href="#mistakes" { "Mistakes" } a href="#label-errors" { "Possible label errors" }
                @if report.splits.iter().any(|split| split.modality == Modality::Image) {
                    a href="#examples" { "Correct examples" }
                }
            }
            @if !report.sets.is_empty() {
                a href="#labels" { "Labels" } a href="#mistakes" { "Mistakes" }
            }
            a href="#data" { "Data" } a href="#settings" { "Settings" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KeepBest;
    use crate::evaluation::{Classification, evaluate};
    use crate::report::{Origin, RunMetrics};
    use crate::training::history::{EvaluationRecord, Record, StepRecord};

    const HOSTILE: &str = "<script>alert(1)</script>";

    /// Six rows of three labels; the fourth is labelled wrongly with much confidence, the fifth with little.
    const TRUTH: [u32; 6] = [0, 1, 2, 0, 1, 2];

    #[rustfmt::skip]
    const PROBABILITIES: [f32; 18] = [
        0.9, 0.05, 0.05,  0.1, 0.8, 0.1,  0.2, 0.1, 0.7,
        0.01, 0.98, 0.01, 0.4, 0.35, 0.25, 0.0, 0.0, 1.0,
    ];

    fn evaluation() -> Classification {
        let logits: Vec<f32> = PROBABILITIES.iter().map(|probability| probability.max(1e-6).ln()).collect();
        evaluate(&logits, &TRUTH, &["food", HOSTILE, "sport"].map(str::to_owned)).unwrap()
    }

    fn history() -> Vec<Record> {
        let step = |step: u64| {
            let (epoch, loss) = (step.div_ceil(4) as u32, 1.0 / step as f64);
            Record::Step(StepRecord {
                epoch,
                step,
                loss,
                lr: 1e-5,
                grad_norm: None,
                tokens_per_second: None,
                images_per_second: None,
                seconds: 1.0,
            })
        };
        let valid = |epoch: u32| {
            Record::Evaluation(EvaluationRecord::new("valid", epoch, u64::from(4 * epoch), &evaluation().into(), 1.0))
        };
        (1..=8).map(step).chain((1..=2).map(valid)).collect()
    }

    /// The page of a run with these splits.
    fn drawn(splits: &[&str], history: &[Record], strategy: &str) -> String {
        let evaluation = evaluation();
        let texts: Vec<String> = (0..6).map(|row| format!("text {row} {HOSTILE}")).collect();
        let origins: Vec<Origin> = (0..6)
            .map(|row| Origin { row: 10 + row, file: Some("in/a.csv".into()), id: Some(("id".into(), HOSTILE.into())) })
            .collect();
        let split = |name| ScoredSplit {
            name,
            evaluation: &evaluation,
            truth: &TRUTH,
            probabilities: &PROBABILITIES,
            texts: &texts,
            modality: Modality::Text,
            origins: &origins,
            seen: None,
            explained: None,
        };
        let splits: Vec<ScoredSplit> = splits.iter().map(|&name| split(name)).collect();
        let metrics = RunMetrics {
            model: "bert".to_owned(),
            strategy: strategy.to_owned(),
            seed: 7,
            train_rows: 100,
            unreadable_images: Default::default(),
            data_warnings: Vec::new(),
            train_seconds: 12.0,
            prepare_seconds: 0.5,
            tokens_per_second: None,
            images_per_second: None,
            trainable_parameters: 10,
            total_parameters: 20,
            peak_memory_bytes: 1 << 30,
            valid: None,
            test: None,
            ended: None,
            restart: None,
            best_epoch: Some(2),
            keep_best: Some(KeepBest::F1(HOSTILE.to_owned())),
            temperature: Some(1.25),
            folds: None,
            without_model: false,
            refit: None,
            thresholds: None,
            focal_gamma: Some(2.0),
            epochs: 2,
            language: serde_json::Value::Null,
            choices: serde_json::json!([{ "key": "lr", "value": HOSTILE, "reason": "usual" }]),
            rehead_version: RunMetrics::VERSION.to_owned(),
        };
        let data = [("training data".to_owned(), HOSTILE.to_owned())];
        page(&RunReport {
            title: HOSTILE,
            metrics: &metrics,
            settings: HOSTILE,
            history,
            data: &data,
            classes: &[("food".to_owned(), 60), (HOSTILE.to_owned(), 1)],
            holds_out: true,
            sets: &[],
            splits: &splits,
            next: &[NextStep::new("Look at `food`.").command(HOSTILE)],
            provenance: &Provenance { date: "today".to_owned(), command: HOSTILE.to_owned() },
        })
    }

    #[test]
    fn every_section_is_there_whatever_the_run_was() {
        for (splits, history, strategy) in [
            (&["valid", "test"][..], history(), "full"),
            (&["valid"], history(), "full"),
            (&["test"], history()[8..9].to_vec(), "frozen"),
            (&["valid", "test"], Vec::new(), "full"),
        ] {
            let page = drawn(splits, &history, strategy);
            for id in [
                "next",
                "result",
                "training",
                "labels",
                "confusions",
                "confidence",
                "thresholds",
                "mistakes",
                "label-errors",
                "data",
                "settings",
            ] {
                assert!(page.contains(&format!("<section id=\"{id}\"")), "{id} of {splits:?}");
            }
            assert!(!page.contains("<script") && !page.contains("NaN"), "{splits:?}");
            assert_eq!(page.contains("id=\"valid-labels\""), splits.len() == 2, "{splits:?}");
        }
        let page = drawn(&[], &[], "full");
        assert!(page.contains("Nothing was evaluated") && !page.contains("href=\"#labels\""));
    }

    #[test]
    fn the_headline_says_what_was_found_in_words() {
        let page = drawn(&["valid", "test"], &history(), "full");
        assert!(page.contains("Of 6 rows of the test data 4 were predicted correctly."), "{page}");
        assert!(page.contains("30.0 to 90.3\u{202f}%") && page.contains("these rows do not show"));
        assert!(page.contains("With so few rows"));
        assert!(drawn(&["valid"], &history(), "full").contains("There were no test data"));
    }

    #[test]
    fn curves_are_drawn_where_there_are_any() {
        let page = drawn(&["test"], &history(), "full");
        assert!(page.contains("aria-label=\"Loss by optimizer step. Training from 1.000 to 0.125"), "{page}");
        assert!(page.contains("The weights of epoch 2 were kept"));
        let page = drawn(&["test"], &history()[8..9], "frozen");
        assert!(page.contains("fitted directly") && !page.contains("Loss by optimizer step"));
    }

    #[test]
    fn the_most_confident_mistake_comes_first() {
        let page = drawn(&["test"], &[], "full");
        let (_, mistakes) = page.split_once("<section id=\"mistakes\"").unwrap();
        let (mistakes, errors) = mistakes.split_once("<section id=\"label-errors\"").unwrap();
        let place = |row: usize| mistakes.find(&format!("text {row} "));
        assert!(place(3) < place(4) && place(3).is_some() && place(0).is_none());
        assert!(mistakes.contains("row 13 of <span class=\"name\">a.csv</span>"), "{mistakes}");
        assert!(errors.contains("row 13 of") && errors.contains("text 3 ") && errors.contains("Test data: "));
    }
}
