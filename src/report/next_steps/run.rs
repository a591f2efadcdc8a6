//! What to do next after a run or an evaluation, made from its data and its predictions.

use std::path::Path;

use super::facts::{RunFacts, Training};
use super::{MOST_STEPS, NextStep, named, shell_word};
use crate::console::units::{count, counted};
use crate::data::{Modality, Summary};
use crate::error::listed;
use crate::evaluation::Classification;
use crate::evaluation::label_errors::suspected;
use crate::report::split::ScoredSplit;
use crate::report::threshold::worthwhile;
use crate::report::verdict::capitalised;

/// A 95 % interval wider than this allows no conclusion worth the name.
const WIDE: f64 = 0.2;
/// A mean confidence above the accuracy by less than this is no reason to do anything.
const OVERCONFIDENT: f64 = 0.03;
/// Labels with fewer rows may well be missed by chance.
const FEWEST_MISSED: u64 = 3;
/// When more than this share of the labels look wrong, it is rather the network that is.
const MOST_DOUBTFUL: f64 = 0.1;
/// Of many labels so many are named.
const NAMED: usize = 3;

/// The steps, the most important first, at most [`MOST_STEPS`]. How to label new data is always among them; only the
/// use in Python comes after it.
pub fn run_steps(facts: &RunFacts) -> Vec<NextStep> {
    let main = facts.splits.last();
    let mut steps: Vec<NextStep> = main.and_then(|main| seen_rows(main, facts)).into_iter().collect();
    steps.extend(facts.languages.iter().map(|found| NextStep::new(sentence(found))));
    if let Some(training) = facts.training {
        steps.extend(lookalikes(facts, training.summary));
    }
    steps.extend(main.and_then(|main| missed_labels(main, facts.training)));
    steps.extend(main.and_then(|main| score_to_doubt(main, facts)));
    if let Some(training) = facts.training {
        steps.extend(contradictions(training.summary));
        steps.extend(lonely_labels(facts, training.summary));
        steps.extend(unfinished(facts, training));
    }
    steps.extend(main.and_then(|main| no_better_than_majority(main, facts)));
    steps.extend(facts.remarks.iter().map(|remark| NextStep::new(format!("In the training data, {remark}."))));
    let is_poor = main.is_some_and(is_hardly_better_than_majority);
    steps.extend(possible_label_errors(facts.splits).filter(|_| !is_poor));
    steps.extend(main.and_then(overconfident));
    steps.truncate(MOST_STEPS - 1);
    let is_calm = steps.len() <= 2;
    let asks =
        |training: &&Training| if training.is_frozen { is_calm } else { is_poor && steps.len() < MOST_STEPS - 1 };
    // What is compared is one label for each row.
    if let Some(training) = facts.training.filter(asks).filter(|training| training.summary.several.is_none()) {
        steps.push(compare(facts, training));
    }
    steps.push(label(facts, main));
    if let Some(training) = facts.training.filter(|_| is_calm && facts.modality == Modality::Text) {
        steps.push(python(facts, training));
    }
    steps
}

/// The steps where rows have numbers: there are no labels to look at.
pub fn number_steps(facts: &RunFacts) -> Vec<NextStep> {
    let mut steps: Vec<NextStep> = facts.languages.iter().map(|found| NextStep::new(sentence(found))).collect();
    steps.extend(facts.training.and_then(|training| unfinished(facts, training)));
    steps.extend(facts.remarks.iter().map(|remark| NextStep::new(format!("In the training data, {remark}."))));
    steps.truncate(MOST_STEPS - 1);
    steps.push(label(facts, None));
    steps
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    format!("{}.", capitalised(text.trim_end_matches('.')))
}

/// `a`, `b`, `c` and 4 more, between backquotes.
fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = names.collect();
    let mut shown: Vec<String> = all.iter().take(NAMED).map(|name| name.replace('`', "'")).collect();
    match all.len().saturating_sub(NAMED) {
        0 => listed(&shown),
        more => {
            shown.iter_mut().for_each(|name| *name = format!("`{name}`"));
            format!("{} and {more} more", shown.join(", "))
        }
    }
}

/// Labels that some rows have and no prediction.
fn missed_labels(main: &ScoredSplit, training: Option<&Training>) -> Option<NextStep> {
    if let Some(only) = main.evaluation.only_answer() {
        // A frozen network's head is fitted to convergence: more epochs change nothing.
        let advice = match training {
            Some(training) if training.is_frozen => "Train more of it (`--strategy full`)",
            Some(training) if training.has_collapsed => "Train it with a lower `--lr`",
            Some(training) if training.is_whole => "Train it longer (`--epochs`)",
            Some(_) => "Train it longer (`--epochs`), train more of it (`--strategy full`)",
            None => "Train it otherwise",
        };
        let (rows, only) = (main.counted_rows(), named(only));
        return Some(NextStep::new(format!(
            "All {rows} are predicted as {only}: the network separates no labels. {advice}, or give it more rows \
             of the other labels."
        )));
    }
    let predicted = main.outcomes().predicted_rows(main.evaluation.per_class.len());
    let classes = || main.evaluation.per_class.iter().zip(&predicted);
    let missed = || classes().filter(|((_, scores), rows)| **rows == 0 && scores.support >= FEWEST_MISSED);
    let rows: u64 = missed().map(|((_, scores), _)| scores.support).sum();
    let one = missed().count() == 1;
    (rows > 0).then(|| {
        NextStep::new(format!(
            "{} {} never predicted, though {} of the {} {} {}: add training rows of {}, or let rare labels count more \
             with `--class-weights balanced`.",
            some(missed().map(|((name, _), _)| name.as_str())),
            if one { "is" } else { "are" },
            count(rows),
            main.counted_rows(),
            if rows == 1 { "has" } else { "have" },
            if one { "it" } else { "them" },
            if one { "this label" } else { "these labels" },
        ))
    })
}

/// Texts that have one label here and another there.
fn contradictions(summary: &Summary) -> Option<NextStep> {
    let rows = summary.contradictions;
    let example = summary.contradicting_rows.first().map_or_else(String::new, |(row, earlier)| {
        let name = |row: &str| if summary.images { named(row) } else { row.to_owned() };
        format!(" (such as {} against {})", name(row), name(earlier))
    });
    (rows > 0).then(|| {
        NextStep::new(format!(
            "{} of the training data {} with another label too{example}: decide which label is right, and correct the \
             others.",
            counted(rows, if summary.images { "image" } else { "row" }),
            match (summary.images, rows) {
                (true, 1) => "appears",
                (true, _) => "appear",
                (false, 1) => "has a text that appears",
                (false, _) => "have a text that appears",
            },
        ))
    })
}

/// Labels that are different classes and probably one.
fn lookalikes(facts: &RunFacts, summary: &Summary) -> Option<NextStep> {
    let groups = &summary.findings.lookalikes;
    let shown = |group: &Vec<(String, u64)>| {
        let names = group.iter().map(|(name, rows)| format!("{} ({})", named(name), counted(*rows, "row")));
        names.collect::<Vec<_>>().join(", ")
    };
    let mut all: Vec<String> = groups.iter().take(NAMED).map(shown).collect();
    if let Some(more) = groups.len().checked_sub(NAMED).filter(|more| *more > 0) {
        all.push(format!("and {more} more such {}", if more == 1 { "group" } else { "groups" }));
    }
    (!groups.is_empty()).then(|| {
        NextStep::new(format!(
            "These labels look alike and count as different classes: {}. If they mean the same, make them one.",
            all.join("; ")
        ))
        .command(facts.again("--merge-labels", "-merged"))
    })
}

/// Labels with a single row.
fn lonely_labels(facts: &RunFacts, summary: &Summary) -> Option<NextStep> {
    let lonely = || summary.classes.iter().filter(|(_, rows)| *rows == 1).map(|(name, _)| name.as_str());
    let (each, way, option) = match lonely().count() {
        0 => return None,
        1 => ("has one row", "leave it out", "--min-rows-per-label 2"),
        _ => ("have one row each", "put such labels into one", "--min-rows-per-label 2 --other other"),
    };
    let text = format!(
        "{} {each} in the training data: too few to learn from, and none to check on. Add rows, or {way}.",
        some(lonely())
    );
    Some(NextStep::new(text).command(facts.again(option, "-grouped")))
}

/// Training that ended while the network still got better.
fn unfinished(facts: &RunFacts, training: &Training) -> Option<NextStep> {
    let epochs = training.unfinished_epochs?;
    let step = NextStep::new(format!(
        "The last of the {epochs} epochs was the best, and the validation loss still fell clearly: train longer."
    ));
    Some(step.command(facts.again(&format!("--epochs {}", epochs.saturating_mul(2)), "-longer")))
}

/// Whether a network is right in hardly more rows than one that always gives the most frequent label.
fn is_hardly_better_than_majority(main: &ScoredSplit) -> bool {
    let Classification { accuracy, .. } = *main.evaluation;
    let low = main.evaluation.accuracy_interval().low;
    main.evaluation.majority().is_some_and(|(_, share)| low <= share || accuracy - share < (1.0 - share) / 4.0)
}

fn no_better_than_majority(main: &ScoredSplit, facts: &RunFacts) -> Option<NextStep> {
    // Of a network that gives one answer to everything, more is said already.
    let is_shown =
        |share: f64| main.evaluation.accuracy_interval().low > share || main.evaluation.only_answer().is_some();
    let (name, share) = main.evaluation.majority().filter(|&(_, share)| !is_shown(share))?;
    let way = match facts.training {
        Some(training) if training.is_frozen => "Train more of the network (`--strategy full`), or give it more rows.",
        Some(_) => "Give it more rows, train longer (`--epochs`), or begin with another model.",
        None => "Check that the data are of the kind that it was trained on.",
    };
    Some(NextStep::new(format!(
        "The {} do not show that the network does better than always answering {} ({:.0} %). {way}",
        main.counted_rows(),
        named(name),
        100.0 * share
    )))
}

/// A score on rows that the network was trained on.
fn seen_rows(main: &ScoredSplit, facts: &RunFacts) -> Option<NextStep> {
    let found = sentence(&main.seen?.warning);
    Some(NextStep::new(format!("{found} Score the model on rows that it has never seen.")).command(facts.evaluate()))
}

/// A score that is optimistic or rests on few rows.
fn score_to_doubt(main: &ScoredSplit, facts: &RunFacts) -> Option<NextStep> {
    let interval = main.evaluation.accuracy_interval();
    let is_wide = interval.high - interval.low > WIDE;
    let range = format!("{:.0} to {:.0} %", 100.0 * interval.low, 100.0 * interval.high);
    if main.name == "valid" {
        let few = if is_wide { format!(", and {} leave it open: {range}", main.counted_rows()) } else { String::new() };
        let step = NextStep::new(format!(
            "There were no test data. The score is optimistic, since the weights were chosen on the validation \
             rows{few}. Score the model on labelled rows that it has never seen."
        ));
        return Some(step.command(facts.evaluate()));
    }
    // What is said of rows that were trained on asks for other rows already.
    (is_wide && main.seen.is_none()).then(|| {
        NextStep::new(format!(
            "{} are few: the accuracy on many more rows may be anything from {range}. Score more of them before you \
             rely on it.",
            main.counted_rows()
        ))
        .command(facts.evaluate())
    })
}

fn possible_label_errors(splits: &[ScoredSplit]) -> Option<NextStep> {
    let found = splits.iter().map(|s| suspected(s.probabilities, s.truth, s.evaluation.per_class.len()).len());
    let (found, all) = (found.sum::<usize>() as u64, splits.iter().map(|split| split.evaluation.rows).sum::<u64>());
    // A network that knows little contradicts many labels, and says nothing by it.
    let rows = if found as f64 > MOST_DOUBTFUL * all as f64 { 0 } else { found };
    let names: Vec<&str> = splits.iter().map(ScoredSplit::called).collect();
    (rows > 0).then(|| {
        NextStep::new(format!(
            "{} of the {} data may have a wrong label: look at {} in the report, under `Possible label errors`.",
            counted(rows, "row"),
            names.join(" and "),
            if rows == 1 { "it" } else { "them" }
        ))
    })
}

fn overconfident(main: &ScoredSplit) -> Option<NextStep> {
    let (confidence, accuracy) = (main.outcomes().mean_confidence(), main.evaluation.accuracy);
    let excess = confidence - accuracy;
    (excess > OVERCONFIDENT && confidence > main.evaluation.accuracy_interval().high).then(|| {
        NextStep::new(format!(
            "The network is overconfident: its mean confidence is {:.0} %, its accuracy {:.0} %. Do not take its \
             confidence for a probability; choose a threshold by the accuracy that it gives, under `Choosing a \
             confidence threshold` in the report.",
            100.0 * confidence,
            100.0 * accuracy
        ))
    })
}

/// The question that a run alone does not answer.
fn compare(facts: &RunFacts, training: &Training) -> NextStep {
    let or_without = match facts.modality {
        Modality::Text => ", and whether it beats TF-IDF, which needs no network",
        Modality::Image => "",
    };
    let whether = match training.is_frozen {
        true => "training more of the network is worth its time",
        false => "`frozen`, which needs no epochs, or another strategy does better",
    };
    NextStep::new(format!("See whether {whether}{or_without}.")).command(format!(
        "rehead compare {} --model {} --strategies frozen,last:2,full --seeds 3 --out {}",
        training.options,
        shell_word(Path::new(training.pretrained)),
        shell_word(&facts.beside("-compared")),
    ))
}

fn label(facts: &RunFacts, main: Option<&ScoredSplit>) -> NextStep {
    let (what, input) = match facts.modality {
        Modality::Image if facts.is_folder => ("a folder of images", "IMAGES/"),
        Modality::Image => ("a table of new images", "NEW.csv"),
        Modality::Text => ("a file of new texts", "NEW.csv"),
    };
    // The confidence of a network that always gives one answer, or on rows that it was trained on, says nothing.
    let is_telling = |main: &&ScoredSplit| main.evaluation.only_answer().is_none() && !main.is_largely_seen();
    let point = main.filter(is_telling);
    let point = point.and_then(|main| worthwhile(&main.outcomes().coverage(), main.evaluation.accuracy));
    let (threshold, option) = match point.zip(main) {
        Some((point, main)) => (
            format!(
                " With `--min-confidence {}` the doubtful rows stay empty, for people to decide: {:.0} % of the {} \
                 rows then get a label, and {:.0} % of these are correct.",
                point.threshold,
                100.0 * point.coverage(),
                main.called(),
                100.0 * point.accuracy().unwrap_or(0.0)
            ),
            format!(" --min-confidence {}", point.threshold),
        ),
        None => (String::new(), String::new()),
    };
    let (model, reading) = (shell_word(facts.model), facts.reading());
    NextStep::new(format!("Label {what}.{threshold}"))
        .command(format!("rehead label --model {model} --input {input} --output LABELLED.csv{option}{reading}"))
}

fn python(facts: &RunFacts, training: &Training) -> NextStep {
    // The tokenizer is the library's, but is found by way of the configuration, whose class is not.
    let leave = if training.has_module { ", trust_remote_code=True" } else { "" };
    let directory = facts.model.display().to_string().replace('\\', r"\\").replace('"', "\\\"");
    let load = |class: &str| format!("{class}.from_pretrained(\"{directory}\"{leave})");
    NextStep::new("Use it in Python, with the same probabilities.").command(format!(
        "from transformers import AutoModelForSequenceClassification, AutoTokenizer\ntokenizer = {}\nmodel = {}",
        load("AutoTokenizer"),
        load("AutoModelForSequenceClassification")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::evaluate;

    /// Rows of `(label, predicted, confidence)` among three labels.
    fn split(rows: &[(u32, usize, f32)]) -> (Vec<u32>, Vec<f32>, Classification) {
        let truth: Vec<u32> = rows.iter().map(|row| row.0).collect();
        let probabilities: Vec<f32> = rows
            .iter()
            .flat_map(|&(_, predicted, p)| {
                (0..3).map(move |class| if class == predicted { p } else { (1.0 - p) / 2.0 })
            })
            .collect();
        let logits: Vec<f32> = probabilities.iter().map(|p| p.ln()).collect();
        let evaluation = evaluate(&logits, &truth, &["a", "b", "c"].map(str::to_owned)).unwrap();
        (truth, probabilities, evaluation)
    }

    fn steps(rows: &[(u32, usize, f32)], name: &str, classes: &[(&str, u64)]) -> Vec<NextStep> {
        let (truth, probabilities, evaluation) = split(rows);
        let summary = Summary {
            classes: classes.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect(),
            ..Summary::default()
        };
        let (options, pretrained) = ("--train 'my data.csv'".to_owned(), "bert");
        let training = Training {
            summary: &summary,
            options,
            reading: " --delimiter ';'".to_owned(),
            pretrained,
            is_frozen: true,
            is_whole: false,
            has_module: true,
            unfinished_epochs: None,
            has_collapsed: false,
        };
        run_steps(&RunFacts {
            model: Path::new("runs/x"),
            modality: Modality::Text,
            is_folder: false,
            training: Some(&training),
            splits: &[ScoredSplit {
                name,
                evaluation: &evaluation,
                truth: &truth,
                probabilities: &probabilities,
                texts: &[],
                modality: Modality::Text,
                origins: &[],
                seen: None,
                explained: None,
            }],
            languages: &[],
            remarks: &[],
        })
    }

    #[track_caller]
    fn check_says(steps: &[NextStep], words: &str) {
        assert!(steps.iter().any(|step| step.text.contains(words)), "{words}: {steps:#?}");
        assert!(steps.len() <= MOST_STEPS);
    }

    #[test]
    fn a_good_run_is_used() {
        let rows: Vec<_> = (0..600).map(|row| (row % 3, (row % 3) as usize, 0.99)).collect();
        let steps = steps(&rows, "test", &[("a", 9), ("b", 9), ("c", 9)]);
        let commands: Vec<&str> = steps.iter().filter_map(|step| step.command.as_deref()).collect();
        assert!(commands[0].starts_with("rehead compare --train 'my data.csv' --model bert "), "{steps:#?}");
        assert_eq!(commands[1], "rehead label --model runs/x --input NEW.csv --output LABELLED.csv --delimiter ';'");
        assert_eq!(commands[2].matches("from_pretrained(\"runs/x\", trust_remote_code=True)").count(), 2);
        assert_eq!(steps.len(), 3);
    }

    #[test]
    fn labels_that_look_alike_are_to_be_merged() {
        let (model, modality, splits) = (Path::new("runs/x"), Modality::Text, &[]);
        let facts =
            RunFacts { model, modality, is_folder: false, training: None, splits, languages: &[], remarks: &[] };
        let mut summary = Summary::default();
        assert_eq!(lookalikes(&facts, &summary), None);
        summary.findings.lookalikes = vec![vec![("Bug".to_owned(), 40), ("bug".to_owned(), 1)]];
        let step = lookalikes(&facts, &summary).unwrap();
        let said = "These labels look alike and count as different classes: `Bug` (40 rows), `bug` (1 row). If";
        assert!(step.text.starts_with(said), "{step:?}");
        let command = "rehead train --config runs/x/rehead.toml --merge-labels --out runs/x-merged";
        assert_eq!(step.command.as_deref(), Some(command));
    }

    #[test]
    fn what_is_wrong_comes_first() {
        let rows: Vec<_> = (0..60).map(|row| (row % 3, if row % 3 == 0 { 0 } else { 1 }, 0.97)).collect();
        let steps = steps(&rows, "valid", &[("a", 9), ("b", 1), ("c", 1)]);
        check_says(&steps, "`c` is never predicted, though 20 of the 60 validation rows have it");
        check_says(&steps, "`b` and `c` have one row each");
        assert!(steps.iter().any(|step| step.command.as_ref().is_some_and(|command| {
            command.starts_with("rehead train --config runs/x/rehead.toml --min-rows-per-label 2 --other other --out ")
        })));
        check_says(&steps, "There were no test data. The score is optimistic");
        assert!(steps[steps.len() - 1].command.as_ref().unwrap().starts_with("rehead label"), "{steps:#?}");
    }

    #[test]
    fn a_network_that_answers_one_label_is_told_of() {
        let rows: Vec<_> = (0..60).map(|row| (row % 3, 1, 0.5)).collect();
        let steps = steps(&rows, "test", &[("a", 9), ("b", 9), ("c", 9)]);
        check_says(&steps, "All 60 test rows are predicted as `b`: the network separates no labels. Train more of it");
        assert!(!steps.iter().any(|step| step.text.contains("--epochs") || step.text.contains("--min-confidence")));
    }

    #[test]
    fn a_network_that_guesses_is_told_of() {
        let rows: Vec<_> = (0..60).map(|row| (row % 3, (row / 3 % 3) as usize, 0.5)).collect();
        let steps = steps(&rows, "test", &[("a", 9), ("b", 9), ("c", 9)]);
        check_says(&steps, "do not show that the network does better than always answering");
    }

    #[test]
    fn what_a_poor_network_doubts_is_not_to_be_looked_at() {
        // `b` is mostly predicted as `a`, four times with much confidence.
        let row = |row: u32| match row {
            0..70 => (0, 0, 0.7),
            70..74 => (1, 0, 0.9),
            74..90 => (1, 0, 0.6),
            _ => (1, 1, 0.6),
        };
        let doubts = |rows: Vec<(u32, usize, f32)>| {
            let steps = steps(&rows, "test", &[("a", 9), ("b", 9), ("c", 9)]);
            steps.iter().any(|step| step.text.contains("4 rows of the test data may have a wrong label"))
        };
        let better = |(truth, predicted, p): (u32, usize, f32)| (truth, if p == 0.6 { 1 } else { predicted }, p);
        assert!(doubts((0..100).map(row).map(better).collect()));
        assert!(!doubts((0..76).map(row).chain([(1, 1, 0.6)]).collect()));
    }

    #[test]
    fn confidence_beyond_the_accuracy_is_told_of_with_a_threshold() {
        let rows: Vec<_> = (0..300)
            .map(|row| match row % 4 {
                0 => (0, 1, 0.8),
                _ => (row % 3, (row % 3) as usize, 0.99 + row as f32 / 1e5),
            })
            .collect();
        let steps = steps(&rows, "test", &[("a", 9), ("b", 9), ("c", 9)]);
        check_says(&steps, "overconfident: its mean confidence is 94 %, its accuracy 75 %");
        assert!(steps.iter().any(|step| step.command.as_ref().is_some_and(|c| c.contains("--min-confidence 0.991"))));
    }
}
