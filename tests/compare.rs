//! `rehead compare` as its users meet it: every strategy and seed once, side by side, and nothing done twice.

mod support;

use serde_json::Value;
use support::{Scene, csv, fields, history, logged_steps, sentiment, weights};

const COMPARE: &str =
    "compare --train train.csv --test test.csv --model bare --threads 1 --epochs 1 --seeds 2 --out both";

fn scene() -> Scene {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", csv(&sentiment(40, 1)));
    scene.write("test.csv", csv(&sentiment(10, 2)));
    scene
}

#[test]
fn strategies_stand_side_by_side_and_nothing_is_done_twice() {
    let scene = scene();
    let first = scene.rehead(COMPARE).ok();
    for word in ["frozen", "full", "test accuracy", "±"] {
        first.check(first.stdout_text().contains(word), word);
    }
    assert_eq!(
        scene.text("both/compare.csv").lines().count(),
        1 + 2 * 2 + 2,
        "two runs of two strategies, two baselines"
    );
    for run in ["frozen/seed-42", "frozen/seed-43", "full/seed-42", "full/seed-43"] {
        assert!(scene.exists(&format!("both/{run}/metrics.json")), "{run}");
    }

    let before = scene.everything();
    let second = scene.rehead(COMPARE).ok();
    assert_eq!(second.stdout, first.stdout);
    second.says(&["4 of 4: full with seed 43", "finished before: both/full/seed-43", "majority: test accuracy"]);
    assert!(scene.everything() == before, "the second comparison changed files");

    // One more seed is one more run of each.
    let third = scene.rehead(&COMPARE.replace("--seeds 2", "--seeds 3")).arg("--json").ok().json();
    assert_eq!(third["contenders"][1]["seeds"], serde_json::json!([42, 43, 44]));
}

/// Results of other settings are never shown as those of these.
#[test]
fn a_comparison_is_not_gone_on_with_under_other_settings() {
    let scene = scene();
    scene.rehead(COMPARE).ok();
    let before = scene.everything();
    scene.rehead(&format!("{COMPARE} --lr 1e-3")).refused().says(&["`training.lr`", "both/frozen/seed-42", "hint: "]);
    scene.rehead(&COMPARE.replace("--epochs 1", "--epochs 2")).refused().says(&["`training.epochs`"]);
    assert!(scene.everything() == before, "a refusal changed files");
}

/// Nor are results of other data or of another model, in whichever run and baseline they are.
#[test]
fn what_was_made_from_other_data_is_named_and_not_shown() {
    let scene = scene();
    scene.rehead(COMPARE).ok();
    for (file, what) in [
        ("train.csv", "the training data changed"),
        ("test.csv", "the test data changed"),
        ("bare/config.json", "the model changed"),
    ] {
        let kept = scene.bytes(file);
        // As many rows with the same labels, or the same settings in other words.
        let other = scene.text(file).replace("good", "great").replace("\n}", " \n}");
        assert_ne!(other.as_bytes(), kept, "{file}");
        scene.write(file, other);
        let before = scene.everything();
        scene.rehead(COMPARE).refused().says(&[what, "both/frozen/seed-42", "and 3 more", "hint: ", "--out"]);
        assert!(scene.everything() == before, "a refusal changed files");
        // One run that was made anew does not hide the others.
        let full = COMPARE.replace("--out both", "--out both --strategies full");
        scene.rehead(&full).refused().says(&[what, "both/full/seed-42"]);
        scene.write(file, kept);
        scene.rehead(COMPARE).ok();
    }
    // Baselines cost nothing: they are made again, and it is said.
    let was = scene.text("both/tf-idf/predictions/test.csv");
    scene.write("test.csv", csv(&sentiment(12, 5)));
    for run in ["frozen", "full"] {
        scene.remove(&format!("both/{run}"));
    }
    scene.rehead(COMPARE).ok().says(&["baselines", "the test data changed", "made again"]);
    assert_ne!(scene.text("both/tf-idf/predictions/test.csv"), was);
    let truth = |run: &str| scene.json(&format!("both/{run}/metrics.json"))["test"]["rows"].clone();
    assert!(["frozen/seed-42", "full/seed-43", "majority", "tf-idf"].iter().all(|run| truth(run) == 12));
    // A run of which nothing is recorded could be of anything.
    scene.remove("both/full/seed-43/origin.json");
    scene.rehead(COMPARE).refused().says(&["both/full/seed-43", "not recorded"]);
}

/// A line per run; at the end the run to go on with, the command that does, and the report, which links the runs' own.
#[test]
fn a_comparison_ends_with_the_run_to_go_on_with() {
    let scene = scene();
    let outcome = scene.rehead(COMPARE).ok();
    let lines: Vec<String> =
        outcome.stderr.lines().filter(|line| line.contains(" of 4: ")).map(str::to_owned).collect();
    assert!(lines.len() == 4 && outcome.stderr.lines().count() < 20, "{}", outcome.stderr);
    let recommended = scene.json("both/compare.json")["recommended"]["run"].as_str().unwrap().to_owned();
    assert!(scene.exists(&format!("{recommended}/model.safetensors")), "{recommended}");
    // It is no model; the run in it is named, wherever the comparison was moved.
    std::fs::rename(scene.path("both"), scene.path("elsewhere")).unwrap();
    for words in ["inspect elsewhere", "label --model elsewhere --input test.csv --output out.csv"] {
        let run = recommended.replace("both/", "elsewhere/");
        scene.rehead(words).refused().says(&["elsewhere: this is a comparison", &format!("recommended run is {run}")]);
    }
    std::fs::rename(scene.path("elsewhere"), scene.path("both")).unwrap();
    let outcome =
        outcome.says(&["what to do next", &format!("rehead label --model {recommended} "), "both/report.html"]);
    let page = scene.text("both/report.html");
    let next = page.find("What to do next").unwrap();
    assert!(next < page.find("Verdict").unwrap());
    for seed in [42, 43] {
        let link = format!("full/seed-{seed}/report.html");
        assert!(page.contains(&format!("href=\"{link}\"")) && scene.exists(&format!("both/{link}")), "{link}");
    }
    // What it was made from and how, and what the memory is that the table shows.
    for part in [
        "validation data",
        "0.1 of the training rows held out",
        "full with seed 43: 1",
        "rehead compare --train train.csv --test test.csv",
        "both/full/seed-42/rehead.toml",
        "over 15 bins",
        "with what it keeps of the runs before",
    ] {
        assert!(page.contains(part), "{part}");
    }
    outcome.check(outcome.stderr.contains("peak memory is that of the process"), "what the memory is");
    let details = scene.rehead(&COMPARE.replace("--out both", "--out other -v")).ok();
    assert!(details.stderr.contains("train.csv: ") && details.stderr.contains("validation"), "{}", details.stderr);
}

/// A network that answers the same whatever it reads is not one to go on with, however many rows that happens to suit.
#[test]
fn a_run_that_gives_every_row_the_same_label_is_named_and_not_recommended() {
    let scene = scene();
    // Four of five rows are positive, and of a network that was never trained a new head learns only that.
    let (mut train, mut row) = (String::from("text,label\n"), 0);
    for (text, label) in sentiment(400, 1) {
        row += usize::from(label == "negative");
        if label == "positive" || row % 4 == 0 {
            train += &format!("{text},{label}\n");
        }
    }
    scene.write("train.csv", train);
    // Most rows are positive here too, but do not read like it.
    let turned = sentiment(40, 2).into_iter().map(|(text, label)| match label {
        "negative" => format!("{text},positive\n"),
        _ => String::new(),
    });
    let honest = "good great fun,positive\nbad poor bore,negative\n".repeat(3);
    scene.write("test.csv", format!("text,label\n{}{honest}", turned.collect::<String>()));
    let words = COMPARE.replace("--epochs 1", "--lr 1e-2 --epochs 10 --batch-size 8 --strategies frozen,full");
    let outcome = scene.rehead(&words).ok();
    let result = scene.json("both/compare.json");
    let is_constant = |run: &str| {
        let csv = scene.text(&format!("both/{run}/predictions/test.csv"));
        let rows = fields(&csv);
        let column = rows[0].iter().position(|name| *name == "prediction").unwrap();
        rows[1..].iter().all(|row| row[column] == rows[1][column])
    };
    let constant: Vec<String> = ["frozen", "full"]
        .into_iter()
        .flat_map(|strategy| [42, 43].map(|seed| format!("{strategy}/seed-{seed}")))
        .filter(|run| is_constant(run))
        .collect();
    assert!(constant.starts_with(&["frozen/seed-42", "frozen/seed-43"].map(str::to_owned)), "{outcome}");
    assert!(constant.len() < 4, "{outcome}");
    let named = result["constant"].as_array().unwrap();
    assert!(named.iter().all(|run| run["label"] == "positive"), "{named:?}");
    let named: Vec<&str> =
        named.iter().map(|run| run["run"].as_str().unwrap().strip_prefix("both/").unwrap()).collect();
    assert_eq!(named, constant);
    let recommended = result["recommended"]["run"].as_str().unwrap();
    assert!(!constant.iter().any(|run| recommended.ends_with(run)), "{outcome}");
    for run in constant {
        let (strategy, seed) = run.split_once("/seed-").unwrap();
        let name = format!("`{strategy}` with seed {seed} (`positive`)");
        let verdict = result["verdict"].as_str().unwrap().split("Every row gets the same label from").nth(1).unwrap();
        assert!(verdict.contains(&name) && outcome.stdout_text().contains(&name), "{name}: {outcome}");
        let warning = format!("warning: {strategy} with seed {seed}: every row gets `positive`");
        outcome.check(outcome.stderr.contains(&warning), &warning);
    }
    assert!(scene.text("both/report.html").contains("Every row gets the same label from"));
    // Where all do, the best of them is named all the same.
    let alone = words.replace("--strategies frozen,full", "--strategies frozen").replace("--out both", "--out alone");
    scene.rehead(&alone).ok();
    assert_eq!(scene.json("alone/compare.json")["recommended"]["strategy"], "frozen");
}

/// Without test data, rows are called by what they are.
#[test]
fn validation_rows_are_not_called_test_rows() {
    let scene = scene();
    let outcome =
        scene.rehead(&COMPARE.replace("--test test.csv", "--valid test.csv").replace("--seeds 2", "--seeds 1")).ok();
    let said = format!("{}{}", outcome.stdout_text(), outcome.stderr);
    assert!(!said.contains("test row") && !said.contains("test accuracy") && said.contains("validation"), "{said}");
    assert!(said.contains("validation accuracy") && !said.contains("valid accuracy"), "{said}");
    assert!(said.contains("--seeds 3") && said.contains("There are no test data"), "{said}");
}

/// A handful of rows, one text, one class among the test rows: numbers or a plain refusal.
#[test]
fn very_little_is_compared_or_refused_plainly() {
    let scene = scene();
    let rows = |texts: &[(&str, &str)], count: usize| -> String {
        let rows = texts.iter().cycle().take(count);
        "text,label\n".to_owned() + &rows.map(|(text, label)| format!("{text},{label}\n")).collect::<String>()
    };
    let (good, bad, fun) = (("good", "pos"), ("bad", "neg"), ("fun", "pos"));
    for (number, (train, test)) in [
        (rows(&[good, bad], 40), rows(&[good], 1)),
        (rows(&[good, ("good", "neg")], 40), rows(&[good, bad], 2)),
        (rows(&[good, bad, fun, ("bore", "neg"), ("great", "pos")], 5), rows(&[good, bad, fun], 3)),
        (rows(&[good, bad], 2), rows(&[good, bad], 5)),
        (csv(&sentiment(40, 1)), rows(&[good, fun], 5)),
        (rows(&[good, fun], 20), rows(&[good], 3)),
    ]
    .into_iter()
    .enumerate()
    {
        scene.write("train.csv", train);
        scene.write("test.csv", test);
        let outcome = scene.rehead(&COMPARE.replace("--out both", &format!("--out little{number}"))).run();
        let said = format!("{}{}", outcome.stdout_text(), outcome.stderr);
        outcome.check(matches!(outcome.status.code(), Some(0 | 2)), "numbers or a refusal");
        outcome.check(!said.contains("torch") && !said.contains("NaN") && !said.contains("inf"), "our words");
        if outcome.status.code() == Some(0) {
            let page = scene.text(&format!("little{number}/report.html"));
            outcome.check(!page.contains("NaN"), "a page without NaN");
        }
    }
}

/// All that a comparison found, without what a clock says.
fn found(scene: &Scene, out: &str) -> (Vec<Value>, Value) {
    let mut result = scene.json(&format!("{out}/compare.json"));
    for contender in result["contenders"].as_array_mut().unwrap() {
        let contender = contender.as_object_mut().unwrap();
        for key in ["train_seconds", "peak_memory_bytes", "runs"] {
            assert!(contender.remove(key).is_some(), "{key}");
        }
    }
    (result["contenders"].as_array().unwrap().clone(), result["comparison"]["pairs"].clone())
}

#[test]
fn an_interrupted_comparison_ends_as_if_it_had_not_been() {
    const STEPS: &str = "--epochs 12 --batch-size 4 --lr 1e-3 --log-every 1 --seeds 2";
    let scene = scene();
    let command = |out: &str| COMPARE.replace("--epochs 1 --seeds 2 --out both", &format!("{STEPS} --out {out}"));
    scene.rehead(&command("whole")).ok();

    // The second run is `full` with the first seed; the one before it is finished.
    let mut running = scene.rehead(&command("both")).start();
    let met = running.wait_until(|_| logged_steps(&scene, "both/full/seed-42") >= 20);
    running.signal(libc::SIGINT);
    let outcome = running.wait();
    outcome.check(met && !outcome.status.success(), "an interruption in time");
    assert!(!scene.exists("both/compare.json") && scene.exists("both/frozen/seed-42/metrics.json"));
    assert!(!scene.exists("both/full/seed-42/metrics.json") && !scene.exists("both/frozen/seed-43"));
    outcome.says(&["interrupted: ", "hint: continue with the same command"]);

    let resumed = scene.rehead(&command("both")).ok();
    resumed.says(&["finished before: both/frozen/seed-42", "full with seed 42"]);
    assert_eq!(found(&scene, "both"), found(&scene, "whole"));
    for run in ["frozen/seed-42", "full/seed-42", "frozen/seed-43", "full/seed-43"] {
        assert!(weights(&scene, &format!("both/{run}")) == weights(&scene, &format!("whole/{run}")), "{run}");
        assert_eq!(history(&scene, &format!("both/{run}")), history(&scene, &format!("whole/{run}")), "{run}");
        let predictions = format!("{run}/predictions/test.csv");
        assert_eq!(scene.text(&format!("both/{predictions}")), scene.text(&format!("whole/{predictions}")), "{run}");
    }
}

/// The solver of a frozen network's head finds the same whatever the seed: none of its seeds is better.
#[test]
fn seeds_that_give_the_same_are_said_to() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", csv(&sentiment(60, 1)));
    scene.write("test.csv", csv(&sentiment(40, 2)));
    let said = scene.rehead(&format!("{COMPARE} --strategies frozen")).ok().says(&["; its 2 seeds give the same."]);
    said.check(!said.stderr.contains("is best on the validation rows"), "no best of equals");
    assert_eq!(scene.json("both/compare.json")["recommended"]["seed_reason"], "its 2 seeds give the same");
}
