//! `rehead train` as its users meet it: what a run directory holds, that it learns, that a run is the same every time
//! and whatever interrupted it, and in which shapes data and settings may come.

mod support;

use std::io::Write;
use std::path::Path;

use serde_json::Value;
use support::{
    BASIC, LONG, Lottery, Running, Scene, assert_as_uninterrupted, csv, history, interrupted, logged_steps, sentiment,
    tensors, training_scene, weights,
};

fn saved_setting(scene: &Scene, run: &str, section: &str, key: &str) -> toml::Value {
    let settings: toml::Table = scene.text(&format!("{run}/rehead.toml")).parse().unwrap();
    settings[section][key].clone()
}

#[test]
fn a_full_run_holds_what_it_promises() {
    let scene = training_scene();
    scene
        .rehead(BASIC)
        .arg("--test")
        .arg("test.csv")
        .arg("--epochs")
        .arg("2")
        .arg("--log-every")
        .arg("1")
        .arg("--out")
        .arg("run")
        .ok();

    for name in ["config.json", "model.safetensors", "tokenizer.json", "rehead.toml", "metrics.json", "history.jsonl"] {
        assert!(scene.exists(&format!("run/{name}")), "{name}\n{}", scene.listing());
    }
    assert!(scene.path("run/checkpoints").is_dir());
    let metrics = scene.json("run/metrics.json");
    check_metrics(&metrics, "full", &["valid", "test"]);
    assert_eq!(metrics["trainable_parameters"], metrics["total_parameters"]);
    let stored: usize = tensors(&weights(&scene, "run")).values().map(|(_, numbers)| numbers.len()).sum();
    assert_eq!(metrics["total_parameters"], stored);

    let history = history(&scene, "run");
    let of_kind = |kind: &str| history.iter().filter(|line| line["kind"] == kind).count();
    assert!(of_kind("step") > 0);
    assert_eq!(of_kind("evaluation"), 2);
    let config = scene.json("run/config.json");
    assert_eq!(config["architectures"][0], "BertForSequenceClassification");
    assert_eq!(config["id2label"], serde_json::json!({"0": "negative", "1": "positive"}));
    assert!(config.get("auto_map").is_none());
}

#[test]
fn a_frozen_run_holds_what_it_promises() {
    let scene = training_scene();
    scene.rehead(BASIC).arg("--strategy").arg("frozen").arg("--out").arg("run").ok();
    let metrics = scene.json("run/metrics.json");
    check_metrics(&metrics, "frozen", &["valid"]);
    assert!(metrics.get("test").is_none());
    // Sixteen features and a bias for each of two classes.
    assert_eq!(metrics["trainable_parameters"], 34);
    assert!(scene.path("run/checkpoints").is_dir());
    assert_eq!(history(&scene, "run").len(), 1);
    assert_eq!(saved_setting(&scene, "run", "model", "pooling").as_str(), Some("mean"));

    // Python finds the mean pooling in a module beside the weights.
    let map = scene.json("run/config.json")["auto_map"].clone();
    for target in map.as_object().expect("auto_map").values() {
        let module = target.as_str().unwrap().split('.').next().unwrap();
        assert!(scene.exists(&format!("run/{module}.py")), "{module}\n{}", scene.listing());
    }
    // The backbone is the one it began from.
    let (before, after) = (tensors(&scene.bytes("bare/model.safetensors")), tensors(&weights(&scene, "run")));
    for (name, tensor) in before.iter().filter(|(name, _)| name.starts_with("encoder.")) {
        assert_eq!(after.get(&format!("bert.{name}")), Some(tensor), "{name}");
    }
}

/// The keys that programs rely on, with values that can be.
fn check_metrics(metrics: &Value, strategy: &str, splits: &[&str]) {
    assert_eq!(metrics["model"], "bare");
    assert_eq!(metrics["strategy"], strategy);
    assert_eq!(metrics["seed"], 42);
    assert_eq!(metrics["train_rows"], 64);
    for key in ["train_seconds", "tokens_per_second", "trainable_parameters", "total_parameters", "peak_memory_bytes"] {
        assert!(metrics[key].as_f64().is_some_and(|number| number > 0.0), "{key} in {metrics:#}");
    }
    for split in splits {
        let found = &metrics[split];
        assert_eq!(found["rows"], 20, "{split} in {metrics:#}");
        for key in ["accuracy", "macro_f1", "ece"] {
            assert!(found[key].as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)), "{split}.{key}");
        }
        assert!(found["loss"].as_f64().is_some_and(|loss| loss > 0.0));
        for label in ["negative", "positive"] {
            for key in ["precision", "recall", "f1"] {
                assert!(found["per_class"][label][key].is_number(), "{label}.{key}");
            }
            assert_eq!(found["per_class"][label]["support"], 10);
        }
        let counts = found["confusion"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
        assert_eq!(counts.map(|count| count.as_u64().unwrap()).sum::<u64>(), 20);
    }
}

#[test]
fn the_saved_settings_make_the_same_run_again() {
    for strategy in ["full", "frozen"] {
        let scene = training_scene();
        let mut call =
            scene.rehead("train --train train.csv --valid-fraction 0.2 --model bare --threads 1 --lr 1e-3 --out first");
        call = call.arg("--strategy").arg(strategy).arg("--epochs").arg("1");
        call.ok();
        scene.rehead("train --config first/rehead.toml --out second").ok();
        assert!(weights(&scene, "first") == weights(&scene, "second"), "{strategy}: other weights");
    }
}

#[test]
fn equal_runs_are_bit_equal_and_another_seed_is_not() {
    let scene = training_scene();
    for (out, seed) in [("one", "7"), ("same", "7"), ("other", "8")] {
        // Two threads, dropout, batches and shuffling: all that could differ from run to run.
        let call = scene.rehead(
            "train --train train.csv --model bare --dropout 0.2 --epochs 2 --batch-size 8 --threads 2 --lr 1e-3",
        );
        call.arg("--seed").arg(seed).arg("--out").arg(out).ok();
    }
    assert!(weights(&scene, "one") == weights(&scene, "same"), "equal runs differ");
    assert!(weights(&scene, "one") != weights(&scene, "other"), "the seed changes nothing");
    assert_eq!(history(&scene, "one"), history(&scene, "same"));
}

#[test]
fn it_learns_to_tell_two_classes_apart() {
    let scene = Scene::with_models(&["bare"]);
    // Short texts: this network was never trained, so its features are nearly random.
    let data = |rows: usize, seed: u64| {
        let mut lottery = Lottery(seed);
        let text = |row: usize| format!("{} {}", ["bad", "good"][row % 2], lottery.words(1, 2));
        csv(&(0..rows).map(text).zip(["negative", "positive"].into_iter().cycle()).collect::<Vec<_>>())
    };
    scene.write("train.csv", data(300, 1));
    scene.write("test.csv", data(100, 2));
    for how in ["--strategy frozen", "--strategy full --lr 5e-3 --epochs 6 --batch-size 16"] {
        let out = if how.contains("frozen") { "frozen" } else { "full" };
        let words =
            format!("train --train train.csv --test test.csv --model bare --threads 1 {how} --out {out} --json");
        let metrics = scene.rehead(&words).ok().json();
        let accuracy = metrics["test"]["accuracy"].as_f64().unwrap();
        assert!(accuracy >= 0.95, "{how}: {accuracy}");
    }
}

#[test]
fn pairs_of_texts_are_told_apart_by_both() {
    let scene = Scene::with_models(&["bare"]);
    // The label is whether the second text praises; the first one says something else.
    let mut lottery = Lottery(5);
    let mut rows = String::from("id,question,answer,label\n");
    for row in 0..400 {
        let words = ["bad", "good"];
        let (first, second) = (words[lottery.below(2)], row % 2);
        let (before, after) = (lottery.words(1, 3), lottery.words(1, 3));
        rows += &format!("{row},{before} {first},{} {after},{}\n", words[second], ["no", "yes"][second]);
    }
    scene.write("pairs.csv", rows);
    let call = scene.rehead(
        "train --train pairs.csv --text question,answer --model bare --lr 5e-3 --epochs 8 --batch-size 16 --threads 1",
    );
    let metrics = call.arg("--out").arg("run").arg("--json").ok().json();
    assert!(metrics["valid"]["accuracy"].as_f64().unwrap() >= 0.9, "{:#}", metrics["valid"]);
    let text = saved_setting(&scene, "run", "data", "text");
    assert_eq!(
        text.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect::<Vec<_>>(),
        ["question", "answer"]
    );
}

fn uninterrupted(scene: &Scene) {
    scene.rehead(&format!("{BASIC} {LONG} --out whole")).ok();
}

/// Stored numbers, so that a change of what training computes is seen even where the program still agrees with itself.
#[test]
fn the_losses_of_a_small_run_are_those_that_are_stored() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", include_str!("fixtures/loss_curve/train.csv"));
    scene.write("valid.csv", include_str!("fixtures/loss_curve/valid.csv"));
    // At a higher rate the rounding of other instruction sets would grow beyond the tolerance.
    scene
        .rehead(&format!("{BASIC} --epochs 6 --batch-size 8 --lr 5e-3 --dropout 0 --seed 7 --log-every 1 --out run"))
        .ok();
    let stored: Value = serde_json::from_str(include_str!("fixtures/loss_curve/losses.json")).unwrap();
    let lines = history(&scene, "run");
    for (kind, stored) in [("step", &stored["train"]), ("evaluation", &stored["valid"])] {
        let found: Vec<f64> =
            lines.iter().filter(|line| line["kind"] == kind).map(|line| line["loss"].as_f64().unwrap()).collect();
        let stored: Vec<f64> = stored.as_array().unwrap().iter().map(|loss| loss.as_f64().unwrap()).collect();
        assert_eq!(found.len(), stored.len(), "{kind}");
        for (at, (found, stored)) in found.iter().zip(stored).enumerate() {
            assert!((found - stored).abs() < 1e-4, "{kind} {at}: {found}, stored is {stored}");
        }
    }
}

#[test]
fn an_interrupted_run_goes_on_as_if_it_had_not_been() {
    let scene = training_scene();
    uninterrupted(&scene);
    let begin = format!("{BASIC} {LONG} --out run");
    for (signal, steps) in [(libc::SIGINT, 1), (libc::SIGTERM, 16), (libc::SIGINT, 75)] {
        let context = format!("signal {signal} after step {steps}");
        let outcome = interrupted(&scene, &begin, signal, steps);
        outcome.check(outcome.status.code() == Some(130), "exit status 130");
        outcome.says(&["interrupted: ", "hint: ", "rehead train --resume --out run"]);
        assert!(!scene.exists("run/metrics.json"), "{context}: a half run has metrics");
        scene.rehead("train --resume --out run").ok();
        assert_as_uninterrupted(&scene, &context);
        scene.remove("run");
    }
    // A line of the history is the mean of several steps, some of them before the interruption.
    let every = |words: &str| words.replace("--log-every 1", "--log-every 7");
    scene.remove("whole");
    scene.rehead(&every(&format!("{BASIC} {LONG} --out whole"))).ok();
    interrupted(&scene, &every(&begin), libc::SIGINT, 3);
    scene.rehead("train --resume --out run").ok();
    assert_as_uninterrupted(&scene, "seven steps a line");
    let chosen = |run: &str| {
        let page = scene.text(&format!("{run}/report.html"));
        page.split("Chosen automatically").nth(1).expect(run).split("</table>").next().map(str::to_owned)
    };
    assert_eq!(chosen("run"), chosen("whole"));
}

#[test]
fn a_run_survives_one_interruption_after_another() {
    let scene = training_scene();
    uninterrupted(&scene);
    let mut words = format!("{BASIC} {LONG} --out run");
    for (signal, steps) in [(libc::SIGINT, 3), (libc::SIGKILL, 40), (libc::SIGTERM, 90)] {
        let mut running = scene.rehead(&words).start();
        let met = running.wait_until(|_| logged_steps(&scene, "run") >= steps);
        running.signal(signal);
        let outcome = running.wait();
        outcome.check(met && !outcome.status.success(), "an interruption in time");
        words = "train --resume --out run".to_owned();
    }
    scene.rehead(&words).ok();
    assert_as_uninterrupted(&scene, "three interruptions");
}

#[test]
fn a_killed_run_goes_on_from_its_last_snapshot() {
    let scene = training_scene();
    uninterrupted(&scene);
    let begin = format!("{BASIC} {LONG} --out run");
    // Without a snapshot, with one a step, and with a few.
    for (steps, minutes) in [(2, "5"), (50, "0"), (90, "0.001")] {
        let outcome = interrupted(&scene, &format!("{begin} --snapshot-minutes {minutes}"), libc::SIGKILL, steps);
        outcome.check(outcome.status.code().is_none(), "a violent end");
        scene.rehead("train --resume --out run").ok();
        assert_as_uninterrupted(&scene, &format!("killed after step {steps}"));
        scene.remove("run");
    }
}

#[test]
fn an_interrupted_frozen_run_starts_over() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", csv(&sentiment(20_000, 1)));
    let begin = "train --train train.csv --model bare --strategy frozen --precision fp32 --threads 1";
    scene.rehead(begin).arg("--out").arg("whole").ok();
    let mut running = scene.rehead(begin).arg("--out").arg("run").start();
    running.wait_until(|running: &Running| running.stderr().contains("training (frozen)"));
    running.signal(libc::SIGINT);
    let outcome = running.wait();
    outcome.check(outcome.status.code() == Some(130), "exit status 130");
    outcome.says(&["--resume --out run"]);
    scene.rehead("train --resume --out run").ok();
    assert!(weights(&scene, "run") == weights(&scene, "whole"));
}

#[test]
fn a_finished_run_is_the_result_of_its_data_and_settings_only() {
    let scene = training_scene();
    scene.write("test.csv", csv(&sentiment(20, 9)));
    scene.rehead(&format!("{BASIC} --strategy frozen --test test.csv --out run")).ok();
    let before = scene.everything_in("run");
    for (file, name) in [("train.csv", "the training data"), ("test.csv", "the test data")] {
        let data = scene.text(file);
        scene.write(file, data.replacen("negative", "positive", 1));
        let outcome = scene.rehead("train --resume --out run").refused().says(&["run: ", name, "changed", "hint: "]);
        outcome.check(!outcome.stderr.contains("is finished"), "nothing said of a finished run");
        scene.write(file, data);
    }
    scene.rehead("train --resume --out run --seed 3").refused().says(&["other settings", "training.seed", "hint: "]);
    assert!(scene.everything_in("run") == before, "a refused --resume changes the run");
    scene.rehead("train --resume --out run").ok().says(&["is finished: there is nothing to resume"]);
}

/// `--resume` with all settings, in a file too, begins the run that later calls continue.
#[test]
fn a_run_that_is_not_there_begins_where_all_settings_are_given() {
    let scene = training_scene();
    scene.rehead(&format!("{BASIC} --strategy frozen --out first")).ok();
    for words in ["--config first/rehead.toml", "--config first/rehead.toml --set training.seed=2"] {
        scene.rehead(&format!("train {words} --resume --out new")).ok().says(&["new: no run there yet: it begins"]);
        let again = scene.rehead(&format!("train {words} --resume --out new")).ok().says(&["is finished"]);
        again.check(!again.stderr.contains("no run there yet"), "the run to be found");
        scene.remove("new");
    }
    scene.rehead("train --resume --out frist").refused().says(&["frist: no such run"]);
}

#[test]
fn a_run_is_not_resumed_with_other_data_or_settings() {
    let scene = training_scene();
    uninterrupted(&scene);
    interrupted(&scene, &format!("{BASIC} {LONG} --out run"), libc::SIGINT, 20);
    let before = scene.everything_in("run");

    scene.rehead("train --resume --out run --lr 0.5").refused().says(&["other settings", "training.lr", "hint: "]);
    assert!(scene.everything_in("run") == before, "a refused --resume changes the run");

    let data = scene.text("train.csv");
    scene.write("train.csv", data.replacen("negative", "positive", 1));
    scene.rehead("train --resume --out run").refused().says(&["other data or settings", "hint: "]);
    assert!(scene.everything_in("run") == before, "a refused --resume changes the run");

    // With the old data it continues.
    scene.write("train.csv", data);
    scene.rehead("train --resume --out run").ok();
    assert_as_uninterrupted(&scene, "after refusals");
}

#[test]
fn a_finished_run_has_nothing_to_resume() {
    let scene = training_scene();
    scene.rehead(&format!("{BASIC} --epochs 1 --out run")).ok();
    let before = scene.everything();
    let outcome = scene.rehead("train --resume --out run --json").ok().says(&["nothing to resume"]);
    assert_eq!(outcome.json(), scene.json("run/metrics.json"));
    assert!(scene.everything() == before, "a finished run was changed");
}

#[test]
fn flags_win_over_set_and_set_over_the_file() {
    let scene = training_scene();
    scene.write(
        "run.toml",
        "[data]\ntrain = 'train.csv'\nvalid = 'valid.csv'\n[model]\nmodel = 'bare'\n[strategy]\nname = 'frozen'\n\
         [training]\nlr = 1e-3\nseed = 1\nepochs = 7\nweight_decay = 0.5\n[run]\nthreads = 1\n",
    );
    let set = "--set training.lr=2e-3 --set seed=2 --set strategy.name=full";
    let words = format!("train --config run.toml {set} --seed 3 --epochs 1 --out run --json");
    let metrics = scene.rehead(&words).ok().json();
    assert_eq!(metrics["seed"], 3);
    assert_eq!(metrics["strategy"], "full");
    let saved = |key: &str| saved_setting(&scene, "run", "training", key);
    assert_eq!(saved("lr").as_float(), Some(2e-3));
    assert_eq!(saved("seed").as_integer(), Some(3));
    assert_eq!(saved("epochs").as_integer(), Some(1));
    assert_eq!(saved("weight_decay").as_float(), Some(0.5));
    assert_eq!(saved("max_grad_norm").as_float(), Some(1.0));
}

#[test]
fn the_example_configurations_are_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tried = 0;
    for entry in std::fs::read_dir(root.join("configs")).unwrap() {
        let path = entry.unwrap().path();
        let scene = Scene::new();
        // Everything is in order but the one file that is not there, so nothing is trained.
        let call = scene.rehead("train --train absent.csv --config").arg(&path).arg("--out").arg(scene.path("run"));
        let outcome = call.in_folder(root).refused();
        outcome.check(outcome.stderr.starts_with("error: absent.csv: "), "no complaint but of absent.csv");
        tried += 1;
    }
    assert!(tried >= 3, "{tried} configurations");
}

#[test]
fn a_batch_may_be_computed_in_parts() {
    let scene = training_scene();
    for (out, tokens) in [("whole", "100000"), ("parts", "20")] {
        let words = format!(
            "{BASIC} --dropout 0 --batch-size 16 --epochs 1 --lr 1e-3 --log-every 1 --micro-batch-tokens {tokens}"
        );
        scene.rehead(&words).arg("--out").arg(out).ok();
        assert_eq!(logged_steps(&scene, out), 4);
    }
    let (whole, parts) = (tensors(&weights(&scene, "whole")), tensors(&weights(&scene, "parts")));
    let before = tensors(&scene.bytes("bare/model.safetensors"));
    let mut moved = 0f32;
    for (name, (_, numbers)) in &whole {
        // Attention does not depend on the keys' biases: their gradient is rounding error, which Adam scales up.
        if name.ends_with("attention.self.key.bias") {
            continue;
        }
        let farthest = |others: &[f32]| numbers.iter().zip(others).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        let apart = farthest(&parts[name].1);
        assert!(apart <= 1e-5, "{name}: {apart} apart");
        if let Some((_, start)) = before.get(name.trim_start_matches("bert.")) {
            moved = moved.max(farthest(start));
        }
    }
    assert!(moved > 1e-4, "nothing was trained: {moved}");
}

#[test]
fn a_batch_is_measured_in_examples_or_in_tokens() {
    let scene = training_scene();
    let steps = |out: &str, how: &str| {
        scene.rehead(&format!("{BASIC} --epochs 1 --log-every 1 {how} --out {out}")).ok();
        logged_steps(&scene, out)
    };
    assert_eq!(steps("ten", "--batch-size 10"), 7);
    assert_eq!(steps("all", "--batch-size 64"), 1);
    assert_eq!(steps("much", "--batch-tokens 100000"), 1);
    let few = steps("few", "--batch-tokens 50");
    assert!((8..=64).contains(&few), "{few}");
}

#[test]
fn the_shape_of_the_file_does_not_matter() {
    let scene = training_scene();
    // One text needs every kind of care.
    let mut rows = sentiment(24, 4);
    rows[3].0 = "good \"great\";\tfun,\nvery good".to_owned();
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let table = |delimiter: char, end: &str| {
        let rows: String =
            rows.iter().map(|(text, label)| format!("{}{delimiter}{label}{end}", quoted(text))).collect();
        format!("text{delimiter}label{end}{rows}")
    };
    let jsonl: String =
        rows.iter().map(|(text, label)| format!("{}\n", serde_json::json!({"text": text, "label": label}))).collect();
    let packed = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let files: [(&str, Vec<u8>); 8] = [
        ("plain.csv", table(',', "\n").into_bytes()),
        ("tabs.tsv", table('\t', "\n").into_bytes()),
        ("semicolons.csv", table(';', "\n").into_bytes()),
        ("crlf.csv", table(',', "\r\n").into_bytes()),
        ("bom.csv", [b"\xEF\xBB\xBF", table(',', "\r\n").as_bytes()].concat()),
        ("objects.jsonl", jsonl.clone().into_bytes()),
        ("packed.csv.gz", packed(&table(',', "\n"))),
        ("packed.jsonl.gz", packed(&jsonl)),
    ];
    for (name, content) in &files {
        scene.write(name, content);
        let words = "train --valid valid.csv --model bare --strategy frozen --precision fp32 --threads 1";
        scene
            .rehead(words)
            .arg("--train")
            .arg(*name)
            .arg("--out")
            .arg(format!("run-{name}"))
            .ok()
            .says(&["24 rows, 2 classes: negative 12, positive 12"]);
        assert!(weights(&scene, &format!("run-{name}")) == weights(&scene, "run-plain.csv"), "{name}: other weights");
    }
}

#[test]
fn odd_rows_are_counted() {
    let scene = training_scene();
    let rows = csv(&sentiment(30, 6));
    let first = rows.lines().nth(1).unwrap().to_owned();
    let contradiction = first.replace("negative", "positive");
    scene.write("train.csv", format!("{rows}{first}\n,negative\n{contradiction}\n"));
    let outcome = scene.rehead(&format!("{BASIC} --strategy frozen --out run")).ok();
    outcome.says(&[
        "32 rows",
        "1 row with an empty text left out",
        "warning: train.csv: 1 row left out, since the text is empty; the first is row 32",
        "1 text repeated",
        "1 text repeated with another label (row 33 against row 1)",
    ]);
    assert_eq!(scene.json("run/metrics.json")["train_rows"], 32);
}

#[test]
fn standard_output_holds_the_metrics_or_nothing() {
    let scene = training_scene();
    let outcome = scene.rehead(&format!("{BASIC} --strategy frozen --out silent")).ok();
    outcome.check(outcome.stdout.is_empty(), "nothing on standard output");
    outcome.check(!outcome.stderr.contains('\u{1b}'), "no colours in a log");
    let outcome = scene.rehead(&format!("{BASIC} --strategy frozen --out spoken --json")).ok();
    assert_eq!(outcome.json(), scene.json("spoken/metrics.json"));
}

#[test]
fn quiet_means_quiet() {
    let scene = training_scene();
    let outcome = scene.rehead(&format!("{BASIC} --strategy frozen --out run --quiet")).ok();
    outcome.check(outcome.stderr.is_empty() && outcome.stdout.is_empty(), "nothing said");
    assert!(scene.exists("run/metrics.json"));
}

#[test]
fn patience_ends_a_run_that_does_not_improve() {
    let scene = training_scene();
    // Steps too small to change any answer.
    let words = format!("{BASIC} --epochs 50 --lr 1e-12 --patience 2 --out run --json");
    let metrics = scene.rehead(&words).ok().says(&["no improvement for 2 epochs"]).json();
    assert_eq!((metrics["epochs"].as_u64(), metrics["best_epoch"].as_u64()), (Some(3), Some(3)));
}

#[test]
fn rows_shared_with_the_test_file_are_warned_of() {
    let scene = training_scene();
    scene.copy("train.csv", "test.csv");
    let outcome = scene.rehead(&format!("{BASIC} --strategy frozen --test test.csv --quiet --out run")).ok();
    let said = "64 rows of test.csv also appear in train.csv: scores on them are too optimistic";
    outcome.says(&[&format!("warning: {said}\n")]);
    let page = scene.text("run/report.html");
    for id in ["next", "result", "data"] {
        let (_, section) = page.split_once(&format!("<section id=\"{id}\"")).unwrap();
        assert!(section.split("<section").next().unwrap().contains(said), "{id}");
    }
    assert!(!page.contains("The network was not trained on these rows"));
}

/// Scores on rows that chose the weights are no test.
#[test]
fn test_rows_that_are_validation_rows_too_are_counted() {
    let scene = training_scene();
    scene.write("test.csv", csv(&sentiment(20, 9)) + "unheard of,positive\n");
    let both = "--epochs 1 --valid test.csv --test test.csv";
    let outcome = scene.rehead(&format!("{BASIC} {both} --out run").replace("--valid valid.csv ", "")).ok();
    outcome.says(&["21 rows of test.csv (--test) also appear in test.csv (--valid): ", "too optimistic"]);
    let compare =
        format!("{BASIC} {both} --seeds 1 --strategies frozen --out both").replace("train --train", "compare --train");
    let outcome = scene.rehead(&compare.replace("--valid valid.csv ", "")).ok();
    outcome.says(&["21 rows of test.csv (--test) also appear in test.csv (--valid): "]);
    let apart = scene.rehead(&format!("{BASIC} --epochs 1 --test test.csv --out apart")).ok();
    assert!(!apart.stderr.contains("(--valid): "), "{apart}");
}

#[test]
fn scores_have_their_intervals() {
    let scene = training_scene();
    let train = scene.rehead(&format!("{BASIC} --epochs 1 --test test.csv --json --out run")).ok();
    let evaluated = scene.rehead("evaluate --model run --data test.csv --json").ok().json();
    let metrics = train.json();
    for scores in [&metrics["valid"], &metrics["test"], &evaluated["test"]] {
        for name in ["accuracy", "macro_f1"] {
            let interval = &scores[format!("{name}_interval")];
            let [low, high] = [0, 1].map(|end| interval[end].as_f64().unwrap());
            let score = scores[name].as_f64().unwrap();
            assert!(low <= score && score <= high && low < high, "{name}: {interval}, {score}");
        }
        let correct = (scores["accuracy"].as_f64().unwrap() * 20.0).round() as u64;
        let expected = rehead::evaluation::wilson(correct, 20);
        assert_eq!(scores["accuracy_interval"], serde_json::json!([expected.low, expected.high]));
    }
}

/// Where epochs have the same score, what else decided is said.
#[test]
fn a_tie_of_epochs_says_what_decided() {
    const BEST: &str = "--epochs 2 --keep-best macro_f1";
    let scene = training_scene();
    let train = |lr: &str| scene.rehead(&format!("{BASIC} {BEST} --lr {lr} --head-lr {lr} --dropout 0 --out r{lr}"));
    train("1e-30").ok().says(&["weights kept: epoch 1 of 2 (best macro-F1 ", ", as with the same loss in epoch 2)"]);
    train("1e-6").ok().says(&["weights kept: epoch 2 of 2 (best macro-F1 ", ", as in epoch 1, but with a lower loss)"]);
}
