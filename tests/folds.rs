//! Stories about small data used whole, through the real binary: a model trained again on all rows, and one that is
//! judged by folds.

mod support;

use support::pictures::{half_bright, scene_with_net};
use support::*;

/// Epochs that each lower the validation loss.
const FALLING: &str = "--keep-best loss --epochs 3 --batch-size 8 --lr 1e-3";

#[test]
fn refitting_trains_on_all_rows_for_the_chosen_epochs() {
    let scene = training_scene();
    let all = csv(&[sentiment(64, 1), sentiment(20, 2)].concat());
    scene.write("all.csv", all);
    // Of all rows no temperature could be fitted.
    let basic = format!("{BASIC} --calibrate off {FALLING}");
    scene.rehead(&format!("{basic} --refit --test test.csv --out refit")).ok().says(&[
        "chosen: epoch 3 of 3",
        "then trained again for 3 epochs on all 84 rows",
        "trained on 64",
    ]);
    scene.rehead(&format!("{basic} --test test.csv --out first")).ok();
    // The same network and head, the same order of steps as if all rows had been in the file.
    scene.rehead(&format!("{} --test test.csv --out whole", basic.replace("train.csv", "all.csv"))).ok();
    assert!(weights(&scene, "refit") == weights(&scene, "whole"), "other weights than of all rows");
    let [refit, first, whole] = ["refit", "first", "whole"].map(|run| scene.json(&format!("{run}/metrics.json")));
    assert_eq!(refit["train_rows"], 84);
    assert_eq!(refit["refit"], serde_json::json!({ "rows_before": 64, "epochs": 3 }));
    assert_eq!(refit["valid"], first["valid"], "of the model before");
    assert_eq!(refit["test"], whole["test"], "of the final model");
    assert_ne!(refit["test"], first["test"]);
    assert_eq!(history(&scene, "refit"), history(&scene, "first"));
    assert_eq!(scene.text("refit/predictions/valid.csv"), scene.text("first/predictions/valid.csv"));
    let names = |run: &str| scene.everything_in(run).into_keys().collect::<Vec<_>>();
    assert_eq!(names("refit"), names("first"), "nothing is left of the first model");
    assert!(scene.text("refit/report.html").contains("Then trained again for 3 epochs on all 84 rows"));
    // Rows that the final model was trained on are known as such.
    scene.rehead("evaluate --model refit --data valid.csv --device cpu").ok().says(&["was trained on"]);
}

#[test]
fn every_strategy_is_refitted() {
    let scene = training_scene();
    for how in [
        "--strategy frozen",
        "--strategy last:1",
        "--strategy lora",
        "--strategy gradual --head-init probe",
        "--strategy bitfit --valid-fraction 0.2",
    ] {
        let basic = if how.contains("fraction") { BASIC.replace("--valid valid.csv ", "") } else { BASIC.to_owned() };
        scene.rehead(&format!("{basic} {how} --epochs 2 --batch-size 16 --refit --test test.csv --out run")).ok();
        let metrics = scene.json("run/metrics.json");
        let rows = if how.contains("fraction") { 64 } else { 84 };
        assert_eq!(metrics["train_rows"], rows, "{how}");
        assert!(metrics["refit"]["rows_before"].as_u64().unwrap() < rows, "{how}");
        scene.rehead(&format!("{basic} {how} --epochs 2 --batch-size 16 --test test.csv --out plain")).ok();
        assert!(weights(&scene, "run") != weights(&scene, "plain"), "{how}");
        let plain = scene.json("plain/metrics.json");
        assert_eq!(metrics["valid"], plain["valid"], "{how}");
        assert!(metrics["temperature"].is_f64() && metrics["temperature"] == plain["temperature"], "{how}");
        scene.remove("run");
        scene.remove("plain");
    }
}

#[test]
fn an_interrupted_refit_continues_bit_identical() {
    let scene = training_scene();
    let words = format!("{BASIC} {LONG} --strategy full --head-init probe --refit");
    scene.rehead(&format!("{words} --out whole")).ok();
    let steps = |folder: &str| logged_steps(&scene, folder);
    // In the first training, and in the second.
    for (folder, step) in [("run", 20), ("run/checkpoints/refit", 7)] {
        let outcome = interrupted_when(&scene, &format!("{words} --out run"), 2, "run", || steps(folder) >= step);
        outcome.check(outcome.status.code() == Some(130), "exit status 130");
        scene.rehead("train --resume --out run").ok();
        assert_as_uninterrupted(&scene, folder);
        scene.remove("run");
    }
    // Another way of training is refused.
    let outcome = interrupted_when(&scene, &format!("{words} --out run"), 2, "run", || steps("run") >= 3);
    outcome.says(&["continue with: rehead train --resume --out run"]);
    scene.write("run/rehead.toml", scene.text("run/rehead.toml").replace("refit = true", "refit = false"));
    scene.rehead("train --resume --out run --refit").refused().says(&["`training.refit` was false, now true"]);
}

/// Folds of the training rows, with no choice left to the machine.
const FOLDED: &str = "train --train train.csv --model bare --device cpu --precision fp32 --threads 1";

/// The columns of a run's `predictions/folds.csv`, by name.
fn folds_csv(scene: &Scene, run: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let text = scene.text(&format!("{run}/predictions/folds.csv"));
    let rows = fields(&text);
    let of = |row: &Vec<&str>| {
        rows[0].iter().zip(row).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    rows[1..].iter().map(of).collect()
}

#[test]
fn every_row_is_predicted_once_and_the_scores_are_those_of_the_file() {
    let scene = training_scene();
    for how in
        ["--strategy frozen", "--strategy full --epochs 4 --batch-size 8 --lr 1e-3", "--strategy last:1 --epochs 3"]
    {
        let outcome = scene.rehead(&format!("{FOLDED} {how} --folds 4 --test test.csv --out run")).ok();
        let outcome =
            outcome.says(&["validation: every row in one of 4 folds", "on 64 out-of-fold rows", "accuracy by fold"]);
        let compare = outcome.stderr.lines().find(|line| line.contains("rehead compare "));
        outcome.check(compare.is_some() || !how.contains("frozen"), "a comparison to be the next step");
        outcome.check(compare.is_none_or(|line| line.contains("--folds 4")), "a comparison by the same folds");
        let rows = folds_csv(&scene, "run");
        let numbers: Vec<usize> = rows.iter().map(|row| row["row"].parse().unwrap()).collect();
        assert_eq!(numbers, (1..=64).collect::<Vec<_>>(), "{how}");
        let metrics = scene.json("run/metrics.json");
        let folds = &metrics["folds"];
        let right = |row: &&std::collections::BTreeMap<String, String>| row["label"] == row["prediction"];
        let accuracy = rows.iter().filter(right).count() as f64 / 64.0;
        assert!((folds["accuracy"].as_f64().unwrap() - accuracy).abs() < 1e-9, "{how}");
        for fold in 1..=4 {
            let own: Vec<_> = rows.iter().filter(|row| row["fold"] == fold.to_string()).collect();
            // Stratified: eight of each of the two labels.
            assert_eq!(own.iter().filter(|row| row["label"] == "positive").count(), 8, "{how}");
            assert_eq!(own.len(), 16, "{how}");
            let accuracy = own.iter().copied().filter(right).count() as f64 / 16.0;
            assert!((folds["by_fold"][fold - 1]["accuracy"].as_f64().unwrap() - accuracy).abs() < 1e-9, "{how}");
        }
        assert!(folds["accuracy_interval"].is_array() && folds["accuracy_spread"].is_f64(), "{how}");
        assert_eq!((&metrics["train_rows"], metrics.get("valid")), (&64.into(), None), "{how}");
        assert!(metrics["temperature"].is_f64() && metrics["test"]["accuracy"].is_f64(), "{how}");
        let left = scene.everything_in("run/checkpoints");
        assert_eq!(left.into_keys().collect::<Vec<_>>(), ["finished.json"], "{how}");
        let page = scene.text("run/report.html");
        for said in ["Out-of-fold data: ", "trained on all 64 rows", "Fold by fold", "was not trained on it"] {
            assert!(page.contains(said), "{how}: {said}");
        }
        scene.remove("run");
    }
}

#[test]
fn the_final_model_is_that_of_all_rows_and_as_many_epochs() {
    let scene = training_scene();
    let how = "--keep-best loss --epochs 3 --batch-size 8 --lr 1e-3 --calibrate off";
    scene.rehead(&format!("{FOLDED} {how} --folds 3 --out folds")).ok();
    let metrics = scene.json("folds/metrics.json");
    let by_epoch = metrics["folds"]["by_epoch"].as_array().unwrap();
    assert_eq!((by_epoch.len(), &metrics["best_epoch"]), (3, &3.into()));
    assert_eq!(by_epoch[2]["loss"], metrics["folds"]["loss"]);
    scene.rehead(&format!("{BASIC} {how} --out whole")).ok();
    assert!(weights(&scene, "folds") == weights(&scene, "whole"), "other weights than of all rows");
    assert_eq!(history(&scene, "folds").len() + 3, history(&scene, "whole").len(), "without the evaluations");
}

#[test]
fn rows_of_a_group_and_equal_texts_are_in_one_fold() {
    let scene = training_scene();
    let rows = sentiment(60, 1);
    let mut table = "author,text,label\n".to_owned();
    for (index, (text, label)) in rows.iter().enumerate() {
        table.push_str(&format!("author{},{text},{label}\n", index % 13));
    }
    // The same text by another author ties both.
    table.push_str(&format!("author20,{},{}\n,no author here,positive\n", rows[0].0, rows[0].1));
    scene.write("train.csv", &table);
    scene
        .rehead(&format!("{FOLDED} --strategy frozen --folds 3 --group author --out run"))
        .ok()
        .says(&["groups: 14 groups in the column `author`", "1 row without a value, each for itself"]);
    let rows = folds_csv(&scene, "run");
    for one in &rows {
        for other in &rows {
            let tied = one["author"] == other["author"] && !one["author"].is_empty() || one["text"] == other["text"];
            assert!(!tied || one["fold"] == other["fold"], "{one:?} {other:?}");
        }
    }
    // Groups stay on one side of a plain split, too.
    scene.rehead(&format!("{FOLDED} --strategy frozen --valid-fraction 0.3 --group author --out split")).ok();
    let text = scene.text("split/predictions/valid.csv");
    let valid: Vec<Vec<&str>> = fields(&text);
    let authors: std::collections::BTreeSet<&str> = valid[1..].iter().map(|row| row[1]).collect();
    for author in authors.iter().filter(|author| !author.is_empty()) {
        let all = table.lines().filter(|line| line.starts_with(&format!("{author},"))).count();
        assert_eq!(valid[1..].iter().filter(|row| row[1] == *author).count(), all, "{author}");
    }
    scene.rehead(&format!("{FOLDED} --strategy frozen --folds 3 --group writer --out other")).refused().says(&[
        "no column `writer`",
        "the columns are `author`",
        "hint: ",
    ]);
}

#[test]
fn a_wrong_label_of_the_training_data_is_found() {
    let scene = training_scene();
    let mut rows = sentiment(120, 1);
    rows[8].1 = "positive";
    scene.write("train.csv", csv(&rows));
    scene.rehead(&format!("{FOLDED} --strategy full --epochs 12 --lr 3e-3 --batch-size 8 --folds 5 --out run")).ok();
    let page = scene.text("run/report.html");
    let (_, errors) = page.split_once("<section id=\"label-errors\"").unwrap();
    let (errors, _) = errors.split_once("</section>").unwrap();
    assert!(errors.contains(&rows[8].0), "{errors}");
    assert!(errors.contains("row 9 of"), "{errors}");
}

#[test]
fn interrupted_folds_continue_bit_identical() {
    let scene = training_scene();
    scene.write("train.csv", csv(&sentiment(48, 1)));
    let words = format!("{FOLDED} --epochs 8 --batch-size 4 --lr 1e-3 --log-every 1 --head-init probe --folds 3");
    scene.rehead(&format!("{words} --out whole")).ok();
    // In the second fold, and in the final training.
    for (folder, step) in [("run/checkpoints/fold-2", 11), ("run/checkpoints/refit", 7)] {
        let ready = || logged_steps(&scene, folder) >= step;
        let outcome = interrupted_when(&scene, &format!("{words} --out run"), 2, "run", ready);
        outcome.check(outcome.status.code() == Some(130), "exit status 130");
        if folder.contains("fold-2") {
            outcome.says(&["interrupted: fold 2 of 3: after step ", "continue with: rehead train --resume"]);
            scene.copy("run", "other");
        }
        scene.rehead("train --resume --out run").ok();
        assert_as_uninterrupted(&scene, folder);
        assert_eq!(scene.text("run/predictions/folds.csv"), scene.text("whole/predictions/folds.csv"), "{folder}");
        scene.remove("run");
    }
    // Folds of other settings, or of other data, are not continued.
    scene.rehead("train --resume --out other --folds 4").refused().says(&["`data.folds` was 3, now 4"]);
    scene.write("train.csv", csv(&sentiment(48, 2)));
    scene.rehead("train --resume --out other").refused().says(&["the training data changed"]);
    scene.remove("other/origin.json");
    scene.rehead("train --resume --out other").refused().says(&["other data or settings"]);
}

#[test]
fn what_folds_cannot_do_is_refused_or_said() {
    let scene = training_scene();
    let frozen = format!("{FOLDED} --strategy frozen");
    scene.rehead(&format!("{frozen} --folds 3 --valid valid.csv --out run")).refused().says(&[
        "data.folds",
        "--valid names other validation rows",
        "hint: ",
        "give its file to --train too",
    ]);
    scene.rehead(&format!("{frozen} --folds 3 --valid-fraction 0.2 --out run")).refused().says(&["--valid-fraction"]);
    scene.rehead(&format!("{frozen} --group text --valid valid.csv --out run")).refused().says(&["data.group"]);
    for folds in ["1", "21"] {
        scene.rehead(&format!("{frozen} --folds {folds} --out run")).refused().says(&["2", "20"]);
    }
    let mut rows = sentiment(12, 1);
    rows.push(("a rare film".to_owned(), "mixed"));
    scene.write("few.csv", csv(&rows));
    let few = frozen.replace("train.csv", "few.csv");
    scene.rehead(&format!("{few} --folds 20 --out run")).refused().says(&[
        "20 folds need as many rows",
        "there are 13",
        "hint: fewer folds",
    ]);
    scene.rehead(&format!("{few} --folds 4 --out run")).ok().says(&[
        "fewer rows than the 4 folds: `mixed` (1 row): some folds have no row of them",
        "is never predicted for them",
    ]);
    let metrics = scene.json("run/metrics.json");
    assert_eq!(metrics["folds"]["per_class"]["mixed"]["recall"], 0.0);
    assert_eq!(metrics["train_rows"], 13);
}

#[test]
fn images_are_folded_with_copies_together_and_refitted() {
    let scene = scene_with_net();
    let mut lottery = Lottery(1);
    for (class, left) in [("left", true), ("right", false)] {
        std::fs::create_dir_all(scene.path(format!("train/{class}"))).unwrap();
        for index in 0..12 {
            let file = scene.path(format!("train/{class}/{index:02}.png"));
            half_bright(&mut lottery, 32, 32, left).save(file).unwrap();
        }
    }
    scene.copy("train/left/00.png", "train/left/copy.png");
    scene.write("train/right/broken.png", "no image");
    let basic = "train --train train --model net --init random --device cpu --precision fp32 --threads 1 \
                 --on-bad-input skip --epochs 2 --batch-size 8";
    for how in [
        "--strategy full --augment light",
        "--strategy last:1",
        "--strategy frozen",
        "--strategy frozen --augment light --views 2",
    ] {
        scene.rehead(&format!("{basic} {how} --folds 3 --out folds")).ok();
        let rows = folds_csv(&scene, "folds");
        assert_eq!(rows.len(), 25, "{how}");
        let fold = |end: &str| &rows.iter().find(|row| row["path"].ends_with(end)).unwrap()["fold"];
        assert_eq!(fold("left/00.png"), fold("copy.png"), "{how}");
        let metrics = scene.json("folds/metrics.json");
        assert_eq!((&metrics["train_rows"], &metrics["folds"]["rows"]), (&25.into(), &25.into()), "{how}");
        assert_eq!(metrics["unreadable_images"]["training"], 1, "{how}");
        scene.rehead(&format!("{basic} {how} --refit --valid-fraction 0.3 --out refit")).ok();
        let metrics = scene.json("refit/metrics.json");
        let valid = metrics["valid"]["rows"].as_u64().unwrap();
        assert_eq!(metrics["train_rows"], 25, "{how}");
        assert_eq!(metrics["refit"]["rows_before"].as_u64().unwrap() + valid, 25, "{how}");
        scene.remove("folds");
        scene.remove("refit");
    }
    // Baselines are scored on the images that the runs could read.
    let compared = basic.replacen("train", "compare", 1);
    scene.rehead(&format!("{compared} --strategies frozen --seeds 1 --folds 3 --out both")).ok();
    let result = scene.json("both/compare.json");
    assert_eq!((&result["split"], &result["comparison"]["rows"]), (&"folds".into(), &25.into()));
}

#[test]
fn pairs_of_texts_are_folded() {
    let scene = training_scene();
    let rows = sentiment(40, 1);
    let table: String = rows.iter().map(|(text, label)| format!("the film,{text},{label}\n")).collect();
    scene.write("train.csv", format!("text_a,text_b,label\n{table}"));
    scene.rehead(&format!("{FOLDED} --strategy full --epochs 2 --text text_a,text_b --folds 2 --out run")).ok();
    assert_eq!(folds_csv(&scene, "run").len(), 40);
}

/// A comparison of two strategies out of fold, with no choice left to the machine.
const COMPARED: &str = "compare --train train.csv --model bare --device cpu --precision fp32 --threads 1 --folds 3 \
                        --strategies frozen,full --epochs 2 --batch-size 8 --lr 1e-3";

#[test]
fn strategies_are_compared_out_of_fold_on_the_same_folds() {
    let scene = training_scene();
    let rows = sentiment(48, 1).into_iter().enumerate();
    let table: String = rows.map(|(row, (text, label))| format!("author{},{text},{label}\n", row % 11)).collect();
    scene.write("train.csv", format!("author,text,label\n{table}"));
    let words = format!("{COMPARED} --group author --seeds 2 --out both");
    let first = scene.rehead(&words).ok();
    first.check(first.stdout_text().contains("out-of-fold accuracy"), "the split in the table");
    let result = scene.json("both/compare.json");
    assert_eq!((&result["split"], &result["comparison"]["rows"]), (&"folds".into(), &48.into()));
    let fold_of = |run: &str| folds_csv(&scene, run).iter().map(|row| row["fold"].clone()).collect::<Vec<_>>();
    let folds = fold_of("both/frozen/seed-42");
    for contender in result["contenders"].as_array().unwrap() {
        for (run, accuracy) in
            contender["runs"].as_array().unwrap().iter().zip(contender["accuracy"].as_array().unwrap())
        {
            let run = run.as_str().unwrap();
            assert_eq!(fold_of(run), folds, "{run}");
            let right = folds_csv(&scene, run).iter().filter(|row| row["label"] == row["prediction"]).count();
            assert!((accuracy.as_f64().unwrap() - right as f64 / 48.0).abs() < 1e-9, "{run}");
            assert!(!scene.exists(&format!("{run}/model.safetensors")), "{run}");
        }
    }
    // The most frequent label of the rows that a fold leaves, not of all.
    let csv = folds_csv(&scene, "both/majority");
    for row in &csv {
        let rest = csv.iter().filter(|other| other["fold"] != row["fold"] && other["label"] == "positive").count();
        let all = csv.iter().filter(|other| other["fold"] != row["fold"]).count();
        let share: f64 = row["p_positive"].parse().unwrap();
        assert!((share - rest as f64 / all as f64).abs() < 1e-6, "{row:?}");
    }
    let page = scene.text("both/report.html");
    assert!(page.contains("Out of fold, 48 rows") && page.contains("in one of 3 folds"));
    // Nothing is done twice.
    let before = scene.everything();
    let again = scene.rehead(&words).ok().says(&["finished before: both/full/seed-43", "finished before"]);
    assert!(again.stdout == first.stdout && scene.everything() == before, "the second comparison changed files");
    // What it recommends has no model yet; then it is what `train --folds` makes of it.
    scene
        .rehead("label --model both/full/seed-43 --input train.csv --output out.csv")
        .refused()
        .says(&["no model yet"]);
    first.says(&["Its model is still to be trained", "rehead train --resume --out both/"]);
    scene.rehead("train --resume --out both/full/seed-43").ok();
    let alone = COMPARED.replace("compare ", "train ").replace("--strategies frozen,full", "--strategy full");
    scene.rehead(&format!("{alone} --group author --seed 43 --split-seed 42 --out alone")).ok();
    assert!(weights(&scene, "both/full/seed-43") == weights(&scene, "alone"), "other weights than train --folds");
    let [one, other] =
        ["both/full/seed-43", "alone"].map(|run| scene.json(&format!("{run}/metrics.json"))["folds"].clone());
    assert_eq!(one, other);
    scene.rehead(&words).ok();
    assert_eq!(scene.json("both/compare.json")["comparison"]["pairs"], result["comparison"]["pairs"]);
}

#[test]
fn an_interrupted_comparison_out_of_fold_continues_bit_identical() {
    let scene = training_scene();
    scene.write("train.csv", csv(&sentiment(48, 1)));
    let words = COMPARED.replace("--epochs 2 --batch-size 8", "--epochs 8 --batch-size 4 --log-every 1 --seeds 1");
    scene.rehead(&format!("{words} --out whole")).ok();
    let ready = || logged_steps(&scene, "run/full/seed-42/checkpoints/fold-2") >= 11;
    let outcome = interrupted_when(&scene, &format!("{words} --out run"), 2, "run", ready);
    outcome.says(&["continue with the same command: finished runs are kept"]);
    scene.rehead(&format!("{words} --out run")).ok();
    for file in ["frozen/seed-42", "full/seed-42", "tf-idf"].map(|run| format!("{run}/predictions/folds.csv")) {
        assert_eq!(scene.text(&format!("run/{file}")), scene.text(&format!("whole/{file}")), "{file}");
    }
}

#[test]
fn test_rows_are_what_is_compared_where_there_are_any() {
    let scene = training_scene();
    scene.rehead(&format!("{COMPARED} --seeds 1 --test test.csv --out both")).ok();
    let result = scene.json("both/compare.json");
    assert_eq!(result["split"], "test");
    for run in ["both/frozen/seed-42", "both/full/seed-42"] {
        assert!(scene.exists(&format!("{run}/model.safetensors")), "{run}");
        assert!(scene.json(&format!("{run}/metrics.json"))["folds"]["accuracy"].is_f64(), "{run}");
    }
    let recommended = result["recommended"]["run"].as_str().unwrap();
    scene.rehead(&format!("label --model {recommended} --input test.csv --output out.csv")).ok();
}
